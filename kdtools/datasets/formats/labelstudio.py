"""Label Studio's JSON and JSON-MIN: key points, rectangles and relations, in percent of the picture.

[{"id": 100, "data": {"image": "/data/upload/3/1a2b3c4d-face_00.jpg"}, "predictions": [],
  "annotations": [{"was_cancelled": false, "result": [
    {"id": "a1", "type": "keypointlabels", "original_width": 640, "original_height": 480, "image_rotation": 0,
     "from_name": "kp", "to_name": "image", "parentID": "r1",
     "value": {"x": 35.0, "y": 40.0, "width": 0.2, "keypointlabels": ["left_eye"]}}, ...,
    {"type": "relation", "from_id": "r1", "to_id": "a1", "direction": "right"}]}]}]

x is x / 100 * original_width, as Label Studio's own converter computes it for COCO, 0-based. JSON-MIN is a list of
{"image": ..., "kp": [{"x": ..., "y": ..., "keypointlabels": [...], "original_width": ...}, ...]}.

Points that `parentID` or relations tie to each other or to one rectangle, or that lie within one, are a face;
rectangles of different labels are around different things. A choice `occluded` or `hidden` made for a point says that
it is hidden. Cancelled annotations are left out. Of several of a task the one marked as ground truth is taken, or the
last updated one, and a message says so. Predictions are read where no task of the file has an annotation: so is what
kd-dump writes. A picture turned within Label Studio is skipped.

A picture is looked for by its path, then by its file name, with and without the eight hexadecimal digits that an upload
puts before it. `/data/local-files/?d=PATH` is PATH.

Source: labelstud.io/guide/task_format, labelstud.io/tags/keypointlabels and labelstud.io/guide/export.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.labelled_points import (
    Mark,
    MarkedPicture,
    Region,
    declared_names,
)
from kdtools.datasets.formats.shared.labelstudio_tasks import write
from kdtools.datasets.formats.shared.marked_pictures import names_of_marks, read_marked
from kdtools.datasets.formats.shared.text_lists import files_like, load_json, numbers_of, only_file, peek_text
from kdtools.errors import DataError, FileError
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_HIDDEN = {"occluded", "hidden", "invisible", "not visible"}
_ANNOTATIONS = ("annotations", "completions")  # the latter until version 1.0


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    if not text.startswith(("[", "{")):
        return False
    tasks = '"result"' in text and ('"from_name"' in text or '"data"' in text)
    unmarked = '"data"' in text and ('"predictions"' in text or '"completions"' in text)
    return tasks or unmarked or ('"keypointlabels"' in text and '"original_width"' in text)


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the points in their order; None where the points have numbers alone."""
    path = only_file(source, _files_in(source))
    pictures, names = _pictures(path)
    return names_of_marks(path, pictures, names, categories)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Raises DataError where rectangles have several labels."""
    path = only_file(source, _files_in(source))
    pictures, names = _pictures(path)
    yield from read_marked(path, pictures, reading, path.parent, names)


def _pictures(path: Path) -> tuple[list[MarkedPicture], list[str]]:
    document = load_json(path)
    tasks = document if isinstance(document, list) else [document]
    if not all(isinstance(task, dict) for task in tasks):
        raise FileError(f"{path}: not a list of tasks of Label Studio")
    key = next((key for key in _ANNOTATIONS if any(_done(task, key) for task in tasks)), "predictions")
    pictures: list[MarkedPicture] = []
    names: list[str] = []
    for k, task in enumerate(tasks):
        picture = MarkedPicture(f"{path}:task {task.get('id', k)}"[:300], ("",))
        try:
            data = task.get("data") if isinstance(task.get("data"), dict) else task
            names = names or declared_names(data)
            items = _items_of(picture, task, key) if "data" in task else _items_of_min(task)
            if not items:
                pictures += [picture] if picture.notes else []
                continue  # a task that nobody has annotated yet
            picture.names, picture.id = _names_of_picture(data)
            _fill(picture, items)
        except DataError as error:
            picture.wrong = error.message
        pictures.append(picture)
    times = Counter(picture.id for picture in pictures)
    for picture in pictures:  # two uploads of one name are two pictures
        if times[picture.id] > 1:
            picture.id = PurePosixPath(unquote(picture.names[0])).name
    return pictures, names


def _done(task: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Annotations, or predictions, of a task with a result; cancelled ones left out."""
    entries = task.get(key)
    return [
        one
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("result"), list)
        and one["result"]
        and not (one.get("was_cancelled") or one.get("skipped"))
    ]


def _items_of(picture: MarkedPicture, task: dict[str, Any], key: str) -> list[Any]:
    """The results of the annotation that is taken."""
    done = _done(task, key)
    if not done:
        if key != "predictions" and _done(task, "predictions"):
            picture.notes.append("has predictions, but no annotation")
        return []
    if len(done) > 1:
        picture.notes.append(f"has {len(done)} {key}; the ground truth, or else the last, is taken")
    chosen = max(
        enumerate(done),
        key=lambda pair: (bool(pair[1].get("ground_truth")), str(pair[1].get("updated_at") or ""), pair[0]),
    )
    return list(chosen[1]["result"])


def _items_of_min(task: dict[str, Any]) -> list[Any]:
    """As the results of JSON: JSON-MIN has lists of values under the names of the labelling tags."""
    items = []
    for value in task.values():
        for one in value if isinstance(value, list) else []:
            if isinstance(one, dict) and "x" in one and "y" in one:
                known = {key: one[key] for key in ("original_width", "original_height", "image_rotation") if key in one}
                kind = next((key for key in one if key.endswith("labels")), "keypoint")
                items.append({"type": kind, "value": one, **known})
    return items


def _names_of_picture(data: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """What the picture may be called, the likeliest first, and its id. Raises DataError where nothing names it."""
    texts = {key: value.strip() for key, value in data.items() if isinstance(value, str) and value.strip()}
    url = texts.get("image") or next((text for text in texts.values() if _suffix_of(text) in IMAGE_SUFFIXES), "")
    if not url or "\0" in url:
        raise DataError("no image in its data")
    if url.startswith("data:"):
        raise DataError("its image is held in the task itself, which is not read")
    path = _path_of(url)
    if not path.strip("/"):
        raise DataError(f"{url[:60]!r} names no image")
    name = PurePosixPath(path).name
    plain = _UPLOAD.sub("", name, count=1) if _UPLOAD.match(name) else name
    is_upload = "/upload/" in f"/{path}"
    own = plain if is_upload else path.lstrip("/")
    return tuple(dict.fromkeys((path, name, plain, own))), own


def _path_of(url: str) -> str:
    """The path in a URL, or what the local-files URL names."""
    parts = urlsplit(url) if "://" in url or "?" in url else None
    if parts is None:
        return unquote(url)
    local = parse_qs(parts.query).get("d")
    return local[0] if local and parts.path.endswith("/local-files/") else unquote(parts.path)


def _suffix_of(text: str) -> str:
    return PurePosixPath(_path_of(text)).suffix.lower() if len(text) < 4000 else ""


def _fill(picture: MarkedPicture, items: list[Any]) -> None:
    """Adds the key points and rectangles of a result. Raises DataError for one that cannot be understood."""
    hidden: set[str] = set()
    parents: dict[str, str] = {}
    labels: dict[str, list[str]] = {}
    ties: list[tuple[str, str]] = []
    shapes: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}
    for k, item in enumerate(items):
        value = item.get("value") if isinstance(item, dict) else None
        kind = str(item.get("type", "")) if isinstance(item, dict) else ""
        if kind == "relation":
            ties.append((str(item.get("from_id")), str(item.get("to_id"))))
            continue
        if not isinstance(value, dict):
            raise DataError(f"result {k} has no value")
        key = str(item.get("id", f"result {k}"))
        if kind == "choices":
            if isinstance(value.get("choices"), list) and _HIDDEN & {str(one).lower() for one in value["choices"]}:
                hidden.add(key)
            continue
        if item.get("parentID"):
            parents[key] = str(item["parentID"])
        labels[key] = labels.get(key) or _labels_of(value)
        if kind in ("keypoint", "keypointlabels", "rectangle", "rectanglelabels"):
            shapes[key] = (kind, item, value)
        elif kind == "labels":  # names a shape that stands for itself
            shapes.setdefault(key, ("rectangle" if "height" in value else "keypoint", item, value))
        elif "x" in value or "points" in value or "rle" in value:
            picture.notes.append(f"a shape of the kind {kind[:40]!r} is no point")
    group_of = _groups(list(shapes), [*ties, *parents.items()])
    for key, (kind, item, value) in shapes.items():
        width, height = _size_of(item)
        if picture.size not in (None, (width, height)):
            raise DataError(f"its results are of pictures of {picture.size} and of {(width, height)}")
        picture.size = (width, height)
        scale = np.array([width, height]) / 100
        if kind.startswith("rectangle"):
            picture.regions.append(Region(_corners(value, width, height), group_of[key], ", ".join(labels[key])))
            continue
        if len(labels[key]) != 1:
            raise DataError(f"a key point with {len(labels[key])} labels")
        x, y = numbers_of([value.get("x"), value.get("y")], "value") * scale
        score = item.get("score")
        confidence = float(score) if isinstance(score, int | float) and np.isfinite(score) else None
        picture.marks.append(Mark(labels[key][0], float(x), float(y), group_of[key], key in hidden, False, confidence))


def _labels_of(value: dict[str, Any]) -> list[str]:
    found = [value[key] for key in ("keypointlabels", "labels", "rectanglelabels") if isinstance(value.get(key), list)]
    return [str(label).strip() for label in found[0] if str(label).strip()] if found else []


def _groups(keys: list[str], ties: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The group of each shape by the shapes that it is tied to, directly or not; none for one that stands alone."""
    group = {key: key for key in keys}

    def first(key: str) -> str:
        while group[key] != key:
            key = group[key]
        return key

    tied = set()
    for a, b in ties:
        for key in (a, b):
            group.setdefault(key, key)
        group[first(b)] = first(a)
        tied |= {a, b}
    return {key: first(key) if key in tied else "" for key in keys}


def _size_of(item: dict[str, Any]) -> tuple[int, int]:
    if item.get("image_rotation") not in (None, 0):
        raise DataError(f"its picture was turned by {str(item['image_rotation'])[:20]} degrees in Label Studio")
    sides = [item.get(key) for key in ("original_width", "original_height")]
    if not all(type(side) is int and 0 < side < 1_000_000 for side in sides):
        raise DataError("no original_width and original_height, of which its numbers are percent")
    return int(sides[0] or 0), int(sides[1] or 0)


def _corners(value: dict[str, Any], width: int, height: int) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of the upright rectangle around one that may be turned about its upper left corner."""
    x, y, w, h, degrees = numbers_of(
        [*(value.get(key) for key in ("x", "y", "width", "height")), value.get("rotation") or 0], "value"
    )
    scale = np.array([width, height]) / 100
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cosine, -sine], [sine, cosine]]) if degrees else np.eye(2)
    corners = np.array([x, y]) * scale + np.array([[0, 0], [w, 0], [0, h], [w, h]]) * scale @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


FORMAT = Format(
    "labelstudio",
    "Label Studio's JSON or JSON-MIN: key points in percent",
    0,
    accepts,
    read,
    write,
    suffix=".json",
    names_of_category=names_of,
    cleans_names=True,
    box="none",
)
