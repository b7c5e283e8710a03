"""Faces that belong together, told by their ids, and splits that keep them together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError

_HABIT_OF_FOLDER = 0.8  # share of its folder above which a common name is one of numbered files (image_0001), ...
_HABIT_OF_ALL = 0.1  # ... if it is also more than this share of all faces: one person among many may have a folder
_OVERSHOOT = 1.5  # how far a split may go past the share asked for, to keep a group whole


def group_of(identity: str) -> str:
    """What ids of one person or photograph share.

    `ann_07.jpg` -> `ann`, `ann/07.jpg` -> `ann`, and of several faces in one image `party.jpg#2` -> `party`.

    >>> group_of("actor/Ann_Lee_07.jpg"), group_of("ann/07.jpg"), group_of("party.jpg#2")
    ('actor/Ann_Lee', 'ann', 'party')
    """
    stem = re.sub(r"\.[A-Za-z0-9]+$", "", identity.partition("#")[0])
    return re.sub(r"[_/]\d+$", "", stem)


def find_groups(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The group of each id, and names that are so common that they were taken for a habit of naming files.

    Faces under such a name stand for themselves, apart from faces of one image.
    """
    groups = [group_of(identity) for identity in ids]
    folders = [identity.rpartition("/")[0] for identity in ids]
    of_group, of_folder = Counter(groups), Counter(folders)
    habits = {
        group
        for group, folder in set(zip(groups, folders, strict=True))
        if of_group[group] > _HABIT_OF_FOLDER * of_folder[folder] and of_group[group] > _HABIT_OF_ALL * len(ids)
    }
    apart = [
        identity.partition("#")[0] if group in habits else group for group, identity in zip(groups, ids, strict=True)
    ]
    return apart, sorted(group for group in habits if of_group[group] > 1)


@dataclass(frozen=True)
class Split:
    """Row numbers of both parts, in file order, and in words what was kept together."""

    kept: np.ndarray
    split_off: np.ndarray
    told: str


def split_rows(ids: Sequence[str], share: float, seed: int) -> Split:
    """Split off about `share` of the faces, whole groups at a time, drawn at random.

    Raises DataError where a part would be too small: fewer than two faces to keep, or none to split off.
    """
    groups, habits = find_groups(ids)
    sizes = Counter(groups)
    names = sorted(sizes)
    chosen: set[str] = set()
    n_chosen = 0
    for k in np.random.default_rng(seed).permutation(len(names)):
        if n_chosen < share * len(ids) and n_chosen + sizes[names[k]] <= max(1, _OVERSHOOT * share * len(ids)):
            chosen.add(names[k])
            n_chosen += sizes[names[k]]
    if not chosen:
        chosen = {min(names, key=lambda name: sizes[name])}
    is_chosen = np.array([group in chosen for group in groups])
    kept, split_off = np.flatnonzero(~is_chosen), np.flatnonzero(is_chosen)
    if len(kept) < 2:
        raise DataError(f"{len(ids)} faces of {len(names)} people or photographs are too few to split", "give more")
    told = "nobody in both by their ids" if len(names) < len(ids) else "each face by itself"
    if habits:
        told += f"; names like {habits[0]!r} are taken for numbered files, not for people"
    return Split(kept, split_off, told)
