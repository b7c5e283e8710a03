"""RetinaFace's label.txt of WIDER FACE, also that of other detectors: a box and five points of every face.

# 0--Parade/0_Parade_marchingband_1_849.jpg
449 330 122 149 488.906 373.643 0.0 542.089 376.442 0.0 515.031 412.83 0.0 485.174 425.893 0.0 538.357 431.491 0.0 0.82
78 221 7 8 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.2

A face is its box x, y, width, height; five times x, y, v; and how clear it is. v 0 is a visible point, v above 0 a
hidden one, -1 -1 -1 one that is not marked. The small faces of which none is marked, about half of all, are left out,
unless the whole source has no points (the list of the validation part, with boxes alone), so that boxes can be read
from it. A folder holds such a list, or folders train/ and val/ of one each. Pictures lie in images/ beside the list.

0-based: nothing is said of it, and the loader takes the numbers as OpenCV's.

Source: detection/retinaface/rcnn/dataset/retinaface.py of github.com/deepinsight/insightface.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_size
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    is_number,
    most_frequent,
    parse_numbers,
    peek_lines,
    read_lines,
)
from kdtools.errors import DataError
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_N_POINTS = 5
_LENGTHS = (4, 4 + 3 * _N_POINTS, 4 + 3 * _N_POINTS + 1)  # a box; with points; with how clear the face is
_ABSENT = -1


def accepts(source: Path) -> bool:
    return bool(_lists_in(source))


def _lists_in(source: Path) -> list[Path]:
    if source.is_file():
        return files_like(source, "", _looks_right)
    return files_like(source, "*.txt", _looks_right) or files_like(source, "*/label*.txt", _looks_right)


def _looks_right(path: Path) -> bool:
    lines = peek_lines(path)
    faces = [line.split() for line in lines if not line.startswith("#")]
    return bool(lines and _name_in(lines[0]) and faces) and all(
        len(words) in _LENGTHS and all(map(is_number, words)) for words in faces
    )


def _name_in(line: str) -> str | None:
    """Name of a picture in a line `# PATH`; None for any other line."""
    name = line[1:].strip() if line.startswith("#") else ""
    return name if Path(name).suffix.lower() in IMAGE_SUFFIXES else None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    faces = [face for path in _lists_in(source) for face in _read_faces(path, reading)]
    if any(points is not None for *_, points, _ in faces):
        reading.n_without_points = sum(face[4] is None for face in faces)
        faces = [face for face in faces if face[4] is not None]
    sought: dict[tuple[Path, str], Path | None] = {}
    for where, folder, name, box, points, visible in faces:
        if (folder, name) not in sought:  # so that an absent picture is named once
            sought[folder, name] = reading.find_image(name, folder, where)
        image = sought[folder, name]
        if image is not None:
            yield Annotation(reading.number(name), image, points, visible, box=box)


_Face = tuple[str, Path, str, np.ndarray | None, np.ndarray | None, np.ndarray | None]
# Where it stands, the folder of the list, the picture's name, box (4,), points (5, 2), visible (5,).


def _read_faces(path: Path, reading: Reading) -> Iterator[_Face]:
    lines = list(read_lines(path))
    # A line that lost a number may have as many as another layout.
    usual = most_frequent([len(line.split()) for _, line in lines if not line.startswith("#")])
    name: str | None = None
    for where, line in lines:
        if line.startswith("#"):
            name = _name_in(line)
            if name is None:
                reading.skip(where, f"{line[:60]!r} names no image, so the faces below it are left out")
            continue
        if name is None:
            continue
        try:
            yield where, path.parent, name, *_parse(line, usual, reading.base)
        except DataError as error:
            reading.skip(where, error.message)


def _parse(line: str, length: int, base: float) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Box, points and their visibility; both None where no point is marked. Raises DataError for another layout."""
    numbers = parse_numbers(line.split())
    if len(numbers) != length or length not in _LENGTHS:
        raise DataError(f"{len(numbers)} numbers, but most lines of the file have {length}")
    x, y, width, height = numbers[:4]
    box = box_from_size(x, y, width, height, base=base)
    triples = numbers[4 : 4 + 3 * _N_POINTS].reshape(-1, 3)
    absent = (triples == _ABSENT).all(axis=1)
    if absent.all():
        return box, None, None
    if (triples[~absent, 2] < 0).any():
        raise DataError("a point has a third number below 0, but is not -1 -1 -1")
    points = as_points(triples[:, :2].copy(), base)
    points[absent] = np.nan
    return box, points, ~absent & (triples[:, 2] == 0)


FORMAT = Format("retinaface", "RetinaFace's label.txt: `# path`, then a box and five points a face", 0, accepts, read)
