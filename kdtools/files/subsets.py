"""Subsets of a faces file by name: which faces are in one, and which are to be put into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.files.schema import check_subset_name
from kdtools.files.store import FacesFile

ALL_FACES = "full"


def member_of(faces: FacesFile, name: str) -> np.ndarray:
    """Mask (N,) of the faces in a subset; `full` is all of them. Raises DataError for one that is not there."""
    if name == ALL_FACES:
        return np.ones(len(faces), bool)
    subsets = faces.subsets
    if name not in subsets:
        raise DataError(f"{faces.name}: has no subset {name!r}", f"it has {', '.join([ALL_FACES, *subsets])}")
    return subsets[name]


def parse_subsets(option: str, words: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=GLOB` words of an option -> (name, glob). Raises UsageError for one that is none, or for the name full."""
    pairs = []
    for word in words:
        name, equals, glob = word.partition("=")
        if not (equals and glob):
            raise UsageError(f"{option} is {word!r}", "give NAME=GLOB, such as challenging='ibug/*'")
        check_subset_name(name)
        pairs.append((name, glob))
    return pairs
