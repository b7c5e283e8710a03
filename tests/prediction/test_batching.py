"""Inputs in groups: their bounds, shards, and that they follow from numbers alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kdtools.errors import UsageError
from kdtools.prediction.batching import (
    group_at,
    group_bounds,
    group_start,
    grouped,
    parse_shard,
    runs_of_groups,
    shard_range,
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 256])
def test_groups_follow_each_other_and_grow(size: int) -> None:
    starts = [group_start(k, size) for k in range(200)]
    lengths = [b - a for a, b in pairwise(starts)]
    assert starts[0] == 0
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (1, size)
    for item in range(starts[-1]):
        group = group_at(item, size)
        assert starts[group] <= item < starts[group + 1]


@pytest.mark.parametrize("n_items", [1, 7, 8, 40, 1000])
def test_bounds_and_lists_are_the_same(n_items: int) -> None:
    bounds = list(group_bounds(0, n_items, 16))
    lists = list(grouped(range(n_items), 0, 16))
    assert [(some[0], some[-1] + 1) for some in lists] == bounds
    assert [k for some in lists for k in some] == list(range(n_items))
    first = bounds[len(bounds) // 2][0]
    assert list(grouped(range(first, n_items), first, 16)) == lists[len(bounds) // 2 :]


@pytest.mark.parametrize(("first", "stop"), [(0, 0), (0, 5), (0, 1000), (104, 5000), (56, 57)])
@pytest.mark.parametrize("size", [1, 16, 256])
def test_a_worker_gets_several_groups_but_one_at_the_end(first: int, stop: int, size: int) -> None:
    first = group_start(group_at(first, size), size)
    runs = list(runs_of_groups(first, stop, size, 3, 3 * 160 * 160))
    assert [group for run in runs for group in run] == list(group_bounds(first, stop, size))
    assert all(run[-1][1] - run[0][0] <= max(64, size) for run in runs)
    assert all(len(run) == 1 for run in runs[-3:])
    assert (max(map(len, runs), default=0) > 1) == (stop - first >= 1000 and size < 256)


def test_a_worker_has_few_large_inputs_in_memory() -> None:
    n_bytes = 3 * 1024 * 1024
    for size, most in ((1, 5), (2, 4), (8, 8)):
        runs = list(runs_of_groups(0, 5000, size, 3, n_bytes))
        assert [group for run in runs for group in run] == list(group_bounds(0, 5000, size))
        assert max(run[-1][1] - run[0][0] for run in runs) == most


@pytest.mark.parametrize(
    ("n_items", "n_shards"), [(10, 3), (1000, 7), (10_000_000, 1000), (9, 9), (160, 5), (3, 5), (9, 100), (0, 2)]
)
def test_shards_cover_all_once_with_whole_groups(n_items: int, n_shards: int) -> None:
    ranges = [shard_range((k, n_shards), n_items, 16) for k in range(n_shards)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == n_items
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    assert all(first in (n_items, group_start(group_at(first, 16), 16)) for first, stop in ranges)
    lengths = [stop - first for first, stop in ranges]
    assert max(lengths) - min(lengths) <= 32  # half a group of 16 at either end
    if n_items == 160:
        assert lengths == [32, 32, 32, 24, 40]
    elif n_items == 9:
        assert max(lengths) <= 2


def test_a_shard_may_be_empty() -> None:
    assert [shard_range((k, 5), 3, 16) for k in range(5)] == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/3/5", "-1/3", "1/0"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text)
    assert parse_shard("2/3") == (1, 3)
