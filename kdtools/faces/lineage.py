"""What a faces file is made from."""

from __future__ import annotations

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.faces.validation import plain
from kdtools.storage.lineage import ATTRIBUTES, Lineage


def lineage_of_faces(*files: FacesFile) -> Lineage:
    """Data sets and networks behind these files, and their terms. Raises DataError where that cannot be read."""
    lineage = Lineage()
    for faces in files:
        attributes = faces.h5.attrs
        try:
            lineage |= Lineage.from_faces({key: plain(attributes[key]) for key in ATTRIBUTES if key in attributes})
        except DataError as error:
            raise DataError(f"{faces.name}: {error.message}", error.hint) from error
    return lineage
