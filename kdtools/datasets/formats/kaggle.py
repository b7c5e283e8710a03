"""Kaggle's Facial Keypoints Detection: training.csv and test.csv, with the grey pixels of each image in a cell.

left_eye_center_x,left_eye_center_y,...,mouth_center_bottom_lip_y,Image
66.03,39.00,...,84.48,238 236 237 ...

15 points in images of 96 x 96 px, row by row; the images are made of the cells. An empty cell is a missing point.
Left is the person's left, on the right in the image. Ids are the file's name and the number of the row, or of ImageId
where the table has it (test.csv, which has no points): training/1, test/1. 0-based: the organisers' page calls the
coordinates those of the space of pixel indices.

Source: kaggle.com/c/facial-keypoints-detection/data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.tables import first_rows, numbers_of, read_table
from kdtools.datasets.formats.shared.text_lists import files_like, only_file
from kdtools.errors import DataError, FileError

_PIXELS, _NUMBER = "image", "imageid"
_SMALLEST = 8  # px
_MOST_PIXELS = 1 << 20  # of an image in a cell
_LARGEST_VALUE = 255


def accepts(source: Path) -> bool:
    return bool(_tables_in(source))


def _tables_in(source: Path) -> list[Path]:
    return files_like(source, "*.csv", _looks_right)


def _looks_right(path: Path) -> bool:
    """Whether a column Image holds many whole numbers."""
    rows = first_rows(path, 3)
    places = _places(rows[0]) if len(rows) > 1 else {}
    return _PIXELS in places and any(
        len(words := row[places[_PIXELS]].split()) >= _SMALLEST**2
        and all(word.isdecimal() for word in words[:_SMALLEST])
        for row in rows[1:]
        if len(row) == len(rows[0])
    )


def _places(header: Sequence[str]) -> dict[str, int]:
    return {name.strip().lower(): k for k, name in enumerate(header)}


def _points_in(header: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Of each point its columns of x and y. Raises DataError for a column that is none of a point."""
    places = _places(header)
    if len(places) < len(header):
        raise DataError("its header names a column twice")
    others = {_PIXELS, _NUMBER}
    names = [name for name in places if name not in others and name.endswith("_x")]
    columns = {name[:-2]: (places[name], places.get(f"{name[:-2]}_y", -1)) for name in names}
    if any(y < 0 for _, y in columns.values()) or 2 * len(columns) != len(places.keys() - others):
        raise DataError("its header is not Image and the x and y of points")
    return columns


def names_of(source: Path) -> list[str] | None:
    header = first_rows(only_file(source, _tables_in(source)), 1)[0]
    return list(_points_in(header)) or None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises FileError for columns that are none of points."""
    path = only_file(source, _tables_in(source))
    rows = read_table(path)
    _, header = next(rows)
    try:
        columns = list(_points_in(header).values())
    except DataError as error:
        raise FileError(f"{path}: {error.message}") from error
    places = _places(header)
    seen: set[str] = set()
    for number, (where, row) in enumerate(rows, start=1):
        try:
            if len(row) != len(header):
                raise DataError(f"{len(row)} cells, but the header has {len(header)}")
            own = row[places[_NUMBER]].strip() if _NUMBER in places else str(number)
            if not own.isdecimal() or own in seen:
                raise DataError(f"ImageId {own[:20]!r} is not a number, or occurs twice")
            pixels = _image_of(row[places[_PIXELS]])
            points = (
                as_points(numbers_of([row[k] for pair in columns for k in pair]), reading.base) if columns else None
            )
        except DataError as error:
            reading.skip(where, error.message)
            continue
        seen.add(own)
        yield Annotation(f"{path.stem}/{own}", path, points, load=partial(_in_colour, pixels))


def _image_of(cell: str) -> np.ndarray:
    """Grey pixels (S, S) uint8. Raises DataError for text that is no square image."""
    words = cell.split()
    side = math.isqrt(len(words))
    if side * side != len(words) or side < _SMALLEST or len(words) > _MOST_PIXELS:
        raise DataError(f"its image has {len(words)} pixels, which is not a square number")
    values = numbers_of(words)
    if not ((values >= 0) & (values <= _LARGEST_VALUE) & (values % 1 == 0)).all():
        raise DataError("its image has a value that is not a whole number from 0 to 255")
    return values.astype(np.uint8).reshape(side, side)


def _in_colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


FORMAT = Format(
    "kaggle",
    "Kaggle's facial keypoints: columns of points, and the image's pixels in a cell",
    0,
    accepts,
    read,
    names_of=names_of,
)
