"""WFLW's lists: points, with or without a rectangle and six attributes, and the name of the picture.

x0 y0 ... x97 y97 37--Soccer/37_Soccer_soccer_ball_37_45.jpg
x0 y0 ... x97 y97 x_min y_min x_max y_max pose expression illumination make-up occlusion blur 37--Soccer/37_...jpg

Separated by spaces, which the name may hold too; lists of other sets of points in this layout are read as well. Which
it is: six attributes of 0 or 1 after four whole numbers in most of its lines make it the second, unless all numbers are
whole and could be points. Other boxes and attributes are looked for as in any list (`column_checks`).

The same face in several lists of a folder is one face, with the subsets that their names tell
(`list_98pt_test_blur.txt`). Several faces of a picture are numbered as they come, so that NAME#2 of the six lists,
which lack 534 of the 2,500 test faces, may be another face than NAME#2 of the whole list.

0-based, as MMPose, HRNet and ADNet take the numbers too: mean pictures around mirrored points are each other's mirror
images best where the numbers count from 0.26 +- 0.12 (92 faces in 83 photographs). 300W in this layout
(`300w_common_list_68pt_rect_attr_test.txt`) is 1-based: its numbers are those of the .pts files to 0.0003.

Source: W. Wu et al., "Look at Boundary", CVPR 2018, and the README of its annotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Blocks,
    FaceBlock,
    Reading,
    as_points,
    box_from_corners,
)
from kdtools.datasets.formats.shared.column_checks import PointColumns, usual_columns
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import (
    NUMBER,
    Row,
    files_like,
    is_number,
    peek_lines,
    rows_of_one_length,
)
from kdtools.errors import DataError, FileError
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

ATTRIBUTES = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")  # in the order of the columns
_PARTS = ("train", "test")
_N_EXTRA = 4 + len(ATTRIBUTES)
_FEWEST = 10  # numbers in a line that is taken for such a list: five points
_NUMBERS = re.compile(rf"(?:{NUMBER}\s+)+", re.ASCII)


@dataclass
class _Face:
    """A face as it stands in the lists: points (L, 2), box (4,), the subsets of all lists it is in."""

    row: Row
    folder: Path
    points: np.ndarray
    box: np.ndarray | None
    subsets: set[str] = field(default_factory=set)


def accepts(source: Path) -> bool:
    return bool(_lists_in(source))


def _lists_in(source: Path) -> list[Path]:
    """In a folder lists are called so: a folder may hold a text file beside each of its pictures."""
    return files_like(source, "*list*.txt", lambda path: any(map(_is_line, peek_lines(path))))


def _is_line(line: str) -> bool:
    try:
        name, texts = _split_name_last(line)
    except DataError:
        return False
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and len(texts) >= _FEWEST and len(texts) % 2 == 0


def _split_name_last(line: str) -> tuple[str, list[str]]:
    numbers = _NUMBERS.match(line)
    name = line[numbers.end() :] if numbers else ""
    if not numbers or not name:
        raise DataError("no numbers at the beginning of the line" if not numbers else "no image name after the numbers")
    return name, numbers.group().split()


def find_base(source: Path) -> float:
    """Index base of a source: 1 for 300W in this layout, 0 for all else. Raises FileError where a folder holds both."""
    lines = [next(filter(_is_line, peek_lines(path))) for path in _lists_in(source)]
    bases = {_base_of(_split_name_last(line)[0]) for line in lines}
    if len(bases) > 1:
        raise FileError(
            f"{source}: holds lists of WFLW, counted from 0, and of 300W, counted from 1", "name the one to read"
        )
    return bases.pop() if bases else FORMAT.base


def _base_of(name: str) -> float:
    """Index base of a list whose first picture is called so."""
    return 1 if subsets_in_300w(name) else FORMAT.base


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises FileError for a folder of lists that count from 0 and from 1: one base cannot serve both."""
    find_base(source)
    for face in _read_faces(_lists_in(source), reading):
        image = reading.find_image(face.row.name, face.folder, face.row.where)
        if image is not None:
            name = id_in_300w(face.row.name)
            box = None if face.box is None else face.box - reading.base
            subsets = subsets_in_300w(name) | face.subsets
            yield Annotation(reading.number(name), image, face.points - reading.base, box=box, subsets=subsets)


def _read_faces(lists: list[Path], reading: Reading) -> list[_Face]:
    """Faces in the order of the lists, each once. Raises DataError where the lists differ in the number of points."""
    words = {path: set(path.stem.lower().split("_")) for path in lists}
    has_parts = all(any(part in words[path] for path in lists) for part in _PARTS)
    faces: dict[tuple[str, bytes], _Face] = {}
    n_points: dict[int, Path] = {}
    for path in lists:
        rows = rows_of_one_length(path, _split_name_last, reading.skip)
        n_extra = _N_EXTRA if _have_attributes(rows, path) else 0
        tells = words[path].intersection(ATTRIBUTES + (_PARTS if has_parts else ()))
        columns = usual_columns(path, [row.numbers[: len(row.numbers) - n_extra] for row in rows], reading)
        for row in rows:
            try:
                face = _parse_face(row, n_extra, columns, _picture_folder(path))
            except DataError as error:
                reading.skip(row.where, error.message)
                continue
            n_points.setdefault(len(face.points), path)
            same = faces.setdefault((row.name, face.points.tobytes()), face)
            same.box = face.box if same.box is None else same.box
            same.subsets |= face.subsets | tells
    if len(n_points) > 1:
        (first, one), (second, other) = list(n_points.items())[:2]
        raise DataError(f"{one.name} has {first} points per face, but {other.name} {second}", "name the one to read")
    return list(faces.values())


def _have_attributes(rows: list[Row], path: Path) -> bool:
    """Whether the lines end in a rectangle and six attributes. Raises DataError where it cannot be told."""
    if not rows or len(rows[0].numbers) < _N_EXTRA + 2:
        return False
    ends = np.stack([row.numbers[-_N_EXTRA:] for row in rows])
    fits = (ends % 1 == 0).all(axis=1) & np.isin(ends[:, 4:], (0, 1)).all(axis=1)
    if not fits.any():
        return False
    if 2 * fits.sum() > len(rows):
        if all(map(_points_have_decimals, rows)) or any((row.numbers[:-_N_EXTRA] % 1 > 0).any() for row in rows):
            return True
        known = {scheme.n_points for scheme in SCHEMES.values()}
        without, with_extra = len(rows[0].numbers) // 2, (len(rows[0].numbers) - _N_EXTRA) // 2
        if (without in known) != (with_extra in known):
            return with_extra in known
    raise DataError(
        f"{path}: its lines may end in points or in a rectangle and attributes",
        "the last six numbers of every line must be 0 or 1, the points not all whole numbers",
    )


def _points_have_decimals(row: Row) -> bool:
    """Whether the number before the last ten is written `30.000000` and these are written `30`."""
    last_of_points, *extra = row.last[-_N_EXTRA - 1 :]
    return "." in last_of_points and not any("." in text for text in extra)


def _parse_face(row: Row, n_extra: int, columns: PointColumns | None, folder: Path) -> _Face:
    numbers = row.numbers[: len(row.numbers) - n_extra]
    points, box = (numbers, None) if columns is None else (columns.points_in(numbers), columns.box_in(numbers))
    face = _Face(row, folder, as_points(points), box)
    if n_extra:
        rectangle, flags = row.numbers[-n_extra:][:4], row.numbers[-len(ATTRIBUTES) :]
        if not np.isin(flags, (0, 1)).all():
            raise DataError("the six attributes before the name are not all 0 or 1")
        face.box = box_from_corners(*rectangle)
        face.subsets = {name for name, flag in zip(ATTRIBUTES, flags, strict=True) if flag}
    return face


def _picture_folder(path: Path) -> Path:
    """WFLW keeps its pictures in WFLW_images, beside a folder that holds the lists or the lists' folder."""
    beside = (up / "WFLW_images" for up in path.absolute().parents[:3])
    return next((folder for folder in beside if folder.is_dir()), path.parent)


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """The second layout; a point that is not annotated is written `nan nan`, which other readers may refuse.

    Counts from 1 where the first picture is one of 300W, as `find_base` will take it. Raises DataError for a picture
    whose name could not be told from the numbers.
    """
    base = None
    for block in blocks():
        for k, name in enumerate(block.images):
            first = base is None
            base = _base_of(name) if base is None else base
            line = _line_of(block, k, base)
            if first and Path(name).suffix.lower() not in IMAGE_SUFFIXES:  # no reader would know the list again
                raise DataError(f"{name!r} is not an image name, which WFLW's lists need", "give another --format")
            stream.write(line.encode())


def _line_of(block: FaceBlock, k: int, base: float) -> str:
    name = block.images[k]
    if not name.strip() or name != name.strip() or len(name.splitlines()) != 1 or is_number(name.split()[0]):
        raise DataError(
            f"{block.ids[k]}: the image name {name!r} cannot stand in a list after numbers",
            "rename it: no line ends, no space at its ends, no number as its first word",
        )
    flags = [int(attribute in block.subsets and bool(block.subsets[attribute][k])) for attribute in ATTRIBUTES]
    points = block.points[k].astype(np.float64) + base
    words = [f"{number:.6f}" for number in points.reshape(-1)]
    return " ".join([*words, *map(str, _rectangle_of(block, k, base)), *map(str, flags), name]) + "\n"


def _rectangle_of(block: FaceBlock, k: int, base: float) -> list[int]:
    """Whole numbers around the box, or else around the points; zeros where neither is known."""
    box = None if block.annotated_boxes is None else block.annotated_boxes[k]
    if box is None or not np.isfinite(box).all():
        known = block.points[k][~np.isnan(block.points[k]).any(axis=1)]
        if len(known) == 0:
            return [0, 0, 0, 0]
        box = np.concatenate([known.min(axis=0), known.max(axis=0)])
    low, high = np.floor(box[:2] + base), np.ceil(box[2:] + base)
    return [int(number) for number in (*low, *high)]


FORMAT = Format(
    "wflw",
    "lists of WFLW: points, maybe a rectangle and six attributes, image name",
    0,
    accepts,
    read,
    write=write,
    find_base=find_base,
    suffix=".txt",
    cleans_names=True,
    box="points",
)
