"""Which faces show the same person or photograph, from their ids."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, UsageError, some_of
from kdtools.reporting import counted

_NUMBERED_IN_FOLDER = 0.8  # fraction of its folder above which a name is taken for numbered files (set_0001), ...
_NUMBERED_OF_ALL = 0.1  # ... if it also has more than this fraction of all faces: a person may fill a folder
_FOLDERS_OF_OWN = 3  # from so many folders filled by one name each, these are people or videos: ann/ann_01
_FOLDERS_OF_GENERIC = 10  # the same for generic names: 300W has image_0001 in three folders
_NO_PERSON = re.compile(r"(^|[/_])(image|img|photo|pic|picture|face|dsc|indoor|outdoor)$", re.IGNORECASE)
_EVENT = re.compile(r"(^|/)\d+--[^/]+/\d+_[^/]+$")  # of WIDER and WFLW: 0--Parade/0_Parade_marchingband_1_346.jpg


@dataclass(frozen=True)
class Groups:
    """Groups of N faces: `codes` (N,) int64 are equal within a group.

    `ends` (N,) is the length in bytes of the part of each id that names its group. `numbered` are common names taken
    for numbered files; their faces are grouped by image only.
    """

    codes: np.ndarray
    ends: np.ndarray
    numbered: list[str]


def find_groups(ids: Sequence[bytes] | np.ndarray) -> Groups:
    """Groups of ids in UTF-8, by common prefixes. A million ids take well under a second.

    `ann_07.jpg`, `ann-07.jpg`, `ann (7).jpg` and `ann/07.jpg` belong to `ann`, and so does `ANN_08.JPG`; `party.jpg#2`,
    one of several faces in an image, to `party`; `clip.mp4#frame=000012` and `clip/frame_000012` to `clip`. Frames of
    one video always stay together.

    >>> ids = [b"actor/Ann_Lee_07.jpg", b"ann/07.jpg", b"party.jpg#2", b"clip.mp4#frame=000012"]
    >>> [identity[:end] for identity, end in zip(ids, find_groups(ids).ends)]
    [b'actor/Ann_Lee', b'ann', b'party', b'clip']
    """
    prefixes = _read_prefixes(ids)
    if not len(ids):
        return Groups(np.empty(0, np.int64), np.empty(0, np.int64), [])
    group, group_size, first = _number(prefixes.group_hash)
    folder, folder_size, _ = _number(prefixes.folder_hash)

    def name(k: int) -> str:
        return bytes(ids[first[k]])[: prefixes.group_end[first[k]]].decode(errors="replace")

    in_full_folder = group_size[group] > _NUMBERED_IN_FOLDER * folder_size[folder]
    fills = np.bincount(group[in_full_folder], minlength=len(group_size)) > 0
    fills &= group_size > 1
    generic, event = np.zeros((2, len(group_size)), bool)
    for k in np.flatnonzero(group_size > 1):
        generic[k], event[k] = _NO_PERSON.search(name(int(k))), _EVENT.search(name(int(k)))
    # Many folders, each filled by one name, are people or videos; one or two are numbered files.
    generic &= ~fills | ((generic & fills).sum() < _FOLDERS_OF_GENERIC)
    own = fills & ~generic & ~event
    is_numbered = generic | event
    is_numbered |= own & (own.sum() < _FOLDERS_OF_OWN) & (group_size > _NUMBERED_OF_ALL * len(ids))
    if is_numbered.any():
        is_numbered &= _photos_in(group, prefixes.photo_hash) > 1
    if not is_numbered.any():  # so nobody's faces are sorted once more
        return Groups(group, prefixes.group_end, [])
    by_photo = is_numbered[group]
    ends = np.where(by_photo, prefixes.photo_end, prefixes.group_end)
    codes, _, _ = _number(np.where(by_photo, prefixes.photo_hash, prefixes.group_hash))
    return Groups(codes, ends, sorted(name(int(k)) for k in np.flatnonzero(is_numbered & (group_size > 1))))


def _photos_in(group: np.ndarray, photo_hash: np.ndarray) -> np.ndarray:
    """Number of photographs, or videos, of each group."""
    _, _, first = _number(photo_hash)
    return np.bincount(group[first], minlength=group.max() + 1)


def _number(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number equal hashes equally from 0 on, (N,); also the count of each number, and its first row."""
    # Of hashes that follow each other only one is sorted: ids mostly are in order.
    starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    lengths = np.diff(starts, append=len(hashes))
    _, first, codes = np.unique(hashes[starts], return_index=True, return_inverse=True)
    codes = codes.reshape(-1)
    counts = np.bincount(codes, weights=lengths).astype(np.int64)
    return np.repeat(codes, lengths), counts, starts[first]


@dataclass(frozen=True)
class _Prefixes:
    """Lengths in bytes and 64-bit hashes, (N,) each, of the prefixes that name group, photograph and folder.

    Hashes are of lower case. The frames of a video are one photograph.
    """

    group_end: np.ndarray
    photo_end: np.ndarray
    group_hash: np.ndarray
    photo_hash: np.ndarray
    folder_hash: np.ndarray


_BLOCK = 8192  # ids
_BLOCK_BYTES = 1 << 22  # of ids as long as the longest in the block; hashes take eight times as much
_NOT_ASCII = 128
_FEW = 8  # ids, for which a loop over bytes is faster without arrays
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def _read_prefixes(ids: Sequence[bytes] | np.ndarray) -> _Prefixes:
    """Prefixes of all ids, vectorised over blocks: a Python loop would take seconds for a million."""
    if not len(ids):
        return _Prefixes(*[np.empty(0, np.int64)] * 5)
    is_packed = isinstance(ids, np.ndarray) and ids.dtype.kind == "S"
    lengths = np.char.str_len(ids) if is_packed else np.fromiter(map(len, ids), np.int64, len(ids))
    table = ids if isinstance(ids, np.ndarray) else np.asarray(ids, object)  # which is indexed at once
    prefixes = [np.empty(len(ids), kind) for kind in (np.int64, np.int64, np.uint64, np.uint64, np.uint64)]
    for block in _blocks_of(lengths):
        for whole, values in zip(prefixes, _read_block(table[block], lengths[block]), strict=True):
            whole[block] = values
    return _Prefixes(*prefixes)


def _blocks_of(lengths: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks of ids about as long as each other: one long id must not widen an array of thousands."""
    rows = np.argsort(lengths, kind="stable")
    blocks = []
    while len(rows):
        n_bytes = np.arange(1, len(head := rows[:_BLOCK]) + 1) * lengths[head]  # of the first 1, 2, ... rows
        n = max(1, int(np.searchsorted(n_bytes, _BLOCK_BYTES, side="right")))
        blocks.append(rows[:n])
        rows = rows[n:]
    return blocks


_FRAME = (b"#frame=", b"/frame_")  # before the number, in ids of frames by kd-predict and kd-import
_DIGITS_OF_FRAME = 6  # at least


def _lower(identity: bytes) -> bytes:
    """In lower case, and composed: file systems differ in how they write an accented letter."""
    if identity.isascii():
        return identity.lower()
    text = identity.decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", text).lower().encode("utf-8", "surrogateescape")


def _text_of(ids: np.ndarray | list[bytes]) -> np.ndarray:
    """Bytes (width, n) of ids, 0 behind the end of each: a row holds the same byte of all, which numpy is fast at."""
    packed = np.asarray(ids, "S")
    return np.ascontiguousarray(packed.view(np.uint8).reshape(len(packed), packed.itemsize).T)


def _read_block(written: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, ...]:
    text = _text_of(written.astype(f"S{max(1, length.max())}"))
    longer = np.zeros(len(written), np.int64)
    if text.max() < _NOT_ASCII:
        text[_is_within(text, b"AZ")] |= 0x20  # lower case
    else:
        ids = list(map(_lower, written.tolist()))
        # What follows a prefix is ASCII and as long in both forms.
        longer, length = length, np.fromiter(map(len, ids), np.int64, len(ids))
        longer, text = longer - length, _text_of(ids)
    width, rows = len(text), np.arange(len(written))
    number = np.arange(1, width + 1, dtype=np.int16 if width < 1 << 15 else np.int32)[:, None]  # of each column
    is_digit = _is_within(text, b"09")
    is_letter = _is_within(text, b"az") | is_digit

    def last(is_one: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Last column before `before` where `is_one` is true; -1 if there is none."""
        found = (is_one & (number <= before.astype(number.dtype))) * number  # several times as fast as np.where
        return found.max(axis=0).astype(np.int64) - 1

    def cut(before: np.ndarray, run: np.ndarray, separators: bytes) -> np.ndarray:
        """Column of the separator if the name ends in one and a run of these bytes; else `before`."""
        place = last(~run, before)
        is_separator = np.zeros(256, bool)
        is_separator[list(separators)] = True
        separated = is_separator[text[place, rows]]
        return np.where((place >= 0) & separated & (place + 1 < before), place, before)

    def cut_frame(before: np.ndarray) -> np.ndarray:
        """Column where the mark and the number of a frame begin, if the name ends in them; else `before`."""
        place = last(~is_digit, before)
        for mark in _FRAME:
            begin = place + 1 - len(mark)
            marked = (begin > 0) & (before - place > _DIGITS_OF_FRAME)
            if not marked.any():
                continue
            for k, byte in enumerate(mark):
                marked &= text[np.clip(begin + k, 0, width - 1), rows] == byte
            before = np.where(marked, begin, before)
        return before

    def cut_copy(before: np.ndarray) -> np.ndarray:
        """Column of ` (7)` as Windows numbers names, if the name ends so; else `before`."""
        closes = (before > 0) & (text[np.maximum(before - 1, 0), rows] == ord(")"))
        if not closes.any():
            return before
        opened = cut(before - closes, is_digit, b"(")
        spaced = (opened > 0) & (text[np.maximum(opened - 1, 0), rows] == ord(" "))
        return np.where(closes & spaced & (opened < before - 1), opened - 1, before)

    photo_end = cut_frame(cut(length, is_digit, b"#"))
    stem_end = cut(photo_end, is_letter, b".")
    copy_end = cut_copy(stem_end)
    group_end = np.where(copy_end < stem_end, copy_end, cut(stem_end, is_digit, b"_/-"))
    folder_end = np.maximum(last(text == ord("/"), photo_end), 0)

    ends = np.stack([group_end, photo_end, folder_end])
    hashes = (_hash_some if len(written) < _FEW else _hash_many)(text, ends)
    return (group_end + longer, photo_end + longer, *hashes)


def _hash_many(text: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """64-bit hashes of the first `ends` (3, n) bytes of each column of `text` (width, n)."""
    running = np.zeros((len(text) + 1, text.shape[1]), np.uint64)  # hash of the first 0, 1, 2, ... bytes
    for k, row in enumerate(text):
        np.bitwise_xor(running[k], row, out=running[k + 1])
        running[k + 1] *= _FACTOR
        running[k + 1] += np.uint64(1)
    return np.asarray(running[ends, np.arange(text.shape[1])])


def _is_within(text: np.ndarray, ends: bytes) -> np.ndarray:
    """Where a byte lies between the two of `ends`, both included."""
    return np.asarray((text >= ends[0]) & (text <= ends[1]))


def _hash_some(text: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The same for a few, which may be long."""
    hashes, factor, mask = np.zeros(ends.shape, np.uint64), int(_FACTOR), 2**64 - 1
    for row, identity in enumerate(np.ascontiguousarray(text.T)):
        running = before = 0
        for column in np.argsort(ends[:, row]):
            for byte in identity[before : (before := int(ends[column, row]))].tolist():
                running = ((running ^ byte) * factor + 1) & mask
            hashes[column, row] = running
    return hashes


@dataclass(frozen=True)
class Grouping:
    """Person or photograph of each face, N names, and how they were found; `numbered` as in `Groups`.

    `certain`: by the user's own expression.
    """

    names: list[str]
    description: str
    certain: bool
    numbered: tuple[str, ...] = ()

    def in_both(self, chosen: np.ndarray) -> list[str]:
        """Names with faces on both sides of a mask (N,)."""
        sides = [{name for name, is_in in zip(self.names, chosen, strict=True) if is_in == side} for side in (0, 1)]
        return sorted(sides[0] & sides[1])


def group_faces(ids: Sequence[str], pattern: str | None) -> Grouping:
    """Group faces by the first group of a regular expression searched in each id, or by `find_groups`.

    With the pattern `none` each face is by itself.
    Raises UsageError for a bad expression or one without a group, DataError for ids in which it is not found.
    """
    if pattern is None:
        groups = find_groups(texts := [identity.encode() for identity in ids])
        _, first, code = np.unique(groups.codes, return_index=True, return_inverse=True)
        name_of = [texts[row][: groups.ends[row]].decode(errors="replace") for row in first]
        names = [name_of[k] for k in code.reshape(-1)]
        description = "nobody in both by their ids" if len(set(names)) < len(ids) else "each face by itself"
        if groups.numbered:
            description += f"; names like {groups.numbered[0]!r} are taken for numbered files, not for people"
        return Grouping(names, description, certain=False, numbered=tuple(groups.numbered))
    if pattern == "none":
        return Grouping(list(ids), "each face by itself", certain=True)
    expression = compile_pattern("--group", pattern, 1, "put ( ) around the part that identifies the person")
    matches = [expression.search(identity) for identity in ids]
    lost = [identity for identity, match in zip(ids, matches, strict=True) if match is None or match[1] is None]
    if lost:
        hint = "use an expression that matches the person in every id"
        raise DataError(f"--group {pattern!r} matches nobody in {len(lost)} of {len(ids)} ids: {some_of(lost)}", hint)
    names = [match[1] for match in matches if match]
    return Grouping(names, f"{counted(len(set(names)), 'person', 'people')}, nobody in both", certain=True)


def compile_pattern(option: str, pattern: str, n_groups: int, hint: str) -> re.Pattern[str]:
    """The regular expression of an option. Raises UsageError for a bad one or one with fewer groups."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{option} {pattern!r} is not a regular expression: {error}") from error
    if expression.groups < n_groups:
        raise UsageError(f"{option} {pattern!r} has {('no group', 'no two groups')[n_groups - 1]}", hint)
    return expression
