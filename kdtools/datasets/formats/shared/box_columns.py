"""Boxes among the columns of a list: the orders in which four numbers are a box, and whether these frame points."""

from __future__ import annotations

import numpy as np

from kdtools.datasets.formats.shared.point_order import FEWEST_ROWS, MOST_FEWER, both_ways

_AWAY = 0.25  # by how much of the size of the points a number beside them lies away from these, to be none
_APART = 0.5  # the same, of the size of the points, for numbers that are a box beyond doubt
_OFF_CENTRE = 0.25  # by how much of a box's size its middle lies from that of the points at most
_INSIDE = 0.9  # share of the points in such a box
_LARGEST = np.log(3.5)  # of such a box, by the size of the points
_ALIKE = 0.35  # largest spread of the sizes of boxes, by those of their points, as a natural logarithm
_STEADIER = 0.5  # how much less corners of boxes move in the face than the same numbers taken for points


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


def fit_tightly(boxes: np.ndarray, core: np.ndarray) -> bool:
    """Whether boxes (N, 4) hold the points of rows (N, 2 L), have their middle, and sizes in one ratio to theirs."""
    for points in both_ways(core):
        low, high = low_and_high(points)
        sizes = boxes[:, 2:] - boxes[:, :2]
        off = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - (low + high) / 2) / np.maximum(sizes, 1e-9)
        ratio = np.log(np.maximum(sizes, 1e-9) / np.maximum(high - low, 1e-9))
        inside = ((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])).all(axis=2)
        share = inside.sum(axis=1) / np.maximum(np.isfinite(points).all(axis=2).sum(axis=1), 1)
        alike = np.abs(ratio - np.median(ratio, axis=0)) < _ALIKE
        fits = ((off < _OFF_CENTRE) & alike & (ratio < _LARGEST)).all(axis=1) & (share >= _INSIDE)
        if fits.mean() >= MOST_FEWER:
            return True
    return False


def are_no_points(four: np.ndarray, corners: np.ndarray, core: np.ndarray) -> bool:
    """Whether four numbers (N, 4) are rather a box of these `corners` (N, 4) than two points beside those of `core`.

    As points they lie apart from the others in most rows, or move against them where the corners move with them.
    """
    points = both_ways(core)[0]
    if are_away(both_ways(four)[0], points, _APART):
        return True
    return len(four) >= FEWEST_ROWS and _spread(corners, points) < _STEADIER * _spread(four, points)


def _spread(four: np.ndarray, points: np.ndarray) -> float:
    """By how many sizes of the face the places of two points (N, 4) in it differ from row to row."""
    low, high = low_and_high(points)
    size = np.maximum((high - low).max(axis=1), 1e-9)[:, None]
    places = (four - np.tile((low + high) / 2, 2)) / size
    return float(np.median(np.abs(places - np.median(places, axis=0)), axis=0).max())


def are_away(part: np.ndarray, rest: np.ndarray, share: float = _AWAY) -> bool:
    """Whether one of the points (N, e, 2) lies outside the box around the rest in most rows, by `share` of its size."""
    low, high = (bound[:, None] for bound in low_and_high(rest))
    margin = share * (high - low).max(axis=2, keepdims=True)
    away = ((part < low - margin) | (part > high + margin)).any(axis=2)
    return bool((away.mean(axis=0) > 0.5).any())


def low_and_high(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest coordinates (N, 2) of points (N, L, 2); without any known point infinite."""
    known = np.isfinite(points)
    return np.where(known, points, np.inf).min(axis=1), np.where(known, points, -np.inf).max(axis=1)
