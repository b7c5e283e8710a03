"""OpenPose's JSON: `clip_000000000012_keypoints.json` for each frame, `NAME_keypoints.json` for NAME.jpg.

{"version": 1.3, "people": [{"pose_keypoints_2d": [...], "face_keypoints_2d": [x0, y0, c0, x1, y1, c1, ...], ...}]}

70 points of a face: the 68 of 300W and the pupils, that of the eye 36 to 41 first. c is the confidence; 0, 0, 0 is a
point that was not found, and a person of such points, or of none, has no face. Ids count frames from 0, as the file
names do: `clip.mp4#frame=000012`. 0-based, in pixels of the image; shares (--keypoint_scale 3) are scaled by its size.

Source: doc/02_output.md of github.com/CMU-Perceptual-Computing-Lab/openpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.coco_json import triples_of
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import Place, find_frame, find_named, find_video
from kdtools.datasets.formats.shared.text_lists import load_json, peek_text, text_files
from kdtools.errors import DataError, KdError
from kdtools.landmarks import IBUG68

_N_LOOKED_AT = 10  # files of a folder, to see what they are
_N_POINTS = 70
_KEY = "face_keypoints_2d"
_NAME = re.compile(r"(.+)_(\d{12})", re.ASCII)  # what OpenPose puts behind a video's name
_MIRROR = (*(IBUG68.mirror or ()), 69, 68)


def accepts(source: Path) -> bool:
    return any(map(_looks_right, islice(text_files(source, ".json"), _N_LOOKED_AT)))


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return (
        text.startswith("{") and '"people"' in text and ('_keypoints_2d"' in text or path.stem.endswith("_keypoints"))
    )


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    for path in text_files(source, ".json"):
        try:
            people = _people_in(load_json(path))
        except KdError as error:
            reading.skip(str(path), error.message)
            continue
        place: Place | None = None
        n_faces = 0
        for k, person in enumerate(people):
            where = f"{path}: person {k}"
            try:
                face = _face_of(person)
            except DataError as error:
                reading.skip(where, error.message)
                continue
            if face is None:
                continue
            place = place or _place_of(path, reading)
            if place is None:
                break
            n_faces += 1
            id = place.id if n_faces == 1 else f"{place.id}#{n_faces}"
            points, confidence = face
            yield Annotation(id, place.image, points - reading.base, confidence=confidence, frame=place.frame)


def _people_in(document: Any) -> list[Any]:
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, list):
        raise DataError("is not OpenPose's: it has no list of people")
    return people


def _face_of(person: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Points (70, 2) and confidence (70,); None for a person without a face."""
    if not isinstance(person, dict):
        raise DataError("is not a JSON object")
    if not person.get(_KEY):
        return None
    triples = triples_of(person[_KEY])
    if len(triples) != _N_POINTS:
        raise DataError(f"{_KEY} has {len(triples)} points, not {_N_POINTS}")
    found = np.asarray((triples != 0).any(axis=1))
    if not found.any():
        return None
    return np.where(found[:, None], triples[:, :2], np.nan), triples[:, 2]


def _place_of(path: Path, reading: Reading) -> Place | None:
    """Frame of a video where the name has a frame's number and no picture is called so; else that picture."""
    stem = path.stem.removesuffix("_keypoints")
    match = _NAME.fullmatch(stem)
    if match is not None and (find_video(reading, match[1], path.parent) or not reading.pictures):
        return find_frame(reading, match[1], int(match[2]), path.parent, str(path))
    return find_named(reading, stem, path.parent, str(path))


FORMAT = Format(
    "openpose",
    "OpenPose's JSON of people: 70 points, those of 300W and the pupils",
    0,
    accepts,
    read,
    mirror_of=lambda source: _MIRROR,
    predicted=True,
)
