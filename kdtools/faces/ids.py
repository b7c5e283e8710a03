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


def are_unique(ids: np.ndarray) -> bool:
    """Whether no two ids (N,) of bytes are the same."""
    if ids.dtype.kind == "S":
        digests = np.sort(_digests(ids))
        if (digests[1:] != digests[:-1]).all():
            return True
    return len(set(ids.tolist())) == len(ids)


def look_up(ids: Sequence[bytes] | np.ndarray, other_ids: Sequence[bytes] | np.ndarray, absent: int) -> np.ndarray:
    """Row of each of `ids` in `other_ids`, (N,) int64; `absent` where there is none."""
    if isinstance(ids, np.ndarray) and isinstance(other_ids, np.ndarray) and len(ids) == len(other_ids):
        rows = _same_in_other_order(ids, other_ids)
        if rows is not None:
            return rows
    ids, other_ids = (each.tolist() if isinstance(each, np.ndarray) else each for each in (ids, other_ids))
    row_of = {identity: row for row, identity in enumerate(other_ids)}
    return np.fromiter((row_of.get(identity, absent) for identity in ids), np.int64, len(ids))


def _same_in_other_order(ids: np.ndarray, other_ids: np.ndarray) -> np.ndarray | None:
    """Row of each of `ids` in `other_ids` (N,), if these are the same in another order; else None."""
    if not ids.dtype.kind == other_ids.dtype.kind == "S":
        return None
    rows = np.empty(len(ids), np.int64)
    rows[np.argsort(_digests(ids))] = np.argsort(_digests(other_ids))
    return rows if np.array_equal(ids, other_ids[rows]) else None


def _digests(ids: np.ndarray) -> np.ndarray:
    """64 bits of each of ids (N,), a sum of their words times random numbers; no width changes them."""
    n_words = -(-ids.itemsize // 8)
    words = ids.astype(f"S{8 * n_words}").view(np.uint64).reshape(len(ids), n_words)
    return np.asarray(words @ np.random.default_rng(0).integers(0, 1 << 64, n_words, np.uint64))


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
