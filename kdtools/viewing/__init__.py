"""Pictures of faces with landmarks drawn on them, singly or as contact sheets.

`gallery` chooses and reads faces, `overlay` draws points, `lettering` writes text and legends, `sheet` arranges faces,
`output` writes files, and `worst` shows the faces with the largest errors of an evaluation.
"""

from kdtools.viewing.gallery import Gallery, choose_rows, gather
from kdtools.viewing.output import check_picture, write_each, write_sheet
from kdtools.viewing.overlay import MOST_SETS, Style

__all__ = [
    "MOST_SETS",
    "Gallery",
    "Style",
    "check_picture",
    "choose_rows",
    "gather",
    "write_each",
    "write_sheet",
]
