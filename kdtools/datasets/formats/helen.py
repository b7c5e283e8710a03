"""HELEN as its authors published it: 194 points, `annotation/1.txt` ..., each with the name of its picture.

2236814888_1
565.86 , 758.98
564.27 , 781.14
...

The name of the picture has no suffix; pictures lie in folders beside that of the annotations (`train/`, `test/`,
`helen_1/` ...), or below --images. No point is missing. 300W's HELEN is the same pictures with 68 points of its own
(`pts`).

0-based: nothing is said of it, and readers draw the numbers with OpenCV as they are.

Source: V. Le, J. Brandt, Z. Lin, L. Bourdev, T. Huang, "Interactive Facial Feature Localization", ECCV 2012
(ifp.illinois.edu/~vuongle2/helen).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kdtools.datasets.formats.lapa import is_pair, points_of
from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import read_text
from kdtools.datasets.formats.shared.text_lists import is_number, peek_lines, text_files
from kdtools.errors import DataError, reason_of
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_N_LOOKED_AT = 10  # files of a folder, to see what they are
_NAME = re.compile(r"[^\s,;]+")


def accepts(source: Path) -> bool:
    return any(map(_looks_right, islice(text_files(source), _N_LOOKED_AT)))


def _looks_right(path: Path) -> bool:
    first, *rest = peek_lines(path) or [""]
    return _is_name(first) and len(rest) >= 2 and all("," in line and is_pair(line) for line in rest)


def _is_name(line: str) -> bool:
    return _NAME.fullmatch(line) is not None and not is_number(line)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Text files without any line of two numbers, such as a list of names, are passed over."""
    folders = _folders_of_pictures(source if source.is_dir() else source.parent, reading)
    for path in text_files(source):
        try:
            lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
            if not any(map(is_pair, lines)):
                continue
            if not _is_name(lines[0]):
                raise DataError(f"begins with {lines[0][:30]!r}, not with the name of an image")
            points = points_of(lines[1:])
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        name = _with_suffix(lines[0], folders, reading)
        folder = next((folder for folder in folders if name in reading.names_in(str(folder))), path.parent)
        image = reading.find_image(name, folder, str(path))
        if image is not None:
            yield Annotation(reading.number(name), image, points - reading.base)


def _folders_of_pictures(home: Path, reading: Reading) -> list[Path]:
    """Folders in which pictures may lie: the user's, that of the annotations, the one above, and those in them."""
    above = [*reading.roots, home, home.absolute().parent]
    within = [folder / name for folder in above for name in sorted(reading.names_in(str(folder)))]
    return [*above, *(folder for folder in within if folder.is_dir())]


def _with_suffix(name: str, folders: list[Path], reading: Reading) -> str:
    """Name of the picture with its suffix, which the files leave out; .jpg, as HELEN's are, where it is not there."""
    if Path(name).suffix.lower() in IMAGE_SUFFIXES:
        return name
    found = (reading.name_of_stem(name, folder) for folder in folders)
    return next((picture for picture in found if picture is not None), f"{name}.jpg")


FORMAT = Format("helen", "HELEN's own text files: image name, then 194 lines `x , y`", 0, accepts, read)
