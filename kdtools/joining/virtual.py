"""Faces files joined without a copy, by HDF5's virtual datasets: a file that refers to the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from kdtools.errors import DataError
from kdtools.files import FacesFile, FacesWriter
from kdtools.joining.choose import take_parts
from kdtools.joining.merge import SMALL_ARRAYS, check_alike, check_joinable, put_common_crop, put_common_shape_model
from kdtools.telling import Tell


def check_referable(files: Sequence[FacesFile]) -> None:
    """Raises DataError as `check_joinable` does, but keeps no list of all ids."""
    check_alike(files, with_images=True, any_scheme=False)
    digests = np.concatenate([faces.id_digests for faces in files])
    if len(np.unique(digests)) < len(digests):
        check_joinable(take_parts(files), with_images=True, any_scheme=False)


def write_virtual(writer: FacesWriter, files: Sequence[FacesFile], output: str, warn: Tell) -> None:
    """Write the faces of all files, in order, as references; the files are looked for from the output's folder.

    `warn` hears of arrays that only some files hold, which are left out.
    """
    folder = Path(output).resolve().parent
    names = ["id", "image", "landmarks", *SMALL_ARRAYS]
    names += [f"subset/{name}" for name in sorted({name for faces in files for name in faces.subsets})]
    n_faces = sum(map(len, files))
    for name in names:
        lacking = [faces.name for faces in files if name not in faces]
        if len(lacking) == len(files):
            continue
        if lacking:
            warn(f"/{name} is left out: {lacking[0]} holds none")
            continue
        first = files[0].h5[name]
        layout = h5py.VirtualLayout((n_faces, *first.shape[1:]), first.dtype)
        at = 0
        for faces in files:
            if len(faces):
                path = os.path.relpath(faces.path.resolve(), folder)
                if path.startswith(".."):
                    hint = "move one of them, or copy the faces: leave out --virtual"
                    raise DataError(f"{faces.name} lies outside {folder}, where readers would look for it", hint)
                layout[at : at + len(faces)] = h5py.VirtualSource(path, name, faces.h5[name].shape)
            at += len(faces)
        writer.h5.create_virtual_dataset(name, layout).attrs.update(first.attrs)
    if "scheme" in files[0].h5.attrs:
        writer.h5.attrs["scheme"] = files[0].h5.attrs["scheme"]
    put_common_crop(writer, files, warn)
    put_common_shape_model(writer, files, False, warn)
