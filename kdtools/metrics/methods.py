"""Confidence intervals and comparisons of training methods, each known by some models: the same training, other seeds.

Errors are (K, n): those of K models on the same n faces. Faces (or their groups) and models are two independent
sources of chance, and the variance of a mean is the sum of both: that between faces, of the models' mean error, as in
`intervals`, and that between the models' means over K. Student's t has the degrees of freedom of Satterthwaite's
formula. Resampling models as well as faces would be too narrow where models are few (benchmarks/coverage.py).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError
from kdtools.metrics import student_t
from kdtools.metrics.bootstrap import units_of
from kdtools.metrics.errors import Array
from kdtools.metrics.intervals import PairedComparison, compare_paired, mean_interval, share_interval

Limits = tuple[float, float]
Terms = list[tuple[float, int]]  # variance of a mean over models, and its degrees of freedom


def method_interval(
    values: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    bounds: Limits = (-math.inf, math.inf),
) -> Limits | None:
    """Interval (low, high) of a method's mean of values (K, n), over other models and other faces.

    With one model it is `mean_interval`, which is of that network alone. `groups`, `bounds`, None and errors are those
    of `mean_interval`; a face with NaN in one model is left out.
    Source: as `mean_interval`; Satterthwaite 1946 (degrees of freedom of a sum of variances).

    >>> low, high = method_interval([[0.02, 0.04, 0.06], [0.02, 0.04, 0.06]])  # no spread between models
    >>> print(round(low, 4), round(high, 4))
    -0.0097 0.0897
    """
    sample = _models(values)
    units = units_of(groups, sample.shape[1])
    known = ~np.isnan(sample).any(axis=0)
    if not known.all():
        sample, units = sample[:, known], None if units is None else units[known]
    if len(sample) == 1:
        return mean_interval(sample[0], units, level=level, draws=draws, seed=seed, bounds=bounds)
    limits = mean_interval(sample.mean(axis=0), units, level=level, draws=draws, seed=seed)
    if limits is None:
        return None
    low, high = _widened(float(sample.mean()), limits, _n_units(units, sample.shape[1]), _terms(sample), level)
    return max(low, bounds[0]), min(high, bounds[1])


def method_share_interval(
    hits: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, level: float = 0.95
) -> Limits | None:
    """Interval (low, high) of a method's share of True in hits (K, n), over other models and other faces.

    The means of the models' Wilson limits, which treats faces as if the models agreed on them, wider by the spread of
    the models' shares (of a single face, no wider). None and errors are those of `share_interval`, which it is with one
    model.

    >>> low, high = method_share_interval([[False] * 3, [False] * 3])  # as one model without a hit
    >>> print(round(low, 3), round(high, 3))
    0.0 0.561
    """
    hit = np.atleast_2d(np.asarray(hits, dtype=bool))
    if len(hit) == 1:
        return share_interval(hit[0], groups, level=level)
    limits = [share_interval(one, groups, level=level) for one in hit]
    if any(one is None for one in limits):
        return None
    low, high = (float(np.mean(ends)) for ends in zip(*filter(None, limits), strict=True))
    n_units = _n_units(units_of(groups, hit.shape[1]), hit.shape[1])
    if n_units > 1:  # of one face Wilson's limits have no spread to add to
        low, high = _widened(float(hit.mean()), (low, high), n_units, _terms(hit), level)
    return max(0.0, low), min(1.0, high)


def compare_methods(
    errors: npt.ArrayLike,
    baseline: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    paired: bool = False,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PairedComparison:
    """Compare a method's errors (K, n) with a baseline's (M, n) on the same faces in the same order.

    All of PairedComparison is of the models' mean error at each face: the difference is paired by face, and its
    interval is over other models and other faces. p_bootstrap is below 1 - level where the interval excludes 0, and at
    least 1 / (draws + 1). p_wilcoxon is None, since it would test the networks, not the methods; with one model each
    everything is `compare_paired`. A method with one model adds no variance: the result is then of that network.

    `paired` means that model k of both methods shares what else varies, such as a drawn training set (K = M): then only
    the differences of such pairs vary. Raises DataError as `mean_interval` does, and where the numbers differ.
    Source: as `method_interval`.

    >>> comparison = compare_methods([[0.02, 0.03], [0.03, 0.04]], [[0.04, 0.05], [0.05, 0.06]])
    >>> print(round(comparison.difference, 4), comparison.improved)
    -0.02 1.0
    """
    new, old = _models(errors), _models(baseline)
    if new.shape[1] != old.shape[1]:
        raise DataError(f"{new.shape[1]} errors to compare with {old.shape[1]}", "give both for the same faces")
    if paired and len(new) != len(old):
        raise DataError(f"{len(new)} models to pair with {len(old)}", "give as many models of both methods")
    means = new.mean(axis=0), old.mean(axis=0)
    faces = compare_paired(*means, groups, level=level, draws=draws, seed=seed)
    if len(new) == len(old) == 1:
        return faces
    faces = replace(faces, p_wilcoxon=None)
    finite = np.isfinite(means[0]) & np.isfinite(means[1])
    new, old = new[:, finite], old[:, finite]
    terms = _terms(new - old) if paired else _terms(new) + _terms(old)
    if not terms or faces.difference is None or faces.low is None or faces.high is None:
        return faces
    low, high = _widened(faces.difference, (faces.low, faces.high), faces.n_groups, terms, level)
    error, degrees = _standard_error(faces.high - faces.difference, faces.n_groups, terms, level)
    p = max(1 / (draws + 1), student_t.two_sided_p(abs(faces.difference) / error, degrees))
    return replace(faces, low=low, high=high, p_bootstrap=p)


def _models(values: npt.ArrayLike) -> Array:
    """Values (K, n) as float64; one model may come as (n,)."""
    found = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if found.ndim != 2 or not len(found):
        raise DataError(f"errors of shape {found.shape}", "give those of each model as a row: (models, faces)")
    return found


def _terms(values: Array) -> Terms:
    """Variance of the mean over the models (K, n), and its degrees of freedom; nothing of a single model."""
    k = len(values)
    if k < 2 or not values.shape[1]:
        return []
    means = values.mean(axis=1)
    spread = float(means.var(ddof=1)) / k
    return [(spread, k - 1)] if spread > (1e-12 * float(np.abs(means).max())) ** 2 else []


def _widened(value: float, limits: Limits, n_units: int, terms: Terms, level: float) -> Limits:
    """Limits over faces, wider by the variance between models, each side by itself."""
    if not terms:
        return limits
    halves = []
    for end in limits:
        error, degrees = _standard_error(abs(end - value), n_units, terms, level)
        halves.append(student_t.quantile(level, degrees) * error)
    return value - halves[0], value + halves[1]


def _standard_error(half: float, n_units: int, terms: Terms, level: float) -> tuple[float, int]:
    """Standard error of a mean over faces and models, and degrees of freedom; `half` is the half-width over faces."""
    of_faces = (half / student_t.quantile(level, n_units - 1)) ** 2
    total = of_faces + sum(variance for variance, _ in terms)
    degrees = total**2 / (of_faces**2 / (n_units - 1) + sum(v**2 / d for v, d in terms))
    return math.sqrt(total), max(1, int(degrees))


def _n_units(units: Array | None, n: int) -> int:
    return n if units is None else int(np.count_nonzero(np.bincount(units)))
