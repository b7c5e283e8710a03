"""The arrays of an opened faces file, read by rows; nothing of what they mean."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.faces import schema
from kdtools.faces.ids import check_unique_ids
from kdtools.faces.stored import VirtualArray
from kdtools.faces.validation import check_arrays, check_kind, subset_names
from kdtools.landmarks.geometry import IDENTITY
from kdtools.storage.hdf5_checks import item_at, joined_texts
from kdtools.storage.hdf5_guard import HDF5_ERRORS, GuardedStream
from kdtools.storage.names import digest_of

# Functions that make an opened file of format k readable as format k + 1.
UPGRADES: dict[int, Callable[[StoredFaces], None]] = {}

SOME_ROWS = 1 << 16  # of small arrays read at a time


class StoredFaces:
    """A faces file that is open: its arrays, as they are stored.

    `name` is used in messages; `parts` are the files that its virtual arrays refer to, relative to its folder.
    """

    def __init__(self, h5: h5py.File, path: Path, name: str, stream: GuardedStream) -> None:
        self.h5, self.path, self.name, self.stamp = h5, path, name, stream.stamp
        self._stream = stream
        self._virtual: dict[str, VirtualArray] = {}
        for older in range(check_kind(h5, name), schema.FORMAT):
            UPGRADES[older](self)
        self.parts = check_arrays(h5, path, name)

    # ---- what is in the file
    def __contains__(self, array: str) -> bool:
        return isinstance(item_at(self.h5, array), h5py.Dataset)

    def __len__(self) -> int:
        return int(self.h5["id"].shape[0])

    def require(self, *arrays: str) -> None:
        """Raises DataError for the first of `arrays` that the file does not hold."""
        for array in arrays:
            if array not in self:
                hint = {
                    "image": "this tool needs the pictures, not only their points",
                    "landmarks": "this tool needs points: kd-import reads annotations, kd-predict finds points",
                }
                raise DataError(f"{self.name}: holds no /{array}", hint.get(array, ""))

    @property
    def ids(self) -> list[str]:
        """N names, in file order."""
        return self.texts("id")

    @property
    def id_bytes(self) -> np.ndarray:
        """The ids as UTF-8, (N,) of bytes, in a fraction of the time that texts take, and half of the memory.

        They are of the width of the longest, as numpy keeps bytes, or objects where that would take too much.
        """
        found = self._stream.found
        if found is not None and len(self) and len(found) % len(self) == 0:
            return found.view(f"S{len(found) // len(self)}")
        names = np.array([name.encode() for name in self.ids], object) if "id" in self._virtual else self._whole("id")
        joined = joined_texts([names])
        return names.astype(object) if joined is None else joined

    def texts(self, name: str, rows: slice = slice(None)) -> list[str]:
        """Rows of an array of texts. Raises FileError if they are damaged."""
        with self._damage_reported(name):
            texts = list(self._virtual[name][rows] if name in self._virtual else self.h5[name].asstr("utf-8")[rows])
            longest = max(map(len, texts), default=0)
            if longest > schema.LONGEST_TEXT:
                most = schema.LONGEST_TEXT
                raise DataError(f"/{name}: a text of {longest} characters, of which at most {most} are read")
            return texts

    def stored(self, name: str) -> Any:
        """An array of the file, sliceable by rows, with shape and dtype; nothing turns errors of reading it."""
        return self._virtual.get(name) or self.h5[name]

    def join_parts(self, parts: Mapping[str, StoredFaces]) -> None:
        """Read virtual arrays from these open `parts` from now on. Raises FileError for those that do not fit."""
        for name in (*schema.ARRAYS, *(f"subset/{subset}" for subset in subset_names(self.h5))):
            if name in self and self.h5[name].is_virtual:
                self._virtual[name] = VirtualArray(self.h5[name], name, self.name, parts)

    def read(self, name: str, first: int, stop: int) -> Any:
        """Rows of an array of the format, text as a list; the identity for an absent /to_source."""
        if name == "to_source" and name not in self:
            return np.broadcast_to(IDENTITY, (stop - first, 2, 3))
        spec = schema.spec_of(name)
        if spec is not None and spec.dtype == "text":
            return self.texts(name, slice(first, stop))
        with self._damage_reported(name):
            return self.stored(name)[first:stop]

    def _whole(self, name: str) -> np.ndarray:
        with self._damage_reported(name):
            return np.asarray(self.stored(name)[...])

    @contextlib.contextmanager
    def _damage_reported(self, name: str) -> Iterator[None]:
        """Turns errors of h5py while reading an array into a FileError that names it."""
        try:
            yield
        except DataError as error:
            raise FileError(f"{self.name}:{error.message}", error.hint) from error
        except HDF5_ERRORS as error:
            raise self._stream.damage(self.name, f"/{name}:", error) from error

    @property
    def id_digests(self) -> np.ndarray:
        """64-bit digests of the ids, (N,) uint64: they fit into memory where the ids do not."""
        starts = range(0, len(self), SOME_ROWS)
        names = (name for first in starts for name in self.read("id", first, first + SOME_ROWS))
        return np.fromiter(map(digest_of, names), np.uint64, len(self))

    def check_unique(self) -> None:
        """Raises DataError for duplicate ids."""
        if len(np.unique(self.id_digests)) < len(self):
            check_unique_ids(self.ids)
