"""FFHQ's ffhq-dataset-v2.json: 68 points of each face, in the aligned picture and in the photograph it was cut from.

{"0": {"category": "training",
       "image": {"file_path": "images1024x1024/00000/00000.png", "pixel_size": [1024, 1024],
                 "face_landmarks": [[131.62, 453.8], ...], ...},
       "thumbnail": {"file_path": "thumbnails128x128/00000/00000.png", ...},
       "in_the_wild": {"file_path": "in-the-wild-images/00000/00000.png", "pixel_size": [2016, 1512],
                       "face_rect": [667, 410, 1438, 1181], "face_landmarks": [[562.5, 697.5], ...], ...}}, ...}

Read are the points of the pictures that are there: `image`, whatever its size, for the set is handed on at 128 to 512
px; else `thumbnail`, with the same points; else `in_the_wild`, with face_rect x0, y0, x1, y1 as its box. Without any
pictures, `image`. The points were found by dlib, not by hand, and none is missing.

0-based: dlib's; the script that makes the aligned pictures adds 0.5 for the corners of pixels.

Source: README.md and download_ffhq.py of github.com/NVlabs/ffhq-dataset.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, box_from_corners, size_of_picture
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import files_like, load_json, numbers_of, only_file, pairs_of, peek_text
from kdtools.errors import DataError, FileError, KdError

_WILD = "in_the_wild"
_POINTS_OF = {"image": "image", "thumbnail": "image", _WILD: _WILD}  # which points go with which pictures
_N_LOOKED_FOR = 20  # pictures of a kind, to see whether they are there
_SHAPE_DIFFERS = 0.01  # share of its width by which a picture may have other proportions than the file tells


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("{") and f'"{_WILD}"' in text and '"face_landmarks"' in text


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _files_in(source))
    document = load_json(path)
    if not isinstance(document, dict):
        raise FileError(f"{path}: not a JSON object of faces")
    kind = _kind_of_pictures(list(document.values()), path.parent, reading)
    for number, entry in document.items():
        where = f"{path}: {number[:20]}"
        try:
            name, points, size, box, category = _parse(entry, kind)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        found = _find(name, path.parent, reading)
        image = (found or reading.find_image(name, path.parent, where)) if reading.pictures else Path(name)
        if image is None:
            continue
        try:
            scale = _scale(image, size, reading) if reading.pictures else np.ones(2)
        except KdError as error:
            reading.skip(where, error.message)
            continue
        points = (points - reading.base + 0.5) * scale - 0.5  # pixels' corners keep their place
        if box is not None:
            box = (box - reading.base) * np.tile(scale, 2)
        yield Annotation(reading.number(name), image, points, box=box, subsets=category)


def _kind_of_pictures(entries: list[Any], folder: Path, reading: Reading) -> str:
    """The first kind of pictures of which some are there; `image` where there are none."""
    for kind in _POINTS_OF if reading.pictures else ():
        for entry in islice(entries, _N_LOOKED_FOR):
            name = entry.get(kind, {}).get("file_path") if isinstance(entry, dict) else None
            if isinstance(name, str) and _find(name, folder, reading):
                return kind
    return "image"


def _find(name: str, folder: Path, reading: Reading) -> Path | None:
    """A picture at its path below a folder, or without the subfolder that some copies leave out.

    Its own folder tells the kinds apart, which all have the same file names; the user may name it with --images.
    """
    kind, *rest = PurePosixPath(name).parts
    for root in (*reading.roots, folder):
        at_home = root if root.name == kind else root / kind
        for tail in (rest, rest[-1:]):
            path = at_home.joinpath(*tail)
            if tail and ".." not in tail and os.path.isfile(path):
                return path
    return None


def _parse(entry: Any, kind: str) -> tuple[str, np.ndarray, np.ndarray, np.ndarray | None, frozenset[str]]:
    """Name, points (68, 2), width and height they are meant for, box and subset. Raises DataError."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), dict) for k in (kind, _POINTS_OF[kind])):
        raise DataError(f"has no {kind!r}")
    name, owner, category = entry[kind].get("file_path"), entry[_POINTS_OF[kind]], entry.get("category")
    if not isinstance(name, str) or not name.strip("/. "):
        raise DataError("has no file_path")
    points = pairs_of(owner.get("face_landmarks"), "face_landmarks")
    size = numbers_of(owner.get("pixel_size"), "pixel_size")
    if len(size) != 2 or not (size > 0).all():
        raise DataError("pixel_size: not a width and a height")
    box = None
    if kind == _WILD and "face_rect" in owner:
        corners = numbers_of(owner["face_rect"], "face_rect")
        box = box_from_corners(*corners) if len(corners) == 4 else None
    return name, points, size, box, frozenset([category] if category in ("training", "validation") else [])


def _scale(image: Path, size: np.ndarray, reading: Reading) -> np.ndarray:
    """How much larger a picture is than the points are meant for. Raises DataError for one of another shape."""
    height, width = size_of_picture(image, upright=reading.upright)
    scale = np.array([width, height]) / size
    if abs(scale[0] / scale[1] - 1) > _SHAPE_DIFFERS:
        raise DataError(f"the image has {width} x {height} pixels, the points are for {size[0]:g} x {size[1]:g}")
    return scale


FORMAT = Format("ffhq", "FFHQ's ffhq-dataset-v2.json: 68 points found by dlib", 0, accepts, read)
