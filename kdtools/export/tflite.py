"""Conversion of networks to TensorFlow Lite by litert-torch, and their answers in its interpreter.

Both packages come with the extra `tflite`. Source: github.com/google-ai-edge/litert-torch.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from kdtools.errors import DataError
from kdtools.export.check import Run
from kdtools.export.graph import Answers
from kdtools.machine import n_cores
from kdtools.model import heads
from kdtools.model.network import LandmarkNet
from kdtools.onnx_session import OUTPUT


def export_tflite(network: LandmarkNet, path: Path) -> None:
    """Write `path`: images (1, 3, S, S) float32 RGB in [0, 1] -> landmarks (1, L, 2) in unit coordinates.

    It takes one face a call. A network with heatmaps has a second output, confidence (1, L). The file holds no
    description of the network. Raises DataError for a network that cannot be converted.
    """
    size = network.card.input_size
    answers = Answers(network.cpu().eval()).eval()
    with _quiet():
        converter = importlib.import_module("litert_torch")
        usual, heads.enlarge = heads.enlarge, _enlarge_by_index
        try:
            converter.convert(answers, (torch.zeros(1, 3, size, size),)).export(str(path))
        except (OSError, MemoryError):  # of the disk that it writes to, or the machine
            raise
        except Exception as error:  # the converter and the exporter below it have no common class of errors
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{network.card.arch} cannot be converted to TensorFlow Lite: {reason}", "export it as .onnx instead"
            ) from error
        finally:
            heads.enlarge = usual


def _enlarge_by_index(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """As `heads.enlarge`. The converter's own takes other cells where the size is no multiple, as 7 is none of 4."""
    for dim, length in enumerate(size, start=2):
        scale = np.float32(maps.shape[dim]) / np.float32(length)
        places = np.minimum(np.floor(np.arange(length, dtype=np.float32) * scale), maps.shape[dim] - 1)
        maps = maps.index_select(dim, torch.tensor(places.astype(np.int64).tolist()))
    return maps


def tflite_run(path: Path) -> Run:
    """How the file answers, on all cores: the points of images (N, 3, S, S), or their confidence."""
    with _quiet():
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(
            str(path), num_threads=n_cores()
        )
        interpreter.allocate_tensors()
    (into,) = interpreter.get_input_details()
    outputs = {len(one["shape"]): one["index"] for one in interpreter.get_output_details()}

    def run(images: np.ndarray, output: str = OUTPUT) -> np.ndarray:
        answers = []
        for image in images:
            interpreter.set_tensor(into["index"], image[None])
            interpreter.invoke()
            answers.append(interpreter.get_tensor(outputs[3 if output == OUTPUT else 2])[0])
        return np.stack(answers)

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the converter and its libraries, which report their progress on both standard streams."""
    level = logging.root.manager.disable
    with tempfile.TemporaryFile() as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        sys.stdout.flush()
        sys.stderr.flush()
        streams = os.dup(1), os.dup(2)
        try:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, stream in zip((1, 2), streams, strict=True):
                os.dup2(stream, number)
                os.close(stream)
            logging.disable(level)
