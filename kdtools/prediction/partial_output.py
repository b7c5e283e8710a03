"""Results of a run so far: in memory, and for long runs in blocks in `OUT.h5.partial/`, from which it can be resumed.

Each block is a complete faces file, written atomically, and records its run and the inputs it covers. The blocks are
joined at the end. A lock on `.lock` keeps other processes away.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from kdtools.errors import FileError, some_of
from kdtools.faces.box_origin import box_origin
from kdtools.faces.file import open_faces
from kdtools.faces.writer import FacesWriter, create_faces
from kdtools.prediction.block_record import ANEW, ATTRIBUTE, difference_of, read_record
from kdtools.prediction.outcome import About, Outcome
from kdtools.prediction.unchanged import (
    CONTENTS,
    LISTING,
    Contents,
    Stamp,
    digest_of_stamps,
)
from kdtools.reporting import Reporter
from kdtools.storage.file_kinds import HDF5_SIGNATURE
from kdtools.storage.locks import locked, release
from kdtools.storage.outputs import STANDARD_STREAM, check_no_link
from kdtools.storage.provenance import Provenance
from kdtools.storage.rename_together import is_room

BLOCK_FACES = 20_000
BLOCK_SECONDS = 60.0
WORTH_KEEPING = 10.0  # s of work; less is not saved when a run is stopped

_LOCK = ".lock"


class Parts:
    """Collects outcomes in order and writes them as one faces file; made by `open_parts`.

    The inputs from number `first` up to `n_items` are done; `skipped` are those that an earlier run skipped.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], first: int, points: About, provenance: Provenance, force: bool
    ) -> None:
        self._folder, self._run, self._points, self._provenance = folder, run, points, provenance
        self.first, self._force = first, force
        self._lock_file: IO[str] | None = None
        self._forget()

    def _forget(self) -> None:
        self.n_items, self.n_faces = self.first, 0
        self.skipped: list[tuple[str, str]] = []
        self._blocks: list[Path] = []
        self._records: list[dict[str, Any]] = []  # of the blocks of an earlier run
        self._contents = Contents()  # of all blocks that are written
        self._begin_block()

    def _begin_block(self) -> None:
        self._pending: list[Outcome] = []
        self._n_pending, self._pending_contents = 0, Contents()
        self._first, self._since = self.n_items, time.monotonic()

    def take_up(self) -> None:
        """Continue after the existing blocks.

        If they belong to another run or are damaged, raises FileError or, with force, starts anew.
        """
        if not self._folder.is_dir():
            return
        self._lock()
        try:
            for path in sorted(self._folder.glob("block-*.h5")):
                check_no_link(path)
                self._take_up_block(path)
        except FileError:
            if not self._force:
                raise
            self.start_anew()
        self._begin_block()

    def _take_up_block(self, path: Path) -> None:
        with open_faces(path) as faces:
            record = read_record(faces)
            if record["run"] != self._run:
                other = difference_of(record["run"], self._run, self._provenance)
                hint = "repeat that command with --resume, or use -f to start over"
                raise FileError(f"{self._folder}: holds a part of another run: {other}", hint)
            if record["first"] != self.n_items:
                raise FileError(f"{path}: a block before it is missing", ANEW)
            self.n_items = record["stop"]
            self._contents.join(Contents(record["contents"]))
            self.skipped += record["skipped"]
            self.n_faces += len(faces)
        self._blocks.append(path)
        self._records.append(record)

    def check_inputs(self, inputs: Iterable[tuple[Stamp, Callable[[], bytes]]]) -> bool:
        """Whether the inputs done by an earlier run are unchanged: each with its stamp now, and what reads its content.

        Contents are read only where stamps do not show that the files are the same. If they have changed, raises
        FileError or, with force, starts anew and returns False.
        """
        rest = iter(inputs)
        for record in self._records:
            block = list(islice(rest, record["stop"] - record["first"]))
            of_block = [stamp for stamp, _ in block]
            if digest_of_stamps(of_block) == record["stamps"] and all(stamp[1] >= 0 for stamp in of_block):
                continue
            contents = Contents()
            for number, (stamp, read) in enumerate(block, start=record["first"]):
                contents.add(number, stamp[0], read())
            if str(contents) == record["contents"]:
                continue
            if self._force:
                self.start_anew()
                return False
            number, now = record["stop"], "there is none"
            if of_block and record["first"] + len(of_block) == number:
                now = f"it is {of_block[-1][0]!r}"
            change = f"number {number} was {record['last']!r}, now {now}"
            if of_block and of_block[-1][0] == record["last"]:
                change = f"of numbers {record['first'] + 1} to {number} some are others, or were written again"
            raise FileError(f"{self._folder}: the inputs have changed: {change}", ANEW)
        return True

    def start_anew(self) -> None:
        """Delete the blocks and start again with the first input."""
        self.remove()
        self._forget()

    def _lock(self) -> None:
        """Lock the folder of blocks. Raises FileError if another process holds the lock."""
        if self._lock_file is not None:
            return
        while True:
            self._folder.mkdir(exist_ok=True)
            check_no_link(self._folder)
            try:
                self._lock_file = locked(self._folder / _LOCK)
                break
            except FileNotFoundError:  # a process that has just finished removed the folder
                continue
        if self._lock_file is None:
            raise FileError(f"{self._folder}: another process writes there", "wait for it, or name another output")

    def unlock(self) -> None:
        if self._lock_file is not None:
            release(self._lock_file, self._folder / _LOCK)
            self._lock_file = None

    def add(self, outcome: Outcome) -> None:
        pairs = zip(outcome.stamps, outcome.contents, strict=True)
        for number, (stamp, content) in enumerate(pairs, start=self.n_items):
            self._pending_contents.add(number, stamp[0], content)
        self._pending.append(outcome)
        self._n_pending += outcome.n_faces
        self.n_items += outcome.n_items
        self.n_faces += outcome.n_faces
        if self._n_pending >= BLOCK_FACES or time.monotonic() - self._since >= BLOCK_SECONDS:
            self._write_block()

    def keep(self) -> bool:
        """Write pending results of a run that is stopped, if they are worth it; returns whether any block is kept."""
        worth = self._blocks or time.monotonic() - self._since >= WORTH_KEEPING
        if self._pending and worth and not self._next_block.exists():  # the signal may have come just after writing it
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
        record = {
            "run": self._run,
            "columns": list(self._pending[0].columns),
            "first": self._first,
            "stop": self.n_items,
            "last": stamps[-1][0],
            "stamps": digest_of_stamps(stamps),
            "contents": str(self._pending_contents),
            "skipped": skipped,
        }
        with create_faces(str(path), False, self._provenance, may_be_empty=True) as writer:
            self._write(writer, [outcome.columns for outcome in self._pending])
            writer.h5.attrs[ATTRIBUTE] = json.dumps(record)
        self._blocks.append(path)
        self._contents.join(self._pending_contents)
        self._begin_block()

    def finish(self, output: str, inputs: dict[str, str], *, listing: str = "", may_be_empty: bool = False) -> None:
        """Write the output and delete the blocks. `inputs` (SHA-256 by name) and `listing`, a digest, are recorded.

        Raises DataError if there are no faces, unless it `may_be_empty`.
        """
        provenance = replace(self._provenance, inputs={**self._provenance.inputs, **inputs})
        if self._blocks and self._pending:
            self._write_block()
        with create_faces(output, self._force, provenance, may_be_empty=may_be_empty) as writer:
            if listing:
                writer.h5.attrs[LISTING] = listing
            self._contents.join(self._pending_contents)
            done = {"first": self.first, "stop": self.n_items, "sum": str(self._contents)}
            writer.h5.attrs[CONTENTS] = json.dumps(done)
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
            attributes = _attributes_of(name, self._pending[0].box_origin)
            writer.put_pieces(name, n_rows, (one[name] for one in columns), **attributes)
        self._points.describe(writer)

    def _write_nothing(self, writer: FacesWriter) -> None:
        """The output of a run without faces, whose other arrays are not known."""
        writer.put("id", [])
        writer.put("landmarks", np.empty((0, self._points.scheme.n_points, 2)))
        self._points.describe(writer)

    def _write_joined(self, writer: FacesWriter) -> None:
        with open_faces(self._blocks[0]) as faces:
            names, origin = read_record(faces)["columns"], box_origin(faces)
        for name in names:
            writer.put_pieces(name, self.n_faces, self._read_blocks(name), **_attributes_of(name, origin))
        self._points.describe(writer)

    def _read_blocks(self, name: str) -> Iterator[Any]:
        for path in self._blocks:
            with open_faces(path) as faces:
                yield faces.read(name, 0, len(faces))

    def remove(self) -> None:
        """Delete the blocks, also unfinished ones of a killed process.

        Raises FileError, and deletes nothing, if there are other files.
        """
        if not self._folder.is_dir():
            return
        self._lock()
        inside = [path for path in self._folder.iterdir() if path.name != _LOCK]
        if others := sorted(path.name for path in inside if not (is_room(path) or _is_block(path))):
            hint = "look at them, and move them, or name another output"
            raise FileError(f"{self._folder}: holds files that no run of kd-predict left: {some_of(others)}", hint)
        for path in inside:
            if is_room(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.unlock()
        try:
            self._folder.rmdir()
        except OSError as error:
            if set(os.listdir(self._folder)) <= {_LOCK}:  # of another process that has just started
                return
            raise FileError(f"{self._folder}: holds other files", "look at them, and remove them") from error


@contextlib.contextmanager
def open_parts(
    output: str,
    force: bool,
    *,
    resume: bool,
    run: dict[str, Any],
    first: int,
    points: About,
    provenance: Provenance,
    reporter: Reporter,
    kept: bool = True,
) -> Iterator[Parts]:
    """Yields a collector for outcomes from the input `first` on, or from where an earlier run stopped.

    `run` identifies the run. If its results are `kept`, a run that is stopped leaves them in blocks, and one that fails
    leaves the blocks it has written. Raises FileError for existing blocks without `resume` or `force`, and for those of
    another run.
    """
    with contextlib.ExitStack() as stack:
        if output == STANDARD_STREAM:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kdtools-")), "partial")
        else:
            folder = Path(f"{output}.partial")
        check_no_link(folder)
        parts = Parts(folder, run, first, points, provenance, force)
        stack.callback(parts.unlock)
        if resume:
            parts.take_up()
        elif folder.exists() and force:
            parts.remove()
        elif folder.exists():
            raise FileError(f"{folder}: an interrupted run left it", "add --resume to continue, or -f to start over")
        try:
            yield parts
        except Exception:
            raise
        except BaseException:  # Ctrl-C or SIGTERM
            if kept and output != STANDARD_STREAM and parts.keep():
                reporter.say(f"the results so far are in {folder}; --resume continues it")
            raise


def _is_block(path: Path) -> bool:
    """Whether a file is a block of a run, or was one before it was damaged."""
    if path.is_symlink() or not (path.is_file() and re.fullmatch(r"block-\d{6,}\.h5", path.name)):
        return False
    try:
        with open_faces(path) as faces:
            return ATTRIBUTE in faces.h5.attrs
    except FileError:
        with path.open("rb") as stream:
            return stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def _attributes_of(name: str, origin: str) -> dict[str, str]:
    """Attributes of an array beside those of the format."""
    return {"origin": origin} if name == "box" and origin else {}
