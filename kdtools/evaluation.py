"""Predictions against truth: files joined by id, every subset and normaliser, one row of figures for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.files import FacesFile, match_ids, open_faces
from kdtools.geometry import pixels_to_unit, unit_to_pixels
from kdtools.metrics import NORMALISERS, nme_per_face, normaliser_per_face, summarise
from kdtools.schemes import Scheme

ALL_FACES = "full"
MEAN_SHAPE = "mean shape"


@dataclass(frozen=True)
class Row:
    """Figures of one prediction on one subset with one normaliser; None where nothing could be measured."""

    prediction: str
    subset: str
    normaliser: str
    figures: dict[str, int | float | None]


def evaluate(
    predictions: Sequence[str],
    truth_path: str,
    *,
    normalisers: str,
    thresholds: Sequence[float],
    subsets: Sequence[str] | None,
    mean_shape_path: str | None,
    warn: Callable[[str], None],
) -> list[Row]:
    """Rows for every prediction, subset and normaliser, in that order; the mean shape's come last.

    Raises DataError where ids do not match, numbers of points differ or a subset is not in the truth, UsageError for
    a normaliser that the scheme does not allow.
    """
    with open_faces(truth_path) as truth:
        gt = truth.landmarks_in_source()
        kinds = _choose_normalisers(normalisers, truth.scheme)
        members = _choose_subsets(truth, subsets)
        lengths = {kind: _lengths(gt, kind, truth.scheme) for kind in kinds}
        named = [(_short_name(path), _read_prediction(path, truth, warn)) for path in predictions]
        if mean_shape_path is not None:
            named.append((MEAN_SHAPE, _mean_prediction(mean_shape_path, truth)))
        errors = [(name, {kind: nme_per_face(gt, pred, lengths[kind]) for kind in kinds}) for name, pred in named]
    rows = [
        Row(name, subset, kind, summarise(nme[kind][member], thresholds))
        for name, nme in errors
        for subset, member in members.items()
        for kind in kinds
    ]
    if mean_shape_path is not None:
        _compare_with_mean_shape(rows)
    unmeasured = max((int(row.figures.get("unmeasured") or 0) for row in rows), default=0)
    if unmeasured:
        warn(f"{unmeasured} faces could not be measured: no points, or a normaliser that is missing or zero")
    return rows


def parse_thresholds(text: str) -> list[float]:
    """`0.05,0.08` -> shares. Raises UsageError for anything that is not numbers above 0."""
    try:
        thresholds = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--thresholds is {text!r}", "give numbers with commas between, such as 0.08,0.10") from error
    if not all(0 < t < math.inf for t in thresholds):
        raise UsageError(f"--thresholds is {text!r}", "give shares above 0, such as 0.08 for 8 %")
    return thresholds


def nme_above(row: Row, percent: float) -> bool:
    """Whether a row fails a limit on its NME; one that could not be measured does not pass."""
    nme = row.figures["nme_percent"]
    return row.prediction != MEAN_SHAPE and (nme is None or nme > percent)


def _short_name(path: str) -> str:
    return "standard input" if path == "-" else path


def _choose_normalisers(wanted: str, scheme: Scheme) -> list[str]:
    possible = [
        kind
        for kind in NORMALISERS
        if (kind != "inter-ocular" or scheme.outer_corners) and (kind != "inter-pupil" or scheme.left_eye)
    ]
    if wanted == "all":
        return possible
    if wanted not in possible:
        raise UsageError(f"--norm is {wanted!r}", f"for {scheme.name} give all or one of {', '.join(possible)}")
    return [wanted]


def _choose_subsets(truth: FacesFile, wanted: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Name -> member (N,) bool; `full` is every face and comes first."""
    members = {ALL_FACES: np.ones(len(truth), bool), **truth.subsets}
    if not wanted:
        return members
    for name in wanted:
        if name not in members:
            raise DataError(f"{truth.name}: has no subset {name!r}", f"it has {', '.join(members)}")
    return {name: members[name] for name in dict.fromkeys(wanted)}


def _lengths(gt: np.ndarray, kind: str, scheme: Scheme) -> np.ndarray:
    return normaliser_per_face(
        gt, kind, outer_corners=scheme.outer_corners, left_eye=scheme.left_eye, right_eye=scheme.right_eye
    )


def _read_prediction(path: str, truth: FacesFile, warn: Callable[[str], None]) -> np.ndarray:
    """Points (N, L, 2) of the truth's faces, in pixels of the source images."""
    with open_faces(path) as pred:
        pred.require("landmarks")
        truth.check_same_points(pred)
        rows = match_ids(truth.ids, pred.ids, truth.name, pred.name)
        if len(pred) > len(truth):
            warn(f"{pred.name}: {len(pred) - len(truth)} faces are not in {truth.name} and are left out")
        return pred.landmarks_in_source()[rows]


def _mean_prediction(path: str, truth: FacesFile) -> np.ndarray:
    """The mean landmarks of another file's crops, put into the crops of the truth: a guess without looking."""
    truth.require("image")
    with open_faces(path) as faces:
        faces.require("image", "landmarks")
        truth.check_same_points(faces)
        mean = np.nanmean(pixels_to_unit(faces.landmarks, *faces.image_size), axis=0)
    guess = unit_to_pixels(np.broadcast_to(mean, (len(truth), *mean.shape)), *truth.image_size)
    return truth.points_to_source(guess)


def _compare_with_mean_shape(rows: list[Row]) -> None:
    """Add to each row its NME as a share of the mean shape's."""
    base = {(r.subset, r.normaliser): r.figures["nme_percent"] for r in rows if r.prediction == MEAN_SHAPE}
    for row in rows:
        nme, mean = row.figures["nme_percent"], base[row.subset, row.normaliser]
        row.figures["nme_of_mean_shape_percent"] = 100 * nme / mean if nme is not None and mean else None
