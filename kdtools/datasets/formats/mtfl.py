"""MTFL: path of the picture, the x of five points, their y, and four attributes, in training.txt and testing.txt.

lfw_5590\\Aaron_Eckhart_0001.jpg 106.25 146.75 125.25 108.75 143.75 107.75 112.25 142.75 157.75 159.75 1 1 2 3

The points are left eye, right eye, nose, left and right corner of the mouth, as they lie in the picture. The attributes
become subsets: male or female, smiling, glasses, and the pose. No point is missing. A folder may hold both lists; the
faces then are in the subset of theirs.

0-based: nothing is said of it.

Source: readme.txt of the data set; Z. Zhang, P. Luo, C. C. Loy, X. Tang, "Facial Landmark Detection by Deep Multi-task
Learning", ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import (
    lists_of,
    parse_numbers,
    rows_of_one_length,
    split_path_first,
)
from kdtools.errors import DataError

_N_POINTS = 5
# For each column of attributes the subset that each of its values 1, 2, ... stands for; None for the absence of it.
_ATTRIBUTES: tuple[tuple[str | None, ...], ...] = (
    ("male", "female"),
    ("smiling", None),
    ("glasses", None),
    ("left_profile", "left", "frontal", "right", "right_profile"),
)
_LENGTH = 2 * _N_POINTS + len(_ATTRIBUTES)
_PARTS = ("training", "testing")  # what the two lists are called


def accepts(source: Path) -> bool:
    return bool(lists_of(source, is_line))


def is_line(line: str) -> bool:
    try:
        _parse(parse_numbers(split_path_first(line)[1]))
    except DataError:
        return False
    return True


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    for path in lists_of(source, is_line):
        part = frozenset([path.stem.lower()]) & frozenset(_PARTS)
        for row in rows_of_one_length(path, split_path_first, reading.skip):
            try:
                points, subsets = _parse(row.numbers)
            except DataError as error:
                reading.skip(row.where, error.message)
                continue
            image = reading.find_image(row.name, path.parent, row.where)
            if image is not None:
                yield Annotation(reading.number(row.name), image, points - reading.base, subsets=subsets | part)


def _parse(numbers: np.ndarray) -> tuple[np.ndarray, frozenset[str]]:
    """Points (5, 2) as they stand in the file, and subsets. Raises DataError where the line is of another layout."""
    if len(numbers) != _LENGTH:
        raise DataError(f"{len(numbers)} numbers, but five points and four attributes are {_LENGTH}")
    subsets = set()
    for value, names in zip(numbers[2 * _N_POINTS :], _ATTRIBUTES, strict=True):
        if value not in range(1, len(names) + 1):
            raise DataError(f"{value:g} is not one of the attributes 1 to {len(names)}")
        subsets.add(names[int(value) - 1])
    points = as_points(numbers[: 2 * _N_POINTS].reshape(2, _N_POINTS).T)
    return points, frozenset(name for name in subsets if name)


FORMAT = Format("mtfl", "MTFL: path, x1 ... x5, y1 ... y5, four attributes", 0, accepts, read)
