"""Landmark schemes: what each point of a set means."""

from kdtools.landmarks.conversions import convert_mask, convert_points, find_conversion
from kdtools.landmarks.known_schemes import IBUG68, WFLW98
from kdtools.landmarks.registry import SCHEMES, scheme_for_points, scheme_named
from kdtools.landmarks.scheme import INDEX_FIELDS, JSON_FIELDS, Scheme
from kdtools.landmarks.scheme_toml import read_scheme, scheme_to_toml

__all__ = [
    "IBUG68",
    "INDEX_FIELDS",
    "JSON_FIELDS",
    "SCHEMES",
    "WFLW98",
    "Scheme",
    "convert_mask",
    "convert_points",
    "find_conversion",
    "read_scheme",
    "scheme_for_points",
    "scheme_named",
    "scheme_to_toml",
]
