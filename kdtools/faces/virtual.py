"""Merging faces files without copying, by HDF5 virtual datasets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import h5py
import numpy as np

from kdtools.errors import DataError
from kdtools.faces.box_origin import common_origin
from kdtools.faces.detector import common_detector
from kdtools.faces.file import FacesFile
from kdtools.faces.lineage import lineage_of_faces
from kdtools.faces.merge import (
    SMALL_ARRAYS,
    check_alike,
    check_joinable,
    put_common_crop,
    put_common_shape_model,
    put_joined_conventions,
)
from kdtools.faces.selection import take_parts
from kdtools.faces.validation import is_pattern
from kdtools.faces.writer import FacesWriter
from kdtools.reporting import Reporter
from kdtools.storage.hdf5_checks import attributes_of
from kdtools.storage.limits import room_for_files


@dataclass(frozen=True)
class _Referred:
    """A file with faces, its number among all files, and the shapes of its arrays."""

    number: int
    name: str
    path: Path
    n_faces: int
    shapes: dict[str, tuple[int, ...]]


def check_referable(files: Sequence[FacesFile]) -> None:
    """Raises DataError as `check_joinable` does, but keeps no list of all ids."""
    check_alike(files, with_images=True, any_scheme=False, may_reorder=False)
    digests = np.concatenate([faces.id_digests for faces in files])
    if len(np.unique(digests)) < len(digests):
        check_joinable(take_parts(files), with_images=True, any_scheme=False, may_reorder=False)


def write_virtual(writer: FacesWriter, files: Sequence[FacesFile], output: str, reporter: Reporter) -> None:
    """Write references to the faces of all files, in order, with paths relative to the folder of the output.

    Warns of arrays that only some files hold, which are left out, and of more files than may be open at a time.
    Files without faces, such as empty shards, may lack arrays.
    """
    folder = Path(output).resolve().parent
    names = ["id", "image", "landmarks", *SMALL_ARRAYS]
    names += [f"subset/{name}" for name in sorted({name for faces in files for name in faces.subsets})]
    parts = [
        _Referred(
            k, faces.name, faces.path, len(faces), {name: faces.h5[name].shape for name in names if name in faces}
        )
        for k, faces in enumerate(files)
        if len(faces)
    ]
    n_faces = sum(part.n_faces for part in parts)
    if len(parts) > (room := room_for_files()):
        reporter.warn(f"to read it, the system must let {len(parts)} files be open at a time, here {room} (ulimit -n)")
    for name in names:
        lacking = [part.name for part in parts if name not in part.shapes]
        if len(lacking) == len(parts):
            continue
        if lacking:
            reporter.warn(f"/{name} is left out: {lacking[0]} holds none")
            continue
        origin, why = common_origin(files[part.number] for part in parts) if name == "box" else ("", "")
        if why:
            reporter.warn(f"/{name} is left out: {why}")
            continue
        first = files[parts[0].number].h5[name]
        layout = h5py.VirtualLayout((n_faces, *first.shape[1:]), first.dtype)
        at = 0
        for part in parts:
            path = os.path.relpath(part.path.resolve(), folder)
            if path.startswith(".."):
                hint = "move one of them, or copy the faces: leave out --virtual"
                raise DataError(f"{part.name} is outside {folder}, where readers would look for it", hint)
            if is_pattern(path):
                raise DataError(f"{part.name}: HDF5 takes %b and %% in a name for a pattern", "rename it")
            layout[at : at + part.n_faces] = h5py.VirtualSource(path, name, part.shapes[name])
            at += part.n_faces
        writer.h5.create_virtual_dataset(name, layout).attrs.update(
            {**attributes_of(first), **({"origin": origin} if origin else {})}
        )
    put_joined_conventions(writer, [(files[part.number].name, files[part.number].conventions) for part in parts])
    if "landmarks" in writer.h5 and not all(files[part.number].flipped for part in parts):
        writer.h5["landmarks"].attrs.pop("flipped", None)
    if "scheme" in files[0].h5.attrs:
        writer.h5.attrs["scheme"] = files[0].h5.attrs["scheme"]
    writer.add_lineage(reduce(or_, map(lineage_of_faces, files)))
    writer.put_detector(common_detector(files))
    put_common_crop(writer, files, reporter)
    put_common_shape_model(writer, files, False, reporter)
