"""What stands before the ids of each of several inputs, so that equal names in them stay apart."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_NAMES_OF_PARTS = ("train", "val", "test", "images")  # so data sets call their parts


def id_prefixes(sources: Sequence[str], archive_suffixes: Sequence[str] = ()) -> list[str]:
    """What the ids of each source start with: nothing for a single one, else the name of its folder and a slash.

    A file stands for the folder it lies in, an archive for a folder called as it is without its suffix. Where folders
    are called alike, or as data sets call their parts, as many of those they lie in stand before them as it takes.
    A link stands where it is, not where it leads to; two paths of one folder are that folder, as the first spells it.
    kd-import and kd-predict both take it from here, so that the same sources give the same ids.

    >>> id_prefixes(["/d/23/photos/a.png", "/d/24/photos/a.png", "/d/24/photos/b.png", "/d/fold.tar"], [".tar"])
    ['23/photos/', '24/photos/', '24/photos/', 'fold/']
    """
    if len(sources) == 1:
        return [""]
    places = []
    first_of: dict[Path, tuple[Path, Path]] = {}
    for source in sources:
        place, folder = _place_of(Path(source), archive_suffixes)
        places.append(first_of.setdefault(place.resolve(), (place, folder)))
    label_of = _labels(dict(places))
    return [f"{label}/" if (label := label_of[place]) else "" for place, _ in places]


def _place_of(source: Path, archive_suffixes: Sequence[str]) -> tuple[Path, Path]:
    """The folder or the archive that a source stands for, and the same without an archive's suffix."""
    plain = Path(os.path.abspath(source))
    if not (plain.exists() and plain.samefile(source)):  # a `..` behind a link leads elsewhere
        plain = source.resolve()
    if plain.is_dir():
        return plain, plain
    for suffix in archive_suffixes:
        if plain.name.lower().endswith(suffix):
            return plain, plain.with_name(plain.name[: -len(suffix)] or plain.name)
    return plain.parent, plain.parent


def _labels(folder_of: dict[Path, Path]) -> dict[Path, str]:
    """The shortest ends of folders' paths that differ; of the root of the file system it is empty."""
    times = Counter(folder_of.values())  # an archive beside a folder or another archive of its name keeps its suffix
    parts = {place: (place if times[folder] > 1 else folder).parts[1:] for place, folder in folder_of.items()}
    length = {place: 2 if names[-1:] and names[-1] in _NAMES_OF_PARTS else 1 for place, names in parts.items()}
    while True:
        labels = {place: "/".join(names[-length[place] :]) for place, names in parts.items()}
        times_of_label = Counter(labels.values())
        alike = [p for p, label in labels.items() if times_of_label[label] > 1 and length[p] < len(parts[p])]
        if not alike:
            return labels
        for place in alike:
            length[place] += 1
