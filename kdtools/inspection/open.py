"""Opens any file that kdtools writes; its kind is recognised by its first bytes, not by its name."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kdtools.bundled import weights_file
from kdtools.errors import FileError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.model.card import METADATA, fields_of
from kdtools.storage.devices import read_faults_named
from kdtools.storage.file_kinds import HDF5, HDF5_SIGNATURE, SAFETENSORS, form_of_start, read_start
from kdtools.storage.outputs import STANDARD_INPUT, STANDARD_STREAM, readable
from kdtools.storage.pipes import seekable
from kdtools.storage.tensor_file import open_tensors

_HINT = "give a faces file (HDF5), a model file (safetensors) or what kd-export writes (ONNX)"


@dataclass(frozen=True)
class Weights:
    """A model file opened for reading, with the `fields` of its metadata.

    `form` is safetensors or onnx; `tensors` is a TensorFile or an ONNX model.
    """

    name: str
    form: str
    fields: dict[str, Any]
    tensors: Any


@dataclass(frozen=True)
class Opened:
    """An open file. `name` is its name in messages; `folder` is where its relative inputs may be."""

    name: str
    folder: Path
    n_bytes: int
    content: FacesFile | Weights

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Metadata of the file, including its provenance."""
        return self.content.h5.attrs if isinstance(self.content, FacesFile) else self.content.fields


@contextlib.contextmanager
def open_any(source: str) -> Iterator[Opened]:
    """Open a faces file, a model file or an exported model; `-` is standard input.

    Raises FileError for a file that is missing, truncated, of another kind, or of a newer version.
    """
    if source == STANDARD_STREAM:
        stream = cast(io.BufferedReader, sys.stdin.buffer)
        if not sys.stdin.isatty() and stream.peek(1)[:1] in (HDF5_SIGNATURE[:1], b""):
            with open_faces(source) as faces:
                yield Opened(faces.name, Path(), faces.path.stat().st_size, faces)
            return
        with readable(source) as path, _open_weights(path, STANDARD_INPUT, _form_of(path, STANDARD_INPUT)) as weights:
            yield Opened(weights.name, Path(), path.stat().st_size, weights)
        return
    path = weights_file(source)
    folder, path = path.parent, seekable(path)
    form = _form_of(path, source)
    opener = open_faces(source) if form in ("", HDF5) else _open_weights(path, source, form)
    with opener as content:
        yield Opened(content.name, folder, path.stat().st_size, content)


def _form_of(path: Path, name: str) -> str:
    """As `form_of_start`; "" for a missing or empty file, which fails with a clear error when opened as a faces file.

    Raises FileError for a file of another kind.
    """
    try:
        with path.open("rb") as stream, read_faults_named(name):
            start = read_start(stream)
    except OSError:
        return ""
    form = form_of_start(start)
    if start and not form:
        raise FileError(f"{name}: is not a file of kdtools", _HINT)
    return form


@contextlib.contextmanager
def _open_weights(path: Path, name: str, form: str) -> Iterator[Weights]:
    with _open_safetensors(path, name) if form == SAFETENSORS else _open_onnx(path, name) as (text, tensors):
        yield Weights(name, form, fields_of(text, name), tensors)


@contextlib.contextmanager
def _open_safetensors(path: Path, name: str) -> Iterator[tuple[str | None, Any]]:
    with open_tensors(path, name=name) as stored:
        yield stored.metadata.get(METADATA), stored


@contextlib.contextmanager
def _open_onnx(path: Path, name: str) -> Iterator[tuple[str | None, Any]]:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise FileError(f"{name}: is not a file of kdtools, or a damaged ONNX model", _HINT) from error
    yield next((prop.value for prop in model.metadata_props if prop.key == METADATA), None), model
