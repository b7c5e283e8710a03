"""HRNet's CSV tables: image_name,scale,center_w,center_h,original_0_x,original_0_y,... (AFLW: box_size after scale).

lfpw/testset/image_0208.png,0.745,145.5,182.5,83.567109,142.20866999999998,84.96641,158.358795,...

The box is the square around the centre with 200 * scale pixels a side; an empty cell is a missing number.

The numbers are those of the data set itself. 300W: 1-based, because they are those of its .pts files (equal to the
three other dialects that copy them, to their rounding; 1 more than those of dlib and SPIGA, which moved them to 0).
WFLW, 98 points: 0-based, as its own lists are. Other sets are taken as 1-based, for which nothing here is evidence.

Source: data/ and lib/datasets/ of github.com/HRNet/HRNet-Facial-Landmark-Detection.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_corners
from kdtools.datasets.formats.shared.column_checks import PointColumns, usual_columns
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import files_like, only_file, parse_numbers, peek_lines
from kdtools.errors import DataError, FileError, reason_of

_SQUARE = ("scale", "center_w", "center_h")
_UNIT_PX = 200  # side of the square with scale 1, from MPII's annotations of people
_WFLW = 98  # points
_N_LOOKED_AT = 300  # rows


def accepts(source: Path) -> bool:
    return bool(_tables_in(source))


def _tables_in(source: Path) -> list[Path]:
    return files_like(source, "*.csv", lambda path: any(map(_is_header, peek_lines(path)[:1])))


def _is_header(line: str) -> bool:
    return line.startswith("image_name,") and {"original_0_x", *_SQUARE} <= set(line.split(","))


def find_base(source: Path) -> float:
    """Index base of a table: 0 for WFLW, told by its 98 points, 1 for all else."""
    header = next(iter(peek_lines(only_file(source, _tables_in(source)))), "")
    return 0 if header.count(",original_") == 2 * _WFLW else FORMAT.base


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _tables_in(source))
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _read_rows(path, csv.reader(stream), reading)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file: {reason_of(error)}") from error


def _read_rows(path: Path, rows: Iterator[list[str]], reading: Reading) -> Iterator[Annotation]:
    filled = ((number, row) for number, row in enumerate(rows, start=1) if any(cell.strip() for cell in row))
    _, header = next(filled)
    points_at = _columns_of_points(header, path)
    square_at = [header.index(name) for name in _SQUARE]
    first = list(islice(filled, _N_LOOKED_AT))
    columns = _columns_in(path, [row for _, row in first if len(row) == len(header)], points_at, reading)
    for number, row in chain(first, filled):
        where = f"{path}:{number}"
        try:
            if len(row) != len(header):
                raise DataError(f"{len(row)} cells, but the header has {len(header)}")
            name = row[0].strip()
            if not name:
                raise DataError("no image name")
            numbers = _numbers_at(points_at, row)
            points = as_points(numbers if columns is None else columns.points_in(numbers), reading.base)
            box = square_box(_numbers_at(square_at, row), reading.base)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(name, path.parent, where)
        if image is not None:
            name = id_in_300w(name)
            yield Annotation(reading.number(name), image, points, box=box, subsets=subsets_in_300w(name))


def _columns_in(path: Path, rows: list[list[str]], points_at: list[int], reading: Reading) -> PointColumns | None:
    """Which of the columns that the header calls points are points: scripts name boxes and attributes so too."""
    numbers = []
    for row in rows:
        with contextlib.suppress(DataError):
            numbers.append(_numbers_at(points_at, row))
    return usual_columns(path, numbers, reading)


def _columns_of_points(header: list[str], path: Path) -> list[int]:
    """Columns of x0, y0, x1, y1, ... Raises FileError where one is absent or occurs twice."""
    names = [name for name in header if name.startswith("original_")]
    wanted = [f"original_{k}_{axis}" for k in range(len(names) // 2) for axis in "xy"]
    if sorted(names) != sorted(wanted):
        raise FileError(f"{path}: the header does not name original_K_x and original_K_y of {len(names) // 2} points")
    return [header.index(name) for name in wanted]


def _numbers_at(columns: list[int], row: list[str]) -> np.ndarray:
    return parse_numbers([row[column].strip() or "nan" for column in columns])


def square_box(square: np.ndarray, base: float) -> np.ndarray | None:
    """Box (4,) from HRNet's scale and centre x, y, with `base` subtracted."""
    side, centre = _UNIT_PX * square[0], square[1:] - base
    return box_from_corners(*(centre - side / 2), *(centre + side / 2))


FORMAT = Format(
    "hrnet",
    "tables of HRNet: image_name,scale,center_w,center_h,original_0_x,...",
    1,
    accepts,
    read,
    find_base=find_base,
)
