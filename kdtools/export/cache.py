"""Exported copies of model files, kept under the user's cache folder so that each is made once."""

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

_EXPORTERS = ("torch", "onnx", "onnxscript")  # their versions decide how an export comes out


@contextlib.contextmanager
def exported_copy(model: Path, reporter: Reporter) -> Iterator[Path]:
    """Path of an ONNX copy of a model file: from the cache, or made now and kept there.

    Two processes that make one at once each write their own, and the second takes the place of its equal. Where the
    cache cannot be written a message says so, and the copy is gone when the block ends.
    Raises FileError where the model cannot be read, DataError where it cannot be exported.
    """
    place = cache_folder() / _name_of(model)
    if not _is_sound(place):
        reporter.say(f"exporting {model} to ONNX; the next run finds it in {place.parent}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(str(place), force=True) as part:
                _export(model, part)
        except (OSError, FileError) as error:
            reporter.say(f"the ONNX copy cannot be kept: {reason_of(error)}")
            with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
                spare = Path(folder) / place.name
                _export(model, spare)
                yield spare
            return
    yield place


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/kdtools`, by default `~/.cache/kdtools`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdtools"


def _is_sound(copy: Path) -> bool:
    """Whether the cache holds a copy, and not what damage left of it."""
    try:
        read_card(copy)
    except (FileError, OSError):
        return False
    return True


def _name_of(model: Path) -> str:
    """A name that changes with the model's bytes, the versions of what exports it, and what an export may answer."""
    made_by = [f"kdtools {__version__}", *(f"{name} {version(name)}" for name in _EXPORTERS)]
    what = [sha256_of(model), *made_by, OUTPUT, CONFIDENCE]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:40] + ".onnx"


def _export(model: Path, path: Path) -> None:
    import torch

    from kdtools.export.check import N_CHECKED, compare_with_original, sample_faces
    from kdtools.export.graph import export_onnx
    from kdtools.model.file import load_model

    network = load_model(model, torch.device("cpu"))
    export_onnx(network, path, read_card(model)[1])
    compare_with_original(network, path, sample_faces(None, network, N_CHECKED))
