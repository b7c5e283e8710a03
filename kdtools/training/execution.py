"""Precision and compilation of a network in training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kdtools.model.network import LandmarkNet
from kdtools.training.distributed import n_processes

PointsAndHeatmaps = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]  # of images and layers


@dataclass(frozen=True)
class Execution:
    """`dtype` of the convolutions (None: float32 throughout), and whether the network is compiled."""

    dtype: torch.dtype | None = None
    compiled: bool = False

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=self.dtype)

    def wrap(self, network: LandmarkNet, device: torch.device) -> PointsAndHeatmaps:
        """`points_and_heatmaps` of the network, with gradients averaged over all processes, compiled if requested."""
        run: nn.Module = _PointsAndHeatmaps(network)
        if n_processes() > 1:
            run = DistributedDataParallel(run, device_ids=[device] if device.type == "cuda" else None)
        wrapped: PointsAndHeatmaps = torch.compile(run) if self.compiled else run
        return wrapped

    def __str__(self) -> str:
        name = "float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        return name + ", compiled" * self.compiled


class _PointsAndHeatmaps(nn.Module):
    """Points and heatmaps from `forward`, the only method that DDP and the compiler support."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self._network = network

    def forward(self, images: Tensor, layer: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self._network.points_and_heatmaps(images, layer)


def choose_execution(amp: str, compiling: str, device: torch.device) -> Execution:
    """Execution for the settings `amp` and `compile`; `auto` is bfloat16 on a GPU that supports it, else float32.

    On CPUs bfloat16 and compiled networks were slower in all measurements (docs/results.md).
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # pays off because all batches have one size
        if amp == "auto" and torch.cuda.is_bf16_supported(including_emulation=False):
            amp = "bf16"
    return Execution(torch.bfloat16 if amp == "bf16" else None, compiling == "on")
