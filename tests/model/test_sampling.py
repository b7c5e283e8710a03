"""Networks see the same pixels in training, validation and prediction: the samplers agree but for rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kdtools.images.cropping import crop_image, resize_image, shrink_images, shrunk_shape
from kdtools.model.sampling import _block_means, _padded, resize_images, warp_images

# Sizes of an input for images of 256 px: ratios 1, 1.3, 2, 2.7 and 0.8, and 3.5, where a block of 3 px leaves a rest.
SIZES = (256, 197, 128, 95, 320, 73)


def sharp_images(n: int, height: int, width: int) -> np.ndarray:
    """Noise and hard edges, on which any difference of places shows."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (n, height, width, 3), np.uint8)
    images[:, height // 3 :, : width // 2] = 0
    images[:, : height // 2, width // 3 :: 7] = 255
    return images


def blobs(size: int, sigma: float, points: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8, a blob in each channel, centred at its point (3, 2)."""
    y, x = np.mgrid[:size, :size]
    channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return np.round(255 * np.stack(channels, axis=-1)).astype(np.uint8)


def centres(image: np.ndarray) -> np.ndarray:
    """Centres of brightness (3, 2) of the channels of an image (size, size, 3), in its pixels."""
    mass, at = image.astype(np.float64), np.arange(len(image))
    x, y = np.einsum("yxc,x->c", mass, at), np.einsum("yxc,y->c", mass, at)
    return np.stack([x, y], axis=1) / mass.sum(axis=(0, 1))[:, None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [256, 180])
def test_prediction_resizes_as_validation_does(size: int, width: int) -> None:
    """To half a grey level, which is the rounding: pixels are bytes in prediction."""
    images = sharp_images(3, 256, width)
    seen = resize_images(torch.from_numpy(images), size).permute(0, 2, 3, 1).numpy() * 255
    difference = np.stack([resize_image(image, size) for image in images]) - seen
    assert np.abs(difference).max() < 0.51
    assert abs(difference.mean()) < 0.01


@pytest.mark.parametrize("size", SIZES)
def test_points_do_not_depend_on_the_sampler(size: int) -> None:
    """A photograph cropped at the network's size, and a crop of 256 px brought to it, by either sampler."""
    points = np.array([[220.3, 260.8], [350.1, 240.6], [300.5, 360.2]])
    photograph, square = blobs(600, 25, points), np.array([130.7, 121.2, 470.7, 461.2])
    expected = (points - square[:2] + 0.5) * (size / 340) - 0.5
    stored, _ = crop_image(photograph, square, 256)
    direct, _ = crop_image(photograph, square, size)
    for_validation = resize_images(torch.from_numpy(stored[None]), size)[0].permute(1, 2, 0).numpy()
    for image in (direct, resize_image(stored, size), for_validation):
        np.testing.assert_allclose(centres(image), expected, atol=0.05)


@pytest.mark.parametrize(("height", "width", "size"), [(64, 64, 28), (63, 80, 20), (97, 101, 8), (60, 61, 4)])
def test_sampling_of_averages_equals_pytorch_s(height: int, width: int, size: int) -> None:
    images = torch.randint(256, (2, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    shrink = min(height, width) // size
    pad_y, pad_x = -height % shrink, -width % shrink
    padded = F.pad(images.permute(0, 3, 1, 2).float(), (0, pad_x, 0, pad_y), mode="replicate")
    warps = torch.tensor([[[0.9, 0.2, 0.1], [-0.2, 0.9, 0.05]], [[-1.1, 0, 0], [0, 1.1, -0.1]]])
    grid = F.affine_grid(torch.cat([warps[:, :, :2], 2 * warps[:, :, 2:]], 2), [2, 3, size, size], align_corners=False)
    grid = (grid + 1) * torch.tensor([width / (width + pad_x), height / (height + pad_y)]) - 1
    means = F.avg_pool2d(padded, shrink)
    assert torch.equal(_block_means(_padded(images, pad_y, pad_x), shrink), means)
    wanted = F.grid_sample(means, grid, mode="bilinear", padding_mode="border", align_corners=False) / 255
    torch.testing.assert_close(warp_images(images, warps, size), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("height", "width", "size"), [(64, 64, 28), (63, 80, 20), (97, 101, 8), (60, 61, 60)])
def test_faces_to_train_on_are_shrunk_by_averaging(height: int, width: int, size: int) -> None:
    """Rounded means over blocks, or over equal areas where the factor does not divide a side."""
    images = np.random.default_rng(1).integers(0, 256, (2, height, width, 3), np.uint8)
    shrunk = shrink_images(images, size)
    rows, columns = shrunk.shape[1:3]
    assert (rows, columns) == shrunk_shape((height, width), size)
    assert size <= min(rows, columns) < 2 * size
    means = np.einsum("yi,xj,nijc->nyxc", areas(rows, height), areas(columns, width), images)
    assert np.abs(shrunk - means).max() < 0.51 + 0.1 * (rows * columns != height * width)


def areas(n: int, length: int) -> np.ndarray:
    """Shares (n, length) of `length` pixels in each of `n` equal parts of their line."""
    edges = np.arange(n + 1)[:, None] * (length / n)
    covered = np.clip(edges - np.arange(length), 0, 1)  # of each pixel, up to each edge
    return (covered[1:] - covered[:-1]) * (n / length)
