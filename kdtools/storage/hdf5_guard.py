"""Opening HDF5 files that may be damaged or hostile without hanging or crashing in the HDF5 library.

The library (2.0) trusts its input: a damaged heap of texts makes it loop forever, a text that claims 4 GB makes it
allocate 4 GB, and links, external and virtual data sets lead it to other files. So it reads through a stream that
checks every heap and header first, and arrays are used only if they lie in the file and hold as much as they claim.

Source: HDF5 File Format Specification, version 4: III.E (global heap), IV.A (object headers).
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from kdtools.errors import DataError, FileError, reason_of
from kdtools.storage.file_kinds import HDF5_SIGNATURE

# All that h5py raises for a damaged file.
HDF5_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, OverflowError)

_HEAP = b"GCOL\x01"
_LARGEST_INDEX = 2**16 - 1
_VIRTUAL = (0x0304, 0x0305)  # also precedes a heap address: layout version 4 or 5, class 3 (virtual)
_LEAST_PACKED = 5  # bytes; the checksum filter removes 4, and the library crashes on an empty chunk
_HEAP_HEAD, _OBJECT_HEAD = 16, 16  # bytes before a heap's first object, and before an object's content
_OLD_HEADER, _MOST_OLD = 16, 1 << 16  # bytes; headers from before HDF5 1.8 have no signature, but are short
_PLAIN_TYPES = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeStringID, h5py.h5t.TypeEnumID)
_ELEMENT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])  # of an array of texts, as stored
_BLOCK = 1 << 22  # bytes of elements checked at a time
# zlib compresses at most 1032 to 1. Arrays larger than the first size must be compressed less than the ratio.
_HARMLESS, _LARGEST_RATIO = 2**28, 100
_ALWAYS_HARMLESS, _ZLIB_RATIO = 2**20, 1100


class GuardedStream(io.FileIO):
    """A file as the library reads it. `fault` is why a read was refused, which the library does not report clearly.

    `latest` is the stream that was read last.
    """

    latest: ClassVar[GuardedStream | None] = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")
        self.size = os.fstat(self.fileno()).st_size
        self.base = self._find_base()
        self._is_old = os.pread(self.fileno(), 1, self.base + len(HDF5_SIGNATURE)) in (b"\0", b"\1")
        self.fault = ""
        self._rest_at, self._rest, self._tail = -1, 0, b""

    def _find_base(self) -> int:
        """Offset of the addresses: MATLAB writes a user block of 512 bytes or more before the signature."""
        base = 0
        while base < self.size and os.pread(self.fileno(), 8, base) != HDF5_SIGNATURE:
            base = max(512, 2 * base)
        return base

    def readinto(self, buffer: Any) -> int:
        GuardedStream.latest = self
        at, view, n = self.tell(), memoryview(buffer).cast("B"), 0
        while n < len(view) and (got := super().readinto(view[n:])):
            n += got
        data = view[:n]
        if n < len(view) and at + n < self.size:
            self._refuse(f"cannot be read at byte {at + n}")
        if data[:5] == _HEAP:
            (size,) = struct.unpack_from("<Q", data.tobytes().ljust(16), 8)
            # The library reads the rest of a large heap later.
            self._check_heap(data if size <= n else memoryview(os.pread(self.fileno(), min(size, self.size), at)))
        else:
            self._check_header(data, at)
        return n

    def _check_header(self, data: memoryview, at: int) -> None:
        """Check a header, or the rest of a long one; a length may lie across the cut."""
        goes_on = at == self._rest_at
        length = self._rest if goes_on else self._length_of_header(data)
        checked = (self._tail if goes_on else b"") + data[:length].tobytes()
        self._check_lengths(checked)
        self._rest_at, self._rest = at + len(data), max(0, length - len(data))
        self._tail = checked[-_ELEMENT.itemsize + 1 :]

    def _refuse(self, fault: str) -> None:
        self.fault = fault
        raise OSError(fault)

    def _check_heap(self, data: memoryview) -> None:
        """Every object in a heap of texts must lead to a later one."""
        if len(data) < _HEAP_HEAD:
            self._refuse("its texts are damaged (a heap that is cut off)")
        (size,) = struct.unpack_from("<Q", data, 8)
        at, end = _HEAP_HEAD, min(size, len(data))
        while at + _OBJECT_HEAD <= end:
            index, length = struct.unpack_from("<H6xQ", data, at)
            if length >= 2**63 or (index == 0 and length == 0):
                self._refuse("its texts are damaged (a heap that does not end)")
            at += length if index == 0 else _OBJECT_HEAD + (length + 7) // 8 * 8

    def _length_of_header(self, data: memoryview) -> int:
        """Number of these bytes that are a header, or a block of a heap of headers; 0 for others, such as pixels.

        The library reads 512 bytes before it knows the length of a header.
        """
        kind = bytes(data[:4])
        if kind in (b"OCHK", b"FHDB"):
            return len(data)
        if kind == b"OHDR" and len(data) > _OLD_HEADER:
            flags = data[5]
            at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            return at + width + int.from_bytes(data[at : at + width], "little")
        if not self._is_old or len(data) > _MOST_OLD:
            return 0
        if kind[:2] == b"\1\0" and len(data) >= _OLD_HEADER:
            return _OLD_HEADER + int.from_bytes(data[8:12], "little")
        return len(data)  # may be the rest of a header

    def _check_lengths(self, data: bytes) -> None:
        """Refuse attributes with a text longer than the file; its length precedes the address of its heap.

        The positions are not known, so every byte is tried, including unused space. There an unused message may look
        like a length, so harmless lengths pass.
        """
        n = len(data) - _ELEMENT.itemsize + 1
        if n <= 0:
            return
        lengths = np.ndarray((n,), "<u4", data, 0, (1,))  # at every byte
        heaps = np.ndarray((n,), "<u8", data, 4, (1,))
        indices = np.ndarray((n,), "<u4", data, 12, (1,))
        odd = (lengths > max(self.size, _HARMLESS)) & (indices <= _LARGEST_INDEX)
        odd &= (heaps > 0) & (heaps < self.size - self.base)
        odd &= ~np.isin(lengths >> 16, _VIRTUAL)
        if any(self._holds_heap(int(heap)) for heap in heaps[odd]):
            self._refuse("an attribute's text claims to be longer than the file")

    def _holds_heap(self, address: int) -> bool:
        return os.pread(self.fileno(), len(_HEAP), self.base + address) == _HEAP

    def check_texts(self, data: h5py.Dataset, *, with_heaps: bool) -> None:
        """Raises DataError if a text of an array claims to be longer than the file.

        `with_heaps` also checks the heaps of all texts, for readers that do not use this stream.
        """
        where = f"/{data.name.lstrip('/')}"
        kind = h5py.check_string_dtype(data.dtype)
        if kind is None or kind.length is not None:  # texts of a fixed length are in no heap
            return
        for first, n_bytes in self._pieces_of(data, where):
            for at in range(0, n_bytes, _BLOCK):
                raw = os.pread(self.fileno(), min(_BLOCK, n_bytes - at), first + at)
                elements = np.frombuffer(raw[: len(raw) // _ELEMENT.itemsize * _ELEMENT.itemsize], _ELEMENT)
                if (elements["length"] > self.size).any():
                    raise DataError(f"{where}: a text claims to be longer than the file", "the file is damaged")
                for heap in np.unique(elements["heap"]).tolist() if with_heaps else ():
                    self._check_heap_at(heap, where)

    def _check_heap_at(self, heap: int, where: str) -> None:
        if heap >= self.size - self.base or not self._holds_heap(heap):
            return  # the library itself refuses a heap without signature
        (size,) = struct.unpack("<Q", os.pread(self.fileno(), 8, self.base + heap + 8).ljust(8, b"\0"))
        try:
            self._check_heap(memoryview(os.pread(self.fileno(), min(size, self.size), self.base + heap)))
        except OSError as error:
            raise DataError(f"{where}: {error}", "the file is damaged") from error

    def _pieces_of(self, data: h5py.Dataset, where: str) -> Iterator[tuple[int, int]]:
        """Offset and number of bytes of each chunk of an array."""
        if data.chunks is None:
            offset = data.id.get_offset()
            if offset is not None:  # else it is in the header, which is checked as such
                yield offset, data.size * _ELEMENT.itemsize
            return
        if data.id.get_create_plist().get_nfilters():
            hint = "a filter compresses only references to texts, so it saves nothing: h5repack -f NONE removes it"
            raise DataError(f"{where}: texts behind a filter are not read", hint)
        for k in range(data.id.get_num_chunks()):
            chunk = data.id.get_chunk_info(k)
            yield chunk.byte_offset, chunk.size


@contextlib.contextmanager
def guarded_file(path: Path, name: str) -> Iterator[tuple[h5py.File, GuardedStream]]:
    """Open an HDF5 file for reading. Raises FileError, with `name`, for a damaged or another file."""
    try:
        stream = GuardedStream(path)
    except OSError as error:
        raise FileError(f"{name}: {reason_of(error)}") from error
    with stream:
        try:
            h5 = _open(stream, path)
        except HDF5_ERRORS as error:
            hint = "it may be truncated or damaged; make it again"
            raise FileError(f"{name}: cannot be opened as HDF5", hint) from error
        with h5:
            try:
                yield h5, stream
            except HDF5_ERRORS as error:
                if GuardedStream.latest is stream and _is_of_reading(error):
                    fault = stream.fault or " ".join(str(error).split())
                    raise FileError(f"{name}: damaged: {fault}", "make it again") from error
                raise


def _is_of_reading(error: BaseException) -> bool:
    """Whether h5py or the stream raised it, but not while writing an output."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else trace.tb_frame.f_code.co_filename
    return place == __file__ or ("h5py" in place and "write" not in str(error))


def _open(stream: GuardedStream, path: Path) -> h5py.File:
    """Open the file through the stream, under its own name."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, stream)
    opened = h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, fapl=access)
    created = opened.get_create_plist()
    if created.get_sizes() != (8, 8) or created.get_userblock() != stream.base:
        opened.close()
        raise OSError("addresses of another width or with another offset")
    return h5py.File(opened)


def item_at(group: h5py.Group, name: str) -> Any:
    """The item at a path in a group, or None. Raises DataError for a link, which may leave the file or be circular."""
    item: Any = group
    for part in name.split("/"):
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"/{name}: is a link, which is not followed", "copy its target into the file")
        item = item.get(part)
    return item


def check_attributes(item: h5py.HLObject, *names: str) -> None:
    """Raises DataError for attributes, all or those named, that are neither numbers nor texts.

    The library (2.0) crashes on a damaged variable-length list.
    """
    for name in names or item.attrs:
        if name in item.attrs and not isinstance(item.attrs.get_id(name).get_type(), _PLAIN_TYPES):
            where = f"/{item.name.strip('/')}"
            raise DataError(f"{where}: its attribute {name!r} is no number and no text", "make it again")


def check_claim(data: h5py.Dataset, *, whole: bool = True) -> None:
    """Raises DataError for an array that is not in the file or claims more data than the file can hold.

    The limit of compression applies to the array if it is read as a `whole`, else to each chunk. Virtual arrays are not
    checked here.
    """
    where = f"/{data.name.lstrip('/')}"
    if data.external:
        raise DataError(f"{where}: lies in other files, which are not read", "copy it into the file")
    if data.is_virtual or data.shape is None:
        return
    stored, claimed = data.id.get_storage_size(), data.size * data.dtype.itemsize
    text = h5py.check_string_dtype(data.dtype)
    if text is not None and text.length is None:
        claimed = data.size * _ELEMENT.itemsize
    if data.chunks is None:
        if claimed > stored:
            raise DataError(f"{where}: claims {claimed} bytes, of which the file holds {stored}", "it is damaged")
        return
    chunk = int(np.prod(data.chunks, dtype=np.float64)) * data.dtype.itemsize
    at_once = max(claimed, chunk) if whole else chunk
    if claimed > max(_ALWAYS_HARMLESS, _ZLIB_RATIO * stored) or at_once > max(_HARMLESS, _LARGEST_RATIO * stored):
        raise DataError(f"{where}: claims {claimed} bytes, but only {stored} are stored", "it is damaged, or a bomb")
    if data.id.get_create_plist().get_nfilters():
        small = data.id.chunk_iter(lambda info: info.size if info.size < _LEAST_PACKED else None)
        if small is not None:
            raise DataError(f"{where}: a packed chunk of {small} bytes", "it is damaged")
