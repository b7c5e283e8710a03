"""Groups of inputs, the unit of work, and the bounds of shards.

Bounds depend only on the number of an input, and batches never cross them. So a face is always predicted in the same
batch, with the same bits, whether a run is whole, sharded or resumed, with any number of workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import TypeVar

from kdtools.errors import UsageError

_INPUTS_IN_RUN = 64
_BYTES_IN_RUN = 16 << 20  # of the inputs, which are in memory together
_RUNS_PER_WORKER = 4  # of those that remain
_GROUPS_PER_SIZE = 8  # the size doubles from 1 to the full one, so that small runs keep all workers busy

Item = TypeVar("Item")


def group_start(group: int, size: int) -> int:
    """Number of the first input of a group, for groups of at most `size`."""
    start, length = 0, 1
    while length < size:
        if group < _GROUPS_PER_SIZE:
            return start + group * length
        start, group, length = start + _GROUPS_PER_SIZE * length, group - _GROUPS_PER_SIZE, 2 * length
    return start + group * size


def group_at(item: int, size: int) -> int:
    """Number of the group that contains an input."""
    group, start, length = 0, 0, 1
    while length < size:
        if item < start + _GROUPS_PER_SIZE * length:
            return group + (item - start) // length
        group, start, length = group + _GROUPS_PER_SIZE, start + _GROUPS_PER_SIZE * length, 2 * length
    return group + (item - start) // size


def group_bounds(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Range (first, stop) of each group from input `first`, which must begin a group, up to `stop`."""
    for group in count(group_at(first, size)):
        start = group_start(group, size)
        if start >= stop:
            return
        yield start, min(group_start(group + 1, size), stop)


def runs_of_groups(first: int, stop: int, size: int, n_workers: int, n_bytes: int) -> Iterator[list[tuple[int, int]]]:
    """The groups of `group_bounds` in lists, each for one worker; towards the end single ones, so that all end at once.

    What a worker does beside its network then counts once for several groups. An input takes `n_bytes`; of large ones
    each worker gets one group.
    """
    groups = group_bounds(first, stop, size)
    most = min(_INPUTS_IN_RUN, _BYTES_IN_RUN // max(1, n_bytes)) // size
    while True:
        share = (stop - first) // (_RUNS_PER_WORKER * n_workers * size)
        run = list(islice(groups, max(1, min(share, most))))
        if not run:
            return
        yield run
        first = run[-1][1]


def grouped(items: Iterable[Item], first: int, size: int) -> Iterator[list[Item]]:
    """The groups of `items`, which are the inputs from number `first` on; `first` must begin a group."""
    iterator = iter(items)
    for group in count(group_at(first, size)):
        members = list(islice(iterator, group_start(group + 1, size) - group_start(group, size)))
        if not members:
            return
        yield members


def parse_shard(text: str) -> tuple[int, int]:
    """`K/N` -> (K − 1, N). Raises UsageError for anything else."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard is {text!r}", "give K/N, with K from 1 to N")
    return int(match[1]) - 1, int(match[2])


def shard_range(shard: tuple[int, int], n_items: int, size: int) -> tuple[int, int]:
    """Range (first, stop) of the inputs of a shard; shards are as even as bounds of groups allow.

    It is empty if there are fewer groups than shards, so a job array may have any number of shards.
    """
    number, n_shards = shard
    first, stop = (_bound_near(n_items * k // n_shards, n_items, size) for k in (number, number + 1))
    return first, stop


def _bound_near(item: int, n_items: int, size: int) -> int:
    """The bound between groups nearest to an input."""
    if item == n_items:
        return n_items
    group = group_at(item, size)
    before, after = group_start(group, size), min(group_start(group + 1, size), n_items)
    return before if item - before <= after - item else after
