"""Running a prediction: groups of inputs are handed to workers, and their outcomes are collected in order.

A worker does a whole group on one core: it reads, decodes, detects, crops and runs the network. So all cores are busy
while some workers wait for the disk. A GPU is used by one worker at a time while the others prepare.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdtools import __version__
from kdtools.errors import reason_of
from kdtools.parallel import in_background, map_bounded, workers
from kdtools.prediction.conventions import put_back
from kdtools.prediction.engines import Engine
from kdtools.prediction.outcome import NO_FACE, About, Outcome, Stopwatch, Timing
from kdtools.prediction.partial_output import Parts, open_parts
from kdtools.prediction.unchanged import stamps_of_files
from kdtools.reporting import SILENT, Reporter, counted
from kdtools.storage.file_kinds import VIDEO_SUFFIXES
from kdtools.storage.outputs import is_stream
from kdtools.storage.provenance import Provenance, sha256_of

if TYPE_CHECKING:
    from kdtools.prediction.drawn_folder import DrawnFolder

_MOST_NAMED = 20  # photographs without a face
_AHEAD = 2  # groups per worker: one in work, one waiting


@dataclass
class FirstNames:
    """Counts names and keeps the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < _MOST_NAMED:
            self.first.append(name)

    def __str__(self) -> str:
        return ", ".join(self.first) + (", ..." if self.count > len(self.first) else "")


@dataclass(frozen=True)
class Run:
    """Settings of a prediction run. `batch` is the largest group of inputs, 0 for that of the engine.

    `shard` is (number from 0, number of shards). `kept` results of a stopped run can be resumed. A photograph without a
    face is skipped if one is required, else only counted in `without_face`. `of_landmarks` are attributes of the
    output's /landmarks beside its scheme and role, which say how the points were found.
    """

    engine: Engine
    output: str
    force: bool
    provenance: Provenance
    jobs: int = 0
    batch: int = 0
    shard: tuple[int, int] | None = None
    resume: bool = False
    kept: bool = True
    require_face: bool = False
    of_landmarks: Mapping[str, Any] = field(default_factory=dict)
    without_face: FirstNames = field(default_factory=FirstNames)
    reporter: Reporter = SILENT
    timing: Timing = field(default_factory=Timing)

    @property
    def group_size(self) -> int:
        return self.batch or self.engine.batch

    def report(self, skipped: Iterable[tuple[str, str]]) -> None:
        """Name skipped inputs, with the reasons; note photographs without a face, unless one is required."""
        for identity, reason in skipped:
            if reason == NO_FACE and not self.require_face:
                self.without_face.add(identity)
            else:
                self.reporter.skip(identity, reason)

    def report_taken_up(self, parts: Parts) -> None:
        """Say where a resumed run continues, and name again what it skipped before."""
        if done := parts.n_items - parts.first:
            self.reporter.say(f"continues after {counted(done, 'input')}")
        self.report(parts.skipped)

    @property
    def identity(self) -> dict[str, Any]:
        """What two runs must have in common so that their results can be joined."""
        return {
            "version": __version__,
            "argv": self.provenance.command,
            "inputs": self.provenance.inputs,
            "detector": self.provenance.detector,
            "batch": self.group_size,
        }


def open_parts_of(run: Run, first: int, names: Sequence[str]) -> contextlib.AbstractContextManager[Parts]:
    """As `open_parts`, for a run over the inputs `names` from number `first` on."""
    return open_parts(
        run.output,
        run.force,
        resume=run.resume,
        run={**run.identity, "files": stamps_of_files(names)},
        first=first,
        points=About(run.engine.card.scheme, run.of_landmarks),
        provenance=run.provenance,
        reporter=run.reporter,
        kept=run.kept,
    )


def drawn_folder(run: Run, folder: str | None) -> contextlib.AbstractContextManager[DrawnFolder | None]:
    """The folder for the drawings of a run; None without one."""
    if folder is None:
        return contextlib.nullcontext()
    from kdtools.prediction.drawn_folder import DrawnFolder  # its imports are needed for pictures only

    return DrawnFolder(folder, run.output, run.force, run.kept, run.reporter)


def digest_inputs(run: Run, names: Sequence[str]) -> Callable[[], dict[str, str]]:
    """Compute the SHA-256 of the inputs in the background; returns a function that waits for them.

    Shards leave out all but videos, since each would read all inputs. Unreadable inputs are left out with a warning.
    """
    readable = [name for name in names if not is_stream(name)]
    if run.shard is not None:
        readable = [name for name in readable if name.lower().endswith(VIDEO_SUFFIXES)]

    def digests() -> dict[str, str]:
        by_name = {}
        for name in readable:
            try:
                by_name[name] = sha256_of(name)
            except OSError as error:
                run.reporter.warn(f"{error.filename or name}: its SHA-256 cannot be taken: {reason_of(error)}")
        return by_name

    return in_background(digests)


def collect(run: Run, parts: Parts, work: Callable[[Any], Outcome], groups: Iterable[Any]) -> None:
    """Run `work` on all groups and add the outcomes to `parts`, in order."""
    watch = Stopwatch()
    run.timing.n_workers = workers(run.jobs)

    def timed() -> Iterator[Any]:
        watch.lap("wait")
        for group in groups:
            watch.lap("list")
            yield group
            watch.lap("wait")

    with run.reporter.progress("predicting", None) as progress:
        for outcome in map_bounded(work, timed(), run.jobs, ahead=_AHEAD):
            watch.lap("wait")
            run.report(outcome.skipped)
            outcome.columns["landmarks"] = put_back(outcome.columns["landmarks"], run.of_landmarks)
            parts.add(outcome)
            run.timing.add(outcome)
            progress(parts.n_items)
            watch.lap("write")
    run.timing.add_seconds(watch.seconds)
