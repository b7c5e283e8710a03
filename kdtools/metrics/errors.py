"""Errors of predicted points: distances in pixels, and the normalised mean error (NME) of each face.

Functions take float64 arrays in which a missing point is NaN in both coordinates (`clean_points`), unless they clean
their points themselves. A distance or error of inf is a missing prediction; NaN cannot be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError

BLOCK_FACES = 1024  # enough to hide numpy's overhead, few enough for the processor's cache

Array = np.ndarray[Any, np.dtype[Any]]


class Rows(Protocol):
    """Anything sliced by rows: an array, a list of shapes, an HDF5 data set that stays on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Any: ...


def clean_points(points: npt.ArrayLike | Rows) -> Array:
    """Points (n, L, 2) as a new float64 array in which a point with a coordinate missing (NaN or inf) is NaN in both.

    Raises DataError for an array of another shape.

    >>> clean_points([[[1, 2], [np.inf, 4], [5, 6]]]).tolist()
    [[[1.0, 2.0], [nan, nan], [5.0, 6.0]]]
    """
    cleaned = np.array(points, dtype=np.float64)
    if cleaned.ndim != 3 or cleaned.shape[2] != 2:
        raise DataError(f"points of shape {cleaned.shape}", "the shape must be (faces, points, 2)")
    with np.errstate(all="ignore"):
        may_have_missing = not np.isfinite(
            cleaned.sum()
        )  # a fast check: any number that is not finite makes the sum so
    if may_have_missing:
        finite = np.isfinite(cleaned)
        cleaned[~(finite[..., 0] & finite[..., 1])] = np.nan
    return cleaned


def point_distances(gt: Array, pred: Array) -> Array:
    """Distances (n, L), in pixels, of pred (n, L, 2) from gt (n, L, 2).

    `inf` where a point is annotated and its prediction missing; NaN where it is not annotated.
    Raises DataError where the numbers of faces or points differ.

    >>> truth = np.array([[[0.0, 0.0], [9.0, 9.0], [np.nan, np.nan]]])
    >>> guess = np.array([[[3.0, 4.0], [np.nan, np.nan], [5.0, 5.0]]])
    >>> point_distances(truth, guess).tolist()
    [[5.0, inf, nan]]
    """
    _check_same_shape(gt, pred)
    gap = pred - gt
    with np.errstate(over="ignore"):  # a prediction so far away counts as missing
        gap *= gap
        distances = gap[..., 0] + gap[..., 1]  # with sqrt many times faster than np.hypot
    np.sqrt(distances, out=distances)
    unknown = np.isnan(distances)
    if unknown.any():
        distances[unknown & ~np.isnan(gt[..., 0])] = np.inf
    return distances


def mean_distance(distances: Array, points: Sequence[int] | None = None) -> Array:
    """Mean (n,) of distances (n, L) over the annotated points, or over those of them that `points` lists.

    `inf` if the prediction of one of them is missing, NaN if none is annotated.

    >>> mean_distance(np.array([[3.0, 0.0, 6.0], [3.0, np.nan, 5.0], [np.inf, 1.0, 2.0]])).tolist()
    [3.0, 4.0, inf]
    >>> mean_distance(np.array([[3.0, 0.0, 6.0]]), points=[1, 2]).tolist()
    [3.0]
    """
    if points is not None:
        distances = distances[:, list(points)]
    known = ~np.isnan(distances)
    if known.all() and distances.shape[1]:  # the same, without a copy
        return np.asarray(distances.sum(axis=1) / distances.shape[1])
    counts = known.sum(axis=1)
    return np.where(known, distances, 0).sum(axis=1) / np.where(counts, counts, np.nan)


def normalise(pixels: Array, lengths: npt.ArrayLike) -> Array:
    """Distances in pixels, (n,) or (n, L), divided by a normaliser's lengths (n,).

    NaN, not inf, where a length is 0, NaN or infinite: such a face cannot be measured.

    >>> normalise(np.array([3.0, 3.0, np.inf]), [10.0, 0.0, 10.0]).tolist()
    [0.3, nan, inf]
    """
    scale = np.asarray(lengths, dtype=np.float64)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, np.nan)
    return pixels / scale.reshape(-1, *[1] * (pixels.ndim - 1))


def nme_per_face(gt: Rows, pred: Rows, norm: npt.ArrayLike) -> Array:
    """NME (N,) of each face: mean distance of pred (N, L, 2) from gt (N, L, 2), both in pixels, over norm (N,).

    Cleans the points itself, block by block, so arrays may stay on disk. The mean is over the points annotated (finite)
    in gt. If one of these is missing in pred, the NME is inf, a failure. It is NaN for a face without annotated points,
    and where the normaliser is 0, NaN or infinite. Raises DataError if numbers of faces or points differ.

    >>> truth = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]]])
    >>> shifted = np.array([[[0.0, 3.0], [10.0, 0.0], [8.0, 5.0]]])
    >>> print(nme_per_face(truth, shifted, [10.0]))  # (3 + 0 + 3) / 3 / 10
    [0.2]
    """
    lengths = np.asarray(norm, dtype=np.float64)
    if not (len(gt) == len(pred) and lengths.shape == (len(gt),)):
        raise DataError(f"{len(gt)} faces of truth, {len(pred)} of predictions, normalisers of shape {lengths.shape}")
    nme = np.empty(len(gt))
    for start in range(0, len(gt), BLOCK_FACES):
        rows = slice(start, min(start + BLOCK_FACES, len(gt)))
        distances = point_distances(clean_points(gt[rows]), clean_points(pred[rows]))
        nme[rows] = normalise(mean_distance(distances), lengths[rows])
    return nme


class NormalErrors(NamedTuple):
    """Errors (n, L) along the normals of outlines, in pixels, and signed areas (n, L), which orient them.

    `values` are positive to one side of the outline as the scheme lists it. All faces together decide which side is
    outside: add up both arrays over all faces (NaN as 0) and apply `outward` to the sums. `areas` are the signed areas
    of each point's outline; 0 in a face where the outline is not completely annotated.
    """

    values: Array
    areas: Array


def signed_normal_errors(gt: Array, pred: Array, outlines: Sequence[Sequence[int]]) -> NormalErrors:
    """Errors of pred (n, L, 2) along the normal of the truth's outline at each point of gt (n, L, 2), in pixels.

    The tangent is the direction between the two neighbours of a point on the outline, at the ends of an open one
    between the point and its only neighbour; a run that ends where it began is closed.

    A point on several outlines uses the first. NaN for a point on none, and where the point, its prediction or a
    neighbour is missing, or the neighbours coincide. Which sign is outward is not yet decided: see `NormalErrors`.
    Raises DataError as `point_distances` does.
    Source: ADNet (Huang et al., ICCV 2021), which studies the bias of errors along the normal and the tangent.

    >>> truth = np.array([[[0.0, 0.0], [4.0, 3.0], [8.0, 0.0]]])  # an arc about the point 4, 0
    >>> errors = signed_normal_errors(truth, truth + [0.0, 2.0], outlines=[(0, 1, 2)])
    >>> outward(errors.values, errors.areas).round(4).tolist()  # 4/5 of 2 at the ends, as the arc is steep there
    [[1.6, 2.0, 1.6]]
    """
    _check_same_shape(gt, pred)
    x, y = (np.ascontiguousarray(gt[..., axis].T) for axis in (0, 1))  # (L, n), as numpy gathers whole rows fast
    before, after = np.arange(len(x)), np.arange(len(x))  # a point on no outline is its own neighbour
    areas = np.zeros(x.shape)
    done: set[int] = set()
    for line in outlines:
        neighbours = _neighbours(line)
        points = [point for point in neighbours if point not in done]
        done.update(points)
        for point in points:
            before[point], after[point] = neighbours[point]
        areas[points] = _signed_areas(x[list(neighbours)], y[list(neighbours)])
    tangent_x, tangent_y = x[after] - x[before], y[after] - y[before]
    length = np.sqrt(tangent_x * tangent_x + tangent_y * tangent_y)
    length[length == 0] = np.nan
    across = (pred[..., 0].T - x) * tangent_y - (pred[..., 1].T - y) * tangent_x
    return NormalErrors((across / length).T, areas.T)


def outward(values: Array, areas: Array) -> Array:
    """Values of `NormalErrors`, or their sums or means over faces, (..., L), with outward positive.

    Outward is away from the inside of the polygon that the outline makes, an open one closed by its chord: away from
    the face for the jaw, upwards for a brow. The sign of `areas`, of the same shape, is the outline's orientation.
    NaN where areas is 0. A nearly straight outline has no outside: there the sign follows its slight bulge.

    >>> outward(np.array([0.5, 0.5, 0.5]), np.array([7.0, -7.0, 0.0])).tolist()
    [0.5, -0.5, nan]
    """
    return values * np.where(areas == 0, np.nan, np.sign(areas))


def jitter_per_face(gt: Rows, pred: Rows, gt_before: Rows, pred_before: Rows, norm: npt.ArrayLike) -> Array:
    """Difference (n,) of the motions of pred (n, L, 2) and gt from one frame to the next, over norm (n,).

    The mean over points of |(pred - pred_before) - (gt - gt_before)|; row k of all four is one face, its points cleaned
    here. A constant offset does not count, so a model may be steady and wrong.

    Over the points annotated in both frames; inf if the prediction of one of them is missing in either, NaN if there
    are none or the normaliser cannot be used. Raises DataError as `point_distances` does.
    Source: LDEQ's normalised mean jitter (Micaelli et al., CVPR 2023), there as a root mean square (docs/metrics.md).

    >>> still = np.zeros((1, 3, 2))
    >>> before, after = still + [5.0, 0.0], still + [[5.0, 0.0], [5.0, 3.0], [9.0, 0.0]]
    >>> print(jitter_per_face(still, after, still, before, [10.0]).round(4))  # (0 + 3 + 4) / 3 / 10
    [0.2333]
    """
    frames = [clean_points(points) for points in (gt, pred, gt_before, pred_before)]
    for points in frames[1:]:
        _check_same_shape(frames[0], points)
    gt_motion, pred_motion = frames[0] - frames[2], frames[1] - frames[3]
    return normalise(mean_distance(point_distances(gt_motion, pred_motion)), norm)


def acceleration_per_face(points: Rows, before: Rows, earlier: Rows, norm: npt.ArrayLike) -> Array:
    """Acceleration (n,) of points (n, L, 2) over three frames, divided by norm (n,).

    The mean over points of |points - 2 before + earlier|, which is 0 for uniform motion and needs no truth. Row k of
    all is one face. A point missing in one of its frames is left out; a face without any left is NaN. Raises DataError
    if numbers of faces or points differ.

    >>> steady = np.arange(3.0)[:, None, None, None] * np.ones((1, 2, 2))
    >>> print(acceleration_per_face(steady[2] + [3.0, 4.0], steady[1], steady[0], [10.0]))
    [0.5]
    """
    frames = [clean_points(frame) for frame in (points, before, earlier)]
    for frame in frames[1:]:
        _check_same_shape(frames[0], frame)
    with np.errstate(invalid="ignore"):  # infinite points are missing ones
        distance = np.linalg.norm(frames[0] - 2 * frames[1] + frames[2], axis=2)
    return normalise(mean_distance(distance), norm)


def _check_same_shape(gt: Array, pred: Array) -> None:
    hint = "compare files of the same faces and the same scheme"
    if len(gt) != len(pred):
        raise DataError(f"{len(pred)} faces in the predictions, but the truth has {len(gt)}", hint)
    if gt.shape[1] != pred.shape[1]:
        raise DataError(f"{pred.shape[1]} points per face in the predictions, but the truth has {gt.shape[1]}", hint)


def _neighbours(line: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Point -> the points before and after it on an outline; an end of an open one is its own missing neighbour."""
    closed = len(line) > 1 and line[0] == line[-1]
    points = list(line[:-1] if closed else line)
    around = [points[-1], *points, points[0]] if closed else [*points[:1], *points, *points[-1:]]
    neighbours: dict[int, tuple[int, int]] = {}
    for place, point in enumerate(points):
        neighbours.setdefault(point, (around[place], around[place + 2]))
    return neighbours


def _signed_areas(x: Array, y: Array) -> Array:
    """Areas (n,) of polygons x, y (k, n), above 0 where they run from the x to the y axis; 0 if a point is missing."""
    doubled = (x * np.roll(y, -1, axis=0) - y * np.roll(x, -1, axis=0)).sum(axis=0)
    return np.nan_to_num(doubled / 2)


def worst_rows(nme: np.ndarray, n: int = 24, member: np.ndarray | None = None) -> np.ndarray:
    """Rows of the n faces with the largest errors in nme (N,), the largest first; equal ones in file order.

    Without faces that have no prediction (inf) or could not be measured (NaN), as there would be nothing to see. With
    `member` (N,) bool, only faces of that subset.

    >>> print(worst_rows(np.array([0.02, np.inf, 0.09, 0.05]), 2))
    [2 3]
    """
    rows = np.flatnonzero(np.isfinite(nme) if member is None else np.isfinite(nme) & member)
    if len(rows) > n:
        most = -np.partition(-nme[rows], n - 1)[n - 1]
        rows = rows[nme[rows] >= most]
    return rows[np.argsort(-nme[rows], kind="stable")][:n]
