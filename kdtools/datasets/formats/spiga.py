"""SPIGA's JSON, annotations and predictions: a list of one object a face.

[{"imgpath": "images/test/3151235633_1.jpg", "bbox": [x, y, width, height], "headpose": [...],
  "ids": [101, 102, ...], "landmarks": [[x, y], ...], "visible": [1.0, ...]}, ...]

`ids` are SPIGA's own labels of the points, which do not order them: 300W's points stand in 300W's order. A face with
labels in another order than most is put into theirs, one with fewer has missing points.

0-based: 300W's numbers are those of its .pts files less 1 exactly, in all 689 faces of the test set. Of that set's path
only the file name is left; it still tells IBUG (`image_018.jpg`) from LFPW (`image_0208.png`) and HELEN (`1_1.jpg`),
so that the ids are 300W's.

Source: spiga/data/loaders/alignments.py of github.com/andresprados/SPIGA.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, box_from_size
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    load_json,
    numbers_of,
    only_file,
    pairs_of,
    peek_text,
)
from kdtools.errors import DataError, FileError

_TEST_SET = "images/test/"
_FOLDERS = {
    "lfpw/testset": re.compile(r"image_\d{4}\.png", re.ASCII),
    "helen/testset": re.compile(r"\d+_\d+\.jpg", re.ASCII),
    "ibug": re.compile(r"image_\d+(?:_\d+)?\.jpg", re.ASCII),
}
_KEYS = ('"imgpath"', '"landmarks"', '"ids"')


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("[") and text[1:].lstrip().startswith("{") and all(key in text for key in _KEYS)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _files_in(source))
    entries = load_json(path)
    if not isinstance(entries, list):
        raise FileError(f"{path}: not a list of faces")
    order = _usual_order(entries)
    for k, entry in enumerate(entries):
        where = f"{path}:[{k}]"
        try:
            name, points, visible, box = _parse_entry(entry, order, reading.base)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(name, path.parent, where)
        if image is not None:
            name = _id_of(name)
            subsets = subsets_in_300w(name)
            yield Annotation(reading.number(name), image, points, visible, box=box, subsets=subsets)


def _usual_order(entries: list[Any]) -> tuple[int, ...]:
    """The labels in the order in which most faces have them."""
    orders = Counter(_labels_of(entry) for entry in entries)
    orders.pop((), None)
    return orders.most_common(1)[0][0] if orders else ()


def _labels_of(entry: Any) -> tuple[int, ...]:
    """The labels of a face's points; none where they are no whole numbers, or one occurs twice."""
    labels = entry.get("ids") if isinstance(entry, dict) else None
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        return ()
    return tuple(labels) if len(set(labels)) == len(labels) else ()


def _parse_entry(
    entry: Any, order: tuple[int, ...], base: float
) -> tuple[str, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Name, points (L, 2), visible (L,), box (4,), with `base` subtracted."""
    name = entry.get("imgpath") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise DataError("no imgpath")
    labels = _labels_of(entry)
    found = pairs_of(entry.get("landmarks"), "landmarks")
    if not labels or len(labels) != len(found):
        raise DataError(f"{len(found)} landmarks with {len(labels)} different whole numbers as ids")
    if not set(labels) <= set(order):
        raise DataError("ids that most faces do not have")
    row_of = {label: k for k, label in enumerate(order)}
    rows = [row_of[label] for label in labels]
    points = np.full((len(order), 2), np.nan)
    points[rows] = found
    visible = None
    if entry.get("visible") is not None:
        seen = numbers_of(entry["visible"], "visible")
        if len(seen) != len(found):
            raise DataError(f"{len(seen)} values in visible for {len(found)} landmarks")
        visible = np.zeros(len(order), bool)
        visible[rows] = seen > 0.5
    return name, points - base, visible, _box_of(entry, base)


def _box_of(entry: dict[str, Any], base: float) -> np.ndarray | None:
    """`bbox` is null where a face has none."""
    if entry.get("bbox") is None:
        return None
    numbers = numbers_of(entry["bbox"], "bbox")
    if len(numbers) != 4:
        raise DataError(f"{len(numbers)} numbers in bbox")
    return box_from_size(*numbers, base=base)


def _id_of(name: str) -> str:
    """The id of 300W for a picture of its test set, from which SPIGA's paths leave out the folders."""
    file_name = name.removeprefix(_TEST_SET)
    folder = next((folder for folder, names in _FOLDERS.items() if names.fullmatch(file_name)), None)
    return f"{folder}/{file_name}" if folder and name.startswith(_TEST_SET) else id_in_300w(name)


FORMAT = Format("spiga", "JSON of SPIGA: imgpath, bbox, ids, landmarks", 0, accepts, read)
