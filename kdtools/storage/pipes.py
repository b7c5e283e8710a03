"""Pipes in the place of files, such as a shell's `<(...)`: each is opened once in a run, and copied where needed.

Most files are read from place to place, and several times: to see what kind they are, then to read them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from io import BufferedReader
from pathlib import Path

from kdtools.errors import FileError
from kdtools.storage.devices import device_errors, read_faults_named
from kdtools.storage.stamps import at_end_of_run

_Key = tuple[int, int]  # device and inode: one pipe can have several names, such as /dev/stdin and /dev/fd/0
_opened: dict[_Key, BufferedReader] = {}  # in this run
_copies: dict[_Key, Path] = {}
_names: dict[Path, str] = {}  # copy -> what the user calls the pipe


def stream_of_pipe(path: str | os.PathLike[str]) -> BufferedReader:
    """The pipe at `path`, opened by the first call in this run; what one reader has taken the next does not get.

    Raises FileError outside a run of a tool, where nobody would close it.
    """
    key = _key_of(path)
    if key not in _opened:
        if not at_end_of_run(lambda: _opened.pop(key).close()):
            hint = "write it to a file first"
            raise FileError(f"{path}: is a pipe, which can be read only once, from beginning to end", hint)
        _opened[key] = open(path, "rb")  # noqa: SIM115
    return _opened[key]


def seekable(path: str | os.PathLike[str]) -> Path:
    """`path`, or for a pipe a temporary copy of what comes through it, which is deleted at the end of the run.

    Raises FileError as `stream_of_pipe` does, and if the disk is full.
    """
    if not Path(path).is_fifo():
        return Path(path)
    key = _key_of(path)
    if key not in _copies:
        stream = stream_of_pipe(path)
        folder = tempfile.mkdtemp(prefix="kdtools-")
        at_end_of_run(lambda: _names.pop(_copies.pop(key, Path()), None))
        at_end_of_run(lambda: shutil.rmtree(folder, ignore_errors=True))
        copy = Path(folder, Path(path).name)
        with device_errors(f"temporary copy of {path}"), read_faults_named(str(path)), copy.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        _copies[key], _names[copy] = copy, str(path)
    return _copies[key]


def with_names_of_pipes(text: str) -> str:
    """A message about temporary copies as one about the pipes that they were copied from."""
    for copy, name in _names.items():
        text = text.replace(str(copy), name)
    return text


def _key_of(path: str | os.PathLike[str]) -> _Key:
    status = os.stat(path)
    return status.st_dev, status.st_ino
