"""Faces that belong together, told by their ids, and splits that keep them together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, UsageError, some_of

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
class Grouping:
    """The person or photograph of each face, N names, and in words how it was found."""

    names: list[str]
    told: str
    certain: bool

    def in_both(self, chosen: np.ndarray) -> list[str]:
        """Names with faces on both sides of a mask (N,)."""
        sides = [{name for name, is_in in zip(self.names, chosen, strict=True) if is_in == side} for side in (0, 1)]
        return sorted(sides[0] & sides[1])


def group_faces(ids: Sequence[str], pattern: str | None) -> Grouping:
    """Who is who: by the first group of a regular expression that is searched in each id, or by `find_groups`.

    Raises UsageError for an expression that is none or has no group, DataError for ids in which it is not found.
    """
    if pattern is None:
        names, numbered = find_groups(ids)
        told = "nobody in both by their ids" if len(set(names)) < len(ids) else "each face by itself"
        if numbered:
            told += f"; names like {numbered[0]!r} are taken for numbered files, not for people"
        return Grouping(names, told, certain=False)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group {pattern!r} is no regular expression: {error}") from error
    if not expression.groups:
        raise UsageError(f"--group {pattern!r} has no group", "put ( ) around the part that names the person")
    found = [expression.search(identity) for identity in ids]
    lost = [identity for identity, match in zip(ids, found, strict=True) if match is None or match[1] is None]
    if lost:
        hint = "give an expression that finds the person in every id"
        raise DataError(f"--group {pattern!r} finds nobody in {len(lost)} of {len(ids)} ids: {some_of(lost)}", hint)
    names = [match[1] for match in found if match]
    return Grouping(names, f"{len(set(names))} people, nobody in both", certain=True)


def draw_share(groups: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Mask (N,) of about `share` of the faces, whole groups drawn at random.

    Raises DataError where fewer than two faces would be kept.
    """
    sizes = Counter(groups)
    names = sorted(sizes)
    chosen: set[str] = set()
    n_chosen = 0
    for k in np.random.default_rng(seed).permutation(len(names)):
        if n_chosen < share * len(groups) and n_chosen + sizes[names[k]] <= max(1, _OVERSHOOT * share * len(groups)):
            chosen.add(names[k])
            n_chosen += sizes[names[k]]
    if not chosen:
        chosen = {min(names, key=lambda name: sizes[name])}
    mask = np.array([group in chosen for group in groups])
    if (~mask).sum() < 2:
        hint = "give faces of more people, or say with --group who is who"
        raise DataError(f"{len(groups)} faces of {len(names)} people or photographs are too few to split", hint)
    return mask


@dataclass(frozen=True)
class Split:
    """Row numbers of both parts, in file order, and in words what was kept together."""

    kept: np.ndarray
    split_off: np.ndarray
    told: str


def split_rows(ids: Sequence[str], share: float, seed: int) -> Split:
    """Split off about `share` of the faces, whole groups at a time, drawn at random. Raises as `draw_share` does."""
    grouping = group_faces(ids, None)
    chosen = draw_share(grouping.names, share, seed)
    return Split(np.flatnonzero(~chosen), np.flatnonzero(chosen), grouping.told)
