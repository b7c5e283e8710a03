"""Checks of a faces file on opening."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.bundled import bundled_names
from kdtools.errors import DataError, FileError
from kdtools.faces import schema
from kdtools.landmarks.geometry import has_area
from kdtools.storage.file_kinds import HDF5, ONNX, SAFETENSORS, form_of_start, read_start
from kdtools.storage.hdf5_checks import MEMORY_RATIO, check_attributes, check_claim, item_at
from kdtools.storage.hdf5_guard import HDF5_ERRORS, GuardedStream

OTHER_KIND_HINT = "kd-import reads points of other files; kd-predict -o FILE.h5 writes one"
FOLDER_HINT = "kd-import makes one from a folder of annotated images, kd-predict predicts points in photographs"


def plain(value: Any) -> Any:
    """An attribute as h5py writes it: other programs write text of fixed length, or arrays of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def check_maps(maps: np.ndarray, name: str) -> np.ndarray:
    """Maps (N, 2, 3) of /to_source as they are. Raises DataError if one is finite, but puts all points on a line."""
    flat = np.isfinite(maps).all(axis=(1, 2)) & ~has_area(maps)
    if flat.any():
        what = f"{name}:/to_source: {int(flat.sum())} of {len(maps)} maps cannot be inverted"
        raise DataError(what, "kd-info --check names the faces; make the file again")
    return maps


def check_signature(path: Path, name: str) -> None:
    try:
        with path.open("rb") as stream:
            start = read_start(stream)
    except FileNotFoundError as error:
        hint = (
            f"{name} is a network that comes with kdtools; here a faces file is meant"
            if name in bundled_names()
            else ""
        )
        raise FileError(f"{name}: no such file", hint) from error
    except IsADirectoryError as error:
        raise FileError(f"{name}: is a folder, not a faces file", FOLDER_HINT) from error
    except OSError as error:
        raise FileError(f"{name}: {error.strerror}") from error
    if not start:
        raise FileError(f"{name}: is empty", "did the command that should write it fail?")
    form = form_of_start(start)
    if form != HDF5:
        kind = "a model file" if form in (SAFETENSORS, ONNX) else "of another kind"
        raise FileError(
            f"{name}: is {kind}, not a faces file (HDF5)", OTHER_KIND_HINT if kind == "of another kind" else ""
        )


def check_kind(h5: h5py.File, name: str) -> int:
    """The version of the format. Raises FileError for a file of another kind or a newer one."""
    check_attributes(h5, *schema.ATTRIBUTES)
    kind = plain(h5.attrs.get("kd_kind"))
    if not isinstance(kind, str) or kind != schema.KIND:
        what = "no kd_kind attribute" if kind is None else f"kd_kind is {str(kind)[:40]!r}"
        raise FileError(f"{name}: an HDF5 file, but not a faces file ({what})", "kd-import makes faces files")
    version = plain(h5.attrs.get("kd_format"))
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise FileError(f"{name}: kd_format is {str(version)[:40]!r}, not a version number")
    if version > schema.FORMAT:
        raise FileError(
            f"{name}: faces format {version}, but this kdtools reads up to {schema.FORMAT}", "upgrade kdtools"
        )
    return int(version)


def subset_names(h5: h5py.File) -> list[str]:
    """Names of the subsets, sorted. Raises DataError if the group is a link, or they are too many."""
    group = item_at(h5, "subset")
    if not isinstance(group, h5py.Group):
        return []
    if len(group) > schema.MOST_SUBSETS:
        hint = "put the names of the sets into the ids, and select with --ids"
        raise DataError(f"/subset: {len(group)} subsets, of which at most {schema.MOST_SUBSETS} are read", hint)
    names = list(group)
    if not all(isinstance(name, str) for name in names):  # h5py gives others as bytes
        raise DataError("/subset: a name that is not UTF-8", "rename it")
    return sorted(names)


def check_arrays(h5: h5py.File, path: Path, name: str) -> set[str]:
    """Check all arrays; returns the files that virtual ones refer to. Raises FileError or DataError for a bad array."""
    if not isinstance(item_at(h5, "id"), h5py.Dataset):
        raise FileError(f"{name}: holds no /id, so its faces have no names", "write the file again")
    shape_model = item_at(h5, "shape_model")
    if shape_model is not None:
        check_attributes(shape_model, *schema.ATTRIBUTES)
    parts: set[str] = set()
    sizes: dict[str, int] = {}
    arrays = [array for array in schema.ARRAYS if item_at(h5, array) is not None]
    for array in [*arrays, *(f"subset/{subset}" for subset in subset_names(h5))]:
        _check_array(item_at(h5, array), array, name, sizes)
        parts |= _parts_of(h5[array], array, path, name)
    return parts


def _check_array(data: Any, array: str, name: str, sizes: dict[str, int]) -> None:
    """`sizes` maps the axes met so far to their lengths."""
    spec = schema.spec_of(array)
    if not isinstance(data, h5py.Dataset):
        raise FileError(f"{name}: /{array} is not an array")
    shape = data.shape
    if spec is None or shape is None or len(shape) != len(spec.dims):
        raise FileError(f"{name}: /{array} has shape {shape}, expected {spec and spec.dims}")
    if not (data.dtype == np.uint8 if array == "image" else _is_readable_as(data.dtype, spec.dtype)):
        raise FileError(f"{name}: /{array} holds {data.dtype}, expected {spec.dtype}", "convert it")
    for dim, length in zip(spec.dims, shape, strict=True):
        expected = dim if isinstance(dim, int) else sizes.setdefault(dim, length)
        if length != expected:
            raise FileError(
                f"{name}: /{array} has {length} along its axis {dim!r}, expected {expected}",
                "the file contradicts itself; write it again",
            )
    if array == "image" and 0 in shape[1:]:
        raise FileError(
            f"{name}: its images are of {shape[2]} x {shape[1]} px", "make the file again, or leave out /image"
        )
    check_attributes(data, *schema.ATTRIBUTES)
    check_claim(data, whole=array != "image", ratio=MEMORY_RATIO)


def _parts_of(data: h5py.Dataset, array: str, path: Path, name: str) -> set[str]:
    """Files that a virtual array refers to.

    Raises FileError for one outside the folder of `path`, since a downloaded file must not read others, and for an
    absent one: HDF5 returns zeros for sources it cannot open.
    """
    parts = {source.file_name for source in data.virtual_sources()} if data.is_virtual else set()
    for part in parts:
        if part.startswith("/") or posixpath.normpath(part).split("/")[0] in (".", "..", path.name):
            hint = "parts must be in the folder of the file or below it; kd-merge without --virtual copies them"
            raise FileError(f"{name}: /{array} refers to {part!r}, which is not looked for", hint)
        if is_pattern(part):
            raise FileError(
                f"{name}: /{array} refers to {part!r}, which HDF5 takes for a pattern of names", "rename it"
            )
        if (place := path.parent.resolve().joinpath(part)).resolve() != place:
            hint = "put the file itself there; a symbolic link may lead anywhere"
            raise FileError(
                f"{name}: /{array} refers to {part!r}, which is a symbolic link or is reached through one", hint
            )
        if not place.is_file():
            hint = "bring it back, or join the parts without --virtual while they are there"
            raise FileError(f"{name}: a file that it refers to is absent: {part}", hint)
    return parts


def is_pattern(part: str) -> bool:
    """Whether HDF5 takes the name of a virtual array's source for a pattern: %b is a number, %% a percent sign."""
    return "%b" in part or "%%" in part


def _is_readable_as(dtype: np.dtype[Any], expected: str) -> bool:
    """Whether an array of type `dtype` can be read as `expected`: integers as floats, any integers as booleans."""
    if expected == "text":
        return h5py.check_string_dtype(dtype) is not None
    return dtype.kind in ("fiu" if expected.startswith("float") else "biu")


@contextlib.contextmanager
def contradictions_reported(name: str, stream: GuardedStream) -> Iterator[None]:
    """Turns errors on opening a faces file into FileError that names it."""
    try:
        yield
    except FileError:
        raise
    except DataError as error:
        raise FileError(f"{name}:{error.message}", error.hint) from error
    except HDF5_ERRORS as error:
        raise stream.damage(name, "", error) from error
