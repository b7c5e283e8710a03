"""Normalisers: the length by which the errors of a face are divided."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.landmarks import Scheme
from kdtools.metrics.errors import Array

NORMALISERS = ("inter-ocular", "inter-pupil", "box-diagonal", "box-size", "face-height")
GIVEN_BOX = "given-box"

Bounds = tuple[Array, Array]


@dataclass(frozen=True)
class Normaliser:
    """A length that errors are divided by; `normaliser_named` and `normalisers_of` make them.

    `name` is one of NORMALISERS, GIVEN_BOX, `points:I,J` or a number. With `ends`, the length is the distance between
    the means of two lists of points; with `pixels`, it is that number.
    """

    name: str
    ends: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    pixels: float | None = None

    @property
    def needs_boxes(self) -> bool:
        """Whether `lengths` needs annotated boxes."""
        return self.name == GIVEN_BOX

    def lengths(self, gt: Array, boxes: Array | None = None, bounds: Bounds | None = None) -> Array:
        """Lengths (n,), in pixels, of the truth gt (n, L, 2) float64, NaN where not annotated (`clean_points`).

        inter-ocular: between the outer corners of the eyes. inter-pupil: between the means of the points of each eye.
        box-diagonal, box-size, face-height: diagonal, sqrt(width * height) and height of the upright box around the
        annotated points, between point coordinates (no pixel added). points:I,J: between two points.
        given-box: sqrt(width * height) of the annotated boxes (n, 4), x0 y0 x1 y1 half-open. A number: itself.
        `bounds` are the `point_bounds` of gt, if the caller has them already.

        NaN if a point that the length needs is missing: a length from the remaining points would make the error
        incomparable. A length may be 0, which `normalise` handles. Raises DataError if boxes are needed and missing, or
        if there are too few points.
        Source: docs/metrics.md says which data set and which code uses which; SPIGA's benchmark has them all
        (spiga/eval/benchmark/metrics/landmarks.py), but takes its "diagonal" and "height" from the annotated box.

        >>> triangle = np.array([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]])
        >>> print(Normaliser("points:0,2", ends=((0,), (2,))).lengths(triangle))
        [5.]
        >>> print(Normaliser("box-diagonal").lengths(triangle), Normaliser("face-height").lengths(triangle))
        [5.] [4.]
        >>> print(Normaliser("box-size").lengths(triangle * [4, 3]))  # a box of 12 by 12
        [12.]
        >>> print(Normaliser("given-box").lengths(triangle, boxes=np.array([[10, 10, 19, 14]])))  # 9 by 4
        [6.]
        """
        if self.pixels is not None:
            return np.full(len(gt), self.pixels)
        if self.needs_boxes:
            return _box_sizes(boxes, len(gt))
        if self.ends is not None:
            first, second = self.ends
            if max(*first, *second) >= gt.shape[1]:
                raise DataError(f"the normaliser {self.name} needs point {max(*first, *second)} of {gt.shape[1]}")
            span = _centre_of(gt, first) - _centre_of(gt, second)
        else:
            low, high = bounds or point_bounds(gt)
            span = high - low
        width, height = span[:, 0], span[:, 1]
        if self.name == "face-height":
            return height
        if self.name == "box-size":
            return np.sqrt(width * height)
        return np.sqrt(width * width + height * height)


def point_bounds(gt: Array) -> Bounds:
    """Least and greatest x and y, (n, 2) each, of the points of gt (n, L, 2); NaN only for a face without points.

    >>> low, high = point_bounds(np.array([[[0.0, 5.0], [3.0, 1.0], [np.nan, np.nan]]]))
    >>> low.tolist(), high.tolist()
    ([[0.0, 1.0]], [[3.0, 5.0]])
    """
    by_point = np.ascontiguousarray(_complex(gt).T).view(np.float64)  # many times as fast, with the copy
    low, high = np.minimum.reduce(by_point, axis=0), np.maximum.reduce(by_point, axis=0)
    if np.isnan(low).any():  # fmin and fmax pass over NaN, but are slower
        low, high = np.fmin.reduce(by_point, axis=0), np.fmax.reduce(by_point, axis=0)
    return low.reshape(-1, 2), high.reshape(-1, 2)


def _centre_of(gt: Array, points: Sequence[int]) -> Array:
    """Mean (n, 2) of some points of gt (n, L, 2)."""
    by_face = _complex(gt)
    total = sum(by_face[:, k] for k in points)  # of a single face np.sum would round otherwise
    return np.asarray(np.ascontiguousarray(total).view(np.float64).reshape(-1, 2) / len(points))


def _complex(points: Array) -> Array:
    """Points (n, L, 2) as x + iy, (n, L): numpy is several times as fast where it moves both coordinates at once."""
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]


def normaliser_named(text: str, scheme: Scheme) -> Normaliser:
    """The normaliser of a name, for faces of a scheme.

    Raises UsageError that lists the possible names for an unknown name, for a normaliser whose points the scheme lacks,
    and for points outside the scheme.

    >>> from kdtools.landmarks import Scheme
    >>> triangle = Scheme("triangle", 3, outer_corners=(0, 1))
    >>> normaliser_named("points:0,2", triangle)
    Normaliser(name='points:0,2', ends=((0,), (2,)), pixels=None)
    >>> normaliser_named("100", triangle).pixels, normaliser_named("inter-ocular", triangle).ends
    (100.0, ((0,), (1,)))
    """
    name = text.strip()
    possible = {one.name: one for one in normalisers_of(scheme)}
    if name in possible:
        return possible[name]
    if name == GIVEN_BOX:
        return Normaliser(name)
    if points := re.fullmatch(r"points:([0-9]{1,9}),([0-9]{1,9})", name):
        first, second = int(points[1]), int(points[2])
        if max(first, second) < scheme.n_points and first != second:
            return Normaliser(name, ends=((first,), (second,)))
        hint = f"give two different points of {scheme.name}, from 0 to {scheme.n_points - 1}, such as points:0,1"
        raise UsageError(f"no normaliser is {name!r}", hint)
    try:
        pixels = float(name)
    except ValueError:
        pixels = math.nan
    if 0 < pixels < math.inf:
        return Normaliser(name, pixels=pixels)
    why = f"the normaliser {name} needs points of the eyes" if name in NORMALISERS else f"no normaliser is {text!r}"
    kinds = ", ".join((*possible, GIVEN_BOX))
    raise UsageError(why, f"for {scheme.name} give {kinds}, points:I,J or a number of pixels")


def normalisers_of(scheme: Scheme) -> list[Normaliser]:
    """All of NORMALISERS that a scheme has the points for, in that order.

    >>> from kdtools.landmarks import Scheme
    >>> [one.name for one in normalisers_of(Scheme("triangle", 3, left_eye=(0,), right_eye=(1, 2)))]
    ['inter-pupil', 'box-diagonal', 'box-size', 'face-height']
    """
    ends: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    if scheme.outer_corners:
        left, right = scheme.outer_corners
        ends["inter-ocular"] = ((left,), (right,))
    if scheme.left_eye and scheme.right_eye:
        ends["inter-pupil"] = (scheme.left_eye, scheme.right_eye)
    return [Normaliser(name, ends.get(name)) for name in NORMALISERS if name in ends or not name.startswith("inter-")]


def default_normaliser(scheme: Scheme, gt: Array | None = None) -> Normaliser:
    """The first of NORMALISERS that a scheme has the points for, which kd-eval reports first.

    With the truth gt (n, L, 2), NaN where not annotated, the first that is defined for at least one face, or else the
    first of all.

    >>> from kdtools.landmarks import Scheme
    >>> eyes = Scheme("eyes", 3, outer_corners=(0, 1))
    >>> default_normaliser(eyes).name, default_normaliser(Scheme("triangle", 3)).name
    ('inter-ocular', 'box-diagonal')
    >>> default_normaliser(eyes, np.array([[[np.nan, np.nan], [3.0, 0.0], [3.0, 4.0]]])).name
    'box-diagonal'
    """
    possible = normalisers_of(scheme)
    if gt is None:
        return possible[0]
    return next((one for one in possible if (one.lengths(gt) > 0).any()), possible[0])


def measure_words(normaliser: str) -> str:
    """Description of a normaliser, for labels.

    >>> measure_words("inter-ocular"), measure_words("box-diagonal"), measure_words("points:8,27"), measure_words("100")
    ('inter-ocular distance', 'box diagonal', 'distance of points 8 and 27', '100 px')
    """
    if normaliser.startswith("points:"):
        return f"distance of points {normaliser[7:].replace(',', ' and ')}"
    if normaliser.startswith("inter-"):
        return f"{normaliser} distance"
    return normaliser.replace("-", " ") if normaliser[:1].isalpha() else f"{normaliser} px"


def _box_sizes(boxes: Array | None, n_faces: int) -> Array:
    """sqrt(width * height) of boxes (n, 4); NaN where a number is missing, 0 where the box frames nothing."""
    if boxes is None:
        hint = "import the truth with its boxes, or choose another normaliser, such as box-size"
        raise DataError(f"the normaliser {GIVEN_BOX} needs annotated boxes", hint)
    numbers = np.array(boxes, dtype=np.float64)
    if numbers.shape != (n_faces, 4):
        raise DataError(f"boxes of shape {numbers.shape}", f"the shape must be ({n_faces}, 4)")
    numbers[~np.isfinite(numbers).all(axis=1)] = np.nan
    sides = np.maximum(numbers[:, 2:] - numbers[:, :2], 0)
    return np.sqrt(sides[:, 0] * sides[:, 1])
