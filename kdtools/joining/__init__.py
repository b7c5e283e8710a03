"""Faces files joined by rows, parts of them, and parts that share nobody."""

from kdtools.joining.choose import IdPatterns, Part, parse_subsets, read_patterns, take_parts
from kdtools.joining.merge import check_joinable, write_merged
from kdtools.joining.split import choose_subset, draw_folds, write_parts

__all__ = [
    "IdPatterns",
    "Part",
    "check_joinable",
    "choose_subset",
    "draw_folds",
    "parse_subsets",
    "read_patterns",
    "take_parts",
    "write_merged",
    "write_parts",
]
