"""Whose boxes a file's /box holds. Only those of the annotation may be a length to divide errors by."""

from __future__ import annotations

from collections.abc import Iterable

from kdtools.faces.file import FacesFile
from kdtools.faces.schema import ANNOTATION, BOX_ORIGINS, CROP
from kdtools.faces.validation import plain

# In words, after "its boxes are".
OTHER_BOXES = {
    ANNOTATION: "those of the annotation",
    "detector": "those of a detector",
    CROP: "the squares of crops",
    "": "some that do not say whose they are",
}


def box_origin(faces: FacesFile) -> str:
    """One of BOX_ORIGINS, from the attribute `origin` of /box; "" if it is unknown, or there is no /box.

    Without the attribute, which older files lack: the crop's square if there are images; else nobody can know, since
    it may have come with the annotation or from a file with images.
    """
    if "box" not in faces:
        return ""
    origin = str(plain(faces.h5["box"].attrs.get("origin", "")))
    if origin in BOX_ORIGINS:
        return origin
    return CROP if faces.has_images else ""


def common_origin(files: Iterable[FacesFile]) -> tuple[str, str]:
    """The origin that the boxes of all files share, "" where they differ; and then how, in words."""
    named = [(faces.name, box_origin(faces)) for faces in files if "box" in faces]
    if not named:
        return "", ""
    first, origin = named[0]
    for name, other in named:
        if other != origin:
            words = [f"{file} holds {OTHER_BOXES[of]}" for file, of in ((first, origin), (name, other))]
            return "", ", ".join(words)
    return origin, ""
