"""A COCO file as JSON: which files are one, its lists, and the fields that annotations and results share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from kdtools.errors import DataError, FileError, reason_of
from kdtools.formats.parsing import files_like, numbers_of, only_file, peek_text

_LISTS = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
_FIELDS = re.compile(r'"(file_name|image_id|keypoints|supercategory)"\s*:')


def coco_files(source: Path) -> list[Path]:
    """The file, or the COCO files of a folder, or of its folder annotations/ where MMPose keeps them."""
    return files_like(source, "*.json", _looks_right) or files_like(source / "annotations", "*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    """From its beginning."""
    text = peek_text(path)
    if text.startswith("["):
        return '"image_id"' in text and '"keypoints"' in text
    return text.startswith("{") and bool(_LISTS.search(text)) and bool(_FIELDS.search(text))


def coco_file(source: Path) -> Path:
    return only_file(source, coco_files(source))


def folder_of_images(path: Path) -> Path:
    """Where the file names of an annotation file begin."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def load_coco(path: Path) -> dict[str, Any] | list[Any]:
    """The document, with lists of images and annotations, or a list of results. Raises FileError for other files."""
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError, MemoryError) as error:
        raise FileError(f"{path}: not a JSON file that can be read: {reason_of(error)}") from error
    if isinstance(document, list):
        return document
    for key in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise FileError(f"{path}: not a COCO file: there is no list {key!r} in it")
    return document


def names_of_images(document: dict[str, Any], path: Path) -> dict[Any, str]:
    """File name by image id. Raises DataError where one id has two names; entries that are none are left out."""
    names: dict[Any, str] = {}
    for entry in document["images"]:
        key, name = (entry.get("id"), entry.get("file_name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not name.strip() or not isinstance(key, int | str):
            continue
        if names.setdefault(key, name) != name:
            raise DataError(f"{path}: image id {key!r} has two names: {names[key]!r} and {name!r}")
    return names


def look_up(table: dict[Any, Any], key: Any) -> Any:
    return table.get(key) if isinstance(key, int | str) else None


def keypoints_of(entry: dict[str, Any]) -> Any:
    return entry.get("face_kpts" if "face_kpts" in entry else "keypoints")


def finite_or_none(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and np.isfinite(value) else None


def triples_of(value: Any) -> np.ndarray:
    """x, y, v, x, y, v, ... -> (L, 3). Raises DataError for anything else."""
    numbers = numbers_of(value, "keypoints")
    if len(numbers) % 3 or len(numbers) == 0:
        raise DataError(f"{len(numbers)} numbers in its keypoints, which are not triples of x, y and v")
    return numbers.reshape(-1, 3)
