"""Models for other programs: ONNX with the normalisation inside, checked against the original."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from kdtools.batches import resize_images
from kdtools.errors import DataError
from kdtools.files import open_faces
from kdtools.models import LandmarkNet

INPUT, OUTPUT = "images", "landmarks"
_TOLERANCE_PX = 0.05  # rounding reaches some thousandths; more means that the graph computes something else
_N_CHECKED = 64


@dataclass(frozen=True)
class Agreement:
    """Distance of the exported model's points from the original's, in pixels of the input, over `n_faces` inputs."""

    n_faces: int
    largest_px: float
    mean_px: float


def export_onnx(network: LandmarkNet, path: Path, fields: dict[str, object]) -> None:
    """Write `path`: images (B, 3, S, S) float32 RGB in [0, 1] -> landmarks (B, L, 2) in unit coordinates, any B.

    `fields` (the model file's own description) go into its metadata as JSON, under `kdtools`.
    """
    example = torch.zeros(2, 3, network.card.input_size, network.card.input_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            network.cpu().eval(),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None  # it is None only where an older exporter writes a file itself
    model = program.model_proto
    onnx.helper.set_model_props(model, {"kdtools": json.dumps(fields, sort_keys=True)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def compare_with_original(network: LandmarkNet, path: Path, inputs: np.ndarray) -> Agreement:
    """Run both on inputs (N, 3, S, S). Raises DataError where they differ by more than rounding."""
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: inputs})
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
        return np.random.default_rng(0).random((8, 3, size, size), np.float32)
    with open_faces(faces_path) as faces:
        faces.require("image")
        return resize_images(torch.from_numpy(np.array(faces.images[:_N_CHECKED])), size).numpy()
