"""How much predicted points tremble in videos, for which no truth is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import UsageError
from kdtools.evaluation.point_sets import PointSet, check_ids, check_inputs, read_prediction
from kdtools.evaluation.request import split_norms
from kdtools.evaluation.units import find_frames
from kdtools.metrics import Normaliser, acceleration_per_face, default_normaliser, normaliser_named
from kdtools.reporting import SILENT, Reporter

_BLOCK = 1024  # faces


@dataclass(frozen=True)
class Steadiness:
    """One prediction: the mean over `n_frames`, each with two frames of its face before it, in percent of the length.

    None where there is no such frame. `n_runs` is how often a face begins to be followed.
    """

    pred: str
    normaliser: str
    n_runs: int
    n_frames: int
    jitter_percent: float | None


def measure_steadiness(
    words: Sequence[str], norm: str | None, video: str, reporter: Reporter = SILENT
) -> list[Steadiness]:
    """A row for each prediction. `video` is as of `find_frames`; `norm` names one length, taken from the prediction.

    Raises UsageError for a normaliser that the scheme does not allow, DataError where no face follows another.
    """
    check_inputs(words)
    with contextlib.ExitStack() as stack:
        return [_measure(read_prediction(word, "", stack, reporter), norm, video) for word in words]


def _measure(pred: PointSet, norm: str | None, video: str) -> Steadiness:
    check_ids(pred.ids, pred.name)
    normaliser = _choose(pred, norm)
    before = find_frames(pred.ids, video).before
    earlier = np.where(before >= 0, before[before], -1)
    rows = np.flatnonzero(earlier >= 0)
    found = [
        acceleration_per_face(
            points := pred.points(some),
            pred.points(before[some]),
            pred.points(earlier[some]),
            normaliser.lengths(points),
        )
        for some in np.array_split(rows, -(-len(rows) // _BLOCK) or 1)
    ]
    jitter = np.concatenate(found)
    jitter = jitter[np.isfinite(jitter)]
    mean = 100 * float(jitter.mean()) if len(jitter) else None
    return Steadiness(pred.name, normaliser.name, int((before < 0).sum()), len(jitter), mean)


def _choose(pred: PointSet, norm: str | None) -> Normaliser:
    if norm is None:
        return default_normaliser(pred.scheme)
    names = split_norms(norm)
    if len(names) != 1 or names[0] in ("all", "given-box"):
        raise UsageError(f"--norm is {norm!r}", "give one length that the points tell, such as inter-ocular")
    return normaliser_named(names[0], pred.scheme)
