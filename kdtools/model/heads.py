"""Heads of a landmark network: from the backbone's features to points in unit coordinates.

They always compute in float32: bfloat16 would round a coordinate to half a pixel of 224.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WIDTH = 128  # channels of a heatmap head
HEAT_WIDTH = 0.7  # standard deviation of the Gaussian target of a heatmap, in cells


class LinearHead(nn.Linear):
    """One linear layer on pooled features (B, F) -> points (B, L, 2): the paper's student and teachers.

    For C annotation conventions there are C such layers, stored as one with 2 L C outputs: those of the first, then of
    the second.
    """

    outputs_per_point = 2

    def __init__(self, n_features: int, n_points: int, n_layers: int = 1) -> None:
        super().__init__(n_features, self.outputs_per_point * n_points * n_layers)
        self.n_layers = n_layers

    def forward(self, features: Tensor, layer: Tensor | None = None) -> Tensor:
        """Points by the last `layer` (B,) of each face, an index; None is the first, or the only one."""
        with _full_precision(features.device):
            points: Tensor = super().forward(features.float())  # (B, 2LC)
        return _of_layer(points, self.n_layers, layer).unflatten(1, (-1, 2))  # (B, L, 2)

    def start_at(self, mean_shape: Tensor) -> None:
        """Initialise the head so that it predicts about the mean shape (L, 2), unit coordinates, for every image."""
        with torch.no_grad():
            self.weight.mul_(0.1)
            self.bias.copy_(mean_shape.reshape(-1).repeat(self.n_layers))

    def of_points(self) -> tuple[str, ...]:
        """Names of the tensors that have rows for each point."""
        return "weight", "bias"

    @torch.no_grad()
    def take_points(self, other: dict[str, Tensor], rows: np.ndarray) -> None:
        """Take point i's weights from point rows[i] of another head's tensors `of_points`, where that is not -1.

        The other head has as many last layers.
        """
        for name, tensor in other.items():
            own_parts = getattr(self, name).chunk(self.n_layers)
            for own, taken in zip(own_parts, tensor.chunk(self.n_layers), strict=True):
                _take_rows(own.unflatten(0, (-1, 2)), taken.unflatten(0, (-1, 2)), rows)


class HeatmapHead(nn.Module):
    """Low-resolution heatmaps with offsets: feature maps (B, C, h, w), finest first, -> points (B, L, 2).

    A feature pyramid merges the levels from the coarsest to the finest. Each point has a heatmap, whose softmax weights
    the cells, and an offset in each cell; the point is the weighted mean of cell centres plus offsets, so it can lie
    between cells or outside the image. Trained through the points alone, the weights spread over the whole map;
    `heatmap_loss` concentrates them. For C annotation conventions there are C last layers, stored as one with C times
    the outputs. Sources: Sun et al., "Integral Human Pose Regression", ECCV 2018 (the mean); Jin et al.,
    "Pixel-in-Pixel Net", IJCV 2021 (the offsets).
    """

    outputs_per_point = 3  # a heatmap, and the offsets in x and y

    def __init__(self, channels: Sequence[int], n_points: int, n_layers: int = 1) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.lateral = nn.ModuleList(_conv_norm(c, _WIDTH) for c in channels)
        self.merge = nn.ModuleList(
            nn.Sequential(_conv_norm(_WIDTH, _WIDTH, 3, groups=_WIDTH), _conv_norm(_WIDTH, _WIDTH))
            for _ in channels[1:]
        )
        self.last = nn.Conv2d(_WIDTH, self.outputs_per_point * n_points * n_layers, 1)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, features: Sequence[Tensor], layer: Tensor | None = None) -> Tensor:
        return self.points_and_heatmaps(features, layer)[0]

    def points_and_heatmaps(self, features: Sequence[Tensor], layer: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Points (B, L, 2), and the heatmaps (B, L, h, w) they come from, before softmax.

        `layer` is as of `LinearHead`.
        """
        joined = self.lateral[-1](features[-1])
        for level in reversed(range(len(features) - 1)):
            coarse = enlarge(joined, features[level].shape[2:])
            joined = self.merge[level](self.lateral[level](features[level]) + coarse)
        with _full_precision(joined.device):
            maps = _of_layer(self.last(joined.float()), self.n_layers, layer)
            return decode_maps(maps), maps[:, : maps.shape[1] // 3]

    def start_at(self, mean_shape: Tensor) -> None:
        """As `LinearHead.start_at`: all cells have equal weights and offsets to the mean shape."""
        with torch.no_grad():
            bias = torch.cat([torch.zeros(len(mean_shape)), mean_shape.T.reshape(-1)]).repeat(self.n_layers)
            self.last.bias = nn.Parameter(bias.to(self.last.weight))

    def of_points(self) -> tuple[str, ...]:
        """As of `LinearHead`."""
        return "last.weight", "last.bias"

    @torch.no_grad()
    def take_points(self, other: dict[str, Tensor], rows: np.ndarray) -> None:
        """As `LinearHead.take_points`."""
        for name, tensor in other.items():
            n_parts = self.outputs_per_point * self.n_layers
            for own, taken in zip(self.get_parameter(name).chunk(n_parts), tensor.chunk(n_parts), strict=True):
                _take_rows(own, taken, rows)


def enlarge(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (B, C, h, w) -> (B, C, *size), each cell that of the nearest one."""
    return F.interpolate(maps, size=size, mode="nearest")


def _of_layer(outputs: Tensor, n_layers: int, layer: Tensor | None) -> Tensor:
    """Outputs (B, C * K, ...) of C last layers -> those of one layer for each face (B, K, ...)."""
    if n_layers == 1:
        return outputs
    parts = outputs.unflatten(1, (n_layers, -1))
    if layer is None:
        return parts[:, 0]
    return parts[torch.arange(len(parts), device=parts.device), layer]


def _take_rows(own: Tensor, taken: Tensor, rows: np.ndarray) -> None:
    """own[i] = taken[rows[i]] where rows[i] is not -1, in place."""
    kept = np.flatnonzero(rows >= 0)
    own[kept] = taken[rows[kept]].to(own)


def decode_maps(maps: Tensor) -> Tensor:
    """Heatmaps, x offsets and y offsets (B, 3L, h, w) -> points (B, L, 2), all in unit coordinates."""
    n_points = maps.shape[1] // 3
    weight = maps[:, :n_points].flatten(2).softmax(dim=2)  # (B, L, h * w)
    offset = maps[:, n_points:].flatten(2).unflatten(1, (2, n_points))  # (B, 2, L, h * w)
    return (weight[:, None] * (offset + cell_centres(maps)[:, None])).sum(dim=3).transpose(1, 2)


def heatmap_confidence(heatmaps: Tensor) -> Tensor:
    """Heatmaps (B, L, h, w) before softmax -> confidence (B, L) in 0..1, high for narrow heatmaps.

    It is the variance of the training target over that of the heatmap, at most 1. It ranks points by their error; it
    is not a probability.

    >>> sharp, even = torch.zeros(9).index_fill(0, torch.tensor(4), 50.0), torch.zeros(9)
    >>> [round(float(c), 1) for c in heatmap_confidence(torch.stack([sharp, even]).view(1, 2, 3, 3))[0]]
    [1.0, 0.7]
    """
    with _full_precision(heatmaps.device):
        weight = heatmaps.float().flatten(2).softmax(dim=2)  # (B, L, h * w)
        x, y = cell_centres(heatmaps)
        centres = torch.stack([x * heatmaps.shape[3], y * heatmaps.shape[2]])  # (2, h * w), cells
        mean = weight @ centres.T  # (B, L, 2)
        variance = weight @ centres.square().sum(dim=0) - mean.square().sum(dim=2)
        return (2 * HEAT_WIDTH**2 / variance.clamp(min=HEAT_WIDTH**2)).clamp(max=1.0)


def cell_centres(maps: Tensor) -> Tensor:
    """Cell centres of maps (..., h, w): x and y in unit coordinates, (2, h * w)."""
    height, width = maps.shape[-2:]
    x = (torch.arange(width, device=maps.device) + 0.5) / width - 0.5
    y = (torch.arange(height, device=maps.device) + 0.5) / height - 0.5
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).flatten(1)


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Switches autocast off if it is on; otherwise does nothing, because an exported graph would record the switch."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def _conv_norm(inputs: int, outputs: int, size: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
