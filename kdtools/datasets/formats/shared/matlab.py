"""Reads MATLAB's .mat files of versions 5 to 7: named arrays of numbers, text, cells and structs.

Only the variables asked for are decoded, none of them larger than 64 MB. scipy.io.loadmat is not used: cells nested
some ten thousand deep, which take a file of 2 MB, end the whole process in it. Version 7.3 is HDF5 (see cofw.py).

Source: MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kdtools.errors import DataError

Value = np.ndarray | str | list["Value"] | list[dict[str, "Value"]]

_LARGEST = 64 * 2**20  # bytes of a variable
_DEEPEST = 3  # cells and structs within each other
_HEAD = 1024  # bytes that hold the class, shape and name of any variable
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_COMPLEX = 0x800


def variable_names(path: Path) -> list[str]:
    """Names of the variables; none where the file is of another kind, damaged, or cannot be read."""
    try:
        return [name for name, _, _ in _variables(path, ())]
    except (DataError, OSError):
        return []


def read_mat(path: Path, wanted: Collection[str]) -> dict[str, Value]:
    """The wanted variables: arrays, text, lists of cells, lists of dicts for structs.

    Raises DataError where one is absent or too large, or the file is damaged; OSError where it cannot be read.
    """
    found = {name: _decode(content, order) for name, content, order in _variables(path, wanted) if content is not None}
    absent = [name for name in wanted if name not in found]
    if absent:
        raise DataError(f"no variable {', '.join(absent)}")
    return found


def as_array(value: Value, *shape: int) -> np.ndarray:
    """A variable as float64 of that shape. Raises DataError where it is anything else."""
    if not isinstance(value, np.ndarray):
        raise DataError("a variable is not an array of numbers")
    if value.shape != shape:
        raise DataError(f"an array of {_times(value.shape)}, not of {_times(shape)}")
    return value.astype(np.float64)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _variables(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes | None, str]]:
    """Name, content (only of those wanted) and byte order of each variable."""
    with path.open("rb") as stream:
        header = stream.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:])
        if order is None or not header.startswith(b"MATLAB 5.0"):
            raise DataError("not a MATLAB file of version 5 to 7")
        while len(tag := stream.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            start = stream.tell()
            if kind in (_MATRIX, _COMPRESSED):
                _, _, name, _ = _parse_head(_content(stream, kind, size, _HEAD), order)
                stream.seek(start)
                yield name, (_content(stream, kind, size, None) if name in wanted else None), order
            stream.seek(start + size)


def _content(stream: BinaryIO, kind: int, size: int, limit: int | None) -> bytes:
    """Bytes of a variable that follow its tag: the first `limit`, or all, which must not be too many."""
    n_bytes = _LARGEST if limit is None else limit
    if kind == _MATRIX:
        if limit is None and size > n_bytes:
            raise DataError(f"a variable of {size:,} bytes is too large")
        return stream.read(min(size, n_bytes))
    unpack = zlib.decompressobj()
    try:  # the tag of the variable itself, of 8 bytes, is compressed with it
        content = unpack.decompress(stream.read(min(size, 2 * n_bytes)), n_bytes + 8)[8:]
    except zlib.error as error:
        raise DataError(f"damaged: {error}") from error
    if limit is None and not unpack.eof:
        raise DataError(f"cut off, or a variable of over {n_bytes:,} bytes")
    return content


def _parse_head(content: bytes, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """Class (with the flags in its higher bits), shape, name, and where the values begin."""
    _, flags, at = _element(content, 0, order)
    _, dims, at = _element(content, at, order)
    _, name, at = _element(content, at, order)
    if len(flags) != 8 or not 2 <= len(dims) // 4 <= 4 or len(dims) % 4:
        raise DataError("damaged: no class or shape of a variable")
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    if min(shape) < 0:
        raise DataError("damaged: a negative size")
    return struct.unpack(f"{order}I", flags[:4])[0], shape, name.decode("latin-1"), at


def _element(content: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type and bytes of the element at `at`, and where the next one begins."""
    if at + 8 > len(content):
        raise DataError("cut off")
    kind, size = struct.unpack_from(f"{order}II", content, at)
    if kind >> 16:  # of at most 4 bytes, which stand in the tag
        small = kind >> 16
        if small > 4:
            raise DataError("damaged: a small element of over 4 bytes")
        return kind & 0xFFFF, content[at + 4 : at + 4 + small], at + 8
    if size > len(content) - at - 8:
        raise DataError("cut off")
    return kind, content[at + 8 : at + 8 + size], at + 8 + size + -size % 8


def _decode(content: bytes, order: str, depth: int = 0) -> Value:
    flags, shape, _, at = _parse_head(content, order)
    kind, n = flags & 0xFF, prod(shape)
    if n > len(content) or depth > _DEEPEST:
        raise DataError("damaged: more values than there is room for")
    if kind == _CELL:
        return _decode_parts(content, at, order, n, depth)
    if kind == _STRUCT:
        _, length, at = _element(content, at, order)
        _, names, at = _element(content, at, order)
        width = int.from_bytes(length, "little" if order == "<" else "big")
        if not width or len(names) % width:
            raise DataError("damaged: names of a struct's fields")
        fields = [names[k : k + width].split(b"\0")[0].decode("latin-1") for k in range(0, len(names), width)]
        values = _decode_parts(content, at, order, n * len(fields), depth)
        return [dict(zip(fields, values[k * len(fields) :], strict=False)) for k in range(n)]
    number, data, _ = _element(content, at, order)
    if kind == _CHAR and number in _TEXTS:
        codec = _TEXTS[number] + ({"<": "-le", ">": "-be"}[order] if _TEXTS[number] in ("utf-16", "utf-32") else "")
        return data.decode(codec, "replace")
    if kind not in _NUMERIC or flags & _COMPLEX or number not in _NUMBERS:
        raise DataError("a variable that is neither real numbers nor text, cells or structs")
    values_in = np.dtype(f"{order}{_NUMBERS[number]}")
    if len(data) != n * values_in.itemsize:
        raise DataError("damaged: the number of values is not that of its shape")
    return np.frombuffer(data, values_in).reshape(shape, order="F")


def _decode_parts(content: bytes, at: int, order: str, n: int, depth: int) -> list[Value]:
    parts = []
    for _ in range(n):
        _, part, at = _element(content, at, order)
        parts.append(_decode(part, order, depth + 1))
    return parts
