"""How sure the figures are: 95 % intervals and paired tests in which the frames of one person count as one unit.

A unit is a group of faces (a person, a video), or one face where there are no groups. Units are taken as drawn by
chance, each with its number of faces; nothing is assumed of the faces within one. `groups` (n,) are whole numbers, one
per face, the same within a group. Means have the studentised bootstrap, since errors of landmarks are skewed; shares
have Wilson's interval. How often the intervals cover is measured by benchmarks/coverage.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError

LEAST_BOOTSTRAPPED = 4  # units; draws from fewer are too often of one unit alone, without spread
MOST_BOOTSTRAPPED = 1000  # units; more are put together at random into BINS, which keeps a mean's skewness
BINS = 500
WIDEST = 1.5  # times Student's interval; a draw without the one outlier of few units has next to no spread
LEAST_FOR_WILCOXON = 6  # differences; of five, no order is as rare as 5 %
CHUNK = 250_000  # numbers drawn at a time, few enough for the cache

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class PairedComparison:
    """Errors of one prediction against those of another on the same faces; shares, and None where undefined.

    n faces have a finite error in both, in n_groups units. `difference` is the mean of errors - baseline over them, so
    below 0 is better than the baseline, with its interval `low` to `high`; `relative` is that over the baseline's
    mean. `improved` is the share of faces with a smaller error, of all faces that could be measured in both (a
    missing prediction is inf, and larger than any other). Both p values are two-sided.
    """

    n: int
    n_groups: int
    difference: float | None
    low: float | None
    high: float | None
    relative: float | None
    p_bootstrap: float | None
    p_wilcoxon: float | None
    improved: float | None


def mean_interval(
    values: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float] | None:
    """Interval (low, high) of the mean of values (n,), in their unit; cut off at `bounds`, such as (0, 1) for an AUC.

    None with fewer than two units and with an infinite value; NaN is left out. The units are drawn with replacement,
    and the half-width is the quantile of |mean - mean of the draw| / standard error of the draw, times the standard
    error: the symmetric bootstrap-t. Two and three units have Student's t.

    Surprising: equal values have an interval of no width. None is more than 1.5 times as wide as Student's, which costs
    no coverage, and without which one gross error among few faces gives an interval many times its own size.
    Raises DataError where `groups` are not whole numbers or not one per value, for a level outside 0 to 1 and for
    draws below 1.
    Source: Efron and Tibshirani 1993, ch. 12; Hall 1992, §3.5 (symmetric); Cochran 1977, §6 (error of a ratio).

    >>> low, high = mean_interval([0.02, 0.04, 0.06])  # 0.04 ± 4.303 * 0.02 / sqrt(3), Student's t of 2 degrees
    >>> print(round(low, 4), round(high, 4))
    -0.0097 0.0897
    >>> mean_interval([0.02, 0.04, 0.06], groups=[7, 7, 7]) is None  # one person only
    True
    """
    _check(level, draws)
    sample = np.asarray(values, dtype=np.float64).ravel()
    units = _unit_of_each(groups, len(sample))
    known = ~np.isnan(sample)
    if not known.all():
        sample, units = sample[known], None if units is None else units[known]
    if not np.isfinite(sample).all():
        return None
    mean = _Mean(sample, units)
    if mean.n_units < 2:
        return None
    low, high = mean.interval(level, mean.bootstrap(draws, seed))
    return max(low, bounds[0]), min(high, bounds[1])


def share_interval(
    hits: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, level: float = 0.95
) -> tuple[float, float] | None:
    """Interval (low, high) of the share of True in hits (n,): Wilson's, of as many faces as the groups are worth.

    Groups divide the number of faces by the design effect, which is the variance between them over that of independent
    faces, at least 1; z becomes Student's t of the groups less one. None without faces, and with a single group.

    Surprising: the design effect counts two half groups more, one of hits and one of none. Few hits are often of one
    or two people and tell nothing of the spread between people; without the half groups the interval of a rare failure
    is too narrow by half. So without any hit the faces are worth about two per group.
    Raises DataError as `mean_interval` does.
    Source: Wilson 1927; Korn and Graubard 1998 (effective sample size).

    >>> low, high = share_interval([True, False, False])
    >>> print(round(low, 3), round(high, 3))
    0.061 0.792
    >>> low, high = share_interval([False, False, False])  # z² / (n + z²) = 3.84 / 6.84
    >>> print(round(low, 3), round(high, 3))
    0.0 0.561
    """
    _check(level)
    hit = np.asarray(hits, dtype=bool).ravel()
    found = _share_limits(np.where(hit, 0, 1), 1, _unit_of_each(groups, len(hit)), level)
    return None if found is None else (float(found[0][0]), float(found[1][0]))


def ced_band(
    nme: npt.ArrayLike, groups: npt.ArrayLike | None, grid: npt.ArrayLike, *, level: float = 0.95
) -> tuple[Array, Array] | None:
    """Limits (low (K,), high (K,)) of the share of faces with an error up to each of grid (K,); out of nme (n,).

    At each error the interval of `share_interval`, so one point of the curve is covered so often, not all at once. Both
    limits ascend, as the curve does: where groups would make them descend, the interval is wider.
    A missing prediction (inf) is above every error; NaN is not counted. None as in `share_interval`.
    Raises DataError as `mean_interval` does, and for a grid that does not ascend.

    >>> low, high = ced_band([0.02, 0.05, np.inf], None, [0.01, 0.03])
    >>> print(low.round(3), high.round(3))
    [0.    0.061] [0.561 0.792]
    """
    _check(level)
    errors = np.asarray(nme, dtype=np.float64).ravel()
    at = np.asarray(grid, dtype=np.float64).ravel()
    if not (np.diff(at) >= 0).all():  # NaN included
        raise DataError("the errors at which a band is wanted do not ascend", "sort them")
    units = _unit_of_each(groups, len(errors))
    known = ~np.isnan(errors)
    if not known.all():
        errors, units = errors[known], None if units is None else units[known]
    limits = _share_limits(np.searchsorted(at, errors), len(at), units, level)
    if limits is None:
        return None
    return np.minimum.accumulate(limits[0][::-1])[::-1], np.maximum.accumulate(limits[1])


def compare_paired(
    errors: npt.ArrayLike,
    baseline: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PairedComparison:
    """Compare errors (n,) with those of a baseline (n,) on the same faces, in whose order they are; see the result.

    The interval is that of `mean_interval` of the differences, and p_bootstrap the least 1 - level at which it leaves
    out 0; with d draws it is never below 1 / (d + 1). p_wilcoxon is that of Wilcoxon's signed ranks of the units' mean
    differences, and None where fewer than six of them differ from 0.

    Surprising: the two p values ask different things. A mean follows a few faces that are much worse; Wilcoxon's test
    asks whether most units are better, each group counting once, and calls a skewed difference of mean 0 one.
    Equal predictions have a difference of 0, p_bootstrap 1 and p_wilcoxon None.
    Raises DataError as `mean_interval` does, and for errors and baseline of different lengths.
    Source: as `mean_interval`; Wilcoxon 1945, scipy.stats.wilcoxon.

    >>> found = compare_paired([0.02, 0.03, 0.07], [0.04, 0.05, 0.06])  # -0.02, -0.02, 0.01
    >>> print(round(found.difference, 4), round(found.relative, 4), round(found.improved, 4))
    -0.01 -0.2 0.6667
    """
    _check(level, draws)
    new, old = (np.asarray(each, dtype=np.float64).ravel() for each in (errors, baseline))
    if len(new) != len(old):
        raise DataError(f"{len(new)} errors to compare with {len(old)}", "give both for the same faces")
    units = _unit_of_each(groups, len(new))
    measured = ~(np.isnan(new) | np.isnan(old))
    improved = float(np.mean(new[measured] < old[measured])) if measured.any() else None
    both = np.isfinite(new) & np.isfinite(old)
    if not both.any():
        return PairedComparison(0, 0, None, None, None, None, None, None, improved)
    new, old = new[both], old[both]
    mean = _Mean(new - old, None if units is None else units[both])
    before = float(old.mean())
    low = high = p = None
    if mean.n_units >= 2:
        drawn = mean.bootstrap(draws, seed)
        low, high = mean.interval(level, drawn)
        p = mean.p_value(drawn, draws)
    return PairedComparison(
        n=len(new),
        n_groups=mean.n_units,
        difference=mean.value,
        low=low,
        high=high,
        relative=mean.value / before if before else None,
        p_bootstrap=p,
        p_wilcoxon=_wilcoxon(mean.sums / mean.counts),
        improved=improved,
    )


class _Mean:
    """Mean of a sample, its standard error with units drawn by chance, and what that ratio does in draws of units."""

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
        """|t| of each draw (draws,), ascending; None where Student's t stands for it."""
        if self.n_units < LEAST_BOOTSTRAPPED or not self.error:
            return None
        rng = np.random.default_rng(seed)
        r: Array = self.residuals  # rather than sums: no digits are lost in the differences below
        n: Array = self.counts
        if self.n_units > MOST_BOOTSTRAPPED:
            bins = rng.integers(0, BINS, self.n_units)
            r, n = np.bincount(bins, r, BINS), np.bincount(bins, n, BINS)
        n_units = len(r)
        moments = np.stack([r, n, r * r, r * n, n * n], axis=1)
        step = max(1, CHUNK // n_units)
        totals = []
        for first in range(0, draws, step):
            rows = min(step, draws - first)
            drawn = rng.integers(0, n_units, (rows, n_units)) + n_units * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * n_units).reshape(rows, n_units)
            totals.append(times.astype(np.float64) @ moments)
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
        quantile = _student_quantile((1 + level) / 2, self.n_units - 1)
        if drawn is not None:
            rank = math.ceil(level * (len(drawn) + 1)) - 1
            quantile = min(WIDEST * quantile, float(drawn[rank]) if rank < len(drawn) else math.inf)
        return self.value - quantile * self.error, self.value + quantile * self.error

    def p_value(self, drawn: Array | None, draws: int) -> float:
        """Two-sided p of a true mean of 0, as the interval has it: the least 1 - level that leaves out 0."""
        if not self.error:
            return 1.0 if self.value == 0 else 1 / (draws + 1)
        from scipy.special import stdtr  # 0.1 s to load

        t = abs(self.value) / self.error
        if drawn is None:
            return float(2 * stdtr(self.n_units - 1, -t))
        as_far = len(drawn) - int(np.searchsorted(drawn, t))
        return min((as_far + 1) / (draws + 1), max(1 / (draws + 1), float(2 * stdtr(self.n_units - 1, -t / WIDEST))))


def _share_limits(cells: Array, n_cells: int, units: Array | None, level: float) -> tuple[Array, Array] | None:
    """Wilson's limits of the shares of cells (n,) that are 0, up to 1, up to 2, ... below n_cells."""
    n = len(cells)
    if n == 0:
        return None
    t = NormalDist().inv_cdf((1 + level) / 2)
    worth: Array | float = n
    if units is None:
        shares = np.bincount(cells, minlength=n_cells + 1)[:-1].cumsum() / n
    else:
        present = np.bincount(units) > 0
        n_units = int(present.sum())
        if n_units < 2:
            return None
        t = _student_quantile((1 + level) / 2, n_units - 1)
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
        worth = n / np.maximum(1, effect)
    centre = shares + t * t / worth / 2
    half_width = t * np.sqrt(shares * (1 - shares) / worth + (t / worth / 2) ** 2)
    whole = 1 + t * t / worth
    low = np.where(shares > 0, np.maximum(0, (centre - half_width) / whole), 0)  # exactly 0 and 1 at the ends
    return low, np.where(shares < 1, np.minimum(1, (centre + half_width) / whole), 1)


def _student_quantile(p: float, degrees: int) -> float:
    """Quantile of Student's t above the median: exact for 1 and 2 degrees, else within 1 % up to p 0.975.

    scipy has it exactly, but takes a tenth of a second to load, which every table would wait for.
    Source: Abramowitz and Stegun 1964, 26.7.5.
    """
    if degrees == 1:
        return math.tan(math.pi * (p - 0.5))
    if degrees == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    z, v = NormalDist().inv_cdf(p), degrees
    return (
        z
        + (z**3 + z) / 4 / v
        + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / v**2
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / v**3
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / v**4
    )


def _wilcoxon(differences: Array) -> float | None:
    if np.count_nonzero(differences) < LEAST_FOR_WILCOXON:
        return None
    from scipy.stats import wilcoxon  # 0.4 s to load

    return float(wilcoxon(differences).pvalue)


def _unit_of_each(groups: npt.ArrayLike | None, n: int) -> Array | None:
    """Units (n,) as whole numbers from 0 on, none much above n: what np.bincount takes."""
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


def _check(level: float, draws: int = 1) -> None:
    if not 0 < level < 1:
        raise DataError(f"an interval of level {level}", "a level is between 0 and 1, such as 0.95")
    if draws < 1:
        raise DataError(f"a bootstrap of {draws} draws", "it takes at least 1, and 1000 or more for steady limits")
