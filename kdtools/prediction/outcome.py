"""What becomes of a group of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdtools.prediction.sameness import Stamp


@dataclass(frozen=True)
class Outcome:
    """Faces of one group of inputs, ready to be written.

    `columns` are rows of arrays of the format by name, the same names in all outcomes of a run. `stamps` are of the
    group's inputs, from before they were read; `skipped` are ids and reasons. `seconds` are by stage, `latencies` of
    those inputs that show faces.
    """

    columns: dict[str, Any]
    stamps: Sequence[Stamp]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def n_items(self) -> int:
        return len(self.stamps)

    @property
    def n_faces(self) -> int:
        return len(self.columns["id"])
