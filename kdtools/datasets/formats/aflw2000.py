"""AFLW2000-3D: `image00050.mat` beside `image00050.jpg`, of which 68 points are read.

pt3d_68    (3, 68)  x, y, z of the points of a 3-D model fitted to the picture; those behind the face are estimates
pt2d       (2, 21)  AFLW's own 21 points, x = -1 where not marked; not read
Pose_Para  (1, 7)   pitch, yaw, roll in radians, translation, scale

1-based: 3DDFA's MATLAB code, which made the files, turns the y axis by y -> height + 1 - y; a point missing in pt2d,
once -1, -1, so stands at -1, 452 in pictures 450 px high. Subsets are those in which the field reports errors: absolute
yaw up to 30 degrees, up to 60, and above (1,312, 383 and 305 faces).

Source: X. Zhu, Z. Lei, X. Liu, H. Shi, S. Li, "Face alignment across large poses: a 3D solution", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.image_beside import find_partner
from kdtools.datasets.formats.shared.matlab import as_array, read_mat, variable_names
from kdtools.datasets.formats.shared.text_lists import check_size, text_files
from kdtools.errors import DataError, reason_of

_POINTS, _POSE = "pt3d_68", "Pose_Para"


def accepts(source: Path) -> bool:
    return any(_POINTS in variable_names(path) for path in _files(source)[:20])


def _files(source: Path) -> list[Path]:
    """Those of the folder itself first, for the data set carries a folder of other .mat files."""
    if source.is_file():
        return [source] if source.suffix == ".mat" else []
    return sorted(text_files(source, ".mat"), key=lambda path: (len(path.parts), path))


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Files that are whole but hold no face, such as 3DDFA's model, are passed over."""
    root = source if source.is_dir() else source.parent
    for path in _files(source):
        names = variable_names(path)
        if names and _POINTS not in names:
            continue
        try:
            found_in = read_mat(path, [_POINTS, _POSE])
            points = as_points(check_size(as_array(found_in[_POINTS], 3, 68)[:2].T), reading.base)
            subset = _subset_of(as_array(found_in[_POSE], 1, 7)[0, 1])
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_partner(path, root, reading)
        if found:
            name, image = found
            yield Annotation(name, image, points, subsets=frozenset({subset}))


def _subset_of(yaw: float) -> str:
    """By yaw in radians. Raises DataError for one that is no angle of a head."""
    degrees = abs(np.degrees(yaw))
    if not degrees <= 180:
        raise DataError(f"a yaw of {degrees:.3g} degrees")
    return "yaw_0_30" if degrees <= 30 else "yaw_30_60" if degrees <= 60 else "yaw_60_90"


FORMAT = Format("aflw2000", "AFLW2000-3D: a .mat file next to each image, 68 points", 1, accepts, read)
