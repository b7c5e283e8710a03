"""Batches of faces on the device: one batched affine warp and colour for images and every set of points alike.

Images are gathered from a memory map, so memory does not grow with the number of faces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes. `rotation` in degrees, `scale` as (least, most), `shift` as a share of the side.

    `colour` is the strength of brightness, contrast and colour casts, `noise` the standard deviation in [0, 1].
    """

    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    flip: bool = False
    colour: float = 0.0
    noise: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    "mild": Augmentation(rotation=20, scale=(0.85, 1.15), shift=0.04, flip=True, colour=0.3, noise=0.02),
    # arXiv 2111.07047, section 4: no flip is told of there
    "paper": Augmentation(rotation=31.5, scale=(0.7, 1.3), colour=0.4, noise=0.04),
}


@dataclass(frozen=True)
class FaceSet:
    """Faces to train on or to measure with.

    `images` (N, H, W, 3) uint8, sliceable by an index array; `points` are sets of (N, L, 2) float32 in unit
    coordinates: `truth` and the teachers' predictions. `rows` are those of `images` that belong to this set.
    """

    images: Any
    points: dict[str, Tensor]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, at: np.ndarray, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Images (B, H, W, 3) uint8 and points (B, L, 2) of the faces at these places of the set."""
        rows = self.rows[at]
        order = np.argsort(rows)  # in file order: kinder to a disk, and h5py demands it
        pixels = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        pixels[order] = self.images[rows[order]]
        index = torch.from_numpy(rows)
        return torch.from_numpy(pixels).to(device), {name: p[index].to(device) for name, p in self.points.items()}


def shuffled_batches(n_faces: int, batch: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Each face at most once, in random order.

    A last batch of less than half the size is left out: the statistics of batch norm would be taken from few faces.
    """
    order = torch.randperm(n_faces, generator=generator).numpy()
    for step in range(count_batches(n_faces, batch)):
        yield order[step * batch : (step + 1) * batch]


def count_batches(n_faces: int, batch: int) -> int:
    """Steps of one epoch; at least one."""
    return max(1, n_faces // batch + (2 * (n_faces % batch) >= batch))


def random_warps(n: int, augmentation: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Maps from output to input, unit coordinates, (B, 2, 3), and which of them mirror the image, (B,) bool."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle = uniform(-1, 1) * math.radians(augmentation.rotation)
    # Uniform in the logarithm, so that a face is halved as often as doubled.
    scale = torch.exp(uniform(math.log(augmentation.scale[0]), math.log(augmentation.scale[1])))
    flip = (torch.rand(n, generator=generator) < 0.5) & augmentation.flip
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    side = torch.where(flip, -1.0, 1.0)
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * augmentation.shift
    rows = torch.stack([cos * side, -sin, shift[:, 0], sin * side, cos, shift[:, 1]], dim=1)
    return rows.view(n, 2, 3), flip


def warp_images(images: Tensor, warps: Tensor, size: int) -> Tensor:
    """Images (B, H, W, 3) uint8 through maps from output to input (B, 2, 3) -> (B, 3, size, size) in [0, 1].

    Images at least twice as large as the output are first shrunk by averaging, because bilinear sampling alone
    would skip pixels. Outside the image its nearest pixel is repeated.
    """
    pixels = images.permute(0, 3, 1, 2).float().div_(255)  # (B, 3, H, W)
    height, width = pixels.shape[2:]
    # grid_sample counts from -1 to 1 where unit coordinates count from -0.5 to 0.5
    theta = torch.cat([warps[:, :, :2], 2 * warps[:, :, 2:]], dim=2)
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)  # (B, size, size, 2)
    shrink = min(height, width) // size
    if shrink >= 2:
        # Padded to whole blocks; the grid then counts over the padded size, so that nothing moves.
        pad_y, pad_x = -height % shrink, -width % shrink
        pixels = F.avg_pool2d(F.pad(pixels, (0, pad_x, 0, pad_y), mode="replicate"), shrink)
        ratio = torch.tensor([width / (width + pad_x), height / (height + pad_y)], device=grid.device)
        grid = (grid + 1) * ratio - 1
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def warp_points(points: Tensor, warps: Tensor, flip: Tensor, mirror: Tensor | None) -> Tensor:
    """Points (B, L, 2), unit coordinates of the input -> of the output; in mirrored faces points change their names."""
    inverse = torch.linalg.inv(warps[:, :, :2])
    moved = (points - warps[:, None, :, 2]) @ inverse.transpose(1, 2)
    if mirror is not None:
        moved = torch.where(flip[:, None, None], moved[:, mirror], moved)
    return moved


def change_colours(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Random brightness, contrast, colour cast and noise of images (B, 3, S, S) in [0, 1]; some become grey."""
    n, device = len(images), images.device

    def spread(*shape: int) -> Tensor:
        return ((torch.rand(n, *shape, generator=generator) * 2 - 1) * augmentation.colour).to(device)

    if augmentation.colour > 0:
        grey = images.mean(dim=1, keepdim=True)
        is_grey = (torch.rand(n, 1, 1, 1, generator=generator) < 0.1).to(device)
        images = torch.where(is_grey, grey, images)
        middle = grey.mean(dim=(2, 3), keepdim=True)
        gain = (1 + spread(1, 1, 1)) * (1 + 0.3 * spread(3, 1, 1))
        images = (images - middle) * gain + middle * (1 + 0.5 * spread(3, 1, 1)) + 0.3 * spread(1, 1, 1)
    if augmentation.noise > 0:
        strength = torch.rand(n, 1, 1, 1, generator=generator).to(device) * augmentation.noise
        images = images + torch.randn(images.shape, generator=generator).to(device) * strength
    return images.clamp(0, 1)


def augment(
    images: Tensor,
    points: dict[str, Tensor],
    size: int,
    augmentation: Augmentation,
    mirror: Tensor | None,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    """One random change per face, the same for its image (B, H, W, 3) and every set of its points (B, L, 2).

    Returns images (B, 3, size, size) in [0, 1] and points in unit coordinates of them. Nothing is mirrored where
    `mirror` (L,) is None, since points could not change their names.
    """
    if mirror is None and augmentation.flip:
        augmentation = Augmentation(**{**vars(augmentation), "flip": False})
    warps, flip = random_warps(len(images), augmentation, generator)
    warps, flip = warps.to(images.device), flip.to(images.device)
    warped = warp_images(images, warps, size)
    moved = {name: warp_points(p, warps, flip, mirror) for name, p in points.items()}
    return change_colours(warped, augmentation, generator), moved


def resize_images(images: Tensor, size: int) -> Tensor:
    """Images (B, H, W, 3) uint8 -> (B, 3, size, size) in [0, 1], sampled just as in training but unchanged."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    return warp_images(images, identity, size)
