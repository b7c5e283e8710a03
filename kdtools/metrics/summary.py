"""Statistics over many faces: mean, quantiles, failure rate, area under the cumulative error distribution (CED).

Input is one error per face, as a fraction of the normaliser; `kdtools.metrics` says what inf and NaN mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError
from kdtools.metrics.errors import Array

_QUANTILES = (50, 90, 95, 99)
_MOST_SAMPLES = 1e7  # of the binned area; guards against typing errors


def failure_rate(nme: npt.ArrayLike, threshold: float) -> float:
    """Fraction of the faces in nme (N,) whose error is above the threshold; inf is, NaN is not counted.

    Raises DataError for a threshold that is not above 0, and if no face could be measured.

    >>> round(failure_rate([0.02, 0.08, np.inf], 0.08), 4)
    0.3333
    """
    faces = _measured(nme, threshold)
    return (len(faces) - _count_to(faces, threshold)) / len(faces)


def area_under_ced(nme: npt.ArrayLike, threshold: float) -> float:
    """Area under the cumulative distribution of nme (N,) up to the threshold, over it: 1 is perfect.

    Exact: the curve is a staircase, so its area is the mean of max(0, 1 - nme / threshold). Code that integrates it at
    sampled errors (`area_under_binned_ced`) comes close. inf adds nothing, NaN is not counted. Raises DataError as
    `failure_rate` does.

    >>> area_under_ced([0.0, 0.04, 0.2], 0.08)  # (1 + 1/2 + 0) / 3
    0.5
    """
    faces = _measured(nme, threshold)
    below = faces[: _count_to(faces, threshold)]
    return float((1 - below / threshold).sum()) / len(faces)


def area_under_binned_ced(nme: npt.ArrayLike, threshold: float, step: float = 0.0001) -> float:
    """Area under the cumulative distribution of nme (N,) as most published code integrates it: "binned".

    Simpson's rule over the fraction of faces with an error up to x, for x = 0, step, 2 step..., over the threshold.

    The errors sampled are np.arange(0, threshold + step, step), which by rounding ends one step too far at some
    thresholds: for the usual step at 0.05 and 0.07, but not at 0.08 or 0.10. There the area contains that step too, and
    a perfect result is not 1 but 1.002 (0.05) or 1.0014 (0.07). An even number of samples, as at these two, leaves one
    interval to the trapezoidal rule; as in scipy before 1.11, with which results were published, the mean of taking the
    first and the last is used (later versions differ by less than 0.0001). inf adds nothing, NaN is not counted. Raises
    DataError as `failure_rate` does, and for a threshold of less than two steps or more than ten million.
    Source: `fr_and_auc` of PIPNet, ADNet and STAR (lib/metric/fr_and_auc.py). SPIGA's benchmark integrates otherwise.

    >>> round(area_under_binned_ced([0.0, 0.04, 0.2], 0.08), 4)  # (1 + 1/2 + 0) / 3
    0.5001
    >>> round(area_under_binned_ced([0.0, 0.0, 0.0], 0.05), 4)
    1.002
    """
    faces = _measured(nme, threshold)
    if not 2 * step <= threshold <= _MOST_SAMPLES * step:
        raise DataError(
            f"the threshold {threshold} does not suit steps of {step}",
            f"give one between {2 * step:g} and {_MOST_SAMPLES * step:g}, or a protocol that integrates exactly",
        )
    samples = np.arange(0, threshold + step, step)
    return _simpson(np.searchsorted(faces, samples, side="right") / len(faces), step) / threshold


def threshold_label(threshold: float) -> str:
    """A threshold as in the keys of `summarise`: two decimals, or as many as it takes.

    >>> threshold_label(0.1), threshold_label(0.08), threshold_label(0.125)
    ('0.10', '0.08', '0.125')
    """
    whole, decimals = f"{threshold:.10f}".split(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def summarise(
    nme: npt.ArrayLike, thresholds: Sequence[float], binned_step: float | None = None
) -> dict[str, int | float | None]:
    """All statistics of nme (N,): n, nme_percent, p50, p90, p95, p99; fr@T_percent, auc@T_percent per threshold T.

    n counts the faces that could be measured; "unmeasured", present only if above 0, counts the others (NaN). The
    quantiles are in percent too, interpolated linearly between faces. With `binned_step`, auc_binned@T_percent follows
    the exact area.

    Faces without a complete prediction (inf) count, so the mean is inf as soon as there is one, and so is a quantile
    that falls on one or next to one; failure rate and AUC remain finite. Nothing is NaN: if no face could be measured,
    n is 0 and every statistic is None.
    Raises DataError for a threshold that is not above 0, and as `area_under_binned_ced` does.

    >>> statistics = summarise([0.02, 0.04, 0.09], [0.08])
    >>> {key: round(value, 4) for key, value in statistics.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'n': 3, 'nme_percent': 5.0, 'p50': 4.0, 'p90': 8.0, 'p95': 8.5, 'p99': 8.9,
     'fr@0.08_percent': 33.3333, 'auc@0.08_percent': 41.6667}
    """
    every = np.asarray(nme, dtype=np.float64).ravel()
    faces = np.sort(every)  # NaN comes last
    n = len(faces) - int(np.isnan(faces).sum())
    faces = faces[:n]
    result: dict[str, int | float | None] = {"n": n}
    if n < len(every):
        result["unmeasured"] = len(every) - n
    result["nme_percent"] = 100 * float(faces.mean()) if n else None
    for share in _QUANTILES:
        result[f"p{share}"] = 100 * _quantile(faces, share / 100) if n else None
    for t in thresholds:
        _check_threshold(t)
        label = threshold_label(t)
        result[f"fr@{label}_percent"] = 100 * failure_rate(faces, t) if n else None
        result[f"auc@{label}_percent"] = 100 * area_under_ced(faces, t) if n else None
        if binned_step is not None:
            result[f"auc_binned@{label}_percent"] = 100 * area_under_binned_ced(faces, t, binned_step) if n else None
    return result


def _simpson(values: Array, step: float) -> float:
    """Simpson's rule; for an even number of values with a trapezoid at one end, the mean of both choices of end."""
    if len(values) % 2:
        return float(values[0] + values[-1] + 4 * values[1:-1:2].sum() + 2 * values[2:-1:2].sum()) * step / 3
    trapezia = float(values[0] + values[1] + values[-2] + values[-1]) * step / 2
    return (_simpson(values[1:], step) + _simpson(values[:-1], step) + trapezia) / 2


def _quantile(faces: Array, share: float) -> float:
    """Quantile of ascending values; infinite ones too, where np.quantile makes NaN of inf - inf."""
    place = share * (len(faces) - 1)
    below = int(place)
    part = place - below
    low = float(faces[below])
    if part == 0 or np.isinf(low):
        return low
    return low + part * (float(faces[below + 1]) - low)


def _count_to(faces: Array, threshold: float) -> int:
    """Number of the ascending errors that are not above the threshold."""
    return int(np.searchsorted(faces, threshold, side="right"))


def _measured(nme: npt.ArrayLike, threshold: float) -> Array:
    """The errors that are not NaN, ascending. Raises DataError if there are none, and for an invalid threshold."""
    _check_threshold(threshold)
    errors: Array = np.asarray(nme, dtype=np.float64)
    if not (errors[1:] >= errors[:-1]).all():  # `summarise` sorts once for all thresholds
        errors = np.sort(errors[~np.isnan(errors)])
    if not len(errors) or np.isnan(errors[-1]):
        raise DataError("no face could be measured", "the truth must have points, the normaliser's among them")
    return errors


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold < np.inf:
        raise DataError(f"the threshold is {threshold}", "give a share above 0, such as 0.08 for 8 %")
