"""Annotated images -> the arrays of a faces file: decode, crop and map the points, many at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from kdtools.errors import DataError, KdError, UsageError
from kdtools.files import FacesWriter
from kdtools.formats import Annotation, Skip, find_format
from kdtools.geometry import CropRule, apply_affine, invert_affine
from kdtools.images import crop_image, read_image
from kdtools.schemes import scheme_for_points

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class CroppedFace:
    """`points` (L, 2) in pixels of `image` (S, S, 3), or None; `box` (4,) and `to_source` (2, 3) as in the format."""

    annotation: Annotation
    image: np.ndarray
    points: np.ndarray | None
    box: np.ndarray
    to_source: np.ndarray


def read_annotations(
    sources: Sequence[str], format_name: str, base: int | None, skip: Skip, took: Callable[[str, str], None]
) -> list[Annotation]:
    """Annotations of all sources; `took(source, format)` is told what each was read as.

    Ids start with the source's name where there are several sources, so that equal file names stay apart.
    """
    annotations: list[Annotation] = []
    for source in sources:
        form = find_format(format_name, Path(source))
        took(source, form.name)
        prefix = f"{_label(Path(source))}/" if len(sources) > 1 else ""
        found = form.read(Path(source), form.base if base is None else base, skip)
        annotations += [Annotation(prefix + one.id, one.image, one.points) for one in found]
    return _with_equal_points(annotations, skip)


def _label(source: Path) -> str:
    """Folder name of a source; the name of its parent before it, because data sets call their parts train and test."""
    resolved = source.resolve()
    folder = resolved if resolved.is_dir() else resolved.parent
    return f"{folder.parent.name}/{folder.name}" if folder.name in ("train", "val", "test", "images") else folder.name


def _with_equal_points(annotations: list[Annotation], skip: Skip) -> list[Annotation]:
    """Leave out faces whose number of points is not that of the first one: a file has one scheme."""
    sizes = [None if one.points is None else len(one.points) for one in annotations]
    kept = []
    for one, size in zip(annotations, sizes, strict=True):
        if size == sizes[0]:
            kept.append(one)
        else:
            skip(one.id, f"{size or 'no'} points, but {annotations[0].id} has {sizes[0] or 'none'}")
    return kept


def import_faces(
    annotations: Sequence[Annotation],
    writer: FacesWriter,
    *,
    crop: CropRule,
    size: int,
    jobs: int,
    subsets: Sequence[tuple[str, str]],
    skip: Skip,
    progress: Callable[[int], None],
) -> int:
    """Crop every face to `size` px and fill `writer`; faces that cannot be used are skipped. Returns how many are in.

    `subsets` are (name, glob over ids). Raises DataError where no face is left.
    """
    images = writer.create_images(len(annotations), size, size)
    good: list[CroppedFace] = []
    done = 0

    def crop_one(annotation: Annotation) -> CroppedFace | KdError:
        try:
            return crop_annotated(annotation, crop, size)
        except KdError as error:
            return error

    for batch in _batched(map_bounded(crop_one, annotations, jobs), 256):
        faces = [face for face in batch if isinstance(face, CroppedFace)]
        for annotation, face in zip(annotations[done : done + len(batch)], batch, strict=True):
            if isinstance(face, KdError):
                skip(annotation.id, face.message)
        if faces:
            images[len(good) : len(good) + len(faces)] = np.stack([face.image for face in faces])
            empty = np.empty((0, 0, 3), np.uint8)  # the pixels are in the file now
            good += [CroppedFace(f.annotation, empty, f.points, f.box, f.to_source) for f in faces]
        done += len(batch)
        progress(done)
    if not good:
        raise DataError("no face could be imported")
    _write_arrays(writer, good, crop, subsets)
    writer.keep_first_images(len(good))
    return len(good)


def crop_annotated(annotation: Annotation, crop: CropRule, size: int) -> CroppedFace:
    """Decode and crop one face. Raises FileError or DataError where its image or points cannot be used."""
    image = read_image(annotation.image)
    if annotation.points is None:
        box = _whole_image_square(*image.shape[:2])
    else:
        box = crop.square_around_points(annotation.points)
    pixels, to_source = crop_image(image, box, size)
    points = annotation.points
    if points is not None:
        points = apply_affine(invert_affine(to_source), points)
    return CroppedFace(annotation, pixels, points, box, to_source)


def _whole_image_square(height: int, width: int) -> np.ndarray:
    side = max(height, width)
    x0, y0 = (width - side) / 2, (height - side) / 2
    return np.array([x0, y0, x0 + side, y0 + side])


def _write_arrays(
    writer: FacesWriter, faces: list[CroppedFace], crop: CropRule, subsets: Sequence[tuple[str, str]]
) -> None:
    ids = [face.annotation.id for face in faces]
    writer.put_ids(ids)
    writer.put("source", [str(face.annotation.image) for face in faces])
    writer.put("box", np.stack([face.box for face in faces]))
    writer.put("to_source", np.stack([face.to_source for face in faces]))
    if faces[0].points is not None:
        points = np.stack([face.points for face in faces if face.points is not None])
        writer.put_landmarks(points, scheme_for_points(points.shape[1]), "hard")
        writer.put_crop(crop)
    for name in dict.fromkeys(name for name, _ in subsets):
        globs = [glob for subset, glob in subsets if subset == name]
        writer.put(f"subset/{name}", [any(fnmatchcase(identity, glob) for glob in globs) for identity in ids])


def parse_subsets(texts: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=GLOB` words -> (name, glob). Raises UsageError for one that is not of this form."""
    pairs = []
    for text in texts:
        name, equals, glob = text.partition("=")
        if not equals or not name or "/" in name or not glob:
            raise UsageError(f"--subset {text!r} is not NAME=GLOB", "for example --subset challenging='ibug/*'")
        pairs.append((name, glob))
    return pairs


def workers(jobs: int) -> int:
    """Number of workers for `-j`: 0 is one for each core this process may use."""
    return jobs or len(os.sched_getaffinity(0))


def map_bounded(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Results in order; only a few tasks per worker wait, so that memory does not grow with their number.

    Threads, not processes: OpenCV decodes and warps outside Python's lock.
    """
    with ThreadPoolExecutor(workers(jobs)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * workers(jobs):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _batched(items: Iterable[Item], n: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, n)):
        yield batch
