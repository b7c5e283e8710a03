"""tpsDig's TPS files: landmarks in pixels, y upwards from the lower edge of the picture.

LM=5
220.00000 280.00000
...
IMAGE=face_00.jpg
ID=0
SCALE=0.012500

Landmarks are places in the picture, which SCALE does not change: it gives the length of a pixel. They have no names and
stand in their order. A coordinate below 0 is a missing landmark, which tpsDig2 writes as -1 -1. Points of CURVES= are
semilandmarks, with no meaning of their own, and are left out, as geomorph's readland.tps leaves them out. LM3= is
refused. The height of the picture is needed, so it must be there.

y down is height - y, as ml-morph and other programs that take TPS to dlib compute it; by the picture's own rows that
is right to half a pixel, because nothing tells how tpsDig rounds. A picture that occurs twice has two specimens.

Source: F. J. Rohlf, "The tps series of software", Hystrix 26, 2015; geomorph's documentation of readland.tps
(negative coordinates, CURVES=, SCALE=); utils.py of github.com/agporto/ml-morph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, size_of_picture
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    is_number,
    most_frequent,
    only_file,
    parse_numbers,
    peek_lines,
    read_lines,
)
from kdtools.errors import DataError, KdError

_MOST_POINTS = 100_000


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.[tT][pP][sS]", _looks_right)


def _looks_right(path: Path) -> bool:
    lines = peek_lines(path)
    return bool(lines) and lines[0].upper().startswith(("LM=", "LM3="))


@dataclass
class _Specimen:
    """As it stands in the file; `wrong` says why it cannot be used."""

    where: str
    n_points: str
    rows: list[str] = field(default_factory=list)
    image: str = ""
    wrong: str = ""


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Raises DataError where the pictures are not to be read."""
    path = only_file(source, _files_in(source))
    if not reading.pictures:
        raise DataError(f"{path}: its y count upwards from the images' lower edge", "leave out --no-images")
    found = []
    for specimen in _specimens(path):
        try:
            found.append((specimen, _landmarks(specimen)))
        except DataError as error:
            reading.skip(specimen.where, error.message)
    usual = most_frequent([len(points) for _, points in found])
    for specimen, points in found:
        if len(points) != usual:
            reading.skip(specimen.where, f"{len(points)} landmarks, but most specimens have {usual}")
            continue
        image = reading.find_image(specimen.image, path.parent, specimen.where)
        if image is None:
            continue
        try:
            height, _ = size_of_picture(image)
        except KdError as error:
            reading.skip(specimen.where, error.message)
            continue
        upright = np.column_stack([points[:, 0], height - points[:, 1]]) - reading.base
        yield Annotation(reading.number(specimen.image), image, upright)


def _landmarks(specimen: _Specimen) -> np.ndarray:
    """Landmarks (L, 2) with y upwards, NaN where missing."""
    if specimen.wrong:
        raise DataError(specimen.wrong)
    if not specimen.image.strip() or "\0" in specimen.image:
        raise DataError("no IMAGE=")
    if not specimen.n_points.isdecimal() or int(specimen.n_points[:9]) != len(specimen.rows) or not specimen.rows:
        raise DataError(f"LM={specimen.n_points[:20]}, but {len(specimen.rows)} landmarks")
    words = [row.split() for row in specimen.rows]
    if any(len(row) != 2 for row in words):
        raise DataError("a landmark has not two numbers")
    points = parse_numbers(["nan" if word.upper() == "NA" else word for row in words for word in row]).reshape(-1, 2)
    points[(points < 0).any(axis=1) | np.isnan(points).any(axis=1)] = np.nan
    return points


def _specimens(path: Path) -> Iterator[_Specimen]:
    specimen: _Specimen | None = None
    in_landmarks = False
    for where, line in read_lines(path):
        key, equals, value = line.partition("=")
        key, value = key.strip().upper(), value.strip()
        if equals and key in ("LM", "LM3"):
            if specimen is not None:
                yield specimen
            specimen, in_landmarks = _Specimen(where, value), True
            specimen.wrong = "landmarks with three coordinates" if key == "LM3" else ""
        elif specimen is None:
            continue
        elif equals:
            in_landmarks = False
            if key == "IMAGE":
                specimen.image = value
        elif in_landmarks and len(specimen.rows) < _MOST_POINTS:
            specimen.rows.append(line)
        elif in_landmarks or not all(is_number(word) for word in line.split()):
            specimen.wrong = f"{line[:40]!r} is neither KEY=VALUE nor a point"
    if specimen is not None:
        yield specimen


FORMAT = Format("tps", "tpsDig's TPS: landmarks with y upwards; the pictures must be there", 0, accepts, read)
