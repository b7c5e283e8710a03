"""Inputs in groups: what one worker does at a time, and where shards and blocks begin and end.

Bounds follow from an input's number alone. A batch never crosses them, so that a face is predicted beside the same
others, and to the same last bit, whether a run is whole, sharded, resumed, or done by many workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import TypeVar

from kdtools.errors import UsageError

_N_ALIKE = 8  # groups of 1, then of 2, 4, ... inputs, up to the full size: few inputs, too, keep all workers busy

Item = TypeVar("Item")


def group_start(group: int, size: int) -> int:
    """Number of the first input of a group, for groups of at most `size`."""
    start, length = 0, 1
    while length < size:
        if group < _N_ALIKE:
            return start + group * length
        start, group, length = start + _N_ALIKE * length, group - _N_ALIKE, 2 * length
    return start + group * size


def group_at(item: int, size: int) -> int:
    """Number of the group that an input is in."""
    group, start, length = 0, 0, 1
    while length < size:
        if item < start + _N_ALIKE * length:
            return group + (item - start) // length
        group, start, length = group + _N_ALIKE, start + _N_ALIKE * length, 2 * length
    return group + (item - start) // size


def group_bounds(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """First and past-the-last number of each group from the input `first`, which begins one, up to `stop`."""
    for group in count(group_at(first, size)):
        start = group_start(group, size)
        if start >= stop:
            return
        yield start, min(group_start(group + 1, size), stop)


def grouped(items: Iterable[Item], first: int, size: int) -> Iterator[list[Item]]:
    """The inputs from number `first` on, which begins a group, in lists."""
    iterator = iter(items)
    for group in count(group_at(first, size)):
        some = list(islice(iterator, group_start(group + 1, size) - group_start(group, size)))
        if not some:
            return
        yield some


def parse_shard(text: str) -> tuple[int, int]:
    """`K/N` -> K from 0 on, and N. Raises UsageError for what is none."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard is {text!r}", "give K/N, with K from 1 to N")
    return int(match[1]) - 1, int(match[2])


def shard_range(shard: tuple[int, int], n_items: int, size: int) -> tuple[int, int]:
    """First and past-the-last input of a shard, whose bounds are those between groups that make shards most even.

    It is empty where there are too few groups: who submits a job array of many shards need not know how many inputs
    there are.
    """
    number, n_shards = shard
    first, stop = (_bound_near(n_items * k // n_shards, n_items, size) for k in (number, number + 1))
    return first, stop


def _bound_near(item: int, n_items: int, size: int) -> int:
    """Where the group begins that begins nearest to an input; all inputs end one."""
    if item == n_items:
        return n_items
    group = group_at(item, size)
    before, after = group_start(group, size), min(group_start(group + 1, size), n_items)
    return before if item - before <= after - item else after
