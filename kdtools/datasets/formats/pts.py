"""300W style: `name.pts` beside `name.jpg`, 1-based (the first pixel's centre is 1, 1).

version: 1
n_points:  68
{
30.5 61.9
nan nan
...
}

The coordinates are MATLAB's: dlib's XML of 300W says so, and that it has subtracted 1; menpo, of the group that made
300W, subtracts 1 from every .pts it reads. `nan` stands for a point that is not marked. MERL-RAV writes
-1 -1 for one that is not there and -x -y for one hidden at x, y, which `datasets.plausibility` finds out.
What follows the brace is not read. Understood as well: commas, `#` comments, UTF-16, 68.0 for a number of points, all
on one line, no closing brace where n_points tells how many there are; a third column is left aside.

The pictures may lie in another tree of the same shape, below --images; ids are those of image_beside.py. Files with
numbers for names beside a video are those of its frames (300VW: annot/000001.pts and vid.avi, whose first frame is 1).

Source of 300VW: J. Shen et al., "The First Facial Landmark Tracking in-the-Wild Challenge", ICCV workshops 2015
(ibug.doc.ic.ac.uk/resources/300-VW).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import NumberedFrames
from kdtools.datasets.formats.shared.image_beside import face_id, find_partner, first_line, read_text, subsets_of
from kdtools.datasets.formats.shared.text_lists import NUMBER, check_size, is_number, parse_numbers, text_files
from kdtools.errors import DataError, reason_of

_N_POINTS = re.compile(r"n_?points\s*:\s*(\S+)")
_PAIRS = re.compile(rf"\s*(?:{NUMBER}[ \t]+{NUMBER}[ \t\r]*\n\s*)+", re.ASCII)
_SPACES, _OF_NUMBERS = bytes.maketrans(b"\t", b" "), b"0123456789.-"
MUCT_HEADER = "version 1"  # without the colon: MUCT's files, which count from 0


def accepts(source: Path) -> bool:
    return first_header(source) not in (None, MUCT_HEADER)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    home = root.resolve().as_posix()
    videos = NumberedFrames(root, reading)
    for path in pts_files(source):
        try:
            text = read_text(path)
            if text.startswith(MUCT_HEADER) and text.partition("\n")[0].strip() == MUCT_HEADER:
                raise DataError("a file of MUCT, whose pixels count from 0 (see --format muct)")
            points = parse_pts(text)
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        place = videos.place_of(path)
        if place is not None:
            yield Annotation(place.id, place.image, points - reading.base, frame=place.frame)
            continue
        found = find_partner(path, root, reading)
        if found:
            name, image = found
            identity = face_id(name, home)
            yield Annotation(identity, image, points - reading.base, subsets=subsets_of(identity))


def pts_files(source: Path) -> Iterator[Path]:
    """Paths that end in .pts below a folder, sorted, hidden ones left out; a file itself where it does."""
    if source.is_dir():
        yield from text_files(source, ".pts")
    elif source.suffix.lower() == ".pts":
        yield source


def first_header(source: Path) -> str | None:
    """First line of the first .pts file of a source; None where it has none."""
    return next((first_line(path) for path in pts_files(source) if path.is_file()), None)


def parse_pts(text: str) -> np.ndarray:
    """Points (L, 2) as they stand in the file. Raises DataError where the text is not such a file."""
    head, brace, rest = (re.sub(r"#[^\n]*", "", text) if "#" in text else text).partition("{")
    body, end, _ = rest.partition("}")
    if not brace:
        raise DataError("not a .pts file: no { ... } around the points, or cut off")
    found = _N_POINTS.search(head)
    n_stated = None if found is None else _count_of(found[1])
    if not end and n_stated is None:
        raise DataError("cut off: neither a closing brace nor n_points says where the points end")
    if not end:
        _check_end(body)
    points = _points_in_plain_pairs(body)
    if points is None and _PAIRS.fullmatch(body):  # with exponents, NaN or more space
        points = as_points(check_size(np.array(list(map(float, body.split())))))
    if points is None:
        points = _points_in_rows(body, n_stated)
    if n_stated is not None and n_stated != len(points):
        raise DataError(f"{'' if end else 'cut off: '}says n_points: {n_stated}, but holds {len(points)}")
    return points


def _points_in_plain_pairs(body: str) -> np.ndarray | None:
    """Points (L, 2) of lines with two plain numbers, as nearly all files have; None for any other text.

    Takes half as long as a regular expression.
    """
    text = body.encode(errors="replace").replace(b"\r\n", b"\n").strip()
    lines, words = text.translate(_SPACES, _OF_NUMBERS).split(b"\n"), text.split()
    if lines.count(b" ") != len(lines) or len(words) != 2 * len(lines):
        return None  # a line with one space has at most two words, so all have two
    try:
        numbers = np.array(list(map(float, words)))
    except ValueError:
        return None
    return check_size(numbers).reshape(-1, 2)


def _points_in_rows(body: str, n_stated: int | None) -> np.ndarray:
    """Points (L, 2) of text that need not be one pair of numbers a line. Raises DataError."""
    rows = [_cells_of(line) for line in body.splitlines() if line.strip()]
    n_columns = 2
    if n_stated and rows:
        n_numbers = len(rows[0])
        if len(rows) == 1 and n_stated > 1 and n_numbers in (2 * n_stated, 3 * n_stated):  # all on one line
            rows = [rows[0][k : k + n_numbers // n_stated] for k in range(0, n_numbers, n_numbers // n_stated)]
        n_columns = 3 if max(map(len, rows)) == 3 else 2  # the third, depth or a flag, is left aside
    for row in rows:
        if len(row) != n_columns:
            raise DataError(f"{' '.join(row)[:40]!r} is not {'two' if n_columns == 2 else 'three'} numbers")
    numbers = parse_numbers([text for row in rows for text in row])
    table = numbers.reshape(-1, n_columns)
    indices = np.arange(len(table))
    # A first column that counts the points, from 0 or 1, is their index; else the third is depth or a flag.
    is_indexed = n_columns == 3 and len(table) > 2 and any(np.array_equal(table[:, 0], indices + k) for k in (0, 1))
    return as_points(table[:, 1:] if is_indexed else table[:, :2])


def _cells_of(line: str) -> list[str]:
    """Numbers with space or commas between them. Raises DataError where a comma may be a decimal one: 1,5 2,5."""
    if "," not in line:
        return line.split()
    cells = [cell.split() for cell in line.strip().rstrip(",").split(",")]
    if any(len(cell) != 1 for cell in cells):
        raise DataError(f"{line.strip()[:40]!r} has commas between some of its numbers only")
    return [cell[0] for cell in cells]


def _count_of(text: str) -> int:
    """Raises DataError for what is not a whole number; some programs write 68.0."""
    number = float(text) if is_number(text) else -1
    if not number >= 0 or number % 1:
        raise DataError(f"says n_points: {text[:20]}")
    return int(number)


def _check_end(body: str) -> None:
    """Raises DataError where the last number has fewer digits after the point than all others: it was cut off."""
    *others, last = [len(text.partition(".")[2]) for text in body.replace(",", " ").split()] or [0]
    if others and last < min(others):
        raise DataError("cut off within its last number")


def write_face(block: FaceBlock, k: int) -> bytes:
    """The text of face k of a block; a missing point is written as nan."""
    rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in block.points[k].astype(np.float64) + FORMAT.base)
    return f"version: 1\nn_points: {block.points.shape[1]}\n{{\n{rows}}}\n".encode()


FORMAT = Format(
    "pts", "a .pts file next to each image: 300W, Menpo", 1, accepts, read, write_face=write_face, suffix=".pts"
)
