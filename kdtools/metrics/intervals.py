"""Confidence intervals and paired tests in which the faces of one person count as one unit.

A unit is a group of faces (a person, a video), or one face if there are no groups. Units count as independent draws,
each with its number of faces; nothing is assumed about the faces within one. `groups` (n,) are whole numbers, one per
face, equal within a group. Means have a studentised bootstrap, since landmark errors are skewed; shares have Wilson's
interval. benchmarks/coverage.py measures the coverage of the intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError
from kdtools.metrics.bootstrap import SampledMean, share_limits, units_of
from kdtools.metrics.errors import Array

LEAST_FOR_WILCOXON = 6  # differences; with five, no p value can be below 5 %


@dataclass(frozen=True)
class PairedComparison:
    """Errors of one prediction compared with a baseline's on the same faces, as fractions; None where undefined.

    `n` faces in `n_groups` units have a finite error in both. `difference` is their mean of errors - baseline, negative
    if better than the baseline, with its interval `low` to `high`; `relative` is it over the baseline's mean.
    `improved` is the share of faces with a smaller error among all faces measured in both (a missing prediction is inf,
    larger than any other). Both p values are two-sided.
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

    None with fewer than two units or with an infinite value; NaN is left out. The symmetric bootstrap-t: units are
    drawn with replacement, and the half-width is the standard error times the quantile of |mean - mean of the draw| /
    standard error of the draw. Two and three units use Student's t.

    Equal values have an interval of zero width. The width is at most 1.5 times that of Student's interval, which costs
    no coverage; otherwise one gross error among few faces would give an interval many times its own size. Raises
    DataError if `groups` are not whole numbers or not one per value, for a level outside 0 to 1, and for draws below 1.
    Source: Efron and Tibshirani 1993, ch. 12; Hall 1992, §3.5 (symmetric); Cochran 1977, §6 (error of a ratio).

    >>> low, high = mean_interval([0.02, 0.04, 0.06])  # 0.04 ± 4.303 * 0.02 / sqrt(3), Student's t of 2 degrees
    >>> print(round(low, 4), round(high, 4))
    -0.0097 0.0897
    >>> mean_interval([0.02, 0.04, 0.06], groups=[7, 7, 7]) is None  # one person only
    True
    """
    _check(level, draws)
    sample = np.asarray(values, dtype=np.float64).ravel()
    units = units_of(groups, len(sample))
    known = ~np.isnan(sample)
    if not known.all():
        sample, units = sample[known], None if units is None else units[known]
    if not np.isfinite(sample).all():
        return None
    mean = SampledMean(sample, units)
    if mean.n_units < 2:
        return None
    low, high = mean.interval(level, mean.bootstrap(draws, seed))
    return max(low, bounds[0]), min(high, bounds[1])


def share_interval(
    hits: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, level: float = 0.95
) -> tuple[float, float] | None:
    """Wilson's interval (low, high) of the share of True in hits (n,), with the effective sample size of the groups.

    Groups divide the number of faces by the design effect, the variance between groups over that of independent faces,
    at least 1; z becomes Student's t of the number of groups less one. None without faces, or with a single group.

    The design effect includes two extra half groups, one with only hits and one without. Rare hits often come from one
    or two people and say nothing about the spread between people; without the half groups the interval of a rare
    failure would be half as wide as it should be. Without any hit the effective sample size is about two per group.
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
    limits = share_limits(np.where(hit, 0, 1), 1, units_of(groups, len(hit)), level)
    return None if limits is None else (float(limits[0][0]), float(limits[1][0]))


def ced_band(
    nme: npt.ArrayLike, groups: npt.ArrayLike | None, grid: npt.ArrayLike, *, level: float = 0.95
) -> tuple[Array, Array] | None:
    """Limits (low (K,), high (K,)) of the share of faces in nme (n,) with an error up to each of grid (K,).

    At each error the interval of `share_interval`: pointwise coverage, not simultaneous. Both limits ascend, as the
    curve does: where groups would make them descend, the interval is wider. A missing prediction (inf) is above every
    error; NaN is not counted. None as in `share_interval`. Raises DataError as `mean_interval` does, and for a grid
    that does not ascend.

    >>> low, high = ced_band([0.02, 0.05, np.inf], None, [0.01, 0.03])
    >>> print(low.round(3), high.round(3))
    [0.    0.061] [0.561 0.792]
    """
    _check(level)
    errors = np.asarray(nme, dtype=np.float64).ravel()
    at = np.asarray(grid, dtype=np.float64).ravel()
    if not (np.diff(at) >= 0).all():  # NaN included
        raise DataError("the errors of the grid do not ascend", "sort them")
    units = units_of(groups, len(errors))
    known = ~np.isnan(errors)
    if not known.all():
        errors, units = errors[known], None if units is None else units[known]
    limits = share_limits(np.searchsorted(at, errors), len(at), units, level)
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
    """Compare errors (n,) with those of a baseline (n,) on the same faces in the same order.

    The interval is that of `mean_interval` for the differences, and p_bootstrap the smallest 1 - level whose interval
    excludes 0; with d draws it is at least 1 / (d + 1). p_wilcoxon is that of Wilcoxon's signed-rank test of the units'
    mean differences, None if fewer than six of them differ from 0.

    The two p values answer different questions. A mean follows a few faces that are much worse; Wilcoxon's test asks
    whether most units are better, each counting once, and can be small for a skewed difference of mean 0. Equal
    predictions have a difference of 0, p_bootstrap 1 and p_wilcoxon None. Raises DataError as `mean_interval` does, and
    if errors and baseline differ in length.
    Source: as `mean_interval`; Wilcoxon 1945, scipy.stats.wilcoxon.

    >>> comparison = compare_paired([0.02, 0.03, 0.07], [0.04, 0.05, 0.06])  # -0.02, -0.02, 0.01
    >>> print(round(comparison.difference, 4), round(comparison.relative, 4), round(comparison.improved, 4))
    -0.01 -0.2 0.6667
    """
    _check(level, draws)
    new, old = (np.asarray(each, dtype=np.float64).ravel() for each in (errors, baseline))
    if len(new) != len(old):
        raise DataError(f"{len(new)} errors to compare with {len(old)}", "give both for the same faces")
    units = units_of(groups, len(new))
    measured = ~(np.isnan(new) | np.isnan(old))
    improved = float(np.mean(new[measured] < old[measured])) if measured.any() else None
    both = np.isfinite(new) & np.isfinite(old)
    if not both.any():
        return PairedComparison(0, 0, None, None, None, None, None, None, improved)
    new, old = new[both], old[both]
    mean = SampledMean(new - old, None if units is None else units[both])
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


def _wilcoxon(differences: Array) -> float | None:
    if np.count_nonzero(differences) < LEAST_FOR_WILCOXON:
        return None
    from scipy.stats import wilcoxon  # 0.4 s to load

    return float(wilcoxon(differences).pvalue)


def _check(level: float, draws: int = 1) -> None:
    if not 0 < level < 1:
        raise DataError(f"an interval of level {level}", "a level is between 0 and 1, such as 0.95")
    if draws < 1:
        raise DataError(f"a bootstrap of {draws} draws", "it takes at least 1, and 1000 or more for steady limits")
