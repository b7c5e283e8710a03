"""Formats of one annotation file a picture: reading that file, and finding the picture of its name.

Faces of 300W get the ids they have in its lists, lfpw/testset/image_0208.png, from whatever folder above or inside
300W they are read, and the subsets of `family300w`.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Reading, clean_name
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.errors import DataError

_USUAL_FILE = 1 << 14  # bytes, about 700 points
_LARGEST_FILE = 1_000_000  # bytes, about 40,000 points


def first_line(path: Path) -> str:
    """First line without the spaces around it; empty where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(200)).partition("\n")[0].strip()
    except OSError:
        return ""


def read_text(path: Path) -> str:
    """Raises DataError for a file far too large to be one face's."""
    with open(path, "rb", buffering=0) as stream:  # a buffer takes longer to make than the file to read
        data = stream.read(_USUAL_FILE)
        while len(data) <= _LARGEST_FILE and (piece := stream.read(_LARGEST_FILE + 1 - len(data))):
            data += piece
    if len(data) > _LARGEST_FILE:
        raise DataError(f"is larger than {_LARGEST_FILE:,} bytes, which no face's file is")
    return _decoded(data)


def _decoded(data: bytes) -> str:
    """Text in UTF-8, or in UTF-16 where its mark stands in front."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def find_partner(path: Path, root: Path, reading: Reading) -> tuple[str, Path] | None:
    """The picture with the stem of an annotation file below `root`: its name below `root`, and its path.

    Looked for below each of `reading.roots`, where leading folders of the name are left out one by one, and beside the
    file; suffixes are tried in a fixed order, as written and in capitals. None, after a skip, where there is none.
    Raises DataError where two files so lead to one picture.
    """
    stem = path.relative_to(root).with_suffix("")
    elsewhere = reading.roots if reading.pictures else ()
    tails = [folder.joinpath(*stem.parts[k:]) for folder in elsewhere for k in range(len(stem.parts))]
    for place in [*tails, path.with_suffix("")]:
        picture = reading.name_of_stem(place.name, place.parent, str(path))
        if picture is not None:
            name = stem.as_posix() + picture[len(place.name) :]
            return name, reading.claim(place.parent / picture, name) if reading.pictures else Path(name)
    if not reading.pictures:
        name = f"{stem.as_posix()}{_usual_suffix(face_id(stem.as_posix(), root.resolve().as_posix()))}"
        return name, Path(name)
    reading.n_absent += 1
    places = "".join(f" or below {folder}" for folder in reading.roots)
    reading.skip(str(path), f"there is no image with the same name next to it{places}")
    return None


def _usual_suffix(identity: str) -> str:
    """What 300W's pictures end in, for ids where none is at hand: LFPW and the private test set are PNG."""
    return ".png" if identity.startswith(("lfpw/", "01_Indoor/", "02_Outdoor/")) else ".jpg"


def face_id(name: str, home: str) -> str:
    """Id of the picture `name` below the folder `home`; the path of that may be all that tells that it is 300W's."""
    for path in (name, f"{home}/{name}"):
        if subsets_of(id_in_300w(path)):
            return id_in_300w(path)
    return clean_name(name)


def subsets_of(identity: str) -> frozenset[str]:
    """Subsets of an id that has 300W's folders and no more: other sets too may have a folder called helen or afw."""
    parts = identity.split("/")
    n_folders = 2 if parts[0] in ("helen", "lfpw") else 1
    return subsets_in_300w(identity) if len(parts) == n_folders + 1 else frozenset()


def frame_name(video: str, frame: int) -> str:
    return f"{video}/frame_{frame:06d}"
