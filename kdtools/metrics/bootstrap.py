"""Studentised bootstrap of means, and Wilson's limits of shares, over units; `intervals` documents them.

`units` (n,) are whole numbers from 0 on, equal for the values of one unit; None if each value is its own unit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError
from kdtools.metrics import student_t
from kdtools.metrics.errors import Array

LEAST_BOOTSTRAPPED = 4  # units; draws from fewer often contain one unit alone, without spread
MOST_BOOTSTRAPPED = 1000  # units; more are merged at random into BINS, which keeps a mean's skewness
BINS = 500
WIDEST = 1.5  # times Student's interval; a draw without the one outlier among few units has hardly any spread
CHUNK = 250_000  # numbers drawn at a time, few enough for the cache


class SampledMean:
    """Mean of a sample, its standard error with independent units, and its bootstrap distribution."""

    def __init__(self, sample: Array, units: Array | None) -> None:
        if units is None:
            self.sums, self.counts = sample, np.ones(len(sample))
        else:
            counts = np.bincount(units)
            self.sums, self.counts = np.bincount(units, sample)[counts > 0], counts[counts > 0].astype(np.float64)
        self.n_units = len(self.sums)
        self.value = float(self.sums.sum() / len(sample)) if len(sample) else math.nan
        self.residuals = self.sums - self.value * self.counts
        error = 0.0
        if self.n_units > 1:
            error = math.sqrt(self.n_units / (self.n_units - 1) * float(self.residuals @ self.residuals)) / len(sample)
        rounding = 1e-12 * math.sqrt(float(self.sums @ self.sums) / max(1, self.n_units))
        self.error = error if error > rounding else 0.0

    def bootstrap(self, draws: int, seed: int) -> Array | None:
        """|t| of each draw (draws,), ascending; None where Student's t is used instead."""
        if self.n_units < LEAST_BOOTSTRAPPED or not self.error:
            return None
        bins, times = _drawn(self.n_units, draws, seed)
        r: Array = self.residuals  # rather than sums, to avoid cancellation in the differences below
        n: Array = self.counts
        if bins is not None:
            r, n = np.bincount(bins, r, BINS), np.bincount(bins, n, BINS)
        n_units = len(r)
        moments = np.stack([r, n, r * r, r * n, n * n], axis=1)
        totals = [some.astype(np.float64) @ moments for some in times]
        sum_r, sum_n, sum_rr, sum_rn, sum_nn = np.concatenate(totals).T
        shift = sum_r / sum_n
        spread = np.maximum(0, sum_rr - shift * (2 * sum_rn - shift * sum_nn))
        error = np.sqrt(n_units / (n_units - 1) * spread) / sum_n
        t = np.full(draws, np.inf)  # a draw of equal units
        np.divide(np.abs(shift), error, out=t, where=error > 1e-6 * self.error)
        return np.sort(t)

    def interval(self, level: float, drawn: Array | None) -> tuple[float, float]:
        if not self.error:
            return self.value, self.value
        t = student_t.quantile(level, self.n_units - 1)
        if drawn is not None:
            rank = math.ceil(level * (len(drawn) + 1)) - 1
            t = min(WIDEST * t, float(drawn[rank]) if rank < len(drawn) else math.inf)
        return self.value - t * self.error, self.value + t * self.error

    def p_value(self, drawn: Array | None, draws: int) -> float:
        """Two-sided p value of a true mean of 0: the smallest 1 - level whose interval excludes 0."""
        if not self.error:
            return 1.0 if self.value == 0 else 1 / (draws + 1)
        t = abs(self.value) / self.error
        if drawn is None:
            return student_t.two_sided_p(t, self.n_units - 1)
        as_far = len(drawn) - int(np.searchsorted(drawn, t))
        return min(
            (as_far + 1) / (draws + 1), max(1 / (draws + 1), student_t.two_sided_p(t / WIDEST, self.n_units - 1))
        )


@lru_cache(maxsize=2)
def _drawn(n_units: int, draws: int, seed: int) -> tuple[Array | None, list[Array]]:
    """Bins (n_units,) that many units are merged into, else None; and how often each draw has each bin or unit.

    The latter are blocks of draws, (draws, bins or units) uint16 together. Drawing takes longer than what is then
    computed of a sample, and the values of a table have the same number of units.
    """
    rng = np.random.default_rng(seed)
    bins = None
    if n_units > MOST_BOOTSTRAPPED:
        bins, n_units = rng.integers(0, BINS, n_units), BINS
    step = max(1, CHUNK // n_units)
    times = []
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        drawn = rng.integers(0, n_units, (rows, n_units)) + n_units * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n_units)
        times.append(counts.reshape(rows, n_units).astype(np.uint16))
    return bins, times


def share_limits(cells: Array, n_cells: int, units: Array | None, level: float) -> tuple[Array, Array] | None:
    """Wilson's limits of the shares of cells (n,) that are 0, up to 1, up to 2, ... below n_cells."""
    n = len(cells)
    if n == 0:
        return None
    t = NormalDist().inv_cdf((1 + level) / 2)
    n_effective: Array | float = n
    if units is None:
        shares = np.bincount(cells, minlength=n_cells + 1)[:-1].cumsum() / n
    else:
        present = np.bincount(units) > 0
        n_units = int(present.sum())
        if n_units < 2:
            return None
        t = student_t.quantile(level, n_units - 1)
        if n_units > MOST_BOOTSTRAPPED:  # the variance between random unions of units is the same, and the table small
            of_unit = np.random.default_rng(0).integers(0, BINS, len(present))
        else:
            of_unit = present.cumsum() - 1
        counts = np.bincount(of_unit[units] * (n_cells + 1) + cells, minlength=(int(of_unit.max()) + 1) * (n_cells + 1))
        table = counts.reshape(-1, n_cells + 1).cumsum(axis=1)
        table = table[table[:, -1] > 0]
        hits, faces = table[:, :-1], table[:, -1:]
        shares = hits.sum(axis=0) / n
        half = n / n_units / 2
        smoothed = (hits.sum(axis=0) + half) / (n + 2 * half)
        squares = np.square(hits - smoothed * faces).sum(axis=0)
        squares += half**2 * ((1 - smoothed) ** 2 + smoothed**2)
        rows = len(table) + 2
        effect = squares * rows / (rows - 1) / ((n + 2 * half) * smoothed * (1 - smoothed))
        n_effective = n / np.maximum(1, effect)
    centre = shares + t * t / n_effective / 2
    half_width = t * np.sqrt(shares * (1 - shares) / n_effective + (t / n_effective / 2) ** 2)
    whole = 1 + t * t / n_effective
    low = np.where(shares > 0, np.maximum(0, (centre - half_width) / whole), 0)  # exactly 0 and 1 at the ends
    return low, np.where(shares < 1, np.minimum(1, (centre + half_width) / whole), 1)


def units_of(groups: npt.ArrayLike | None, n: int) -> Array | None:
    """Units (n,) as whole numbers from 0 on, none much above n, as np.bincount requires."""
    if groups is None:
        return None
    codes = np.asarray(groups).ravel()
    if len(codes) != n:
        raise DataError(f"groups of {len(codes)} faces, but {n} values", "give the group of each face")
    if n == 0:
        return np.zeros(0, np.int64)
    if codes.dtype.kind not in "iu":
        raise DataError("the groups of the faces are not whole numbers", "number them")
    if codes.min() >= 0 and codes.max() < 2 * n + 1000:
        return codes
    return np.unique(codes, return_inverse=True)[1]
