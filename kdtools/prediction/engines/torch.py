"""PyTorch on a CPU or a GPU; there with CUDA graphs, in half precision if that gives the same points."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdtools.model.file import load_model
from kdtools.model.heads import HeatmapHead
from kdtools.model.network import LandmarkNet, choose_device
from kdtools.prediction.engines.answers import check_answers, probe_engine

_CPU_BATCH = 16
_GPU_BATCHES = (1, 8, 64, 256)  # sizes of recorded graphs; a batch is padded to the next of them
_TOLERANCE_PX = 0.1  # pixels of the input by which half precision may move a point
_N_COMPARED = 8


class TorchEngine:
    """A model file on the device named `device`, answering by one annotation convention.

    Raises as `load_model` and `choose_device` do.
    """

    def __init__(self, path: Path, device: str, threads: int, convention: str | None = None) -> None:
        self._device = choose_device(device)
        network = load_model(path, self._device, convention)
        self.card, self.threads = network.card, threads
        torch.set_num_threads(threads)
        self.has_confidence = isinstance(network.head, HeatmapHead)
        self._run: Callable[[Tensor], Tensor] = partial(_answers_of, network)
        self.batch, words = _CPU_BATCH, ["PyTorch", str(self._device)]
        if self._device.type == "cuda":
            dtype = choose_dtype(network, self._device)
            self.batch, self._run = _GPU_BATCHES[-1], _Recorded(network, dtype)
            words.append(str(dtype).removeprefix("torch."))
        self.name, self._file = ", ".join(words), str(path)
        if self._device.type == "cpu":  # on a GPU, this would record graphs of sizes that are not used again
            probe_engine(self, self._file, own_graph=True)

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.require(crops, None, ["C", "W"])).to(self._device)  # maps of files: read-only
            images = pixels.permute(0, 3, 1, 2).float().div_(255)  # stays channels-last in memory
            answers = self._run(images).float().cpu().numpy()
        points, confidence = answers[..., :2], answers[..., 2] if self.has_confidence else None
        check_answers(points, confidence, len(crops), self.card.scheme.n_points, self._file)
        return points, confidence


def _answers_of(network: LandmarkNet, images: Tensor) -> Tensor:
    """x, y and, from a network with heatmaps, confidence of each point as one tensor (B, L, 2 or 3)."""
    points, confidence = network.points_and_confidence(images)
    return points if confidence is None else torch.cat([points, confidence[..., None]], dim=2)


def choose_dtype(network: LandmarkNet, device: torch.device) -> torch.dtype:
    """The first of float16, bfloat16 and float32 whose points agree with those of float32, on random images."""
    size = network.card.input_size
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_N_COMPARED, 3, size, size, generator=generator).to(device)
    with torch.inference_mode():
        exact = network(images)
        for dtype in (torch.float16, torch.bfloat16):
            with torch.autocast(device.type, dtype=dtype):
                moved = (network(images).float() - exact).norm(dim=2).max().item() * size
            if moved <= _TOLERANCE_PX:  # false for NaN
                return dtype
    return torch.float32


class _Recorded:
    """A network as CUDA graphs, one per batch size, recorded on first use.

    Launching the small kernels of a mobile network one by one takes longer than running them.
    """

    def __init__(self, network: LandmarkNet, dtype: torch.dtype) -> None:
        self._network, self._dtype = network, dtype
        self._lock = threading.Lock()  # a graph has one place for its input
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def __call__(self, images: Tensor) -> Tensor:
        parts = images.split(_GPU_BATCHES[-1])
        with self._lock:
            return torch.cat([self._replay(part) for part in parts])

    def _replay(self, images: Tensor) -> Tensor:
        size = next(n for n in _GPU_BATCHES if n >= len(images))
        if size not in self._graphs:
            self._graphs[size] = self._record(torch.zeros_like(images[:1]).expand(size, -1, -1, -1))
        graph, inputs, answers = self._graphs[size]
        inputs[: len(images)].copy_(images)
        graph.replay()
        return answers[: len(images)].clone()

    def _record(self, example: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        inputs = example.contiguous(memory_format=torch.channels_last)
        stream = torch.cuda.Stream(inputs.device)
        stream.wait_stream(torch.cuda.current_stream(inputs.device))
        with torch.cuda.stream(stream):  # warm-up: libraries choose kernels and allocate memory before the recording
            for _ in range(3):
                self._forward(inputs)
        torch.cuda.current_stream(inputs.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answers = self._forward(inputs)
        return graph, inputs, answers

    def _forward(self, images: Tensor) -> Tensor:
        # The autocast cache would keep converted weights that live in the memory of one recording.
        with torch.autocast("cuda", self._dtype, enabled=self._dtype != torch.float32, cache_enabled=False):
            return _answers_of(self._network, images)
