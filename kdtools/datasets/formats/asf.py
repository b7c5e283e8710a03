"""AAM-API's .asf, as in the IMM face databases: points relative to the size of the picture.

#    AAM Shape File  -  written: Tuesday February 01 - 2005 [15:01]
# number of model points
73
# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to> <user1> <user2> <user3>
0 	0 	0.39501575 	0.47047240 	0 	7 	1	0.000000	0.000000	0.000000
...
# host image
06_02.jpg

0-based: x is the first number times the width, y the second times the height, as AAM-API itself and menpo take it, of
which neither adds half a pixel or one. The pictures of IMM-Frontal were made smaller after they had been marked, and
what is drawn on them cannot tell half a pixel. The last three columns may be absent. The picture lies beside the file
or one folder above it, and must be there even where the points alone are wanted.

Source: M. B. Stegmann, "Analysis and Segmentation of Face Images using Point Annotations and Linear Subspace
Techniques", IMM, DTU, 2002.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, clean_name, size_of_picture
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import read_text
from kdtools.datasets.formats.shared.text_lists import parse_numbers, text_files
from kdtools.errors import DataError, FileError, KdError, reason_of

_TITLE = b"AAM Shape File"  # films too end in .asf
_FARTHEST = 10.0  # in widths and heights of the picture; larger numbers are pixels, not shares


def accepts(source: Path) -> bool:
    return any(_is_shape(path) for path in _files(source)[:10])


def _files(source: Path) -> list[Path]:
    return list(text_files(source, ".asf"))


def _is_shape(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return _TITLE in stream.read(400)
    except OSError:
        return False


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Looks at the pictures in any case. Raises FileError where none of them is there."""
    root = source if source.is_dir() else source.parent
    n_found = 0
    for path in _files(source):
        try:
            shares, host = parse_asf(read_text(path))
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = _find_host(path, root, host, reading)
        if found is None:
            continue
        n_found += 1
        name, image = found
        try:
            height, width = size_of_picture(image, upright=reading.upright)
        except KdError as error:
            reading.skip(str(path), error.message)
            continue
        yield Annotation(
            clean_name(name), image if reading.pictures else Path(name), shares * [width, height] - reading.base
        )
    if reading.n_absent and not n_found:
        raise FileError(
            f"{source}: none of its {reading.n_absent} pictures was found",
            "its coordinates are relative to the images, so these must be in its folder or under --images",
        )


def parse_asf(text: str) -> tuple[np.ndarray, str]:
    """Points (L, 2) in widths and heights of the picture, and its name. Raises DataError for other text."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    if not lines or not lines[0].isdecimal():
        raise DataError("not an .asf file of AAM-API: no number of points")
    n_points, rows, rest = lines[0], [line.split() for line in lines[1:-1]], lines[-1]
    if n_points != str(len(rows)):
        raise DataError(f"says {n_points[:20]} points, but holds {len(rows)}, or no host image")
    for k, row in enumerate(rows):
        if not 7 <= len(row) <= 10 or row[4] != str(k):
            raise DataError(f"{' '.join(row)[:60]!r} is not point {k}")
    shares = as_points(parse_numbers([text for row in rows for text in row[2:4]]))
    if not (np.abs(shares) < _FARTHEST).all():
        raise DataError("a coordinate is not relative to the size of the picture")
    return shares, rest


def _find_host(path: Path, root: Path, host: str, reading: Reading) -> tuple[str, Path] | None:
    """Name below `root` and path of the picture; the host's own folders are of its maker's machine."""
    picture = PurePosixPath(clean_name(host)).name
    folder = path.parent.relative_to(root)
    above = folder.parent
    name = (
        above if (root / above / picture).is_file() and not (root / folder / picture).is_file() else folder
    ) / picture
    image = reading.look_for_image(name.as_posix(), root, str(path))
    return (name.as_posix(), image) if image else None


FORMAT = Format("asf", "AAM-API's .asf files with their pictures: IMM", 0, accepts, read)
