"""300W as CSV of turned squares: name, 3 corners of a square, 68 points; no header, 1-based.

    lfpw/testset/image_0208.png,252.435,69.0392,38.6951,72.0637,41.7196,285.804,83.5671,142.209,...

The six numbers are the upper right, upper left and lower left corner of a square around the face that is turned with
it: its two sides are equally long and at right angles in all 1,289 lines of the two files that are known, and the
middle of the points lies in its middle. The box that is read is the upright square of the same centre and side.

Base 1: the numbers are those of the .pts files, rounded to six digits (image_0208 begins 83.567109 142.208670 in the
lists that copy them; dlib's XML of the same faces, which says that it was shifted to 0, has 1 less).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_corners
from kdtools.datasets.formats.shared.column_checks import PointColumns, usual_columns
from kdtools.datasets.formats.shared.csv_columns import numbers_of_rows
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.tables import first_rows, numbers_of, read_table
from kdtools.datasets.formats.shared.text_lists import files_like, only_file
from kdtools.errors import DataError

_N_POINTS = 68
_N_SQUARE = 6
_N_CELLS = 1 + _N_SQUARE + 2 * _N_POINTS
_N_LOOKED_AT = 300  # rows
_N_PEEKED = 5  # lines, since the first may be damaged
_TOLERANCE = 0.05  # px: the file has six digits of each number


def accepts(source: Path) -> bool:
    return bool(_tables_in(source))


def _tables_in(source: Path) -> list[Path]:
    return files_like(source, "*.csv", lambda path: any(map(_is_line, first_rows(path, _N_PEEKED))))


def _is_line(row: Sequence[str]) -> bool:
    try:
        _parse(row, FORMAT.base)
    except DataError:
        return False
    return True


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _tables_in(source))
    rows = [row[_N_SQUARE:] for row in first_rows(path, _N_LOOKED_AT) if len(row) == _N_CELLS]
    columns = usual_columns(path, numbers_of_rows(rows), reading)
    for where, row in read_table(path):
        try:
            name, points, box = _parse(row, reading.base, columns)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(name, path.parent, where)
        if image is not None:
            id = reading.number(id_in_300w(name))
            yield Annotation(id, image, points, box=box, subsets=subsets_in_300w(name))


def _parse(
    row: Sequence[str], base: float, columns: PointColumns | None = None
) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Name, points (68, 2) and upright box (4,). Raises DataError for a line that is not of this form."""
    if len(row) != _N_CELLS:
        raise DataError(f"{len(row)} cells, not {_N_CELLS}")
    name = row[0].strip()
    if not name or "\0" in name:
        raise DataError("no name")
    corners = as_points(numbers_of(row[1 : 1 + _N_SQUARE]), base)
    right, corner, left = corners  # upper right, upper left, lower left
    across, down = right - corner, left - corner
    side = float(np.hypot(*across))
    skew = max(abs(side - np.hypot(*down)), abs(across @ down) / side) if side > 0 else np.inf
    if not skew <= max(_TOLERANCE, 1e-4 * side):
        raise DataError("its first six numbers are not three corners of a square")
    numbers = numbers_of(row[1 + _N_SQUARE :])
    points = as_points(numbers if columns is None else columns.points_in(numbers), base)
    centre = (right + left) / 2
    return name, points, box_from_corners(*(centre - side / 2), *(centre + side / 2))


FORMAT = Format("csv300w", "300W: name, three corners of a turned square, 68 points; no header", 1, accepts, read)
