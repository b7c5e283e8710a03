"""Results of a group of inputs, and the time that a run takes by stage."""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdtools.faces.schema import CROP
from kdtools.faces.writer import FacesWriter
from kdtools.landmarks import Scheme
from kdtools.prediction.unchanged import Stamp
from kdtools.reporting import counted

NO_FACE = "no face found"  # the reason of a photograph that was looked at in full, and shows none


@dataclass(frozen=True)
class Outcome:
    """Results of one group of inputs.

    `columns` maps arrays of the format to their rows; all outcomes of a run have the same arrays. `stamps` describe the
    inputs, taken before they were read, `contents` are their SHA-256. `skipped` are (id, reason) pairs. `seconds` are
    by stage, `latencies` those of the inputs with faces. `box_origin` says whose boxes /box holds
    (`kdtools.faces.box_origin`).
    """

    columns: dict[str, Any]
    stamps: Sequence[Stamp]
    contents: Sequence[bytes]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    box_origin: str = CROP

    @property
    def n_items(self) -> int:
        return len(self.stamps)

    @property
    def n_faces(self) -> int:
        return len(self.columns["id"])


@dataclass(frozen=True)
class About:
    """What an output says of its points: their scheme, and `attributes` of /landmarks that tell how they were found."""

    scheme: Scheme
    attributes: Mapping[str, Any]

    def describe(self, writer: FacesWriter) -> None:
        writer.describe_landmarks(self.scheme, "predicted", self.attributes)


# The main thread does list (walks folders, reads tar files, decodes videos) and write, the workers do the others.
STAGES = ("list", "read", "decode", "detect", "crop", "infer", "draw", "write")
_PERCENTILES = (50, 90, 99)


class Stopwatch:
    """Seconds spent in each stage of a worker."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def lap(self, stage: str) -> float:
        """Add the time since the last lap to `stage`; returns the current time in seconds."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now
        return now

    def add(self, others: Iterable[Stopwatch]) -> float:
        """Add the seconds of others, by which the time since the last lap was measured; returns the current time."""
        for other in others:
            for stage, value in other.seconds.items():
                self.seconds[stage] += value
        self._last = time.perf_counter()
        return self._last


@dataclass
class Timing:
    """Time that a run took in this process; `latencies` are seconds from starting to read an image until its points.

    They take 8 bytes each, so a run over millions keeps them only if they are asked for.
    """

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    latencies: array[float] = field(default_factory=lambda: array("d"))
    began: float = field(default_factory=time.perf_counter)
    n_items: int = 0
    n_faces: int = 0
    n_workers: int = 1
    keeps_latencies: bool = True

    def add(self, outcome: Outcome) -> None:
        self.add_seconds(outcome.seconds)
        if self.keeps_latencies:
            self.latencies.extend(outcome.latencies)
        self.n_items += outcome.n_items
        self.n_faces += outcome.n_faces

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        for stage, value in seconds.items():
            self.seconds[stage] += value

    def lines(self, engine: str) -> list[str]:
        """The report. Stages are summed over workers, so their percentages are of the work, not of the elapsed time."""
        passed = time.perf_counter() - self.began
        total = sum(self.seconds[stage] for stage in STAGES)
        lines = [
            f"{counted(self.n_items, 'image')}, {counted(self.n_faces, 'face')} in {passed:.2f} s: "
            f"{self.n_items / passed:.1f} images/s",
            f"{engine}; {counted(self.n_workers, 'worker')}",
        ]
        for stage in STAGES:
            if seconds := self.seconds[stage]:
                each = 1000 * seconds / max(self.n_items, 1)
                lines.append(f"{stage:<8}{seconds:9.2f} s {100 * seconds / total:5.1f} % {each:9.3f} ms each")
        if self.latencies:
            values = 1000 * np.percentile(np.frombuffer(self.latencies), _PERCENTILES)
            percentiles = ", ".join(f"{p} % within {v:.1f}" for p, v in zip(_PERCENTILES, values, strict=True))
            lines.append(f"latency, ms: {percentiles}")
        return lines
