"""COFW-68: test_annotations/N_points.mat, the 507 test faces of COFW with 68 points and occlusion.

N_points.mat               MATLAB 5: Points (68, 2), Occ (1, 68; 1 occluded)
cofw68_test_bboxes.mat     bboxes (507, 4): x, y, width, height

The pictures are those of COFW_test.mat or COFW_test_color.mat (see cofw.py) beside or below --images, or files N.jpg.
COFW_test_507.mat, which holds the same points, is read too.

1-based, in the frame of COFW: over the 507 faces the corners of the eyes lie at most a pixel from those of the 29
points, 0.4 px right and 0.2 px below them on average. Ids are test/1 to test/507, as in COFW.

Source: G. Ghiasi, C. Fowlkes, "Occlusion coherence: detecting and localizing occluded faces", arXiv 1506.08347, 2015.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.cofw import check_flags, find_picture, find_test_file, is_joint, make_face, read_joint
from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_size
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.matlab import as_array, read_mat
from kdtools.datasets.formats.shared.text_lists import check_size
from kdtools.errors import DataError, reason_of

N_POINTS = 68

_NAME = re.compile(r"([1-9][0-9]{0,5})_points\.mat")
_BOXES = "cofw68_test_bboxes.mat"


def accepts(source: Path) -> bool:
    return bool(_find_files(source)) or _find_joint(source) is not None


def _find_files(source: Path) -> list[tuple[int, Path]]:
    """Numbers and files of the faces, in order: those of the folder, or of a folder test_annotations in it."""
    if source.is_file():
        folders, paths = [], [source]
    else:
        folders = [source, source / "test_annotations", *sorted(source.glob("*/test_annotations"))]
        paths = next((found for folder in folders if (found := sorted(folder.glob("*_points.mat")))), [])
    matches = [(_NAME.fullmatch(path.name), path) for path in paths]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _find_joint(source: Path) -> Path | None:
    paths = sorted(source.glob("COFW*.mat")) if source.is_dir() else [source]
    return next((path for path in paths if is_joint(path)), None)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    files = _find_files(source)
    joint = _find_joint(source)
    if not files and joint:
        yield from read_joint(joint, reading, "x", "vis", N_POINTS)
        return
    folder = files[0][1].parent
    boxes = _read_boxes(folder, reading)
    pictures = find_test_file(folder, reading)
    for number, path in files:
        try:
            found_in = read_mat(path, ["Points", "Occ"])
            points = as_points(check_size(as_array(found_in["Points"], N_POINTS, 2)), reading.base)
            occluded = check_flags(as_array(found_in["Occ"], 1, N_POINTS)[0])
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_picture(number, f"{number}.jpg", str(path), folder, pictures, reading)
        if found:
            image, load = found
            box = box_from_size(*boxes[number - 1], base=reading.base) if number <= len(boxes) else None
            yield make_face("test", number, image, points, 1 - occluded, box, load)


def _read_boxes(folder: Path, reading: Reading) -> np.ndarray:
    """Boxes (N, 4) of faces 1 to N; of none where the file is absent or, after a skip, damaged."""
    path = next((place / _BOXES for place in (folder, folder.parent) if (place / _BOXES).is_file()), None)
    if path:
        try:
            boxes = read_mat(path, ["bboxes"])["bboxes"]
            return check_size(as_array(boxes, len(boxes), 4))
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
    return np.empty((0, 4))


FORMAT = Format("cofw68", "COFW-68's N_points.mat files: 68 points of COFW's test faces", 1, accepts, read)
