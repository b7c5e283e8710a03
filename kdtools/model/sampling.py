"""Resampling of image batches on a device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp_images(images: Tensor, warps: Tensor, size: int) -> Tensor:
    """Warp images (B, H, W, 3) uint8 by maps (B, 2, 3) from output to input -> (B, 3, size, size) in [0, 1].

    Images at least twice as large as the output are averaged over blocks first, because bilinear sampling alone would
    skip pixels. Pixels outside the image repeat its border.
    """
    height, width = images.shape[1:3]
    grid = _sampling_grid(warps, size)
    shrink = min(height, width) // size
    if shrink >= 2:
        # Padded to whole blocks; the grid is scaled to the padded size, so that nothing moves.
        pad_y, pad_x = -height % shrink, -width % shrink
        pixels = _block_means(_padded(images, pad_y, pad_x), shrink)
        ratio = torch.tensor([width / (width + pad_x), height / (height + pad_y)], device=grid.device)
        grid = (grid + 1) * ratio - 1
    else:
        pixels = images.permute(0, 3, 1, 2).float()  # (B, 3, H, W)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False).div_(255)


def _sampling_grid(warps: Tensor, size: int) -> Tensor:
    """Where each pixel of the output lies in the input, (B, size, size, 2), in the coordinates of grid_sample.

    These go from -1 to 1 where unit coordinates go from -0.5 to 0.5. `affine_grid` takes 20 times as long on a CPU.
    """
    at = (torch.arange(size, device=warps.device) + 0.5) * (2 / size) - 1
    by_x, by_y, shift = warps[:, :, :, None].unbind(2)  # (B, 2, 1) each
    grid = (by_x * at)[:, :, None, :] + (by_y * at + 2 * shift)[:, :, :, None]  # (B, 2, size, size)
    return grid.permute(0, 2, 3, 1)


def _padded(images: Tensor, rows: int, columns: int) -> Tensor:
    """Images (B, H, W, 3) with their last row and column repeated so many times."""
    if rows:
        images = torch.cat([images, images[:, -1:].expand(-1, rows, -1, -1)], dim=1)
    if columns:
        images = torch.cat([images, images[:, :, -1:].expand(-1, -1, columns, -1)], dim=2)
    return images


def _block_means(images: Tensor, side: int) -> Tensor:
    """Means over blocks of `side` px of images (B, H, W, 3) uint8 -> (B, 3, H / side, W / side) float32.

    The same bits as those of avg_pool2d, in a third of its time on a CPU: sums of whole numbers are exact.
    """
    n, height, width = images.shape[:3]
    rows, columns = height // side, width // side
    dtype = torch.int16 if 255 * side * side < 2**15 else torch.int32
    lines = images.reshape(n, rows, side, width * 3)
    sums = lines[:, :, 0].to(dtype)
    for k in range(1, side):
        sums += lines[:, :, k]
    blocks = sums.view(n, rows, columns, side, 3)
    sums = blocks[:, :, :, 0].clone()
    for k in range(1, side):
        sums += blocks[:, :, :, k]
    return sums.permute(0, 3, 1, 2).float().div_(side * side)


def resize_images(images: Tensor, size: int) -> Tensor:
    """Images (B, H, W, 3) uint8 -> (B, 3, size, size) in [0, 1], sampled as in training, without augmentation."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    return warp_images(images, identity, size)


def resized(images: Tensor, size: int) -> Tensor:
    """Float images (B, 3, S, S) -> (B, 3, size, size)."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
