"""Faces that belong together, told by their ids, and splits that keep them together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, UsageError, some_of

_HABIT_OF_FOLDER = 0.8  # share of its folder above which a common name is one of numbered files (set_0001), ...
_HABIT_OF_ALL = 0.1  # ... if it is also more than this share of all faces: one person among many may have a folder
_FOLDERS_OF_OWN = 3  # so many folders that one name fills each are people or videos: ann/ann_01, clip7/frame_0001
_FOLDERS_OF_GENERIC = 10  # the same of names that say nothing: 300W has image_0001 in three folders
_NO_PERSON = re.compile(r"(^|[/_])(image|img|photo|pic|picture|face|dsc|indoor|outdoor)$", re.IGNORECASE)
_EVENT = re.compile(r"(^|/)\d+--[^/]+/\d+_[^/]+$")  # WIDER's and so WFLW's: 0--Parade/0_Parade_marchingband_1_346.jpg


@dataclass(frozen=True)
class Groups:
    """Who is who among N ids: `codes` (N,) int64, equal for faces that belong together.

    `ends` (N,) is the length in bytes of what each id shares with its group. `numbered` are names that are so common
    that they were taken for a habit of naming files; faces under such a name stand for themselves, apart from faces of
    one image.
    """

    codes: np.ndarray
    ends: np.ndarray
    numbered: list[str]


def find_groups(ids: Sequence[bytes] | np.ndarray) -> Groups:
    """Groups of ids in UTF-8, told by what their names share. A million ids take well under a second.

    `ann_07.jpg` belongs to `ann`, and so does `ann/07.jpg`; `party.jpg#2`, of several faces in one image, to `party`.

    >>> ids = [b"actor/Ann_Lee_07.jpg", b"ann/07.jpg", b"party.jpg#2"]
    >>> [identity[:end] for identity, end in zip(ids, find_groups(ids).ends)]
    [b'actor/Ann_Lee', b'ann', b'party']
    """
    found = _read_prefixes(ids)
    if not len(ids):
        return Groups(np.empty(0, np.int64), np.empty(0, np.int64), [])
    group, of_group = _number(found.group_hash)
    folder, of_folder = _number(found.folder_hash)
    _, first = np.unique(group, return_index=True)

    def name(k: int) -> str:
        return bytes(ids[first[k]])[: found.group_end[first[k]]].decode()

    fills = np.bincount(group[of_group[group] > _HABIT_OF_FOLDER * of_folder[folder]], minlength=len(of_group)) > 0
    fills &= of_group > 1
    generic, event = np.zeros((2, len(of_group)), bool)
    for k in np.flatnonzero(of_group > 1):
        generic[k], event[k] = _NO_PERSON.search(name(int(k))), _EVENT.search(name(int(k)))
    # Many folders, each filled by one name, are people or videos; one or two are ways of numbering files.
    generic &= ~fills | ((generic & fills).sum() < _FOLDERS_OF_GENERIC)
    own = fills & ~generic & ~event
    is_numbering = own & (own.sum() < _FOLDERS_OF_OWN) & (of_group > _HABIT_OF_ALL * len(ids))
    is_habit = generic | event | is_numbering
    apart = is_habit[group]
    ends = np.where(apart, found.photo_end, found.group_end)
    codes, _ = _number(np.where(apart, found.photo_hash, found.group_hash))
    return Groups(codes, ends, sorted(name(int(k)) for k in np.flatnonzero(is_habit & (of_group > 1))))


def _number(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal hashes -> equal numbers from 0 on (N,), and how often each number stands."""
    _, codes, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return codes.reshape(-1), counts


@dataclass(frozen=True)
class _Prefixes:
    """Lengths in bytes and 64-bit hashes, (N,) each, of the beginnings of ids that mean something."""

    group_end: np.ndarray
    photo_end: np.ndarray
    group_hash: np.ndarray
    photo_hash: np.ndarray
    folder_hash: np.ndarray


_BLOCK = 8192  # ids; one of 4,000 bytes among them makes 32 MB of each array of bytes
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LETTERS = np.isin(np.arange(256), list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
_DIGITS = np.isin(np.arange(256), list(b"0123456789"))


def _read_prefixes(ids: Sequence[bytes] | np.ndarray) -> _Prefixes:
    """All ids of a block at once, one row of bytes each: id by id in Python takes seconds for a million."""
    blocks = [_read_block(list(ids[a : a + _BLOCK])) for a in range(0, len(ids), _BLOCK)]
    if not blocks:
        return _Prefixes(*[np.empty(0, np.int64)] * 5)
    return _Prefixes(*map(np.concatenate, zip(*blocks, strict=True)))


def _read_block(ids: list[bytes]) -> tuple[np.ndarray, ...]:
    length = np.fromiter(map(len, ids), np.int64, len(ids))
    width = max(1, int(length.max()))
    text = np.array(ids, f"S{width}").view(np.uint8).reshape(len(ids), width)
    column = np.arange(width)

    def last(is_one: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Column of the last byte before column `before` of which `is_one` is true; -1 where there is none."""
        there = is_one & (column < before[:, None])
        return np.where(there.any(axis=1), width - 1 - there[:, ::-1].argmax(axis=1), -1)

    def cut(before: np.ndarray, run: np.ndarray, separators: bytes) -> np.ndarray:
        """Where a separator and a run of these bytes end the name, the column of the separator; else `before`."""
        place = last(~run[text], before)
        separated = np.isin(text[np.arange(len(ids)), place], list(separators))
        return np.where((place >= 0) & separated & (place + 1 < before), place, before)

    photo_end = cut(length, _DIGITS, b"#")
    group_end = cut(cut(photo_end, _LETTERS, b"."), _DIGITS, b"_/")
    folder_end = np.maximum(last(text == ord("/"), photo_end), 0)

    running = np.zeros((width + 1, len(ids)), np.uint64)  # hash of the first 0, 1, 2, ... bytes
    for k, byte in enumerate(np.ascontiguousarray(text.T).astype(np.uint64)):
        running[k + 1] = (running[k] ^ byte) * _FACTOR + np.uint64(1)
    rows = np.arange(len(ids))
    return group_end, photo_end, running[group_end, rows], running[photo_end, rows], running[folder_end, rows]


@dataclass(frozen=True)
class Grouping:
    """The person or photograph of each face, N names, and in words how it was found; `numbered` as in `Groups`."""

    names: list[str]
    told: str
    certain: bool
    numbered: tuple[str, ...] = ()

    def in_both(self, chosen: np.ndarray) -> list[str]:
        """Names with faces on both sides of a mask (N,)."""
        sides = [{name for name, is_in in zip(self.names, chosen, strict=True) if is_in == side} for side in (0, 1)]
        return sorted(sides[0] & sides[1])


def group_faces(ids: Sequence[str], pattern: str | None) -> Grouping:
    """Who is who: by the first group of a regular expression that is searched in each id, or by `find_groups`.

    The word `none` stands for no people: each face is by itself.

    Raises UsageError for an expression that is none or has no group, DataError for ids in which it is not found.
    """
    if pattern is None:
        found = find_groups(texts := [identity.encode() for identity in ids])
        names = [text[:end].decode() for text, end in zip(texts, found.ends, strict=True)]
        told = "nobody in both by their ids" if len(set(names)) < len(ids) else "each face by itself"
        if found.numbered:
            told += f"; names like {found.numbered[0]!r} are taken for numbered files, not for people"
        return Grouping(names, told, certain=False, numbered=tuple(found.numbered))
    if pattern == "none":
        return Grouping(list(ids), "each face by itself", certain=True)
    expression = compile_pattern("--group", pattern, 1, "put ( ) around the part that names the person")
    matches = [expression.search(identity) for identity in ids]
    lost = [identity for identity, match in zip(ids, matches, strict=True) if match is None or match[1] is None]
    if lost:
        hint = "give an expression that finds the person in every id"
        raise DataError(f"--group {pattern!r} finds nobody in {len(lost)} of {len(ids)} ids: {some_of(lost)}", hint)
    names = [match[1] for match in matches if match]
    return Grouping(names, f"{len(set(names))} people, nobody in both", certain=True)


def compile_pattern(option: str, pattern: str, n_groups: int, hint: str) -> re.Pattern[str]:
    """The expression of an option. Raises UsageError for one that is none or has fewer groups."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{option} {pattern!r} is no regular expression: {error}") from error
    if expression.groups < n_groups:
        raise UsageError(f"{option} {pattern!r} has {('no group', 'no two groups')[n_groups - 1]}", hint)
    return expression
