"""Columns at the ends of a list of points that hold attributes, scores, constants or numbers of rows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from kdtools.datasets.formats.shared.point_order import FEWEST_POINTS, FEWEST_ROWS

SHARES = (-0.5, 1.5)  # shares of a picture; points may lie somewhat outside it
N_ENDS = 12  # columns at either end in which such columns are looked for
SMALL = 10  # largest absolute value of an attribute


def extras_at_ends(table: np.ndarray, known_counts: Collection[int]) -> tuple[int, int]:
    """How many columns at the beginning and at the end are attributes, scores, constants, or count the rows."""
    n_columns = table.shape[1]
    ends = min(N_ENDS, n_columns - 2 * FEWEST_POINTS)
    extra = _is_extra(table)
    if extra.mean() > 0.5 or ends <= 0:  # the rule is for a few numbers beside many
        return 0, 0
    first, last = np.flatnonzero(extra[:ends]), np.flatnonzero(extra[n_columns - ends :])
    before = int(first[-1]) + 1 if len(first) else 0
    after = ends - int(last[0]) if len(last) else 0
    if before + after > ends:
        return 0, 0
    for start, stop in ((0, before), (n_columns - after, n_columns)):
        if stop > start and _may_be_missing_points(table[:, start:stop], n_columns - before - after, known_counts):
            before, after = (0, after) if start == 0 else (before, 0)
    return before, after


def _is_extra(table: np.ndarray) -> np.ndarray:
    """(k,) whether a column holds what no coordinate can be, given the others."""
    known = np.isfinite(table)
    seen = known.any(axis=0)  # a column without any number is a point that nobody marked

    def mostly(holds: np.ndarray) -> np.ndarray:
        return (holds | ~known).mean(axis=0) >= 0.99

    whole = mostly(table % 1 == 0)
    in_range = mostly((table > SHARES[0]) & (table < SHARES[1]))
    if np.mean(in_range & ~whole) > 0.5:  # shares of the picture
        return (whole | ~in_range) & seen
    small = mostly(np.abs(table) <= SMALL)
    constant = mostly(table == table[:1]) if len(table) > 2 else np.zeros(len(whole), bool)
    if constant.mean() > 0.5:  # the same face over and over
        constant[:] = False
    return (small | ((constant | _counts_rows(table)) & whole)) & seen


def _counts_rows(table: np.ndarray) -> np.ndarray:
    """(k,) whether a column rises or falls by the same number from row to row."""
    steps = np.diff(table, axis=0)
    if len(steps) < FEWEST_ROWS - 1:
        return np.zeros(table.shape[1], bool)
    return np.asarray((steps == steps[:1]).all(axis=0) & (steps[0] != 0))


def _may_be_missing_points(block: np.ndarray, n_rest: int, known_counts: Collection[int]) -> bool:
    """Whether a block of columns is rather points that are never there, `-1 -1` or `0 0`, than attributes."""
    if block.shape[1] % 2:
        return False
    pairs = block.reshape(len(block), -1, 2)
    sentinels = (pairs[..., 0] == pairs[..., 1]) & np.isin(pairs[..., 0], (0, -1))
    return bool(sentinels.all()) and ((n_rest + block.shape[1]) // 2 in known_counts or n_rest // 2 not in known_counts)
