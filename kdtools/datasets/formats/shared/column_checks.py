"""Evidence that numbers in a list are not points: boxes, attributes, scores, all x before all y.

Lists of points have no header. A list with a box before the points has as many numbers as one with two points more, so
the numbers themselves must tell. `find_columns` looks at many rows at once and returns which columns are the points. It
accepts other numbers beside the points only where the points left are a set that is known by its count. What remains
doubtful raises DataError with the columns in question.

The evidence:
- attributes and scores: numbers up to 10, or the same whole number in every row, where the points lie far from there;
- a box: four numbers that frame the points in nearly every row, as corners, as x0 x1 y0 y1, or as corner or centre and
  size;
- all x before all y: points read so are symmetric like a face and else are not, or the first and the second half of
  the numbers differ far more than neighbours do;
- numbers at an end that, taken for points, lie away from all others;
- a count that no known set of points has, but one with four to six numbers fewer, where these numbers lie far from the
  points or do not move with them; else this is only a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Reading, box_from_corners
from kdtools.datasets.formats.shared.box_columns import (
    are_away,
    are_no_points,
    fit_tightly,
    frame_points,
    low_and_high,
)
from kdtools.datasets.formats.shared.extra_columns import N_ENDS, SMALL, extras_at_ends
from kdtools.datasets.formats.shared.point_order import (
    FEWEST_POINTS,
    FEWEST_ROWS,
    HINT,
    SYMMETRIC,
    asymmetries,
    both_ways,
    is_planar,
)
from kdtools.errors import DataError, FileError
from kdtools.landmarks import SCHEMES
from kdtools.landmarks.boxes import ORDERS, corners_of
from kdtools.landmarks.known_schemes import POINTS5
from kdtools.landmarks.mirror_maps import mirror_residual

KNOWN_COUNTS = frozenset(scheme.n_points for scheme in SCHEMES.values())
_N_LOOKED_AT = 300  # rows; more would not tell more
_MIRRORED = 0.15  # largest such residual of five points and others, where these are points too
_FEWEST_IN_BOX = 4  # points that are no known set; a box fits three of many numbers by chance
_FAR = 2.0  # by how many sizes of the points others may lie from their middle
_MOVES = 0.75  # by how many sizes the place of a point in its face usually differs from face to face at most


@dataclass(frozen=True)
class PointColumns:
    """Which of a row's numbers are points: `xy` (2 L,) positions of x0, y0, x1, y1, ...

    `box` are the positions of a box's four numbers and `order` what they mean, where that is certain. `note` describes
    what was found, for a message; it is empty where all numbers are points in the usual order. `doubt` is a warning:
    all numbers are taken for points, but there is weak evidence that some are not.
    """

    n_numbers: int
    xy: tuple[int, ...]
    box: tuple[int, ...] = ()
    order: str = ""
    note: str = ""
    doubt: str = ""

    def points_in(self, numbers: np.ndarray) -> np.ndarray:
        """The numbers (2 L,) of the points of one row."""
        return numbers[list(self.xy)]

    def box_in(self, numbers: np.ndarray) -> np.ndarray | None:
        """The box (4,) of one row as it stands in the file, where one was found and is not absurd."""
        return box_from_corners(*corners_of(numbers[None, list(self.box)], self.order)[0]) if self.box else None


def find_columns(rows: Sequence[np.ndarray]) -> PointColumns:
    """Which columns of rows of equally many numbers, NaN where missing, are points.

    Raises DataError where that cannot be told, with a description of the columns in question.
    """
    table = np.stack(list(rows)[:: max(1, len(rows) // _N_LOOKED_AT)])
    n_numbers = table.shape[1]
    if _are_triples(table):
        pairs = tuple(k for k in range(n_numbers) if k % 3 < 2)
        note = f"{n_numbers} numbers a line, of which {len(pairs) // 2} points: every third is a flag or score"
        return PointColumns(n_numbers, pairs, note=note)
    with np.errstate(invalid="ignore"):
        split = _split(table)
        what = _describe(table, split)
        n_rest = n_numbers - split.before - split.after
        if split.doubtful or n_rest % 2 or (what and n_rest // 2 not in KNOWN_COUNTS):
            raise _refusal(n_numbers, n_rest, what)
        planar, doubt = is_planar(split.core(table))
    if split.weak:
        doubt = f"{n_numbers} numbers a line are taken for {n_rest // 2} points, but {'; '.join(split.weak)}"
    places = np.arange(split.before, n_numbers - split.after)
    xy = places.reshape(2, -1).T.ravel() if planar else places
    if planar:
        what = [*what, "all x come before all y"]
    note = f"{n_numbers} numbers a line, of which {n_rest // 2} points: {'; '.join(what)}" if what else ""
    if len(split.orders) != 1:
        return PointColumns(n_numbers, tuple(map(int, xy)), note=note, doubt=doubt)
    return PointColumns(n_numbers, tuple(map(int, xy)), split.box, split.orders[0], note, doubt)


def _are_triples(table: np.ndarray) -> bool:
    """Whether every third number lies between 0 and 2, as flags and scores do, and the others far beyond."""
    n_numbers = table.shape[1]
    if n_numbers % 3 or n_numbers < 3 * FEWEST_POINTS or np.isnan(table).all():
        return False
    thirds = np.arange(n_numbers) % 3 == 2
    third, others = table[:, thirds], table[:, ~thirds]
    if not np.isfinite(third).any():
        return False
    return bool(np.nanmin(third) >= 0 and np.nanmax(third) <= 2 and np.nanmedian(np.abs(others)) > SMALL)


@dataclass(frozen=True)
class _Split:
    """A row cut into numbers before the points, points, numbers after; in one of these a box that `orders` fit.

    The box is `tight` where it has the middle of the points and sizes in one ratio to theirs, and `sure` where its
    numbers cannot be points besides.
    """

    before: int = 0
    after: int = 0
    box: tuple[int, ...] = ()
    orders: tuple[str, ...] = ()
    doubtful: bool = False
    weak: tuple[str, ...] = ()
    sure: bool = False
    tight: bool = False

    def core(self, table: np.ndarray) -> np.ndarray:
        """The rows' numbers of points, NaN for what may be written for a missing one."""
        core = table[:, self.before : table.shape[1] - self.after]
        return np.where(np.isin(core, (0, -1)), np.nan, core)


def _split(table: np.ndarray) -> _Split:
    n_columns = table.shape[1]
    before, after = extras_at_ends(table, KNOWN_COUNTS)
    clear = before + after > 0
    ends = [(before, after), (before + 4, after), (before, after + 4)]
    if not clear:
        ends += [(1, 0), (0, 1), *((k, n - k) for n in (5, 6) for k in (n, 0, n - 4, 4))]
    ends = [end for end in ends if n_columns - sum(end) >= 2 * FEWEST_POINTS and (n_columns - sum(end)) % 2 == 0]
    splits = [one for end in ends if not _leaves_out_a_point(one := _with_box(_Split(*end), table), table)]
    known = [one for one in splits if (n_columns - one.before - one.after) // 2 in KNOWN_COUNTS]
    symmetric = sorted((min(asymmetries(one.core(table))), k) for k, one in enumerate(known))
    best = [known[k] for residual, k in symmetric if residual < SYMMETRIC]
    boxes = [one for one in splits if one.sure and one.before + one.after >= before + after + 4]
    if clear:
        usual = _with_box(_Split(before, after), table)
        more = [] if usual in known or usual.box else [one for one in (*best, *known, *splits) if one.box]
        few = len(table) < FEWEST_ROWS
        more = [one for one in more if one.sure or ((one in known or ORDERS[0] in one.orders) and not few)]
        return next((one for one in (*(one for one in more if one.sure), *more)), usual)
    if best and best[0].before + best[0].after == 0:
        return best[0]
    for one in (*(one for one in (*best, *known) if one in boxes), *boxes):
        if one in known:
            return one
        if one.before + one.after == 4 and n_columns - 4 >= 2 * _FEWEST_IN_BOX:
            return replace(one, doubtful=True)
    corners = next((one for one in splits if ORDERS[0] in one.orders and one.before + one.after == 4), None)
    for one in best:
        if _are_no_points(one, table):
            if one.core(table).shape[1] == 10 and not _is_sure_box(one, table):
                return _doubted(corners or one, table)
            return one
    if corners:
        return replace(corners, doubtful=corners not in known or not _is_sure_box(corners, table))
    if n_columns // 2 not in KNOWN_COUNTS:
        for one in known:
            if one.core(table).shape[1] > 10 and _are_no_points(one, table):
                return _doubted(one, table)
    likely = [one for one in splits if one.tight and one.before + one.after == 4 and set(one.orders) - {ORDERS[0]}]
    return next((_Split(weak=tuple(_describe(table, one))) for one in likely), _Split())


def _leaves_out_a_point(split: _Split, table: np.ndarray) -> bool:
    """Whether two columns beside a box of the split lie among its points, and so are a point as well."""
    columns = [*range(split.before), *range(table.shape[1] - split.after, table.shape[1])]
    others = [k for k in columns if k not in split.box]
    if len(columns) != 6 or len(others) != 2:
        return False
    rest = both_ways(split.core(table))[0]
    return not are_away(table[:, None, others], rest, 1.0)


def _doubted(split: _Split, table: np.ndarray) -> _Split:
    """A split of which the count is nearly all the evidence: refused where more speaks for it, else only a warning."""
    n_extra = split.before + split.after
    if n_extra % 2 or ORDERS[0] in split.orders or _are_strange(split, table):
        return replace(split, doubtful=True)
    return _Split(weak=tuple(_describe(table, split)))


def _are_strange(split: _Split, table: np.ndarray) -> bool:
    """Whether the columns beside the points, taken for points, lie far from the others or do not move with them."""
    core = both_ways(split.core(table))[0]
    part = np.hstack([table[:, : split.before], table[:, table.shape[1] - split.after :]])
    part = np.where(np.isin(part, (0, -1)), np.nan, part).reshape(len(part), -1, 2)
    low, high = low_and_high(core)
    size = np.maximum((high - low).max(axis=1), 1e-9)[:, None, None]
    places = (part - ((low + high) / 2)[:, None]) / size
    for place in np.moveaxis(places, 1, 0):
        place = place[np.isfinite(place).all(axis=1)]
        if len(place):
            median = np.median(place, axis=0)
            if (np.abs(median) > _FAR).any() or (np.median(np.abs(place - median), axis=0) > _MOVES).any():
                return True
    return False


def _are_no_points(split: _Split, table: np.ndarray) -> bool:
    """Whether the columns beside the points, taken for points themselves, would lie away from the others."""
    if (split.before + split.after) % 2:
        return True
    core = split.core(table)
    if core.shape[1] == 10:
        return not _mirror_with_five(split, table)
    if split.box:
        return True
    part = np.hstack([table[:, : split.before], table[:, table.shape[1] - split.after :]])
    return are_away(part.reshape(len(part), -1, 2), core.reshape(len(core), -1, 2))


def _mirror_with_five(split: _Split, table: np.ndarray) -> bool:
    """Whether the numbers beside five points are more points: each other's mirror images, or in the middle line."""
    n_before, n_points = split.before // 2, table.shape[1] // 2
    others = [*range(n_before), *range(n_before + 5, n_points)]
    points = both_ways(table)[0]
    for mirrored in permutations(others):
        partner = dict(zip(others, mirrored, strict=True))
        if all(partner[partner[k]] == k for k in others):
            partner |= {n_before + k: n_before + mirror for k, mirror in enumerate(POINTS5.mirror or ())}
            residual = mirror_residual([partner[k] for k in range(n_points)], points)
            if residual is not None and residual < _MIRRORED:
                return True
    return False


def _is_sure_box(split: _Split, table: np.ndarray) -> bool:
    """Whether a box is more than two points by chance: corners in many rows, or whole numbers beside decimals."""
    if not split.box:
        return False
    core = split.core(table)
    whole = (table[:, list(split.box)] % 1 == 0).all()
    decimals = (np.nan_to_num(core) % 1 != 0).any(axis=1).mean() >= 0.9
    return bool(whole and decimals) or (split.orders[0] == ORDERS[0] and len(table) >= FEWEST_ROWS)


def _with_box(split: _Split, table: np.ndarray) -> _Split:
    """The split with the four columns beside its points that frame them, where there are such."""
    n_columns = table.shape[1]
    core = split.core(table)
    if core.shape[1] % 2:
        return split
    at_ends = ([split.before - 4, 0] if split.before >= 4 else []) + (
        [n_columns - split.after, n_columns - 4] if split.after >= 4 else []
    )
    for start in dict.fromkeys(at_ends):
        four = table[:, start : start + 4]
        boxes = {order: corners_of(four, order) for order in ORDERS}
        orders = tuple(order for order in ORDERS if frame_points(boxes[order], core))
        tight = tuple(order for order in orders if fit_tightly(boxes[order], core))
        certain = tuple(order for order in tight if are_no_points(four, boxes[order], core))
        box, few = tuple(range(start, start + 4)), len(table) < FEWEST_ROWS
        if certain and not (few and certain == ORDERS[-1:]):
            return replace(split, box=box, orders=certain, tight=True, sure=True)
        if few and (tight := certain or tuple(order for order in tight if order != ORDERS[-1])):
            return replace(split, box=box, orders=tight, tight=True)
        if orders and not few:
            return replace(split, box=box, orders=orders)
    return split


def _describe(table: np.ndarray, split: _Split) -> list[str]:
    """What the columns beside the points look like, part by part."""
    n_columns = table.shape[1]
    parts = []
    if split.box:
        order = f" ({split.orders[0]})" if len(split.orders) == 1 else ""
        parts.append(f"columns {split.box[0] + 1} to {split.box[-1] + 1} look like a box{order}")
    for columns in (range(split.before), range(n_columns - split.after, n_columns)):
        others = [k for k in columns if k not in split.box]
        if others:
            places = f"column {others[0] + 1}" if len(others) == 1 else f"columns {others[0] + 1} to {others[-1] + 1}"
            whole = (table[:, others] % 1 == 0).all()
            parts.append(f"{places} look{'s' * (len(others) == 1)} like {'attributes' if whole else 'other numbers'}")
    return parts


def _refusal(n_numbers: int, n_rest: int, what: list[str]) -> DataError:
    if not what:
        counts = [n for n in sorted(KNOWN_COUNTS) if n > 5 and 0 < n_numbers - 2 * n <= N_ENDS]
        guess = f"; perhaps {counts[-1]} points and {n_numbers - 2 * counts[-1]} others" if counts else ""
        return DataError(f"{n_numbers} numbers a line, which are not pairs of x and y{guess}", HINT)
    left = f"{n_rest // 2} points are left" if n_rest % 2 == 0 else f"{n_rest} numbers are left, an odd count"
    return DataError(f"{n_numbers} numbers a line, of which not all are points: {'; '.join(what)}; {left}", HINT)


def usual_columns(path: Path, rows: Sequence[np.ndarray], reading: Reading) -> PointColumns | None:
    """`find_columns` of the rows of a list; what it found goes to `reading.say` and `warn`. None without rows.

    Raises FileError where it cannot be told which numbers are points.
    """
    if not rows:
        return None
    try:
        columns = find_columns(rows)
    except DataError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error
    if columns.note:
        reading.say(f"{path}: {columns.note}")
    if columns.doubt:
        reading.warn(f"{path}: {columns.doubt}; {HINT}")
    return columns
