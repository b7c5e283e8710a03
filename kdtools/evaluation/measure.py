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


class Readable(Protocol):
    """A set of points, or a guess that is computed."""

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> Sequence[str]: ...

    def points(self, rows: np.ndarray | slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Plan:
    """What to measure: predictions with the row of each face of the truth in them, and what is to be kept.

    `regions` are indices of points; `members` (S, N) bool, for sums by landmark. `before` (N,) is the row of the face's
    preceding frame, or -1.
    """

    truth: PointSet
    predictions: Sequence[tuple[Readable, np.ndarray]]
    normalisers: Sequence[Normaliser]
    visible_only: bool = False
    regions: Sequence[Sequence[int]] = ()
    members: np.ndarray | None = None
    before: np.ndarray | None = None


@dataclass
class LandmarkSums:
    """Sums over the faces of each subset, (S, L), and how many faces went into them.

    Of errors as shares of the main normaliser, their squares, their x and y parts, and their parts along the outline's
    normal, outward at last.
    """

    n: np.ndarray
    error: np.ndarray
    square: np.ndarray
    x: np.ndarray
    y: np.ndarray
    n_normal: np.ndarray
    normal: np.ndarray
    area: np.ndarray  # tells by its sign which way the outlines run
    n_missing: np.ndarray  # faces in which the point is annotated and not predicted

    @staticmethod
    def zeros(n_subsets: int, n_points: int) -> LandmarkSums:
        return LandmarkSums(*(np.zeros((n_subsets, n_points)) for _ in fields(LandmarkSums)))

    def add(self, other: LandmarkSums) -> None:
        for mine, more in zip(vars(self).values(), vars(other).values(), strict=True):
            mine += more

    def settle(self) -> None:
        """Turn the sums along normals outward, once all faces are in; none are left where no side is the outer one."""
        self.normal[:] = np.nan_to_num(outward(self.normal, self.area))
        self.n_normal[self.area == 0] = 0


@dataclass
class Measured:
    """Of one prediction: mean distance of each face in pixels, of all points (N,) and by region (N, R).

    NaN and inf as in kdtools.metrics. Besides, sums by landmark, and jitter (N,) as a share of the main normaliser, NaN
    for a first frame.
    """

    name: str
    distance: np.ndarray
    regions: np.ndarray
    landmarks: LandmarkSums | None
    jitter: np.ndarray | None


@dataclass(frozen=True)
class Measurements:
    """`lengths` (K, N) in pixels by normaliser, `size` (N,) the longer side of the box of each face's points."""

    lengths: np.ndarray
    size: np.ndarray
    predictions: list[Measured]
    mean_face: np.ndarray


def measure(plan: Plan, reporter: Reporter) -> Measurements:
    """One pass over truth and predictions. Memory grows by some ten numbers a face and prediction, not with points."""
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
            )
            for pred, _ in plan.predictions
        ],
        np.zeros((n_points, 2)),
    )
    blocks = [slice(a, min(a + _BLOCK, n_faces)) for a in range(0, n_faces, _BLOCK)]
    count = np.zeros((n_points, 2))
    with reporter.progress("measuring", n_faces) as progress:
        for rows, found in zip(blocks, map_bounded(lambda rows: _measure_block(plan, rows), blocks, 0), strict=True):
            result.lengths[:, rows], result.size[rows] = found.lengths, found.size
            for mine, more in zip(result.predictions, found.predictions, strict=True):
                mine.distance[rows], mine.regions[rows] = more.distance, more.regions
                if mine.landmarks is not None and more.landmarks is not None:
                    mine.landmarks.add(more.landmarks)
                if mine.jitter is not None:
                    mine.jitter[rows] = more.jitter
            if found.shapes is not None:
                count += np.isfinite(found.shapes).sum(axis=0)
                result.mean_face[:] += np.nansum(found.shapes, axis=0)
            progress(rows.stop)
    for mine in result.predictions:
        if mine.landmarks is not None:
            mine.landmarks.settle()
    with np.errstate(invalid="ignore"):
        np.divide(result.mean_face, count, out=result.mean_face)
    return result


@dataclass(frozen=True)
class _Block:
    lengths: np.ndarray
    size: np.ndarray
    shapes: np.ndarray | None  # (n, L, 2), centred and of unit size
    predictions: list[Measured]


@np.errstate(all="ignore")  # coordinates like 1e200 give infinite errors, which mean what they should
def _measure_block(plan: Plan, rows: slice) -> _Block:
    gt = plan.truth.points(rows)
    low, high = point_bounds(gt)
    size = (high - low).max(axis=1)
    boxes = plan.truth.boxes(rows) if any(one.needs_boxes for one in plan.normalisers) else None
    lengths = np.stack([one.lengths(gt, boxes, (low, high)) for one in plan.normalisers])
    lengths[~(np.isfinite(lengths) & (lengths > 0))] = np.nan
    counted = gt
    if plan.visible_only:
        counted = np.where(plan.truth.visible(rows)[..., None], gt, np.nan)
    members = None if plan.members is None else plan.members[:, rows].astype(np.float64)
    before = None
    if plan.before is not None:
        before = plan.before[rows]
        counted_before = plan.truth.points(before)
        if plan.visible_only:
            counted_before = np.where(plan.truth.visible(before)[..., None], counted_before, np.nan)
    found = []
    for pred, row_of in plan.predictions:
        guess = pred.points(_as_slice(row_of[rows]))
        distance = point_distances(counted, guess)
        regions = [mean_distance(distance, points) for points in plan.regions]
        jitter = None
        if before is not None:
            guess_before = pred.points(np.where(before >= 0, row_of[before], -1))
            jitter = jitter_per_face(counted, guess, counted_before, guess_before, lengths[0])
        found.append(
            Measured(
                pred.name,
                mean_distance(distance),
                np.stack(regions, axis=1) if regions else np.empty((len(gt), 0)),
                None if members is None else _sum_landmarks(plan, gt, guess, distance, lengths[0], members),
                jitter,
            )
        )
    shapes = None
    if members is not None:
        shapes = (gt - ((low + high) / 2)[:, None]) / np.where(size > 0, size, np.nan)[:, None, None]
    return _Block(lengths, size, shapes, found)


def _as_slice(rows: np.ndarray) -> np.ndarray | slice:
    """Rows that follow each other as a slice, which is read several times as fast."""
    if len(rows) and rows[0] >= 0 and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _sum_landmarks(
    plan: Plan, gt: np.ndarray, pred: np.ndarray, distance: np.ndarray, length: np.ndarray, members: np.ndarray
) -> LandmarkSums:
    """Sums over a block's faces by subset; faces without a length, and points that either lacks, are left out.

    `distance` has been told which points count; outlines run through the others all the same.
    """

    def total(values: np.ndarray, there: np.ndarray) -> np.ndarray:
        return members @ np.where(there, values, 0)

    share = distance / length[:, None]
    there = np.isfinite(share)
    offset = (pred - gt) / length[:, None, None]
    along = signed_normal_errors(gt, pred, plan.truth.scheme.outlines)
    normal = along.values / length[:, None]
    has_normal = np.isfinite(normal) & there
    return LandmarkSums(
        members @ there.astype(np.float64),
        total(share, there),
        total(share * share, there),
        total(offset[..., 0], there),
        total(offset[..., 1], there),
        members @ has_normal.astype(np.float64),
        total(normal, has_normal),
        members @ along.areas,
        members @ np.isposinf(share).astype(np.float64),
    )
