"""Faces without labels to train on: the teachers' points stand in the place of the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from kdtools.errors import DataError, some_of
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import match_ids
from kdtools.landmarks.geometry import pixels_to_unit
from kdtools.reporting import Reporter
from kdtools.training.conventions import LearntConventions
from kdtools.training.face_set import FaceSet


def unlabelled_set(
    unlabelled: FacesFile,
    faces: FacesFile,
    predictions: Mapping[str, FacesFile],
    learnt: LearntConventions,
    reporter: Reporter,
) -> FaceSet:
    """The faces of `unlabelled`, with the points of those teachers that are given as `predictions`, joined by id.

    `faces` are the labelled ones: their points are those that predictions hold, in the same order. Landmarks of
    `unlabelled` itself are not read. A face is learnt by its annotation convention, or by the default one. Raises
    DataError for a face without a prediction, and as `compare_crops` does.
    """
    unlabelled.require("image")
    compare_crops(unlabelled, faces, reporter)
    if "landmarks" in unlabelled:
        reporter.say(f"{unlabelled.name}: its landmarks are not used; the teachers say where the points are")
    points, confidence = {}, None
    for name, predicted in predictions.items():
        order = faces.order_of_points(predicted)
        rows = match_ids(unlabelled.ids, predicted.ids, unlabelled.name, predicted.name)
        found = unlabelled.from_source(predicted.true_points("source")[rows][:, order])
        unit = pixels_to_unit(found, *unlabelled.image_size)
        points[name] = torch.from_numpy(unit.astype(np.float32))
        if name == "tough" and "confidence" in predicted:
            stored = np.asarray(predicted.read("confidence", 0, len(predicted)), np.float32)
            confidence = torch.from_numpy(np.nan_to_num(stored[rows][:, order]))
    every = np.arange(len(unlabelled))
    return FaceSet(unlabelled.images, points, every, learnt.numbers(unlabelled, every, reporter), confidence)


def compare_crops(unlabelled: FacesFile, faces: FacesFile, reporter: Reporter) -> None:
    """Raises DataError for crops with another margin; warns of crops around boxes of another kind.

    A detector's boxes are brought to the points' square when faces are imported, so these two kinds go together.
    """
    own, other = unlabelled.crop, faces.crop
    if own is None or other is None:
        return
    if own.margin != other.margin:
        raise DataError(
            f"{unlabelled.name} is cropped with a margin of {own.margin:g}, {faces.name} with {other.margin:g}",
            f"import the unlabelled faces again with --margin {other.margin:g}",
        )
    if "given" in (own.box, other.box):
        unlabelled.compare_crop(other, faces.name, reporter)


def warn_of_shared_faces(unlabelled: FacesFile, labelled: FacesFile, reporter: Reporter) -> None:
    """Warn of unlabelled faces that have the ids of labelled ones, which may be validated with."""
    shared = sorted(set(unlabelled.ids) & set(labelled.ids))
    if shared:
        reporter.warn(f"{len(shared)} of {unlabelled.name} have the ids of faces of {labelled.name}: {some_of(shared)}")
