"""PFLD's list.txt: path of the picture, its points as shares of its size, six attributes, three angles.

/data/train_data/imgs/0_37_Soccer_0.png 0.139 0.286 ... 0.513 0.902 0 0 0 0 1 0 -4.31 12.5 1.07

The pictures are squares that PFLD-pytorch cut around the faces of WFLW (98 points) and wrote with the list, so that
they are needed: a point is its share times the width and the height. Other sets of points in this layout are read as
well, also without attributes. The attributes are WFLW's, in its order, and become subsets; the angles (pitch, yaw,
roll) are estimates and are not read. No point is missing. 0-based, as the cutting code has it.

Source: data/SetPreparation.py of github.com/polarisZhao/PFLD-pytorch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Reading,
    as_points,
    check_pictures_wanted,
    size_of_picture,
)
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import (
    lists_of,
    only_file,
    parse_numbers,
    rows_of_one_length,
    split_path_first,
)
from kdtools.datasets.formats.wflw import ATTRIBUTES
from kdtools.errors import DataError, KdError
from kdtools.landmarks import SCHEMES
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_N_ANGLES = 3
_OUTSIDE = 0.5  # by how much of the picture a point may lie outside
_POINT_COUNTS = {scheme.n_points for scheme in SCHEMES.values()}


def accepts(source: Path) -> bool:
    return bool(lists_of(source, is_line))


def is_line(line: str) -> bool:
    """Whether a line is of this layout: an odd number of numbers, of which all but the last few are shares."""
    try:
        name, texts = split_path_first(line)
        return Path(name).suffix.lower() in IMAGE_SUFFIXES and _n_points(parse_numbers(texts)) > 0
    except DataError:
        return False


def _n_points(numbers: np.ndarray) -> int:
    """How many points a line holds before the angles, with or without attributes between; 0 for another layout."""
    for n_flags in (len(ATTRIBUTES), 0):
        n_shares = len(numbers) - n_flags - _N_ANGLES
        flags = numbers[n_shares : n_shares + n_flags] if n_shares > 0 else numbers
        shares = numbers[: max(n_shares, 0)]
        are_shares = ((shares > -_OUTSIDE) & (shares < 1 + _OUTSIDE)).all()
        if n_shares // 2 in _POINT_COUNTS and n_shares % 2 == 0 and are_shares and np.isin(flags, (0, 1)).all():
            return n_shares // 2
    return 0


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises DataError where no pictures are to be read."""
    path = only_file(source, lists_of(source, is_line))
    check_pictures_wanted(path, reading)
    for row in rows_of_one_length(path, split_path_first, reading.skip):
        n_points = _n_points(row.numbers)
        if not n_points:
            reading.skip(
                row.where,
                "holds no known number of points as shares of the image, six attributes of 0 or 1 and three angles",
            )
            continue
        image = reading.find_image(row.name, path.parent, row.where)
        if image is None:
            continue
        try:
            height, width = size_of_picture(image, upright=reading.upright)
        except KdError as error:
            reading.skip(row.where, error.message)
            continue
        points = as_points(row.numbers[: 2 * n_points]) * (width, height) - reading.base
        flags = row.numbers[2 * n_points : -_N_ANGLES]
        subsets = frozenset(name for name, flag in zip(ATTRIBUTES, flags, strict=False) if flag)
        yield Annotation(reading.number(row.name), image, points, subsets=subsets)


FORMAT = Format("pfld", "PFLD's list.txt: path, shares of the image, six attributes, three angles", 0, accepts, read)
