"""Arrays of a faces file as they are stored: images in one piece, and virtual arrays in the file's parts.

Nothing is memory-mapped: where a mapped file is truncated by others, the system ends the process (SIGBUS). Rows are
read from the file that is open, whatever its path leads to by now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import h5py
import numpy as np

from kdtools.errors import FileError
from kdtools.faces import schema
from kdtools.storage.hdf5_checks import PackedArray, is_packed, is_zlib
from kdtools.storage.systems import read_at

# Values for rows of a virtual array that no part fills; without such a value the file is refused.
_MISSING: dict[str, Any] = {"frame": -1, "track": -1, "visible": 0}


class Images:
    """Images (N, H, W, 3) uint8 of a faces file, read on each access; sliceable by rows, in any order.

    `is_packed` says that each access decompresses.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, shape: tuple[int, ...], read: Callable[[np.ndarray], np.ndarray], *, is_packed: bool) -> None:
        self.shape, self._read, self.is_packed = shape, read, is_packed

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        n_faces = len(self)
        if isinstance(rows, tuple):
            found, rest = self[rows[0]], rows[1:]
            return found[rest] if isinstance(rows[0], int | np.integer) else found[(slice(None), *rest)]
        if rows is Ellipsis or isinstance(rows, slice):
            return self._read(np.arange(*(slice(None) if rows is Ellipsis else rows).indices(n_faces)))
        wanted = np.asarray(rows)
        if wanted.dtype == bool:
            return self._read(np.flatnonzero(wanted))
        if np.any((wanted < -n_faces) | (wanted >= n_faces)):
            raise IndexError(f"rows {rows} of {n_faces} images")
        found = self._read(np.where(wanted < 0, wanted + n_faces, wanted).reshape(-1).astype(np.int64))
        return found.reshape(*wanted.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def images_of(stored: Any, stream: Any, reporting: Callable[[], AbstractContextManager[None]]) -> Images:
    """The images of an array, in the file that is open as `stream`, or of a VirtualArray.

    Reading happens in the context `reporting`, which turns errors into those for users.
    """
    offset = stored.id.get_offset() if isinstance(stored, h5py.Dataset) else None
    in_chunks = isinstance(stored, h5py.Dataset) and offset is None
    rows_of = PackedArray(stored) if in_chunks and is_packed(stored) and is_zlib(stored) else stored

    def read(rows: np.ndarray) -> np.ndarray:
        with reporting():
            if isinstance(stored, VirtualArray):
                return stored.take(rows)
            if offset is None:
                once, places = np.unique(rows, return_inverse=True)  # h5py requires increasing rows
                return np.asarray(rows_of[once])[places.reshape(-1)]
            found = read_rows(stream.fileno(), offset, stored.shape[1:], rows)
            stream.check_unchanged()
            if found is None:
                raise OSError("ends within its images")
            return found

    return Images(stored.shape, read, is_packed=in_chunks)


def runs_of(rows: np.ndarray) -> list[tuple[int, int]]:
    """First and last position, exclusive, of each run of consecutive row numbers.

    >>> runs_of(np.array([4, 5, 6, 2, 9]))
    [(0, 3), (3, 4), (4, 5)]
    """
    ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    return [(a, b) for a, b in zip([0, *ends], ends, strict=False) if b > a]


def read_rows(descriptor: int, offset: int, shape: tuple[int, ...], rows: np.ndarray) -> np.ndarray | None:
    """Rows of a contiguous array of bytes in an open file; None if the file ends before them."""
    found = np.empty((len(rows), *shape), np.uint8)
    n_bytes = int(np.prod(shape))
    for first, stop in runs_of(rows) if n_bytes else ():
        place, at = found[first:stop].reshape(-1).data, offset + int(rows[first]) * n_bytes
        while len(place):
            n_read = read_at(descriptor, place, at)
            if n_read == 0:
                return None
            place, at = place[n_read:], at + n_read
    return found


class Part(Protocol):
    """What a virtual array needs of an open faces file."""

    name: str  # of the file
    h5: h5py.File

    def __contains__(self, array: str) -> bool: ...
    def read(self, name: str, first: int, stop: int) -> Any: ...


@dataclass(frozen=True)
class _Piece:
    """Rows `first` to `stop` of a virtual array are those from `there` on of `array` in `part`."""

    first: int
    stop: int
    part: Part
    array: str
    there: int


class VirtualArray:
    """An array whose rows lie in the file's parts, read from these; sliceable by rows.

    Rows that no part fills are missing: NaN, or what the format has for "none". HDF5 itself reads zeros there, and in
    the place of parts that it cannot open. Raises FileError for such rows of ids, texts or images, for other layouts
    than blocks of whole rows, and for parts whose arrays do not fit.
    """

    def __init__(self, data: h5py.Dataset, name: str, file_name: str, parts: Mapping[str, Part]) -> None:
        self.shape, self.dtype, self.name = data.shape, data.dtype, name
        self.size = int(np.prod(data.shape, dtype=np.float64))
        self._where = f"{file_name}: /{name}"
        self._is_text = h5py.check_string_dtype(data.dtype) is not None
        self._pieces = sorted(
            (piece for source in data.virtual_sources() if (piece := self._piece_of(source, parts)) is not None),
            key=lambda piece: piece.first,
        )
        self._check_filled()

    def _piece_of(self, source: Any, parts: Mapping[str, Part]) -> _Piece | None:
        part, array = parts[source.file_name], source.dset_name.strip("/")
        if array not in part or schema.spec_of(array) != schema.spec_of(self.name):
            raise FileError(f"{self._where} refers to /{array} of {part.name}, which holds no such array", _JOIN)
        shape = part.h5[array].shape
        if shape[1:] != self.shape[1:]:
            raise FileError(f"{self._where} has shape {self.shape}, but /{array} of {part.name} {shape}", _JOIN)
        own = _block_of(source.vspace, self.shape)
        there = _block_of(source.src_space, (own[1] - own[0], *shape[1:])) if own else None
        if own is None or there is None or own[1] - own[0] != there[1] - there[0]:
            hint = "copy its arrays into one file; kd-merge --virtual writes such blocks"
            raise FileError(f"{self._where} does not refer to blocks of whole rows of {part.name}", hint)
        n_rows = min(own[1] - own[0], shape[0] - there[0], self.shape[0] - own[0])
        return _Piece(own[0], own[0] + n_rows, part, array, there[0]) if n_rows > 0 else None

    def _check_filled(self) -> None:
        at = 0
        for first, stop in [*((piece.first, piece.stop) for piece in self._pieces), (self.shape[0], self.shape[0])]:
            if first < at:
                raise FileError(f"{self._where}: several parts fill its row {first}", _JOIN)
            if first > at and self._missing is None:
                hint = "a part has fewer faces than when they were joined: join them again"
                raise FileError(f"{self._where}: no part fills its rows {at} to {first - 1}", hint)
            at = stop

    @property
    def _missing(self) -> Any:
        if self.dtype.kind == "f":
            return np.nan
        return 0 if self.name.startswith("subset/") else _MISSING.get(self.name)

    def __len__(self) -> int:
        return int(self.shape[0])

    def read(self, first: int, stop: int) -> Any:
        """Rows of the array, texts as a list."""
        pieces = [piece for piece in self._pieces if piece.first < stop and piece.stop > first]
        if self._is_text:
            return [text for piece in pieces for text in self._read_piece(piece, first, stop)[1]]
        values = np.full((max(0, stop - first), *self.shape[1:]), self._missing or 0, self.dtype)
        for piece in pieces:
            at, block = self._read_piece(piece, first, stop)
            values[at - first : at - first + len(block)] = block
        return values

    def _read_piece(self, piece: _Piece, first: int, stop: int) -> tuple[int, Any]:
        """First row of a piece that lies between `first` and `stop`, and these rows."""
        low, high = max(first, piece.first), min(stop, piece.stop)
        shift = piece.there - piece.first
        return low, piece.part.read(piece.array, low + shift, high + shift)

    def __getitem__(self, rows: Any) -> Any:
        if rows is Ellipsis:
            return self.read(0, len(self))
        if isinstance(rows, slice):
            first, stop, step = rows.indices(len(self))
            return self.read(first, stop)[::step]
        row = int(rows)
        return self.read(row, row + 1)[0]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """These rows (n,), in any order, of an array of numbers."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for first, stop in runs_of(rows):
            found[first:stop] = self.read(int(rows[first]), int(rows[stop - 1]) + 1)
        return found


_JOIN = "join the parts again"


def _block_of(space: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """First row and the one after the last of a selection of consecutive whole rows; None for another selection.

    `shape` is that of the array, which a selection of all of it does not state.
    """
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return 0, shape[0]
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:
        return None
    shape = space.get_simple_extent_dims()
    low, high = space.get_select_bounds()
    if any(low[1:]) or tuple(high[1:]) != tuple(length - 1 for length in shape[1:]):
        return None
    n_rows = high[0] - low[0] + 1
    is_whole = space.get_select_npoints() == n_rows * int(np.prod(shape[1:]))
    return (low[0], low[0] + n_rows) if is_whole else None
