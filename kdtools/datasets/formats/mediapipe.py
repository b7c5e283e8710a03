"""MediaPipe's face mesh, dumped as JSON: 468 points, or 478 with the irises, of which the mesh's 468 are kept.

Under `face_landmarks`, `faceLandmarks` or `multi_face_landmarks` lies a list of faces; a face is a list of objects
with x and y, or an object that holds it as `landmark`. The faces of a picture are in NAME.json beside NAME.jpg, or
stand under the picture's name; an object with a key such as `image` names its own.

x and y are shares of the picture's width and height, as MediaPipe answers, and become pixels by its size; numbers
beyond any share (over 3) were brought to pixels by whoever wrote them.

Source: NormalizedLandmark in mediapipe/framework/formats/landmark.proto of github.com/google-ai-edge/mediapipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Reading,
    as_points,
    check_pictures_wanted,
    size_of_picture,
)
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.json_faces import holds_key, pictures_in, points_of
from kdtools.datasets.formats.shared.text_lists import numbers_of
from kdtools.errors import DataError, FileError

_KEYS = ("face_landmarks", "faceLandmarks", "multi_face_landmarks")
_N_MESH, _N_WITH_IRISES = 468, 478
_LARGEST_SHARE = 3  # of points outside the picture; a face in pixels is wider


def accepts(source: Path) -> bool:
    return holds_key(source, _KEYS)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    n_irises = 0
    for where, name, image, documents in pictures_in(source, _KEYS, reading):
        for k, face in enumerate(face for document in documents for face in _faces_in(points_of(document, _KEYS))):
            try:
                points = _points_in(face)
                if np.nanmax(np.abs(points)) <= _LARGEST_SHARE:
                    check_pictures_wanted(source, reading)
                    height, width = size_of_picture(image, upright=reading.upright)
                    points = points * (width, height)
                n_irises += len(points) == _N_WITH_IRISES
                points = as_points(points[:_N_MESH], reading.base)
            except FileError as error:
                reading.skip(f"{where}: face {k}", error.message)
                continue
            except DataError as error:
                if not reading.pictures:
                    raise
                reading.skip(f"{where}: face {k}", error.message)
                continue
            yield Annotation(reading.number(name), image, points)
    if n_irises:
        reading.say(f"{source}: the 10 points of the irises are left out; the mesh's 468 are kept")


def _faces_in(value: Any) -> list[Any]:
    """A list of faces; of MediaPipe's older form, where one face alone may stand without a list."""
    faces = value if isinstance(value, list) else [value]
    is_one_face = bool(faces) and isinstance(faces[0], dict) and "x" in faces[0]
    return [faces] if is_one_face else faces


def _points_in(face: Any) -> np.ndarray:
    """x and y of each point, (468 or 478, 2). Raises DataError for anything else."""
    rows = face.get("landmark") if isinstance(face, dict) else face
    if not isinstance(rows, list) or len(rows) not in (_N_MESH, _N_WITH_IRISES):
        n_points = len(rows) if isinstance(rows, list) else "no"
        raise DataError(f"{n_points} points, where MediaPipe's face mesh has {_N_MESH} or {_N_WITH_IRISES}")
    numbers: list[Any] = []
    for row in rows:
        pair = [row.get("x"), row.get("y")] if isinstance(row, dict) else row[:2] if isinstance(row, list) else []
        if len(pair) != 2:
            raise DataError("a point without x and y")
        numbers += pair
    return numbers_of(numbers, "a point").reshape(-1, 2)


FORMAT = Format(
    "mediapipe",
    "MediaPipe's face mesh as JSON: face_landmarks of 468 or 478 points",
    0,
    accepts,
    read,
    scheme="mediapipe468",
    predicted=True,
)
