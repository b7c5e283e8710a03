"""Which row of a prediction belongs to each face of the truth: by id, or by place in the photograph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.evaluation.pointsets import PointSet, Tell, check_ids, describe_ids, text_of
from kdtools.evaluation.request import Request

ABSENT = -1  # row of a face that was not predicted
_SAME_PLACE = 1.0  # centres of two sets of points of one face are less than its size apart
_BLOCK = 4096


def join_rows(truth: PointSet, pred: PointSet, how: str, warn: Tell) -> np.ndarray:
    """Row of `pred` for each face of `truth`, (N,) int64; ABSENT where there is none."""
    if how == "place":
        return _join_by_place(truth, pred)
    if len(truth) == len(pred) and np.array_equal(truth.ids, pred.ids):
        return np.arange(len(truth))
    check_ids(pred.ids, pred.name)
    rows = _look_up(truth.ids, pred.ids)
    if (rows == ABSENT).all() and (truth.foreign or pred.foreign):
        return _join_by_stem(truth, pred, warn)
    return rows


def _look_up(wanted: Sequence[bytes] | np.ndarray, given: Sequence[bytes] | np.ndarray) -> np.ndarray:
    row_of = {identity: row for row, identity in enumerate(given)}
    return np.fromiter((row_of.get(identity, ABSENT) for identity in wanted), np.int64, len(wanted))


_SUFFIX = re.compile(rb"\.[A-Za-z0-9]+(?=#|$)")


def _join_by_stem(truth: PointSet, pred: PointSet, warn: Tell) -> np.ndarray:
    """Another program's list may name a picture by other folders or with another suffix, or with none."""
    for what, change in (
        ("without their suffixes", lambda identity: _SUFFIX.sub(b"", identity)),
        ("by file names alone", lambda identity: _SUFFIX.sub(b"", identity).rpartition(b"/")[2]),
    ):
        wanted, given = ([change(identity) for identity in one.ids] for one in (truth, pred))
        if len(set(wanted)) == len(wanted) and len(set(given)) == len(given):
            rows = _look_up(wanted, given)
            if (rows != ABSENT).any():
                warn(f"{pred.name}: no id is the same as in {truth.name}; joined {what}")
                return rows
    return np.full(len(truth), ABSENT)


def check_join(truth: PointSet, pred: PointSet, rows: np.ndarray, request: Request) -> list[str]:
    """What must be said of faces without a prediction, and of predictions without a face.

    Raises DataError where there are such and they are not allowed, or where nothing fits at all.
    """
    notes = []
    missing = np.flatnonzero(rows == ABSENT)
    if len(missing):
        if len(missing) == len(rows) or not request.allow_missing:
            what = f"lacks {len(missing)} of the {len(rows)} faces of {truth.name}"
            names = some_of([text_of(truth.ids[row]) for row in missing[:4]])
            hint = f"{describe_ids(pred)}; --allow-missing counts absent faces as failures"
            if len(missing) == len(rows):
                hint = f"{describe_ids(pred)}; files are joined by /id: use a file made from the same faces"
            raise DataError(f"{pred.name}: {what}: {names}", hint)
        notes.append(f"{pred.name}: {len(missing)} of {len(rows)} faces are missing and counted as failures")
    n_extra = len(pred) - (len(rows) - len(missing))
    if n_extra:
        if not (
            request.allow_extra or request.join == "place"
        ):  # a photograph may well show faces that nobody annotated
            used = np.zeros(len(pred), bool)
            used[rows[rows != ABSENT]] = True
            names = some_of([text_of(pred.ids[row]) for row in np.flatnonzero(~used)[:4]])
            raise DataError(
                f"{pred.name}: {n_extra} faces are not in {truth.name}: {names}",
                "is it the right truth? --allow-extra leaves them out",
            )
        notes.append(f"{pred.name}: {n_extra} faces are not in {truth.name} and are left out")
    return notes


def photograph_of(identity: bytes) -> bytes:
    """Name of the picture: the id without the number of the face in it."""
    return identity.partition(b"#")[0]


def rows_by_photograph(ids: np.ndarray) -> dict[bytes, list[int]]:
    photographs = defaultdict(list)
    for row, identity in enumerate(ids):
        photographs[photograph_of(identity)].append(row)
    return photographs


def _join_by_place(truth: PointSet, pred: PointSet) -> np.ndarray:
    """In each photograph, the assignment of predictions to faces whose centres are least apart in all.

    A prediction farther from a face than the face is large belongs to none, so the face is missing.
    """
    from scipy.optimize import linear_sum_assignment

    rows = np.full(len(truth), ABSENT, np.int64)
    centre, size = _places(truth)
    found, _ = _places(pred)
    candidates = rows_by_photograph(pred.ids)
    for photograph, faces in rows_by_photograph(truth.ids).items():
        given = candidates.get(photograph)
        if given is None:
            continue
        apart = np.linalg.norm(centre[faces][:, None] - found[given][None], axis=2) / size[faces][:, None]
        cost = np.where(apart < _SAME_PLACE, apart, 1e6)  # also where one of them has no point
        for k, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[k, j] < _SAME_PLACE:
                rows[faces[k]] = given[j]
    return rows


def _places(points: PointSet) -> tuple[np.ndarray, np.ndarray]:
    """Centre (N, 2) of each face's points, and the longer side of their box (N,)."""
    centre, size = np.empty((len(points), 2)), np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(points)))
        block = points.points(rows)
        low, high = np.fmin.reduce(block, axis=1), np.fmax.reduce(block, axis=1)
        centre[rows], size[rows] = (low + high) / 2, np.maximum((high - low).max(axis=1), 1)
    return centre, size
