"""Formats of one annotation file a picture, whose pictures may lie in a folder of their own: landmarks/ and images/.

An id is the path of the annotation file below the source, without the folder of the annotations and with the suffix of
the picture: `train/landmarks/1.txt` -> `train/1.jpg`. So it is the same whether or not the pictures are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Reading, clean_name
from kdtools.storage.file_kinds import IMAGE_SUFFIXES

_LABELS = {
    *("labels", "label", "landmarks", "landmark", "annotations", "annotation", "anno", "annot", "points", "json"),
    *("corrected_landmark", "corrected_landmarks"),
}
_PICTURES = ("images", "image", "imgs", "img", "pictures", "picture", "photos")


def find_labelled(path: Path, root: Path, reading: Reading, name: str | None = None) -> tuple[str, Path] | None:
    """Id and path of the picture of the annotation file `path` below `root`; None, after a skip, where there is none.

    Its name is `name`, or that of the file without its suffix, and may lack the suffix of a picture. It is looked for
    below `reading.roots`, where leading folders are left out one by one; beside the file; in its folder images/; and
    where the folder of the annotations has a folder of pictures beside it, in the same place there.
    """
    own = path.relative_to(root)
    stem = own.with_suffix("") if name is None else own.with_name(name)
    plain = Path(*(part for part in stem.parts[:-1] if part.lower() not in _LABELS), stem.name)
    has_suffix = stem.suffix.lower() in IMAGE_SUFFIXES
    for folder in _folders(path.parent, plain, reading):
        is_there = has_suffix and stem.name in reading.names_in(str(folder)) and os.path.isfile(folder / stem.name)
        found = stem.name if is_there else reading.name_of_stem(stem.name, folder, str(path))
        if found is not None:
            identity = clean_name(f"{plain.as_posix()}{found[len(stem.name) :]}")
            return identity, reading.claim(folder / found, identity) if reading.pictures else Path(identity)
    if not reading.pictures:
        identity = clean_name(plain.as_posix() + ("" if has_suffix else ".jpg"))
        return identity, Path(identity)
    reading.n_absent += 1
    places = "".join(f" or below {folder}" for folder in reading.roots)
    reading.skip(str(path), f"there is no image {stem.name!r} next to it or in a folder images{places}")
    return None


def _folders(home: Path, plain: Path, reading: Reading) -> Iterator[Path]:
    """Where the picture may lie. `home` is the folder of the annotation file, `plain` the id without a suffix."""
    for root in reading.roots:
        for k in range(len(plain.parts)):
            yield root / Path(*plain.parts[k:]).parent
    yield home
    whole = home.absolute()
    for k in range(len(whole.parts) - 1, 0, -1):
        if whole.parts[k].lower() in _LABELS:
            above, rest = Path(*whole.parts[:k]), whole.parts[k + 1 :]
            beside = sorted(reading.names_in(str(above)))
            for wanted in _PICTURES:
                yield from (above / name / Path(*rest) for name in beside if name.lower() == wanted)
            yield above / Path(*rest)
            break
    yield from (home / name for name in _PICTURES)
