"""Affine maps between images and crops, and the coordinates they map, in plain numpy.

Points are x, y and a pixel's centre has integer coordinates, so pixel i covers [i - 0.5, i + 0.5).
A box is x0, y0, x1, y1 half-open over whole pixels: the box of a W x H image is 0, 0, W, H, which in the
coordinates of points reaches from -0.5 to W - 0.5. Unit coordinates run from -0.5 to 0.5 over an image of any size.
"""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def box_to_source(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Map from pixels of a height x width image of `box` to pixels of the source: boxes (..., 4) -> (..., 2, 3).

    Pixel centres: the middle of the first pixel of the crop is half a crop pixel inside the box.
    """
    box = np.asarray(box, dtype=np.float64)
    matrix = np.zeros((*box.shape[:-1], 2, 3))
    scale_x = (box[..., 2] - box[..., 0]) / width
    scale_y = (box[..., 3] - box[..., 1]) / height
    matrix[..., 0, 0], matrix[..., 1, 1] = scale_x, scale_y
    matrix[..., 0, 2] = box[..., 0] - 0.5 + 0.5 * scale_x
    matrix[..., 1, 2] = box[..., 1] - 0.5 + 0.5 * scale_y
    return matrix


def apply_affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., L, 2) through maps (..., 2, 3) -> (..., L, 2) float64. NaN points stay NaN."""
    return np.asarray(points, np.float64) @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2]


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """Inverse maps of (..., 2, 3). Raises DataError where a map is singular."""
    try:
        linear = np.linalg.inv(matrix[..., :2])
    except np.linalg.LinAlgError as error:
        raise DataError("an affine map (/to_source) is singular and cannot be inverted") from error
    shift = -(linear @ matrix[..., 2:])
    return np.concatenate([linear, shift], axis=-1)


_LEAST_SCALE = 1e-6


def has_area(matrix: np.ndarray) -> np.ndarray:
    """Whether maps (N, 2, 3) give pictures an area, and can be inverted; those that are not finite do not."""
    linear = matrix[..., :2]
    area = np.abs(linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0])
    return np.isfinite(matrix).all(axis=(1, 2)) & (area > _LEAST_SCALE**2)


def compose_affine(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The map that applies `inner` first and then `outer`, both (..., 2, 3)."""
    linear = outer[..., :2] @ inner[..., :2]
    shift = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return np.concatenate([linear, shift], axis=-1)


def upright_boxes(matrix: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4), half-open, through maps (N, 2, 3) of pixels -> the upright boxes around them, half-open."""
    corners = np.asarray(boxes, np.float64)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    mapped = apply_affine(matrix, corners - 0.5) + 0.5
    return np.concatenate([mapped.min(axis=1), mapped.max(axis=1)], axis=1)


def pixels_to_unit(points_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels of a height x width image -> unit coordinates in [-0.5, 0.5]; points (..., 2)."""
    return (np.asarray(points_px) + 0.5) / np.array([width, height]) - 0.5


def unit_to_pixels(points_unit: np.ndarray, height: int, width: int) -> np.ndarray:
    """Inverse of `pixels_to_unit`."""
    return (np.asarray(points_unit) + 0.5) * np.array([width, height]) - 0.5
