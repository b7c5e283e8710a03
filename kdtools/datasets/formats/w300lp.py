"""300W-LP: 300W's faces turned to large poses; 68 points in `AFW/NAME.mat` or `landmarks/AFW/NAME_pts.mat`.

AFW/NAME.mat                  pt2d     (2, 68)  beside AFW/NAME.jpg; with parameters of the 3-D model
landmarks/AFW/NAME_pts.mat    pts_2d   (68, 2)  of the picture AFW/NAME.jpg
                              pts_3d   (68, 2)  the same on the 3-D model, behind the face where it is turned; not read

Of a folder that holds both, the files beside the pictures are read. No point is missing.

1-based: made by the code that made AFLW2000-3D, by MATLAB (see aflw2000.py), from 300W's 1-based points.

Source: X. Zhu, Z. Lei, X. Liu, H. Shi, S. Li, "Face alignment across large poses: a 3D solution", CVPR 2016; its
data set's readme.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.label_folders import find_labelled
from kdtools.datasets.formats.shared.matlab import as_array, read_mat, variable_names
from kdtools.datasets.formats.shared.text_lists import check_size, text_files
from kdtools.errors import DataError, reason_of

_BESIDE, _APART, _AFLW2000 = "pt2d", "pts_2d", "pt3d_68"
_ENDING = "_pts"  # of the names of files in landmarks/
_N_POINTS = 68
_N_LOOKED_AT = 20  # files of a folder, to see what they are


def accepts(source: Path) -> bool:
    return any(_variable_of(path) for path in islice(text_files(source, ".mat"), _N_LOOKED_AT))


def _variable_of(path: Path) -> str | None:
    """The variable that holds the points; None for files of other kinds, AFLW2000's among them."""
    names = variable_names(path)
    if _AFLW2000 in names:
        return None
    return next((name for name in (_BESIDE, _APART) if name in names), None)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Files that are whole but hold no face are passed over."""
    root = source if source.is_dir() else source.parent
    files = {path: _variable_of(path) for path in text_files(source, ".mat")}
    wanted = _BESIDE if _BESIDE in files.values() else _APART
    for path, variable in files.items():
        if variable not in (wanted, None) or (variable is None and variable_names(path)):
            continue
        try:
            found_in = read_mat(path, [wanted])[wanted]
            points = as_array(found_in, 2, _N_POINTS).T if wanted == _BESIDE else as_array(found_in, _N_POINTS, 2)
            points = as_points(check_size(np.ascontiguousarray(points)), reading.base)
        except (DataError, OSError) as error:
            reading.skip(str(path), reason_of(error))
            continue
        found = find_labelled(path, root, reading, path.stem.removesuffix(_ENDING))
        if found:
            yield Annotation(*found, points)


FORMAT = Format("300wlp", "300W-LP: .mat files with pt2d next to the images, or with pts_2d", 1, accepts, read)
