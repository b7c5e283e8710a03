"""What kills, stops or fills a child process is reported, and nothing of it reaches this process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

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
        time.sleep(0 if is_rehearsal() else 0.5)
        return usual(number, mode, *more)

    def large() -> np.ndarray:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return np.ones(10_000_000, np.uint8)

    monkeypatch.setattr(os, "fdopen", late)
    assert rehearse(large, 1000, "the library", FAULTS) == ("", None)


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
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        child = int(os.read(process.stdout.fileno(), 100))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")
