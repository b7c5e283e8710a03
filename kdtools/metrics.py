"""Errors of predicted landmarks: normalised mean error (NME), failure rate, AUC, quantiles.

Errors are shares of the normaliser, as numbers (0.05 is 5 %); only `summarise` speaks in percent. Two values
have meanings of their own: an NME of inf is a face whose prediction lacks a point, which counts as a failure
at every threshold; an NME of NaN is a face that cannot be measured, which no figure counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError

NORMALISERS = ("inter-ocular", "inter-pupil", "box-diagonal", "box-size")
BLOCK_FACES = 8192  # some 60 MB of temporaries for 68 points, whatever the number of faces

Array = np.ndarray[Any, np.dtype[Any]]


class Rows(Protocol):
    """Anything sliced by rows: an array, a list of shapes, an HDF5 data set that stays on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Any: ...


def normaliser_per_face(
    gt: Rows,
    kind: str,
    *,
    outer_corners: Sequence[int] | None = None,
    left_eye: Sequence[int] | None = None,
    right_eye: Sequence[int] | None = None,
) -> Array:
    """Length (N,), in pixels, that the errors of each face are divided by; from the truth gt (N, L, 2) alone.

    "inter-ocular": distance of the two points `outer_corners`; "inter-pupil": distance of the means of the
    points `left_eye` and `right_eye`; "box-diagonal" and "box-size": diagonal, and sqrt(width * height), of
    the box around the annotated points, from the first point to the last (no pixel added).

    Surprising: NaN where a point that the length needs is missing, rather than a length from the remaining
    points, as another length would make the face's error incomparable.
    Raises DataError for an unknown kind and for indices that are missing or outside the points.
    Source: 300W's inter-ocular and inter-pupil conventions; AFLW2000-3D's box.

    >>> triangle = np.array([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]])
    >>> print(normaliser_per_face(triangle, "inter-ocular", outer_corners=(0, 2)))
    [5.]
    >>> print(normaliser_per_face(triangle * [1, 2], "inter-pupil", left_eye=[0], right_eye=[1, 2]))
    [5.]
    >>> print(normaliser_per_face(triangle, "box-diagonal"), normaliser_per_face(triangle, "box-size") ** 2)
    [5.] [12.]
    """
    if kind not in NORMALISERS:
        raise DataError(f"unknown normaliser {kind!r}", f"choose one of: {', '.join(NORMALISERS)}")
    first: Sequence[int] = ()
    second: Sequence[int] = ()
    if kind == "inter-ocular":
        if outer_corners is None or len(outer_corners) != 2:
            raise DataError("the normaliser inter-ocular needs the two outer eye corners", _NO_EYES_HINT)
        first, second = outer_corners[:1], outer_corners[1:]
    elif kind == "inter-pupil":
        if not (left_eye is not None and right_eye is not None and len(left_eye) and len(right_eye)):
            raise DataError("the normaliser inter-pupil needs the points of both eyes", _NO_EYES_HINT)
        first, second = left_eye, right_eye

    length = np.empty(len(gt))
    for rows in _blocks(len(gt)):
        points = _points(gt, rows)
        outside = [int(i) for i in (*first, *second) if not 0 <= i < points.shape[1]]
        if outside:
            raise DataError(f"point {outside[0]} for the normaliser {kind}, but a face has {points.shape[1]} points")
        if len(first):
            span = points[:, list(first)].mean(axis=1) - points[:, list(second)].mean(axis=1)
        else:  # fmax and fmin pass over NaN, and are NaN only where every point is
            span = np.fmax.reduce(points, axis=1) - np.fmin.reduce(points, axis=1)
        length[rows] = np.sqrt(span.prod(axis=1)) if kind == "box-size" else np.hypot(span[:, 0], span[:, 1])
    return length


def nme_per_face(gt: Rows, pred: Rows, norm: npt.ArrayLike) -> Array:
    """Mean distance of pred (N, L, 2) to gt (N, L, 2), in pixels, over norm (N,): one number per face, (N,).

    Surprising: the mean is over the points annotated (finite) in gt. One of these missing in pred makes the
    face inf: a missing prediction is a failure. A face with no annotated point, or whose normaliser is 0, NaN
    or infinite, is NaN. Raises DataError where the three differ in their numbers of faces or points.

    >>> truth = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]]])
    >>> shifted = np.array([[[0.0, 3.0], [10.0, 0.0], [8.0, 5.0]]])
    >>> print(nme_per_face(truth, shifted, [10.0]))  # (3 + 0 + 3) / 3 / 10
    [0.2]
    """
    scale = np.asarray(norm, dtype=np.float64)
    if not (len(gt) == len(pred) and scale.shape == (len(gt),)):
        raise DataError(f"{len(gt)} faces of truth, {len(pred)} of predictions, normalisers of the form {scale.shape}")
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, np.nan)
    nme = np.empty(len(gt))
    for rows in _blocks(len(gt)):
        truth, guess = _points(gt, rows), _points(pred, rows)
        if truth.shape != guess.shape:
            raise DataError(
                f"{guess.shape[1]} points per face in the predictions, but the truth has {truth.shape[1]}",
                "compare files of the same scheme",
            )
        gap = guess - truth
        annotated, missing = ~np.isnan(truth[..., 0]), np.isnan(guess[..., 0])
        distance = np.where(missing, np.inf, np.hypot(gap[..., 0], gap[..., 1]))
        distance[~annotated] = 0
        count = annotated.sum(axis=1)
        nme[rows] = distance.sum(axis=1) / np.where(count, count, np.nan) / scale[rows]
    return nme


def failure_rate(nme: npt.ArrayLike, threshold: float) -> float:
    """Share of the faces, out of nme (N,), whose error is above the threshold; inf is, NaN is not counted.

    Raises DataError for a threshold that is not above 0 and where no face could be measured.

    >>> failure_rate([0.02, 0.08, 0.09, np.inf], 0.08)
    0.5
    """
    return float(np.mean(_measured(nme, threshold) > threshold))


def area_under_ced(nme: npt.ArrayLike, threshold: float) -> float:
    """Area under the cumulative distribution of nme (N,) up to the threshold, over it: 1 is perfect.

    Surprising: exact. The curve is a staircase, so its area is the mean of max(0, 1 - nme / threshold); codes
    that integrate it at sampled errors (such as with Simpson's rule) come close to it.
    inf adds nothing, NaN is not counted. Raises DataError as `failure_rate` does.

    >>> area_under_ced([0.0, 0.04, 0.2], 0.08)  # (1 + 1/2 + 0) / 3
    0.5
    """
    return float(np.mean(np.maximum(0, 1 - _measured(nme, threshold) / threshold)))


def threshold_label(threshold: float) -> str:
    """A threshold as it stands in the keys of `summarise`: two decimals, or as many as it takes.

    >>> threshold_label(0.1), threshold_label(0.08), threshold_label(0.125)
    ('0.10', '0.08', '0.125')
    """
    whole, decimals = f"{threshold:.10f}".split(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def summarise(nme: npt.ArrayLike, thresholds: Sequence[float]) -> dict[str, int | float | None]:
    """All figures of nme (N,): n, nme_percent, p50, p90, p95; fr@T_percent, auc@T_percent per threshold T.

    n counts the faces that could be measured; "unmeasured" counts the others (NaN) and is there only if there
    are any. The quantiles are in percent as well, with linear interpolation between faces.

    Surprising: faces without a full prediction (inf) count, so the mean is inf as soon as there is one, and a
    quantile is inf where it falls on one, or between one and its neighbour; failure rate and AUC remain
    finite. Nothing is NaN: where no face could be measured, n is 0 and every figure None.
    Raises DataError for a threshold that is not above 0.

    >>> figures = summarise([0.02, 0.04, 0.09], [0.08])
    >>> {key: round(value, 4) for key, value in figures.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'n': 3, 'nme_percent': 5.0, 'p50': 4.0, 'p90': 8.0, 'p95': 8.5,
     'fr@0.08_percent': 33.3333, 'auc@0.08_percent': 41.6667}
    """
    every = np.asarray(nme, dtype=np.float64).ravel()
    faces = np.sort(every[~np.isnan(every)])
    n = len(faces)
    result: dict[str, int | float | None] = {"n": n, "nme_percent": 100 * float(faces.mean()) if n else None}
    for share in (50, 90, 95):
        result[f"p{share}"] = 100 * _quantile(faces, share / 100) if n else None
    for t in thresholds:
        _check_threshold(t)
        result[f"fr@{threshold_label(t)}_percent"] = 100 * failure_rate(faces, t) if n else None
        result[f"auc@{threshold_label(t)}_percent"] = 100 * area_under_ced(faces, t) if n else None
    if n < len(every):
        result["unmeasured"] = len(every) - n
    return result


_NO_EYES_HINT = "the scheme does not name them; use box-diagonal or box-size"


def _quantile(ordered: Array, share: float) -> float:
    """Quantile of ordered values; infinite ones too, where np.quantile makes NaN of inf - inf."""
    place = share * (len(ordered) - 1)
    below = int(place)
    part = place - below
    low = float(ordered[below])
    if part == 0 or np.isinf(low):
        return low
    return low + part * (float(ordered[below + 1]) - low)


def _measured(nme: npt.ArrayLike, threshold: float) -> Array:
    """The errors that are not NaN, once the threshold makes sense and there are any."""
    _check_threshold(threshold)
    errors: Array = np.asarray(nme, dtype=np.float64)
    errors = errors[~np.isnan(errors)]
    if not len(errors):
        raise DataError("no face could be measured", "the truth must have points, the normaliser's among them")
    return errors


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold < np.inf:
        raise DataError(f"the threshold is {threshold}", "give a share above 0, such as 0.08 for 8 %")


def _blocks(n_faces: int) -> Iterator[slice]:
    for start in range(0, n_faces, BLOCK_FACES):
        yield slice(start, min(start + BLOCK_FACES, n_faces))


def _points(shapes: Rows, rows: slice) -> Array:
    """A block of shapes (N, L, 2) as a new float64 array; a point with a number missing is NaN in both."""
    points = np.array(shapes[rows], dtype=np.float64)
    if points.ndim != 3 or points.shape[2] != 2:
        raise DataError(f"points of the form {points.shape}", "they must be (faces, points, 2)")
    points[~np.isfinite(points).all(axis=2)] = np.nan
    return points
