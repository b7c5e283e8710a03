"""Faces in one place and position: the five-point template, and the similarity transform that brings a face to it."""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.landmarks.conversions import conversion_between, shared_points
from kdtools.landmarks.geometry import invert_affine
from kdtools.landmarks.known_schemes import POINTS5
from kdtools.landmarks.scheme import Scheme

TEMPLATE_SIZE = 112  # px
# Eye centres, tip of the nose and corners of the mouth in a face of 112 x 112 px, in the order of `points5`, as most
# face-recognition networks expect them. Source: J. Deng et al., "ArcFace", CVPR 2019; insightface, face_align.py.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def five_point_weights(scheme: Scheme) -> np.ndarray:
    """Weights (5, L) that give the points of `points5` from those of a scheme: by a conversion, or by their names.

    Raises DataError that names those of the five that the scheme does not know.
    """
    try:
        return conversion_between(scheme, POINTS5).weights
    except UsageError:
        pass
    weights = np.zeros((POINTS5.n_points, scheme.n_points))
    for k, row in enumerate(shared_points(scheme, POINTS5)):
        if row >= 0:
            weights[k, row] = 1
    for k, eye in enumerate((scheme.left_eye, scheme.right_eye)):
        if eye and not weights[k].any():
            weights[k, list(eye)] = 1 / len(eye)
    missing = [name for name, row in zip(POINTS5.names, weights, strict=True) if not row.any()]
    if missing:
        raise DataError(
            f"the scheme {scheme.name} does not say which of its points are {', '.join(missing)}",
            "faces are aligned by eyes, tip of the nose and corners of the mouth: name these in a scheme file, "
            "and give it to kd-import --scheme",
        )
    return weights


def five_points(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Points (N, L, 2) -> the five (N, 5, 2) float64; NaN where a point that one of them needs is missing."""
    values = np.asarray(points, np.float64)
    seen = np.asarray(np.isfinite(values).all(axis=-1))
    five = weights @ np.where(seen[..., None], values, 0)
    five[(~seen).astype(float) @ (weights != 0).T > 0] = np.nan
    return five


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The maps (N, 2, 3) of shift, turn and scale, without mirroring, from points (N, K, 2) to targets (K, 2).

    They minimise the sum of squared distances. NaN for a face of which a point is missing, or whose points are one.
    """
    means, centre = points.mean(axis=1, keepdims=True), targets.mean(axis=0)
    p, q = points - means, targets - centre
    with np.errstate(invalid="ignore", divide="ignore"):
        square = (p**2).sum(axis=(1, 2))
        cos = (p * q).sum(axis=(1, 2)) / square
        sin = (p[..., 0] * q[:, 1] - p[..., 1] * q[:, 0]).sum(axis=1) / square
        linear = np.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)
        shift = centre[:, None] - linear @ means.swapaxes(1, 2)
    maps = np.concatenate([linear, shift], axis=-1)
    maps[~np.isfinite(maps).all(axis=(1, 2))] = np.nan
    return maps


def aligned_to_source(five: np.ndarray, size: int) -> np.ndarray:
    """Maps (N, 2, 3) from pixels of aligned crops of `size` px to those of the five points (N, 5, 2); NaN for none.

    The template is scaled by size / 112, as in insightface.
    """
    maps = fit_similarity(five, TEMPLATE * (size / TEMPLATE_SIZE))
    usable = np.isfinite(maps).all(axis=(1, 2))
    usable[usable] = np.hypot(maps[usable, 0, 0], maps[usable, 1, 0]) > 0
    found = np.full_like(maps, np.nan)
    found[usable] = invert_affine(maps[usable])
    return found
