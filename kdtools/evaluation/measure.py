"""Errors of all faces of all predictions in one pass over the files, a block of faces at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from kdtools.evaluation.point_sets import PointSet
from kdtools.metrics import (
    Normaliser,
    jitter_per_face,
    mean_distance,
    outward,
    point_bounds,
    point_distances,
    signed_normal_errors,
)
from kdtools.parallel import map_bounded
from kdtools.reporting import Reporter

_BLOCK = 1024  # faces; 68 points of so many in float64 are 1 MB, which stays in a core's cache


class PointSource(Protocol):
    """Predicted points, read from files or computed."""

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> Sequence[str]: ...

    def points(self, rows: np.ndarray | slice) -> np.ndarray: ...
    def origins_of(self, rows: np.ndarray | slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Plan:
    """Inputs and options of `measure`.

    `predictions` come with the row (N,) of each face of the truth. `regions` are lists of points; `members` (S, N) bool
    are the subsets for sums by landmark. `before` (N,) is the row of each face's preceding frame, or -1.
    `at_true_places` measures distances with the origins of labels and predictions taken off as well.
    """

    truth: PointSet
    predictions: Sequence[tuple[PointSource, np.ndarray]]
    normalisers: Sequence[Normaliser]
    visible_only: bool = False
    regions: Sequence[Sequence[int]] = ()
    members: np.ndarray | None = None
    before: np.ndarray | None = None
    at_true_places: bool = False


@dataclass
class LandmarkSums:
    """Sums (S, L) over the faces of each subset, and the numbers of faces in them.

    Sums of errors as fractions of the main normaliser, of their squares, their x and y components, and their components
    along the outline's normal, which point outward once `orient_normals` has run.
    """

    n: np.ndarray
    error: np.ndarray
    square: np.ndarray
    x: np.ndarray
    y: np.ndarray
    n_normal: np.ndarray
    normal: np.ndarray
    area: np.ndarray  # its sign is the orientation of the outline
    n_missing: np.ndarray  # faces in which the point is annotated and not predicted

    @staticmethod
    def zeros(n_subsets: int, n_points: int) -> LandmarkSums:
        return LandmarkSums(*(np.zeros((n_subsets, n_points)) for _ in fields(LandmarkSums)))

    def add(self, other: LandmarkSums) -> None:
        for total, more in zip(vars(self).values(), vars(other).values(), strict=True):
            total += more

    def orient_normals(self) -> None:
        """Turn the sums along normals outward, after all faces; 0 where the outline has no outer side."""
        self.normal[:] = np.nan_to_num(outward(self.normal, self.area))
        self.n_normal[self.area == 0] = 0


@dataclass
class Measured:
    """Measurements of one prediction, with NaN and inf as in kdtools.metrics.

    `distance` (N,) and `regions` (N, R) are mean distances in pixels, `true_distance` (N,) those with origins taken
    off; `jitter` (N,) is a fraction of the main normaliser, NaN for a first frame.
    """

    name: str
    distance: np.ndarray
    regions: np.ndarray
    landmarks: LandmarkSums | None
    jitter: np.ndarray | None
    true_distance: np.ndarray | None = None


@dataclass(frozen=True)
class Measurements:
    """`lengths` (K, N) of each normaliser and `size` (N,), the longer side of each face's point bounds, in pixels."""

    lengths: np.ndarray
    size: np.ndarray
    predictions: list[Measured]
    mean_face: np.ndarray


def measure(plan: Plan, reporter: Reporter) -> Measurements:
    """One pass over truth and predictions. Memory: some ten numbers per face and prediction, however many points."""
    n_faces, n_points = len(plan.truth), plan.truth.n_points
    n_subsets = 0 if plan.members is None else len(plan.members)
    result = Measurements(
        np.empty((len(plan.normalisers), n_faces)),
        np.empty(n_faces),
        [
            Measured(
                pred.name,
                np.empty(n_faces),
                np.empty((n_faces, len(plan.regions))),
                LandmarkSums.zeros(n_subsets, n_points) if n_subsets else None,
                None if plan.before is None else np.empty(n_faces),
                np.empty(n_faces) if plan.at_true_places else None,
            )
            for pred, _ in plan.predictions
        ],
        np.zeros((n_points, 2)),
    )
    blocks = [slice(a, min(a + _BLOCK, n_faces)) for a in range(0, n_faces, _BLOCK)]
    count = np.zeros((n_points, 2))
    with reporter.progress("measuring", n_faces) as progress:
        for rows, block in zip(blocks, map_bounded(lambda rows: _measure_block(plan, rows), blocks, 0), strict=True):
            result.lengths[:, rows], result.size[rows] = block.lengths, block.size
            for total, more in zip(result.predictions, block.predictions, strict=True):
                total.distance[rows], total.regions[rows] = more.distance, more.regions
                if total.landmarks is not None and more.landmarks is not None:
                    total.landmarks.add(more.landmarks)
                if total.jitter is not None:
                    total.jitter[rows] = more.jitter
                if total.true_distance is not None:
                    total.true_distance[rows] = more.true_distance
            if block.shapes is not None:
                count += np.isfinite(block.shapes).sum(axis=0)
                result.mean_face[:] += np.nansum(block.shapes, axis=0)
            progress(rows.stop)
    for total in result.predictions:
        if total.landmarks is not None:
            total.landmarks.orient_normals()
    with np.errstate(invalid="ignore"):
        np.divide(result.mean_face, count, out=result.mean_face)
    return result


@dataclass(frozen=True)
class _Block:
    lengths: np.ndarray
    size: np.ndarray
    shapes: np.ndarray | None  # (n, L, 2), centred and of unit size
    predictions: list[Measured]


@np.errstate(all="ignore")  # coordinates like 1e200 give infinite errors, which are right
def _measure_block(plan: Plan, rows: slice) -> _Block:
    gt = plan.truth.points(rows)
    low, high = point_bounds(gt)
    size = (high - low).max(axis=1)
    boxes = plan.truth.boxes(rows) if any(normaliser.needs_boxes for normaliser in plan.normalisers) else None
    lengths = np.stack([normaliser.lengths(gt, boxes, (low, high)) for normaliser in plan.normalisers])
    lengths[~(np.isfinite(lengths) & (lengths > 0))] = np.nan
    counted = _counted_points(plan, rows, gt)
    members = None if plan.members is None else plan.members[:, rows].astype(np.float64)
    before = None
    if plan.before is not None:
        before = plan.before[rows]
        counted_before = _counted_points(plan, before, plan.truth.points(before))
    predictions = []
    for pred, row_of in plan.predictions:
        guess = pred.points(_as_slice(row_of[rows]))
        distance = point_distances(counted, guess)
        regions = [mean_distance(distance, points) for points in plan.regions]
        jitter = true_distance = None
        if plan.at_true_places:
            shift = plan.truth.origins_of(rows) - pred.origins_of(row_of[rows])  # of the truth against the prediction
            true_distance = mean_distance(point_distances(counted, guess + shift[:, None]))
        if before is not None:
            guess_before = pred.points(np.where(before >= 0, row_of[before], -1))
            jitter = jitter_per_face(counted, guess, counted_before, guess_before, lengths[0])
        predictions.append(
            Measured(
                pred.name,
                mean_distance(distance),
                np.stack(regions, axis=1) if regions else np.empty((len(gt), 0)),
                None if members is None else _sum_landmarks(plan, gt, guess, distance, lengths[0], members),
                jitter,
                true_distance,
            )
        )
    shapes = None
    if members is not None:
        shapes = (gt - ((low + high) / 2)[:, None]) / np.where(size > 0, size, np.nan)[:, None, None]
    return _Block(lengths, size, shapes, predictions)


def _counted_points(plan: Plan, rows: np.ndarray | slice, gt: np.ndarray) -> np.ndarray:
    """The points of these rows, with NaN for those that are hidden if only visible points count."""
    return np.where(plan.truth.visible(rows)[..., None], gt, np.nan) if plan.visible_only else gt


def _as_slice(rows: np.ndarray) -> np.ndarray | slice:
    """Consecutive rows as a slice, which is read several times as fast."""
    if len(rows) and rows[0] >= 0 and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _sum_landmarks(
    plan: Plan, gt: np.ndarray, pred: np.ndarray, distance: np.ndarray, length: np.ndarray, members: np.ndarray
) -> LandmarkSums:
    """Sums over a block's faces by subset, without faces that have no length and points missing in truth or prediction.

    `distance` is NaN for points that do not count; outlines run through them nevertheless.
    """

    def total(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
        return members @ np.where(counted, values, 0)

    error = distance / length[:, None]
    finite = np.isfinite(error)
    offset = (pred - gt) / length[:, None, None]
    along = signed_normal_errors(gt, pred, plan.truth.scheme.outlines)
    normal = along.values / length[:, None]
    has_normal = np.isfinite(normal) & finite
    return LandmarkSums(
        members @ finite.astype(np.float64),
        total(error, finite),
        total(error * error, finite),
        total(offset[..., 0], finite),
        total(offset[..., 1], finite),
        members @ has_normal.astype(np.float64),
        total(normal, has_normal),
        members @ along.areas,
        members @ np.isposinf(error).astype(np.float64),
    )
