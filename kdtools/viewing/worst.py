"""Sheet of the worst faces of one prediction for a report, with truth and prediction drawn on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kdtools.errors import KdError, reason_of
from kdtools.faces.file import FacesFile
from kdtools.images.cropping import crop_image
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import apply_affine, invert_affine
from kdtools.metrics import worst_rows
from kdtools.reporting import SILENT, Reporter
from kdtools.viewing.gallery import ShownFace
from kdtools.viewing.lettering import LegendTexts
from kdtools.viewing.overlay import Style
from kdtools.viewing.sheet import check_room, compose_sheet, make_cell
from kdtools.viewing.sources import source_images

_COLUMNS = 6


class RowsOfPoints(Protocol):
    """Points (L, 2) of a face by row: an array, or an HDF5 data set that stays on disk."""

    def __getitem__(self, row: int, /) -> Any: ...


def worst_sheet(
    faces: FacesFile,
    points: RowsOfPoints,
    nme: np.ndarray,
    *,
    prediction: str,
    measure: str,
    n: int = 24,
    member: np.ndarray | None = None,
    size: int = 200,
    reporter: Reporter = SILENT,
) -> np.ndarray | None:
    """Sheet (H, W, 3) of the n faces of the truth `faces` with the largest errors; None if it has no pictures.

    `points` are the prediction's, in the rows of `faces` and in pixels of the source images. nme (N,) are fractions of
    `measure`, a description for the legend such as "inter-ocular distance". Pictures are the crops in the file, or else
    cut from its source images; a face whose source cannot be read is skipped. Only the rows shown are read. Raises
    DataError if the sheet would be too large.
    """
    if "landmarks" not in faces or (not faces.has_images and "source" not in faces):
        return None
    rows = worst_rows(nme, n, member)
    style = Style(size, min(_COLUMNS, max(len(rows), 1)), error_bars=True)
    check_room(max(len(rows), 1), style)
    loaders = ((int(row), None) for row in rows) if faces.has_images else source_images(faces, list(map(int, rows)))
    found = {row: _read_face(faces, points, nme, row, load, size, reporter) for row, load in loaders}
    shown = [face for row in rows if (face := found[int(row)]) is not None]
    if not shown:
        return None
    texts = LegendTexts(
        names=[("truth",), (prediction,)],
        has_occluded=not all(face.visible.all() for face in shown),
        errors=(f"NME in % of the {measure}", "NME in %", "NME"),
    )
    return compose_sheet([make_cell(face, faces.scheme, style) for face in shown], texts, style)


def _read_face(
    faces: FacesFile,
    points: RowsOfPoints,
    nme: np.ndarray,
    row: int,
    load: Callable[[], np.ndarray] | None,
    size: int,
    reporter: Reporter,
) -> ShownFace | None:
    """Picture of one face and, in its pixels, the truth and the prediction (2, L, 2).

    `load` reads its source image; it is None where the file holds crops.
    """
    identity = faces.read("id", row, row + 1)[0]
    truth = np.asarray(faces.stored("landmarks")[row], np.float64)
    pred = np.asarray(points[row], np.float64)
    if load is None:
        image = np.asarray(faces.images[row])
        pred = faces.from_source(pred[None], slice(row, row + 1))[0]
    else:
        try:
            image, to_source = crop_image(load(), (faces.crop or CropRule()).square_around_points(truth), size)
        except (KdError, OSError, MemoryError) as error:
            reporter.skip(identity, reason_of(error))
            return None
        truth, pred = apply_affine(invert_affine(to_source), np.stack([truth, pred]))
    visible = np.ones((2, len(truth)), bool)
    if "visible" in faces:
        visible[0] = np.asarray(faces.stored("visible")[row], bool)
    return ShownFace(identity, image, np.stack([truth, pred]), visible, nme[row : row + 1], None)
