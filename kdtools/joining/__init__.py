"""Faces files joined by rows (merge, virtual), parts of them (choose), and parts that share nobody (split)."""

from kdtools.joining.choose import IdPatterns, Part, patterns_by_subset, read_patterns, take_parts
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
    "patterns_by_subset",
    "read_patterns",
    "take_parts",
    "write_merged",
    "write_parts",
    "write_virtual",
]
