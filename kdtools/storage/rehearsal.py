"""Does something in a child process first, so that a C library's crash or hang ends the child, not the tool.

The child is forked, not started anew: that takes some 10 ms instead of 300, and it sees the files that are open here.
It does nothing but what is tried: it runs no finalizers, writes no file, and ends without cleaning up. Windows cannot
fork: there it is tried in the tool itself, which a crash ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CPU_S, _BYTES_PER_S = 2.0, 4e6  # CPU time: a constant, and a share for each byte of the file
_WALL_S, _SLOWEST = 120.0, 1e6  # the same by the clock, for slow disks
_LEAST_ROOM, _TIMES = 2**28, 3  # memory beyond what this process has: bytes at least, or a multiple of the file
_PIPE = 4096  # bytes that a pipe takes at once

# Answers of the child; none if it crashed.
_DONE, _NO_MEMORY, _FAILED = "done", "no memory", "failed:"


@dataclass(frozen=True)
class _Limits:
    """Seconds of computing and by the clock, and bytes of further memory."""

    cpu_s: float
    wall_s: float
    room: int


_in_child = False


def is_rehearsal() -> bool:
    """Whether this process is the child of a rehearsal."""
    return _in_child


def rehearse(action: Callable[[], object], n_bytes: int, library: str, faults: tuple[type[Exception], ...]) -> str:
    """Why `action`, which reads a file of `n_bytes` with a C library, cannot be done here; "" if it can.

    That is a crash, too much time or memory, or an exception of the types `faults`. Errors of kdtools are no reason:
    who does the same here gets the same error. Raises OSError where no process can be started.
    """
    if _in_child:
        action()
        return ""
    if not hasattr(os, "fork"):
        return _done_here(action, faults)
    limits = _Limits(_CPU_S + n_bytes / _BYTES_PER_S, _WALL_S + n_bytes / _SLOWEST, max(_LEAST_ROOM, _TIMES * n_bytes))
    pid, answers = _fork(action, limits, faults)
    try:
        status = _status_of(pid)
        answer = os.read(answers, _PIPE).decode(errors="replace")  # the child has ended, so this does not wait
    except BaseException:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    finally:
        os.close(answers)
    if answer == _DONE:
        return ""
    if answer == _NO_MEMORY:
        return f"{library} takes more than {limits.room >> 20} MB of memory for it"
    if answer:
        return answer.removeprefix(_FAILED) or f"{library} fails"
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return f"{library} does not come to an end on it ({limits.cpu_s:.0f} s of computing)"
    return f"{library} crashes on it"


def _done_here(action: Callable[[], object], faults: tuple[type[Exception], ...]) -> str:
    """As `rehearse`, in this process: only an exception of the types `faults` is found."""
    try:
        action()
    except faults as error:
        return " ".join(str(error).split())
    return ""


def _status_of(pid: int) -> int | None:
    """Exit status, or minus the signal; None where nobody keeps it, as the process was told to ignore its children."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None


def _fork(action: Callable[[], object], limits: _Limits, faults: tuple[type[Exception], ...]) -> tuple[int, int]:
    """Number of the child process, and the end of a pipe on which it says how it went."""
    answers, own = os.pipe()
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, signal.valid_signals()
    )  # no handler of the tool runs in the child
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of threads. The child takes no lock of theirs; h5py's is free while a process forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _perform(action, limits, faults, own)
    except BaseException:
        os.close(answers)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(own)
    return pid, answers


def _perform(action: Callable[[], object], limits: _Limits, faults: tuple[type[Exception], ...], answers: int) -> None:
    """The child: limits itself, acts, says how it went, and ends."""
    global _in_child
    answer = _NO_MEMORY
    try:
        gc.disable()
        faulthandler.disable()
        _limit(limits)
        _in_child = True
        action()
        answer = _DONE
    except faults as error:
        answer = _FAILED + " ".join(str(error).split())
    except MemoryError:
        pass
    except BaseException:
        answer = _DONE  # an error of kdtools, or a fault of its code, is met again outside
    finally:
        with contextlib.suppress(OSError):
            os.write(answers, answer.encode(errors="replace")[:_PIPE])
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
