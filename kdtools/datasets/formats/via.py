"""VGG Image Annotator, versions 1 and 2: its project, its annotations as JSON, and as CSV; whole pixels, 0-based.

{"face_00.jpg12345": {"filename": "face_00.jpg", "size": 12345, "file_attributes": {}, "regions": [
   {"shape_attributes": {"name": "point", "cx": 220, "cy": 200}, "region_attributes": {"part": "left_eye"}}, ...]}}

A project holds this under "_via_img_metadata"; version 1 has an object of numbered regions in place of the list. CSV:

filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
face_00.jpg,12345,"{}",5,0,"{""name"":""point"",""cx"":220,""cy"":200}","{""part"":""left_eye""}"

Of a region's attributes one is the label of a point (part, name, ...), one may be the face that it belongs to (face,
group, person, ...), and one may say that it is hidden (occluded, visible). Rectangles, circles and ellipses around
points are their face, and a class, type or label of theirs says what they are around; a circle around nothing is no
point, for it has a size. Polygons and lines are no points. Points
without a label have the numbers that VIA shows, so a face with fewer of them cannot be used.

Source: robots.ox.ac.uk/~vgg/software/via, and via-2.x.y/CodeDoc.md of gitlab.com/vgg/via. VIA counts on its canvas from
the corner of the first pixel and rounds to whole numbers. Projects of version 3 are not read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.labelled_points import Mark, MarkedPicture, Region
from kdtools.datasets.formats.shared.marked_pictures import names_of_marks, read_marked
from kdtools.datasets.formats.shared.tables import read_table
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    load_json,
    numbers_of,
    only_file,
    peek_lines,
    peek_text,
)
from kdtools.errors import DataError, FileError, some_of

_HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
_FACE_KEYS = {
    *("face", "face_id", "faceid", "group", "group_id", "person", "person_id", "instance", "instance_id"),
    *("object", "object_id", "subject", "individual", "animal", "track", "track_id"),
}
_HIDDEN_KEYS, _VISIBLE_KEYS = {"occluded", "occlusion", "hidden", "invisible"}, {"visible", "visibility"}
_LABEL_KEYS = ("part", "label", "landmark", "keypoint", "point", "name", "class", "type", "id")
_KIND_KEYS = ("category", "class", "type", "kind", "label", "species", "object", "thing", "part")
_YES, _NO = {"1", "true", "yes", "y", "on"}, {"0", "false", "no", "n", "off", "occluded", "hidden"}


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.json", _is_json) or files_like(source, "*.csv", _is_csv)


def _is_json(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("{") and (
        '"_via_img_metadata"' in text or ('"shape_attributes"' in text and '"filename"' in text)
    )


def _is_csv(path: Path) -> bool:
    lines = peek_lines(path)
    return bool(lines) and lines[0].lstrip("#").replace('"', "") == _HEADER


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the points in their order; None where the points have numbers alone."""
    path = only_file(source, _files_in(source))
    return names_of_marks(path, _pictures(path), categories=categories)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Raises DataError where regions around points differ in kind."""
    path = only_file(source, _files_in(source))
    yield from read_marked(path, _pictures(path), reading, path.parent)


class _Picture(MarkedPicture):
    """`attributes` are those of each mark; `round` tells the regions that are circles or ellipses."""

    def __init__(self, where: str, name: str) -> None:
        super().__init__(where, (name,))
        self.attributes: list[dict[str, str]] = []
        self.around: list[tuple[str, Region, dict[str, str]]] = []


def _pictures(path: Path) -> list[_Picture]:
    pictures = _from_csv(path) if _is_csv(path) else _from_json(path)
    _settle_labels(path, pictures)
    for picture in pictures:
        for kind, region, _ in picture.around:
            if kind == "rect" or any(region.holds(mark) for mark in picture.marks):
                picture.regions.append(region)
            else:
                picture.notes.append(f"a {kind} without points in it is no point")
    return pictures


def _from_json(path: Path) -> list[_Picture]:
    document = load_json(path)
    entries = document.get("_via_img_metadata", document) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise FileError(f"{path}: not annotations of VIA")
    pictures = []
    for key, entry in entries.items():
        name = entry.get("filename") if isinstance(entry, dict) else None
        picture = _Picture(f"{path}:{key[:200]}", name if isinstance(name, str) else "")
        pictures.append(picture)
        regions = entry.get("regions") if isinstance(entry, dict) else None
        if isinstance(regions, dict):  # version 1
            regions = list(regions.values())
        try:
            if not picture.names[0].strip() or "\0" in picture.names[0]:
                raise DataError("no filename")
            for region in regions if isinstance(regions, list) else []:
                if not isinstance(region, dict):
                    raise DataError("a region is not a JSON object")
                _add_region(picture, region.get("shape_attributes"), region.get("region_attributes"))
        except DataError as error:
            picture.wrong = error.message
    return pictures


def _from_csv(path: Path) -> list[_Picture]:
    pictures: dict[tuple[str, str], _Picture] = {}
    for k, (where, row) in enumerate(read_table(path)):
        if k == 0:
            continue
        name, size = (row[0].strip(), row[1].strip()) if len(row) > 1 else ("", "")
        picture = pictures.setdefault((name, size), _Picture(where, name))
        try:
            if len(row) != 7 or not name or "\0" in name:
                raise DataError(f"{len(row)} cells, or no file name")
            shape, attributes = json.loads(row[5]), json.loads(row[6])
            if shape:  # a picture without regions has one row
                _add_region(picture, shape, attributes)
        except DataError as error:
            picture.wrong = error.message
        except (ValueError, RecursionError) as error:
            picture.wrong = f"its attributes are no JSON: {error}"
    return list(pictures.values())


def _add_region(picture: _Picture, shape: Any, attributes: Any) -> None:
    if not isinstance(shape, dict):
        raise DataError("a region without shape_attributes")
    kind = str(shape.get("name", ""))[:40]
    texts = {key: _text_of(value) for key, value in attributes.items()} if isinstance(attributes, dict) else {}
    texts = {key: text for key, text in texts.items() if text}

    def numbers(*keys: str) -> list[float]:
        values = numbers_of([shape.get(key) for key in keys], kind)
        if np.isnan(values).any():
            raise DataError(f"{kind}: a number is missing")
        return [float(value) for value in values]

    if kind == "point":
        x, y = numbers("cx", "cy")
        picture.marks.append(Mark("", x, y))
        picture.attributes.append(texts)
    elif kind == "rect":
        x, y, width, height = numbers("x", "y", "width", "height")
        picture.around.append((kind, Region((x, y, x + width, y + height)), texts))
    elif kind == "circle":
        x, y, r = numbers("cx", "cy", "r")
        picture.around.append((kind, Region((x - r, y - r, x + r, y + r)), texts))
    elif kind == "ellipse":
        x, y, rx, ry = numbers("cx", "cy", "rx", "ry")
        r = max(rx, ry) if shape.get("theta") else 0
        picture.around.append((kind, Region((x - (r or rx), y - (r or ry), x + (r or rx), y + (r or ry))), texts))
    else:
        picture.notes.append(f"a {kind or 'shape without a name'} is no point")


def _text_of(value: Any) -> str:
    """The text of an attribute; of check boxes, which VIA keeps as {option: true}, the only one that is set."""
    if isinstance(value, dict):
        chosen = [str(key) for key, is_set in value.items() if is_set]
        return chosen[0].strip() if len(chosen) == 1 else ""
    return str(value).strip() if isinstance(value, str | int) else ""


def _settle_labels(path: Path, pictures: list[_Picture]) -> None:
    """Label, face and visibility of all points. Raises DataError where two attributes could be the label."""
    rows = [texts for picture in pictures for texts in picture.attributes]
    counts = Counter(key for texts in rows for key in texts)
    face = next((key for key in counts if key.lower() in _FACE_KEYS), None)
    flags = [key for key in counts if key.lower() in _HIDDEN_KEYS | _VISIBLE_KEYS]
    others = [key for key in counts if key != face and key not in flags]
    varied = [key for key in others if len({texts.get(key) for texts in rows}) > 1] or others
    label = varied[0] if len(varied) == 1 else None
    if len(varied) > 1:
        named = [key for wanted in _LABEL_KEYS for key in varied if key.lower() == wanted]
        if not named:
            raise DataError(
                f"{path}: the label of a point could be any of {some_of(varied)}",
                f"call the attribute {_LABEL_KEYS[0]}",
            )
        label = named[0]
    one_for_all = len({texts[label] for texts in rows if label in texts}) == 1 if label else True
    unnamed = label is None or (one_for_all and any(len(picture.marks) > 1 for picture in pictures))
    for picture in pictures:
        picture.ordered = unnamed
        for k, (mark, texts) in enumerate(zip(picture.marks, picture.attributes, strict=True)):
            name = texts.get(label or "", "")
            if not name and not unnamed:
                picture.wrong = picture.wrong or f"a point without {label!r}"
            hidden = any(_is_hidden(key, texts.get(key, "")) for key in flags)
            picture.marks[k] = replace(mark, label=name, group=_group(face, texts), hidden=hidden)
        picture.around = [
            (kind, replace(one, group=_group(face, texts), label=_kind_of(texts, face)), texts)
            for kind, one, texts in picture.around
        ]


def _group(face: str | None, texts: dict[str, str]) -> str:
    return f"face {texts[face]}" if face and face in texts else ""


def _kind_of(texts: dict[str, str], face: str | None) -> str:
    """What a region around points is of, by its attributes other than that of the `face`."""
    by_key = {key.lower(): text for key, text in reversed(texts.items()) if key != face}
    return next((by_key[key] for key in _KIND_KEYS if key in by_key), "")


def _is_hidden(key: str, text: str) -> bool:
    return text.lower() in (_YES if key.lower() in _HIDDEN_KEYS else _NO)


FORMAT = Format(
    "via", "VGG Image Annotator 1 and 2: project, JSON or CSV", 0, accepts, read, names_of_category=names_of
)
