"""Points by their names: which names mean the same point, and the order that brings one set of points into another's.

Names are compared by their words, whatever their order, case and separators are, with l and r for left and right: so
`mouth_l`, `MouthLeft` and `left mouth corner` are one point. Names that differ in nothing but a number tell nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.landmarks.scheme import Scheme

_SIDES = {"l": "left", "r": "right"}
# Words that add nothing beside another: a set has one nose, one centre an eye and one corner on each side of the mouth.
_FILLERS = {
    "nose": {"tip"},
    "mouth": {"corner"},
    "eye": {"center", "centre"},
}
_CONTENT = ("mirror", "outer_corners", "left_eye", "right_eye")


def are_names(names: Sequence[str]) -> bool:
    """Whether they are more than numbers: `kp_0`, `kp_1` and `12` are not, `nose` and `brow_1`, `jaw_1` are."""
    return len({re.sub(r"\d+", "#", name) for name in names}) > 1 or (
        len(names) == 1 and not re.search(r"\d", names[0])
    )


def order_by_names(wanted: Sequence[str], given: Sequence[str]) -> np.ndarray | None:
    """Index in `given` of each point of `wanted`, (L,) int64; None where they are not the same points by their names.

    >>> order_by_names(["left_eye", "mouth_left"], ["mouth_l", "EyeL"]).tolist()
    [1, 0]
    """
    for key in (str, _words, _words_without_fillers):
        keys, places = [key(name) for name in wanted], {key(name): k for k, name in enumerate(given)}
        if len(set(keys)) == len(wanted) == len(given) == len(places) and places.keys() == set(keys):
            return np.array([places[one] for one in keys], np.int64)
    return None


def match_names(wanted: Sequence[str], given: Sequence[str]) -> np.ndarray:
    """Index in `given` of each point of `wanted` that has its name, else -1: (L of wanted,) int64.

    Names that are mere numbers match none, and none is matched that stands for two points.

    >>> match_names(["left_eye", "nose", "chin"], ["nose_tip", "EyeL"]).tolist()
    [1, 0, -1]
    """
    rows = np.full(len(wanted), -1, np.int64)
    if not (are_names(wanted) and are_names(given)):
        return rows
    for key in (str, _words, _words_without_fillers):
        ours, theirs = ([key(name) for name in names] for names in (wanted, given))
        n_ours, n_theirs = Counter(ours), Counter(theirs)
        places = {one: k for k, one in enumerate(theirs) if n_theirs[one] == 1 and k not in rows}
        for k, one in enumerate(ours):
            if rows[k] < 0 and n_ours[one] == 1:
                rows[k] = places.get(one, -1)
    return rows


def _words(name: str) -> tuple[str, ...]:
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)
    return tuple(sorted(_SIDES.get(part.lower(), part.lower()) for part in parts)) or (name,)


def _words_without_fillers(name: str) -> tuple[str, ...]:
    words = _words(name)
    fillers = {filler for word in words for filler in _FILLERS.get(word, ())}
    return tuple(word for word in words if word not in fillers)


def point_order(wanted: Scheme, given: Scheme, wanted_by: str, given_by: str) -> np.ndarray | None:
    """The order (L,) that brings points of the scheme `given` into that of `wanted`; None where it is the same already.

    Where both name their points, these are compared; else what both state of them: mirror map and eyes. `wanted_by` and
    `given_by` are the files, for messages. Raises DataError where the points are not the same ones.
    """
    if wanted.names and given.names:
        order = order_by_names(wanted.names, given.names)
        if order is None:
            raise DataError(f"{given_by}: {_difference(wanted.names, given.names, wanted_by)}", _HINT)
        return None if np.array_equal(order, np.arange(len(order))) else order
    for key in _CONTENT:
        ours, theirs = getattr(wanted, key), getattr(given, key)
        if ours is not None and theirs is not None and ours != theirs:
            what = key.replace("_", " ") if key != "mirror" else "mirror map"
            raise DataError(
                f"{given_by}: its points ({given.name}) are not those of {wanted_by} ({wanted.name}): another {what}",
                _HINT,
            )
    return None


_HINT = (
    "compare files of the same points: kd-import --scheme NAME|FILE says what points are, --convert of kd-import and "
    "kd-merge changes one set into another"
)


def _difference(wanted: Sequence[str], given: Sequence[str], wanted_by: str) -> str:
    known, others = ({_words_without_fillers(name) for name in names} for names in (wanted, given))
    extra = [name for name in given if _words_without_fillers(name) not in known] or list(given)
    lacking = [name for name in wanted if _words_without_fillers(name) not in others] or list(wanted)
    return f"its points are called {some_of(extra)}, those of {wanted_by} {some_of(lacking)}"


def reordered(scheme: Scheme, order: Sequence[int], name: str, names: Sequence[str]) -> Scheme:
    """The scheme of the points `order` (L,) of `scheme`, in that order, under names of their own."""
    place = {int(point): k for k, point in enumerate(order)}

    def moved(points: Sequence[int] | None) -> tuple[int, ...] | None:
        return None if points is None else tuple(place[point] for point in points)

    corners = moved(scheme.outer_corners)
    return Scheme(
        name,
        scheme.n_points,
        mirror=None if scheme.mirror is None else tuple(place[scheme.mirror[int(point)]] for point in order),
        outer_corners=None if corners is None else (corners[0], corners[1]),
        left_eye=moved(scheme.left_eye),
        right_eye=moved(scheme.right_eye),
        outlines=tuple(moved(line) or () for line in scheme.outlines),
        names=tuple(names),
        regions=tuple((region, moved(points) or ()) for region, points in scheme.regions),
        flips=scheme.flips,
    )
