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
What follows the brace is not read. The pictures may lie in another tree of the same shape, below --images;
ids are those of image_beside.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import face_id, find_partner, first_line, read_text, subsets_of
from kdtools.datasets.formats.shared.text_lists import parse_numbers
from kdtools.errors import DataError, reason_of

MUCT_HEADER = "version 1"  # without the colon: MUCT's files, which count from 0


def accepts(source: Path) -> bool:
    return first_header(source) not in (None, MUCT_HEADER)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    home = root.resolve().as_posix()
    for path in pts_files(source):
        try:
            text = read_text(path)
            if text.startswith(MUCT_HEADER) and text.partition("\n")[0].strip() == MUCT_HEADER:
                raise DataError("a file of MUCT, whose pixels count from 0 (see --format muct)")
            points = parse_pts(text)
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_partner(path, root, reading)
        if found:
            name, image = found
            identity = face_id(name, home)
            yield Annotation(identity, image, points - reading.base, subsets=subsets_of(identity))


def pts_files(source: Path) -> list[Path]:
    """Paths that end in .pts below a folder, sorted, hidden ones left out; a file itself where it does."""
    if source.is_dir():
        return sorted(path for path in source.rglob("*.pts") if not path.name.startswith("."))
    return [source] if source.suffix.lower() == ".pts" else []


def first_header(source: Path) -> str | None:
    """First line of the first .pts file of a source; None where it has none."""
    return next((first_line(path) for path in pts_files(source) if path.is_file()), None)


def parse_pts(text: str) -> np.ndarray:
    """Points (L, 2) as they stand in the file. Raises DataError where the text is not such a file."""
    head, brace, rest = text.partition("{")
    body, end, _ = rest.partition("}")
    if not brace or not end:
        raise DataError("not a .pts file: no { ... } around the points, or cut off")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    for row in rows:
        if len(row) != 2:
            raise DataError(f"{' '.join(row)[:40]!r} is not two numbers")
    points = as_points(parse_numbers([text for row in rows for text in row]))
    for line in head.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "n_points" and value.strip() != str(len(points)):
            raise DataError(f"says n_points: {value.strip()[:20]}, but holds {len(points)}")
    return points


def write_face(block: FaceBlock, k: int) -> bytes:
    """The text of face k of a block; a missing point is written as nan."""
    rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in block.points[k].astype(np.float64) + FORMAT.base)
    return f"version: 1\nn_points: {block.points.shape[1]}\n{{\n{rows}}}\n".encode()


FORMAT = Format(
    "pts", "a .pts file beside each image: 300W, Menpo", 1, accepts, read, write_face=write_face, suffix=".pts"
)
