"""Lists of face boxes: CSV files with or without a header, in pixels or as shares of the image's width and height."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.landmarks.boxes import corners_of

_LINE = "a line is: image name, x0, y0, x1, y1; a header such as name,x,y,w,h says otherwise"
_STARTS = (("x0", "y0"), ("xmin", "ymin"), ("minx", "miny"), ("left", "top"), ("x1", "y1"), ("x", "y"))
_ENDS = (("x1", "y1"), ("xmax", "ymax"), ("maxx", "maxy"), ("right", "bottom"), ("x2", "y2"))
_CENTRES = (("cx", "cy"), ("xc", "yc"), ("xcenter", "ycenter"), ("centerx", "centery"), ("xcentre", "ycentre"))
_SIZES = (("w", "h"), ("width", "height"))
_NAMES = ("name", "image", "file", "filename", "path", "filepath", "imagename", "imagepath", "id", "imageid", "img")
_SCORES = ("score", "confidence", "conf", "probability", "prob")
_PREFIX = re.compile(r"^(bbox|box|face|rect)(?=.)")  # bbox_x, face_left
_LARGEST_SHARE, _LEAST_SHARE = 1.5, -0.5  # detectors' boxes reach beyond the image; no face is 1.5 px wide


@dataclass(frozen=True)
class BoxList:
    """Boxes (N, 4) as corners x0, y0, x1, y1, half-open, from 0, with N image names and scores.

    With `are_shares` they are shares of the width and the height of their images, else pixels. Where a box has no score
    it counts as 1; `has_scores` says that all have one. `reading` says in words how the numbers were read, where the
    file does not say so itself; else it is empty.
    """

    names: list[str]
    boxes: np.ndarray
    scores: list[float]
    has_scores: bool
    are_shares: bool
    reading: str


@dataclass(frozen=True)
class _Columns:
    """Numbers of the columns with the name, the box in one of `landmarks.boxes.ORDERS`, and the score."""

    name: int
    box: tuple[int, ...]
    order: str
    score: int | None


_WITHOUT_HEADER = _Columns(0, (1, 2, 3, 4), "x0 y0 x1 y1", 5)


def read_box_list(path: str) -> BoxList:
    """Read a list. A header decides which numbers are the box; without one they are corners.

    Raises FileError for a file that is no such list, DataError for a line that holds no box, with its number, and for a
    header without a box.
    """
    names: list[str] = []
    boxes: list[np.ndarray] = []
    scores: list[float | None] = []
    columns = _WITHOUT_HEADER
    try:
        for number, row in _rows(path):
            if not names and number == 1 and not any(map(_is_number, row[1:])):
                columns = _columns_of(row, path)
                continue
            box, score = _read_row(row, columns, f"{path}:{number}")
            names.append(row[columns.name].strip())
            boxes.append(box)
            scores.append(score)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file: {error}") from error
    if not names:
        raise FileError(f"{path}: holds no boxes", _LINE)
    table = np.array(boxes)
    are_shares = bool(table.max() <= _LARGEST_SHARE and table.min() >= _LEAST_SHARE)
    order = "without a header, so its numbers are taken for x0, y0, x1, y1" if columns is _WITHOUT_HEADER else ""
    unit = "numbers up to 1, taken for shares of the images' width and height" if are_shares else ""
    known = [1.0 if score is None else score for score in scores]
    return BoxList(names, table, known, None not in scores, are_shares, "; ".join(filter(None, (order, unit))))


def _rows(path: str) -> Iterator[tuple[int, list[str]]]:
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            if any(cell.strip() for cell in row):
                yield number, row


def _columns_of(header: Sequence[str], path: str) -> _Columns:
    """Raises DataError for a header that does not say which numbers are a box."""
    plain = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in header]
    place = {name: k for k, name in reversed(list(enumerate(plain)))}
    place |= {short: k for k, name in reversed(list(enumerate(plain))) if (short := _PREFIX.sub("", name)) not in place}
    box, order = _box_of(place)
    names = [place[name] for name in _NAMES if name in place and place[name] not in box] or [0]
    if not box or names[0] in box:
        raise DataError(
            f"{path}:1: the header {','.join(header)!r} does not say which numbers are the box",
            "name them x0,y0,x1,y1 or x,y,w,h or cx,cy,w,h, beside name for the image",
        )
    return _Columns(names[0], box, order, next((place[name] for name in _SCORES if name in place), None))


def _box_of(place: dict[str, int]) -> tuple[tuple[int, ...], str]:
    """Numbers of the four columns and their order; none if the names do not tell."""
    for order, firsts, seconds in (
        ("centre and size", _CENTRES, _SIZES),
        ("x0 y0 x1 y1", _STARTS, _ENDS),
        ("x y width height", _STARTS, _SIZES),
    ):
        for first, second in product(firsts, seconds):
            if first != second and all(name in place for name in (*first, *second)):
                return tuple(place[name] for name in (*first, *second)), order
    return (), ""


def _read_row(row: Sequence[str], columns: _Columns, where: str) -> tuple[np.ndarray, float | None]:
    is_plain = columns is _WITHOUT_HEADER
    if (is_plain and len(row) not in (5, 6)) or len(row) <= max(columns.name, *columns.box):
        raise DataError(f"{where}: {len(row)} cells", _LINE)
    try:
        four = np.array([float(row[k]) for k in columns.box])
        has_score = columns.score is not None and columns.score < len(row) and row[columns.score].strip()
        score = float(row[columns.score or 0]) if has_score else None
    except ValueError as error:
        raise DataError(f"{where}: {error}", _LINE) from error
    if not (np.isfinite(four).all() and np.isfinite(score or 0)):
        raise DataError(f"{where}: not all numbers are finite", _LINE)
    box = corners_of(four[None], columns.order)[0]
    if (box[2:] <= box[:2]).any():
        hint = "without a header the numbers are x0, y0, x1, y1; if they are x, y, width, height, begin the file with "
        raise DataError(f"{where}: the box is empty", hint + "name,x,y,w,h" if is_plain else "correct its numbers")
    return box, score


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
