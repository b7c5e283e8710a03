"""Annotated images -> the arrays of a faces file: decode, crop and map the points, many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, KdError, UsageError, reason_of
from kdtools.files import FacesWriter, check_unique_ids
from kdtools.formats import Annotation, Skip, find_format
from kdtools.formats.annotation import id_prefixes
from kdtools.geometry import CropRule, apply_affine, invert_affine
from kdtools.images import crop_image, read_image
from kdtools.parallel import batched, map_bounded
from kdtools.schemes import scheme_for_points


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

    Ids start with the source's name where there are several sources, so that equal file names stay apart. Raises
    DataError for ids that are equal all the same.
    """
    annotations: list[Annotation] = []
    for source, prefix in zip(sources, id_prefixes(sources), strict=True):
        form = find_format(format_name, Path(source))
        took(source, form.name)
        found = form.read(Path(source), form.base if base is None else base, skip)
        annotations += [Annotation(prefix + one.id, one.image, one.points) for one in found]
    check_unique_ids([one.id for one in annotations])
    return _with_equal_points(annotations, skip)


def _with_equal_points(annotations: list[Annotation], skip: Skip) -> list[Annotation]:
    """Leave out faces whose number of points is not that of most, or in a tie of the first: a file has one scheme."""
    sizes = [None if one.points is None else len(one.points) for one in annotations]
    usual = Counter(sizes).most_common(1)[0][0] if sizes else None
    kept = [one for one, size in zip(annotations, sizes, strict=True) if size == usual]
    for one, size in zip(annotations, sizes, strict=True):
        if size != usual:
            skip(one.id, f"{size or 'no'} points, but {kept[0].id} has {usual or 'none'}")
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
    warn: Callable[[str], None] = lambda text: None,
) -> int:
    """Crop every face to `size` px and fill `writer`; faces that cannot be used are skipped. Returns how many are in.

    `subsets` are (name, glob over ids); `warn` is told of a glob that no id matches. Raises DataError where no face is
    left.
    """
    images = writer.create_images(len(annotations), size, size)
    good: list[CroppedFace] = []
    done = 0

    def crop_one(annotation: Annotation) -> CroppedFace | str:
        """The face, or why there is none: one bad image must not end a run over thousands."""
        try:
            return crop_annotated(annotation, crop, size)
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)

    for batch in batched(map_bounded(crop_one, annotations, jobs), 256):
        faces = [face for face in batch if isinstance(face, CroppedFace)]
        for annotation, face in zip(annotations[done : done + len(batch)], batch, strict=True):
            if isinstance(face, str):
                skip(annotation.id, face)
        if faces:
            images[len(good) : len(good) + len(faces)] = np.stack([face.image for face in faces])
            empty = np.empty((0, 0, 3), np.uint8)  # the pixels are in the file now
            good += [CroppedFace(f.annotation, empty, f.points, f.box, f.to_source) for f in faces]
        done += len(batch)
        progress(done)
    if not good:
        raise DataError("no face could be imported")
    _write_arrays(writer, good, crop)
    _write_subsets(writer, [face.annotation.id for face in good], subsets, warn)
    writer.keep_first_images(len(good))
    return len(good)


def crop_annotated(annotation: Annotation, crop: CropRule, size: int) -> CroppedFace:
    """Decode and crop one face. Raises FileError or DataError where its image or points cannot be used."""
    image = read_image(annotation.image)
    if annotation.points is None:
        box = _whole_image_square(*image.shape[:2])
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # numbers like 1e308; crop_image refuses such a square
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


def _write_arrays(writer: FacesWriter, faces: list[CroppedFace], crop: CropRule) -> None:
    writer.put_ids([face.annotation.id for face in faces])
    writer.put("source", [str(face.annotation.image) for face in faces])
    writer.put("box", np.stack([face.box for face in faces]))
    writer.put("to_source", np.stack([face.to_source for face in faces]))
    if faces[0].points is not None:
        points = np.stack([face.points for face in faces if face.points is not None])
        writer.put_landmarks(points, scheme_for_points(points.shape[1]), "hard")
        writer.put_crop(crop)


def _write_subsets(
    writer: FacesWriter, ids: Sequence[str], subsets: Sequence[tuple[str, str]], warn: Callable[[str], None]
) -> None:
    members = {name: np.zeros(len(ids), bool) for name, _ in subsets}
    for name, glob in subsets:
        matches = np.array([fnmatchcase(identity, glob) for identity in ids])
        if not matches.any():
            warn(f"--subset {name}={glob} matches no id; ids are like {ids[0]!r}")
        members[name] |= matches
    for name, member in members.items():
        writer.put(f"subset/{name}", member)


def parse_subsets(texts: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=GLOB` words -> (name, glob). Raises UsageError for one that is not of this form, or for the name full."""
    pairs = []
    for text in texts:
        name, equals, glob = text.partition("=")
        if not equals or not name or "/" in name or not glob:
            raise UsageError(f"--subset {text!r} is not NAME=GLOB", "for example --subset challenging='ibug/*'")
        if name == "full":
            raise UsageError(f"--subset {text!r}: full is all faces, whatever the subsets", "choose another name")
        pairs.append((name, glob))
    return pairs
