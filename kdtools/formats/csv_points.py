"""CSV: image name, x0, y0, x1, y1, ... with or without a header, 0-based; an empty cell is a missing number.

A name that stands in several lines is an image with several faces; the id of the k-th ends in #k from the second on.
"""

from __future__ import annotations

import csv
import os.path
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.formats.annotation import Annotation, Skip


def accepts(source: Path) -> bool:
    """Raises FileError for a folder of several such files: which one is meant?"""
    if source.is_file():
        return source.suffix.lower() == ".csv"
    tables = _tables_in(source)
    if len(tables) > 1:
        some = ", ".join(path.name for path in tables[:3]) + (", ..." if len(tables) > 3 else "")
        raise FileError(
            f"{source}: holds {len(tables)} .csv files: {some}", "name the one to read, or give --format images"
        )
    return len(tables) == 1


def _tables_in(folder: Path) -> list[Path]:
    """Hidden files are left out: macOS puts ._NAME.csv beside NAME.csv."""
    return sorted(path for path in folder.glob("*.csv") if path.is_file() and not path.name.startswith("."))


def read(source: Path, base: int, skip: Skip) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Names are relative to it, or to a folder images/ beside it."""
    path = source if source.is_file() else _tables_in(source)[0]
    n_faces: Counter[str] = Counter()
    for where, name, points in read_rows(path, skip):
        image = path.parent / name
        if not os.path.isfile(image):  # unlike Path.is_file, says no to a name too long for the system
            image = path.parent / "images" / name
        if not os.path.isfile(image):
            skip(where, f"there is no image {name!r} in {path.parent} or in its folder images")
            continue
        n_faces[name] += 1
        identity = name if n_faces[name] == 1 else f"{name}#{n_faces[name]}"
        yield Annotation(identity, image, points - base)


def read_rows(path: Path, skip: Skip) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields where the line stands, the image name and points (L, 2) as they stand in the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), start=1):
                where = f"{path}:{number}"
                if not any(cell.strip() for cell in row):
                    continue
                try:
                    yield where, row[0].strip(), _points_of(row[1:])
                except DataError as error:
                    if number > 1 or _has_number(row[1:]):  # a first line without any number is the header
                        skip(where, error.message)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file: {error}") from error


def _points_of(cells: list[str]) -> np.ndarray:
    if not cells or len(cells) % 2:
        raise DataError(f"{len(cells)} cells after the name, which are not pairs of x and y")
    try:
        numbers = np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError as error:
        raise DataError(str(error)) from error
    if np.isinf(numbers).any():
        raise DataError("a number is infinite")
    return numbers.reshape(-1, 2)


def _has_number(cells: list[str]) -> bool:
    for cell in cells:
        try:
            float(cell)
        except ValueError:
            continue
        return True
    return False
