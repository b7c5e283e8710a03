"""Does something in a child process first, so that a C library's crash or hang ends the child, not the tool.

The child is forked, not started anew: that takes some 10 ms instead of 300, and it sees the files that are open here.
It does nothing but what is tried, and may hand over what it read: it runs no finalizers, writes no file, and ends
without cleaning up. Windows cannot fork: there it is tried in the tool itself, which a crash ends.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import faulthandler
import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

_CPU_S, _BYTES_PER_S = 2.0, 4e6  # CPU time: a constant, and a share for each byte of the file
_WALL_S, _SLOWEST = 120.0, 1e6  # the same by the clock, for slow disks
_LEAST_ROOM, _TIMES = 2**28, 3  # memory beyond what this process has: bytes at least, or a multiple of the file
_LONGEST_ANSWER = 4096  # bytes

# Answers of the child, a line; none if it crashed.
_DONE, _NO_MEMORY, _FAILED = "done", "no memory", "failed:"


@dataclass(frozen=True)
class _Limits:
    """Seconds of computing and by the clock, and bytes of further memory."""

    cpu_s: float
    wall_s: float
    room: int


class Outcome(NamedTuple):
    """Why an action cannot be done here, "" if it can; and the bytes (n,) uint8 that it handed over, or None."""

    fault: str
    found: np.ndarray | None = None


_in_child = False
_forking = threading.Lock()  # so that no child holds the end of a pipe that another child writes to
_children: set[int] = set()  # that run, by number
_is_exit = False


@atexit.register
def _end_children() -> None:
    """Ends the children of threads that the end of the program does not wait for; no more are started."""
    global _is_exit
    with _forking:
        _is_exit = True
        for pid in _children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def is_rehearsal() -> bool:
    """Whether this process is the child of a rehearsal."""
    return _in_child


def rehearse(action: Callable[[], object], n_bytes: int, library: str, faults: tuple[type[Exception], ...]) -> Outcome:
    """Whether `action`, which reads a file of `n_bytes` with a C library, can be done here.

    Faults are a crash, too much time or memory, and an exception of the types `faults`. Errors of kdtools are none: who
    does the same here gets the same error. An array that `action` returns is handed over as bytes; what is in it must
    be checked, since the library may have written over the child's memory. Raises OSError where no process can be
    started.
    """
    if _in_child:
        action()
        return Outcome("")
    if not hasattr(os, "fork"):
        return Outcome(_done_here(action, faults))
    limits = _Limits(_CPU_S + n_bytes / _BYTES_PER_S, _WALL_S + n_bytes / _SLOWEST, max(_LEAST_ROOM, _TIMES * n_bytes))
    pid, answers = _fork(action, limits, faults)
    try:
        with os.fdopen(answers, "rb", 0) as pipe:
            said = pipe.read()  # until the child has ended
        _forget(pid)
        status = _status_of(pid)
    except BaseException:
        _forget(pid)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    answer = said[:_LONGEST_ANSWER].partition(b"\n")[0].decode(errors="replace")
    if answer.startswith(_DONE):
        found = np.frombuffer(said, np.uint8, offset=len(answer) + 1)
        is_whole = len(found) and answer == f"{_DONE} {len(found)}"  # time may run out while it is handed over
        return Outcome("", found if is_whole else None)
    if answer == _NO_MEMORY:
        return Outcome(f"{library} takes more than {limits.room >> 20} MB of memory for it")
    if answer:
        return Outcome(answer.removeprefix(_FAILED) or f"{library} fails")
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return Outcome(f"{library} does not come to an end on it ({limits.cpu_s:.0f} s of computing)")
    return Outcome(f"{library} crashes on it")


def _done_here(action: Callable[[], object], faults: tuple[type[Exception], ...]) -> str:
    """As `rehearse`, in this process: only an exception of the types `faults` is found."""
    try:
        action()
    except faults as error:
        return " ".join(str(error).split())
    return ""


def _forget(pid: int) -> None:
    """To be called before a child is waited for: its number may then be another process's."""
    with _forking:
        _children.discard(pid)


def _status_of(pid: int) -> int | None:
    """Exit status, or minus the signal; None where nobody keeps it, as the process was told to ignore its children."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None


def _fork(action: Callable[[], object], limits: _Limits, faults: tuple[type[Exception], ...]) -> tuple[int, int]:
    """Number of the child process, and the end of a pipe on which it says how it went."""
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, signal.valid_signals()
    )  # no handler of the tool runs in the child
    try:
        with _forking, warnings.catch_warnings():
            # Python 3.12 warns of threads. The child takes no lock of theirs; h5py's is free while a process forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            if _is_exit:
                raise OSError(errno.ECANCELED, "the program ends")
            answers, own = os.pipe()
            try:
                pid = os.fork()
                if pid == 0:
                    _perform(action, limits, faults, own)
                _children.add(pid)
            except BaseException:
                os.close(answers)
                raise
            finally:
                os.close(own)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid, answers


def _perform(action: Callable[[], object], limits: _Limits, faults: tuple[type[Exception], ...], answers: int) -> None:
    """The child: limits itself, acts, says how it went, hands over what it found, and ends."""
    global _in_child
    answer, found = _NO_MEMORY, memoryview(b"")
    try:
        gc.disable()
        faulthandler.disable()
        _limit(limits)
        _in_child = True
        result = action()
        if isinstance(result, np.ndarray):
            found = result.reshape(-1).view(np.uint8).data
        answer = f"{_DONE} {len(found)}"
    except faults as error:
        answer = _FAILED + " ".join(str(error).split())
    except MemoryError:
        pass
    except BaseException:
        answer = _DONE  # an error of kdtools, or a fault of its code, is met again outside
    finally:
        with contextlib.suppress(OSError), os.fdopen(answers, "wb") as pipe:
            pipe.write(answer.encode(errors="replace")[: _LONGEST_ANSWER - 1] + b"\n")
            pipe.write(found)
        os._exit(0)


def _limit(limits: _Limits) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    import resource

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the C library complains there before it aborts
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # without /proc the address space is not limited
        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = n_pages * resource.getpagesize() + limits.room
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
