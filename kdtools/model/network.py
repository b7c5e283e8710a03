"""Landmark networks: a timm backbone and a head that predicts points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kdtools.errors import UsageError
from kdtools.model.backbones import count_features, create_backbone, create_pyramid, layers_to_stride
from kdtools.model.card import ModelCard
from kdtools.model.heads import HeatmapHead, LinearHead, heatmap_confidence


class LandmarkNet(nn.Module):
    """RGB images (B, 3, S, S) in [0, 1] -> landmarks (B, L, 2) in unit coordinates.

    Colour normalisation is part of the network. Of a network for several annotation conventions, `layer` (B,) says by
    which last layer each face is answered, as an index of the card's `layers`; None is its default.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, card: ModelCard, *, pretrained: bool = False) -> None:
        super().__init__()
        self.card = card
        n_points, n_layers = card.scheme.n_points, max(1, len(card.layers))
        self._frozen: list[nn.Module] = []
        self.head: LinearHead | HeatmapHead
        self.backbone: Any
        if card.head == "heatmap":
            self.backbone = create_pyramid(card.arch, card.input_size, pretrained=pretrained)
            self.head = HeatmapHead(self.backbone.feature_info.channels(), n_points, n_layers)
        else:
            self.backbone = create_backbone(card.arch, card.input_size, pretrained=pretrained)
            self.head = LinearHead(count_features(self.backbone, card.input_size), n_points, n_layers)
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layer: Tensor | None = None) -> Tensor:
        return self.points_and_heatmaps(images, layer)[0]

    def points_and_heatmaps(self, images: Tensor, layer: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Points, and the heatmaps (B, L, h, w) before softmax; None from a linear head."""
        if layer is None and len(self.card.layers) > 1:
            layer = torch.full((len(images),), self.card.default_layer, device=images.device)
        features = self.backbone((images - self.mean) / self.std)
        if isinstance(self.head, HeatmapHead):
            return self.head.points_and_heatmaps(features, layer)
        return self.head(features, layer), None

    def points_and_confidence(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Points, and their confidence (B, L), see `heatmap_confidence`; None from a linear head."""
        points, heatmaps = self.points_and_heatmaps(images)
        return points, None if heatmaps is None else heatmap_confidence(heatmaps)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def freeze(self, stride: int) -> None:
        """Freeze the first layers, those before the feature maps become coarser than `stride`, and their batch norm.

        This saves the gradients of the finest maps, which are the most expensive ones.
        """
        self._frozen = layers_to_stride(self.backbone, self.card.input_size, stride)
        for layer in self._frozen:
            layer.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> LandmarkNet:
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self


def to_device(network: LandmarkNet, device: torch.device) -> LandmarkNet:
    """Move a network to `device`, in the channels-last memory format, which is fastest for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is a GPU if there is one. Raises UsageError for one that does not exist."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    hint = "give auto, cpu, cuda or cuda:N"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device is {name!r}", hint) from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device is {name!r}", hint)  # PyTorch supports more types, which are untested
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"there is no device {name}", "give auto or cpu")
    return device
