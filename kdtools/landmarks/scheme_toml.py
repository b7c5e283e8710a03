"""User-defined schemes in TOML files (docs/schemes.md, examples/my_points.toml)."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdtools.errors import DataError, FileError, reason_of
from kdtools.landmarks.scheme import MAX_POINTS, Scheme

_KEYS = ("name", "n_points", "names", "mirror", "outer_corners", "left_eye", "right_eye", "outlines", "regions")
_LARGEST_FILE = 10_000_000  # bytes


def read_scheme(path: Path) -> Scheme:
    """The scheme of a TOML file, which refers to points by index from 0 or by name.

    Raises FileError if it cannot be read, DataError with the file and the key if it is wrong.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            raise DataError(f"{path}: over {_LARGEST_FILE:,} bytes, which no scheme has", "is it the right file?")
        fields = tomllib.loads(text.decode())
    except OSError as error:
        raise FileError(f"{path}: {reason_of(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not TOML: {reason_of(error)}", "see docs/schemes.md for an example") from error
    try:
        return _scheme_of(fields)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error


def scheme_to_toml(scheme: Scheme) -> str:
    """TOML text of a scheme, to start one's own from; `read_scheme` reads it back. Points by name if they have any."""
    names = scheme.names or None

    def listed(points: Sequence[int]) -> str:
        return "[" + ", ".join(_quoted(names[i]) if names else str(i) for i in points) + "]"

    lines = [f"name = {_quoted(scheme.name)}"]
    if names:
        lines += ["names = [", *(f"    {_quoted(name)},  # {i}" for i, name in enumerate(names)), "]"]
    else:
        lines.append(f"n_points = {scheme.n_points}")
    if scheme.mirror is not None:
        pairs = [(i, j) for i, j in enumerate(scheme.mirror) if i < j]
        lines += ["", "# Pairs of points that change places in a mirrored image; the others lie on the middle line."]
        lines += ["mirror = [", *(f"    {listed(pair)}," for pair in pairs), "]"]
    elif not scheme.flips:
        lines += ["", "mirror = false  # never flip images"]
    eyes = [(key, getattr(scheme, key)) for key in ("outer_corners", "left_eye", "right_eye")]
    lines += ["", *(f"{key} = {listed(points)}" for key, points in eyes if points is not None)]
    if scheme.outlines:
        lines += ["", "# Lines to draw; one that ends where it began is closed."]
        lines += ["outlines = [", *(f"    {listed(line)}," for line in scheme.outlines), "]"]
    if scheme.regions:
        lines += ["", "[regions]", *(f"{_quoted(name)} = {listed(points)}" for name, points in scheme.regions)]
    return "\n".join(lines) + "\n"


def _scheme_of(fields: dict[str, Any]) -> Scheme:
    unknown = [key for key in fields if key not in _KEYS]
    if unknown:
        raise DataError(f"unknown key {unknown[0]!r}", f"the keys are {', '.join(_KEYS)}")
    name = fields.get("name")
    if not (isinstance(name, str) and name):
        raise DataError("name: must be a text that is not empty", 'for example name = "my_points"')
    names, n_points = _names_of(fields)
    points = _Points(n_points, names)
    corners = points.listed(fields["outer_corners"], "outer_corners") if "outer_corners" in fields else None
    if corners is not None and (len(corners) != 2 or corners[0] == corners[1]):
        raise DataError("outer_corners: must be two points", "the outer corner of the left eye, then of the right one")
    eyes = {key: points.listed(fields[key], key) for key in ("left_eye", "right_eye") if key in fields}
    if len(eyes) == 1:
        raise DataError(f"{next(iter(eyes))}: the other eye is not given", "give left_eye and right_eye, or neither")
    regions = fields.get("regions", {})
    if not isinstance(regions, dict):
        raise DataError("regions: must be a table", "for example, under [regions]: mouth = [3, 4, 5]")
    pairs = fields.get("mirror")
    return Scheme(
        name,
        n_points,
        mirror=None if pairs is None or pairs is False else _mirror_of(pairs, points),
        flips=pairs is not False,
        outer_corners=None if corners is None else (corners[0], corners[1]),
        outlines=tuple(points.listed(line, "outlines") for line in _list_of(fields.get("outlines", []), "outlines")),
        names=names,
        regions=tuple((region, points.listed(part, f"regions.{region}")) for region, part in regions.items()),
        **eyes,
    )


def _names_of(fields: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """Names of the points (none, or one for each) and how many points there are."""
    names = _list_of(fields.get("names", []), "names")
    if not all(isinstance(name, str) and name for name in names):
        raise DataError("names: must be texts that are not empty")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"names: {twice[0]!r} occurs twice", "every point needs a name of its own")
    n_points = fields.get("n_points", len(names))
    if not _is_index(n_points) or not 1 <= n_points <= MAX_POINTS:
        raise DataError("n_points: must be a whole number above 0", "give n_points, or names with one for each point")
    if names and n_points != len(names):
        raise DataError(f"n_points: is {n_points}, but there are {len(names)} names", "one of the two is enough")
    return tuple(names), n_points


class _Points:
    """Points by index or by name -> indices."""

    def __init__(self, n_points: int, names: tuple[str, ...]) -> None:
        self.n_points = n_points
        self.index_of = {name: i for i, name in enumerate(names)}

    def listed(self, values: Any, key: str) -> tuple[int, ...]:
        """Indices of a list of points, at least one. Raises DataError that names the key and the value."""
        if not _list_of(values, key):
            raise DataError(f"{key}: an empty list of points")
        return tuple(self._index(value, key) for value in values)

    def _index(self, value: Any, key: str) -> int:
        if isinstance(value, str):
            if value not in self.index_of:
                raise DataError(f"{key}: no point is called {value!r}", "names of points stand in `names`")
            return self.index_of[value]
        if not _is_index(value) or not 0 <= value < self.n_points:
            hint = f"points are counted from 0 to {self.n_points - 1}"
            raise DataError(f"{key}: {value!r} is not a point", hint)
        return int(value)


def _mirror_of(pairs: Any, points: _Points) -> tuple[int, ...]:
    """Mirror map of pairs; a point in no pair, or paired with itself, lies on the middle line."""
    mirror: dict[int, int] = {}
    if not isinstance(pairs, list):
        hint = "write mirror = [[0, 4], [1, 3]], or mirror = false for points that have no mirror image"
        raise DataError(f"mirror: {pairs!r} is neither a list of pairs nor false", hint)
    for pair in pairs:
        ends = points.listed(pair, "mirror")
        if len(ends) != 2:
            raise DataError(f"mirror: {pair!r} is not a pair of points", "for example mirror = [[0, 4], [1, 3]]")
        for a, b in (ends, ends[::-1]):
            if mirror.setdefault(a, b) != b:
                raise DataError(f"mirror: {pair!r}: one of them is in another pair already", "a point has one partner")
    return tuple(mirror.get(i, i) for i in range(points.n_points))


def _list_of(values: Any, key: str) -> list[Any]:
    if not isinstance(values, list):
        raise DataError(f"{key}: {values!r} is not a list", f"write {key} = [...]")
    return values


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _quoted(text: str) -> str:
    r"""A TOML basic string, with escapes for what a terminal could obey; JSON's escapes are TOML's, but for \U."""
    letters = (one if one.isprintable() else _escape_of(one) for one in json.dumps(text, ensure_ascii=False))
    return "".join(letters)


def _escape_of(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 1 << 16 else f"\\U{ord(letter):08x}"
