"""Faces files joined by rows, parts of them, and parts that share nobody."""

from kdtools.joining.choose import IdPatterns, Part, parse_subsets, read_patterns, take_parts
from kdtools.joining.merge import check_joinable, write_merged
from kdtools.joining.opened import OpenFaces
from kdtools.joining.split import choose_subset, draw_folds, write_parts
from kdtools.joining.virtual import check_referable, write_virtual

__all__ = [
    "IdPatterns",
    "OpenFaces",
    "Part",
    "check_joinable",
    "check_referable",
    "choose_subset",
    "draw_folds",
    "parse_subsets",
    "read_patterns",
    "take_parts",
    "write_merged",
    "write_parts",
    "write_virtual",
]
