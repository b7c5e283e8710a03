"""Work done by several threads at a time, with bounded memory."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, TypeVar

from kdtools.machine import n_bytes_of_memory, n_cores

_SWITCH_INTERVAL = 2e-4  # s

Item = TypeVar("Item")
Result = TypeVar("Result")


_BYTES_PER_WORKER = 512 << 20  # a decoded photograph of 24 megapixels, what its search takes, and its crops


def workers(jobs: int) -> int:
    """Number of workers for `-j`, where 0 is as many as pay: one for each core, as far as memory has room for them.

    More would not be faster, since each uses a core, and each holds images.
    """
    memory = n_bytes_of_memory()
    most = n_cores() if memory is None else min(n_cores(), max(1, memory // _BYTES_PER_WORKER))
    return min(jobs or most, most)


def why_fewer_workers(jobs: int) -> str:
    """Why `workers(jobs)` is less than was asked for, or than there are cores; empty if it is not."""
    n, cores, memory = workers(jobs), n_cores(), n_bytes_of_memory()
    if n == (jobs or cores):
        return ""
    room = "" if memory is None else f" and {memory / 1e9:.1f} GB of memory"
    asked = f", not the {jobs} of -j" if jobs else ""
    return f"{n} worker{'s' * (n > 1)}{asked}: this process may use {cores} core{'s' * (cores > 1)}{room}"


def map_bounded(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, ahead: int = 4
) -> Generator[Result, None, None]:
    """Results in order; only `ahead` tasks per worker are under way, so that memory does not grow with their number.

    Threads, not processes: OpenCV decodes and warps outside Python's lock. Where the results are not all taken, after
    an error or a signal, calls under way that are `endable` are ended. `function` may call `share_out`.
    """
    # A thread that comes back from OpenCV waits this long before it asks for Python's lock; the usual 5 ms is longer
    # than most images take, and halves the speed of two threads.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    n_workers = workers(jobs)
    team = _Team(n_workers)
    with team.pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(team.submit(lambda item=item: function(item)))  # type: ignore[misc]
                if len(waiting) > ahead * n_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            sys.setswitchinterval(usual)
            for future in waiting:
                future.cancel()
            if waiting:
                _end_calls_of(team.pool)


class _Team:
    """The threads of one `map_bounded`, which know how many of them have nothing to do."""

    def __init__(self, n_workers: int) -> None:
        self._n_workers, self._n_tasks, self._lock = n_workers, 0, threading.RLock()
        self.pool = ThreadPoolExecutor(n_workers, initializer=lambda: setattr(_own, "team", self))

    def submit(self, task: Callable[[], Result]) -> Future[Result]:
        with self._lock:
            self._n_tasks += 1
            future = self.pool.submit(task)
        future.add_done_callback(self._end)
        return future

    def _end(self, _: object) -> None:
        with self._lock:
            self._n_tasks -= 1

    def submit_to_idle(self, task: Callable[[], Result]) -> Future[Result] | None:
        """As `submit` if a worker has nothing to do, so that it begins at once; else None."""
        with self._lock:
            return self.submit(task) if self._n_tasks < self._n_workers else None

    @property
    def has_waiting_tasks(self) -> bool:
        return self._n_tasks > self._n_workers


_own = threading.local()  # `team` of a thread, if it has one


def share_out(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results in order. Within `map_bounded`, workers that have nothing to do take over items of the calling one.

    So the last tasks, or a few large ones, do not leave cores idle. Elsewhere the calling thread does all.
    """
    team: _Team | None = getattr(_own, "team", None)
    remaining = deque(enumerate(items))
    results: dict[int, Result] = {}
    helpers: list[Future[None]] = []

    def do_next() -> None:
        try:
            number, item = remaining.popleft()
        except IndexError:  # another worker was faster
            return
        results[number] = function(item)

    def help_out() -> None:
        while remaining and team is not None and not team.has_waiting_tasks:
            do_next()

    try:
        while remaining:
            while len(remaining) > 1 and team is not None and (helper := team.submit_to_idle(help_out)) is not None:
                helpers.append(helper)
            do_next()
    finally:
        remaining.clear()  # after an error
    for helper in helpers:
        helper.result()
    return [results[number] for number in range(len(results))]


# ---- calls of libraries that may take long, in which Python hears no signal
_ends: dict[int, tuple[threading.Thread, Callable[[], None]]] = {}
_abandoned: list[Future[Any]] = []
_WAIT_FOR_END = 5.0  # s


@contextlib.contextmanager
def endable(end: Callable[[], None]) -> Iterator[None]:
    """A block that another thread can make end soon, by calling `end`."""
    key = id(end)
    _ends[key] = threading.current_thread(), end
    try:
        yield
    finally:
        del _ends[key]


def _end_calls_of(pool: ThreadPoolExecutor) -> None:
    for thread, end in list(_ends.values()):
        if thread in pool._threads:
            end()


def interruptible(function: Callable[[], Result], end: Callable[[], None], seconds: float | None) -> Result:
    """The result of `function`, called in a thread of its own, so that signals are heard while it runs.

    After `seconds` or an exception of a signal `end` is called, which is to make it return. If it does not, the thread
    is left behind (see `n_abandoned`). Raises TimeoutError, and what `function` raises.
    """
    result = _in_thread(function)
    try:
        return result.result(seconds)
    except BaseException:
        if not result.done():
            end()
            wait([result], _WAIT_FOR_END)
            if not result.done():
                _abandoned.append(result)
        raise


def n_abandoned() -> int:
    """How many threads are still in a call that does not end. Python's usual exit could crash, or wait for them."""
    return sum(not result.done() for result in _abandoned)


def in_background(function: Callable[[], Result]) -> Callable[[], Result]:
    """Starts `function` and returns what waits for its result. It is given up where the program ends before it."""
    return _in_thread(function).result


def _in_thread(function: Callable[[], Result]) -> Future[Result]:
    """The result of `function`, which is called in another thread. The end of the program does not wait for it."""
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result


def batched(items: Iterable[Item], n: int) -> Iterator[list[Item]]:
    """Lists of `n` items in order; the last one may be shorter. (itertools has this from Python 3.12 on.)"""
    iterator = iter(items)
    while batch := list(islice(iterator, n)):
        yield batch
