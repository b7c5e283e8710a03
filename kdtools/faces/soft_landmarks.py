"""Soft-landmarks of a faces file: in which coordinates a shape model is fitted and applied."""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.landmarks.shape_model import ShapeModel, fit_shape_model, soften


def shapes_of(faces: FacesFile) -> np.ndarray:
    """Landmarks (N, L, 2) as a shape model sees them: over a crop -0.5 to 0.5, else in pixels of the source images.

    Both axes have one scale, the longer side, also where crops are not square: else turned faces would be sheared.
    """
    if not faces.has_images:
        return faces.landmarks
    return (faces.landmarks + 0.5) / max(faces.image_size) - 0.5


def fit_faces(faces: FacesFile, *, variance: float, align: str) -> ShapeModel:
    """The shape model of a file's landmarks; see `fit_shape_model`."""
    return fit_shape_model(shapes_of(faces), variance=variance, align=align)


def soften_faces(faces: FacesFile, model: ShapeModel, *, clip: float) -> np.ndarray:
    """Soft-landmarks (N, L, 2) in pixels of the file's images, or of the source images where it has none.

    Raises DataError for another number of points, and for a file without crops where the model, fitted without
    alignment, knows the places of points in a crop.
    """
    faces.require_points(len(model.mean), "the shape model")
    if model.align == "none" and not faces.has_images:
        raise DataError(f"{faces.name}: holds no /image", "a shape model fitted with --align none needs crops")
    soft = soften(model, shapes_of(faces), clip=clip)
    return (soft + 0.5) * max(faces.image_size) - 0.5 if faces.has_images else soft
