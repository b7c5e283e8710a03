"""Names in a fixed order without holding them all in memory: a folder may have ten million files."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np

from kdtools.parallel import batched

_LONGEST_RECORD = 1 << 20  # bytes
_RUN = 100_000  # names sorted in memory, some 10 MB; more are spilled to temporary files
NOT_STORABLE = "its name is not UTF-8, so it cannot be stored; rename it"
_FRAME_ID = re.compile(r"(.+)#frame=(\d{1,9})", re.ASCII | re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_FOLDER, _LINK, _FILE = b"\0d", b"\0l", b"\0f"  # endings that do not change the order, since names contain no \0


def files_below(
    folder: Path, *, hidden: bool = False, passed_over: Callable[[str], None] = lambda name: None
) -> Iterator[str]:
    """Paths of all files below `folder`, relative to it and with forward slashes.

    They are sorted by their parts, as `sorted(folder.rglob("*"))` is. Hidden files and folders are left out without
    `hidden`. Links to folders are followed, but no folder is listed twice by them; `passed_over` is called with a link
    whose folder comes, or came, under another name. A folder that cannot be listed is yielded with a slash at the end.
    """
    yield from _Walk(os.fspath(folder), hidden, passed_over).files(os.fspath(folder))


class _Walk:
    """A walk through a folder. It remembers the folders that links led to, so that it ends and lists each once."""

    def __init__(self, root: str, hidden: bool, passed_over: Callable[[str], None]) -> None:
        self._root, self._hidden, self._passed_over = os.path.realpath(root), hidden, passed_over
        self._seen: set[tuple[int, int]] = set()
        self._is_new(root)

    def files(self, root: str) -> Iterator[str]:
        """Names of the files below `root`. Folders in work are on a stack, however deep they are nested."""
        stack = [(self._records(root), root, "", False)]
        while stack:
            records, folder, prefix, is_linked = stack[-1]
            try:
                record = next(records, None)
            except OSError:  # it cannot be listed
                stack.pop()
                yield prefix or "/"
                continue
            if record is None:
                stack.pop()
                continue
            name = os.fsdecode(record[:-2])
            if record.endswith(_FILE):
                yield prefix + name
                continue
            path, is_link = os.path.join(folder, name), record.endswith(_LINK)
            if (is_link and not self._leads_elsewhere(path)) or ((is_link or is_linked) and not self._is_new(path)):
                self._passed_over(f"{prefix}{name}/")
            else:
                stack.append((self._records(path), path, f"{prefix}{name}/", is_link or is_linked))

    def _records(self, folder: str) -> Iterator[bytes]:
        """Names in a folder, each with the mark of its kind, sorted. Raises OSError if it cannot be listed."""
        with os.scandir(folder) as entries:
            marked = (
                os.fsencode(entry.name) + _kind_of(entry)
                for entry in entries
                if self._hidden or not entry.name.startswith(".")
            )
            records = sorted_records(marked, b"/")
            first = list(islice(records, 1))  # reads all entries, so the folder can be closed before its subfolders
        yield from chain(first, records)

    def _leads_elsewhere(self, link: str) -> bool:
        """Whether a link leads to a folder that the walk does not come to by itself."""
        target = os.path.realpath(link)
        if target != self._root and not target.startswith(os.path.join(self._root, "")):
            return True
        parts = os.path.relpath(target, self._root).split(os.sep)
        return not self._hidden and parts != ["."] and any(part.startswith(".") for part in parts)

    def _is_new(self, folder: str) -> bool:
        try:
            status = os.stat(folder)
        except OSError:
            return True  # listing it says what is wrong
        place = status.st_dev, status.st_ino
        is_new = place not in self._seen
        self._seen.add(place)
        return is_new


def _kind_of(entry: os.DirEntry[str]) -> bytes:
    if entry.is_dir(follow_symlinks=False):
        return _FOLDER
    try:
        return _LINK if entry.is_symlink() and entry.is_dir() else _FILE
    except OSError:  # a circle of links; reading it as a file says so
        return _FILE


def frame_id(video: str, frame: int) -> str:
    """Id of a frame, counted from 0.

    >>> frame_id("clip.mp4", 12)
    'clip.mp4#frame=000012'
    """
    return f"{video}#frame={frame:06d}"


def frame_in_id(name: str) -> tuple[str, int] | None:
    """Video and number of a frame, from its id; None for any other name.

    >>> frame_in_id("clip.mp4#frame=000012"), frame_in_id("clip.mp4")
    (('clip.mp4', 12), None)
    """
    found = _FRAME_ID.fullmatch(name) if "#" in name else None
    return (found[1], int(found[2])) if found else None


def is_storable(name: str) -> bool:
    """Whether a faces file can store it: UTF-8 without \\0. In other names Python has surrogates."""
    return "\0" not in name and (name.isascii() or not _SURROGATE.search(name))


def plain_path(name: str) -> str:
    """`str(Path(name))`, without making a Path of each of millions of names that are plain already.

    >>> plain_path("./a//b/"), plain_path("a/b.png")
    ('a/b', 'a/b.png')
    """
    is_plain = os.sep == "/" and name and "//" not in name and "/." not in name and name[:1] != "." and name[-1:] != "/"
    return name if is_plain else str(Path(name))


def sorted_records(records: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    """The records in order; many are sorted in temporary files. `separator` is a byte that no record contains."""
    with contextlib.ExitStack() as stack:
        runs: list[IO[bytes]] = []
        for run in batched(records, _RUN):
            run.sort()
            if len(run) < _RUN and not runs:
                yield from run
                return
            spilled = stack.enter_context(tempfile.TemporaryFile(prefix="kdtools-"))
            spilled.write(separator.join([*run, b""]))
            spilled.seek(0)
            runs.append(spilled)
        yield from heapq.merge(*(split_records(run, separator) for run in runs))  # type: ignore[arg-type]


def split_records(stream: BufferedReader, separator: bytes) -> Iterator[bytes]:
    """Records between separators, as soon as they arrive; the last one need not end in a separator.

    A record longer than a megabyte is yielded truncated, and ends the iteration.
    """
    rest = b""
    while chunk := stream.read1(1 << 16):
        *whole, rest = (rest + chunk).split(separator)
        yield from whole
        if len(rest) > _LONGEST_RECORD:
            break
    if rest:
        yield rest


_RECENT = 1 << 16  # digests kept as Python objects, which take ten times the memory
_BITS_PER_NAME = 8  # at least; up to one name in eight is then searched for though it is new


def digest_of(name: str) -> int:
    """A 64-bit digest."""
    data = name.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


# Python's own hash of a text, where it is SipHash, takes a tenth of the time of another digest.
_HASHES_WELL = sys.hash_info.hash_bits == 64 and sys.hash_info.algorithm.startswith("siphash")
_LARGEST = (1 << 64) - 1


class SeenNames:
    """Duplicate detection by 64-bit digests: recent ones in a set, older ones in sorted arrays of doubling lengths.

    Nearly all names are new, which a table of bits says at once: only where the bit of a digest is set are the arrays
    searched. So a name takes the same time among a thousand as among ten million.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._arrays: list[np.ndarray] = []
        self._bits, self._mask = bytearray(1), 0  # a bit for each digest in the arrays

    def add(self, name: str) -> bool:
        """Add a name; returns whether it is new."""
        digest = hash(name) & _LARGEST if _HASHES_WELL else digest_of(name)
        if digest in self._recent:
            return False
        is_marked = self._bits[digest >> 3 & self._mask] >> (digest & 7) & 1
        if is_marked and any(_holds(array, digest) for array in self._arrays):
            return False
        self._recent.add(digest)
        if len(self._recent) == _RECENT:
            self._store_recent()
        return True

    def _store_recent(self) -> None:
        merged = np.fromiter(self._recent, np.uint64, _RECENT)
        self._recent.clear()
        new = [merged]
        while self._arrays and len(self._arrays[-1]) <= len(merged):
            merged = np.concatenate([merged, self._arrays.pop()])
        self._arrays.append(np.sort(merged))
        n_bytes = 1 << (_BITS_PER_NAME * sum(map(len, self._arrays)) // 8 - 1).bit_length()
        if n_bytes > len(self._bits):
            self._bits, self._mask, new = bytearray(n_bytes), n_bytes - 1, self._arrays
        table = np.frombuffer(self._bits, np.uint8)
        for digests in new:
            for first in range(0, len(digests), _RECENT):  # temporary arrays stay small
                some = digests[first : first + _RECENT]
                at = (some >> np.uint64(3) & np.uint64(self._mask)).astype(np.intp)
                np.bitwise_or.at(table, at, np.uint8(1) << (some & np.uint64(7)).astype(np.uint8))


def _holds(array: np.ndarray, digest: int) -> bool:
    at = int(np.searchsorted(array, np.uint64(digest)))
    return at < len(array) and int(array[at]) == digest
