"""Landmark schemes: what each point of a set means."""

from kdtools.schemes.conversions import Conversion, conversion_targets, convert_mask, convert_points, find_conversion
from kdtools.schemes.custom import read_scheme, scheme_to_toml
from kdtools.schemes.known import IBUG68, WFLW98
from kdtools.schemes.registry import ALIASES, SCHEMES, scheme_for_points, scheme_named
from kdtools.schemes.scheme import INDEX_FIELDS, JSON_FIELDS, Scheme

__all__ = [
    "ALIASES",
    "IBUG68",
    "INDEX_FIELDS",
    "JSON_FIELDS",
    "SCHEMES",
    "WFLW98",
    "Conversion",
    "Scheme",
    "conversion_targets",
    "convert_mask",
    "convert_points",
    "find_conversion",
    "read_scheme",
    "scheme_for_points",
    "scheme_named",
    "scheme_to_toml",
]
