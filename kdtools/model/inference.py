"""Prediction of landmarks for the images of a faces file, during training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.landmarks.geometry import unit_to_pixels
from kdtools.model.network import LandmarkNet
from kdtools.model.sampling import resize_images


def predict_units(
    network: LandmarkNet,
    images: Any,
    rows: np.ndarray | None = None,
    *,
    layers: Tensor | None = None,
    device: torch.device,
    batch: int,
) -> np.ndarray:
    """Landmarks (N, L, 2) float32, unit coordinates, of images (M, H, W, 3) uint8; `rows` (N,) selects from them.

    `layers` (N,) are the last layers of the network to answer by; None is its default.
    """
    n_faces = len(images) if rows is None else len(rows)
    points = np.empty((n_faces, network.card.scheme.n_points, 2), np.float32)
    with torch.inference_mode():
        for first in range(0, n_faces, batch):
            last = min(first + batch, n_faces)
            pixels = images[first:last] if rows is None else images[rows[first:last]]
            inputs = resize_images(torch.from_numpy(np.array(pixels)).to(device), network.card.input_size)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            by = () if layers is None else (layers[first:last],)
            points[first:last] = network(inputs, *by).float().cpu().numpy()
    return points


def predict_crops(network: LandmarkNet, images: Any, **options: Any) -> np.ndarray:
    """As `predict_units`, but in pixels of the images."""
    return unit_to_pixels(predict_units(network, images, **options), *images.shape[1:3])
