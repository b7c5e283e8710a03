"""The crop rule: which square around a face becomes its crop (docs/crops.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass

import numpy as np

from kdtools.errors import DataError


@dataclass(frozen=True)
class BoxRelation:
    """Position of the square around a face's points in a box of another kind, such as a detector's.

    `shift_x`, `shift_y` are the offset of the square's centre from the box's, and `side` is the side of the square, all
    as fractions of the longer side of the box. The identity means that the box is that of the points.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    side: float = 1.0

    def points_square(self, box: np.ndarray) -> np.ndarray:
        """Box (4,) of the other kind -> square (4,) around the points."""
        longer = (box[2:] - box[:2]).max()
        return square_at((box[:2] + box[2:]) / 2 + longer * np.array([self.shift_x, self.shift_y]), longer * self.side)

    def box_around(self, square: np.ndarray) -> np.ndarray:
        """Squares (..., 4) around the points -> square boxes (..., 4) of the other kind."""
        longer = (square[..., 2] - square[..., 0]) / self.side
        centre = (square[..., :2] + square[..., 2:]) / 2
        return square_at(centre - longer[..., None] * np.array([self.shift_x, self.shift_y]), longer)


def measure_relation(boxes: np.ndarray, squares: np.ndarray) -> BoxRelation:
    """Median over faces of the relation of squares (N, 4) around the points to boxes (N, 4) of another kind."""
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    shift = (squares[:, :2] + squares[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / longer[:, None]
    side = (squares[:, 2] - squares[:, 0]) / longer
    return BoxRelation(*(round(float(np.median(values)), 4) for values in (shift[:, 0], shift[:, 1], side)))


_LEAST_MARGIN = -0.45  # of -0.5 nothing would be left
_ABSURD = 1000.0  # times the box; no crop is so much larger, or smaller
BOX_KINDS = ("points", "given", "detector")


@dataclass(frozen=True)
class CropRule:
    """Crop of a face: a square around a box, with a margin (docs/crops.md).

    `margin` is added on each side, as a fraction of the longer side of the box; 0.2 makes the square 1.4 times as big.
    `box` is that of the `points`, one `given` with the annotation, or a `detector`'s, converted to that of the points.
    For given boxes, `relation` places the points in them, so that a detector's faces are cropped alike. The rule is
    stored in faces files and models, and kd-predict follows it.
    """

    margin: float = 0.2
    box: str = "points"
    relation: BoxRelation = BoxRelation()

    def to_json(self) -> str:
        fields = asdict(self)
        if self.box != "given":
            del fields["relation"]
        return json.dumps(fields, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> CropRule:
        """Inverse of `to_json`. Raises DataError if the text is no crop rule."""
        try:
            fields = json.loads(text)
            relation = BoxRelation(**{key: _number(value) for key, value in fields.get("relation", {}).items()})
            rule = CropRule(_number(fields["margin"]), str(fields.get("box", "points")), relation)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise DataError(f"not a crop rule: {error}") from error
        numbers = [rule.margin, *astuple(rule.relation)]
        sound = (np.abs(numbers) < _ABSURD).all() and rule.margin >= _LEAST_MARGIN and rule.relation.side > 1 / _ABSURD
        if rule.box not in BOX_KINDS or not sound:
            raise DataError(f"not a crop rule that this kdtools knows: {text[:80]}", "upgrade kdtools")
        return rule

    def square_around_box(self, box: np.ndarray) -> np.ndarray:
        """Crop squares (..., 4) of boxes (..., 4) of the rule's own kind."""
        longer = (box[..., 2:] - box[..., :2]).max(axis=-1)
        return square_at((box[..., :2] + box[..., 2:]) / 2, longer * (1 + 2 * self.margin))

    def square_around_points(self, points: np.ndarray) -> np.ndarray:
        """Crop square (4,) of points (L, 2), NaN where not annotated. Raises DataError as `points_square` does."""
        return self.square_around_face(points_square(points))

    def squares_around_points(self, points: np.ndarray) -> np.ndarray:
        """The same of many faces at once, (N, L, 2) -> (N, 4), NaN where a face has none."""
        return self.square_around_face(points_squares(points))

    def square_around_face(self, square: np.ndarray) -> np.ndarray:
        """Crop squares (..., 4) for the tight squares (..., 4) around the points."""
        return self.square_around_box(self.relation.box_around(square))


def square_at(centre: np.ndarray, side: float | np.ndarray) -> np.ndarray:
    """Square boxes (..., 4) of these sides (...) around centres (..., 2)."""
    half = np.asarray(side)[..., None] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def points_square(points: np.ndarray) -> np.ndarray:
    """Tight square (4,), half-open, around points (L, 2), NaN where not annotated; its side is their box's longer one.

    Raises DataError if fewer than two points are annotated or all of them coincide.
    """
    if np.isfinite(points).all(axis=-1).sum() < 2:
        raise DataError("fewer than two annotated points, so no crop can be made around them")
    centre, side = _centre_and_side(points)
    if not side > 0:
        raise DataError("all points coincide, so no crop can be made around them")
    return square_at(centre, side)


def points_squares(points: np.ndarray) -> np.ndarray:
    """The same of many faces at once, (N, L, 2) -> (N, 4), NaN where a face has none."""
    centres, sides = _centre_and_side(points)
    return square_at(centres, np.where(sides > 0, sides, np.nan))


def _centre_and_side(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (..., 2) and sides (...) of the tight squares around points (..., L, 2); NaN where none is annotated."""
    is_known = np.isfinite(points).all(axis=-1, keepdims=True)
    known = points if is_known.all() else np.where(is_known, points, np.nan)
    low, high = np.fmin.reduce(known, axis=-2) + 0.5, np.fmax.reduce(known, axis=-2) + 0.5
    return (low + high) / 2, (high - low).max(axis=-1)


def points_in_box(points: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """Points (..., L, 2) of the source in pixels of images, `size` px wide, of square boxes (..., 4)."""
    scale = size / (box[..., 2] - box[..., 0])
    return (points - box[..., None, :2] + 0.5) * scale[..., None, None] - 0.5


def _number(value: object) -> float:
    """Raises ValueError for what is not a number, such as a text or a truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return float(value)
