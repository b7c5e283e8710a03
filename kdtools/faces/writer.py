"""Writing faces files, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError
from kdtools.faces import schema
from kdtools.faces.file import FacesFile, check_unique_ids
from kdtools.landmarks import INDEX_FIELDS, JSON_FIELDS, Scheme
from kdtools.landmarks.crops import CropRule
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.parallel import batched
from kdtools.storage.outputs import Outputs, written_aside
from kdtools.storage.provenance import Provenance

_COPY_ROWS = 1024
# The oldest library that may read the files; older layouts cannot hold a long command line in an attribute.
_LIBRARY_VERSIONS = ("v110", "v110")


class FacesWriter:
    """Fills a new faces file; made by `create_faces`."""

    def __init__(self, h5: h5py.File) -> None:
        self.h5 = h5
        self.n_images: int | None = None

    def put(self, name: str, values: Any, **attributes: Any) -> None:
        """Write a whole array of the format, converted to its type, with `dims`, `unit` and further attributes."""
        spec = schema.spec_of(name)
        assert spec is not None, name
        if spec.dtype == "text":
            data = self.h5.create_dataset(name, data=list(values), dtype=h5py.string_dtype())
        else:
            data = self.h5.create_dataset(name, data=np.ascontiguousarray(values, dtype=spec.dtype))
        self._describe(name, data, attributes)

    def put_pieces(self, name: str, n_rows: int, pieces: Iterable[Any], **attributes: Any) -> None:
        """As `put`, of an array of `n_rows` rows that comes in pieces, at least one; they make no difference to it."""
        spec = schema.spec_of(name)
        assert spec is not None, name
        is_text, data = spec.dtype == "text", None
        if is_text:  # by equal numbers, since where HDF5 puts texts depends on how many are written at a time
            data = self.h5.create_dataset(name, (n_rows,), h5py.string_dtype())
            pieces = batched(chain.from_iterable(pieces), _COPY_ROWS)
        at = 0
        for piece in pieces:
            if data is None:
                data = self.h5.create_dataset(name, (n_rows, *np.shape(piece)[1:]), spec.dtype)
            if len(piece):
                data[at : at + len(piece)] = piece
            at += len(piece)
        assert data is not None, name
        assert at == n_rows, name
        self._describe(name, data, attributes)

    def _describe(self, name: str, data: h5py.Dataset, attributes: dict[str, Any]) -> None:
        self.h5.flush()  # a full disk is found here, not when `data` goes, where h5py can only print a traceback
        data.attrs["dims"] = schema.dims_of(name)
        spec = schema.spec_of(name)
        data.attrs["unit"] = spec.unit if spec else ""
        for key, value in attributes.items():
            data.attrs[key] = value

    def put_ids(self, ids: Sequence[str]) -> None:
        """Write /id. Raises DataError for one that stands twice."""
        check_unique_ids(ids)
        self.put("id", ids)

    def put_landmarks(self, points: np.ndarray, scheme: Scheme, role: str) -> None:
        """Write /landmarks (N, L, 2) with its role and everything that is known of the scheme."""
        self.put("landmarks", points)
        self.describe_landmarks(scheme, role)

    def describe_landmarks(self, scheme: Scheme, role: str) -> None:
        """Give /landmarks its role and everything that is known of the scheme."""
        self.h5.attrs["scheme"] = scheme.name
        self.h5["landmarks"].attrs["role"] = role
        attrs = self.h5["landmarks"].attrs
        for key in INDEX_FIELDS:
            value = getattr(scheme, key)
            if value is not None:
                attrs[key] = np.array(value, np.int32)
        for key in JSON_FIELDS:
            attrs[key] = json.dumps(getattr(scheme, key))

    def copy_companions(self, faces: FacesFile) -> None:
        """Take over from `faces`, row by row, what an output about the same faces keeps: boxes, sources, subsets."""
        for name in schema.COMPANIONS:
            if name in faces:
                faces.h5.copy(name, self.h5)
        for name, member in faces.subsets.items():
            self.put(f"subset/{name}", member)

    def copy_rows(self, faces: FacesFile, rows: np.ndarray) -> None:
        """Take over these rows of everything that `faces` holds, in this order."""
        for key in ("scheme", "crop"):
            if key in faces.h5.attrs:
                self.h5.attrs[key] = faces.h5.attrs[key]
        if faces.has_images:
            images = self.create_images(len(rows), *faces.image_size)
            for first in range(0, len(rows), _COPY_ROWS):
                block = rows[first : first + _COPY_ROWS]
                order = np.argsort(block)  # h5py reads rows only in their order
                # A new memory map each time, so that pages of the last one can go.
                images[first : first + len(block)] = faces.images[block[order]][np.argsort(order)]
        per_face = [name for name, spec in schema.ARRAYS.items() if spec.dims[0] == "face" and name != "image"]
        for name in (*per_face, *(f"subset/{subset}" for subset in faces.subsets)):
            if name in faces:
                old = faces.h5[name]
                new = self.h5.create_dataset(name, data=old[...][rows], dtype=old.dtype)
                new.attrs.update(old.attrs)

    def put_shape_model(self, model: ShapeModel) -> None:
        for part in ("mean", "modes", "variance"):
            self.put(f"shape_model/{part}", getattr(model, part))
        self.h5["shape_model"].attrs["align"] = model.align

    def put_crop(self, crop: CropRule) -> None:
        self.h5.attrs["crop"] = crop.to_json()

    def create_images(self, n_faces: int, height: int, width: int) -> h5py.Dataset:
        """Make /image, contiguous and uncompressed so that it can be memory-mapped, to be filled by rows."""
        data = self.h5.create_dataset("image", (n_faces, height, width, 3), np.uint8)
        data.attrs["dims"] = schema.dims_of("image")
        data.attrs["unit"] = schema.ARRAYS["image"].unit
        return data

    def keep_first_images(self, n_faces: int) -> None:
        """Of the rows made by `create_images` only the first `n_faces` were filled; the rest will be cut off.

        That copies the file, so nothing is done where all rows were filled.
        """
        self.n_images = n_faces if n_faces < len(self.h5["image"]) else None


@contextlib.contextmanager
def _new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, closed at the end, also where the device is full.

    HDF5 cannot close a file whose last bytes it cannot write: h5py then prints tracebacks and crashes as Python ends.
    So after an error, when the file will be deleted anyhow, its descriptor is led to /dev/zero, which takes it all.
    """
    h5 = h5py.File(path, "w", libver=_LIBRARY_VERSIONS)
    try:
        yield h5
        h5.flush()
    except BaseException:
        with contextlib.suppress(OSError, RuntimeError):
            spare = os.open("/dev/zero", os.O_RDWR)
            os.dup2(spare, h5.id.get_vfd_handle())
            os.close(spare)
        with contextlib.suppress(OSError, RuntimeError):
            h5.close()
        raise
    h5.close()


@contextlib.contextmanager
def create_faces(
    output: str, force: bool, provenance: Provenance, *, within: Outputs | None = None, may_be_empty: bool = False
) -> Iterator[FacesWriter]:
    """Write a faces file aside and put it in place when the block ends well (see `written_aside`).

    `within` several outputs it is put in place together with the others. Raises DataError for a file without faces,
    unless it `may_be_empty` because it is a part of something.
    """
    with written_aside(output, force) if within is None else contextlib.nullcontext(within.file(output)) as path:
        with _new_hdf5(path) as h5:
            h5.attrs["kd_kind"] = schema.KIND
            h5.attrs["kd_format"] = schema.FORMAT
            h5.attrs.update(provenance.attributes())
            writer = FacesWriter(h5)
            yield writer
            if "id" not in h5 or not (may_be_empty or len(h5["id"])):
                raise DataError(f"{output}: no faces to write")
        if writer.n_images is not None:
            _cut_images(path, writer.n_images)


def _cut_images(path: Path, n_faces: int) -> None:
    """Shorten /image to its first rows. HDF5 cannot shrink a contiguous array in place, so the file is copied."""
    full = path.with_name(path.name + ".full")
    path.rename(full)
    try:
        with h5py.File(full) as old, _new_hdf5(path) as new:
            new.attrs.update(old.attrs)
            images = FacesWriter(new).create_images(n_faces, *old["image"].shape[1:3])
            for first in range(0, n_faces, _COPY_ROWS):
                images[first : first + _COPY_ROWS] = old["image"][first : min(first + _COPY_ROWS, n_faces)]
            for name in old:
                if name != "image":
                    old.copy(name, new)
    finally:
        full.unlink()
