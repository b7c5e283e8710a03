"""Lock files: one holder at a time among the processes that see each other's locks."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import IO

from kdtools.errors import FileError
from kdtools.storage.systems import IS_WINDOWS, open_unfollowed


def locked(path: Path, *, surely: bool = False) -> IO[str] | None:
    """Open and lock `path`; None if another process holds it. `release` ends the lock.

    A file system without locks keeps nobody out; there, with `surely`, None is returned too. Raises FileError for what
    is no lock file of kdtools.
    """
    from portalocker import AlreadyLocked, LockException, LockFlags, lock

    while True:
        file = _open_lock(path)
        try:
            lock(file, LockFlags.EXCLUSIVE | LockFlags.NON_BLOCKING)
        except AlreadyLocked:
            file.close()
            return None
        except LockException:  # a file system without locks
            if not surely:
                return file
            release(file, path)
            return None
        if _is_at(file, path):
            return file
        file.close()  # its last holder removed it after we had opened it: it keeps nobody else out


def release(file: IO[str], path: Path) -> None:
    """Remove the lock file at `path` and end its lock, in this order, so that nobody locks a file without a name.

    Windows removes no file that is open, so there the lock ends first, and the file stays if another process has opened
    it. If another process has put its own lock file there, that one stays.
    """
    with file:
        is_ours = _is_at(file, path)
        if is_ours and not IS_WINDOWS:
            path.unlink(missing_ok=True)
    if is_ours and IS_WINDOWS:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _open_lock(path: Path) -> IO[str]:
    """An empty file to lock, made if it is absent. Whatever else has its name is neither followed nor changed."""
    hint = "kdtools locks a file of this name: remove it, or name another output"
    try:
        descriptor = open_unfollowed(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise FileError(f"{path}: is not a lock file", hint) from error
        raise
    status = os.fstat(descriptor)
    if status.st_size or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileError(f"{path}: is not a lock file", hint)
    return os.fdopen(descriptor, "r+", encoding="utf-8")
