"""Limits of open files. HDF5 opens all sources of a virtual file, and returns zeros for those it cannot open."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from kdtools.errors import FileError

_OTHERS = 64  # further open files: libraries, outputs, spilled lists
_in_use = 0


def room_for_files() -> int:
    """How many more files may be opened, after raising the soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses an unlimited number
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(0, soft - _OTHERS - _in_use)


@contextlib.contextmanager
def files_allowed(n_files: int, name: str) -> Iterator[None]:
    """Reserves `n_files` open files for the sources of the file `name`. Raises FileError if they are too many."""
    global _in_use
    room = room_for_files() if n_files else 0
    if n_files > room:
        hint = "raise the limit (ulimit -n), or join the parts without --virtual"
        raise FileError(f"{name}: refers to {n_files} files, but only {room} more may be open at a time", hint)
    _in_use += n_files
    try:
        yield
    finally:
        _in_use -= n_files
