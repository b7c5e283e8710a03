"""Mean-shape baseline: always predict the average face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.point_sets import PointSet
from kdtools.evaluation.results import MEAN_SHAPE, Row
from kdtools.faces.file import open_faces
from kdtools.landmarks.geometry import apply_affine, unit_to_pixels
from kdtools.metrics import clean_points

_BLOCK = 8192


class MeanShape:
    """Predicts the mean landmarks of another file's crops in every crop of the truth."""

    name = MEAN_SHAPE

    def __init__(self, path: str, truth: PointSet) -> None:
        self.files = [] if path == "-" else [path]
        hint = "the mean shape is that within the crops; give faces files with images, or leave --mean-shape out"
        if truth.image_size is None:
            raise DataError(f"{truth.name}: --mean-shape needs a truth with images", hint)
        with open_faces(path) as faces:
            faces.require("landmarks")
            if not faces.has_images:
                raise DataError(f"{faces.name}: --mean-shape needs a file with images", hint)
            faces.require_scheme(truth.scheme, truth.name)
            offset = faces.origins("unit").mean(axis=0)
            total = np.zeros((truth.n_points, 2))
            count = np.zeros((truth.n_points, 2))
            for start in range(0, len(faces), _BLOCK):
                block = clean_points(faces.points("image", slice(start, start + _BLOCK)))
                points = faces.to_frame(block, "unit")
                total += np.nansum(points, axis=0)
                count += np.isfinite(points).sum(axis=0)
        if not count.all():
            lacking = int(np.flatnonzero(count[:, 0] == 0)[0])
            raise DataError(f"{faces.name}: no face has point {lacking}, so there is no mean shape", "give more faces")
        self.in_crop = unit_to_pixels(total / count, *truth.image_size)
        self.offset = offset * truth.image_size[::-1]  # of the mean labels beside the mean true places
        self.truth = truth

    def points(self, rows: np.ndarray | slice) -> np.ndarray:
        to_source = self.truth.to_source(rows)
        return apply_affine(to_source, np.broadcast_to(self.in_crop, (len(to_source), *self.in_crop.shape)))

    def origins_of(self, rows: np.ndarray | slice) -> np.ndarray:
        """How far the mean shape lies beside that of the true places, in pixels of the source images, (n, 2)."""
        return np.asarray(self.truth.to_source(rows)[..., :2] @ self.offset)


def put_share_of_mean_shape(rows: Sequence[Row]) -> None:
    """Add to each row its NME as a percentage of the mean shape's."""
    base = {(r.subset, r.normaliser, r.part): r.values["nme_percent"] for r in rows if r.prediction == MEAN_SHAPE}
    for row in rows:
        nme, mean = row.values["nme_percent"], base[row.subset, row.normaliser, row.part]
        row.values["nme_of_mean_shape_percent"] = None
        if nme is not None and mean and np.isfinite(mean):
            row.values["nme_of_mean_shape_percent"] = 100 * nme / mean
