"""Limits of open files and of memory.

HDF5 opens all sources of a virtual file, and returns zeros for those it cannot open.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from kdtools.errors import FileError
from kdtools.machine import n_bytes_of_memory

_UNLIMITED = 1 << 20  # files, where the system states no limit
_OTHERS = 64  # further open files: libraries, outputs, spilled lists
_in_use = 0


def room_for_files() -> int:
    """How many more files may be opened, after raising the soft limit to the hard one. Windows has no such limit."""
    if not util.find_spec("resource"):
        return _UNLIMITED
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses an unlimited number
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _UNLIMITED if soft == resource.RLIM_INFINITY else max(0, soft - _OTHERS - _in_use)


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


@contextlib.contextmanager
def memory_allowed(n_bytes: int) -> Iterator[None]:
    """Within the block, this process gets at most so much more memory, at most half of its machine or container.

    What asks for more gets an error of its library, mostly MemoryError. Does nothing where the system (macOS, Windows)
    does not say how much memory is in use.
    """
    memory = n_bytes_of_memory()
    if memory is not None:
        n_bytes = min(n_bytes, memory // 2)
    in_use = _data_in_use() if util.find_spec("resource") else 0
    if not in_use:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    soft, hard = before
    most = in_use + n_bytes
    if soft != resource.RLIM_INFINITY and soft <= most:
        yield
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_in_use() -> int:
    """Bytes that RLIMIT_DATA counts: private memory that can be written. 0 where the system does not say."""
    try:
        found = re.search(rb"^VmData:\s*(\d+) kB", Path("/proc/self/status").read_bytes(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0
