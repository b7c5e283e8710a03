"""ONNX copies of model files in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from kdtools import __version__
from kdtools.errors import FileError, reason_of
from kdtools.model.card import read_card
from kdtools.onnx_session import CONFIDENCE, OUTPUT
from kdtools.reporting import Reporter
from kdtools.storage.cache import private_folder, read_private
from kdtools.storage.outputs import Outputs
from kdtools.storage.provenance import sha256_of

_GRAPH = 2  # raised when kdtools writes the same network by other operators
_EXPORTERS = ("torch", "onnx", "onnxscript")  # packages whose versions can change an export


_DIGEST = ".sha256"  # suffix of the file beside a copy that holds its SHA-256


@contextlib.contextmanager
def exported_copy(model: Path, reporter: Reporter, convention: str | None = None) -> Iterator[Path]:
    """Yields the path of an ONNX copy of a model file, from the cache or exported now.

    It answers by the annotation `convention`, None for the model's default.

    A copy runs in the place of the model, so one is used only if nobody else can have put it there and it has the bytes
    that were written. If the cache cannot be used, this is reported and the copy is deleted when the block ends. Raises
    FileError if the model cannot be read, DataError if it cannot be exported.
    """
    layer = None if convention is None else read_card(model)[0].layer_of(convention)
    try:
        folder = private_folder()
        copy = folder / _name_of(model, layer)
        if not _is_whole(copy):
            if os.path.lexists(copy):
                reporter.say(f"{copy} is not as it was written, and is made again")
            reporter.say(f"exporting {model} to ONNX; later runs use the copy in {folder}")
            digest = copy.with_suffix(_DIGEST)
            with Outputs(force=True) as together:
                part = together.file(str(copy), follow_link=False)
                _export(model, part, layer)
                together.file(str(digest), binary=False, follow_link=False).write_text(sha256_of(part))
    except (OSError, FileError) as error:
        reporter.say(f"an ONNX copy of {model} is made for this run alone, as it cannot be kept: {reason_of(error)}")
        with tempfile.TemporaryDirectory(prefix="kdtools-") as temporary:
            copy = Path(temporary, "model.onnx")
            _export(model, copy, layer)
            yield copy
        return
    yield copy


def _is_whole(copy: Path) -> bool:
    """Whether a copy and its digest are private files, no links, and belong together."""
    try:
        content, digest = read_private(copy), read_private(copy.with_suffix(_DIGEST))
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest().encode() == digest


def _name_of(model: Path, layer: str | None) -> str:
    """File name from the digest of the model, the versions of the exporting packages and the names of the outputs.

    One that answers by another `layer` than the default has a name of its own.
    """
    versions = [f"kdtools {__version__}", *(f"{name} {version(name)}" for name in _EXPORTERS)]
    key = [sha256_of(model), *versions, f"graph {_GRAPH}", OUTPUT, CONFIDENCE]
    if layer is not None:
        key.append(f"convention {layer}")
    return hashlib.sha256("\n".join(key).encode()).hexdigest()[:40] + ".onnx"


def _export(model: Path, path: Path, layer: str | None) -> None:
    import torch

    from kdtools.export.check import N_CHECKED, compare_with_original, sample_faces
    from kdtools.export.graph import export_onnx
    from kdtools.model.file import load_model

    network = load_model(model, torch.device("cpu"), layer)
    export_onnx(network, path, {**read_card(model)[1], **network.card.convention_fields()})
    compare_with_original(network, path, sample_faces(None, network, N_CHECKED))
