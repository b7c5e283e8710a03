"""Faces without labels to train on: the teachers' points stand in the place of the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from kdtools.errors import DataError, some_of
from kdtools.faces.detector import are_whole_images
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import match_ids
from kdtools.landmarks.geometry import pixels_to_unit
from kdtools.model.card import ModelCard
from kdtools.reporting import Reporter
from kdtools.training.conventions import LearntConventions
from kdtools.training.face_set import FaceSet


def unlabelled_set(
    unlabelled: FacesFile,
    faces: FacesFile,
    predictions: Mapping[str, FacesFile],
    learnt: LearntConventions,
    tough: ModelCard | None,
    reporter: Reporter,
) -> FaceSet:
    """The faces of `unlabelled`, with the points of those teachers that are given as `predictions`, joined by id.

    `faces` are the labelled ones: their points are those that predictions hold, in the same order. `tough` is the card
    of the Tough teacher, None if that is among the predictions. Landmarks of `unlabelled` itself are not read. A face
    is learnt by its annotation convention, or else by that of Tough's points. Raises DataError for a face without a
    prediction, and as `compare_crops` does.
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
    layers = learnt.numbers_of_unlabelled(unlabelled, tough or predictions["tough"], reporter)
    return FaceSet(unlabelled.images, points, np.arange(len(unlabelled)), layers, confidence)


def compare_crops(unlabelled: FacesFile, faces: FacesFile, reporter: Reporter) -> None:
    """Raises DataError for crops with another margin, and for photographs that nobody cropped.

    Warns of crops around boxes of another kind. A detector's boxes are brought to the points' square when faces are
    imported, so these two kinds go together.
    """
    own, other = unlabelled.crop, faces.crop
    if other is not None and are_whole_images(unlabelled):
        what = f"{unlabelled.name}: holds whole images, in which no faces were looked for, and {faces.name} holds crops"
        way = f"import the photographs with --detector finder --margin {other.margin:g}"
        raise DataError(what, f"{way}, or with --detector whole if each is the crop of a face")
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
        reporter.warn(
            f"{len(shared)} of {unlabelled.name} have the ids of faces of {labelled.name}: {some_of(shared)}; those to "
            "validate with are then trained on, too"
        )
