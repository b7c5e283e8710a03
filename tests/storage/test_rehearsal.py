"""What kills, stops or fills a child process is reported, and nothing of it reaches this process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.storage import rehearsal
from kdtools.storage.rehearsal import is_rehearsal, rehearse

FAULTS = (OSError, ValueError)


def tried(action: Callable[[], object]) -> str:
    return rehearse(action, 1000, "the library", FAULTS).fault


def fail() -> None:
    raise ValueError("a\nfault")


def refuse() -> None:
    raise DataError("no face")


def spin() -> None:
    while True:
        pass


def test_answers(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_CPU_S", 0.3)
    sys.stdout.write("not written twice")
    for action, answer in (
        (lambda: None, ""),
        (refuse, ""),  # who does it here gets the same error
        (fail, "a fault"),
        (lambda: ctypes.string_at(0), "the library crashes on it"),
        (os.abort, "the library crashes on it"),
        (spin, "the library does not come to an end on it (0 s of computing)"),
        (lambda: np.ones(2**26), "the library takes more than 256 MB of memory for it"),
        (lambda: np.ones(2**23), ""),
        (lambda: tried(fail), "a fault"),  # a rehearsal in a rehearsal is done at once
    ):
        assert tried(action) == answer
    assert not is_rehearsal()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("found", [np.arange(100_000), np.array([b"a", b"bcd"]), np.zeros((2, 3), np.float32)])
def test_what_is_read_is_handed_over(found: np.ndarray) -> None:
    fault, handed = rehearse(lambda: found, 1000, "the library", FAULTS)
    assert fault == ""
    assert handed is not None
    np.testing.assert_array_equal(handed.view(found.dtype).reshape(found.shape), found)


def test_nothing_else_is_handed_over() -> None:
    for result in (None, True, b"bytes", np.empty(0)):
        assert rehearse(lambda result=result: result, 1000, "the library", FAULTS) == ("", None)


def test_a_part_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a child that ends while the pipe is full."""
    usual = os.fdopen

    def late(number: int, mode: str, *more: int) -> object:
        if is_rehearsal():
            signal.setitimer(signal.ITIMER_REAL, 0.5)
        else:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return usual(number, mode, *more)

    monkeypatch.setattr(os, "fdopen", late)
    assert rehearse(lambda: np.ones(10_000_000, np.uint8), 1000, "the library", FAULTS) == ("", None)


def test_from_threads_and_with_children_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads hold locks while a process forks; some parents leave SIGCHLD ignored."""
    stop = threading.Event()
    lock = threading.Lock()

    def busy() -> None:
        while not stop.is_set():
            with lock:
                sorted(os.urandom(64))

    others = [threading.Thread(target=busy) for _ in range(3)]
    for other in others:
        other.start()
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with ThreadPoolExecutor(4) as pool:
            actions = [fail, refuse, lambda: ctypes.string_at(0)] * 6
            assert list(pool.map(tried, actions)) == ["a fault", "", "the library crashes on it"] * 6
    finally:
        signal.signal(signal.SIGCHLD, before)
        stop.set()
        for other in others:
            other.join()


def test_an_interruption_ends_the_child() -> None:
    script = (
        "from kdtools.storage.rehearsal import rehearse; import time, os\n"
        "rehearse(lambda: (os.write(1, str(os.getpid()).encode()), time.sleep(100)), 0, '', ())"
    )
    with child_of(script) as (process, child):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert ends(child)


def test_the_end_of_the_program_ends_a_child_that_nobody_waits_for() -> None:
    script = (
        "from kdtools.storage.rehearsal import rehearse; from kdtools.parallel import in_background; import time, os\n"
        "tell = lambda: (os.write(1, str(os.getpid()).encode()), time.sleep(100))\n"
        "in_background(lambda: rehearse(tell, 0, '', ()))\n"
        "input()"
    )
    with child_of(script) as (process, child):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 1  # by an error, as where another input is absent
    assert ends(child)


@contextmanager
def child_of(script: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A program and its child's number, which the child writes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", script], **pipes, start_new_session=True) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        yield process, int(os.read(process.stdout.fileno(), 100))


def ends(child: int) -> bool:
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    return False
