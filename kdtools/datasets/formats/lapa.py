"""LaPa and JD-landmark: a text file for each picture, with the number of points and a point a line.

106
252.000000 320.000000
...

LaPa keeps `landmarks/NAME.txt` beside `images/NAME.jpg`, JD-landmark `landmark/NAME.jpg.txt` beside
`picture/NAME.jpg`; a text file beside its picture is read as well, with any number of points, and with a comma between
the numbers. No point is missing.

0-based: nothing is said of it; MMPose takes the numbers of LaPa unchanged.

Source: Y. Liu et al., "A New Dataset and Boundary-Attention Semantic Segmentation for Face Parsing", AAAI 2020
(github.com/lucia123/lapa-dataset); Y. Liu et al., "Grand Challenge of 106-Point Facial Landmark Localization", ICME
workshops 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import read_text
from kdtools.datasets.formats.shared.label_folders import find_labelled
from kdtools.datasets.formats.shared.text_lists import is_number, parse_numbers, peek_lines, text_files
from kdtools.errors import DataError, reason_of

_N_LOOKED_AT = 10  # files of a folder, to see what they are


def accepts(source: Path) -> bool:
    return any(map(_looks_right, islice(text_files(source), _N_LOOKED_AT)))


def _looks_right(path: Path) -> bool:
    first, *rest = peek_lines(path) or [""]
    return first.isdecimal() and first.isascii() and len(rest) >= 2 and all(map(is_pair, rest))


def is_pair(line: str) -> bool:
    """Whether a line holds two numbers and nothing else."""
    words = line.replace(",", " ").split()
    return len(words) == 2 and all(map(is_number, words))


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Text files without any line of two numbers, such as a README, are passed over."""
    root = source if source.is_dir() else source.parent
    for path in text_files(source):
        try:
            text = read_text(path)
            if not any(map(is_pair, text.splitlines())):
                continue
            points = _parse(text)
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_labelled(path, root, reading)
        if found:
            yield Annotation(*found, points - reading.base)


def _parse(text: str) -> np.ndarray:
    """Points (L, 2) as they stand in the file. Raises DataError where the text is not such a file."""
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()]
    if not (first.isdecimal() and first.isascii()):
        raise DataError(f"begins with {first[:30]!r}, not with the number of points")
    points = points_of(rest)
    if first != str(len(points)):
        raise DataError(f"says {first[:20]} points, but holds {len(points)}")
    return points


def points_of(lines: list[str]) -> np.ndarray:
    """Points (L, 2) of lines of two numbers. Raises DataError for any other line."""
    for line in lines:
        if not is_pair(line):
            raise DataError(f"{line[:40]!r} is not two numbers")
    return as_points(parse_numbers([word for line in lines for word in line.replace(",", " ").split()]))


FORMAT = Format(
    "lapa", "LaPa, JD-landmark: a text file for each image, number of points, then x y lines", 0, accepts, read
)
