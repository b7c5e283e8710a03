"""HDF5 files that other programs wrote: opened, and their data sets checked, before anything is believed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.storage.hdf5_checks import attributes_of, check_attributes, check_claim, objects_in, read_risks
from kdtools.storage.hdf5_guard import HDF5_ERRORS, GuardedStream, guarded_file

_LARGEST = 2**32  # bytes


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Errors inside become a FileError in one line: HDF5 has many kinds of them for a damaged file."""
    try:
        with guarded_file(path, str(path), _read_risks) as (file, _):
            yield file
    except HDF5_ERRORS as error:
        raise FileError(f"{path}: cannot be read as HDF5: {' '.join(str(error).split())}") from error


def _read_risks(file: h5py.File, _: GuardedStream) -> None:
    """Read what might crash HDF5 or never end, of all groups and arrays."""
    for item in objects_in(file):
        with contextlib.suppress(DataError):  # who reads the array gets the same error
            read_risks(item)
            attributes_of(item)


def dataset_at(group: h5py.Group, name: str) -> h5py.Dataset:
    """A data set that holds its values itself, and as many as it claims. Raises DataError."""
    where = f"{group.file.filename}:{group.name.rstrip('/')}/{name}"
    link = group.get(name, getlink=True)
    item = group.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
        raise DataError(f"{where}: is not a data set")
    if item.dtype.hasobject and item.dtype != h5py.ref_dtype:
        raise DataError(f"{where}: holds texts or lists of variable length, which are not read")
    if item.nbytes > _LARGEST:
        raise DataError(f"{where}: {item.nbytes} bytes, more than {_LARGEST} that are read at once")
    try:
        check_claim(item)
    except DataError as error:
        raise DataError(f"{group.file.filename}:{error.message}", error.hint) from error
    return item


def attribute_of(item: h5py.HLObject, name: str) -> Any:
    """An attribute, None where there is none. Raises DataError for one that is neither a number nor a text."""
    check_attributes(item, name)
    return item.attrs.get(name)


def numbers_at(group: h5py.Group, name: str) -> np.ndarray:
    """Its numbers, as float64 of the shape they have. Raises DataError where it holds anything else."""
    data = dataset_at(group, name)
    if data.dtype.kind not in "fiu":
        raise DataError(f"{data.file.filename}:{data.name}: holds no numbers")
    return np.asarray(data[()], np.float64)


def texts_at(group: h5py.Group, name: str) -> list[str]:
    """Its texts of a fixed length, whatever its shape. Raises DataError where it holds anything else.

    Those of variable length lie in a heap, in which the HDF5 library runs in a circle for ever where it is damaged.
    """
    data = dataset_at(group, name)
    if data.dtype.kind != "S":
        raise DataError(f"{data.file.filename}:{data.name}: holds no texts of a fixed length")
    return [as_text(value) for value in np.asarray(data[()]).reshape(-1)]


def as_text(value: object) -> str:
    """Text of an attribute or a data set; an absent or empty one is ''."""
    return (
        value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    )
