"""In which precision a network is trained on a device, and whether it is compiled."""

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


@dataclass(frozen=True)
class Execution:
    """How a network is run: `dtype` of its convolutions (None: float32 throughout), and whether it is compiled."""

    dtype: torch.dtype | None = None
    compiled: bool = False

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=self.dtype)

    def wrap(self, network: LandmarkNet, device: torch.device) -> Callable[[Tensor], tuple[Tensor, Tensor | None]]:
        """`points_and_heatmaps` as a training calls it: gradients shared between processes, compiled if asked for.

        Heatmaps are in float32, None from a head without any.
        """
        run: nn.Module = _PointsAndHeatmaps(network)
        if n_processes() > 1:
            run = DistributedDataParallel(run, device_ids=[device] if device.type == "cuda" else None)
        wrapped: Callable[[Tensor], tuple[Tensor, Tensor | None]] = torch.compile(run) if self.compiled else run
        return wrapped

    def __str__(self) -> str:
        words = ["float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")]
        return ", ".join(words + ["compiled"] * self.compiled)


class _PointsAndHeatmaps(nn.Module):
    """A network that gives both when it is called; DDP and the compiler know no other method."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self._network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._network.points_and_heatmaps(images)


def choose_execution(amp: str, compiling: str, device: torch.device) -> Execution:
    """What `--amp` and `compile` ask for; `auto` is bfloat16 on a GPU that computes in it, else float32.

    A rule, not a measurement: a run does not depend on the clock. On CPUs bfloat16 was slower wherever it was measured
    (docs/results.md), and so was a compiled network.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # all batches have one size, so the search for the fastest kernels pays
        if amp == "auto" and torch.cuda.is_bf16_supported(including_emulation=False):
            amp = "bf16"
    return Execution(torch.bfloat16 if amp == "bf16" else None, compiling == "on")
