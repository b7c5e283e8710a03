"""Jitter of predicted points in videos, measured without truth."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import UsageError
from kdtools.evaluation.point_sets import PointSet, check_ids
from kdtools.evaluation.read_points import read_prediction, split_name
from kdtools.evaluation.request import check_inputs, split_norms
from kdtools.evaluation.units import find_frames
from kdtools.metrics import Normaliser, acceleration_per_face, default_normaliser, normaliser_named
from kdtools.reporting import SILENT, Reporter

_BLOCK = 1024  # faces


@dataclass(frozen=True)
class Jitter:
    """Mean jitter of one prediction over `n_frames`, in percent of the normaliser; None if there are no such frames.

    Only frames with two predecessors count. `n_runs` is the number of uninterrupted tracks.
    """

    pred: str
    normaliser: str
    n_runs: int
    n_frames: int
    jitter_percent: float | None


def measure_jitter(words: Sequence[str], norm: str | None, video: str, reporter: Reporter = SILENT) -> list[Jitter]:
    """A row per prediction. `video` is the pattern of `find_frames`; `norm` names a normaliser measured on predictions.

    Raises UsageError for a normaliser that the scheme does not allow, DataError if there are no consecutive frames.
    """
    check_inputs(words)
    with contextlib.ExitStack() as stack:
        return [_measure(read_prediction(*split_name(word), "", stack, reporter), norm, video) for word in words]


def _measure(pred: PointSet, norm: str | None, video: str) -> Jitter:
    check_ids(pred.ids, pred.name)
    normaliser = _choose_normaliser(pred, norm)
    before = find_frames(pred.ids, video).before
    earlier = np.where(before >= 0, before[before], -1)
    rows = np.flatnonzero(earlier >= 0)
    blocks = []
    for block in np.array_split(rows, -(-len(rows) // _BLOCK) or 1):
        points = pred.points(block)
        lengths = normaliser.lengths(points)
        blocks.append(acceleration_per_face(points, pred.points(before[block]), pred.points(earlier[block]), lengths))
    jitter = np.concatenate(blocks)
    jitter = jitter[np.isfinite(jitter)]
    mean = 100 * float(jitter.mean()) if len(jitter) else None
    return Jitter(pred.name, normaliser.name, int((before < 0).sum()), len(jitter), mean)


def _choose_normaliser(pred: PointSet, norm: str | None) -> Normaliser:
    if norm is None:
        return default_normaliser(pred.scheme)
    names = split_norms(norm)
    if len(names) != 1 or names[0] in ("all", "given-box"):
        raise UsageError(f"--norm is {norm!r}", "give one normaliser that is measured on points, such as inter-ocular")
    return normaliser_named(names[0], pred.scheme)
