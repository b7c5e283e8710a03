"""Boxes among the columns of a list: the orders in which four numbers are a box, and whether these frame points."""

from __future__ import annotations

import numpy as np

from kdtools.datasets.formats.shared.point_order import MOST_FEWER, both_ways

_AWAY = 0.25  # by how much of the size of the points a number beside them lies away from these, to be none


def frame_points(boxes: np.ndarray, core: np.ndarray) -> bool:
    """Whether boxes (N, 4) frame the points of rows (N, 2 L), as pairs or as all x before all y, in nearly all rows.

    A detector's box may leave out the chin, so most of the points must lie inside, and the sizes be alike.
    """
    for points in both_ways(core):
        low, high = low_and_high(points)
        ratio = (boxes[:, 2:] - boxes[:, :2]) / np.maximum(high - low, 1e-9)
        middle = (low + high) / 2
        inside = ((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])).all(axis=2)
        share = inside.sum(axis=1) / np.maximum(np.isfinite(points).all(axis=2).sum(axis=1), 1)
        fits = (
            (ratio > 0.5).all(axis=1)
            & (ratio < 4).all(axis=1)
            & (middle > boxes[:, :2]).all(axis=1)
            & (middle < boxes[:, 2:]).all(axis=1)
            & (share >= 0.6)
        )
        if fits.mean() >= MOST_FEWER:
            return True
    return False


def are_away(part: np.ndarray, rest: np.ndarray) -> bool:
    """Whether one of the points (N, e, 2) lies outside the box around the rest in most rows."""
    low, high = (bound[:, None] for bound in low_and_high(rest))
    margin = _AWAY * (high - low).max(axis=2, keepdims=True)
    away = ((part < low - margin) | (part > high + margin)).any(axis=2)
    return bool((away.mean(axis=0) > 0.5).any())


def low_and_high(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest coordinates (N, 2) of points (N, L, 2); without any known point infinite."""
    known = np.isfinite(points)
    return np.where(known, points, np.inf).min(axis=1), np.where(known, points, -np.inf).max(axis=1)
