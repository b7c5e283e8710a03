"""InsightFace's faces, dumped as JSON: `landmark_2d_106` of each, with `bbox` and `det_score` where they are there.

The faces of a picture are a list in NAME.json beside NAME.jpg, or stand under the picture's name; an object with a key
such as `image` names its own. 106 points in pixels, 0-based as the network's answers are: they are mapped from its
crop by the inverse of the crop's affine map.

Source: python-package/insightface/model_zoo/landmark.py and app/common.py of github.com/deepinsight/insightface.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.coco_json import finite_or_none
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.json_faces import holds_key, pictures_in, points_of
from kdtools.datasets.formats.shared.text_lists import numbers_of
from kdtools.errors import DataError

_KEYS = ("landmark_2d_106",)
_N_POINTS = 106


def accepts(source: Path) -> bool:
    return holds_key(source, _KEYS)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    for where, name, image, faces in pictures_in(source, _KEYS, reading):
        for k, face in enumerate(faces):
            try:
                points = _points_in(points_of(face, _KEYS))
                box = None if face.get("bbox") is None else numbers_of(face["bbox"], "bbox")[:4]
            except DataError as error:
                reading.skip(f"{where}: face {k}", error.message)
                continue
            score = finite_or_none(face.get("det_score"))
            box = box if box is not None and len(box) == 4 else None
            yield Annotation(reading.number(name), image, as_points(points, reading.base), box=box, score=score)


def _points_in(value: Any) -> np.ndarray:
    rows = value if isinstance(value, list) else []
    if len(rows) != _N_POINTS or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise DataError(f"{_KEYS[0]} is not a list of {_N_POINTS} pairs")
    return numbers_of([number for row in rows for number in row], _KEYS[0]).reshape(-1, 2)


FORMAT = Format(
    "insightface",
    "InsightFace's faces as JSON, with landmark_2d_106",
    0,
    accepts,
    read,
    scheme="insightface106",
    predicted=True,
)
