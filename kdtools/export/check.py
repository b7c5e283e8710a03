"""Whether an exported model answers as the original does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kdtools.batches import resize_images
from kdtools.engines.onnx import open_session, run_session
from kdtools.errors import DataError
from kdtools.files import open_faces
from kdtools.models import LandmarkNet

_TOLERANCE_PX = 0.05  # rounding reaches some thousandths; more means that the graph computes something else
_N_CHECKED = 64
_N_RANDOM = 8


@dataclass(frozen=True)
class Agreement:
    """Distance of the exported model's points from the original's, in pixels of the input, over `n_faces` inputs."""

    n_faces: int
    largest_px: float
    mean_px: float


def compare_with_original(network: LandmarkNet, path: Path, inputs: np.ndarray) -> Agreement:
    """Run both on inputs (N, 3, S, S). Raises DataError where they differ by more than rounding."""
    found = run_session(open_session(path, threads=0), inputs)
    with torch.inference_mode():
        original = network(torch.from_numpy(inputs)).numpy()
    distance = np.linalg.norm(found - original, axis=2) * network.card.input_size
    if not distance.max() <= _TOLERANCE_PX:  # NaN is refused too
        raise DataError(
            f"the exported model differs from the original by up to {distance.max():.3g} px",
            "the network does something that ONNX does not; try another --arch",
        )
    return Agreement(len(inputs), float(distance.max()), float(distance.mean()))


def check_inputs(network: LandmarkNet, faces_path: str | None) -> np.ndarray:
    """(N, 3, S, S) float32 to compare with: the first faces of a file, or noise where there is none."""
    size = network.card.input_size
    if faces_path is None:
        return np.random.default_rng(0).random((_N_RANDOM, 3, size, size), np.float32)
    with open_faces(faces_path) as faces:
        faces.require("image")
        return resize_images(torch.from_numpy(np.array(faces.images[:_N_CHECKED])), size).numpy()
