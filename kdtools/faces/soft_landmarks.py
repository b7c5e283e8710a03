"""Soft-landmarks of a faces file."""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.landmarks.shape_model import ShapeModel, fit_shape_model, soften


def shapes_of(faces: FacesFile) -> np.ndarray:
    """Landmarks (N, L, 2) for a shape model: -0.5 to 0.5 over a crop, or in pixels of the source images without crops.

    Both axes are scaled by the longer side, so that shapes are not distorted if crops are not square.
    """
    if not faces.has_images:
        return faces.landmarks
    return (faces.landmarks + 0.5) / max(faces.image_size) - 0.5


def fit_faces(faces: FacesFile, *, variance: float, align: str) -> ShapeModel:
    """The shape model of a file's landmarks; see `fit_shape_model`."""
    return fit_shape_model(shapes_of(faces), variance=variance, align=align)


def soften_faces(faces: FacesFile, model: ShapeModel, *, clip: float) -> np.ndarray:
    """Soft-landmarks (N, L, 2) in pixels of the file's images, or of the source images if it has none.

    Raises DataError for another number of points, and for a file without crops if the model was fitted without
    alignment.
    """
    faces.require_points(len(model.mean), "the shape model")
    if model.align == "none" and not faces.has_images:
        raise DataError(f"{faces.name}: holds no /image", "a shape model fitted with --align none needs crops")
    soft = soften(model, shapes_of(faces), clip=clip)
    return (soft + 0.5) * max(faces.image_size) - 0.5 if faces.has_images else soft
