"""What becomes of a group of inputs."""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdtools.prediction.unchanged import Stamp


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


# Of the main thread: list (walks folders, reads tar files in order, decodes videos), write; of the workers all others.
STAGES = ("list", "read", "decode", "detect", "crop", "infer", "draw", "write")
_PERCENTILES = (50, 90, 99)


class Stopwatch:
    """Seconds of each stage of one worker's work; `lap` books what passed since the last lap."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def lap(self, stage: str) -> float:
        """The moment it is, in seconds."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now
        return now


@dataclass
class Timing:
    """Of what this process did of a run, by `n_workers` at a time.

    `latencies` are seconds from the beginning of reading an image until the points of its faces were there.
    """

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    latencies: array[float] = field(default_factory=lambda: array("d"))
    began: float = field(default_factory=time.perf_counter)
    n_items: int = 0
    n_faces: int = 0
    n_workers: int = 1

    def add(self, outcome: Outcome) -> None:
        """Book the work of one group."""
        self.add_seconds(outcome.seconds)
        self.latencies.extend(outcome.latencies)
        self.n_items += outcome.n_items
        self.n_faces += outcome.n_faces

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        """Book time by stage."""
        for stage, value in seconds.items():
            self.seconds[stage] += value

    def lines(self, engine: str) -> list[str]:
        """The report. Stages add up over workers, so their shares are of the work and not of the time that passed."""
        passed = time.perf_counter() - self.began
        total = sum(self.seconds[stage] for stage in STAGES)
        lines = [
            f"{self.n_items} images, {self.n_faces} faces in {passed:.2f} s: {self.n_items / passed:.1f} images/s",
            f"{engine}; {self.n_workers} worker{'s' if self.n_workers > 1 else ''}",
        ]
        for stage in STAGES:
            if seconds := self.seconds[stage]:
                each = 1000 * seconds / max(self.n_items, 1)
                lines.append(f"{stage:<8}{seconds:9.2f} s {100 * seconds / total:5.1f} % {each:9.3f} ms each")
        if self.latencies:
            values = 1000 * np.percentile(np.frombuffer(self.latencies), _PERCENTILES)
            told = ", ".join(f"{p} % within {v:.1f}" for p, v in zip(_PERCENTILES, values, strict=True))
            lines.append(f"latency, ms: {told}")
        return lines
