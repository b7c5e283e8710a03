"""How PyTorch's threads wait for each other on a CPU while other work comes and goes.

Threads that spin are fastest on free cores, and take each other's time beside other work. GNU's OpenMP library, which
PyTorch has on Linux, reads only once, when it is loaded, how long they spin: 300,000 rounds if nothing is set. But it
spins 100 rounds, and then sleeps, while there are more OpenMP threads than cores (its manual, GOMP_SPINCOUNT). So a
second team of threads, which does nothing, makes those of the training sleep. Their number and what each computes stay
the same, and with them the bytes of the network.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path

from kdtools import chosen_at_start
from kdtools.machine import LEAST_LOAD, SPIN_COUNT, WAIT_POLICY, n_cores, n_cores_of_affinity, processor_time

_EVERY = 2.0  # s between two looks at the load
_PARALLEL = 1 << 17  # numbers that PyTorch adds with several threads


class Waiting:
    """Threads of this process spin while its cores are free, and sleep while other work needs them.

    Nothing happens on a GPU, with one thread, with another OpenMP library, or where the environment sets how threads
    wait. What is begun ends with the object.
    """

    def __init__(self, device_type: str, of_all: Callable[[], float | None] = processor_time) -> None:
        import torch

        n_threads = torch.get_num_threads()
        self._of_all = of_all
        self._n_free = n_cores_of_affinity() - n_threads  # cores for the other work
        self._acts = device_type == "cpu" and _is_left_to_us(os.environ, n_threads) and _has_gnu_openmp()
        self._last: tuple[float, float, float] | None = None  # clock, processor time of all and of this process
        self._end_second_team: Callable[[], object] | None = None

    @property
    def sleeps(self) -> bool:
        """Whether a second team has the threads sleep."""
        return self._end_second_team is not None

    def look(self) -> None:
        """Choose by the load since the last look; to be called often, from the thread that trains."""
        now = time.monotonic()
        if not self._acts or (self._last is not None and now < self._last[0] + _EVERY):
            return
        of_all = self._of_all()
        if of_all is None:
            self._acts = False
            return
        before, self._last = self._last, (now, of_all, time.process_time())
        if before is None:
            return
        seconds, of_all, own = (value - old for value, old in zip(self._last, before, strict=True))
        is_shared = of_all - own >= (self._n_free + LEAST_LOAD) * seconds
        if is_shared and self._end_second_team is None:
            self._end_second_team = weakref.finalize(self, _start_team().set)
        elif not is_shared and self._end_second_team is not None:
            self._end_second_team()
            self._end_second_team = None


def leave_to_training(environment: MutableMapping[str, str]) -> None:
    """Take back what kdtools set at its start for the whole program, where `Waiting` will choose again and again.

    To be called before PyTorch is loaded.
    """
    if WAIT_POLICY not in environment:
        return
    torch = find_spec("torch")
    words = environment.get("OMP_NUM_THREADS", "").split(",")[0]
    n_threads = int(words) if words.isdecimal() else n_cores()
    if torch is None or torch.origin is None or not _is_left_to_us(environment, n_threads) or processor_time() is None:
        return
    if any((Path(torch.origin).parent / "lib").glob("libgomp*")):
        del environment[WAIT_POLICY]


def _is_left_to_us(environment: Mapping[str, str], n_threads: int) -> bool:
    """Whether the user has not set how threads wait, and two teams are more threads than cores."""
    of_user = {*environment} - {*chosen_at_start}
    return not of_user & {WAIT_POLICY, SPIN_COUNT} and n_threads > 1 and 2 * n_threads - 1 > n_cores_of_affinity()


def _has_gnu_openmp() -> bool:
    try:
        return "libgomp" in Path("/proc/self/maps").read_text(errors="surrogateescape")
    except OSError:
        return False


def _start_team() -> threading.Event:
    """Starts a thread with a team of its own, which sleeps until the event is set."""
    import torch

    begun, ended = threading.Event(), threading.Event()

    def compute_once() -> None:
        with contextlib.suppress(MemoryError, RuntimeError):  # the training goes on without a second team
            torch.zeros(_PARALLEL).add_(1)
        begun.set()
        ended.wait()

    threading.Thread(target=compute_once, name="second OpenMP team", daemon=True).start()
    begun.wait()
    return ended
