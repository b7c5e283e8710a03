"""JSON lines: one object a face, from 0; the format that holds all that a faces file says of a face but its pixels.

    {"id":"a.jpg#2","image":"a.jpg","points":[[10.5,20.0],null],"visible":[true,false],"box":[1.0,2.0,30.0,40.0],
     "score":0.9,"confidence":[0.8,null],"frame":12,"time":0.48,"track":0,"subsets":["common"]}

on one line each. Only `points` and one of `id` and `image` are demanded: without `id` the picture's name is the id,
with #k for its k-th face; without `image` the id is the picture's name, less its #k. `box` is half-open; one that is
not of the annotation has a `box_origin` beside it (crop, detector, unknown), and is not read as one of the annotation.
`frame`, `time` in seconds and `track`, the number of the face, are written of faces in videos, and not read. Nor are
`convention`, the name of the annotation convention, and `origin`, x and y that the points lie beside the true places.
The first pixel is 0: by definition, since this is kdtools' own format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Blocks,
    FaceBlock,
    Reading,
    as_points,
    box_from_corners,
)
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.tables import picture_of
from kdtools.datasets.formats.shared.text_lists import check_size, files_like, only_file
from kdtools.errors import DataError, FileError, reason_of
from kdtools.faces.schema import ANNOTATION
from kdtools.images.head_pose import POSE
from kdtools.landmarks import Scheme

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_START = 1 << 16  # bytes of a line that are looked at
_N_PEEKED = 5  # lines, since the first may be blank or damaged


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    """Other programs' logs are JSON lines too, so the name alone tells nothing."""
    return files_like(source, "*.jsonl", _holds_points)


def _holds_points(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            starts = [stream.readline(_START).lstrip() for _ in range(_N_PEEKED)]
    except OSError:
        return False
    if starts[0].startswith(b"["):  # a JSON list, perhaps with a line for each of its objects
        return False
    return any(start.startswith(b"{") and b'"points"' in start and b'"shapes"' not in start for start in starts)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _files_in(source))
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    where = f"{path}:{number}"
                    try:
                        annotation = _annotation_of(_object_in(line), path.parent, reading, where)
                    except DataError as error:
                        reading.skip(where, error.message)
                        continue
                    if annotation is not None:
                        yield annotation
    except OSError as error:
        raise FileError(f"{path}: {reason_of(error)}") from error


def _object_in(line: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError("not a JSON object")
    return found


def _annotation_of(face: dict[str, Any], folder: Path, reading: Reading, where: str) -> Annotation | None:
    """None, after a skip, where there is no picture. Raises DataError for an entry that is not of the format."""
    id, name = face.get("id"), face.get("image")
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if name is None and isinstance(id, str):
        name = picture_of(id)
    if not (id is None or isinstance(id, str)) or not isinstance(name, str):
        raise DataError("its id and image are not text")
    if not name.strip() or id == "" or "\0" in name + (id or ""):
        raise DataError("its id or image is empty, or holds a NUL character")
    points = as_points(_pairs(face.get("points")), reading.base)
    visible, confidence = (_numbers(face.get(key), key, len(points)) for key in ("visible", "confidence"))
    if visible is not None and not np.isin(visible, (0, 1)).all():
        raise DataError("visible is not true or false for each point")
    box = _numbers(face.get("box"), "box", 4) if face.get("box_origin", ANNOTATION) == ANNOTATION else None
    score = None if face.get("score") is None else _numbers([face["score"]], "score", 1)
    subsets = face.get("subsets") or []
    if not isinstance(subsets, list) or not all(isinstance(s, str) and s.strip(".") and "/" not in s for s in subsets):
        raise DataError("subsets is not a list of names")
    image = reading.find_image(name, folder, where)
    if image is None:
        return None
    return Annotation(
        reading.number(name) if id is None else id,
        image,
        points,
        visible=None if visible is None else visible.astype(bool),
        confidence=confidence,
        box=None if box is None else box_from_corners(*(box - reading.base)),
        score=None if score is None else float(score[0]),
        subsets=frozenset(subsets),
    )


def _pairs(value: object) -> np.ndarray:
    """Points (L, 2), NaN for null, from a list of pairs."""
    if not isinstance(value, list):
        raise DataError("no list of points")
    if not all(pair is None or (isinstance(pair, list) and len(pair) == 2) for pair in value):
        raise DataError("points are not pairs of x and y")
    flat = [number for pair in value for number in pair or (None, None)]
    numbers = _numbers(flat, "points", len(flat))
    return np.empty(0) if numbers is None else numbers


def _numbers(value: object, what: str, n: int) -> np.ndarray | None:
    """A list of n numbers, NaN for null; None for null itself."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(number is None or type(number) in (int, float, bool) for number in value):
        raise DataError(f"{what} is not a list of numbers")
    if len(value) != n:
        raise DataError(f"{what} has {len(value)} numbers, not {n}")
    return check_size(np.array(value, np.float64))


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """A line per face; what the faces file does not hold is left out."""
    for block in blocks():
        stream.writelines(_lines_of(block))


def _lines_of(block: FaceBlock) -> Iterator[bytes]:
    points = orjson.dumps(np.ascontiguousarray(block.points, np.float32), option=_NUMPY)[3:-3]
    for k, text in enumerate(points.split(b"]],[[")):
        pairs = b"[[" + text + b"]]"
        face: dict[str, Any] = {"id": block.ids[k], "image": block.images[k]}
        face["points"] = orjson.Fragment(pairs.replace(b"[null,null]", b"null"))
        if block.visible is not None:
            face["visible"] = block.visible[k].astype(bool).tolist()
        if block.boxes is not None:
            box = np.ascontiguousarray(block.boxes[k], np.float32)
            face["box"] = box if np.isfinite(box).all() else None
            if block.box_origin != ANNOTATION:
                face["box_origin"] = block.box_origin or "unknown"
        if block.scores is not None:
            face["score"] = np.float32(block.scores[k])
        if block.confidence is not None:
            face["confidence"] = np.ascontiguousarray(block.confidence[k], np.float32)
        if block.poses is not None:
            face |= dict(zip(POSE, block.poses[k].tolist(), strict=True))
        face |= block.video_of(k)
        convention = None if block.conventions is None else block.conventions[k]
        if convention is not None:
            face["convention"] = convention.name
            if convention.origin is not None:
                face["origin"] = list(convention.origin)
        if block.subsets:
            face["subsets"] = [name for name, member in block.subsets.items() if member[k]]
        yield orjson.dumps(face, option=_NUMPY | orjson.OPT_APPEND_NEWLINE)


FORMAT = Format("jsonl", "JSON lines: id, image, points and the rest", 0, accepts, read, write, suffix=".jsonl")
