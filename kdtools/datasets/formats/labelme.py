"""labelme's JSON, one file a picture: points with labels, and rectangles around faces; 0-based.

{"version": "5.3.1", "flags": {}, "shapes": [
   {"label": "left_eye", "points": [[220.5, 200.0]], "group_id": null, "shape_type": "point", "flags": {}},
   {"label": "face", "points": [[180, 150], [460, 400]], "group_id": null, "shape_type": "rectangle", "flags": {}}],
 "imagePath": "face_00.jpg", "imageData": null, "imageHeight": 480, "imageWidth": 640}

Points of one `group_id`, or within one rectangle, are a face; rectangles of different labels are around different
things. A shape whose flag `occluded` or `hidden` is set is a hidden point; a file set without such a flag tells nothing
of visibility. Other shapes (polygon, line, circle, mask) are no points, and are left out. The picture is the file
`imagePath`, relative to the JSON; where that is absent, the one in `imageData`. labelme turns pictures upright by their
EXIF orientation before it shows them, as kdtools does.

The numbers are places on labelme's canvas, which draws the first pixel from 0 to 1. They are read as they stand, as
the converters to COCO take them: 0 as the first pixel's centre. `--base 0.5` is right to the half pixel.

labelme keeps keys that it does not know when it saves a file, so the order of the points is written as `kd_names`.

Source: labelme/_label_file.py and labelme/shape.py of github.com/wkentaro/labelme.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson

from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock, Reading, clean_name
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.labelled_points import (
    Mark,
    MarkedPicture,
    Region,
    declared_names,
)
from kdtools.datasets.formats.shared.marked_pictures import names_of_marks, read_marked
from kdtools.datasets.formats.shared.text_lists import files_like, load_json, pairs_of, peek_text
from kdtools.errors import DataError, KdError
from kdtools.landmarks import Scheme

HIDDEN_FLAGS = ("occluded", "hidden", "invisible")
_POINTS, _RECTANGLE = "point", "rectangle"


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    """The file, or those of a folder and the folders in it."""
    return files_like(source, "**/*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("{") and '"shapes"' in text and ('"imagePath"' in text or '"shape_type"' in text)


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the points in their order; None where the points have numbers alone."""
    pictures, names = _pictures(source)
    return names_of_marks(source, pictures, names, categories)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is a file, or a folder of them and of folders. Raises DataError where rectangles have several labels."""
    pictures, names = _pictures(source)
    for picture in pictures:
        if picture.data and reading.pictures:
            found = reading.locate(picture.names[0], picture.folder or source)
            picture.load = None if found else picture.decode
    yield from read_marked(source, pictures, reading, source, names)


class _Picture(MarkedPicture):
    """`data` is the picture itself in base64, where the file holds it."""

    data: str = ""

    def decode(self) -> np.ndarray:
        from kdtools.images.reading import decode_image  # which loads OpenCV

        try:
            return decode_image(base64.b64decode(self.data, validate=True), self.where)
        except ValueError as error:
            raise DataError(f"its imageData is not base64: {error}") from error


def _pictures(source: Path) -> tuple[list[_Picture], list[str]]:
    """The pictures of all files with their marks, and the names that the first file declares."""
    pictures: list[_Picture] = []
    names: list[str] = []
    root = source if source.is_dir() else source.parent
    for path in _files_in(source):
        picture = _Picture(str(path), (path.name,), folder=path.parent)
        pictures.append(picture)
        try:
            entry = load_json(path)
            names = names or declared_names(entry)
            _fill(picture, entry, path.parent.relative_to(root).as_posix())
        except KdError as error:
            picture.wrong = error.message.removeprefix(f"{path}: ")
    return pictures, names


def _fill(picture: _Picture, entry: Any, folder: str) -> None:
    name = entry.get("imagePath") if isinstance(entry, dict) else None
    shapes = entry.get("shapes") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name.strip() or "\0" in name or not isinstance(shapes, list):
        raise DataError("not a file of labelme: no imagePath, or no shapes")
    picture.names = (name.replace("\\", "/"),)
    picture.id = clean_name(f"{folder}/{PurePosixPath(clean_name(name)).name}")
    picture.data = entry["imageData"] if isinstance(entry.get("imageData"), str) else ""
    width, height = entry.get("imageWidth"), entry.get("imageHeight")
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        picture.size = (width, height)
    for k, shape in enumerate(shapes):
        try:
            _add_shape(picture, shape)
        except DataError as error:
            raise DataError(f"shape {k}: {error.message}") from error


def _add_shape(picture: _Picture, shape: Any) -> None:
    """Adds a point or a rectangle to `picture`, or a note of a shape that is neither."""
    if not isinstance(shape, dict):
        raise DataError("is not a JSON object")
    kind = shape.get("shape_type") or "polygon"  # which files of old versions leave out
    if kind not in (_POINTS, _RECTANGLE):
        picture.notes.append(f"a shape of the kind {str(kind)[:40]!r} is no point")
        return
    points = pairs_of(shape.get("points"), "points")
    if np.isnan(points).any() or len(points) != (1 if kind == _POINTS else 2):
        raise DataError(f"a {kind} of {len(points)} points")
    label = str(shape["label"]).strip() if isinstance(shape.get("label"), str | int) else ""
    group = shape.get("group_id")
    group = "" if group is None else f"group {group}"
    if kind == _RECTANGLE:
        low, high = points.min(axis=0), points.max(axis=0)
        corners = float(low[0]), float(low[1]), float(high[0]), float(high[1])
        picture.regions.append(Region(corners, group, label))
        return
    if not label:
        raise DataError("a point without a label")
    flags = shape.get("flags")
    hidden = isinstance(flags, dict) and any(flags.get(flag) is True for flag in HIDDEN_FLAGS)
    picture.marks.append(Mark(label, float(points[0, 0]), float(points[0, 1]), group, hidden))


def write_picture(name: str, faces: Sequence[tuple[FaceBlock, int]], scheme: Scheme) -> bytes:
    """The file of one picture: each face a group, with a rectangle where it has a box. Missing points are left out."""
    names = scheme.names or tuple(map(str, range(scheme.n_points)))
    shapes: list[dict[str, Any]] = []
    for number, (block, k) in enumerate(faces, start=1):
        if block.annotated_boxes is not None and np.isfinite(block.annotated_boxes[k]).all():
            shapes.append(_shape("face", block.annotated_boxes[k].reshape(2, 2), number, _RECTANGLE, {}))
        for index in np.flatnonzero(np.isfinite(block.points[k]).all(axis=-1)).tolist():
            hidden = block.visible is not None and not block.visible[k, index]
            shapes.append(_shape(names[index], block.points[k, index][None], number, _POINTS, {"occluded": hidden}))
    block, k = faces[0]
    known = block.sizes is not None and bool((block.sizes[k] > 0).all())
    width, height = block.sizes[k].tolist() if known and block.sizes is not None else (None, None)
    document: dict[str, Any] = {
        "version": "5.3.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": PurePosixPath(name).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
        "kd_names": list(names),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _shape(label: str, points: np.ndarray, group: int, kind: str, flags: dict[str, bool]) -> dict[str, Any]:
    return {
        "label": label,
        "points": np.ascontiguousarray(points, np.float32),
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": flags,
    }


FORMAT = Format(
    "labelme",
    "labelme's JSON, a file a picture: points and rectangles",
    0,
    accepts,
    read,
    write_picture=write_picture,
    suffix=".json",
    names_of_category=names_of,
    box="none",
)
