"""Lists of 300W: path of the picture, box as x0 x1 y0 y1, then 68 points, all separated by spaces.

/home/me/300-W/lfpw/testset/image_0224.png 27 209 69 252 42.5095 123.267 46.4392 140.585 ...

1-based: the points are those of 300W's .pts files in six digits (largest difference from HRNet's table, which has all
digits, 0.005; from dlib's table, which says that it is 0-based, 1). The order of the box numbers: the mean of the
points lies inside in all 3,837 lines of the three known lists, and in no other order of the four. A folder may hold
several such lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_corners
from kdtools.datasets.formats.shared.column_checks import PointColumns, usual_columns
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import (
    lists_of,
    parse_numbers,
    rows_of_one_length,
    split_path_first,
)
from kdtools.errors import DataError

_N_BOX = 4
_LENGTH = _N_BOX + 2 * 68


def accepts(source: Path) -> bool:
    return bool(lists_of(source, is_line))


def is_line(line: str) -> bool:
    """Whether a line is of this layout; the box tells it from a list of 70 points without one."""
    try:
        _split_numbers(parse_numbers(split_path_first(line)[1]))
    except DataError:
        return False
    return True


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    for path in lists_of(source, is_line):
        rows = rows_of_one_length(path, split_path_first, reading.skip)
        columns = usual_columns(path, [row.numbers[_N_BOX:] for row in rows if len(row.numbers) == _LENGTH], reading)
        for row in rows:
            try:
                points, box = _split_numbers(row.numbers, columns)
            except DataError as error:
                reading.skip(row.where, error.message)
                continue
            image = reading.find_image(row.name, path.parent, row.where)
            if image is not None:
                name = id_in_300w(row.name)
                yield Annotation(
                    reading.number(name),
                    image,
                    points - reading.base,
                    box=box - reading.base,
                    subsets=subsets_in_300w(name),
                )


def _split_numbers(numbers: np.ndarray, columns: PointColumns | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Points (68, 2) and box (4,) as they stand in the file. Raises DataError where the line is of another layout."""
    if len(numbers) != _LENGTH:
        raise DataError(f"{len(numbers)} numbers, but a box and 68 points are {_LENGTH}")
    x0, x1, y0, y1 = numbers[:_N_BOX]
    points = as_points(numbers[_N_BOX:] if columns is None else columns.points_in(numbers[_N_BOX:]))
    box = box_from_corners(x0, y0, x1, y1)
    centre = points.mean(axis=0)
    if box is None or not ((box[:2] < centre) & (centre < box[2:])).all():
        raise DataError("the points are outside the box x0 x1 y0 y1")
    return points, box


FORMAT = Format("list300w", "300W as lists: path, box x0 x1 y0 y1, 68 points", 1, accepts, read)
