"""dlib's XML, which imglab writes: images with boxes and named parts, 0-based.

<?xml version='1.0' encoding='ISO-8859-1'?>
<dataset><images>
  <image file='helen/trainset/146827737_1.jpg'>
    <box top='224' left='70' width='295' height='295'>
      <part name='00' x='145' y='355'/> ...

Parts are points in the order of their names: as numbers where all names are numbers, else as text, which is how dlib
sorts them. A part that other boxes have and this one has not is a missing point. Boxes marked ignore='1' are left
out, as dlib's training leaves them out. occluded, truncated and difficult boxes form subsets of these names. A box may
hold a <label>; boxes with different labels are different things, of which `Reading.categories` says one.

Base: the file of dlib's own 68-point model says so (`we have adjusted the coordinates ... to 0 being the first index`),
and its points are those of 300W's .pts files less 1, rounded to whole pixels, in all 93 faces of the 300W test set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Blocks,
    FaceBlock,
    Reading,
    box_from_corners,
    box_from_size,
)
from kdtools.datasets.formats.shared.categories import NO_LABEL, Category, choose_categories
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.label_sets import check_labels_are_shared, warn_of_rare
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import files_like, only_file, parse_numbers, peek_text
from kdtools.datasets.formats.shared.xml_elements import parse_xml, xml_attribute
from kdtools.errors import DataError
from kdtools.landmarks import Scheme
from kdtools.reporting import counted

_MOST_PARTS = 10_000  # names in one file: every face has a point for each, so a wrong file could fill the memory
_LONGEST_LABEL = 1000
_FLAGS = {"occluded": "occlusion", "truncated": "truncated", "difficult": "difficult"}


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.xml", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("<") and "<dataset" in text and "<images" in text


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Names of the parts, in the order of the points; None where they are mere numbers, or there are none."""
    names, _ = _part_names(_file_of(source), categories)
    return None if all(name.isdecimal() for name in names) else names


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. File names are relative to it, or to a folder images/ there.

    The file is read twice, first for the names of the parts. Boxes without parts are skipped where others of their
    label have some. Raises DataError where boxes have several labels, and none is chosen.
    """
    path = _file_of(source)
    names, labels = _part_names(path, reading.categories, reading)
    order = {name: k for k, name in enumerate(names)}
    n_left_out = 0
    for box in _boxes(path):
        where = f"{path}:{box.line}"
        if box.label not in labels and not box.wrong and (box.label or box.parts):
            n_left_out += 1
            continue
        try:
            if box.wrong:
                raise DataError(box.wrong)
            if names and not box.parts:
                raise DataError("a box without parts")
            corners = _corners(box.attributes, reading.base)
            points = np.full((len(names), 2), np.nan)
            points[[order[name] for name in box.parts]] = _places(box.parts)
            score = box.attributes.get("detection_score")
            score_value = None if score is None else _number(score, "detection_score")
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(box.file, path.parent, where)
        if image is not None:
            name = id_in_300w(box.file)
            flags = {subset for flag, subset in _FLAGS.items() if _is_set(box.attributes, flag)}
            yield Annotation(
                reading.number(name),
                image,
                points - reading.base if names else None,
                box=corners,
                score=score_value,
                subsets=subsets_in_300w(name) | flags,
            )
    if n_left_out:
        reading.say(f"{path}: left out {counted(n_left_out, 'box', 'boxes')} with other labels")


def _file_of(source: Path) -> Path:
    return only_file(source, _files_in(source))


def _part_names(
    path: Path, categories: Sequence[str], reading: Reading | None = None
) -> tuple[list[str], frozenset[str]]:
    """Names of the parts of the chosen boxes, in the order of the points, and the labels of these boxes."""
    names: dict[str, Counter[str]] = {}
    sets: dict[str, set[frozenset[str]]] = {}
    counts: dict[str, list[int]] = {}
    for box in _boxes(path):
        names.setdefault(box.label, Counter()).update(box.parts.keys())
        sets.setdefault(box.label, set()).add(frozenset(box.parts))
        if not box.wrong:
            counts.setdefault(box.label, []).append(len(box.parts))
        if sum(map(len, names.values())) > _MOST_PARTS:
            raise DataError(f"{path}: its parts have more than {_MOST_PARTS} names", "points need the same in each box")
    ordered = {label: _in_order(parts) for label, parts in names.items()}
    known = {label: Category(label or NO_LABEL, "", tuple(parts)) for label, parts in ordered.items()}
    with_parts = any(ordered.values())
    found = [(label, len(ordered[label])) for label, sizes in counts.items() for n in sizes if n or not with_parts]
    chosen = choose_categories(path, categories, known, found)
    for label in chosen:
        check_labels_are_shared(path, map(set, sets[label]))
    if reading is not None:
        counted = sum((names[label] for label in chosen), Counter[str]())
        warn_of_rare(path, counted, sum(n > 0 for label in chosen for n in counts[label]), reading)
    return next((ordered[label] for label in ordered if label in chosen), []), chosen


def _in_order(names: Iterable[str]) -> list[str]:
    names = list(names)
    return sorted(names, key=lambda name: (int(name), name)) if all(map(_is_whole, names)) else sorted(names)


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 10


def _is_set(attributes: dict[str, str], flag: str) -> bool:
    return attributes.get(flag, "").strip().lower() in ("1", "true")


def _corners(attributes: dict[str, str], base: float) -> np.ndarray | None:
    """Box (4,). dlib's own rectangle ends on its last pixel, left + width - 1: half-open that is left + width."""
    left, top, width, height = (_number(attributes.get(key), key) for key in ("left", "top", "width", "height"))
    return box_from_size(left, top, width, height, base=base)


def _places(parts: dict[str, tuple[str | None, str | None]]) -> np.ndarray:
    """x and y of each part (n, 2)."""
    texts = ["" if text is None else text.strip() for place in parts.values() for text in place]
    if "" in texts:
        raise DataError("a part has no x or no y")
    numbers = parse_numbers(texts)
    if np.isnan(numbers).any():
        raise DataError("a part has an x or a y that is not a number")
    return numbers.reshape(-1, 2)


def _number(text: str | None, what: str) -> float:
    if text is None:
        raise DataError(f"{what} is missing")
    value = float(parse_numbers([text.strip()])[0])
    if np.isnan(value):
        raise DataError(f"{what} is {text!r}, which is not a number")
    return value


@dataclass
class _Box:
    """A <box> element as it stands in the file; `wrong` says why it cannot be used."""

    file: str
    line: int
    attributes: dict[str, str]
    label: str = ""
    parts: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    wrong: str = ""


class _Handler:
    """Collects the boxes that have been closed since they were last taken away."""

    def __init__(self) -> None:
        self.boxes: list[_Box] = []
        self._file = ""
        self._box: _Box | None = None
        self._in_label = False

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        if tag == "image":
            self._file = attributes.get("file", "")
        elif tag == "box":
            wrong = "" if self._file.strip() else "its image has no file name"
            self._box = _Box(self._file, line, attributes, wrong=wrong)
        elif tag == "label":
            self._in_label = True
        elif tag == "part" and self._box is not None:
            name = attributes.get("name")
            if name is None:
                self._box.wrong = "a part has no name"
            elif name in self._box.parts:
                self._box.wrong = f"the part {name!r} occurs twice"
            elif len(self._box.parts) < _MOST_PARTS:
                self._box.parts[name] = (attributes.get("x"), attributes.get("y"))
            else:
                self._box.wrong = f"has more than {_MOST_PARTS} parts"

    def end(self, tag: str) -> None:
        if tag == "label":
            self._in_label = False
        elif tag == "box" and self._box is not None:
            self._box.label = self._box.label.strip()
            if not _is_set(self._box.attributes, "ignore"):
                self.boxes.append(self._box)
            self._box = None
        elif tag == "image":
            self._file = ""

    def text(self, text: str) -> None:
        if self._in_label and self._box is not None and len(self._box.label) < _LONGEST_LABEL:
            self._box.label += text


def _boxes(path: Path) -> Iterator[_Box]:
    """Boxes in the order of the file, in bounded memory. Raises FileError where it is not such XML, or cut off."""
    handler = _Handler()
    for _ in parse_xml(path, handler, "dataset", "dlib's"):
        yield from handler.boxes
        handler.boxes.clear()


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """Faces of one image that follow one another share its element; dlib accepts an image that comes again.

    Points and boxes are rounded to whole pixels, up to 0.5 px from where they were: dlib's reader, and with it imglab,
    casts them to `long` and refuses a file with a fraction in it. Missing points are left out. Parts are named by
    numbers of equal width, because dlib sorts names as text and its models know points by that order alone. File names
    are escaped as XML demands; those with & or < in them dlib does not find, because it takes them as they stand.
    """
    width = max(2, len(str(scheme.n_points - 1)))
    stream.write(b"<?xml version='1.0' encoding='UTF-8'?>\n")
    stream.write(b"<dataset>\n<name>faces</name>\n<comment>written by kdtools</comment>\n<images>\n")
    last: str | None = None
    for block in blocks():
        for k, name in enumerate(block.images):
            if name != last:
                stream.write(b"" if last is None else b"  </image>\n")
                stream.write(_image_tag(block, k).encode())
                last = name
            stream.write(_box_element(block, k, width).encode())
    stream.write(b"" if last is None else b"  </image>\n")
    stream.write(b"</images>\n</dataset>\n")


def _image_tag(block: FaceBlock, k: int) -> str:
    size = ""
    if block.sizes is not None and (block.sizes[k] > 0).all():
        size = f" width='{int(block.sizes[k, 0])}' height='{int(block.sizes[k, 1])}'"
    return f"  <image file={xml_attribute(block.images[k])}{size}>\n"


def _box_element(block: FaceBlock, k: int, width: int) -> str:
    """Empty for a face that has neither a box nor a point."""
    points = block.points[k]
    known = np.isfinite(points).all(axis=-1)
    box = None if block.annotated_boxes is None else box_from_corners(*block.annotated_boxes[k])
    if box is None:
        if not known.any():
            return ""
        box = np.concatenate([points[known].min(axis=0), points[known].max(axis=0) + 1])
    left, top, right, bottom = (int(number) for number in np.rint(box))
    score = ""
    if block.scores is not None and np.isfinite(block.scores[k]) and block.scores[k]:
        score = f" detection_score='{block.scores[k]:.9g}'"
    lines = [f"    <box top='{top}' left='{left}' width='{right - left}' height='{bottom - top}'{score}>\n"]
    for index in np.flatnonzero(known):
        x, y = (int(number) for number in np.rint(points[index]))
        lines.append(f"      <part name='{index:0{width}d}' x='{x}' y='{y}'/>\n")
    return "".join(lines) + "    </box>\n"


FORMAT = Format(
    "dlib",
    "dlib's XML with boxes and parts, as of imglab",
    0,
    accepts,
    read,
    write,
    suffix=".xml",
    names_of_category=names_of,
    cleans_names=True,
    box="points",
)
