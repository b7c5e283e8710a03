"""What a run has found so far: in memory, and of a long run in blocks beside its output, `OUT.h5.partial/`.

Each block is a complete faces file, written aside and renamed, so it can be read at any moment. It also says of which
run it is and which inputs it covers, so that a run can go on after the last one. At the end the blocks are joined.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import FileError
from kdtools.files import FacesFile, FacesWriter, Provenance, create_faces, open_faces
from kdtools.files.aside import STANDARD_STREAM
from kdtools.files.guarded import HDF5_ERRORS
from kdtools.files.schema import spec_of
from kdtools.prediction.outcome import Outcome
from kdtools.schemes import Scheme

BLOCK_FACES = 20_000
BLOCK_SECONDS = 60.0
WORTH_KEEPING = 10.0  # s; what was done in less is sooner done again than read about

_ATTRIBUTE = "partial"


class Parts:
    """Takes outcomes in order and makes one faces file of them; made by `open_parts`.

    `n_items` inputs are done, the last of which is `last_id`; `skipped` are those of an earlier run.
    """

    def __init__(self, folder: Path, run: dict[str, Any], first: int, scheme: Scheme, provenance: Provenance) -> None:
        self._folder, self._run, self._scheme, self._provenance = folder, run, scheme, provenance
        self.n_items, self.n_faces, self.last_id = first, 0, ""
        self.skipped: list[tuple[str, str]] = []
        self._blocks: list[Path] = []
        self._begin_block()

    def _begin_block(self) -> None:
        self._pending: list[Outcome] = []
        self._n_pending = 0
        self._first, self._since = self.n_items, time.monotonic()

    def take_up(self) -> None:
        """Go on after the blocks that are there. Raises FileError where they are of another run, or damaged."""
        for path in sorted(self._folder.glob("block-*.h5")):
            with open_faces(path) as faces:
                said = _said_by(faces)
                if said["run"] != self._run:
                    other = _difference(said, self._run)
                    hint = "give the command of that run with --resume, or -f to start anew"
                    raise FileError(f"{self._folder}: holds a part of another run: {other}", hint)
                if said["first"] != self.n_items:
                    raise FileError(f"{path}: a block before it is missing", "add -f to start anew")
                self.n_items, self.last_id = said["stop"], said["last"]
                self.skipped += said["skipped"]
                self.n_faces += len(faces)
            self._blocks.append(path)
        self._begin_block()

    def check_last(self, identity: str | None) -> None:
        """Raises FileError where the last input that was done is another one now (`identity`), or is gone (None)."""
        if identity != self.last_id:
            now = "there is none" if identity is None else f"it is {identity!r}"
            what = f"number {self.n_items} was {self.last_id!r}, now {now}"
            raise FileError(f"{self._folder}: the inputs have changed: {what}", "add -f to start anew")

    def add(self, outcome: Outcome) -> None:
        """Take what became of the next inputs."""
        self._pending.append(outcome)
        self._n_pending += outcome.n_faces
        self.n_items += outcome.n_items
        self.n_faces += outcome.n_faces
        self.last_id = outcome.last_id
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
        self._folder.mkdir(exist_ok=True)
        path = self._next_block
        if path.exists():
            raise FileError(f"{path}: another process writes there, too", "wait for it, or name another output")
        skipped = [one for outcome in self._pending for one in outcome.skipped]
        said = {
            "run": self._run,
            "columns": list(self._pending[0].columns),
            "first": self._first,
            "stop": self.n_items,
            "last": self.last_id,
            "skipped": skipped,
        }
        with create_faces(str(path), False, self._provenance, may_be_empty=True) as writer:
            self._write(writer, [outcome.columns for outcome in self._pending])
            writer.h5.attrs[_ATTRIBUTE] = json.dumps(said)
        self._blocks.append(path)
        self._begin_block()

    def finish(self, output: str, force: bool, inputs: dict[str, str], *, may_be_empty: bool) -> None:
        """Write the output, made from `inputs` (SHA-256 by name) too.

        Raises DataError where there is no face, unless it `may_be_empty`.
        """
        provenance = replace(self._provenance, inputs={**self._provenance.inputs, **inputs})
        if self._blocks and self._pending:
            self._write_block()
        with create_faces(output, force, provenance, may_be_empty=may_be_empty) as writer:
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
        for path in [*self._folder.glob("block-*.h5"), *self._folder.glob(".block-*.part.h5")]:
            path.unlink()
        try:
            self._folder.rmdir()
        except OSError as error:
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
    say: Callable[[str], None],
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
        parts = Parts(folder, run, first, scheme, provenance)
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
                say(f"what is done is in {folder}; --resume goes on")
            raise


def _said_by(faces: FacesFile) -> dict[str, Any]:
    """What a block says of its run. Raises FileError where that is damaged."""
    try:
        said = json.loads(faces.h5.attrs[_ATTRIBUTE])
        skipped = [(str(identity), str(why)) for identity, why in said["skipped"]]
        numbers = {key: int(said[key]) for key in ("first", "stop")}
        columns = [name for name in said["columns"] if spec_of(name) is not None]
        return {"run": dict(said["run"]), "last": str(said["last"]), "skipped": skipped, "columns": columns, **numbers}
    except (*HDF5_ERRORS, RecursionError) as error:
        raise FileError(f"{faces.name}: what it says of its run is damaged: {error}", "add -f to start anew") from error


def is_finished(output: str, provenance: Provenance) -> bool:
    """Whether `output` is there and was made by the same command, so that there is nothing left to resume."""
    if output == STANDARD_STREAM or not Path(output).is_file():
        return False
    try:
        with open_faces(output) as faces:
            argv, inputs = (json.loads(faces.h5.attrs[name]) for name in ("argv", "inputs"))
            return bool(argv == provenance.command and provenance.inputs.items() <= inputs.items())
    except (*HDF5_ERRORS, RecursionError):  # of another program, which need not say so
        return False


def _difference(said: dict[str, Any], run: dict[str, Any]) -> str:
    """The first thing in which a block's run differs from this one, in words."""
    theirs = said["run"]
    for key, own in run.items():
        if theirs.get(key) != own:
            return f"its {key} is {theirs.get(key)}"
    return "it says nothing of it"
