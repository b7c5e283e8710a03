"""Mirror maps estimated from points or names, and a check of a scheme's mirror map."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import apply_affine
from kdtools.landmarks.shape_model import MIN_POINTS, align_shapes

_MEAN_ROUNDS = 5  # after the third, the mean of a few hundred faces moves by less than 1e-4 of its size
_N_ANGLES = 36
_N_TRIED = 6  # initial angles that are refined
_MAX_ROUNDS = 20  # refitting axis and pairs mostly converges after 2 to 4
# A map is accepted if mirrored points miss their partners by less than this share of the distance to the next point.
# Sets of faces reach 0.03 to 0.33, nearly frontal single faces 0.2 to 0.4, sets of 19 and more random points 0.5 to 1.
_MAX_MISS = 0.4
# Least correlation of a face with its mirror image; see `mirror_fits`. Real faces in full profile go down to
# 0.61 (WFLW's largepose) and 0.81 (300W); of 19 random points 95 % stay below 0.57, of 68 99 % below 0.37.
_MIN_LIKENESS = 0.55
# Largest excess of a scheme's residual over 3 times that of the estimated map, as a share of the mean shape's size.
# dlib's five points, taken for those of detectors, reach 0.8; single faces in full profile 0.5 in one of 100 cases.
_MAX_EXCESS = 0.5

# A pair of a found map is no pair where it misses by more than this share of the mean shape's size and this many times
# the median of all points, or by the second share whatever the others do. In right maps of 5 to 400 real faces the
# worst pairs reach 0.02 to 0.2, of twenty or more faces 0.1, and 5 times the median only where they are small; where
# all heads are turned to one side (MUCT) 0.22. Two points without a partner, taken for a pair, miss by 0.1 to 1.
_MAX_PAIR_MISS, _MAX_OVER_MEDIAN, _ALWAYS_TOO_FAR = 0.12, 3, 0.3

# How points say on which side they are: words, and single letters that stand apart or end a name. Both together come
# first, for sets that mix them (left_eye, mouth_l).
_WORDS = "[Ll]eft|LEFT|[Rr]ight|RIGHT"
_LETTERS = r"(?<![A-Za-z])[LlRr](?![A-Za-z])|(?<=[a-z0-9])[LR]$"
_SIDES = (f"{_WORDS}|{_LETTERS}", _WORDS, _LETTERS)


@dataclass(frozen=True)
class FoundMirror:
    """`mirror[i]` is the point that i becomes in a mirrored image.

    `residual` is the mean distance between the mean shape and its mirror image, as a share of the mean shape's size
    (the root mean square distance of its points from their centre); `misses` (L,) are those of each point.
    """

    mirror: tuple[int, ...]
    residual: float
    misses: tuple[float, ...] = ()

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (i, j) with i <= j, those that miss each other most first; i is j on the middle line."""
        return sorted(
            ((i, j) for i, j in enumerate(self.mirror) if i <= j), key=lambda pair: (-self.misses[pair[0]], pair)
        )

    @property
    def outliers(self) -> list[tuple[int, int]]:
        """Of `pairs`, those that cannot be pairs: they miss each other by far more than the others do."""
        limit = min(max(_MAX_PAIR_MISS, _MAX_OVER_MEDIAN * float(np.median(self.misses))), _ALWAYS_TOO_FAR)
        return [(i, j) for i, j in self.pairs if self.misses[i] > limit]


def find_mirror(points: np.ndarray) -> FoundMirror | None:
    """The mirror map of faces (N, L, 2), NaN where not annotated; None if they are not clearly symmetric.

    Alternates between assigning the points of the mean shape to those of its reflection, with the least total distance,
    and refitting the axis to these pairs; the best result of several initial axes counts, so faces may be rotated. A
    single face is enough, but points closer together than its asymmetry can be confused.
    """
    mean = _mean_shape(points)
    if mean is None:
        return None
    z, size = _centred(mean)
    distance = np.abs(z[:, None] - z)
    np.fill_diagonal(distance, np.inf)
    spacing = float(distance.min(axis=1).mean())
    mirror, miss = min((_follow(z, angle) for angle in _first_angles(z)), key=lambda result: result[1])
    # A line of points is its own mirror image; faces have few points on their middle line.
    n_fixed = int(np.sum(mirror == np.arange(len(z))))
    if miss > _MAX_MISS * spacing or n_fixed > len(z) / 2:
        return None
    misses = _misses(z, mirror, _fit_axis(z, mirror)[0]) / size
    return FoundMirror(tuple(int(i) for i in mirror), miss / size, tuple(misses.tolist()))


def mirror_from_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """The mirror map of points named left and right (`left_eye`, `EarL`, `ear.l`); None without such names.

    None also if a name with a side has no counterpart.
    """
    for sides in _SIDES:
        swapped = [re.sub(sides, lambda found: _other_side(found.group()), name) for name in names]
        if any(a != b for a, b in zip(names, swapped, strict=True)) and set(swapped) == set(names):
            return tuple(list(names).index(name) for name in swapped)
    return None


def _other_side(word: str) -> str:
    """`Left` -> `Right`, `r` -> `l`, in the same case."""
    pairs = {"left": "right", "right": "left", "l": "r", "r": "l"}
    other = pairs[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def mirror_fits(scheme: Scheme, points: np.ndarray) -> bool:
    """Whether the scheme's mirror map is plausible for faces (N, L, 2), NaN where not annotated; N may be 1.

    Guards against point sets that share only their number with the scheme. False if most faces correlate poorly with
    their mirror images (1 for a symmetric face, less for turned heads), or if another map, estimated from the points,
    fits far better.
    """
    if np.shape(points)[1] != scheme.n_points:
        return False
    if scheme.mirror is None:
        return True
    mirror = np.array(scheme.mirror)
    faces = np.asarray(points, np.float64) @ np.array([1, 1j])
    likeness = [value for value in (_likeness(face, mirror) for face in faces) if value is not None]
    if likeness and float(np.median(likeness)) < _MIN_LIKENESS:
        return False
    mean = _mean_shape(points)
    if mean is None:
        return True
    z, size = _centred(mean)
    residual = _fit_axis(z, mirror)[1] / size
    if residual <= _MAX_EXCESS:
        return True
    estimated = find_mirror(points)
    return estimated is None or residual <= 3 * estimated.residual + _MAX_EXCESS


def mirror_residual(mirror: Sequence[int], points: np.ndarray) -> float | None:
    """Mean distance between the mean shape of faces (N, L, 2) and its mirror image, as a share of the shape's size.

    Faces in the mirror map's order of points reach 0.01 to 0.2, points in any other order 0.4 to 1.2. None where no
    mean shape can be made, because a point is never annotated.
    """
    mean = _mean_shape(points)
    if mean is None:
        return None
    z, size = _centred(mean)
    return _fit_axis(z, np.array(mirror))[1] / size


def _likeness(z: np.ndarray, mirror: np.ndarray) -> float | None:
    """Correlation of a face (L,), complex, with its mirror image; None if too few pairs are annotated."""
    both = np.isfinite(z) & np.isfinite(z[mirror])
    if both.sum() < MIN_POINTS:
        return None
    a, b = z[both], z[mirror][both]  # `both` holds a point's partner too, so one centre serves a and b
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sum(np.abs(a) ** 2))
    return float(np.abs(np.sum(a * b))) / power if power > 0 else None


def _mean_shape(points: np.ndarray) -> np.ndarray | None:
    """Mean (L, 2) of aligned faces; None if a point is never annotated or all coincide."""
    points = np.asarray(points, np.float64)
    seen = np.isfinite(points).all(axis=2)
    if points.shape[1] < MIN_POINTS or not seen.any(axis=0).all():
        return None
    mean = points[seen.sum(axis=1).argmax()]
    for _ in range(_MEAN_ROUNDS):
        known = np.isfinite(mean).all(axis=1)
        if known.sum() < MIN_POINTS:
            return None
        _, to_mean = align_shapes(points[:, known], mean[known])
        aligned = apply_affine(to_mean, points)
        finite = np.isfinite(aligned).all(axis=2)
        if not finite.any():
            return None
        count = finite.sum(axis=0)[:, None]
        mean = np.where(finite[..., None], aligned, 0).sum(axis=0) / np.where(count, count, np.nan)
    return mean if np.isfinite(mean).all() else None


def _centred(shape: np.ndarray) -> tuple[np.ndarray, float]:
    """A shape (L, 2) as complex numbers around its centre, and its size."""
    z = shape @ np.array([1, 1j])
    z = z - z.mean()
    return z, float(np.sqrt(np.mean(np.abs(z) ** 2)))


def _first_angles(z: np.ndarray) -> list[float]:
    """Initial angles of reflections z -> exp(i angle) conj(z): those that bring points nearest to others."""
    angles = np.pi + 2 * np.pi * np.arange(_N_ANGLES) / _N_ANGLES  # the first is the upright face's
    misses = [np.abs(z[:, None] - np.exp(1j * angle) * z.conj()).min(axis=1).mean() for angle in angles]
    return [float(angles[i]) for i in np.argsort(misses, kind="stable")[:_N_TRIED]]


def _follow(z: np.ndarray, angle: float) -> tuple[np.ndarray, float]:
    """Mirror map (L,), an involution, and its mean distance, refined from the reflection at `angle`."""
    mirror, miss = np.arange(len(z)), np.inf
    for _ in range(_MAX_ROUNDS):
        before = mirror
        mirror = _assign(np.abs(z[:, None] - np.exp(1j * angle) * z.conj()))
        angle, miss = _fit_axis(z, mirror)
        if np.array_equal(mirror, before):
            break
    return mirror, miss


def _fit_axis(z: np.ndarray, mirror: np.ndarray) -> tuple[float, float]:
    """The angle that brings the reflections of points (L,) onto their partners, and the mean distance left."""
    angle = float(np.angle(np.sum(z * z[mirror])))  # least squares of z ~ exp(i angle) conj(z[mirror])
    return angle, float(np.mean(_misses(z, mirror, angle)))


def _misses(z: np.ndarray, mirror: np.ndarray, angle: float) -> np.ndarray:
    """Distance of each point (L,) from the reflection of its partner."""
    return np.abs(z - np.exp(1j * angle) * z[mirror].conj())


def _assign(cost: np.ndarray) -> np.ndarray:
    """The involution of points (L,) with the least total cost, for a symmetric cost (L, L)."""
    from scipy.optimize import linear_sum_assignment  # slow to load

    _, mirror = linear_sum_assignment(cost)
    odd = np.flatnonzero(mirror[mirror] != np.arange(len(mirror)))  # longer rings than pairs; rare
    while len(odd):
        part = cost[np.ix_(odd, odd)]
        a, b = odd[list(np.unravel_index(part.argmin(), part.shape))]
        mirror[a], mirror[b] = b, a
        odd = odd[(odd != a) & (odd != b)]
    return mirror
