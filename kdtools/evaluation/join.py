"""Which row of a prediction belongs to each face of the truth: by id, or by place in the photograph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.evaluation.point_sets import PointSet, check_ids, describe_ids, photograph_of, text_of
from kdtools.evaluation.request import Request
from kdtools.reporting import Reporter

ABSENT = -1  # row of a face that was not predicted
UNKNOWN = -2  # of one without any point, by place: whether it was predicted cannot be told
_SAME_PLACE = 1.0  # a prediction is less than the larger of both faces away from its face
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
        rows = _look_up(truth.ids, pred.ids)
    if truth.foreign or pred.foreign:
        rows = _join_by_stem(truth, pred, rows, reporter)
        _tell_of_other_order(truth, pred, rows, reporter)
    return rows


def _look_up(wanted: Sequence[bytes] | np.ndarray, given: Sequence[bytes] | np.ndarray) -> np.ndarray:
    row_of = {identity: row for row, identity in enumerate(given)}
    return np.fromiter((row_of.get(identity, ABSENT) for identity in wanted), np.int64, len(wanted))


_SUFFIX = re.compile(rb"\.[A-Za-z0-9]+(?=#\d+$|$)")


def _without_suffix(identity: bytes) -> bytes:
    """`a/b.jpg#2` -> `a/b#2`, which is also what `a/b#2.pts` comes to."""
    return _SUFFIX.sub(b"", identity)


def _file_name(identity: bytes) -> bytes:
    return _without_suffix(identity).rpartition(b"/")[2]


_SHORTENED: tuple[tuple[str, Key], ...] = (
    ("without their suffixes", _without_suffix),
    ("by file names alone", _file_name),
)


def _join_by_stem(truth: PointSet, pred: PointSet, rows: np.ndarray, reporter: Reporter) -> np.ndarray:
    """Another program's list may name a picture by other folders or with another suffix, or with none.

    The first way of shortening all ids that finds more faces than the ids as they are, and keeps them apart, is taken.
    """
    for what, shorten in _SHORTENED:
        if (rows != ABSENT).all():
            break
        wanted, given = ([shorten(identity) for identity in one.ids] for one in (truth, pred))
        if len(set(wanted)) == len(wanted) and len(set(given)) == len(given):
            found = _look_up(wanted, given)
            if (found != ABSENT).sum() > (rows != ABSENT).sum():
                reporter.warn(f"{pred.name}: not all ids are the same as in {truth.name}; joined {what}")
                return found
    return rows


def check_join(truth: PointSet, pred: PointSet, rows: np.ndarray, request: Request) -> list[str]:
    """What must be said of faces without a prediction, and of predictions without a face.

    Raises DataError where there are such and they are not allowed, or where nothing fits at all.
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
        # By place they are usual: a photograph may well show faces that nobody annotated.
        if not request.allow_extra and request.join != "place":
            used = np.zeros(len(pred), bool)
            used[rows[rows >= 0]] = True
            names = some_of([text_of(pred.ids[row]) for row in np.flatnonzero(~used)[:4]])
            raise DataError(
                f"{pred.name}: {n_extra} faces are not in {truth.name}: {names}",
                "is it the right truth? --allow-extra leaves them out",
            )
        notes.append(f"{pred.name}: {n_extra} faces are not in {truth.name} and are left out")
    return notes


# ---- by place
def _rows_by_photograph(ids: np.ndarray, key: Key) -> dict[bytes, list[int]]:
    photographs = defaultdict(list)
    for row, identity in enumerate(ids):
        photographs[key(photograph_of(identity))].append(row)
    return photographs


def _join_by_place(truth: PointSet, pred: PointSet, reporter: Reporter) -> np.ndarray:
    """In each photograph, the assignment of predictions to faces that lie least apart in all.

    A prediction farther from a face than the larger of both is large belongs to none, so the face is missing.
    """
    faces_of = _rows_by_photograph(truth.ids, bytes)
    given_of = _rows_by_photograph(pred.ids, bytes)
    if not faces_of.keys() & given_of.keys():
        for what, shorten in _SHORTENED:
            faces_of, given_of = (_rows_by_photograph(one.ids, shorten) for one in (truth, pred))
            if faces_of.keys() & given_of.keys():
                reporter.warn(f"{pred.name}: no photograph is called as in {truth.name}; joined {what}")
                break
    rows = np.full(len(truth), ABSENT, np.int64)
    alone = [(faces[0], given_of[name][0]) for name, faces in faces_of.items() if _is_pair(faces, given_of.get(name))]
    for start in range(0, len(alone), _BLOCK):
        one, other = np.array(alone[start : start + _BLOCK]).T
        near = _apart(truth.points(one), pred.points(other)) < _SAME_PLACE
        rows[one[near]] = other[near]
    for name, faces in faces_of.items():
        given = given_of.get(name)
        if given is not None and not _is_pair(faces, given):
            for face, row in _assign(truth.points(np.array(faces)), pred.points(np.array(given))):
                rows[faces[face]] = given[row]
    for start in range(0, len(truth), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(truth)))
        nothing = np.isnan(truth.points(block)[..., 0]).all(axis=1)
        rows[block][nothing] = UNKNOWN
    return rows


def _is_pair(faces: list[int], given: list[int] | None) -> bool:
    return given is not None and len(faces) == len(given) == 1


def _assign(gt: np.ndarray, pred: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (face, prediction) out of gt (n, L, 2) and pred (m, L, 2) that lie least apart in all."""
    from scipy.optimize import linear_sum_assignment

    apart = np.stack([_apart(np.broadcast_to(face, pred.shape), pred) for face in gt])
    cost = np.where(apart < _SAME_PLACE, apart, 1e6)  # also where they have no point in common
    return [(int(k), int(j)) for k, j in zip(*linear_sum_assignment(cost), strict=True) if cost[k, j] < _SAME_PLACE]


def _apart(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """How far the middle of pred (n, L, 2) lies from that of gt (n, L, 2), over the size of the larger of both, (n,).

    Of the points that both have, so that a face of which three points are annotated finds its prediction too.
    """
    known = np.isfinite(gt[..., 0]) & np.isfinite(pred[..., 0])
    n_known = np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    gap = np.where(known[..., None], pred - gt, 0).sum(axis=1) / n_known[:, None]
    sizes = [(np.fmax.reduce(one, axis=1) - np.fmin.reduce(one, axis=1)).max(axis=1) for one in (gt, pred)]
    apart: np.ndarray = np.linalg.norm(gap, axis=1) / np.maximum(np.fmax(*sizes), 1)
    return apart


def _tell_of_other_order(truth: PointSet, pred: PointSet, rows: np.ndarray, reporter: Reporter) -> None:
    """Numbers of several faces in a photograph are those of a list's order, which another list need not share."""
    several = [faces for faces in _rows_by_photograph(truth.ids, bytes).values() if len(faces) > 1]
    n_other = 0
    for faces in several:
        there = np.array([face for face in faces if rows[face] >= 0], np.int64)
        if len(there) > 1:
            pairs = _assign(truth.points(there), pred.points(rows[there]))
            n_other += any(face != row for face, row in pairs)
    if n_other:
        reporter.warn(
            f"{pred.name}: in {n_other} of {len(several)} photographs with several faces these fit better in another "
            "order than that of the list: --join place joins them by where they lie"
        )
