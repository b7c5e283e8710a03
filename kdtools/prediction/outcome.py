"""What becomes of a group of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Faces of one group of inputs, ready to be written.

    `columns` are rows of arrays of the format by name, the same names in all outcomes of a run. The group has `n_items`
    inputs, the last of them `last_id`; `skipped` are ids and reasons. `seconds` are by stage, `latencies` by input.
    """

    columns: dict[str, Any]
    n_items: int
    last_id: str
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def n_faces(self) -> int:
        return len(self.columns["id"])
