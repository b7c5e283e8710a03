"""A COCO file as JSON: which files are one, its lists, and the fields that annotations and results share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.categories import Category, choose_categories
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import files_like, numbers_of, only_file, peek_text
from kdtools.errors import DataError, FileError, reason_of

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


def categories_of(document: dict[str, Any]) -> dict[Any, Category]:
    """The categories that a document declares, by their ids."""
    declared = document.get("categories")
    found: dict[Any, Category] = {}
    for entry in declared if isinstance(declared, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str):
            names, above = entry.get("keypoints"), entry.get("supercategory")
            found[entry["id"]] = Category(
                str(entry.get("name") or f"id {entry['id']}"),
                above if isinstance(above, str) else "",
                tuple(map(str, names)) if isinstance(names, list) else (),
            )
    return found


def category_of(entry: dict[str, Any]) -> Any:
    """Id of the category of an annotation or a result; None for none."""
    key = entry.get("category_id")
    return key if isinstance(key, int | str) else None


def n_points_of(entry: dict[str, Any]) -> int:
    """How many points its keypoints have; 0 where none of them is there."""
    numbers = keypoints_of(entry)
    if not isinstance(numbers, list) or len(numbers) % 3 or not any(numbers[2::3]):
        return 0
    return len(numbers) // 3


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


_NUMBER = re.compile(r"#\d+$", re.ASCII)
_NEEDS_INDEX = "name the annotation file that has the images: kd-eval --truth ANNOTATION.json"


def read_results(path: Path, entries: list[Any], reading: Reading) -> Iterator[Annotation]:
    """Raises FileError where there is no index to name the pictures, DataError where no result is of one of them."""
    index = _index_of(path, reading.index)
    names, known = _names_in(index)
    things = [(category_of(entry), n) for entry in entries if isinstance(entry, dict) and (n := n_points_of(entry))]
    chosen = choose_categories(path, reading.categories, known, things)
    if not any(isinstance(entry, dict) and look_up(names, entry.get("image_id")) for entry in entries):
        raise DataError(
            f"{path}: none of its {len(entries)} results is of an image in {index}",
            "name the annotation file that the model was tested on",
        )
    for k, entry in enumerate(entries):
        where = f"{path}: result {k}"
        try:
            if not isinstance(entry, dict):
                raise DataError("is not a JSON object")
            if things and category_of(entry) not in chosen:
                continue
            found = look_up(names, entry.get("image_id"))
            if found is None:
                raise DataError(f"there is no image with its image_id {entry.get('image_id')!r} in {index}")
            triples = triples_of(keypoints_of(entry))
            points = as_points(triples[:, :2], reading.base)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        file_name, name = found
        image = reading.find_image(file_name, folder_of_images(index), where)
        if image is not None:
            yield Annotation(
                reading.number(name),
                image,
                points,
                confidence=triples[:, 2],
                score=finite_or_none(entry.get("score")),
                subsets=subsets_in_300w(name),
            )


def _index_of(path: Path, index: Path | None) -> Path:
    """The annotation file that names the pictures of the results in `path`. Raises FileError where it is none."""
    what = f"{path}: a COCO result file, which names its pictures by number alone"
    if index is None:
        raise FileError(what, _NEEDS_INDEX)
    files = coco_files(index)
    if not files:
        raise FileError(f"{what}, and {index} is not a COCO annotation file", _NEEDS_INDEX)
    return only_file(index, files)


def _names_in(index: Path) -> tuple[dict[Any, tuple[str, str]], dict[Any, Category]]:
    """File name and id of each picture of an annotation file, by image id, and its categories. Raises as `read`."""
    document = load_coco(index)
    if isinstance(document, list):
        raise FileError(f"{index}: a COCO result file, which names no pictures", _NEEDS_INDEX)
    stated: dict[Any, str] = {}
    for entry in document["annotations"]:
        key, name = (entry.get("image_id"), entry.get("kd_id")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(key, int | str) and (picture := _NUMBER.sub("", name).strip()):
            stated.setdefault(key, picture)
    names = {
        key: (file_name, stated.get(key) or id_in_300w(file_name))
        for key, file_name in names_of_images(document, index).items()
    }
    return names, categories_of(document)
