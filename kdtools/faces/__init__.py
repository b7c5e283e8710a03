"""The faces file (HDF5): read (file), written (writer), checked, chosen from, split and merged.

`schema` is what a file may hold; `people` says which faces belong together, by their ids.
"""

from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.ids import check_unique_ids, match_ids
from kdtools.faces.writer import FacesWriter, create_faces

__all__ = [
    "FacesFile",
    "FacesWriter",
    "check_unique_ids",
    "create_faces",
    "match_ids",
    "open_faces",
]
