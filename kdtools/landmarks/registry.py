"""Schemes known by name or by their number of points."""

from __future__ import annotations

from pathlib import Path

from kdtools.errors import UsageError
from kdtools.landmarks.dense_schemes import INSIGHTFACE106, LAPA106, MEDIAPIPE468
from kdtools.landmarks.known_schemes import AFLW19, COFW29, IBUG51, IBUG68, IMM73, MUCT76, POINTS5, WFLW98
from kdtools.landmarks.scheme import Scheme
from kdtools.landmarks.scheme_toml import read_scheme

# Of two with the same number of points, a number alone means the first.
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        *(IBUG68, IBUG51, WFLW98, COFW29, AFLW19, MUCT76, IMM73, POINTS5),
        *(LAPA106, INSIGHTFACE106, MEDIAPIPE468),
    )
}
ALIASES = {
    "300w": "ibug68",
    "dlib68": "ibug68",
    "wflw": "wflw98",
    "cofw": "cofw29",
    "aflw": "aflw19",
    "muct": "muct76",
    "imm": "imm73",
    "lapa": "lapa106",
    "jd106": "lapa106",
    "mediapipe": "mediapipe468",
    "five": "points5",
}


def scheme_for_points(n_points: int) -> Scheme:
    """The known scheme with that many points, or a scheme without mirror map, eyes and outlines."""
    for scheme in SCHEMES.values():
        if scheme.n_points == n_points:
            return scheme
    return own_scheme(n_points)


def own_scheme(n_points: int) -> Scheme:
    """A scheme that knows only how many points there are, under a name that no known scheme has."""
    name = f"points{n_points}"
    return Scheme(f"custom{n_points}" if name in SCHEMES else name, n_points)


def scheme_named(text: str) -> Scheme:
    """The scheme of a name or alias, or of a TOML file whose path ends in .toml.

    Raises UsageError that lists the known names, and as `read_scheme` does.
    """
    if text.lower().endswith(".toml"):
        return read_scheme(Path(text))
    name = text.lower()
    if ALIASES.get(name, name) not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise UsageError(f"unknown scheme {text!r}", f"known are {known}; or give the path of a .toml file")
    return SCHEMES[ALIASES.get(name, name)]
