"""Boxes: the orders in which four numbers are one; intersection over union (IoU), and over the smaller box."""

from __future__ import annotations

import numpy as np

ORDERS = ("x0 y0 x1 y1", "x y width height", "x0 x1 y0 y1", "centre and size")


def corners_of(four: np.ndarray, order: str) -> np.ndarray:
    """Corners (N, 4) x0, y0, x1, y1 of boxes (N, 4) in one of `ORDERS`."""
    a, b, c, d = np.asarray(four, np.float64).T
    if order == "x y width height":
        return np.stack([a, b, a + c, b + d], axis=1)
    if order == "x0 x1 y0 y1":
        return np.stack([a, c, b, d], axis=1)
    if order == "centre and size":
        return np.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], axis=1)
    return np.stack([a, b, c, d], axis=1)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU (T, N) of each of boxes (T, 4) with each of others (N, 4).

    >>> print(overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).round(3))
    [[0.333 0.   ]]
    """
    shared, area, other_area = _areas(boxes, others)
    return _ratio(shared, area + other_area - shared)


def inside(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over the smaller of the two boxes, (T, N): 1 if one lies within the other.

    >>> print(inside(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [-1, -1, 9, 9]])))
    [[0.5 1. ]]
    """
    shared, area, other_area = _areas(boxes, others)
    return _ratio(shared, np.minimum(area, other_area))


def _areas(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shared area (T, N), that of boxes (T, 1) and of others (1, N)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area, other_area = (np.prod(corners[:, 2:] - corners[:, :2], axis=1) for corners in (boxes, others))
    return np.prod(np.maximum(high - low, 0), axis=2), area[:, None], other_area[None]


def _ratio(shared: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
