"""Reports on faces files and model files, and checks of their contents. Torch is never loaded.

A report is a tree of plain values (see `FIELDS`), the same for terminal, lines and JSON.
"""

from kdtools.inspection.check import check_file
from kdtools.inspection.describe import describe_file, scheme_of
from kdtools.inspection.fields import FIELDS, SCHEME_TOML, field_lines, flatten, to_lines
from kdtools.inspection.finder import check_finder, describe_finder
from kdtools.inspection.open import Opened, open_any
from kdtools.inspection.terminal import print_report

__all__ = [
    "FIELDS",
    "SCHEME_TOML",
    "Opened",
    "check_file",
    "check_finder",
    "describe_file",
    "describe_finder",
    "field_lines",
    "flatten",
    "open_any",
    "print_report",
    "scheme_of",
    "to_lines",
]
