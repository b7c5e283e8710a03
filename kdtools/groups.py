"""Faces that belong together, told by their ids, and splits that keep them together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError

_LARGEST_GROUP = 0.1  # a group with a larger share of the faces is no person but a file-name habit (image_0001)


def group_of(identity: str) -> str:
    """What ids of one person or photograph share: `name_07.jpg` -> `name`, `photo.jpg#2` -> `photo`.

    >>> group_of("actor/Ann_Lee_07.jpg"), group_of("party.jpg#2")
    ('actor/Ann_Lee', 'party')
    """
    stem = re.sub(r"\.[A-Za-z0-9]+$", "", identity.partition("#")[0])
    return re.sub(r"_\d+$", "", stem)


def split_rows(ids: Sequence[str], share: float, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Rows to train on, rows to validate with, and whether whole groups were kept together.

    Groups are drawn at random until `share` of the faces is reached. Where the ids tell no groups each face stands for
    itself, apart from faces of one image. Raises DataError where either part would be empty.
    """
    groups = [group_of(identity) for identity in ids]
    sizes = Counter(groups)
    groups = [
        group if sizes[group] <= max(1, _LARGEST_GROUP * len(ids)) else identity.partition("#")[0]
        for group, identity in zip(groups, ids, strict=True)
    ]
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    sizes, chosen, n_val = Counter(groups), set(), 0
    for k in order:
        if n_val >= share * len(ids):
            break
        chosen.add(names[k])
        n_val += sizes[names[k]]
    is_val = np.array([group in chosen for group in groups])
    train, val = np.flatnonzero(~is_val), np.flatnonzero(is_val)
    if len(train) < 2 or len(val) < 1:
        raise DataError(f"{len(ids)} faces are too few to train on and to validate with", "give more, or --val FILE")
    return train, val, len(names) < len(ids)
