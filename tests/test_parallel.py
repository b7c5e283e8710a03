"""Work in several threads: order, bounded waiting, and the number of cores on any system."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path

import pytest

from kdtools import parallel
from kdtools.machine import n_cores
from kdtools.parallel import (
    batched,
    in_background,
    interruptible,
    map_bounded,
    n_abandoned,
    share_out,
    why_fewer_workers,
    workers,
)


def test_results_come_in_order_while_few_wait() -> None:
    taken: list[int] = []

    def items() -> object:
        for k in range(100):
            taken.append(k)
            yield k

    results = map_bounded(lambda k: k * k, items(), 2)  # type: ignore[arg-type]
    assert next(results) == 0
    assert len(taken) <= 4 * 2 + 2
    assert list(results) == [k * k for k in range(1, 100)]


def test_idle_workers_take_part_in_a_large_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "workers", lambda jobs: jobs)
    together = threading.Barrier(3)  # each of three parts waits for the two others, so three threads must do them

    def part(k: int) -> int:
        together.wait(20)
        return 10 * k

    assert list(map_bounded(lambda n: share_out(part, range(n)), [6], 3)) == [[0, 10, 20, 30, 40, 50]]


def test_a_worker_is_not_asked_for_help_while_tasks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "workers", lambda jobs: jobs)
    both = threading.Barrier(2)

    def task(_: int) -> int:
        both.wait(20)  # both workers have a task, and as many wait
        done = share_out(lambda _: threading.get_ident(), range(20))
        both.wait(20)
        return len(set(done))

    assert list(map_bounded(task, range(8), 2)) == [1] * 8


def test_an_error_in_a_part_is_that_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "workers", lambda jobs: jobs)

    def part(k: int) -> None:
        if k == 5:
            raise IndexError("of the fifth part")

    with pytest.raises(IndexError, match="of the fifth part"):
        list(map_bounded(lambda n: share_out(part, range(n)), [9], 3))
    with pytest.raises(IndexError, match="of the fifth part"):
        share_out(part, range(9))
    assert share_out(abs, [-1, 2]) == [1, 2]


def test_batches() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_workers_where_the_system_does_not_tell_the_cores_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers(0) >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.setattr(parallel, "n_cores", partial(n_cores, Path("/none")))
    assert workers(0) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert workers(0) == 1


def test_there_are_no_more_workers_than_cores_and_memory_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "n_cores", lambda: 6)
    monkeypatch.setattr(parallel, "n_bytes_of_memory", lambda: 64 << 30)
    assert [workers(jobs) for jobs in (0, 1, 6, 7, 64)] == [6, 1, 6, 6, 6]
    assert [why_fewer_workers(jobs) for jobs in (0, 1, 6)] == ["", "", ""]
    words = "6 workers, not the 64 of -j: this process may use 6 cores and 68.7 GB of memory"
    assert why_fewer_workers(64) == words
    monkeypatch.setattr(parallel, "n_bytes_of_memory", lambda: 1200 << 20)
    assert [workers(jobs) for jobs in (0, 1, 64)] == [2, 1, 2]
    assert why_fewer_workers(0) == "2 workers: this process may use 6 cores and 1.3 GB of memory"
    monkeypatch.setattr(parallel, "n_bytes_of_memory", lambda: 1 << 20)
    assert workers(64) == 1
    monkeypatch.setattr(parallel, "n_bytes_of_memory", lambda: None)
    assert workers(64) == 6
    assert why_fewer_workers(64) == "6 workers, not the 64 of -j: this process may use 6 cores"


def test_a_result_from_the_background() -> None:
    assert in_background(lambda: 7)() == 7

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_background(fail)()


def test_a_call_that_does_not_end_is_left_behind_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WAIT_FOR_END", 0.05)
    monkeypatch.setattr(parallel, "_abandoned", [])
    go_on, asked = threading.Event(), []
    with pytest.raises(TimeoutError):
        interruptible(go_on.wait, lambda: asked.append("end"), 0.05)
    assert (asked, n_abandoned()) == (["end"], 1)
    assert interruptible(lambda: "another", lambda: None, None) == "another"
    go_on.set()
    parallel._abandoned[0].result(10)
    assert n_abandoned() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    assert interruptible(lambda: 1, lambda: None, None) == 1
    pid = os.fork()
    if pid == 0:
        os._exit(interruptible(lambda: 7, lambda: None, 10))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
