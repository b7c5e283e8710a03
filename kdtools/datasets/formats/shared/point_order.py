"""Whether rows of numbers are pairs of x and y, or all x before all y.

Under a known mirror map points in the right order are symmetric like a face and others are not. Without one, the two
halves of a row that is all x before all y differ far more than the numbers within them, and points made of neighbours
lie along the diagonal.
"""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError
from kdtools.landmarks import SCHEMES
from kdtools.landmarks.mirror_maps import find_mirror, mirror_residual

HINT = "write a CSV file with a header that names the columns: image,x0,y0,x1,y1,..."
_BETWEEN = 0.6  # share of the variance between two halves of a row from which they are all x and all y
_FEWEST_TO_COMPARE = 10  # points
_MOST_ALIKE = 0.9  # largest likeness of x and y in a face
_LEAST_ALIKE = 0.5  # smallest likeness of neighbours where all x stand before all y
SYMMETRIC = 0.35  # largest residual of a mean shape in the right order of x and y; see `mirror_residual`
FEWEST_ROWS = 5  # a few faces may look symmetric by chance
FEWEST_POINTS = 3
MOST_FEWER = 0.95  # share of rows in which a rule must hold; single rows may be damaged


def is_planar(numbers: np.ndarray) -> tuple[bool, str]:
    """Whether rows (N, 2 L) hold all x before all y, and a warning where they may, but the evidence is weak.

    Raises DataError where they look so, but it is not certain.
    """
    n_points = numbers.shape[1] // 2
    pairs, halves = both_ways(numbers)
    as_pairs, as_halves = asymmetries(numbers)
    many = n_points >= _FEWEST_TO_COMPARE
    neighbours = _likeness(pairs)
    alike = many and neighbours > _MOST_ALIKE > _likeness(halves)
    if not alike and (as_pairs < min(SYMMETRIC, as_halves / 2) or (many and neighbours < _LEAST_ALIKE)):
        return False, ""
    mirrored = as_halves < min(SYMMETRIC, as_pairs / 2)
    apart, mirrors = _are_apart(halves, pairs), _only_halves_mirror(halves, pairs)
    if not (alike or mirrored or apart or mirrors):
        return False, ""
    if as_halves < min(SYMMETRIC, as_pairs):
        return True, ""
    text = f"its {2 * n_points} numbers look like all x before all y of {n_points} points"
    if not many and not (apart and mirrors):
        return False, text
    raise DataError(text, HINT)


def _likeness(points: np.ndarray) -> float:
    """Median intraclass correlation of x and y in faces (N, L, 2): near 1 where both hold x or both y, else about 0.

    Unlike Pearson's, it is low for points along a line that is not the picture's diagonal, as one side of a jaw.
    """
    known = np.isfinite(points).all(axis=2, keepdims=True)
    count = np.maximum(known.sum(axis=(1, 2)), 1)
    kept = np.where(known, points, 0)
    mean = kept.sum(axis=(1, 2)) / (2 * count)
    centred = np.where(known, points - mean[:, None, None], 0)
    variance = (centred**2).sum(axis=(1, 2)) / 2
    return float(np.median(centred.prod(axis=2).sum(axis=1) / np.where(variance > 0, variance, 1)))


def both_ways(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, L, 2) of rows (N, 2 L): taken as pairs of x and y, and as all x before all y."""
    n, n_points = len(numbers), numbers.shape[1] // 2
    return numbers.reshape(n, n_points, 2), numbers.reshape(n, 2, n_points).transpose(0, 2, 1)


def asymmetries(numbers: np.ndarray) -> tuple[float, float]:
    """The least residuals of rows (N, 2 L) under known mirror maps, taken in both ways; infinite without any."""
    mirrors = [one.mirror for one in SCHEMES.values() if 2 * one.n_points == numbers.shape[1] and one.mirror]
    ways = []
    for points in both_ways(numbers):
        residuals = [mirror_residual(mirror, points) for mirror in mirrors]
        ways.append(min((residual for residual in residuals if residual is not None), default=np.inf))
    return ways[0], ways[1]


def _only_halves_mirror(halves: np.ndarray, pairs: np.ndarray) -> bool:
    """Whether points (N, L, 2) have a mirror map as all x before all y, and none as pairs."""
    if len(pairs) < FEWEST_ROWS or pairs.shape[1] <= FEWEST_POINTS:
        return False
    return find_mirror(pairs) is None and find_mirror(halves) is not None


def _are_apart(halves: np.ndarray, pairs: np.ndarray) -> bool:
    """Whether the first and second half of most rows differ much more than the numbers within each, and x and y less.

    `halves` and `pairs` (N, L, 2) are the rows taken as all x before all y, and as pairs.
    """
    if halves.shape[1] < FEWEST_POINTS:
        return False
    between = [_variance_between(points) for points in (halves, pairs)]
    return bool(np.mean((between[0] > _BETWEEN) & (between[1] < between[0] / 2)) >= MOST_FEWER)


def _variance_between(points: np.ndarray) -> np.ndarray:
    """Share (N,) of the variance of each row of (N, L, 2) that lies between the means of the two axes."""
    known = np.isfinite(points)
    count = np.maximum(known.sum(axis=1), 1)
    means = np.where(known, points, 0).sum(axis=1) / count
    within = (np.where(known, points - means[:, None], 0) ** 2).mean(axis=(1, 2))
    total = within + np.var(means, axis=1)
    return np.var(means, axis=1) / np.where(total > 0, total, 1)
