"""Lock files: one holder at a time among the processes that see each other's locks."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import IO

from kdtools.errors import FileError


def locked(path: Path) -> IO[str] | None:
    """Open and lock `path`; None if another process holds it. `release` ends the lock.

    Raises FileError for what is no lock file of kdtools.
    """
    while True:
        file = _open_lock(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:  # a file system without locks
            return file
        if _is_at(file, path):
            return file
        file.close()  # its last holder removed it after we had opened it: it keeps nobody else out


def release(file: IO[str], path: Path) -> None:
    """Remove the lock file at `path` and end its lock, in this order, so that nobody locks a file without a name.

    If another process has put its own lock file there, that one stays.
    """
    with file:
        if _is_at(file, path):
            path.unlink(missing_ok=True)


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _open_lock(path: Path) -> IO[str]:
    """An empty file to lock, made if it is absent. Whatever else has its name is neither followed nor changed."""
    hint = "kdtools locks a file of this name: remove it, or name another output"
    try:  # without O_NONBLOCK, opening a pipe would wait for its other end
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise FileError(f"{path}: is not a lock file", hint) from error
        raise
    status = os.fstat(descriptor)
    if status.st_size or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileError(f"{path}: is not a lock file", hint)
    return os.fdopen(descriptor, "r+", encoding="utf-8")
