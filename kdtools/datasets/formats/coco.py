"""COCO keypoints as MMPose's face sets have them: images, annotations and categories in one JSON file, 0-based.

{"images": [{"id": 197, "file_name": "indoor_029.png", "height": 845, "width": 960}, ...],
 "annotations": [{"image_id": 197, "id": 197, "keypoints": [268.0, 398.882, 1, ...], "bbox": [223.7, 217.4, 531.2,
 571.5], "num_keypoints": 68, "iscrowd": 0, "area": 303578.9, "category_id": 1}, ...],
 "categories": [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}]}

Categories of different names are different things, of which `Reading.categories` says one where several have points;
those of the same points can be read together. A category without annotations does not matter.

Each point is x, y, v with v 0: not labelled, 1: labelled but hidden, 2: visible; a file without any 2 uses 1 for
`there` and tells nothing of visibility. `bbox` is x, y, width, height. Of COCO-WholeBody `face_kpts` are read. Crowds,
and persons of COCO-WholeBody without a valid face, are no faces and are left out.

Results, as MMPose's and COCO's evaluation write them (results.keypoints.json), are a list of predictions:

[{"image_id": 197, "category_id": 1, "keypoints": [268.1, 398.7, 0.93, ...], "score": 0.88}, ...]

The third number is the point's score. What the pictures are called stands in the annotation file alone, which kd-eval
takes from --truth (`Reading.index`). Several results of one picture are numbered as they are listed. That need not be
the order of the annotations: MMPose's metric orders them by score where it drops those that overlap (`oks_nms`, its
default), and no result says which annotation it belongs to. MMPoseInferencer's files, one a picture: see mmpose.py.

Base: COCO counts from 0, and MMPose's COFW file holds the numbers of the 1-based COFW_test.mat less 1.000, its WFLW
file those of the published 0-based WFLW lists. But its 300W file holds the numbers of the 1-based .pts files unchanged,
which nothing in it tells: give --base 1 for that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from kdtools.datasets.formats.mmpose import files_of_predictions, read_predictions
from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Blocks,
    FaceBlock,
    Reading,
    as_points,
    box_from_corners,
    box_from_size,
)
from kdtools.datasets.formats.shared.categories import choose_categories
from kdtools.datasets.formats.shared.coco_json import (
    categories_of,
    category_of,
    coco_file,
    coco_files,
    finite_or_none,
    folder_of_images,
    keypoints_of,
    load_coco,
    look_up,
    n_points_of,
    names_of_images,
    read_results,
    triples_of,
)
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import numbers_of
from kdtools.errors import DataError
from kdtools.landmarks import Scheme

_VISIBLE = 2


def accepts(source: Path) -> bool:
    return bool(coco_files(source) or files_of_predictions(source))


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the points of the chosen category; None where it has none, and for results. Raises as `read` does."""
    if _is_of_inferencer(source):
        return None
    path = coco_file(source)
    document = load_coco(path)
    if isinstance(document, list):
        return None
    known = categories_of(document)
    chosen = choose_categories(path, categories, known, _things(document))
    names = {known[key].points for key in chosen if key in known}
    return list(names.pop()) or None if len(names) == 1 else None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Results need `reading.index`.

    File names are relative to the file's folder, to its folder images/, or where it lies in a folder annotations/ to
    that folder's parent. Faces that kdtools wrote get the id back that they had. Raises DataError where points are of
    several categories, and none is chosen.
    """
    if _is_of_inferencer(source):
        yield from read_predictions(files_of_predictions(source), reading)
        return
    path = coco_file(source)
    document = load_coco(path)
    if isinstance(document, list):
        yield from read_results(path, document, reading)
        return
    file_names = names_of_images(document, path)
    known = categories_of(document)
    chosen = choose_categories(path, reading.categories, known, _things(document))
    folder = folder_of_images(path)
    visibility = _tells_visibility(document["annotations"])
    for k, entry in enumerate(document["annotations"]):
        where = f"{path}: annotation {entry.get('id', k) if isinstance(entry, dict) else k}"
        try:
            if not isinstance(entry, dict):
                raise DataError("is not a JSON object")
            if not _is_face(entry) or category_of(entry) not in chosen:
                continue
            whole_body = "face_kpts" in entry
            file_name = look_up(file_names, entry.get("image_id"))
            if file_name is None:
                raise DataError(f"there is no image with its image_id {entry.get('image_id')!r}")
            box = _box(entry.get("face_box" if whole_body else "bbox"), reading.base)
            keypoints = keypoints_of(entry)
            triples = _with_visibility(triples_of(keypoints)) if keypoints else None
            if triples is None and box is None:
                raise DataError("has neither keypoints nor a bbox")
            expected = () if whole_body or category_of(entry) not in known else known[category_of(entry)].points
            if expected and triples is not None and len(expected) != len(triples):
                raise DataError(f"{len(triples)} points, but its category names {len(expected)}")
            points, visible = (None, None) if triples is None else _points(triples, reading.base, visibility)
            confidence = _confidence(entry.get("kd_confidence"), points)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(file_name, folder, where)
        if image is None:
            continue
        stated = entry.get("kd_id")
        name = stated if isinstance(stated, str) and stated.strip() else id_in_300w(file_name)
        score = entry.get("score")
        yield Annotation(
            reading.number(name),
            image,
            points,
            visible=visible,
            confidence=confidence,
            box=box,
            score=finite_or_none(score),
            subsets=_subsets(entry.get("kd_subsets")) or subsets_in_300w(name),
        )


def _is_of_inferencer(source: Path) -> bool:
    return not coco_files(source) and bool(files_of_predictions(source))


def _things(document: dict[str, Any]) -> list[tuple[Any, int]]:
    """Category and number of points of each annotation with points; where none has points, of each with a box."""
    entries = [entry for entry in document["annotations"] if isinstance(entry, dict) and _is_face(entry)]
    things = [(category_of(entry), n) for entry in entries if (n := n_points_of(entry))]
    return things or [(category_of(entry), 0) for entry in entries]


def _is_face(entry: dict[str, Any]) -> bool:
    return not entry.get("iscrowd") and bool(entry.get("face_valid", True))


def _tells_visibility(entries: list[Any]) -> bool:
    lists = (keypoints_of(entry) for entry in entries if isinstance(entry, dict) and _is_face(entry))
    return any(isinstance(numbers, list) and _VISIBLE in numbers[2::3] for numbers in lists)


def _with_visibility(triples: np.ndarray) -> np.ndarray:
    """The triples (L, 3) themselves. Raises DataError where a third number is none of COCO's three."""
    odd = triples[~np.isin(triples[:, 2], (0, 1, _VISIBLE)), 2]
    if len(odd):
        raise DataError(f"the third number of a keypoint is {odd[0]:g}, which is not 0, 1 or 2")
    return triples


def _points(triples: np.ndarray, base: float, visibility: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (L, 2) and visible (L,) from triples (L, 3)."""
    numbers = np.where(triples[:, 2:] > 0, triples[:, :2], np.nan)
    return as_points(numbers, base), triples[:, 2] == _VISIBLE if visibility else None


def _box(numbers: Any, base: float) -> np.ndarray | None:
    """x, y, width, height -> half-open corners (4,); None where there is no box."""
    if not numbers:
        return None
    corner_and_size = numbers_of(numbers, "bbox")
    if len(corner_and_size) != 4:
        raise DataError(f"bbox: {len(corner_and_size)} numbers, not 4")
    return box_from_size(*corner_and_size, base=base)


def _confidence(numbers: Any, points: np.ndarray | None) -> np.ndarray | None:
    if not isinstance(numbers, list) or points is None or len(numbers) != len(points):
        return None
    return np.array([finite_or_none(number) for number in numbers], np.float64)  # None becomes NaN


def _subsets(names: Any) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """Two passes, images then annotations, in constant memory; faces of one image should follow one another.

    Where the faces carry no visibility v is 1 as in MMPose's own 300W and WFLW files. Of kdtools alone are the keys
    kd_id, kd_confidence and kd_subsets, and of frames of videos frame and time (of an image) and track. A face without
    a box gets that of its points.
    """
    category = {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(scheme.names),
        "skeleton": [[a + 1, b + 1] for outline in scheme.outlines for a, b in pairwise(outline)],  # COCO's, from 1
    }
    stream.write(b'{"info":{"description":"faces written by kdtools"},\n"categories":[' + orjson.dumps(category))
    stream.write(b'],\n"images":[')
    first = True
    for number, is_new, block, k in _numbered(blocks):
        if is_new:
            stream.write((b"\n" if first else b",\n") + orjson.dumps(_image_entry(number, block, k)))
            first = False
    stream.write(b'],\n"annotations":[')
    for index, (number, _, block, k) in enumerate(_numbered(blocks)):
        entry = _annotation_entry(index + 1, number, block, k)
        stream.write((b",\n" if index else b"\n") + orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY))
    stream.write(b"]}\n")


def _numbered(blocks: Blocks) -> Iterator[tuple[int, bool, FaceBlock, int]]:
    """Number of its image from 1, whether the image is new, and the face: block and index."""
    number, last = 0, None
    for block in blocks():
        for k, name in enumerate(block.images):
            is_new = number == 0 or name != last
            number, last = number + is_new, name
            yield number, is_new, block, k


def _image_entry(number: int, block: FaceBlock, k: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": number, "file_name": block.images[k]}
    if block.sizes is not None and (block.sizes[k] > 0).all():
        entry["width"], entry["height"] = (int(side) for side in block.sizes[k])
    return entry | {key: value for key, value in block.video_of(k).items() if key != "track"}


def _annotation_entry(index: int, number: int, block: FaceBlock, k: int) -> dict[str, Any]:
    points = block.points[k]
    known = np.isfinite(points).all(axis=-1)
    seen = np.zeros(len(points), bool) if block.visible is None else np.asarray(block.visible[k], bool)
    values = np.where(known, np.where(seen, _VISIBLE, 1), 0)
    triples = np.column_stack([np.where(known[:, None], points, 0), values]).astype(np.float32)
    bbox = _bbox(points[known], None if block.annotated_boxes is None else block.annotated_boxes[k])
    entry = {
        "id": index,
        "image_id": number,
        "category_id": 1,
        "keypoints": triples.ravel(),
        "num_keypoints": int(known.sum()),
        "bbox": bbox,
        "area": float(bbox[2]) * float(bbox[3]),
        "iscrowd": 0,
        "kd_id": block.ids[k],
    }
    if block.scores is not None and np.isfinite(block.scores[k]):
        entry["score"] = float(block.scores[k])
    if block.confidence is not None:
        entry["kd_confidence"] = np.ascontiguousarray(block.confidence[k], np.float32)
    if "track" in (video := block.video_of(k)):
        entry["track"] = video["track"]
    if subsets := [name for name, member in block.subsets.items() if member[k]]:
        entry["kd_subsets"] = subsets
    return entry


def _bbox(known: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """x, y, width, height (4,) float32 of the box, or of the points; zeros where there is neither."""
    if box is None or box_from_corners(*box) is None:
        if not len(known):
            return np.zeros(4, np.float32)
        box = np.concatenate([known.min(axis=0), known.max(axis=0)])
    return np.array([box[0], box[1], box[2] - box[0], box[3] - box[1]], np.float32)


FORMAT = Format(
    "coco",
    "COCO keypoint JSON, as of MMPose",
    0,
    accepts,
    read,
    write,
    suffix=".json",
    names_of_category=names_of,
    cleans_names=True,
    box="points",
)
