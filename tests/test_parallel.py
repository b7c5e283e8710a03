"""Work in several threads: order, bounded waiting, and the number of cores on any system."""

from __future__ import annotations

import os

import pytest

from kdtools.parallel import batched, in_background, map_bounded, workers


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


def test_batches() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_workers_where_the_system_does_not_tell_the_cores_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers(3) == 3
    assert workers(0) >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert workers(0) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert workers(0) == 1


def test_a_result_from_the_background() -> None:
    assert in_background(lambda: 7)() == 7

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_background(fail)()
