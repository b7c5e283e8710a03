"""300W style: `name.pts` beside `name.jpg`, 1-based (the first pixel's centre is 1, 1).

version: 1
n_points:  68
{
30.5 61.9
nan nan
...
}

The coordinates are MATLAB's: dlib's XML of 300W says so, and that it has subtracted 1; menpo, of the group that made
300W, subtracts 1 from every .pts it reads. `nan` stands for a point that is not marked. What follows the brace is not
read. The pictures may lie in another tree of the same shape, below --images.

Faces of 300W get the ids they have in its lists, lfpw/testset/image_0208.png, from whatever folder above or inside
300W they are read, and the subsets of `family300w`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, reason_of
from kdtools.formats.annotation import Annotation, FaceBlock, Reading, as_points, clean_name
from kdtools.formats.family300w import id_in_300w, subsets_in_300w
from kdtools.formats.form import Format
from kdtools.formats.parsing import parse_numbers
from kdtools.images import IMAGE_SUFFIXES

MUCT_HEADER = "version 1"  # without the colon: MUCT's files, which count from 0

_SUFFIXES = [variant for suffix in sorted(IMAGE_SUFFIXES) for variant in (suffix, suffix.upper())]
_LARGEST_FILE = 1_000_000  # bytes, about 40,000 points


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
            face_id = _face_id(name, home)
            yield Annotation(face_id, image, points - reading.base, subsets=_subsets(face_id))


def pts_files(source: Path) -> list[Path]:
    """Paths that end in .pts below a folder, sorted, hidden ones left out; a file itself where it does."""
    if source.is_dir():
        return sorted(path for path in source.rglob("*.pts") if not path.name.startswith("."))
    return [source] if source.suffix.lower() == ".pts" else []


def first_header(source: Path) -> str | None:
    """First line of the first .pts file of a source; None where it has none."""
    return next((first_line(path) for path in pts_files(source) if path.is_file()), None)


def first_line(path: Path) -> str:
    """First line without the spaces around it; empty where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(200).decode("utf-8-sig", "replace").partition("\n")[0].strip()
    except OSError:
        return ""


def read_text(path: Path) -> str:
    """Raises DataError for a file far too large to be one face's."""
    with path.open("rb") as stream:
        data = stream.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise DataError(f"is larger than {_LARGEST_FILE:,} bytes, which no face's file is")
    return data.decode("utf-8-sig", "replace")


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


def find_partner(path: Path, root: Path, reading: Reading) -> tuple[str, Path] | None:
    """The picture with the stem of an annotation file below `root`: its name below `root`, and its path.

    Looked for below each of `reading.roots`, where leading folders of the name are left out one by one, and beside the
    file; suffixes are tried in a fixed order, as written and in capitals. None, after a skip, where there is none.
    Raises DataError where two files so lead to one picture.
    """
    stem = path.relative_to(root).with_suffix("")
    tails = [(folder, Path(*stem.parts[k:])) for folder in reading.roots for k in range(len(stem.parts))]
    for folder, tail in [*(tails if reading.pictures else []), (root, stem)]:
        place = folder / tail
        beside = reading.names_in(str(place.parent))
        for suffix in _SUFFIXES:
            if place.name + suffix in beside and os.path.isfile(f"{place}{suffix}"):
                name = stem.as_posix() + suffix
                return name, reading.claim(Path(f"{place}{suffix}"), name) if reading.pictures else Path(name)
    if not reading.pictures:
        name = f"{stem.as_posix()}{_usual_suffix(_face_id(stem.as_posix(), root.resolve().as_posix()))}"
        return name, Path(name)
    reading.n_absent += 1
    places = "".join(f" or below {folder}" for folder in reading.roots)
    reading.skip(str(path), f"there is no image of the same name beside it{places}")
    return None


def _usual_suffix(face_id: str) -> str:
    """What 300W's pictures end in, for ids where none is at hand: LFPW and the private test set are PNG."""
    return ".png" if face_id.startswith(("lfpw/", "01_Indoor/", "02_Outdoor/")) else ".jpg"


def _face_id(name: str, home: str) -> str:
    """Id of the picture `name` below the folder `home`; the path of that may be all that tells that it is 300W's."""
    for path in (name, f"{home}/{name}"):
        if _subsets(id_in_300w(path)):
            return id_in_300w(path)
    return clean_name(name)


def _subsets(face_id: str) -> frozenset[str]:
    """Subsets of an id that has 300W's folders and no more: other sets too may have a folder called helen or afw."""
    parts = face_id.split("/")
    n_folders = 2 if parts[0] in ("helen", "lfpw") else 1
    return subsets_in_300w(face_id) if len(parts) == n_folders + 1 else frozenset()


def write_face(block: FaceBlock, k: int) -> bytes:
    """The text of face k of a block; a missing point is written as nan."""
    rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in block.points[k].astype(np.float64) + FORMAT.base)
    return f"version: 1\nn_points: {block.points.shape[1]}\n{{\n{rows}}}\n".encode()


FORMAT = Format(
    "pts", "a .pts file beside each image: 300W, Menpo", 1, accepts, read, write_face=write_face, suffix=".pts"
)
