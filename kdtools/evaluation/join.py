"""Matches each face of the truth to a row of a prediction, by id or by position in the photograph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.evaluation.point_sets import PointSet, check_ids, describe_ids, photograph_of, text_of
from kdtools.evaluation.request import Request
from kdtools.faces.ids import look_up
from kdtools.reporting import Reporter, counted

ABSENT = -1  # row of a face that was not predicted
UNKNOWN = -2  # row of a face without annotated points, which cannot be matched by position
_SAME_PLACE = 1.0  # largest distance of a prediction from its face, in sizes of the larger of both
_BLOCK = 4096

Key = Callable[[bytes], bytes]


def join_rows(truth: PointSet, pred: PointSet, how: str, reporter: Reporter) -> np.ndarray:
    """Row of `pred` for each face of `truth`, (N,) int64; ABSENT where there is none."""
    if how == "place":
        check_ids(pred.ids, pred.name)
        return _join_by_place(truth, pred, reporter)
    if len(truth) == len(pred) and np.array_equal(truth.ids, pred.ids):
        rows = np.arange(len(truth))
    else:
        check_ids(pred.ids, pred.name)
        rows = look_up(truth.ids, pred.ids, ABSENT)
    if truth.foreign or pred.foreign:
        rows = _join_by_stem(truth, pred, rows, reporter)
        _warn_of_other_order(truth, pred, rows, reporter)
    return rows


_SUFFIX = re.compile(rb"\.[A-Za-z0-9]+(?=#\d+$|$)")


def _without_suffix(identity: bytes) -> bytes:
    """`a/b.jpg#2` or `a/b#2.pts` -> `a/b#2`."""
    return _SUFFIX.sub(b"", identity)


def _file_name(identity: bytes) -> bytes:
    return _without_suffix(identity).rpartition(b"/")[2]


_SHORTENED: tuple[tuple[str, Key], ...] = (
    ("without their suffixes", _without_suffix),
    ("by file names alone", _file_name),
)


def _join_by_stem(truth: PointSet, pred: PointSet, rows: np.ndarray, reporter: Reporter) -> np.ndarray:
    """Match by shortened ids, as another program may name pictures with other folders or suffixes.

    Takes the first way of shortening that keeps ids unique and matches more faces than whole ids do.
    """
    for what, shorten in _SHORTENED:
        if (rows != ABSENT).all():
            break
        truth_ids, pred_ids = ([shorten(identity) for identity in points.ids] for points in (truth, pred))
        if len(set(truth_ids)) == len(truth_ids) and len(set(pred_ids)) == len(pred_ids):
            more_rows = look_up(truth_ids, pred_ids, ABSENT)
            if (more_rows != ABSENT).sum() > (rows != ABSENT).sum():
                reporter.warn(f"{pred.name}: not all ids are the same as in {truth.name}; joined {what}")
                return more_rows
    return rows


def check_join(truth: PointSet, pred: PointSet, rows: np.ndarray, request: Request) -> list[str]:
    """Notes on faces without a prediction and predictions without a face.

    Raises DataError if the request does not allow them, or if nothing matches at all.
    """
    notes = []
    missing = np.flatnonzero(rows == ABSENT)
    if len(missing):
        if (rows < 0).all() or not request.allow_missing:
            what = f"lacks {len(missing)} of the {len(rows)} faces of {truth.name}"
            names = some_of([text_of(truth.ids[row]) for row in missing[:4]])
            hint = f"{describe_ids(pred)}; --allow-missing counts absent faces as failures"
            if len(request.predictions) > 1 and len(missing) < len(rows):
                hint = "shards of one prediction? Quote their pattern: 'part-*.h5'. " + hint
            if (rows < 0).all():
                hint = f"{describe_ids(pred)}; files are joined by /id: use a file made from the same faces"
            raise DataError(f"{pred.name}: {what}: {names}", hint)
        notes.append(f"{pred.name}: {len(missing)} of {len(rows)} faces are missing and counted as failures")
    n_extra = len(pred) - int((rows >= 0).sum())
    if n_extra:
        # By position they are normal: photographs may show faces that nobody annotated.
        if not request.allow_extra and request.join != "place":
            used = np.zeros(len(pred), bool)
            used[rows[rows >= 0]] = True
            names = some_of([text_of(pred.ids[row]) for row in np.flatnonzero(~used)[:4]])
            raise DataError(
                f"{pred.name}: {counted(n_extra, 'face is', 'faces are')} not in {truth.name}: {names}",
                "is it the right truth? --allow-extra leaves them out",
            )
        notes.append(f"{pred.name}: left out {counted(n_extra, 'face')} that {truth.name} lacks")
    return notes


# ---- by position
def _rows_by_photograph(ids: np.ndarray, key: Key) -> dict[bytes, list[int]]:
    photographs = defaultdict(list)
    for row, identity in enumerate(ids):
        photographs[key(photograph_of(identity))].append(row)
    return photographs


def _join_by_place(truth: PointSet, pred: PointSet, reporter: Reporter) -> np.ndarray:
    """In each photograph, the assignment of predictions to faces with the least total distance.

    A prediction farther from a face than the size of the larger of both is not assigned, so the face is missing.
    """
    faces_of = _rows_by_photograph(truth.ids, bytes)
    preds_of = _rows_by_photograph(pred.ids, bytes)
    if not faces_of.keys() & preds_of.keys():
        for what, shorten in _SHORTENED:
            faces_of, preds_of = (_rows_by_photograph(points.ids, shorten) for points in (truth, pred))
            if faces_of.keys() & preds_of.keys():
                reporter.warn(f"{pred.name}: no photograph is called as in {truth.name}; joined {what}")
                break
    rows = np.full(len(truth), ABSENT, np.int64)
    shared = [(faces, preds_of[name]) for name, faces in faces_of.items() if name in preds_of]
    pairs = [(faces[0], preds[0]) for faces, preds in shared if len(faces) == len(preds) == 1]
    for start in range(0, len(pairs), _BLOCK):
        face_rows, pred_rows = np.array(pairs[start : start + _BLOCK]).T
        near = _relative_distance(truth.points(face_rows), pred.points(pred_rows)) < _SAME_PLACE
        rows[face_rows[near]] = pred_rows[near]
    for faces, preds in shared:
        if len(faces) > 1 or len(preds) > 1:
            for face, row in _assign(truth.points(np.array(faces)), pred.points(np.array(preds))):
                rows[faces[face]] = preds[row]
    for start in range(0, len(truth), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(truth)))
        unannotated = np.isnan(truth.points(block)[..., 0]).all(axis=1)
        rows[block][unannotated] = UNKNOWN
    return rows


def _assign(gt: np.ndarray, pred: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (face, prediction) of gt (n, L, 2) and pred (m, L, 2) with the least total distance."""
    distance = np.stack([_relative_distance(np.broadcast_to(face, pred.shape), pred) for face in gt])
    cost = np.where(distance < _SAME_PLACE, distance, 1e6)  # also where they have no point in common
    near = np.flatnonzero((cost < _SAME_PLACE).any(axis=1))
    pairs = near, cost[near].argmin(axis=1)
    if len(set(pairs[1].tolist())) < len(near):  # a prediction is the nearest of several faces
        from scipy.optimize import linear_sum_assignment

        pairs = linear_sum_assignment(cost)
    return [(int(k), int(j)) for k, j in zip(*pairs, strict=True) if cost[k, j] < _SAME_PLACE]


def _relative_distance(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Distance (n,) between the centres of pred (n, L, 2) and gt (n, L, 2), over the size of the larger of both.

    The centres are those of the points that both have, so that a face with three annotated points is matched too.
    """
    known = np.isfinite(gt[..., 0]) & np.isfinite(pred[..., 0])
    n_known = np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    gap = np.where(known[..., None], pred - gt, 0).sum(axis=1) / n_known[:, None]
    sizes = [(np.fmax.reduce(points, axis=1) - np.fmin.reduce(points, axis=1)).max(axis=1) for points in (gt, pred)]
    distance: np.ndarray = np.linalg.norm(gap, axis=1) / np.maximum(np.fmax(*sizes), 1)
    return distance


def _warn_of_other_order(truth: PointSet, pred: PointSet, rows: np.ndarray, reporter: Reporter) -> None:
    """Faces of a photograph are numbered in the order of a list, which another list need not share."""
    several = [faces for faces in _rows_by_photograph(truth.ids, bytes).values() if len(faces) > 1]
    n_other = 0
    for faces in several:
        there = np.array([face for face in faces if rows[face] >= 0], np.int64)
        if len(there) > 1:
            pairs = _assign(truth.points(there), pred.points(rows[there]))
            n_other += any(face != row for face, row in pairs)
    if n_other:
        reporter.warn(
            f"{pred.name}: in {n_other} of {len(several)} photographs with several faces another order than that of "
            "the list fits better: --join place matches them by position"
        )
