"""Outputs exist whole or not at all: they are written beside their place and renamed into it.

`-` stands for standard input or output; both are spooled through a temporary file, because HDF5 must seek.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from kdtools.errors import FileError, UsageError

STANDARD_STREAM, STANDARD_INPUT = "-", "standard input"  # how users write it, and what messages call it


def check_output(output: str, force: bool, *, binary: bool = True) -> None:
    """Say early, before hours of work, that an output cannot be written.

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
    if not folder.is_dir():
        raise FileError(f"{output}: there is no folder {folder}", "create it first")
    if path.exists() and not path.is_file():
        raise FileError(f"{output}: is not a regular file", "name another, or give - for standard output")
    if path.exists() and not force:
        raise FileError(f"{output}: exists already", "add -f to replace it")
    if not os.access(folder, os.W_OK):
        raise FileError(f"{output}: no permission to write in {folder}")


def place_of(output: str) -> Path:
    """Where a symbolic link leads to. Raises FileError for a name that cannot be one of a file."""
    try:
        place = Path(output).resolve()
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise FileError(f"{output}: {error.strerror}") from error
    return place


@contextlib.contextmanager
def written_aside(output: str, force: bool, *, binary: bool = True) -> Iterator[Path]:
    """Yields the path to write to; renames it to `output` when the block ends well, removes it when not.

    A symbolic link is followed: its target is replaced and the link stays. Raises FileError as `check_output` does,
    and when the device is full.
    """
    check_output(output, force, binary=binary)
    if output == STANDARD_STREAM:
        with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
            spool = Path(folder) / "stdout"
            with _device_errors("standard output"):
                yield spool
            _copy_to_stdout(spool)
        return
    with written_aside_together([output], force, binary=binary) as (part,):
        yield part


@contextlib.contextmanager
def written_aside_together(outputs: Sequence[str], force: bool, *, binary: bool = True) -> Iterator[list[Path]]:
    """Yields a path to write to for each output; all get their names when the block ends well, and none when not.

    Outputs are files, not standard output. Raises as `written_aside` does.
    """
    for output in outputs:
        check_output(output, force, binary=binary)
    places = [place_of(output) for output in outputs]
    parts = [_part_of(place, k) for k, place in enumerate(places)]
    try:
        with _device_errors(", ".join(outputs)):
            yield parts
            for part in parts:
                _put_on_device(part)
            _rename_all(parts, places, outputs, force)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _part_of(place: Path, number: int) -> Path:
    """A hidden name beside a place. Processes of two machines on one file system may have the same number."""
    # The suffix stays, for writers that go by it.
    return place.with_name(f".{place.stem[:30]}.{socket.gethostname()[:40]}.{os.getpid()}.{number}.part{place.suffix}")


def move_into_place(finished: Path, output: str, force: bool) -> None:
    """Give a file that a long run wrote beside its output that output's name, or copy it to standard output for `-`."""
    if output == STANDARD_STREAM:
        _copy_to_stdout(finished)
    else:
        _put_on_device(finished)
        _rename(finished, place_of(output), output, force)


@contextlib.contextmanager
def claimed(output: str, place: Path) -> Iterator[None]:
    """Keep other processes of this machine from the files that a long run keeps beside its output's `place`.

    Raises FileError where another one has claimed it. What counts is the lock on a hidden file, not that it is there:
    one that a killed process left does not matter.
    """
    path = place.with_name(f".{place.name}.lock")
    with _device_errors(output):
        file = locked(path)
    if file is None:
        raise FileError(f"{output}: another process is writing it", "wait for it, or name another")
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def locked(path: Path) -> IO[str] | None:
    """The file, made if need be, with a lock that ends when it is closed; None where another process has that."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        pass  # a file system without locks
    return file


def is_stream(source: str) -> bool:
    """Whether it can be read only once: standard input, or a pipe, such as a shell's `<(...)`."""
    return source == STANDARD_STREAM or Path(source).is_fifo()


def name_of(source: str) -> str:
    """What messages and records call an input."""
    return STANDARD_INPUT if source == STANDARD_STREAM else source


def _copy_to_stdout(path: Path) -> None:
    with path.open("rb") as stream, standard_output() as output:
        shutil.copyfileobj(stream, output, 1 << 20)


@contextlib.contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Yields standard output, for bytes. Raises FileError where the shell has closed it, or its device is full."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename or not error.strerror:
            raise  # nothing to complain of, or of something else
        raise FileError(f"standard output: {error.strerror}") from error


def _put_on_device(part: Path) -> None:
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())


def _rename_all(parts: Sequence[Path], places: Sequence[Path], outputs: Sequence[str], force: bool) -> None:
    """Rename each part; where one cannot be, those before it go again, unless they have replaced older ones."""
    done: list[Path] = []
    try:
        for part, place, output in zip(parts, places, outputs, strict=True):
            _rename(part, place, output, force)
            done.append(place)
    except BaseException:
        for place in [] if force else done:
            place.unlink(missing_ok=True)
        raise


def _rename(part: Path, place: Path, output: str, force: bool) -> None:
    """Rename `part` to `place`; without `force` never over an existing file."""
    if force:
        os.replace(part, place)
        return
    try:
        os.link(part, place)  # unlike a rename, fails where another process was quicker
        part.unlink()
    except FileExistsError as error:
        raise FileError(f"{output}: exists already", "add -f to replace it") from error
    except OSError:  # a file system without hard links
        os.replace(part, place)


@contextlib.contextmanager
def _device_errors(output: str) -> Iterator[None]:
    """Turn a full device or a refused write into one line; h5py hides the error number in its message."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        text = str(error)
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if getattr(error, "errno", None) == number or os.strerror(number) in text:
                raise FileError(f"{output}: {os.strerror(number)}", "nothing was written; free space") from error
        raise


@contextlib.contextmanager
def readable(source: str) -> Iterator[Path]:
    """Yields a path that can be opened and seeked: `source` itself, or a temporary copy of standard input for `-`."""
    if source != STANDARD_STREAM:
        yield Path(source)
        return
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal", "pipe a file into it, or name one")
    with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
        spool = Path(folder) / "stdin"
        with _device_errors("temporary copy of standard input"), spool.open("wb") as stream:
            for piece in _pieces_of_stdin():
                stream.write(piece)
        yield spool


def _pieces_of_stdin() -> Iterator[bytes]:
    """Raises FileError where the shell has closed it, or it is a folder."""
    try:
        while piece := sys.stdin.buffer.read(1 << 20):
            yield piece
    except OSError as error:
        raise FileError(f"standard input: {error.strerror}") from error
