"""Names of the files that are written one for each face."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from kdtools.errors import DataError
from kdtools.formats.tables import picture_of
from kdtools.storage.file_kinds import IMAGE_SUFFIXES


def crop_name(id: str) -> str:
    """Name of the file for a face's crop: its id, with .png added where it does not end so.

    Raises DataError for an id that cannot be the name of a file below a folder.
    """
    odd = any(letter == "\\" or unicodedata.category(letter) == "Cc" for letter in id)
    if id != id.strip() or odd or any(part in ("", ".", "..") for part in id.split("/")):
        raise DataError(f"{id!r} cannot be the name of a file", "leave it out with --ids, or write one file, as csv")
    return id if id.endswith(".png") else f"{id}.png"


def point_file_name(id: str, suffix: str) -> str:
    """Name of a face's own file of points: its id with `suffix` for that of the picture, `a.jpg#2` -> `a#2.pts`."""
    crop_name(id)
    picture = picture_of(id)
    ending = PurePosixPath(picture).suffix
    stem = picture.removesuffix(ending) if ending.lower() in IMAGE_SUFFIXES else picture
    return stem + id[len(picture) :] + suffix


def unique_names(ids: Sequence[str], names: Sequence[str]) -> None:
    """Raises DataError where two faces would be written to one file."""
    first: dict[str, str] = {}
    for id, name in zip(ids, names, strict=True):
        if first.setdefault(name, id) != id:
            raise DataError(f"{first[name]!r} and {id!r} would both be written to {name}", "choose with --ids")
