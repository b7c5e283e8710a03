"""The network of the face finder, its loss and its export.

Three grids of cells, 8, 16 and 32 px wide. For each cell: the score of a face there, the offset of its centre from
that of the cell, and its side. Each grid is responsible for a range of sizes; for the largest faces the finder searches
a photograph a second time at a smaller scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)


def convolution(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class FinderNet(nn.Module):
    """Plain convolutions: on a CPU they train and run faster than separable ones of the same accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 24, 7, 4)
        self.to8 = nn.Sequential(convolution(24, 32, 3, 2), *(Residual(32) for _ in range(4)))
        self.to16 = nn.Sequential(convolution(32, 64, 3, 2), *(Residual(64) for _ in range(3)))
        self.to32 = nn.Sequential(convolution(64, 64, 3, 2), *(Residual(64) for _ in range(2)))
        self.down32, self.down16 = nn.Conv2d(64, 64, 1), nn.Conv2d(64, 32, 1)
        self.heads = nn.ModuleList(
            nn.Sequential(convolution(width, width), nn.Conv2d(width, 4, 1)) for width in (32, 64, 64)
        )
        for head in self.heads:
            nn.init.zeros_(head[1].bias)
            nn.init.constant_(head[1].bias[0], -4.0)  # faces are rare

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W), RGB in -1..1, sides multiples of 32 -> for each stride (B, 4, H/s, W/s).

        Channels: logit of the score, x and y of the centre from the cell's in cells, log of the side in cells.
        """
        at8 = self.to8(self.stem(images))
        at16 = self.to16(at8)
        at32 = self.to32(at16)
        at16 = at16 + functional.interpolate(self.down32(at32), scale_factor=2.0, mode="nearest")
        at8 = at8 + functional.interpolate(self.down16(at16), scale_factor=2.0, mode="nearest")
        return [head(x) for head, x in zip(self.heads, (at8, at16, at32), strict=True)]


def finder_loss(outputs: list[Tensor], targets: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Losses of score and place. Targets (B, 6, h, w): score, its weight, offsets, log of side, weight of place."""
    score_loss = place_loss = n_faces = outputs[0].new_zeros(())
    for out, target in zip(outputs, targets, strict=True):
        score, wanted = out[:, 0], target[:, 0]
        # Quality focal loss (Li et al., 2020): soft targets, and easy cells weigh little.
        far = (score.sigmoid().detach() - wanted).abs() ** 2
        loss = functional.binary_cross_entropy_with_logits(score, wanted, reduction="none")
        score_loss = score_loss + (loss * far * target[:, 1]).sum()
        weight = target[:, 5]
        in_sides = torch.exp(-target[:, 4])  # cells to sides
        offset = functional.smooth_l1_loss(out[:, 1:3], target[:, 2:4], reduction="none", beta=0.1).sum(dim=1)
        side = functional.smooth_l1_loss(out[:, 3], target[:, 4], reduction="none", beta=0.05)
        place_loss = place_loss + (weight * (offset * in_sides + side)).sum()
        n_faces = n_faces + weight.sum()
    n_faces = n_faces.clamp(min=1.0)
    return score_loss / n_faces, place_loss / n_faces


class _Finder(nn.Module):
    """The network with colours in and scores out."""

    def __init__(self, network: FinderNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = (image.permute(0, 3, 1, 2).float() - 127.5) / 127.5
        return tuple(torch.cat([out[:, :1].sigmoid(), out[:, 1:]], dim=1) for out in self.network(x))


def fused(network: FinderNet) -> FinderNet:
    """A copy whose batch normalisations are part of the convolutions."""
    copy = FinderNet()
    copy.load_state_dict(network.state_dict())
    copy.eval()
    for module in copy.modules():
        if isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[1], nn.BatchNorm2d):
            module[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return copy


def export_finder(network: FinderNet, path: Path, metadata: dict[str, str]) -> None:
    """Write `path`: image (1, H, W, 3) uint8 RGB -> faces8, faces16, faces32, each (1, 4, h, w).

    Weights are stored in float16 and become float32 when the file is opened.
    """
    torch.onnx.export(
        _Finder(fused(network)).eval(),
        (torch.zeros(1, 64, 64, 3, dtype=torch.uint8),),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=[f"faces{stride}" for stride in STRIDES],
        dynamic_axes={
            "image": {1: "height", 2: "width"},
            **{f"faces{s}": {2: f"height{s}", 3: f"width{s}"} for s in STRIDES},
        },
    )
    model = onnx.load(str(path))
    casts = []
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > 64:
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for node in model.graph.node:
        node.doc_string = ""
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
