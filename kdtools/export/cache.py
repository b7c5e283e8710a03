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
from kdtools.storage.outputs import written_aside
from kdtools.storage.provenance import sha256_of

_EXPORTERS = ("torch", "onnx", "onnxscript")  # packages whose versions can change an export


@contextlib.contextmanager
def exported_copy(model: Path, reporter: Reporter) -> Iterator[Path]:
    """Yields the path of an ONNX copy of a model file, from the cache or exported now.

    If the cache cannot be written, this is reported and the copy is deleted when the block ends.
    Raises FileError if the model cannot be read, DataError if it cannot be exported.
    """
    copy = cache_folder() / _name_of(model)
    if not _is_sound(copy):
        reporter.say(f"exporting {model} to ONNX; the next run finds it in {copy.parent}")
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(str(copy), force=True) as part:
                _export(model, part)
        except (OSError, FileError) as error:
            reporter.say(f"the ONNX copy cannot be kept: {reason_of(error)}")
            with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
                temporary = Path(folder) / copy.name
                _export(model, temporary)
                yield temporary
            return
    yield copy


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/kdtools`, by default `~/.cache/kdtools`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdtools"


def _is_sound(copy: Path) -> bool:
    try:
        read_card(copy)
    except (FileError, OSError):
        return False
    return True


def _name_of(model: Path) -> str:
    """File name from the digest of the model, the versions of the exporting packages and the names of the outputs."""
    versions = [f"kdtools {__version__}", *(f"{name} {version(name)}" for name in _EXPORTERS)]
    key = [sha256_of(model), *versions, OUTPUT, CONFIDENCE]
    return hashlib.sha256("\n".join(key).encode()).hexdigest()[:40] + ".onnx"


def _export(model: Path, path: Path) -> None:
    import torch

    from kdtools.export.check import N_CHECKED, compare_with_original, sample_faces
    from kdtools.export.graph import export_onnx
    from kdtools.model.file import load_model

    network = load_model(model, torch.device("cpu"))
    export_onnx(network, path, read_card(model)[1])
    compare_with_original(network, path, sample_faces(None, network, N_CHECKED))
