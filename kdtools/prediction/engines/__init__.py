"""Engines, which run a model on crops, and the choice between them. Importing this does not load torch."""

from __future__ import annotations

from pathlib import Path

from kdtools.bundled import export_file, weights_file
from kdtools.errors import DataError, MissingError, UsageError, install_command, is_installed
from kdtools.model.card import form_of, read_card
from kdtools.parallel import workers
from kdtools.prediction.engines.engine import Engine
from kdtools.prediction.engines.flipped import FlippedEngine
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.file_kinds import ONNX
from kdtools.storage.pipes import seekable

BACKENDS = ("auto", "torch", "onnx")
# With fewer faces PyTorch is faster than an export. An existing copy is ignored too, so that results do not depend on
# the cache.
FEW_FACES = 1000
_GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA's driver, of AMD's, of Windows' Linux


def load_engine(
    path: str | Path,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int = 0,
    n_faces: int | None = None,
    convention: str | None = None,
    reporter: Reporter = SILENT,
) -> Engine:
    """The engine for a model file (.safetensors), an exported one (.onnx) or a bundled network, on `threads` cores.

    0 is all cores. `auto` runs a model file with PyTorch on a GPU and with ONNX Runtime on a CPU, for which it is
    exported once; of a bundled network the export is there already.
    PyTorch also runs it on a CPU if it cannot be exported or `n_faces` is known to be small. Of a model for several
    annotation conventions the engine answers by `convention`, None for its default. Raises UsageError for options that
    exclude each other and for an unknown convention, FileError for a file that is no model.
    """
    if backend not in BACKENDS:
        raise UsageError(f"there is no backend {backend!r}", f"give {', '.join(BACKENDS)}")
    name, path, export, threads = path, seekable(weights_file(path)), export_file(path), workers(threads)
    if export is not None and backend != "torch" and not _wants_gpu(device) and _answers_by(convention, export):
        path = export
    exported = form_of(path) == ONNX
    card, _ = read_card(path)  # refuses other files before torch is loaded
    if convention is not None:
        card.find_convention(convention, name)
    if exported and backend == "torch":
        raise UsageError(f"{path} is an exported model, which PyTorch does not run", "give the .safetensors file")
    if exported or backend == "onnx":
        if device not in ("auto", "cpu"):
            raise UsageError(
                f"ONNX Runtime runs on the CPU here, not on {device}", "give the .safetensors file and no --backend"
            )
    elif not is_installed("torch"):
        hint = f"give its export, made by kd-export where PyTorch is installed; or {install_command('torch')}"
        raise MissingError(f"{path}: needs PyTorch, which is not installed", hint)
    elif backend == "torch" or _wants_gpu(device):
        return _torch_engine(path, device, threads, convention)
    elif n_faces is not None and n_faces < FEW_FACES:
        return _torch_engine(path, "cpu", threads, convention)
    if exported:
        return _onnx_engine(path, threads)
    from kdtools.export.cache import exported_copy

    try:
        with exported_copy(path, reporter, convention) as copy:
            return _onnx_engine(copy, threads)
    except DataError as error:
        if backend == "onnx":
            raise
        reporter.say(f"{error.message}; PyTorch runs it")
        return _torch_engine(path, "cpu", threads, convention)


def _answers_by(convention: str | None, export: Path) -> bool:
    """Whether an export, which has a single last layer, is that of this convention, or none is asked for."""
    return convention is None or read_card(export)[0].knows(convention)


def _onnx_engine(path: Path, threads: int) -> Engine:
    from kdtools.prediction.engines.onnx import OnnxEngine

    return OnnxEngine(path, threads)


def _torch_engine(path: Path, device: str, threads: int, convention: str | None) -> Engine:
    from kdtools.prediction.engines.torch import TorchEngine

    return TorchEngine(path, device, threads, convention)


def _wants_gpu(device: str) -> bool:
    """Whether the device is, or for `auto` would be, a GPU. Loads torch only if there may be one."""
    if device == "cpu" or (device == "auto" and not is_installed("torch")):
        return False
    if device == "auto" and not any(Path(node).exists() for node in _GPU_NODES):
        return False
    from kdtools.model.network import choose_device

    return choose_device(device).type == "cuda"


__all__ = ["BACKENDS", "FEW_FACES", "Engine", "FlippedEngine", "load_engine"]
