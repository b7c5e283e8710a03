"""Annotation conventions: whose places the points of a face are, and where their coordinates start (docs/crops.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdtools.errors import DataError, UsageError

MOST_CONVENTIONS = 100  # of a file; each costs a network a last layer of its own
_LONGEST_NAME = 100  # characters
_LARGEST_ORIGIN = 100.0  # px; a fault of origin is about one

Origin = tuple[float, float]


@dataclass(frozen=True)
class Convention:
    """How a set is annotated: a `name`, and the `origin` x, y of its coordinates in pixels of the source image.

    A label lies at the true place + origin. None: not known, and taken as 0, 0. A name may be NAME/SET, since sets that
    are annotated by the same rule, as 300w/lfpw and 300w/helen, may still differ in their origins and a little in their
    places.
    """

    name: str
    origin: Origin | None = None

    @property
    def rule(self) -> str:
        """The name without its set."""
        return rule_of(self.name)

    @property
    def offset(self) -> Origin:
        """The origin, 0, 0 where it is not known."""
        return self.origin or (0.0, 0.0)


def rule_of(name: str) -> str:
    """A convention's name without its set."""
    return name.partition("/")[0]


def layer_among(name: str, layers: Collection[str]) -> str | None:
    """By which of a network's last `layers` the convention called `name` is answered; None if by none of them.

    By its own, or else by that of its rule.

    >>> [layer_among(name, ("300w", "300w/lfpw")) for name in ("300w/lfpw", "300w/helen", "wflw")]
    ['300w/lfpw', '300w', None]
    """
    return next((layer for layer in (name, rule_of(name)) if layer in layers), None)


def are_apart(one: str, other: str) -> bool:
    """Whether two conventions mean other places: they are of two rules, or two sets of one.

    >>> [are_apart("300w/lfpw", other) for other in ("300w", "300w/lfpw", "300w/helen", "wflw")]
    [False, False, True, True]
    """
    return one != other and (rule_of(one) != rule_of(other) or ("/" in one and "/" in other))


def check_name(name: str) -> None:
    """Raises DataError for a name that no convention can have: NAME or NAME/SET."""
    parts = name.split("/")
    are_words = all(part and part == part.strip() and part.isprintable() for part in parts)
    if not are_words or len(parts) > 2 or len(name) > _LONGEST_NAME:
        hint = f"give NAME or NAME/SET, such as 300w or 300w/lfpw, of at most {_LONGEST_NAME} characters"
        raise DataError(f"an annotation convention cannot be called {name[: _LONGEST_NAME + 1]!r}", hint)


def checked_origin(values: Any) -> Origin:
    """Two numbers as an origin. Raises DataError for anything else, and for what is no offset of a few pixels."""
    are_numbers = isinstance(values, list | tuple | np.ndarray) and len(values) == 2
    try:
        x, y = (float(value) for value in values) if are_numbers else (np.nan, np.nan)
    except (TypeError, ValueError):
        x, y = np.nan, np.nan
    if not (abs(x) <= _LARGEST_ORIGIN and abs(y) <= _LARGEST_ORIGIN):
        what = f"an origin is two numbers of pixels, at most {_LARGEST_ORIGIN:g}, not {str(values)[:60]}"
        raise DataError(what, "give x and y, such as 0.7,0")
    return x, y


def parse_origin(text: str) -> Origin:
    """`X,Y` of an option. Raises UsageError for another form."""
    try:
        return checked_origin([float(word) for word in text.split(",")])
    except (ValueError, DataError) as error:
        raise UsageError(f"--origin is {text!r}", "give x and y in pixels, such as --origin 0.7,0") from error


def stated_convention(name: str | None, origin: str | None) -> Convention | None:
    """The convention that the options --convention and --origin state; None without them. Raises UsageError."""
    if name is None:
        if origin is not None:
            raise UsageError("--origin is that of a convention", "name it: --convention NAME")
        return None
    try:
        check_name(name)
    except DataError as error:
        raise UsageError(f"--convention: {error.message}", error.hint) from error
    return Convention(name, None if origin is None else parse_origin(origin))


def conventions_to_json(conventions: Iterable[Convention]) -> str:
    """JSON object of the origins by name, as faces files hold it: {"300w": {"origin": [0.7, 0.0]}, "helen": {}}."""
    fields = {one.name: {"origin": list(one.origin)} if one.origin is not None else {} for one in conventions}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


def conventions_from_json(text: str) -> dict[str, Convention]:
    """Inverse of `conventions_to_json`, by name. Raises DataError if the text is something else."""
    try:
        fields = json.loads(text)
    except TypeError:
        fields = text  # no text at all
    except (ValueError, RecursionError) as error:
        raise DataError(f"not annotation conventions: {error}") from error
    if not (isinstance(fields, Mapping) and all(isinstance(about, Mapping) for about in fields.values())):
        hint = 'they are like {"300w": {"origin": [0.7, 0.0]}}'
        raise DataError(f"not annotation conventions: {str(text)[:80]}", hint)
    found = {}
    for name, about in fields.items():
        check_name(name)
        found[name] = Convention(name, checked_origin(about["origin"]) if about.get("origin") is not None else None)
    return found


def origin_in_image(origins: np.ndarray, maps: np.ndarray | None) -> np.ndarray:
    """Origins (N, 2) in pixels of the source images as offsets (N, 2) in pixels of the crops.

    `maps` (N, 2, 3) lead from pixels of the crop to those of the source: a crop that is turned or scaled turns and
    scales the offset. None: points are in pixels of the source images.
    """
    if maps is None:
        return np.asarray(origins, np.float64)
    return np.asarray(np.linalg.solve(maps[..., :2], np.asarray(origins, np.float64)[..., None])[..., 0])
