"""Reads safetensors files without mapping them: a mapped file that is truncated ends the process (SIGBUS)."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from kdtools.errors import FileError
from kdtools.storage.devices import read_faults_named
from kdtools.storage.stamps import changed_error, meet, stamp_of
from kdtools.storage.systems import open_to_read, read_at

_LARGEST_HEADER = 100_000_000  # bytes, the library's own limit
_LENGTH = 8  # bytes that hold the length of the header, lowest first
_METADATA = "__metadata__"


@dataclass(frozen=True)
class _Place:
    """Where the header says a tensor is: bytes `start` to `stop` of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class TensorFile:
    """An open safetensors file: `metadata` and, by name, `dtypes` (such as F32) and `shapes` of its tensors."""

    def __init__(self, descriptor: int, name: str, framework: Literal["np", "pt"]) -> None:
        self._descriptor, self._name, self._framework = descriptor, name, framework
        self._stamp = stamp_of(os.fstat(descriptor))
        size = self._stamp[2]
        length = int.from_bytes(self._read(0, min(_LENGTH, size)), "little")
        if size <= _LENGTH or length > min(_LARGEST_HEADER, size - _LENGTH):
            raise self._damaged(f"a header of {length} bytes in a file of {size}")
        try:
            header = json.loads(self._read(_LENGTH, _LENGTH + length))
            self.metadata = {str(key): str(value) for key, value in header.pop(_METADATA, {}).items()}
            self._places = {str(name): _place_of(entry, _LENGTH + length) for name, entry in header.items()}
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise self._damaged(f"its header: {error}") from error
        end = _LENGTH + length
        for place in sorted(self._places.values(), key=lambda place: (place.start, place.stop)):
            if place.start != end:
                raise self._damaged("its tensors do not follow one another")
            end = place.stop
        if end != size:
            raise self._damaged(f"its header describes {end} bytes, it has {size}")
        self.dtypes = {name: place.dtype for name, place in self._places.items()}
        self.shapes = {name: place.shape for name, place in self._places.items()}

    def tensor(self, name: str) -> Any:
        """A tensor as an array of the framework. Raises FileError if it is damaged, or the file changes meanwhile."""
        from safetensors import SafetensorError

        place = self._places[name]
        # The library turns bytes into a tensor, so it is shown a file of this tensor alone.
        entry = {"dtype": place.dtype, "shape": place.shape, "data_offsets": (0, place.stop - place.start)}
        header = json.dumps({"tensor": entry}).encode()
        alone = b"".join((len(header).to_bytes(_LENGTH, "little"), header, self._read(place.start, place.stop)))
        try:
            if self._framework == "pt":
                from safetensors.torch import load as load_tensors

                return load_tensors(alone)["tensor"]
            from safetensors.numpy import load as load_arrays

            return load_arrays(alone)["tensor"]
        except (SafetensorError, KeyError, ValueError) as error:
            raise self._damaged(f"{name!r}: {error}") from error

    def _read(self, start: int, stop: int) -> bytearray:
        """Bytes of the file. Raises FileError if it is not what it was when it was opened."""
        data = bytearray(stop - start)
        view, done = memoryview(data), 0
        while done < len(data):
            with read_faults_named(self._name):
                n = read_at(self._descriptor, view[done:], start + done)
            if not n:
                break
            done += n
        if done < len(data) or stamp_of(os.fstat(self._descriptor)) != self._stamp:
            raise changed_error(self._name)
        return data

    def _damaged(self, reason: str) -> FileError:
        return FileError(f"{self._name}: not a model file (safetensors), or damaged: {reason}")


def _place_of(entry: Any, data: int) -> _Place:
    """The entry of a header whose tensors begin at byte `data`. Raises ValueError if its numbers do not agree."""
    dtype, shape, (start, stop) = str(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if any(type(number) is not int or number < 0 for number in (*shape, start, stop)):
        raise ValueError("a size that is none")
    known = re.fullmatch(r"BOOL|[A-Z]+(\d+)\w*", dtype)  # I64, BF16, F8_E4M3: the number is of bits
    if known is None or prod(shape) * int(known[1] or 8) != 8 * (stop - start):
        raise ValueError(f"{stop - start} bytes for the shape {shape} of {dtype}")
    return _Place(dtype, shape, data + start, data + stop)


@contextlib.contextmanager
def open_tensors(path: str | Path, framework: Literal["np", "pt"] = "np", name: str = "") -> Iterator[TensorFile]:
    """Yields an existing safetensors file, open; `framework` is of its tensors, `name` the file's name in errors.

    Raises FileError for a bad file, and for one that changes while it is read.
    """
    descriptor = open_to_read(path)
    try:
        meet(path, os.fstat(descriptor), name or str(path))
        yield TensorFile(descriptor, name or str(path), framework)
    finally:
        os.close(descriptor)
