"""Whether names stand twice, in eight bytes a name. That two of ten million are taken for one has a chance of 3e-6."""

from __future__ import annotations

import hashlib

import numpy as np

_RECENT = 1 << 16  # digests kept as Python's objects, which take ten times the room


def digest_of(name: str) -> int:
    """64 bits that differ, as good as surely, for different names."""
    data = name.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


class SeenNames:
    """A set of names: digests of the recent ones in a Python set, older ones in sorted arrays of doubling lengths."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._arrays: list[np.ndarray] = []

    def add(self, name: str) -> bool:
        """Whether it is new."""
        digest = digest_of(name)
        if digest in self._recent or any(_holds(array, digest) for array in self._arrays):
            return False
        self._recent.add(digest)
        if len(self._recent) == _RECENT:
            merged = np.fromiter(self._recent, np.uint64, _RECENT)
            self._recent.clear()
            while self._arrays and len(self._arrays[-1]) <= len(merged):
                merged = np.concatenate([merged, self._arrays.pop()])
            self._arrays.append(np.sort(merged))
        return True


def _holds(array: np.ndarray, digest: int) -> bool:
    at = int(np.searchsorted(array, np.uint64(digest)))
    return at < len(array) and int(array[at]) == digest
