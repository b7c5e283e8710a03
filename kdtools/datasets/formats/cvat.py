"""CVAT's XML, as it exports `CVAT for images 1.1`: skeletons, points and boxes of each image, 0-based.

<annotations><version>1.1</version><meta>...</meta>
  <image id="0" name="face_00.jpg" width="640" height="480">
    <skeleton label="face" source="manual" z_order="0">
      <points label="left_eye" outside="0" occluded="1" points="220.00,200.00"></points> ...
    <points label="face" occluded="0" points="220.00,200.00;420.00,201.00;..." group_id="2"></points>
    <box label="face" occluded="0" xtl="180.0" ytl="150.0" xbr="460.0" ybr="400.0"></box>

A skeleton is a face, and its elements are named points: outside="1" is a missing point, occluded="1" a hidden one. A
file in which nothing is occluded tells nothing of visibility. A <points> of several points is a face too, whose points
stand in the order in which CVAT numbers them, so one with fewer points cannot be used. Of a <points> with one point the
label is the name; a group (`group_id`), or else the boxes, say which of them make a face. Polygons, polylines, ellipses
and masks are no points, and are left out. Skeletons, or shapes of several points, with different labels are different
things, as are single points in boxes of different labels: which of them is meant is not guessed.

Coordinates are copied to COCO keypoints as they stand by CVAT itself, and so are read here: the number 0 as the centre
of the first pixel. On CVAT's canvas that centre is drawn at 0.5, so `--base 0.5` is right to the half pixel.

Source: docs.cvat.ai/docs/manual/advanced/xml_format, and cvat/apps/dataset_manager/formats/cvat.py of
github.com/cvat-ai/cvat. `CVAT for video 1.1`, which has tracks in place of images, is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Blocks, FaceBlock, Reading
from kdtools.datasets.formats.shared.categories import choose_categories
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.labelled_points import (
    MOST_LABELS,
    Mark,
    MarkedPicture,
    Region,
)
from kdtools.datasets.formats.shared.marked_pictures import names_of_marks, read_marked
from kdtools.datasets.formats.shared.text_lists import files_like, is_number, only_file, parse_numbers, peek_text
from kdtools.datasets.formats.shared.xml_elements import parse_xml, xml_attribute, xml_text
from kdtools.errors import DataError, some_of
from kdtools.landmarks import Scheme

_NO_POINTS = ("polygon", "polyline", "ellipse", "cuboid", "mask")
_ONE_KIND = "name it with --category, or export the faces alone: a task, or a filter, with one label"


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.xml", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("<") and "<annotations" in text and ("<image " in text or "<track " not in text)


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the points in their order; None where the points have numbers alone."""
    path = only_file(source, _files_in(source))
    pictures, declared, by_box = _pictures(path, categories)
    return names_of_marks(path, pictures, declared, categories if by_box else ())


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Names are relative to it, or to a folder images/ beside it.

    Raises DataError where the file holds different things: skeletons of face and of hand, points by name and by number.
    """
    path = only_file(source, _files_in(source))
    pictures, declared, by_box = _pictures(path, reading.categories)
    about = reading if by_box else replace(reading, categories=())
    yield from read_marked(path, pictures, about, path.parent, declared)


class _Picture(MarkedPicture):
    """An <image>: `lists` are its shapes of points outside skeletons, each a label, a group and its marks."""

    def __init__(self, where: str, attributes: dict[str, str]) -> None:
        width, height = (attributes.get(key, "") for key in ("width", "height"))
        size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None
        super().__init__(where, (attributes.get("name", ""),), size if size and min(size) > 0 else None)
        self.lists: list[tuple[str, str, list[Mark]]] = []
        if not self.names[0].strip():
            self.wrong = "an image without a name"


class _Handler:
    """Collects images, and the points that the labels of the task declare for each skeleton."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pictures: list[_Picture] = []
        self.skeletons: dict[str, str] = {}  # group of the marks of each skeleton -> label
        self.declared: dict[str, list[str]] = {}
        self._picture: _Picture | None = None
        self._skeleton: str | None = None
        self._n_skeletons = 0
        self._label: dict[str, str] | None = None
        self._key = ""

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        if tag == "label":
            self._label = {}
        self._key = tag if self._label is not None else ""
        picture = self._picture
        if tag == "image":
            self._picture = _Picture(f"{self.path}:{line}", attributes)
        elif picture is None or picture.wrong:
            return
        elif tag == "skeleton":
            self._n_skeletons += 1
            self._skeleton = f"skeleton {self._n_skeletons}"
            self.skeletons[self._skeleton] = attributes.get("label", "")
        elif tag in ("points", "box"):
            try:
                self._add(picture, tag, attributes)
            except DataError as error:
                picture.wrong = f"a <{tag}> in line {line}: {error.message}"
        elif tag in _NO_POINTS:
            picture.notes.append(f"a {tag} is no point")

    def _add(self, picture: _Picture, tag: str, attributes: dict[str, str]) -> None:
        group = attributes.get("group_id", "0")
        group = "" if group in ("", "0") else f"group {group}"
        if tag == "box":
            picture.regions.append(Region(_corners(attributes), group, attributes.get("label", "").strip()))
            return
        label, hidden = attributes.get("label", "").strip(), attributes.get("occluded") == "1"
        if not label:
            raise DataError("it has no label")
        missing = attributes.get("outside") == "1"
        marks = [
            Mark(label, x, y, self._skeleton or group, hidden, missing)
            for x, y in _points_of(attributes.get("points", ""))
        ]
        if self._skeleton is None:
            picture.lists.append((label, group, marks))
        elif len(marks) == 1:
            picture.marks += marks
        else:
            raise DataError(f"an element of a skeleton with {len(marks)} points")

    def end(self, tag: str) -> None:
        if tag == "skeleton":
            self._skeleton = None
        elif tag == "image" and self._picture is not None:
            self.pictures.append(self._picture)
            self._picture = None
        elif tag == "label" and self._label is not None:
            parent, name = self._label.get("parent", "").strip(), self._label.get("name", "").strip()
            if parent and name and len(names := self.declared.setdefault(parent, [])) < MOST_LABELS:
                names.append(name)
            self._label = None
        self._key = ""

    def text(self, text: str) -> None:
        if self._label is not None and self._key in ("name", "parent"):
            self._label[self._key] = self._label.get(self._key, "") + text


def _points_of(text: str) -> np.ndarray:
    """`x,y;x,y` -> (n, 2)."""
    pairs = [pair.split(",") for pair in text.split(";")]
    if any(len(pair) != 2 or not all(is_number(part.strip()) for part in pair) for pair in pairs):
        raise DataError(f"{text[:40]!r} is not a list of x,y")
    points = parse_numbers([part.strip() for pair in pairs for part in pair]).reshape(-1, 2)
    if np.isnan(points).any():
        raise DataError("a coordinate is not a number")
    return points


def _corners(attributes: dict[str, str]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of the upright rectangle around a box, which may be turned about its centre."""
    texts = [attributes.get(key, "").strip() for key in ("xtl", "ytl", "xbr", "ybr")]
    angle = attributes.get("rotation", "0").strip()
    if not all(map(is_number, [*texts, angle])):
        raise DataError("a corner is not a number")
    x0, y0, x1, y1, degrees = parse_numbers([*texts, angle])
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    half = np.array([cosine * half[0] + sine * half[1], sine * half[0] + cosine * half[1]])
    return tuple(map(float, (*(centre - half), *(centre + half))))  # type: ignore[return-value]


def _pictures(path: Path, categories: Sequence[str] = ()) -> tuple[list[_Picture], list[str], bool]:
    """The images of a file with the marks of the chosen things, and the names of the points that these declare.

    The last value says that things are told by their boxes alone, which are not chosen from yet.
    """
    handler = _Handler(path)
    for _ in parse_xml(path, handler, "annotations", "CVAT's"):
        pass
    pictures = handler.pictures
    by_box = not handler.skeletons and all(len(marks) == 1 for one in pictures for *_, marks in one.lists)
    if categories and not by_box:
        _keep_only(handler, choose_categories(path, categories, {}, _things(handler)))
    several = {label for one in pictures for label, _, marks in one.lists if len(marks) > 1}
    single = {label for one in pictures for label, _, marks in one.lists if len(marks) == 1} - several
    kinds = sorted({*handler.skeletons.values()} | several)
    if len(kinds) > 1:
        raise DataError(f"{path}: holds points of {some_of(kinds)}, which are different things", _ONE_KIND)
    if kinds and single:
        raise DataError(
            f"{path}: holds {kinds[0]!r}, which has many points, and the single points {some_of(sorted(single))}",
            _ONE_KIND,
        )
    for picture in pictures:
        picture.ordered = bool(several)
        for k, (_, group, marks) in enumerate(picture.lists):
            picture.marks += [replace(mark, group=f"shape {k}") for mark in marks] if several else marks
            if several and group and any(region.group == group for region in picture.regions):
                picture.regions = [
                    replace(one, group=f"shape {k}") if one.group == group else one for one in picture.regions
                ]
        if not by_box:  # the points say what they are
            picture.regions = [replace(region, label="") for region in picture.regions]
    declared = handler.declared.get(kinds[0], []) if handler.skeletons else []
    return pictures, declared if len(set(declared)) == len(declared) else [], by_box


def _things(handler: _Handler) -> Iterator[tuple[str, int]]:
    """Label and number of points of each skeleton, and of each shape of points outside them."""
    for picture in handler.pictures:
        counts = Counter(mark.group for mark in picture.marks)
        yield from ((handler.skeletons[group], n) for group, n in counts.items())
        yield from ((label, len(marks)) for label, _, marks in picture.lists)


def _keep_only(handler: _Handler, labels: frozenset[str]) -> None:
    for picture in handler.pictures:
        picture.marks = [mark for mark in picture.marks if handler.skeletons[mark.group] in labels]
        picture.lists = [shape for shape in picture.lists if shape[0] in labels]
    handler.skeletons = {group: label for group, label in handler.skeletons.items() if label in labels}


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """Skeletons, with the names of their points as CVAT's labels: numbers from 0 where the scheme has no names.

    CVAT finds the images of its task by name, and the skeleton by its label `face`, whose points must have these names.
    A missing point stands, marked outside, in the middle of the others. Faces of one image should follow one another.
    """
    names = scheme.names or tuple(map(str, range(scheme.n_points)))
    labels = "".join(
        f"<label><name>{xml_text(one)}</name><type>points</type><parent>face</parent></label>\n" for one in names
    )
    stream.write(
        b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task><name>faces</name>'
        b"<mode>annotation</mode><labels>\n<label><name>face</name><type>skeleton</type></label>\n"
        + labels.encode()
        + b"</labels></task></meta>\n"
    )
    last: str | None = None
    n_images = 0
    for block in blocks():
        for k, name in enumerate(block.images):
            if name != last:
                stream.write(b"" if last is None else b"  </image>\n")
                stream.write(_image_tag(block, k, n_images).encode())
                last, n_images = name, n_images + 1
            stream.write(_skeleton(block, k, names).encode())
    stream.write((b"" if last is None else b"  </image>\n") + b"</annotations>\n")


def _image_tag(block: FaceBlock, k: int, number: int) -> str:
    size = ""
    if block.sizes is not None and (block.sizes[k] > 0).all():
        size = f' width="{int(block.sizes[k, 0])}" height="{int(block.sizes[k, 1])}"'
    return f'  <image id="{number}" name={xml_attribute(block.images[k])}{size}>\n'


def _skeleton(block: FaceBlock, k: int, names: Sequence[str]) -> str:
    """Empty for a face without points: CVAT knows no skeleton of points that are nowhere."""
    points = block.points[k]
    known = np.isfinite(points).all(axis=-1)
    if not known.any():
        return ""
    middle = points[known].mean(axis=0)
    lines = ['    <skeleton label="face" source="auto" occluded="0" z_order="0">\n']
    for name, point, there, seen in zip(names, points, known, _seen(block, k), strict=True):
        x, y = point if there else middle
        lines.append(
            f'      <points label={xml_attribute(name)} source="auto" outside="{int(not there)}" '
            f'occluded="{int(there and not seen)}" points="{x},{y}"></points>\n'
        )
    return "".join(lines) + "    </skeleton>\n"


def _seen(block: FaceBlock, k: int) -> np.ndarray:
    return np.ones(block.points.shape[1], bool) if block.visible is None else np.asarray(block.visible[k], bool)


FORMAT = Format(
    "cvat",
    "CVAT for images 1.1, XML: skeletons or points",
    0,
    accepts,
    read,
    write,
    suffix=".xml",
    names_of_category=names_of,
    cleans_names=True,
)
