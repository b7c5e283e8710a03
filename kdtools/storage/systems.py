"""Services of the operating system that some systems lack, each with what is done there instead.

What only Unix has is looked for when it is needed, here and in `limits` and `rehearsal`; so tools start everywhere.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

# A link in the place of the file is not followed, and opening a pipe does not wait for its other end.
_UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends
_turn = threading.Lock()
IS_WINDOWS = os.name == "nt"


def open_unfollowed(path: str | os.PathLike[str], flags: int) -> int:
    """As `os.open`, for bytes. A link is refused (OSError with ELOOP), and opening a pipe does not wait."""
    if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return os.open(path, flags | _UNFOLLOWED | _BINARY, 0o666)


def open_to_read(path: str | os.PathLike[str]) -> int:
    """As `os.open`, for bytes. Links are followed, and opening a pipe does not wait."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)


def read_at(descriptor: int, place: memoryview, offset: int) -> int:
    """Read bytes from `offset` of an open file into `place`; returns how many, 0 at the end of the file.

    Threads may do so at once, and the file's own position stays where it is.
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [place], offset)
    data = bytes_at(descriptor, place.nbytes, offset)
    place.cast("B")[: len(data)] = data
    return len(data)


def bytes_at(descriptor: int, size: int, offset: int) -> bytes:
    """As `read_at`: at most `size` bytes from `offset` of an open file."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    with _turn:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, offset, os.SEEK_SET)
        try:
            return os.read(descriptor, size)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)


def is_own(status: os.stat_result) -> bool:
    """Whether a file belongs to this user. On Windows, whose files have no such owner, always."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def others_may(status: os.stat_result, bits: int) -> bool:
    """Whether the permission `bits` of a file let others in. On Windows, whose permissions are others, never."""
    return not IS_WINDOWS and bool(stat.S_IMODE(status.st_mode) & bits)


def folder_descriptor(path: Path) -> int | None:
    """A descriptor to sync the names in a folder; None where a folder cannot be opened, as on Windows."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, AttributeError):  # a folder that may be written but not listed; a system without O_DIRECTORY
        return None
