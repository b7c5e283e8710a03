"""kd-export: the ONNX model answers as the original, for any batch; one that does not is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from kdtools.cards import ModelCard
from kdtools.errors import DataError
from kdtools.export import check_inputs, compare_with_original, export_onnx
from kdtools.geometry import CropRule
from kdtools.models import LandmarkNet
from kdtools.schemes import IBUG68


def network(seed: int) -> LandmarkNet:
    torch.manual_seed(seed)
    return LandmarkNet(ModelCard("test_resnet", 32, IBUG68, CropRule(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))).eval()


def test_exported_model_answers_as_the_original(tmp_path: Path) -> None:
    path, original = tmp_path / "m.onnx", network(0)
    export_onnx(original, path, {"arch": "test_resnet"})
    agreement = compare_with_original(original, path, check_inputs(original, None))
    assert agreement.largest_px < 1e-3
    assert agreement.n_faces == 8
    session = onnxruntime.InferenceSession(str(path))
    for batch in (1, 5):
        images = np.random.default_rng(batch).random((batch, 3, 32, 32), np.float32)
        (points,) = session.run(["landmarks"], {"images": images})
        with torch.inference_mode():
            np.testing.assert_allclose(points, original(torch.from_numpy(images)).numpy(), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["kdtools"]) == {"arch": "test_resnet"}
    with pytest.raises(DataError, match="differs from the original"):
        compare_with_original(network(1), path, check_inputs(original, None))
