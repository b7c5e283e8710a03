"""What a run has found so far: in memory, and of a long run in blocks beside its output, `OUT.h5.partial/`.

Each block is a complete faces file, written aside and renamed, so it can be read at any moment. It also says of which
run it is and which inputs it covers, so that a run can go on after the last one. At the end the blocks are joined. A
lock on `.lock` among them keeps other processes away, for as long as this one lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from kdtools.errors import FileError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.schema import spec_of
from kdtools.faces.writer import FacesWriter, create_faces
from kdtools.landmarks import Scheme
from kdtools.prediction.outcome import Outcome
from kdtools.prediction.unchanged import LISTING, Stamp, command_differs, digest_of_stamps, files_differ
from kdtools.reporting import Reporter
from kdtools.storage.commit import is_room
from kdtools.storage.hdf5_guard import HDF5_ERRORS
from kdtools.storage.outputs import STANDARD_STREAM, locked
from kdtools.storage.provenance import Provenance

BLOCK_FACES = 20_000
BLOCK_SECONDS = 60.0
WORTH_KEEPING = 10.0  # s; what was done in less is sooner done again than read about

_ATTRIBUTE = "partial"
_LOCK = ".lock"
_ANEW = "add -f to start anew"


class Parts:
    """Takes outcomes in order and makes one faces file of them; made by `open_parts`.

    The inputs from number `first` up to `n_items` are done; `skipped` are those of an earlier run.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], first: int, scheme: Scheme, provenance: Provenance, force: bool
    ) -> None:
        self._folder, self._run, self._scheme, self._provenance = folder, run, scheme, provenance
        self.first, self._force = first, force
        self._lock_file: IO[str] | None = None
        self._forget()

    def _forget(self) -> None:
        self.n_items, self.n_faces = self.first, 0
        self.skipped: list[tuple[str, str]] = []
        self._blocks: list[Path] = []
        self._taken: list[dict[str, Any]] = []  # what each block of an earlier run says of itself
        self._begin_block()

    def _begin_block(self) -> None:
        self._pending: list[Outcome] = []
        self._n_pending = 0
        self._first, self._since = self.n_items, time.monotonic()

    def take_up(self) -> None:
        """Go on after the blocks that are there. Raises FileError where they are of another run, or damaged; with force
        that only is begun anew."""
        if not self._folder.is_dir():
            return
        self._lock()
        try:
            for path in sorted(self._folder.glob("block-*.h5")):
                self._take_up_block(path)
        except FileError:
            if not self._force:
                raise
            self.start_anew()
        self._begin_block()

    def _take_up_block(self, path: Path) -> None:
        with open_faces(path) as faces:
            said = _said_by(faces)
            if said["run"] != self._run:
                other = _difference(said["run"], self._run, self._provenance)
                hint = "give the command of that run with --resume, or -f to start anew"
                raise FileError(f"{self._folder}: holds a part of another run: {other}", hint)
            if said["first"] != self.n_items:
                raise FileError(f"{path}: a block before it is missing", _ANEW)
            self.n_items = said["stop"]
            self.skipped += said["skipped"]
            self.n_faces += len(faces)
        self._blocks.append(path)
        self._taken.append(said)

    def check_inputs(self, stamps: Iterable[Stamp]) -> bool:
        """Whether the inputs that an earlier run has done are the same now, `stamps` being theirs.

        Raises FileError where they are not; with force they are to be done again instead.
        """
        rest = iter(stamps)
        for said in self._taken:
            some = list(islice(rest, said["stop"] - said["first"]))
            if digest_of_stamps(some) == said["stamps"]:
                continue
            if self._force:
                self.start_anew()
                return False
            number, now = said["stop"], "there is none"
            if some and said["first"] + len(some) == number:
                now = f"it is {some[-1][0]!r}"
            what = f"number {number} was {said['last']!r}, now {now}"
            if some and some[-1][0] == said["last"]:
                what = f"of numbers {said['first'] + 1} to {number} some are others, or were written again"
            raise FileError(f"{self._folder}: the inputs have changed: {what}", _ANEW)
        return True

    def start_anew(self) -> None:
        """Delete the blocks, and begin with the first input again."""
        self.remove()
        self._forget()

    def _lock(self) -> None:
        """Keep other processes from the blocks. Raises FileError where one has them."""
        if self._lock_file is not None:
            return
        self._folder.mkdir(exist_ok=True)
        self._lock_file = locked(self._folder / _LOCK)
        if self._lock_file is None:
            raise FileError(f"{self._folder}: another process writes there", "wait for it, or name another output")

    def unlock(self) -> None:
        """Leave the blocks to other processes."""
        if self._lock_file is not None:
            (self._folder / _LOCK).unlink(missing_ok=True)
            self._lock_file.close()
            self._lock_file = None

    def add(self, outcome: Outcome) -> None:
        """Take what became of the next inputs."""
        self._pending.append(outcome)
        self._n_pending += outcome.n_faces
        self.n_items += outcome.n_items
        self.n_faces += outcome.n_faces
        if self._n_pending >= BLOCK_FACES or time.monotonic() - self._since >= BLOCK_SECONDS:
            self._write_block()

    def keep(self) -> bool:
        """Write what would be lost if the run ended now, where it is worth it; whether anything is kept."""
        worth = self._blocks or time.monotonic() - self._since >= WORTH_KEEPING
        if self._pending and worth and not self._next_block.exists():  # it may have come just as a signal did
            self._write_block()
        return bool(self._blocks)

    @property
    def _next_block(self) -> Path:
        return self._folder / f"block-{len(self._blocks):06d}.h5"

    def _write_block(self) -> None:
        self._lock()
        path = self._next_block
        if path.exists():
            raise FileError(f"{path}: another process writes there, too", "wait for it, or name another output")
        stamps = [stamp for outcome in self._pending for stamp in outcome.stamps]
        skipped = [one for outcome in self._pending for one in outcome.skipped]
        said = {
            "run": self._run,
            "columns": list(self._pending[0].columns),
            "first": self._first,
            "stop": self.n_items,
            "last": stamps[-1][0],
            "stamps": digest_of_stamps(stamps),
            "skipped": skipped,
        }
        with create_faces(str(path), False, self._provenance, may_be_empty=True) as writer:
            self._write(writer, [outcome.columns for outcome in self._pending])
            writer.h5.attrs[_ATTRIBUTE] = json.dumps(said)
        self._blocks.append(path)
        self._begin_block()

    def finish(self, output: str, inputs: dict[str, str], *, listing: str = "", may_be_empty: bool = False) -> None:
        """Write the output, made from `inputs` (SHA-256 by name) too, with the digest of their `listing`.

        Raises DataError where there is no face, unless it `may_be_empty`.
        """
        provenance = replace(self._provenance, inputs={**self._provenance.inputs, **inputs})
        if self._blocks and self._pending:
            self._write_block()
        with create_faces(output, self._force, provenance, may_be_empty=may_be_empty) as writer:
            if listing:
                writer.h5.attrs[LISTING] = listing
            if not (self._blocks or self._pending):
                self._write_nothing(writer)
            elif not self._blocks:
                self._write(writer, [outcome.columns for outcome in self._pending])
            else:
                self._write_joined(writer)
        self.remove()

    def _write(self, writer: FacesWriter, columns: list[dict[str, Any]]) -> None:
        for name in columns[0]:
            n_rows = sum(len(one[name]) for one in columns)
            writer.put_pieces(name, n_rows, (one[name] for one in columns))
        writer.describe_landmarks(self._scheme, "predicted")

    def _write_nothing(self, writer: FacesWriter) -> None:
        """Of a shard without inputs, which it is not known what arrays they would have had."""
        writer.put("id", [])
        writer.put_landmarks(np.empty((0, self._scheme.n_points, 2)), self._scheme, "predicted")

    def _write_joined(self, writer: FacesWriter) -> None:
        with open_faces(self._blocks[0]) as faces:
            names = _said_by(faces)["columns"]
        for name in names:
            writer.put_pieces(name, self.n_faces, self._read_blocks(name))
        writer.describe_landmarks(self._scheme, "predicted")

    def _read_blocks(self, name: str) -> Iterator[Any]:
        for path in self._blocks:
            with open_faces(path) as faces:
                yield faces.read(name, 0, len(faces))

    def remove(self) -> None:
        """Delete the blocks, those too that a killed process left half written."""
        if not self._folder.is_dir():
            return
        self._lock()
        for path in self._folder.glob("block-*.h5"):
            path.unlink(missing_ok=True)
        for path in filter(is_room, list(self._folder.iterdir())):
            shutil.rmtree(path, ignore_errors=True)
        self.unlock()
        try:
            self._folder.rmdir()
        except OSError as error:
            if set(os.listdir(self._folder)) <= {_LOCK}:  # of a process that begins just now
                return
            hint = "look what it is, and remove it"
            raise FileError(f"{self._folder}: holds files of somebody else", hint) from error


@contextlib.contextmanager
def open_parts(
    output: str,
    force: bool,
    *,
    resume: bool,
    run: dict[str, Any],
    first: int,
    scheme: Scheme,
    provenance: Provenance,
    reporter: Reporter,
) -> Iterator[Parts]:
    """Yields what collects a run's outcomes from the input `first` on, or from where an earlier run was stopped.

    `run` tells it from other runs. A run that is told to stop leaves its blocks, and so does one that fails what it had
    written of them. Raises FileError for blocks that are there without `resume` or `force`, or are of another run.
    """
    with contextlib.ExitStack() as stack:
        if output == STANDARD_STREAM:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kdtools-")), "partial")
        else:
            folder = Path(f"{output}.partial")
        parts = Parts(folder, run, first, scheme, provenance, force)
        stack.callback(parts.unlock)
        if resume:
            parts.take_up()
        elif folder.exists() and force:
            parts.remove()
        elif folder.exists():
            raise FileError(f"{folder}: an interrupted run left it", "add --resume to go on, or -f to start anew")
        try:
            yield parts
        except Exception:
            raise
        except BaseException:  # Ctrl-C or SIGTERM
            if output != STANDARD_STREAM and parts.keep():
                reporter.say(f"what is done is in {folder}; --resume goes on")
            raise


def _said_by(faces: FacesFile) -> dict[str, Any]:
    """What a block says of its run. Raises FileError where that is damaged."""
    try:
        said = json.loads(faces.h5.attrs[_ATTRIBUTE])
        return {
            "run": dict(said["run"]),
            "columns": [name for name in said["columns"] if spec_of(name) is not None],
            **{key: int(said[key]) for key in ("first", "stop")},
            **{key: str(said[key]) for key in ("last", "stamps")},
            "skipped": [(str(identity), str(why)) for identity, why in said["skipped"]],
        }
    except (*HDF5_ERRORS, RecursionError) as error:
        raise FileError(f"{faces.name}: what it says of its run is damaged: {error}", _ANEW) from error


def _difference(then: dict[str, Any], run: dict[str, Any], provenance: Provenance) -> str:
    """The first thing in which another run differs from this one, in words."""
    if then.get("version") != run["version"]:
        return f"it was begun by version {then.get('version')}, this is {run['version']}"
    changed = command_differs(then.get("argv", []), provenance)
    changed = changed or files_differ(then.get("inputs", {}), run["inputs"])
    changed = changed or files_differ(then.get("files", {}), run["files"])
    return changed or f"its groups are of up to {then.get('batch')} inputs, here of {run['batch']} (--batch)"
