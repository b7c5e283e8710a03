"""The files that a run reads: whether each is still what it was when first met, and whether an output is one of them.

Tools replace files by renaming others over them, so a path can lead to another file a moment later, while one that is
open stays what it was; others write into a file or truncate it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kdtools.errors import FileError, require

Stamp = tuple[int, int, int, int]  # device, inode, size in bytes, and time of the last change in ns


def stamp_of(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def changed_error(name: str) -> FileError:
    """The error for an input that is not what it was when the run began to read it."""
    return FileError(f"{name}: was changed or replaced while it was read", "run again once it is whole")


@dataclass
class _Run:
    """`met` are the stamps of files that were opened or hashed, by path; `files` the inputs by device and inode.

    `pipes` are the words that name pipes, by device and inode. `ends` are called at the end of the run.
    """

    met: dict[str, Stamp] = field(default_factory=dict)
    files: dict[tuple[int, int], str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    pipes: dict[tuple[int, int], str] = field(default_factory=dict)
    ends: list[Callable[[], object]] = field(default_factory=list)


_run: _Run | None = None


@contextlib.contextmanager
def one_run() -> Iterator[None]:
    """While it lasts, `meet` and `note_input` remember files, as for one call of a tool; without it they do not."""
    global _run
    before, _run = _run, _Run()
    try:
        yield
    finally:
        for end in _run.ends:
            end()
        _run = before


def at_end_of_run(end: Callable[[], object]) -> bool:
    """Have `end` called at the end of the run; False if there is none."""
    if _run is not None:
        _run.ends.append(end)
    return _run is not None


def meet(path: str | os.PathLike[str], status: os.stat_result, name: str) -> None:
    """Note the status of a file that is opened. Raises FileError if the run has met another one, or another version."""
    if _run is not None and _run.met.setdefault(os.path.abspath(path), stamp_of(status)) != stamp_of(status):
        raise changed_error(name)


def forget(path: str | os.PathLike[str]) -> None:
    """The run itself has written a new file at this path."""
    if _run is not None:
        _run.met.pop(os.path.abspath(path), None)


def note_input(word: str) -> None:
    """Note a file or folder that the run reads, if there is one of this name, so that no output replaces it.

    `-` is standard input. Raises UsageError for a pipe that another word of the run names too.
    """
    try:
        status = os.fstat(0) if word == "-" else os.stat(word)
    except (OSError, ValueError):
        return
    if _run is not None and stat.S_ISFIFO(status.st_mode):
        other = _run.pipes.setdefault((status.st_dev, status.st_ino), word)
        hint = "name it once, or write it to a file"
        require(other == word, f"{other} and {word} are one pipe, which can be read only once", hint)
    if word == "-":
        return
    if _run is not None and stat.S_ISREG(status.st_mode):
        _run.files[status.st_dev, status.st_ino] = word
        meet(word, status, word)
    elif _run is not None and stat.S_ISDIR(status.st_mode):
        _run.folders.append(Path(word).resolve())


def is_input(place: Path) -> bool:
    """Whether a file is an input of the run, by whatever name."""
    if _run is None:
        return False
    status = place.stat()
    return (status.st_dev, status.st_ino) in _run.files


def is_in_input_folder(place: Path) -> bool:
    """Whether a file, with links resolved, lies in a folder that the run reads."""
    return _run is not None and any(folder in place.parents for folder in _run.folders)
