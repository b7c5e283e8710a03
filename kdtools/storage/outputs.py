"""Atomic outputs: they are written next to their place and renamed into it, so they exist whole or not at all.

`-` stands for standard input or output; both go through a temporary file, because HDF5 must seek.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from kdtools.errors import FileError, UsageError, require
from kdtools.reporting import printable_lines
from kdtools.storage.devices import NO_WORKING_FOLDER, device_errors
from kdtools.storage.locks import locked, release
from kdtools.storage.pipes import seekable
from kdtools.storage.rename_together import Move, Room, commit, is_room
from kdtools.storage.stamps import is_in_input_folder, is_input

_NEVER_MEMBERS = {".html", ".md", ".tex", ".pdf", ".svg", ".onnx", ".safetensors"}  # suffixes of products
_START_OF_PREDICTIONS = b"id,box_x0,box_y0,box_x1,box_y1,score,confidence,"  # see csv_points.DETAILS
STANDARD_STREAM, STANDARD_INPUT = "-", "standard input"  # on the command line, and in messages


def check_no_input(outputs: Iterable[str], inputs: Iterable[str] = ()) -> None:
    """Raises UsageError if an output would replace an input, even with force, by whatever names.

    Inputs are those given, and those that the run has noted (`note_input`). In a folder that is an input only what
    kdtools has made is replaced. There are no exceptions: a file that is read and replaced by what was made of it is
    lost where more was in it, or where the run was a mistake.
    """
    places = [(output, place_of(output)) for output in outputs if output != STANDARD_STREAM]
    existing = [(output, place) for output, place in places if place.is_file()]
    if not existing:
        return
    read = [Path(path) for path in inputs if path != STANDARD_STREAM]
    for output, place in existing:
        same = is_input(place) or any(os.path.isfile(one) and place.samefile(one) for one in read)
        require(not same, f"{output} is an input itself", "give the output another name; mv can replace the input then")
        inside = is_in_input_folder(place) or any(one.is_dir() and one.resolve() in place.parents for one in read)
        hint = "write the output elsewhere, or move this file away"
        require(not inside or _is_product(place), f"{output} is inside an input folder", hint)


def _is_product(place: Path) -> bool:
    """Whether no tool reads a file as a member of a folder: a faces file, or by its suffix."""
    from kdtools.storage.hdf5_guard import guarded_file  # which loads h5py

    if place.suffix.lower() in _NEVER_MEMBERS or _is_text_of_predictions(place):
        return True

    def is_of_kdtools(h5: Any, stream: object = None) -> bool:
        return "kd_kind" in h5.attrs

    with contextlib.suppress(FileError), guarded_file(place, str(place), is_of_kdtools) as (h5, _):
        return is_of_kdtools(h5)
    return False


def _is_text_of_predictions(place: Path) -> bool:
    """Whether it is CSV, TSV or JSON lines of kd-predict, which reads only images of a folder."""
    with contextlib.suppress(OSError), place.open("rb") as stream:
        start = stream.readline(1 << 16)
        table = start.replace(b"\t", b",").startswith(_START_OF_PREDICTIONS)
        return table or (start.startswith(b'{"id":') and b'"points":' in start and b'"score":' in start)
    return False


def check_output(output: str, force: bool, *, binary: bool = True) -> None:
    """Check that an output can be written, before hours of work.

    Raises FileError for a missing or unwritable folder and for an existing file without `force`, UsageError for binary
    data on a terminal.
    """
    if output == STANDARD_STREAM:
        if binary and sys.stdout.isatty():
            raise UsageError("refusing to write binary data to a terminal", "name a file with -o or redirect to one")
        return
    path, folder = Path(output), place_of(output).parent
    if path.is_dir():
        raise FileError(f"{output}: is a folder", "name a file in it")
    if os.path.basename(output) in ("", "."):
        raise FileError(
            f"{output}: names a folder", f"for a file of that name give {path}; else name one in the folder"
        )
    if not folder.is_dir():
        raise FileError(f"{output}: there is no folder {folder}", "create it first")
    check_no_input([output])
    if path.exists() and not path.is_file():
        raise FileError(f"{output}: is not a regular file", "name another, or give - for standard output")
    if path.exists() and not force:
        raise FileError(f"{output}: exists already", "add -f to replace it")
    if not os.access(folder, os.W_OK):
        raise FileError(f"{output}: no permission to write in {folder}")


def place_of(output: str) -> Path:
    """The path with symbolic links resolved. Raises FileError for an impossible file name."""
    try:
        place = Path(output).resolve()
    except FileNotFoundError as error:  # not of the path, which need not exist
        raise FileError(*NO_WORKING_FOLDER) from error
    except OSError as error:
        raise FileError(f"{output}: {error.strerror}") from error
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise FileError(f"{output}: {error.strerror}") from error
    return place


class Outputs:
    """Several outputs of one command; a context that puts all of them in place at its end, or none.

    Raises FileError as `check_output` does, and for a full device.
    """

    def __init__(self, force: bool) -> None:
        self._force = force
        self._stack = contextlib.ExitStack()
        self._moves: list[Move] = []
        self._spools: list[Path] = []

    def file(self, output: str, *, binary: bool = True, follow_link: bool = True) -> Path:
        """The path to write a file to; for `-`, a temporary file that is copied to standard output.

        If the output is a symbolic link, its target is replaced: whoever names a link means what it leads to. For names
        that kdtools makes itself `follow_link` is false, and a link is refused.
        """
        if not follow_link:
            check_no_link(Path(output))
        check_output(output, self._force, binary=binary)
        if output == STANDARD_STREAM:
            self._spools.append(
                Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kdtools-")), "stdout")
            )
            return self._spools[-1]
        # The link is checked above; one that appears later is replaced itself, since a rename does not follow it.
        place = place_of(output) if follow_link else place_of(os.path.dirname(output) or ".") / Path(output).name
        # With the suffix, because some writers go by it.
        return self._aside(output, place, f"new{place.suffix}")

    def folder(self, output: str, *, may_hold_others: bool = False) -> Path:
        """A new folder to fill. If `output` exists, the files are moved into it and others there stay.

        Raises FileError if it is not empty, unless with force or `may_hold_others`, which refuses only a file of the
        same name.
        """
        check_folder(output)
        place = place_of(output)
        if place.is_dir() and not (self._force or may_hold_others) and not all(map(is_room, place.iterdir())):
            raise FileError(f"{output}: exists already, and is not empty", "add -f to write into it")
        part = self._aside(output, place, "new")
        part.mkdir()
        return part

    def _aside(self, output: str, place: Path, name: str) -> Path:
        with device_errors(output):
            # A folder may be on another file system than its parent.
            room = self._stack.enter_context(Room(place / place.name if place.is_dir() else place))
        self._moves.append(Move(room.path / name, place, output, room))
        return self._moves[-1].part

    @property
    def _names(self) -> str:
        return ", ".join(["standard output"] * len(self._spools) + [move.output for move in self._moves])

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack, device_errors(self._names):
            if error is not None:
                raise error
            for spool in self._spools:
                _copy_to_stdout(spool)
            commit(self._moves, self._force)


@contextlib.contextmanager
def written_aside(output: str, force: bool, *, binary: bool = True, follow_link: bool = True) -> Iterator[Path]:
    """Yields the path to write to, which is put in place if the block ends without an error (see `Outputs.file`)."""
    with Outputs(force) as outputs:
        yield outputs.file(output, binary=binary, follow_link=follow_link)


@contextlib.contextmanager
def written_aside_together(outputs: Sequence[str], force: bool, *, binary: bool = True) -> Iterator[list[Path]]:
    """As `written_aside` for several outputs, which are put in place together."""
    with Outputs(force) as together:
        yield [together.file(output, binary=binary) for output in outputs]


def check_folder(output: str) -> None:
    """Raises FileError for a folder that cannot be created or written to."""
    place = place_of(output)
    if place.exists() and not place.is_dir():
        raise FileError(f"{output}: is not a folder", "name a folder for the files")
    if not place.parent.is_dir():
        raise FileError(f"{output}: there is no folder {place.parent}", "create it first")
    folder = place if place.exists() else place.parent
    if not os.access(folder, os.W_OK):
        raise FileError(f"{output}: no permission to write in {folder}")


def move_into_place(finished: Path, output: str, force: bool) -> None:
    """Rename the finished file of a long run to its output, or copy it to standard output for `-`."""
    if output == STANDARD_STREAM:
        _copy_to_stdout(finished)
        return
    place = place_of(output)
    with device_errors(output), Room(place) as room:
        commit([Move(finished, place, output, room)], force)
        finished.unlink(missing_ok=True)


@contextlib.contextmanager
def claimed(output: str, place: Path) -> Iterator[None]:
    """Lock the files that a long run keeps next to its output's `place` against other processes on this machine.

    Raises FileError if another process holds the lock. A lock file left by a killed process does not matter.
    """
    path = place.with_name(f".{place.name}.lock")
    with device_errors(output):
        file = locked(path)
    if file is None:
        raise FileError(f"{output}: another process is writing it", "wait for it, or name another")
    try:
        yield
    finally:
        release(file, path)


def check_no_link(path: Path) -> None:
    """Raises FileError for a symbolic link in the place of a file or folder that kdtools itself has named."""
    if path.is_symlink():
        raise FileError(f"{path}: is a link, which is not followed", "remove it, or name another output")


def is_stream(source: str) -> bool:
    """Whether `source` can be read only once: standard input, or a pipe, such as a shell's `<(...)`."""
    return source == STANDARD_STREAM or Path(source).is_fifo()


def name_of(source: str) -> str:
    """Name of an input in messages and records."""
    return STANDARD_INPUT if source == STANDARD_STREAM else source


def _copy_to_stdout(path: Path) -> None:
    with path.open("rb") as stream, standard_output() as output:
        shutil.copyfileobj(stream, output, 1 << 20)


class _Terminal(io.BufferedIOBase):
    """A terminal that texts are written to as `printable_lines`; pipes and files get them as they are."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        text = self._decoder.decode(bytes(data))
        self._stream.write(printable_lines(text).encode())
        return len(data)


@contextlib.contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Yields standard output, for bytes; on a terminal those of a text, with escapes for what it would obey.

    Raises FileError if it is closed or its device is full.
    """
    try:
        yield cast(BinaryIO, _Terminal(sys.stdout.buffer)) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename or not error.strerror:
            raise  # a broken pipe, which is no error, or an error of another file
        raise FileError(f"standard output: {error.strerror}") from error


@contextlib.contextmanager
def readable(source: str) -> Iterator[Path]:
    """Yields a seekable path: `source` itself, or a temporary copy of a pipe, or of standard input for `-`."""
    if source != STANDARD_STREAM:
        yield seekable(source)
        return
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal", "pipe a file into it, or name one")
    with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
        spool = Path(folder) / "stdin"
        with device_errors("temporary copy of standard input"), spool.open("wb") as stream:
            for piece in _pieces_of_stdin():
                stream.write(piece)
        yield spool


def _pieces_of_stdin() -> Iterator[bytes]:
    """Blocks of standard input. Raises FileError if it is closed or a folder."""
    try:
        while piece := sys.stdin.buffer.read(1 << 20):
            yield piece
    except OSError as error:
        raise FileError(f"standard input: {error.strerror}") from error
