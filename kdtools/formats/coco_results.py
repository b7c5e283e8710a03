"""COCO results, a list of predictions that names its pictures by number alone: format `coco`, see coco.py.

Source: mmpose/evaluation/metrics/coco_metric.py of github.com/open-mmlab/mmpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdtools.errors import DataError, FileError
from kdtools.formats.annotation import Annotation, Reading, as_points
from kdtools.formats.coco_document import (
    coco_files,
    finite_or_none,
    folder_of_images,
    keypoints_of,
    load_coco,
    look_up,
    names_of_images,
    triples_of,
)
from kdtools.formats.family300w import id_in_300w, subsets_in_300w
from kdtools.formats.parsing import only_file

_NUMBER = re.compile(r"#\d+$", re.ASCII)
_NEEDS_INDEX = "name the annotation file that has the images: kd-eval --truth ANNOTATION.json"


def read_results(path: Path, entries: list[Any], reading: Reading) -> Iterator[Annotation]:
    """Raises FileError where there is no index to name the pictures, DataError where no result is of one of them."""
    index = _index_of(path, reading.index)
    names = _names_in(index)
    if not any(isinstance(entry, dict) and look_up(names, entry.get("image_id")) for entry in entries):
        raise DataError(
            f"{path}: none of its {len(entries)} results is of an image in {index}",
            "name the annotation file that the model was tested on",
        )
    for k, entry in enumerate(entries):
        where = f"{path}: result {k}"
        try:
            if not isinstance(entry, dict):
                raise DataError("is no JSON object")
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
        raise FileError(f"{what}, and {index} is no COCO annotation file", _NEEDS_INDEX)
    return only_file(index, files)


def _names_in(index: Path) -> dict[Any, tuple[str, str]]:
    """File name and id of each picture of an annotation file, by image id. Raises as `read` does."""
    document = load_coco(index)
    if isinstance(document, list):
        raise FileError(f"{index}: a COCO result file, which names no pictures", _NEEDS_INDEX)
    stated: dict[Any, str] = {}
    for entry in document["annotations"]:
        key, name = (entry.get("image_id"), entry.get("kd_id")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(key, int | str) and (picture := _NUMBER.sub("", name).strip()):
            stated.setdefault(key, picture)
    return {
        key: (file_name, stated.get(key) or id_in_300w(file_name))
        for key, file_name in names_of_images(document, index).items()
    }
