"""How many files may be open at a time. HDF5 opens all that a virtual file refers to, and reads zeros of the rest."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from kdtools.errors import FileError

_OTHERS = 64  # files that may be open besides: libraries, outputs, spilled lists
_in_use = 0


def room_for_files() -> int:
    """How many more files may be opened, once the soft limit is raised to the hard one, which needs no rights."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses one without bounds
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(0, soft - _OTHERS - _in_use)


@contextlib.contextmanager
def files_allowed(n_files: int, name: str) -> Iterator[None]:
    """Within it `n_files` more may be open, to which the file `name` refers. Raises FileError where they may not."""
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
