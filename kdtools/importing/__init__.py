"""Annotated data sets -> faces file: read (collect), choose the box of each face (boxes), cut it out (crop)."""

from kdtools.importing.boxes import choose_boxes
from kdtools.importing.collect import Sources, names_of_points, read_annotations, settle_scheme
from kdtools.importing.crop import crop_annotated, import_faces, import_points

__all__ = [
    "Sources",
    "choose_boxes",
    "crop_annotated",
    "import_faces",
    "import_points",
    "names_of_points",
    "read_annotations",
    "settle_scheme",
]
