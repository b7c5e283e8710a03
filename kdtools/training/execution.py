"""In which precision, and compiled or not, a network trains fastest on this device: measured, where it may matter."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kdtools.model.network import LandmarkNet
from kdtools.training.distributed import n_processes, sum_over_processes

_N_TIMED = 8  # steps
_WORTHWHILE = 0.95  # of the time of the plainer way, below which another one is taken
_COMPILED_FROM = 3000  # steps of a training that are worth a minute of compiling


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
        """`points_and_heatmaps` as a training calls it: gradients shared between processes, compiled where that pays.

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


def choose_execution(
    amp: str, compiling: str, network: nn.Module, device: torch.device, n_steps: int, example: Callable[[], Tensor]
) -> Execution:
    """What `--amp` and `compile` ask for; for `auto` on a GPU the fastest, by a few steps on an `example` (B, 3, S, S).

    On a CPU `auto` is plain float32: bfloat16 was ten times slower and compiling cost minutes for nothing where it was
    measured (docs/results.md), and a choice by the clock would keep the same seed from giving the same file.
    """
    dtype = torch.bfloat16 if amp == "bf16" else None
    chosen = Execution(dtype, compiling == "on")
    if device.type != "cuda":
        return chosen
    images = example()
    torch.backends.cudnn.benchmark = True  # all batches have one size, so the search for the fastest kernels pays
    if amp == "auto" and torch.cuda.is_bf16_supported():
        chosen = faster_of(chosen, Execution(torch.bfloat16, chosen.compiled), network, images)
    if compiling == "auto" and n_steps >= _COMPILED_FROM:
        chosen = faster_of(chosen, Execution(chosen.dtype, True), network, images)
    return chosen


def faster_of(
    plain: Execution,
    other: Execution,
    network: nn.Module,
    images: Tensor,
    time_steps: Callable[[Execution, nn.Module, Tensor], float] | None = None,
) -> Execution:
    """`other` where it is clearly faster than `plain`, for all processes alike."""
    time_steps = time_steps or _time_steps
    times = torch.tensor([time_steps(way, network, images) for way in (plain, other)], device=images.device)
    total = sum_over_processes(times).tolist()
    return other if total[1] < _WORTHWHILE * total[0] else plain


def _time_steps(way: Execution, network: nn.Module, images: Tensor) -> float:
    """Seconds of a few training steps of a copy; infinite where this way does not work."""
    copied = copy.deepcopy(network).train()
    try:
        run = torch.compile(copied) if way.compiled else copied
        for step in range(2 * _N_TIMED):
            if step == _N_TIMED:  # the first half warms up
                _finish(images.device)
                began = time.perf_counter()
            with way.autocast(images.device):
                points = run(images)
            points.square().mean().backward()
            copied.zero_grad(set_to_none=True)
        _finish(images.device)
        return time.perf_counter() - began
    except (RuntimeError, ImportError):  # of a compiler that is not there, or does not know this network
        return float("inf")


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
