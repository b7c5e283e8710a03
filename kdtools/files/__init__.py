"""Faces files (HDF5) and how any output is written: aside, then renamed into place.

`schema` is what a file may hold, `store` reads it, `writer` writes it, `subsets` names parts of it; `aside` puts
outputs in place; `provenance` and `digests` tell what they were made from, `listing` what lies in a folder.
"""

from kdtools.files.store import FacesFile, check_unique_ids, match_ids, open_faces
from kdtools.files.writer import FacesWriter, create_faces
from kdtools.storage.outputs import check_output, move_into_place, written_aside
from kdtools.storage.provenance import Provenance

__all__ = [
    "FacesFile",
    "FacesWriter",
    "Provenance",
    "check_output",
    "check_unique_ids",
    "create_faces",
    "match_ids",
    "move_into_place",
    "open_faces",
    "written_aside",
]
