"""Annotated images -> the arrays of a faces file: decode, crop and map the points, many at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.datasets.formats import Annotation
from kdtools.datasets.video_frames import with_frames
from kdtools.errors import DataError, KdError, reason_of, some_of
from kdtools.faces.schema import ANNOTATION, CROP
from kdtools.faces.selection import IdPatterns
from kdtools.faces.writer import FacesWriter, ImageRows
from kdtools.images.cropping import check_square, crop_image
from kdtools.images.detection import whole_square
from kdtools.images.large_pictures import large_pictures_in_turn
from kdtools.images.reading import decode_reduced, is_turned, may_be_turned, read_bytes
from kdtools.landmarks import Scheme
from kdtools.landmarks.crop_rule import CropRule, points_in_box
from kdtools.landmarks.geometry import box_to_source
from kdtools.parallel import batched, map_bounded
from kdtools.reporting import SILENT, Reporter, counted

_CHUNK_OF_FRAMES = 1  # frames of videos wait decoded
_CHUNK = 32  # faces a task: one at a time, the threads would spend their time waiting for Python's lock
_BLOCK = 1024  # faces whose points are mapped at a time


@dataclass(frozen=True)
class CroppedFace:
    """`square` (4,) is the box that was cropped out of a photograph of `width` x `height` px.

    `turned` says that EXIF data turned the photograph upright.
    """

    square: np.ndarray
    width: int
    height: int
    turned: bool = False


def import_faces(
    annotations: Sequence[Annotation],
    writer: FacesWriter,
    *,
    crop: CropRule | None,
    size: int,
    jobs: int,
    scheme: Scheme | None,
    role: str = "hard",
    subsets: Sequence[tuple[str, str]],
    reporter: Reporter = SILENT,
) -> int:
    """Crop every face to `size` px and fill `writer`; faces that cannot be used are skipped. Returns how many are in.

    `crop` None takes whole images. `subsets` are (name, glob over ids). The reporter is warned of a glob that no id
    matches and of points outside their photographs. Raises DataError where no face is left.
    """
    rows = ImageRows(writer.create_images(len(annotations), size, size))

    def crop_one(row: int, annotation: Annotation, square: np.ndarray | None) -> CroppedFace | str:
        """The face, its pixels written, or why there is none: one bad image must not end a run over thousands."""
        try:
            with large_pictures_in_turn():
                face, pixels = crop_annotated(annotation, crop, size, square)
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)
        rows.write(row, pixels)  # not above, because a full disk is no fault of this image
        return face

    def crop_many(some: list[tuple[int, Annotation]]) -> list[CroppedFace | str]:
        squares = _squares_of([one for _, one in some], crop)
        return [crop_one(row, one, square) for (row, one), square in zip(some, squares, strict=True)]

    good: list[CroppedFace] = []
    kept: list[int] = []  # rows
    n_together = _CHUNK if all(one.frame is None for one in annotations) else _CHUNK_OF_FRAMES
    chunks = map_bounded(crop_many, batched(enumerate(with_frames(annotations)), n_together), jobs)
    # Closed before the file is, also after an error or a signal, because the threads write into it.
    with reporter.progress("importing", len(annotations)) as progress, contextlib.closing(chunks):
        done = 0
        for faces in chunks:
            for row, face in enumerate(faces, start=done):
                if isinstance(face, str):
                    reporter.skip(annotations[row].id, face)
                else:
                    good.append(face)
                    kept.append(row)
            done += len(faces)
            progress(done)
    annotations = [annotations[row] for row in kept]
    if not good:
        raise DataError("no face could be imported")
    squares = np.stack([face.square for face in good])
    points, is_beside, is_far = _placed(annotations, squares, [(face.width, face.height) for face in good], size)
    far = [annotations[k].id for k in np.flatnonzero(is_far)]
    if 2 * len(far) > len(good):
        raise DataError(
            f"{len(far)} of {len(good)} faces have points outside three times their image: {some_of(far)}",
            "these numbers are no pixels of these images; look at --format, --base and the order of the columns",
        )
    writer.put("box", squares, origin=CROP)
    writer.put("to_source", box_to_source(squares, size, size))
    _write_annotations(writer, annotations, subsets, reporter)
    if scheme is not None:
        writer.put_landmarks(points, scheme, role)
    if crop is not None:
        writer.put_crop(crop)
    if turned := [one.id for one, face in zip(annotations, good, strict=True) if face.turned]:
        # Points belong to the upright images or to the stored ones, and no annotation says to which.
        reporter.warn(
            f"{counted(len(turned), 'face lies', 'faces lie')} in images turned upright by their "
            f"EXIF orientation: {some_of(turned)}; if their "
            "points were marked in the images as stored, give --exif keep"
        )
    if outside := [annotations[k].id for k in np.flatnonzero(is_beside)]:
        reporter.warn(f"{counted(len(outside), 'face has', 'faces have')} points outside the image: {some_of(outside)}")
    writer.keep_images(kept)
    return len(good)


def _squares_of(annotations: Sequence[Annotation], crop: CropRule | None) -> list[np.ndarray | None]:
    """The crop square (4,) of each face where only its points decide; None where there is none, or more does."""
    points = [one.points for one in annotations if one.points is not None]
    if crop is None or crop.box != "points" or len(points) < len(annotations):
        return [None] * len(annotations)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers like 1e308
        squares = crop.squares_around_points(np.stack(points))
    is_square = np.isfinite(squares).all(axis=1)
    return [square if good else None for square, good in zip(squares, is_square, strict=True)]


def _placed(
    annotations: Sequence[Annotation], squares: np.ndarray, sizes: Sequence[tuple[int, int]], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, L, 2) in pixels of the crops of `squares` (N, 4), and which faces have one beside their photograph,
    or outside three times it; `sizes` are the width and height of these. NaN is neither.
    """
    n_points = 0 if annotations[0].points is None else len(annotations[0].points)
    placed = np.empty((len(annotations), n_points, 2), np.float32)
    beside, far = np.zeros((2, len(annotations)), bool)
    for first in range(0, len(annotations) if n_points else 0, _BLOCK):
        some = slice(first, first + _BLOCK)
        points = np.stack([one.points for one in annotations[some] if one.points is not None])
        low, high, whole = np.fmin.reduce(points, axis=1), np.fmax.reduce(points, axis=1), np.array(sizes[some])
        beside[some] = ((low < -0.5) | (high > whole - 0.5)).any(axis=1)
        far[some] = ((low < -whole) | (high > 2 * whole)).any(axis=1)
        placed[some] = points_in_box(points, squares[some], size)
    return placed, beside, far


def crop_annotated(
    annotation: Annotation, crop: CropRule | None, size: int, square: np.ndarray | None = None
) -> tuple[CroppedFace, np.ndarray]:
    """Decode and crop one face -> the face and its pixels (size, size, 3). `square` (4,) is its crop where known.

    Raises FileError or DataError where its image or points cannot be used.
    """
    if square is None and crop is not None:
        square = _square_of(annotation, crop)
    reduction, may_turn = 1, False
    if annotation.load:
        image = annotation.load()
        height, width = image.shape[:2]
    else:
        most = 1 if square is None else int(min(max((square[2] - square[0]) / size, 1), 8))
        data = read_bytes(annotation.image)
        image, reduction, (height, width) = decode_reduced(data, annotation.image, most, upright=annotation.upright)
        may_turn = annotation.upright and may_be_turned(data)
    if annotation.size and annotation.size != (width, height):
        stated = f"{annotation.size[0]} x {annotation.size[1]} px"
        why = ", turned" if annotation.size == (height, width) else ""
        if why and may_turn and is_turned(annotation.image):
            why += " upright by its EXIF orientation (--exif keep takes it as stored)"
        raise DataError(f"annotated on a picture of {stated}, but the picture has {width} x {height}{why}")
    if square is None:
        square = whole_square(height, width)
    check_square(square, height, width)
    pixels, _ = crop_image(image, square / reduction, size)
    turned = annotation.points is not None and may_turn and is_turned(annotation.image)
    return CroppedFace(square, width, height, turned), pixels


def _square_of(annotation: Annotation, crop: CropRule) -> np.ndarray:
    """The crop square (4,) of a face. Raises DataError where it has neither points nor a box, or absurd ones."""
    if annotation.box is not None and crop.box != "points":
        square = crop.square_around_box(annotation.box)
    elif annotation.points is None:
        raise DataError("has neither points nor a box")
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # numbers like 1e308
            square = crop.square_around_points(annotation.points)
    if not np.isfinite(square).all():
        raise DataError("its points are not places in an image")
    return square


def import_points(
    annotations: Sequence[Annotation],
    writer: FacesWriter,
    scheme: Scheme | None,
    role: str,
    subsets: Sequence[tuple[str, str]],
    reporter: Reporter = SILENT,
) -> int:
    """Fill `writer` with points alone, in pixels of images that need not be there; returns how many faces are in.

    Their boxes are those of the annotation, where all have one. Raises DataError where no face is left.
    """
    good = []
    for one in annotations:
        if one.points is None or np.isfinite(one.points).any():
            good.append(one)
        else:
            reporter.skip(one.id, "has no annotated point")
    if not good or scheme is None:
        raise DataError("no face could be imported" if scheme else "the input has no points, so nothing is left of it")
    _write_annotations(writer, good, subsets, reporter)
    boxes = [one.box for one in good if one.box is not None]
    if len(boxes) == len(good):
        writer.put("box", np.stack(boxes), origin=ANNOTATION)
    writer.put_landmarks(np.stack([one.points for one in good if one.points is not None]), scheme, role)
    return len(good)


def _write_annotations(
    writer: FacesWriter, annotations: Sequence[Annotation], subsets: Sequence[tuple[str, str]], reporter: Reporter
) -> None:
    """Everything about the faces but their points, boxes and pixels."""
    ids = [one.id for one in annotations]
    writer.put_ids(ids)
    writer.put("source", [str(one.image) for one in annotations])
    n_points = 0 if annotations[0].points is None else len(annotations[0].points)
    for name, fill in (("visible", 1), ("confidence", np.nan)):
        values = [getattr(one, name) for one in annotations]
        if any(value is not None for value in values):
            writer.put(name, np.stack([np.full(n_points, fill) if value is None else value for value in values]))
    if any(one.score is not None for one in annotations):
        writer.put("score", [np.nan if one.score is None else one.score for one in annotations])
    if any(one.frame is not None for one in annotations):
        writer.put("frame", [-1 if one.frame is None else one.frame for one in annotations])
    members = {
        name: np.array([name in one.subsets for one in annotations])
        for name in sorted(frozenset().union(*(one.subsets for one in annotations)))
    }
    for name, glob in subsets:
        matches = IdPatterns([glob]).match(ids)
        if not matches.any():
            reporter.warn(f"--add-subset {name}={glob} matches no id; ids are like {ids[0]!r}")
        members[name] = members.get(name, np.zeros(len(ids), bool)) | matches
    for name, member in members.items():
        writer.put(f"subset/{name}", member)
