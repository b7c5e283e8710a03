"""Heads: what they answer, at first and in what precision; frozen layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kdtools.errors import UsageError
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.backbones import synchronise_norms
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import load_model, save_model
from kdtools.model.heads import HEAT_WIDTH, HeatmapHead, LinearHead, decode_maps, heatmap_confidence
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance


def card(arch: str = "test_resnet", head: str = "heatmap", size: int = 64) -> ModelCard:
    return ModelCard(arch, size, IBUG68, CropRule(), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), {}, head)


@pytest.mark.parametrize("head", ["linear", "heatmap"])
def test_an_untrained_network_answers_about_the_mean_shape(head: str) -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card(head=head))
    shape = torch.rand(68, 2) - 0.5
    network.head.start_at(shape)
    found = network.eval()(torch.rand(3, 3, 64, 64))
    assert found.shape == (3, 68, 2)
    assert (found - shape).abs().mean() < 0.1


def test_a_heatmap_answers_with_its_cell_plus_the_offset() -> None:
    """By hand: one level of 2 x 4 cells, one point; all weight on the cell in row 1, column 3, offset (0.01, -0.02)."""
    maps = torch.zeros(1, 3, 2, 4)
    maps[0, 0, 1, 3] = 100.0
    maps[0, 1, 1, 3], maps[0, 2, 1, 3] = 0.01, -0.02
    torch.testing.assert_close(decode_maps(maps), torch.tensor([[[0.375 + 0.01, 0.25 - 0.02]]]))
    even = torch.zeros(1, 3, 2, 4)
    torch.testing.assert_close(decode_maps(even), torch.zeros(1, 1, 2))


class _NoConstants(TorchDispatchMode):
    """Fails where numbers of Python's become a tensor: that is a copy to the GPU, which no CUDA graph may record."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert "lift_fresh" not in func.name()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("head", ["linear", "heatmap"])
def test_a_network_that_answers_can_be_recorded(head: str) -> None:
    network = LandmarkNet(card(head=head)).eval()
    with torch.inference_mode(), _NoConstants():
        network.points_and_confidence(torch.zeros(1, 3, 64, 64))


def test_confidence_falls_as_a_heatmap_spreads() -> None:
    """Gaussians of growing width over maps that are not square, one at the border; the first as narrow as trained."""
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(17.0), indexing="ij")
    for column in (8, 0):
        distance = (x - column).square() + (y - 4).square()
        widths = torch.tensor([HEAT_WIDTH, 1.0, 1.5, 2.0])
        heatmaps = -distance / (2 * widths.square()[:, None, None])
        found = heatmap_confidence(heatmaps[None])[0]
        assert found[0] == pytest.approx(1, abs=0.01)
        assert (found.diff() < -0.05).all()
        if column == 8:
            torch.testing.assert_close(found, (HEAT_WIDTH / widths).square(), rtol=0.1, atol=0.0)


def test_a_heatmap_learns_places_outside_its_cells() -> None:
    torch.manual_seed(0)
    head = HeatmapHead([4, 6], 5)
    features: list[Tensor] = [torch.randn(8, 4, 8, 8), torch.randn(8, 6, 4, 4)]
    truth = torch.rand(8, 5, 2) * 1.4 - 0.7
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (head(features) - truth).abs().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.03


@pytest.mark.parametrize("head", [LinearHead(16, 4), HeatmapHead([16], 4)])
def test_points_are_float32_in_mixed_precision(head: LinearHead | HeatmapHead) -> None:
    features = torch.rand(2, 16) if isinstance(head, LinearHead) else [torch.rand(2, 16, 4, 4)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        points = head(features)
    assert points.dtype == torch.float32
    assert np.unique(points.detach().numpy()).size > 8


def test_a_heatmap_model_file_says_so_and_loads(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    network = LandmarkNet(card()).eval()
    save_model(tmp_path / "m.safetensors", network, Provenance("test"))
    assert read_card(tmp_path / "m.safetensors")[0].head == "heatmap"
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(load_model(tmp_path / "m.safetensors", torch.device("cpu"))(images), network(images))


def test_a_network_without_maps_is_refused() -> None:
    with pytest.raises(UsageError, match="no feature maps"):
        LandmarkNet(card(arch="test_vit", size=160))


@pytest.mark.parametrize("arch", ["mobilenetv2_050", "efficientnet_lite0", "test_resnet"])
def test_norms_over_all_processes_change_no_answer_and_can_be_frozen(arch: str) -> None:
    """Torch's own conversion drops the activations that timm keeps inside its norms."""
    torch.manual_seed(0)
    network = LandmarkNet(card(arch, head="linear")).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        names = list(network.state_dict())
        synchronise_norms(network)
        torch.testing.assert_close(network(images), before)
    assert list(network.state_dict()) == names
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in network.modules())
    network.freeze(4)
    network.train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    assert not norms[0].training
    assert norms[-1].training


def test_frozen_layers_stay_as_they_are() -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card("mobilenetv2_050"))
    network.freeze(8)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(4, 3, 64, 64)).square().mean().backward()
    optimiser.step()
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(("backbone.conv_stem", "backbone.bn1", "backbone.blocks.2")) for name in changed)
    assert {"backbone.blocks.3.0.conv_dw.weight", "backbone.blocks.6.0.bn1.running_mean", "head.last.bias"} <= changed
