"""Conversion of points between schemes; each target point is a weighted sum of source points.

docs/schemes.md has the measured errors of each conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.landmarks.dense_schemes import INSIGHTFACE_OF_LAPA
from kdtools.landmarks.point_names import match_names, order_by_names
from kdtools.landmarks.registry import SCHEMES
from kdtools.landmarks.scheme import Scheme

# One target point: a source point, several to average, or their weights.
_Rule = int | tuple[int, ...] | dict[int, float]


@dataclass(frozen=True, eq=False)
class Conversion:
    """Target points = `weights` (L of the target, L of the source) times source points; rows sum to 1.

    `approximate`: some target points are not annotated as such in the source; `note` says which.
    """

    weights: np.ndarray
    approximate: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        self.weights.setflags(write=False)  # conversions are kept and given out again

    def then(self, second: Conversion) -> Conversion:
        """This conversion followed by another."""
        note = "; ".join(part for part in (self.note, second.note) if part)
        return Conversion(second.weights @ self.weights, self.approximate or second.approximate, note)


@cache
def find_conversion(source_name: str, target_name: str) -> Conversion:
    """The conversion from one scheme to another in as few steps as possible; the identity for equal schemes.

    Raises UsageError that lists the possible targets of the source.
    """
    if source_name == target_name and source_name in SCHEMES:
        return Conversion(np.eye(SCHEMES[source_name].n_points))
    paths = _paths_from(source_name)
    if target_name not in paths:
        targets = ", ".join(paths) or "nothing"
        raise UsageError(
            f"points of {source_name} cannot be converted to {target_name}",
            f"{source_name} can be converted to: {targets}",
        )
    steps = [_CONVERSIONS[pair]() for pair in paths[target_name]]
    whole = steps[0]
    for step in steps[1:]:
        whole = whole.then(step)
    return whole


def conversion_between(source: Scheme, target: Scheme) -> Conversion:
    """As `find_conversion`, of schemes; where both name the same points, these are put in the target's order.

    Raises UsageError as that, DataError where a scheme is not the known one of its name.
    """
    if source.names and target.names and source.n_points == target.n_points:
        order = order_by_names(target.names, source.names)
        if order is not None:
            return Conversion(np.eye(source.n_points)[order])
    conversion = find_conversion(source.name, target.name)
    for scheme, expected in zip((target, source), conversion.weights.shape, strict=True):
        if scheme.n_points != expected:
            raise DataError(f"scheme {scheme.name} has {scheme.n_points} points, but the known one has {expected}")
    return conversion


def convert_points(points: np.ndarray, source: Scheme, target: Scheme) -> np.ndarray:
    """Points (..., L of the source, 2) -> (..., L of the target, 2) float64; NaN if a source point needed is NaN.

    Raises UsageError for a pair without a conversion, DataError for another number of points.
    """
    values = np.asarray(points, np.float64)
    weights = _weights(source, target, values.shape[-2])
    seen = np.asarray(np.isfinite(values).all(axis=-1))
    result = weights @ np.where(seen[..., None], values, 0)  # a weight of 0 times NaN would be NaN
    result[~np.asarray(convert_mask(seen, source, target), bool)] = np.nan
    return result


def convert_mask(values: np.ndarray, source: Scheme, target: Scheme) -> np.ndarray:
    """One value per point (..., L of the source), such as visible or confidence -> (..., L of the target).

    A target point gets the least value of its source points: it is visible if all of them are.
    Raises as `convert_points` does.
    """
    values = np.asarray(values)
    used = _weights(source, target, values.shape[-1]) != 0
    _, columns = np.nonzero(used)  # row after row, each of which has at least one
    starts = np.cumsum(used.sum(axis=1)) - used.sum(axis=1)
    return np.asarray(np.minimum.reduceat(values[..., columns], starts, axis=-1))


def shared_points(source: Scheme, target: Scheme) -> np.ndarray:
    """Index in `source` of each point of `target` that is one of its points, else -1: (L of the target,) int64.

    Points are the same by their names (see point_names.py), or by a conversion to a known scheme that is the target or
    has its names.
    """
    if source == target:
        return np.arange(target.n_points)
    rows = _same_names(source.names, np.arange(source.n_points), target)
    if SCHEMES.get(source.name) != source:
        return rows
    for name in _paths_from(source.name):
        weights = find_conversion(source.name, name).weights
        single = np.where((weights == 1).any(axis=1), weights.argmax(axis=1), -1)
        known = SCHEMES[name]
        found = single if known == target else _same_names(known.names, single, target)
        rows = np.where(rows < 0, found, rows)
    return rows


def _same_names(names: Sequence[str], rows: np.ndarray, target: Scheme) -> np.ndarray:
    """Of each point of the target, the value of `rows` of the point with its name; -1 where there is none."""
    found = match_names(target.names, names)
    if not len(found):
        return np.full(target.n_points, -1)
    return np.where(found < 0, -1, rows[found])


def _weights(source: Scheme, target: Scheme, n_points: int) -> np.ndarray:
    weights = conversion_between(source, target).weights
    if n_points != source.n_points:
        raise DataError(f"{n_points} points per face, but scheme {source.name} has {source.n_points}")
    return weights


def _paths_from(source_name: str) -> dict[str, list[tuple[str, str]]]:
    """Target -> the conversions that lead to it, nearest targets first."""
    paths: dict[str, list[tuple[str, str]]] = {source_name: []}
    queue = [source_name]
    for name in queue:
        for first, second in _CONVERSIONS:
            if first == name and second not in paths:
                paths[second] = [*paths[name], (first, second)]
                queue.append(second)
    del paths[source_name]
    return paths


def _build(source: str, rules: Sequence[_Rule], note: str = "") -> Conversion:
    weights = np.zeros((len(rules), SCHEMES[source].n_points))
    for row, rule in enumerate(rules):
        if isinstance(rule, int):
            rule = (rule,)
        for point, weight in rule.items() if isinstance(rule, dict) else ((point, 1 / len(rule)) for point in rule):
            weights[row, point] += weight
    return Conversion(weights, bool(note), note)


def _build_from_half(source: str, target: str, note: str, *parts: dict[int, _Rule]) -> Conversion:
    """Rules for the points of the left half and the middle; those of the right half are their mirror images."""
    rules = {point: rule for part in parts for point, rule in part.items()}
    here, there = SCHEMES[source].mirror or (), SCHEMES[target].mirror or ()
    weights = _build(source, list(rules.values())).weights
    whole = np.zeros((len(there), len(here)))
    rows = list(rules)
    whole[[there[row] for row in rows]] = weights[:, list(here)]
    whole[rows] = weights
    return Conversion(whole, bool(note), note)


def _to_five(source: str, nose: int, mouth: int) -> Callable[[], Conversion]:
    """Eye centres, tip of the nose, and corners of the mouth, the right one as mirror image of the left."""

    def build() -> Conversion:
        scheme = SCHEMES[source]
        right = (scheme.mirror or ())[mouth]
        return _build(source, (scheme.left_eye or (), scheme.right_eye or (), nose, mouth, right))

    return build


def _wflw_to_68() -> Conversion:
    lids = (60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75)
    points = (*range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60), *lids, *range(76, 96))
    return _build("wflw98", points, "of three points of an eyelid the outer two are taken")


def _lapa_to_68() -> Conversion:
    """The nose's lower edge is 58 to 62, as in the common 106 to 68 map of InsightFace's order."""
    lids = (66, 67, 69, 70, 71, 73, 75, 76, 78, 79, 80, 82)
    brows_nose = (*range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63))
    points = (*range(0, 33, 2), *brows_nose, *lids, *range(84, 104))
    return _build("lapa106", points, "of three points of an eyelid the outer two are taken")


def _muct_to_68() -> Conversion:
    jaw: dict[int, _Rule] = {}
    for i in range(9):  # 17 points at equal steps along MUCT's 15
        k, part = divmod(i * 14 / 16, 1)
        jaw[i] = {int(k): 1 - part, int(k) + 1: part}
    return _build_from_half(
        "muct76",
        "ibug68",
        "jaw, brows and nose lie between MUCT's points; inner corners of the mouth are the outer ones",
        jaw,
        {17: 21, 18: 22, 19: (22, 23), 20: 23, 21: 24},  # brow, upper edge
        {27: (37, 45), 28: {37: 1 / 3, 45: 1 / 3, 67: 1 / 3}, 29: {37: 1 / 6, 45: 1 / 6, 67: 2 / 3}, 30: 67},
        {31: 40, 32: (40, 41), 33: 41},  # nose, lower edge
        {36: 27, 37: 68, 38: 69, 39: 29, 40: 70, 41: 71},  # eye
        {48 + i: 48 + i for i in (0, 1, 2, 3, 9, 10, 11)},  # lips, outer edges
        {60: 48, 61: 65, 62: 64, 66: 61, 67: 60},  # lips, inner edges
    )


def _mediapipe_to_68() -> Conversion:
    """After github.com/PeizhiYan/Mediapipe_2_Dlib_Landmarks, but symmetric and with evenly spaced lip points."""
    return _build_from_half(
        "mediapipe468",
        "ibug68",
        "the mesh follows the surface of the head, 300W's jaw its outline in the image",
        {0: 127, 1: 234, 2: 93, 3: (132, 58), 4: (58, 172), 5: 136, 6: 150, 7: 176, 8: 152},  # jaw
        {17: 70, 18: 63, 19: 105, 20: 66, 21: 107},  # brow
        {27: (168, 6), 28: (197, 195), 29: 5, 30: 4, 31: 98, 32: 97, 33: 2},  # nose
        {36: 33, 37: 160, 38: 158, 39: 133, 40: 153, 41: 144},  # eye
        {48: 61, 49: 40, 50: 37, 51: 0, 57: 17, 58: 84, 59: 91},  # lips, outer edges
        {60: 78, 61: 81, 62: 13, 66: 14, 67: 178},  # lips, inner edges
    )


def _68_to_cofw() -> Conversion:
    """Weights of the brows and the wings of the nose fitted to COFW's test set, which has both."""
    return _build_from_half(
        "ibug68",
        "cofw29",
        "lower edges of the brows, wings of the nose, middles of the lids and pupils are estimates",
        {0: 17, 2: {20: 0.2, 21: 0.8}, 4: 19, 5: {17: 0.25, 19: 0.5, 21: 0.25}},  # brow
        {8: 36, 10: 39, 12: (37, 38), 13: (40, 41), 16: tuple(range(36, 42))},  # eye
        {18: {31: 1.7, 32: -0.7}, 20: 30, 21: 33},  # nose
        {22: 48, 24: 51, 25: 62, 26: 66, 27: 57, 28: 8},  # mouth and chin
    )


def _wflw_to_cofw() -> Conversion:
    return _build_from_half(
        "wflw98",
        "cofw29",
        "inner ends of the brows and wings of the nose are estimates",
        {0: 33, 2: (37, 38), 4: 35, 5: 40},  # brow
        {8: 60, 10: 64, 12: 62, 13: 66, 16: 96},  # eye
        {18: 55, 20: 54, 21: 57, 22: 76, 24: 79, 25: 90, 26: 94, 27: 85, 28: 16},  # nose, mouth, chin
    )


# Conversions are chained along the shortest path; of equal ones, in this order.
_CONVERSIONS: dict[tuple[str, str], Callable[[], Conversion]] = {
    ("wflw98", "ibug68"): _wflw_to_68,
    ("ibug68", "ibug51"): lambda: _build("ibug68", range(17, 68)),
    ("lapa106", "ibug68"): _lapa_to_68,
    ("lapa106", "insightface106"): lambda: _build("lapa106", [INSIGHTFACE_OF_LAPA.index(i) for i in range(106)]),
    ("insightface106", "lapa106"): lambda: _build("insightface106", INSIGHTFACE_OF_LAPA),
    ("muct76", "ibug68"): _muct_to_68,
    ("mediapipe468", "ibug68"): _mediapipe_to_68,
    ("wflw98", "cofw29"): _wflw_to_cofw,
    ("ibug68", "cofw29"): _68_to_cofw,
    ("ibug68", "points5"): _to_five("ibug68", 30, 48),
    ("ibug51", "points5"): _to_five("ibug51", 13, 31),
    ("wflw98", "points5"): _to_five("wflw98", 54, 76),
    ("cofw29", "points5"): _to_five("cofw29", 20, 22),
    ("aflw19", "points5"): _to_five("aflw19", 13, 15),
    ("muct76", "points5"): _to_five("muct76", 67, 48),
    ("imm73", "points5"): _to_five("imm73", 45, 46),
    ("lapa106", "points5"): _to_five("lapa106", 54, 84),
    ("insightface106", "points5"): _to_five("insightface106", 86, 52),
    ("mediapipe468", "points5"): _to_five("mediapipe468", 4, 61),
}
