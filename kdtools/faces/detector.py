"""What found the faces of a file: the record of the detector that kd-import or kd-predict used."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.faces.validation import plain
from kdtools.storage.provenance import DETECTOR

_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "file": str,
    "sha256": str,
    "min_score": (int, float),
    "search_size": int,
}
_SOME_FACES = 1000


def detector_of(faces: FacesFile) -> dict[str, Any]:
    """`name`, and what else is recorded of `file`, `sha256`, `min_score` and `search_size`; empty without a record.

    Raises DataError for a record that cannot be read.
    """
    try:
        record = json.loads(str(plain(faces.h5.attrs.get(DETECTOR, "{}"))))
        if not isinstance(record, dict):
            raise ValueError("it is not a JSON object")
        record = {key: record[key] for key in _KEYS if key in record}
        for key, value in record.items():
            if isinstance(value, bool) or not isinstance(value, _KEYS[key]):
                raise ValueError(f"its {key} is {value!r:.40}")
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{faces.name}: the record of its detector cannot be read: {error}",
            "correct the attribute, or leave it out",
        ) from error
    return record


def are_whole_images(faces: FacesFile) -> bool:
    """Whether the images are photographs that nobody cropped, nor wanted whole: their squares begin where they do."""
    if faces.crop is not None or "box" not in faces or detector_of(faces).get("name") == "whole":
        return False
    boxes = faces.boxes(rows=slice(0, _SOME_FACES))
    return bool((boxes[:, :2].max(axis=1) == 0).all())


def common_detector(files: Iterable[FacesFile]) -> dict[str, Any]:
    """The record that all files share; empty where they differ or have none."""
    records = [detector_of(faces) for faces in files]
    return records[0] if records and all(record == records[0] for record in records) else {}
