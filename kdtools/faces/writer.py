"""Writing faces files, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, KdError
from kdtools.faces import schema
from kdtools.faces.box_origin import box_origin
from kdtools.faces.conventions import FaceConventions
from kdtools.faces.detector import detector_of
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import check_unique_ids
from kdtools.faces.lineage import lineage_of_faces
from kdtools.landmarks import INDEX_FIELDS, JSON_FIELDS, Scheme
from kdtools.landmarks.conventions import Convention, conventions_to_json
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.parallel import batched
from kdtools.storage.devices import leave_open
from kdtools.storage.hdf5_checks import attributes_of
from kdtools.storage.lineage import ATTRIBUTES, Lineage
from kdtools.storage.outputs import Outputs, check_no_input, written_aside
from kdtools.storage.provenance import DETECTOR, Provenance

_COPY_ROWS = 1024
_HDF5_BUFFER = 1 << 16  # bytes that HDF5 collects before it writes them; larger pieces are written at once
# Readable by HDF5 1.10 and later; older layouts cannot store a long command line in an attribute.
_LIBRARY_VERSIONS = ("v110", "v110")


class FacesWriter:
    """Fills a new faces file; made by `create_faces`."""

    def __init__(self, h5: h5py.File) -> None:
        self.h5 = h5
        self.kept_images: Sequence[int] | None = None
        # An object that dies while the device fails crashes the library, so all live until the file is closed.
        self._created: list[h5py.Dataset] = []

    def _create(self, *what: Any, **settings: Any) -> h5py.Dataset:
        self._created.append(self.h5.create_dataset(*what, **settings))
        return self._created[-1]

    def put(self, name: str, values: Any, **attributes: Any) -> None:
        """Write a whole array of the format, converted to its type, with `dims`, `unit` and further attributes."""
        spec = schema.spec_of(name)
        assert spec is not None, name
        if spec.dtype == "text":
            data = self._create(name, data=list(values), dtype=h5py.string_dtype())
        else:
            data = self._create(name, data=np.ascontiguousarray(values, dtype=spec.dtype))
        self._describe(name, data, attributes)

    def put_pieces(self, name: str, n_rows: int, pieces: Iterable[Any], **attributes: Any) -> None:
        """As `put`, for an array of `n_rows` rows in pieces, at least one. The bytes do not depend on the pieces."""
        spec = schema.spec_of(name)
        assert spec is not None, name
        data: h5py.Dataset | None = None
        if spec.dtype == "text":  # in pieces of one size, since the layout of texts in HDF5 depends on it
            data = self._create(name, (n_rows,), h5py.string_dtype())
            pieces = batched(chain.from_iterable(pieces), _COPY_ROWS)
        at = 0
        for piece in pieces:
            if data is None:
                data = self._create(name, (n_rows, *np.shape(piece)[1:]), spec.dtype)
            if len(piece):
                data[at : at + len(piece)] = piece
            at += len(piece)
        assert data is not None, name
        assert at == n_rows, name
        self._describe(name, data, attributes)

    def _describe(self, name: str, data: h5py.Dataset, attributes: dict[str, Any]) -> None:
        self.h5.flush()  # raises if the disk is full; h5py can only print a traceback when `data` is closed
        data.attrs["dims"] = schema.dims_of(name)
        spec = schema.spec_of(name)
        data.attrs["unit"] = spec.unit if spec else ""
        for key, value in attributes.items():
            data.attrs[key] = value

    def put_ids(self, ids: Sequence[str]) -> None:
        """Write /id. Raises DataError for duplicates."""
        check_unique_ids(ids)
        self.put("id", ids)

    def put_landmarks(self, points: np.ndarray, scheme: Scheme, role: str) -> None:
        """Write /landmarks (N, L, 2) with its role and scheme."""
        self.put("landmarks", points)
        self.describe_landmarks(scheme, role)

    def describe_landmarks(self, scheme: Scheme, role: str, further: Mapping[str, Any] | None = None) -> None:
        """Write the role and the scheme of /landmarks, and `further` attributes of it."""
        self.h5.attrs["scheme"] = scheme.name
        attrs = self.h5["landmarks"].attrs
        attrs["role"] = role
        for key in INDEX_FIELDS:
            value = getattr(scheme, key)
            if value is not None:
                attrs[key] = np.array(value, np.int32)
        if not scheme.flips:
            attrs["mirror"] = np.empty(0, np.int32)  # else the map of a known scheme of this name would be taken
        for key in JSON_FIELDS:
            attrs[key] = json.dumps(getattr(scheme, key))
        attrs.update(further or {})

    def copy_companions(self, faces: FacesFile) -> None:
        """Copy COMPANIONS and subsets from `faces`, for an output about the same faces."""
        self.add_lineage(lineage_of_faces(faces))
        self.put_detector(detector_of(faces))
        for name in schema.COMPANIONS:
            if name in faces:
                self._copy(faces, name)
        if origin := box_origin(faces):
            self.h5["box"].attrs["origin"] = origin
        for name, member in faces.subsets.items():
            self.put(f"subset/{name}", member)

    def _copy(self, faces: FacesFile, name: str) -> None:
        old = faces.h5[name]
        attributes = attributes_of(old)
        # HDF5 would copy a virtual array as one that refers to parts beside the new file, and does not copy attributes
        # safely that other programs may have written.
        if old.is_virtual or len(attributes) < len(old.attrs):
            values = faces.read(name, 0, len(faces))
            self._create(name, data=values, dtype=old.dtype).attrs.update(attributes)
        else:
            faces.h5.copy(name, self.h5)

    def copy_rows(self, faces: FacesFile, rows: np.ndarray, conventions: FaceConventions | None = None) -> None:
        """Copy these rows of all per-face arrays of `faces`, in this order; with `conventions` in place of its own."""
        self.add_lineage(lineage_of_faces(faces))
        self.put_detector(detector_of(faces))
        for key in ("scheme", "crop"):
            if key in faces.h5.attrs:
                self.h5.attrs[key] = faces.h5.attrs[key]
        if faces.has_images:
            images = self.create_images(len(rows), *faces.image_size)
            for first in range(0, len(rows), _COPY_ROWS):
                block = rows[first : first + _COPY_ROWS]
                images[first : first + len(block)] = faces.images[block]
        self.copy_conventions((conventions or faces.conventions).of_rows(rows))
        others = ("image", "convention")
        per_face = [name for name, spec in schema.ARRAYS.items() if spec.dims[0] == "face" and name not in others]
        for name in (*per_face, *(f"subset/{subset}" for subset in faces.subsets)):
            if name in faces:
                old = faces.h5[name]
                new = self._create(name, data=_all_of(faces, name)[rows], dtype=old.dtype)
                new.attrs.update(attributes_of(old))

    def add_lineage(self, lineage: Lineage) -> None:
        """Note what the faces are made from, beside what is noted already."""
        noted = Lineage.from_faces({key: self.h5.attrs[key] for key in ATTRIBUTES if key in self.h5.attrs})
        self.h5.attrs.update((noted | lineage).of_faces())

    def put_detector(self, record: Mapping[str, Any]) -> None:
        """Note what found the faces; nothing if the record is empty."""
        if record:
            self.h5.attrs[DETECTOR] = json.dumps(record, sort_keys=True)

    def put_shape_model(self, model: ShapeModel) -> None:
        for part in ("mean", "modes", "variance"):
            self.put(f"shape_model/{part}", getattr(model, part))
        self.h5["shape_model"].attrs["align"] = model.align

    def put_conventions(self, conventions: Iterable[Convention], of_faces: Iterable[str]) -> None:
        """Write the annotation conventions and the name of that of each face, '' where it states none."""
        self.h5.attrs["conventions"] = conventions_to_json(conventions)
        self.put("convention", of_faces)

    def copy_conventions(self, conventions: FaceConventions) -> None:
        """Those of another file's faces, if it states any, for an output of the same labels."""
        if conventions.all:
            self.put_conventions(conventions.all, conventions.names_of_faces())

    def put_crop(self, crop: CropRule) -> None:
        self.h5.attrs["crop"] = crop.to_json()

    def create_images(self, n_faces: int, height: int, width: int) -> h5py.Dataset:
        """Create /image, to be filled by rows; contiguous and uncompressed, so that it can be memory-mapped."""
        data = self._create("image", (n_faces, height, width, 3), np.uint8)
        data.attrs["dims"] = schema.dims_of("image")
        data.attrs["unit"] = schema.ARRAYS["image"].unit
        return data

    def keep_images(self, rows: Sequence[int]) -> None:
        """Leave only these rows of /image, in rising order, by copying the file at the end; no copy if they are all."""
        self.kept_images = rows if len(rows) < len(self.h5["image"]) else None


class ImageRows:
    """Rows of a new /image, for several threads at a time. HDF5 would hold Python's lock while it writes."""

    def __init__(self, images: h5py.Dataset) -> None:
        self._images, self._row_bytes = images, int(np.prod(images.shape[1:]))
        self._file = images.file.id.get_vfd_handle()
        self._first: int | None = None
        # Windows has no pwrite, and the handle of another driver (HDF5_DRIVER) is no descriptor.
        is_direct = hasattr(os, "pwrite") and images.file.driver == "sec2"
        # HDF5 gives a contiguous array its place when it is first written to. Less than its buffer holds would be kept
        # there and written later, over other rows; flushing would lay out the rest of the file in another way.
        n_rows = _HDF5_BUFFER // self._row_bytes + 1
        if is_direct and len(images) >= n_rows:
            images[:n_rows] = np.zeros((n_rows, *images.shape[1:]), np.uint8)  # a plain 0 would be written in pieces
            self._first = images.id.get_offset()

    def write(self, row: int, image: np.ndarray) -> None:
        """Write an image (H, W, 3) uint8. Raises OSError if the disk is full."""
        assert image.dtype == np.uint8, image.dtype
        assert image.nbytes == self._row_bytes, image.shape  # else it would spill over other rows
        if self._first is None:
            self._images[row] = image
            return
        data, at = np.ascontiguousarray(image).reshape(-1).data, self._first + row * self._row_bytes
        while data:  # a nearly full disk takes a part
            n_written = os.pwrite(self._file, data, at)
            data, at = data[n_written:], at + n_written


def _all_of(faces: FacesFile, name: str) -> np.ndarray:
    values = faces.read(name, 0, len(faces))
    return np.array(values, object) if isinstance(values, list) else np.asarray(values)


@contextlib.contextmanager
def _new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, closed at the end, even if the device is full. It is private, so it needs no lock.

    HDF5 cannot close a file that it cannot write completely: h5py then prints tracebacks and crashes at exit. So after
    an error, when the file will be deleted anyway, its descriptor is redirected to /dev/zero; if that does not help,
    the file and all objects in it are left open.
    """
    h5 = h5py.File(path, "w", libver=_LIBRARY_VERSIONS, locking=False)
    try:
        yield h5
        h5.flush()
        h5.close()
    except BaseException as error:
        if isinstance(error, KdError):  # an input is at fault, so the file can be closed as usual
            with contextlib.suppress(OSError, RuntimeError):
                h5.close()
        if not h5:
            raise
        within: list[object] = [h5, h5.id]
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            within += h5py.h5f.get_obj_ids(h5.id)
            spare = os.open("/dev/zero", os.O_RDWR)
            os.dup2(spare, h5.id.get_vfd_handle())
            os.close(spare)
        try:
            h5.close()
        except (OSError, RuntimeError):
            leave_open(within)
        raise


@contextlib.contextmanager
def create_faces(
    output: str, force: bool, provenance: Provenance, *, within: Outputs | None = None, may_be_empty: bool = False
) -> Iterator[FacesWriter]:
    """Yields a writer for a faces file, which is put in place when the block ends without an error.

    It is one of the outputs `within`, which appear together, or on its own (see `written_aside`). Raises DataError for
    a file without faces, unless it `may_be_empty`.
    """
    check_no_input([output], provenance.inputs)
    with written_aside(output, force) if within is None else contextlib.nullcontext(within.file(output)) as path:
        with _new_hdf5(path) as h5:
            h5.attrs["kd_kind"] = schema.KIND
            h5.attrs["kd_format"] = schema.FORMAT
            h5.attrs.update({**provenance.attributes(), **provenance.lineage.of_faces()})
            writer = FacesWriter(h5)
            yield writer
            if "id" not in h5 or not (may_be_empty or len(h5["id"])):
                raise DataError(f"{output}: no faces to write")
        if writer.kept_images is not None:
            _cut_images(path, np.asarray(writer.kept_images))


def _cut_images(path: Path, rows: np.ndarray) -> None:
    """Leave only these rows of /image, in rising order.

    HDF5 cannot shrink a contiguous array in place, so the file is copied.
    """
    full = path.with_name(path.name + ".full")
    path.rename(full)
    try:
        with h5py.File(full, locking=False) as old, _new_hdf5(path) as new:
            new.attrs.update(old.attrs)
            images = FacesWriter(new).create_images(len(rows), *old["image"].shape[1:3])
            at = 0
            for first in range(0, len(rows), _COPY_ROWS):
                some = rows[first : first + _COPY_ROWS]
                for run in np.split(some, np.flatnonzero(np.diff(some) != 1) + 1):  # of rows that follow each other
                    images[at : at + len(run)] = old["image"][run[0] : run[-1] + 1]
                    at += len(run)
            for name in old:
                if name != "image":
                    old.copy(name, new)
    finally:
        full.unlink()
