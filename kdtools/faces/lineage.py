"""What a faces file is made from."""

from __future__ import annotations

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.faces.validation import plain
from kdtools.storage.lineage import ATTRIBUTES, Lineage


def lineage_of_faces(faces: FacesFile) -> Lineage:
    """Data sets and networks behind a file, and their terms. Raises DataError where that cannot be read."""
    attributes = faces.h5.attrs
    try:
        return Lineage.from_faces({key: plain(attributes[key]) for key in ATTRIBUTES if key in attributes})
    except DataError as error:
        raise DataError(f"{faces.name}: {error.message}", error.hint) from error
