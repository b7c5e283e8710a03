"""Pictures of faces with sets of points over them: which faces, what is drawn on them, and the sheet they stand on.

`gallery` chooses and reads faces, `overlay` draws points, `lettering` and `legend` write; `sheet` and `pictures` put
faces together and into files, `worst` those with the largest errors of an evaluation.
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
