"""Ids of faces: they are unique in a file, and join files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError, some_of


def check_unique_ids(ids: Sequence[str]) -> None:
    """Raises DataError for duplicate ids."""
    if len(set(ids)) != len(ids):
        twice = [identity for identity, count in Counter(ids).items() if count > 1]
        hint = "rename a file or a folder, or give each input once"
        raise DataError(f"two faces have the same id: {some_of(twice)}", hint)


def match_ids(ids: Sequence[str], other_ids: Sequence[str], name: str, other_name: str) -> np.ndarray:
    """Row of each of `ids` in `other_ids`, (N,) int64.

    Raises DataError if an id is missing there or stands there twice.
    """
    row_of = {identity: row for row, identity in enumerate(other_ids)}
    if len(row_of) != len(other_ids):
        raise DataError(f"{other_name}: some ids occur more than once", "ids must be unique to join files by them")
    missing = [identity for identity in ids if identity not in row_of]
    if missing:
        raise DataError(
            f"{other_name}: lacks {len(missing)} of the {len(ids)} faces of {name}: {some_of(missing)}",
            "files are joined by /id; use a file made from the same faces",
        )
    return np.fromiter((row_of[identity] for identity in ids), np.int64, len(ids))
