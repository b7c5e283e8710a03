"""Checks of what an HDF5 file holds, through the library's description of it: links, types, sizes, packed chunks.

Links, external and virtual arrays lead to other files; arrays are used only if they lie in the file and hold as much as
they claim. The library (2.0) ends the process on chunks that unpack to less than they should, so they are tried first.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError

_PLAIN_TYPES = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeStringID, h5py.h5t.TypeEnumID)
_MOST_ATTRIBUTES = 1000
_MOST_OBJECTS = 100_000
_MOST_REFERENCES = 10_000
_BLOCK = 1 << 22  # bytes read at a time
_OBJECT_BYTES = 41  # of Python for each text: an object without its bytes, and where it is

# zlib compresses at most 1032 to 1. Arrays larger than the first size must be compressed less than the ratio.
HARMLESS = 2**27
MEMORY_RATIO, LARGEST_RATIO = 4, 100
_ZLIB_RATIO = 1100
_LENGTH_AND_INDEX = 8  # bytes

_DEFLATE, _SHUFFLE, _CHECKSUM = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
_CHECKSUM_SIZE = 4


def item_at(group: h5py.Group, name: str) -> Any:
    """The item at a path in a group, or None. Raises DataError for a link, which may leave the file or be circular."""
    item: Any = group
    for part in name.split("/"):
        link = part.encode("utf-8", "surrogateescape")
        if not isinstance(item, h5py.Group) or not item.id.links.exists(link):
            return None
        if item.id.links.get_info(link).type != h5py.h5l.TYPE_HARD:
            raise DataError(f"/{name}: is a link, which is not followed", "copy its target into the file")
        item = item[part]
    return item


# ---- attributes
def check_attributes(item: h5py.HLObject, *names: str) -> None:
    """Raises DataError for those of the named attributes that are neither numbers nor texts.

    The library (2.0) crashes on a damaged variable-length list.
    """
    attributes = item.attrs
    for name in names:
        if name in attributes and not _is_plain(attributes, name):
            raise DataError(f"{_place(item)}: its attribute {name!r} is neither a number nor a text", "make it again")


def attributes_of(item: h5py.HLObject) -> dict[str, Any]:
    """All attributes that are numbers or texts. Raises DataError for more than `_MOST_ATTRIBUTES`."""
    if len(item.attrs) > _MOST_ATTRIBUTES:
        raise DataError(f"{_place(item)}: has {len(item.attrs)} attributes, more than {_MOST_ATTRIBUTES}")
    attributes = item.attrs
    return {name: attributes[name] for name in attributes if _is_plain(attributes, name)}


def _is_plain(attributes: h5py.AttributeManager, name: str) -> bool:
    return isinstance(attributes.get_id(name).get_type(), _PLAIN_TYPES)


def _place(item: h5py.HLObject) -> str:
    return f"/{(item.name or '').strip('/')}"


# ---- arrays
def check_claim(data: h5py.Dataset, *, whole: bool = True, ratio: int = LARGEST_RATIO) -> None:
    """Raises DataError for an array that is not in the file, or claims more data than the file can hold.

    An array that is read as a `whole`, else each chunk, unpacks at most to `HARMLESS` bytes or `ratio` times what is
    stored. Packed chunks are tried only of an array that is read as a whole. Virtual arrays are not checked here.
    """
    where = _place(data)
    if data.external:
        raise DataError(f"{where}: is stored in other files, which are not read", "copy it into the file")
    if data.is_virtual or data.shape is None:
        return
    stored = data.id.get_storage_size()
    size = _size_of(data)
    claimed = data.size * size
    if data.chunks is None:
        # What was never written is stored nowhere, and read as the fill value.
        if claimed > (stored or HARMLESS):
            raise DataError(f"{where}: claims {claimed} bytes, of which the file holds {stored}", "it is damaged")
        return
    chunk = math.prod(data.chunks) * size
    at_once = max(claimed, chunk) if whole else chunk
    if claimed > max(HARMLESS, _ZLIB_RATIO * stored) or at_once > max(HARMLESS, ratio * stored):
        raise DataError(f"{where}: claims {claimed} bytes, but only {stored} are stored", "it is damaged, or a bomb")
    if not is_packed(data):
        other = data.id.chunk_iter(lambda info: info.size if info.size != chunk else None)
        if other is not None:
            raise DataError(f"{where}: a chunk of {other} bytes, expected {chunk}", "it is damaged")
    elif whole and is_zlib(data):
        PackedArray(data).check()


def is_of_texts(data: h5py.Dataset) -> bool:
    """Whether it is an array of texts of variable length."""
    text = h5py.check_string_dtype(data.dtype)
    return text is not None and text.length is None


def _size_of(data: h5py.Dataset) -> int:
    """Bytes of an element in the file. Of a text that is its length, and where it is: an address and an index."""
    if is_of_texts(data):
        return _LENGTH_AND_INDEX + int(data.file.id.get_create_plist().get_sizes()[0])
    return int(data.id.get_type().get_size())


def _filters_of(data: h5py.Dataset) -> list[int]:
    plist = data.id.get_create_plist()
    return [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]


def is_packed(data: h5py.Dataset) -> bool:
    return bool(_filters_of(data))


def is_zlib(data: h5py.Dataset) -> bool:
    """Whether all filters of an array are those that `PackedArray` tries."""
    return set(_filters_of(data)) <= {_DEFLATE, _SHUFFLE, _CHECKSUM}


class PackedArray:
    """An array that `is_zlib`, indexed by rows as in NumPy; each chunk is unpacked once before the library reads it."""

    def __init__(self, data: h5py.Dataset) -> None:
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim
        self._data, self._filters = data, _filters_of(data)
        self._size = math.prod(data.chunks) * _size_of(data)
        self._sound: set[int] = set()  # numbers of chunks along the first axis

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        self.check(rows[0] if isinstance(rows, tuple) else rows)
        return np.asarray(self._data[rows])

    def check(self, rows: Any = ...) -> None:
        """Raises DataError for a chunk of these rows, an index of the first axis, that does not unpack to its size."""
        shape, chunks = self.shape, self._data.chunks
        touched = np.unique(np.atleast_1d(np.arange(shape[0])[rows]) // chunks[0]).tolist()
        for first in self._sound.symmetric_difference(touched) - self._sound:
            others = (range(0, length, step) for length, step in zip(shape[1:], chunks[1:], strict=True))
            for offset in itertools.product((first * chunks[0],), *others):
                self._check_chunk(offset)
            self._sound.add(first)

    def _check_chunk(self, offset: tuple[int, ...]) -> None:
        info = self._data.id.get_chunk_info_by_coord(offset)
        if info.byte_offset is None:  # never written
            return
        where = f"{_place(self._data)}: a packed chunk of {info.size} bytes"
        if info.size > 2 * self._size + _BLOCK:
            raise DataError(f"{where}, for {self._size}", "it is damaged")
        mask, packed = self._data.id.read_direct_chunk(offset)
        for k in reversed(range(len(self._filters))):
            if mask >> k & 1 or self._filters[k] == _SHUFFLE:
                continue
            if self._filters[k] == _CHECKSUM:
                if len(packed) < _CHECKSUM_SIZE:
                    raise DataError(f"{where} is shorter than its checksum", "it is damaged")
                packed = packed[:-_CHECKSUM_SIZE]
                continue
            try:
                # Any filters below add a few bytes.
                packed = zlib.decompressobj().decompress(packed, self._size + 64)
            except zlib.error as error:
                raise DataError(f"{where}: {error}", "it is damaged") from error
        if len(packed) != self._size:
            raise DataError(f"{where} does not unpack to {self._size}", "it is damaged")


# ---- what the library may not survive
def read_risks(item: Any, *names: str, keep: bool = False) -> np.ndarray | None:
    """Read of a group or an array what checks of its description cannot show to be harmless.

    These are the named attributes (of an array, all), texts of variable length, references, and arrays behind filters
    of other kinds than `is_zlib`. With `keep` returns texts as `joined_texts` does.
    """
    check_attributes(item, *names)
    attributes = item.attrs
    for name in names:
        if name in attributes:  # `get` takes long where there is none
            attributes[name]
    if not isinstance(item, h5py.Dataset):
        return None
    attributes_of(item)
    if not item.shape or not item.size or item.external or (item.is_virtual and item.file.driver == "fileobj"):
        return None
    check_claim(item, whole=False)
    if h5py.check_ref_dtype(item.dtype) is h5py.Reference:
        for reference in itertools.islice(np.ravel(item[()]), _MOST_REFERENCES):
            if reference:
                item.file[reference]
    elif is_of_texts(item) or (is_packed(item) and not is_zlib(item) and not item.dtype.hasobject):
        size = _size_of(item) + _OBJECT_BYTES * item.dtype.hasobject
        rows = max(1, _BLOCK * len(item) // max(1, item.size * size))
        blocks = (item[first : first + rows] for first in range(0, len(item), rows))
        if keep and is_of_texts(item):
            return joined_texts(blocks)
        for _ in blocks:
            pass
    return None


def joined_texts(blocks: Iterable[np.ndarray]) -> np.ndarray | None:
    """Texts of some arrays (n,) of bytes as one array (N,) of the width of the longest: objects would take longer.

    None where that would take much more memory, as the longest is much longer than most.
    """
    packed = [_packed_texts(block.tolist()) for block in blocks]  # all blocks, since the reading counts
    kept = [block for block in packed if block is not None]
    if not kept or len(kept) < len(packed):
        return None
    n, n_bytes = sum(map(len, kept)), sum(block.nbytes for block in kept)
    return np.concatenate(kept) if _is_even(max(block.itemsize for block in kept), n_bytes / max(1, n)) else None


def _packed_texts(texts: list[bytes]) -> np.ndarray | None:
    lengths = list(map(len, texts))
    longest = max(lengths, default=0)
    return np.array(texts, f"S{max(1, longest)}") if _is_even(longest, sum(lengths) / max(1, len(texts))) else None


def _is_even(longest: int, mean: float) -> bool:
    """Whether texts of these lengths take about as much memory in an array of the width of the longest as objects."""
    return longest <= _OBJECT_BYTES + 2 * mean


def _bytes_of(name: str | bytes) -> bytes:
    """A name as it is stored; h5py gives one that is not UTF-8 as bytes."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def objects_in(file: h5py.File) -> Iterator[Any]:
    """The file's groups and arrays that hard links lead to, each once, by name and from the top.

    Raises DataError for more than `_MOST_OBJECTS`.
    """
    met: set[int] = set()
    waiting: list[Any] = [file["/"]]
    while waiting:
        item = waiting.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in met:
            continue
        met.add(address)
        if len(met) > _MOST_OBJECTS:
            raise DataError(f"/: holds more than {_MOST_OBJECTS} groups and arrays", "copy what is needed from it")
        yield item
        if isinstance(item, h5py.Group):
            waiting += [
                child
                for name in sorted(item, key=_bytes_of, reverse=True)
                if isinstance(item.get(name, getlink=True), h5py.HardLink)
                and isinstance(child := item[name], h5py.Group | h5py.Dataset)
            ]
