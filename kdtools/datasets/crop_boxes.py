"""Which box each face is cropped around: that of its points, one given with it, or a detector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kdtools.datasets.formats import Annotation
from kdtools.datasets.formats.shared.tables import picture_of
from kdtools.datasets.video_frames import with_frames
from kdtools.errors import DataError, KdError, UsageError, reason_of, some_of
from kdtools.images.detection import (
    BoxesFile,
    Detector,
    Found,
    ReducedSearch,
    WholeImage,
    check_scoreless,
    check_searchless,
    decode_for,
    find_detector,
    find_in,
    is_detector,
    usual_detector,
)
from kdtools.images.large_pictures import large_pictures_in_turn
from kdtools.images.reading import read_bytes
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import BoxRelation, CropRule, measure_relation, points_square
from kdtools.parallel import map_bounded
from kdtools.reporting import SILENT, Reporter, counted

_SAME_FACE = 0.25  # overlap (intersection over union) from which a detected box is that of the annotated points


def choose_boxes(
    annotations: list[Annotation],
    box: str,
    margin: float,
    *,
    min_score: float | None = None,
    search_size: int | None = None,
    jobs: int,
    reporter: Reporter = SILENT,
) -> tuple[list[Annotation], CropRule | None, Mapping[str, Any]]:
    """Annotations with the boxes to crop around; the rule, None for whole images; and the record of the detector.

    `box` is auto, points, given, whole, or what `find_detector` knows, with the least score of a face and the size of
    the search. Images without points become as many faces as the detector finds. The record is empty where none was
    named. Raises UsageError for a box that this input cannot have, for a least score where boxes have no scores, and
    for a search size where nothing is searched.
    """
    if box in ("points", "given", "whole"):
        check_scoreless(box, min_score)
        check_searchless(box, search_size)
    if box == "auto" and (min_score is not None or search_size is not None):
        raise UsageError(
            f"--{'search-size' if min_score is None else 'min-score'}: without --detector, kd-import does not search "
            "images",
            "name one: finder, cascade, yunet, a YuNet model (.onnx)",
        )
    is_named = box != "auto"
    has_points = bool(annotations) and annotations[0].points is not None
    if box == "auto":
        box = "points" if has_points else "whole"
        if has_points:
            reporter.say("each face is cropped around its points; --detector whole keeps whole images")
        else:
            what = counted(len(annotations), "whole image")
            reporter.say(f"{what}, no face detection; --detector {usual_detector()} finds faces")
    if box == "points":
        if annotations and not has_points:
            raise UsageError(
                "--detector points, but the input has no points",
                "give --detector whole, finder, cascade, yunet or a YuNet model (.onnx)",
            )
        return annotations, CropRule(margin), {}
    if box == "whole":
        return annotations, None, WholeImage.record if is_named else {}
    if box == "given":
        return *_given_boxes(annotations, margin, reporter), {}
    try:
        detector = find_detector(box, min_score, reporter, search_size=search_size)
    except UsageError as error:
        if is_detector(box):
            raise
        raise UsageError(  # it knows the detectors, but not what else a box can be
            f"--detector {box!r} is not known",
            "give points, given, whole, finder, cascade, yunet, a YuNet model (.onnx) or boxes (.csv)",
        ) from error
    if isinstance(detector, BoxesFile) and detector.reading:
        reporter.say(f"{box}: {detector.reading}")
    found = _detected_boxes(annotations, detector, margin, jobs=jobs, reporter=reporter)
    if isinstance(detector, ReducedSearch) and detector.remark:
        reporter.say(detector.remark)
    if isinstance(detector, BoxesFile) and detector.unused:
        reporter.warn(
            f"{box}: holds boxes of {counted(len(detector.unused), 'name')} that no image has: "
            f"{some_of(detector.unused)}"
        )
    return *found, detector.record


def _given_boxes(annotations: list[Annotation], margin: float, reporter: Reporter) -> tuple[list[Annotation], CropRule]:
    boxed = [one for one in annotations if one.box is not None]
    if annotations and not boxed:
        raise UsageError(
            "--detector given, but the input has no boxes", "give --detector points, or a .csv file of boxes"
        )
    for one in annotations:
        if one.box is None:
            reporter.skip(one.id, "has no box")
    return boxed, CropRule(margin, "given", _relation(boxed))


def _relation(annotations: list[Annotation]) -> BoxRelation:
    """How the points lie in the boxes; the identity where there are no points to tell."""
    pairs = [(one.box, square) for one in annotations if (square := _square_of(one)) is not None]
    return measure_relation(*map(np.array, zip(*pairs, strict=True))) if pairs else BoxRelation()


def _square_of(annotation: Annotation) -> np.ndarray | None:
    """Tight square around the points, None where they make none."""
    if annotation.points is None:
        return None
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # numbers like 1e308
            square = points_square(annotation.points)
    except DataError:
        return None
    return square if np.isfinite(square).all() else None


def _detected_boxes(
    annotations: list[Annotation],
    detector: Detector,
    margin: float,
    *,
    jobs: int,
    reporter: Reporter,
) -> tuple[list[Annotation], CropRule]:
    def detect(annotation: Annotation) -> list[Found] | str:
        try:
            with large_pictures_in_turn():
                name = picture_of(annotation.id)
                if annotation.load:
                    return detector.find_faces(annotation.load(), name)
                path = annotation.image
                picture = decode_for(detector, read_bytes(path), str(path), upright=annotation.upright)
                return find_in(detector, picture, name)
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)

    boxed: list[Annotation] = []
    missed: list[Annotation] = []
    results = zip(annotations, map_bounded(detect, with_frames(annotations), jobs), strict=True)
    with reporter.progress("finding faces", len(annotations)) as progress:
        for done, (one, found) in enumerate(results, start=1):
            progress(done)
            if isinstance(found, str):
                reporter.skip(one.id, found)
            elif one.points is None:
                if not found:
                    reporter.skip(one.id, "no face found")
                boxed += [
                    replace(one, id=one.id if k == 0 else f"{one.id}#{k + 1}", box=face.box, score=face.score)
                    for k, face in enumerate(found)
                ]
            else:
                same = _same_face(one, found)
                (missed if same is None else boxed).append(
                    one if same is None else replace(one, box=same.box, score=same.score)
                )
    kind = "given" if isinstance(detector, BoxesFile) else "detector"
    rule = CropRule(margin, kind, _relation(boxed) if kind == "given" else BoxRelation())
    if kind == "given" and missed and not boxed:
        raise DataError(
            "none of the boxes frames the annotated points of its image",
            "boxes are x0, y0, x1, y1 in pixels of the image, at most twice as wide as the points",
        )
    if missed:
        reporter.say(
            f"{len(missed)} of {len(missed) + len(boxed)} annotated faces were not found by {detector.name} and are "
            f"cropped around their points: {some_of([one.id for one in missed])}"
        )
    return _in_order(annotations, boxed, missed, rule), rule


def _same_face(annotation: Annotation, found: list[Found]) -> Found | None:
    """The found box that best overlaps the points' square."""
    square = _square_of(annotation)
    if square is None or not found:
        return None
    shares = overlaps(np.stack([face.box for face in found]), square[None])[:, 0]
    best = int(np.argmax(shares))
    return found[best] if shares[best] >= _SAME_FACE else None


def _in_order(
    annotations: list[Annotation], boxed: list[Annotation], missed: list[Annotation], rule: CropRule
) -> list[Annotation]:
    """Found and missed faces in the order of the input; a missed one gets the box that its points would have."""
    missed_boxed = []
    for one in missed:
        square = _square_of(one)
        missed_boxed.append(
            replace(one, box=None if square is None else rule.relation.box_around(square), score=np.nan)
        )
    place = {one.id: k for k, one in enumerate(annotations)}
    faces = [*boxed, *missed_boxed]
    return sorted(faces, key=lambda one: place.get(one.id, place.get(picture_of(one.id), 0)))
