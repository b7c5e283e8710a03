"""NumPy arrays of points (N, L, 2), .npy or .npz, with a list of the images' names.

    faces.npy   float or integer, (N, L, 2), NaN where missing; (L, 2) for one image of the same name
    faces.txt   a name a line, also faces_names.txt, names.txt, filenames.txt, images.txt, in the same folder
    faces.npz   one such array, and the names as an array of text of N, or in such a list

No array of Python objects is read, because such a one is a pickle, which can run code. 0-based, as numpy counts pixels.

Source: the format's own description, numpy.lib.format.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import find_named
from kdtools.datasets.formats.shared.text_lists import check_size, files_like, only_file, read_lines
from kdtools.errors import DataError, FileError, reason_of

_MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04"}
_MOST_BYTES = 1 << 30  # of an array
_LISTS = ("{stem}.txt", "{stem}_names.txt", "names.txt", "filenames.txt", "images.txt")
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.np[yz]", _looks_right)


def _looks_right(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(6).startswith(_MAGIC.get(path.suffix.lower(), b"-"))
    except OSError:
        return False


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises FileError where the arrays are not points, or the names of their images are not known."""
    path = only_file(source, _files_in(source))
    try:
        arrays = _read_npz(path) if path.suffix.lower() == ".npz" else {"": _read_array(path)}
        name, faces = _points_in(arrays)
        if faces.ndim == 2:
            place = find_named(reading, path.stem, path.parent, str(path))
            if place is not None:
                yield Annotation(place.id, place.image, as_points(check_size(faces), reading.base))
            return
        names = _names_of(path, {key: array for key, array in arrays.items() if key != name}, len(faces))
    except DataError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error
    for k, (image_name, points) in enumerate(zip(names, faces, strict=True)):
        where = f"{path}[{k}]"
        try:
            face = as_points(check_size(points), reading.base)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        image = reading.find_image(image_name, path.parent, where)
        if image is not None:
            yield Annotation(reading.number(image_name), image, face)


def _points_in(arrays: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """The only array of points, (N, L, 2) or (L, 2), as float64. Raises DataError where there is none, or several."""
    found = [key for key, array in arrays.items() if array.dtype.kind in "fiu" and array.ndim == 3]
    found = found or [key for key, array in arrays.items() if array.dtype.kind in "fiu" and array.ndim == 2]
    if len(found) != 1:
        kinds = ", ".join(f"{key or 'an array'} {array.shape} of {array.dtype}" for key, array in arrays.items())
        raise DataError(f"holds {kinds}: which are the points?", "save one array of shape (N, L, 2)")
    faces = arrays[found[0]]
    if faces.shape[-1] != 2 or 0 in faces.shape:
        raise DataError(f"has the shape {faces.shape}, not (N, L, 2)", "keep x and y: points[..., :2]")
    return found[0], faces.astype(np.float64)


def _names_of(path: Path, arrays: dict[str, np.ndarray], n: int) -> list[str]:
    """Names of n images, of an array of text or a list beside the file. Raises DataError where there is none."""
    texts = [array for array in arrays.values() if array.dtype.kind in "US" and array.ndim == 1]
    if len(texts) > 1:
        raise DataError("holds several arrays of text: which are the names of the images?")
    if texts:
        names = [str(value) if texts[0].dtype.kind == "U" else value.decode("utf-8", "replace") for value in texts[0]]
        where = "its array of names"
    else:
        files = [path.with_name(name.format(stem=path.stem)) for name in _LISTS]
        there = [file for file in files if file.is_file()]
        if not there:
            raise DataError(
                f"{n} faces, but no list of their images' names",
                f"write one name per line to {path.stem}.txt next to it, in the order of the faces",
            )
        names, where = [line for _, line in read_lines(there[0])], there[0].name
    if len(names) != n or not all(name.strip() and "\0" not in name for name in names):
        raise DataError(f"{n} faces, but {where} has {len(names)} names, or empty ones")
    return [name.strip() for name in names]


def _read_array(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as stream:
            return _parse(stream)
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: not a .npy file that can be read: {reason_of(error)}") from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of points and of text in an archive; of others only the shape is looked at."""
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    arrays[member.filename.removesuffix(".npy")] = _parse(stream)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FileError(f"{path}: not a .npz file that can be read: {reason_of(error)}") from error
    return arrays


def _parse(stream: IO[bytes]) -> np.ndarray:
    """One array. Raises DataError for one of Python objects or of gigabytes, ValueError for a damaged one."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise DataError(f"is of version {version} of the .npy format, which is for records")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in "fiubUS":
        what = "Python objects, which are never loaded" if dtype.hasobject else f"{dtype}"
        raise DataError(f"an array of {what}", "save numbers, and names with np.array(names, str)")
    n_values = math.prod(shape)
    if min(shape, default=0) < 0 or n_values * dtype.itemsize > _MOST_BYTES:
        raise DataError(f"an array of shape {shape}, which is too large for points")
    data = stream.read(n_values * dtype.itemsize)
    if len(data) < n_values * dtype.itemsize:
        raise DataError("cut off: its array is longer than the file")
    if not n_values or not dtype.itemsize:
        return np.empty(shape, dtype)
    values = np.frombuffer(data, dtype)
    return values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)


FORMAT = Format("numpy", "NumPy's .npy or .npz: points (N, L, 2), with a list of the images' names", 0, accepts, read)
