"""A prediction from its inputs to its output: groups to workers, their outcomes in order to the parts of the file.

One worker does all of a group: it reads, decodes, detects, crops and runs the network, on one core. So many workers
keep all cores busy without sharing out their work between threads that would wait for each other, and while some wait
for the disk others compute. On a GPU one at a time uses it, while the others prepare.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdtools import __version__
from kdtools.errors import reason_of
from kdtools.parallel import in_background, map_bounded, workers
from kdtools.prediction.engines import Engine
from kdtools.prediction.outcome import Outcome, Stopwatch, Timing
from kdtools.prediction.partial_output import Parts, open_parts
from kdtools.prediction.unchanged import stamps_of_files
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.outputs import is_stream
from kdtools.storage.provenance import Provenance, sha256_of

_AHEAD = 2  # groups under way per worker: one at work, one to go on with


@dataclass(frozen=True)
class Run:
    """How a prediction runs, where it goes, and what it reports to.

    `batch` inputs at most make a group, 0 being the engine's own number; `shard` is (number from 0, of how many).
    """

    engine: Engine
    output: str
    force: bool
    provenance: Provenance
    jobs: int = 0
    batch: int = 0
    shard: tuple[int, int] | None = None
    resume: bool = False
    reporter: Reporter = SILENT
    timing: Timing = field(default_factory=Timing)

    @property
    def group_size(self) -> int:
        return self.batch or self.engine.batch

    @property
    def identity(self) -> dict[str, Any]:
        """What tells a run from others whose results cannot be joined with its own."""
        return {
            "version": __version__,
            "argv": self.provenance.command,
            "inputs": self.provenance.inputs,
            "batch": self.group_size,
        }


def open_parts_of(run: Run, first: int, names: Sequence[str]) -> contextlib.AbstractContextManager[Parts]:
    """As `open_parts`, for the outcomes of a run over the inputs of these names, from number `first` on."""
    return open_parts(
        run.output,
        run.force,
        resume=run.resume,
        run={**run.identity, "files": stamps_of_files(names)},
        first=first,
        scheme=run.engine.card.scheme,
        provenance=run.provenance,
        reporter=run.reporter,
    )


def digest_inputs(run: Run, names: Sequence[str]) -> Callable[[], dict[str, str]]:
    """Starts to take the SHA-256 of these inputs, and returns what waits for it.

    It is done beside the work, since to read everything once more takes its time. Shards leave it: a thousand of them
    would read everything a thousand times. What cannot be read is left out, with a warning.
    """
    some = [] if run.shard is not None else [name for name in names if not is_stream(name)]

    def digests() -> dict[str, str]:
        found = {}
        for name in some:
            try:
                found[name] = sha256_of(name)
            except OSError as error:
                run.reporter.warn(f"{error.filename or name}: its SHA-256 cannot be taken: {reason_of(error)}")
        return found

    return in_background(digests)


def collect(run: Run, parts: Parts, work: Callable[[Any], Outcome], groups: Iterable[Sequence[Any]]) -> None:
    """Do all groups by `work` and give the outcomes to the parts, in order."""
    watch = Stopwatch()
    run.timing.n_workers = workers(run.jobs)

    def timed() -> Iterator[Sequence[Any]]:
        watch.lap("wait")
        for group in groups:
            watch.lap("list")
            yield group
            watch.lap("wait")

    with run.reporter.progress("predicting", None) as progress:
        for outcome in map_bounded(work, timed(), run.jobs, ahead=_AHEAD):
            watch.lap("wait")
            for identity, why in outcome.skipped:
                run.reporter.skip(identity, why)
            parts.add(outcome)
            run.timing.add(outcome)
            progress(parts.n_items)
            watch.lap("write")
    run.timing.add_seconds(watch.seconds)
