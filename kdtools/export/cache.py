"""ONNX copies of model files in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from kdtools import __version__
from kdtools.errors import FileError, reason_of
from kdtools.model.card import read_card
from kdtools.onnx_session import CONFIDENCE, OUTPUT
from kdtools.reporting import Reporter
from kdtools.storage.outputs import Outputs
from kdtools.storage.provenance import sha256_of

_EXPORTERS = ("torch", "onnx", "onnxscript")  # packages whose versions can change an export


_DIGEST = ".sha256"  # suffix of the file beside a copy that holds its SHA-256


@contextlib.contextmanager
def exported_copy(model: Path, reporter: Reporter) -> Iterator[Path]:
    """Yields the path of an ONNX copy of a model file, from the cache or exported now.

    A copy runs in the place of the model, so one is used only if nobody else can have put it there and it has the bytes
    that were written. If the cache cannot be used, this is reported and the copy is deleted when the block ends. Raises
    FileError if the model cannot be read, DataError if it cannot be exported.
    """
    try:
        folder = _private_folder()
        copy = folder / _name_of(model)
        if not _is_whole(copy):
            if os.path.lexists(copy):
                reporter.say(f"{copy} is not as it was written, and is made again")
            reporter.say(f"exporting {model} to ONNX; the next run finds it in {folder}")
            digest = copy.with_suffix(_DIGEST)
            with Outputs(force=True) as together:
                part = together.file(str(copy), follow_link=False)
                _export(model, part)
                together.file(str(digest), binary=False, follow_link=False).write_text(sha256_of(part))
    except (OSError, FileError) as error:
        reporter.say(f"an ONNX copy of {model} is made for this run alone, as it cannot be kept: {reason_of(error)}")
        with tempfile.TemporaryDirectory(prefix="kdtools-") as temporary:
            copy = Path(temporary, "model.onnx")
            _export(model, copy)
            yield copy
        return
    yield copy


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/kdtools`, by default `~/.cache/kdtools`. Raises FileError for a user without a home folder."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdtools"
    except RuntimeError as error:
        raise FileError(
            "this user has no home folder", "set XDG_CACHE_HOME to a folder for copies of models"
        ) from error


def _private_folder() -> Path:
    """The cache folder, made if it is absent. Raises FileError if others can write there, OSError if nobody can."""
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise FileError(f"{folder} is not a folder")
    if not _is_private(status):
        raise FileError(f"others can write to {folder}", "chmod 700 it, or delete it")
    return folder


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_whole(copy: Path) -> bool:
    """Whether a copy and its digest are private files, no links, and belong together."""
    try:
        content, digest = _read_private(copy), _read_private(copy.with_suffix(_DIGEST))
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest().encode() == digest


def _read_private(path: Path) -> bytes:
    """The content of a file of this user. Raises OSError for any other, and for a link or a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) and _is_private(status)):
            raise OSError(f"{path}: not a file of this user alone")
        return stream.read()


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
