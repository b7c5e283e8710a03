"""Faces and the point sets to draw on them, joined by id; and the selection and order of faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, KdError, reason_of
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import match_ids
from kdtools.faces.selection import IdPatterns, choose_faces
from kdtools.images.cropping import crop_image
from kdtools.landmarks import Scheme
from kdtools.landmarks.crop_rule import CropRule, square_at
from kdtools.landmarks.geometry import apply_affine, invert_affine
from kdtools.metrics import clean_points, default_normaliser, nme_per_face
from kdtools.parallel import batched
from kdtools.reporting import Reporter
from kdtools.viewing.sources import check_sources_apart, source_images

_CHUNK_OF_FRAMES = 64  # faces cropped together, so that a video is decoded once for them, in whatever order they are
_LONGEST = 8  # largest aspect ratio of a picture; crops are square


@dataclass(frozen=True)
class ShownPoints:
    """One set of points: points (N, L, 2) and visible (N, L), in the rows and the frame of the faces' own file."""

    name: str
    points: np.ndarray
    visible: np.ndarray
    scheme: Scheme


@dataclass(frozen=True)
class Gallery:
    """Faces and their point sets, the truth first; errors (n_sets - 1, N) are the NME of the others.

    `folders` are where source images lie; without any, where the file says.
    """

    faces: FacesFile
    sets: list[ShownPoints]
    errors: np.ndarray
    normaliser: str
    folders: Sequence[str] = ()

    @property
    def scheme(self) -> Scheme | None:
        """Scheme of the truth; None if there are no points at all."""
        return self.sets[0].scheme if self.sets else None


@dataclass(frozen=True)
class ShownFace:
    """One face: points (n_sets, L, 2) in pixels of image (H, W, 3), visible (n_sets, L), errors (n_sets - 1,)."""

    id: str
    image: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    errors: np.ndarray
    score: float | None


def gather(
    faces: FacesFile, predictions: Sequence[FacesFile], truth: FacesFile | None, folders: Sequence[str] = ()
) -> Gallery:
    """Join the points of `predictions` and `truth` to the faces; without `truth` the first set is the truth.

    `folders` are where to look for source images.
    Raises DataError if the faces have neither images nor sources, if one of the other files has no points, where two
    sources lead to one image below `folders`, and as `FacesFile.landmarks_from` does.
    """
    if not faces.has_images and "source" not in faces:
        hint = "give the faces file with the pictures first, then those with further points"
        raise DataError(f"{faces.name}: holds neither /image nor /source, so there is nothing to draw on", hint)
    if faces.has_images and (not min(faces.image_size) or max(faces.image_size) > _LONGEST * min(faces.image_size)):
        height, width = faces.image_size
        raise DataError(f"{faces.name}:/image: pictures of {width} x {height} px cannot be shown", "crop the faces")
    if folders and "source" in faces:
        check_sources_apart(faces.texts("source"), folders)
    files = [faces] if "landmarks" in faces else []
    files += predictions
    if truth is not None:
        files = [truth] + [file for file in files if file is not truth]
    first = faces if "landmarks" in faces else files[0] if files else faces
    sets = [_read_set(faces, file, first) for file in files]
    errors, normaliser = _measure(faces, sets)
    return Gallery(faces, sets, errors, normaliser, folders)


def _read_set(faces: FacesFile, file: FacesFile, first: FacesFile) -> ShownPoints:
    """Points of `file` in the order of the `first` one."""
    file.require("landmarks")
    same, order = file is faces, first.order_of_points(file)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers like 1e38 count as missing
        points = faces.landmarks if same else faces.landmarks_from(file)
    if first is not faces:
        points = points[:, order]
    points = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)
    visible = np.ones(points.shape[:2], bool)
    if "visible" in file:
        rows = slice(None) if same else match_ids(faces.ids, file.ids, faces.name, file.name)
        visible = np.asarray(file.stored("visible")[...], bool)[rows][:, order]
    return ShownPoints(file.name, points, visible, file.scheme if isinstance(order, slice) else first.scheme)


def _measure(faces: FacesFile, sets: Sequence[ShownPoints]) -> tuple[np.ndarray, str]:
    """NME (n_sets - 1, N) of all sets against the first, measured in the source images, and its normaliser."""
    if len(sets) < 2:
        return np.empty((0, len(faces))), ""
    gt = faces.to_frame(sets[0].points, "source")
    known = clean_points(gt)
    normaliser = default_normaliser(sets[0].scheme, known)
    norm = normaliser.lengths(known)
    return np.stack([nme_per_face(gt, faces.to_frame(one.points, "source"), norm) for one in sets[1:]]), normaliser.name


def choose_rows(
    gallery: Gallery,
    *,
    subsets: Sequence[str],
    globs: Sequence[str],
    sort: str | None,
    reverse: bool,
    seed: int | None,
    n_max: int,
) -> tuple[np.ndarray, int]:
    """Rows to show, in order, and the number of faces that they were chosen from.

    With a seed they are drawn at random. Faces are sorted, then cut to `n_max`: by the largest error of any set, the
    highest first; by id; by score, the lowest first. Faces that cannot be measured come last. Otherwise, file order.
    Raises DataError for a subset or a glob without faces, and for sorting by score if the file has no /score.
    """
    rows = np.flatnonzero(choose_faces(gallery.faces, subsets=subsets, ids=IdPatterns(globs) if globs else None))
    n_found = len(rows)
    if seed is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:n_max])
    if sort == "id":
        rows = rows[np.argsort(np.array(gallery.faces.ids, object)[rows], kind="stable")]
    elif sort is not None:
        key = (_scores_of(gallery) if sort == "score" else -np.fmax.reduce(gallery.errors, axis=0))[rows]
        return rows[np.lexsort((-key if reverse else key, np.isnan(key)))][:n_max], n_found
    return (rows[::-1] if reverse else rows)[:n_max], n_found


def _scores_of(gallery: Gallery) -> np.ndarray:
    gallery.faces.require("score")
    return np.asarray(gallery.faces.stored("score")[...], np.float64)


def read_shown(
    gallery: Gallery, rows: Sequence[int] | np.ndarray, size: int, reporter: Reporter
) -> Iterator[ShownFace]:
    """Read the faces of these rows one at a time; without /image, they are cropped from their sources to `size` px.

    A source may be a frame of a video. Faces whose source cannot be read or cropped are skipped.
    """
    faces = gallery.faces
    if faces.has_images:
        images = faces.images
        for row in map(int, rows):
            yield _shown(gallery, row, np.asarray(images[row]), _points_of(gallery, row))
        return
    for chunk in batched(map(int, rows), _CHUNK_OF_FRAMES if "frame" in faces else 1):
        cropped = dict(_crop_sources(gallery, chunk, size))
        for row in chunk:
            face = cropped[row]
            if isinstance(face, str):
                reporter.skip(faces.ids[row], face)
            else:
                yield face


def _crop_sources(gallery: Gallery, rows: Sequence[int], size: int) -> Iterator[tuple[int, ShownFace | str]]:
    """Each row with its face cropped from its source image to `size` px, or why it cannot be."""
    for row, load in source_images(gallery.faces, rows, gallery.folders):
        points = _points_of(gallery, row)
        try:
            image, to_source = crop_image(load(), _square_of(gallery.faces, row, points), size)
        except (KdError, OSError, MemoryError) as error:
            yield row, reason_of(error)
            continue
        points = None if points is None else apply_affine(invert_affine(to_source), points)
        yield row, _shown(gallery, row, image, points)


def _points_of(gallery: Gallery, row: int) -> np.ndarray | None:
    return np.stack([one.points[row] for one in gallery.sets]).astype(np.float64) if gallery.sets else None


def _shown(gallery: Gallery, row: int, image: np.ndarray, points: np.ndarray | None) -> ShownFace:
    faces = gallery.faces
    return ShownFace(
        faces.ids[row],
        image,
        np.empty((0, 0, 2)) if points is None else points,
        np.array([one.visible[row] for one in gallery.sets], bool),
        gallery.errors[:, row],
        float(faces.stored("score")[row]) if "score" in faces else None,
    )


def _square_of(faces: FacesFile, row: int, points: np.ndarray | None) -> np.ndarray:
    """The crop square (4,) around the first point set with at least two points, or else around the /box."""
    for one in () if points is None else points:
        if np.isfinite(one).all(axis=-1).sum() >= 2:
            return (faces.crop or CropRule()).square_around_points(one)
    if "box" not in faces:
        raise DataError("has neither points nor a /box to crop around")
    box = np.asarray(faces.stored("box")[row], np.float64)
    return square_at((box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max())
