"""MUCT: 76 points a face, `i000qa-fn.pts` of `i000qa-fn.jpg`, or the table muct76-opencv.csv that it was made from.

version 1                               name,tag,x00,y00,x01,y01,...,x75,y75
n_points: 76                            i000qa-fn,0000,201,348,201,381,...,340,340.5
{
201 348
...

0-based: the table is the data set's own export for OpenCV, whose first pixel is 0, 0, and the .pts are its numbers with
what follows the decimal point cut off. `0,0` in the table is a point that cannot be seen. The .pts leave such points
out without a word which, so that those with fewer than 76 are skipped. Names that begin with `ir` are mirrored shapes,
for which the data set has no pictures; they are left out.

Source: S. Milborrow, J. Morkel, F. Nicolls, "The MUCT Landmarked Face Database", PRASA 2010.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.pts import MUCT_HEADER, first_header, parse_pts, pts_files
from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import find_partner, first_line, read_text
from kdtools.datasets.formats.shared.text_lists import parse_numbers
from kdtools.errors import DataError, FileError, reason_of

_N_POINTS = 76
_TABLE_HEADER = "name,tag,x00,y00,"


def accepts(source: Path) -> bool:
    return _table_in(source) is not None or first_header(source) == MUCT_HEADER


def _table_in(source: Path) -> Path | None:
    candidates = sorted(source.glob("*.csv")) if source.is_dir() else [source]
    return next((path for path in candidates if path.is_file() and first_line(path).startswith(_TABLE_HEADER)), None)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """The table, where the source is or holds it, else the .pts files."""
    table = _table_in(source)
    return _read_table(table, reading) if table else _read_pts(source, reading)


def _read_pts(source: Path, reading: Reading) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    for path in pts_files(source):
        try:
            if first_line(path) != MUCT_HEADER:
                raise DataError(f"does not begin with {MUCT_HEADER!r}, as MUCT's files do")
            points = parse_pts(read_text(path))
            if len(points) != _N_POINTS:
                raise DataError(f"{len(points)} points: which of the {_N_POINTS} are left out is not stated")
            points = _without_unseen(points)
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_partner(path, root, reading)
        if found:
            name, image = found
            yield Annotation(name, image, points - reading.base)


def _read_table(path: Path, reading: Reading) -> Iterator[Annotation]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            next(rows)  # the header
            for row in rows:
                if not row or row[0].startswith("ir"):
                    continue
                where = f"{path}:{rows.line_num}"
                try:
                    points = _points_in(row)
                except DataError as error:
                    reading.skip(where, error.message)
                    continue
                name = f"{row[0].strip()}.jpg"
                image = reading.find_image(name, path.parent, where)
                if image is not None:
                    yield Annotation(reading.number(name), image, points - reading.base)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file: {error}") from error


def _points_in(row: list[str]) -> np.ndarray:
    if len(row) != 2 + 2 * _N_POINTS:
        raise DataError(f"{len(row)} cells, not a name, a tag and {2 * _N_POINTS} numbers")
    return _without_unseen(as_points(parse_numbers(row[2:])))


def _without_unseen(points: np.ndarray) -> np.ndarray:
    points[(points == 0).all(axis=1)] = np.nan
    return points


FORMAT = Format("muct", "MUCT: .pts files that begin with `version 1`, or muct76-opencv.csv", 0, accepts, read)
