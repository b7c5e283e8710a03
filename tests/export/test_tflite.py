"""kd-export -o x.tflite: answers as the network, and what does not apply or is missing is refused with a reason."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from contract.running import run_tool
from factories import drawn_faces, write_faces

from kdtools.errors import DataError, is_installed
from kdtools.export.tflite import _enlarge_by_index, export_tflite
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard
from kdtools.model.file import save_model
from kdtools.model.heads import enlarge
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance

SIZE = 32


def network(seed: int) -> LandmarkNet:
    """With two outputs, whose points depend on what is seen."""
    torch.manual_seed(seed)
    card = ModelCard("test_resnet", SIZE, IBUG68, CropRule(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2), head="heatmap")
    made = LandmarkNet(card).eval()
    with torch.no_grad():
        made.head.last.weight.mul_(30)
    return made


@pytest.mark.parametrize(
    ("name", "options", "status", "fault", "remedy"),
    [
        ("m.tflite", ["--precision", "int8", "--calibrate", "faces.h5"], 2, "in float32 only", "ends in .onnx"),
        ("m.tflite", ["--precision", "float16"], 2, "in float32 only", "ends in .onnx"),
        ("m.tflite", ["--calibrate", "faces.h5"], 2, "in float32 only", "leave --precision and --calibrate out"),
        ("m.tflite", ["--compare-precisions", "--verify", "faces.h5"], 2, "writes no file", "leave -o"),
        pytest.param(
            *("m.TFLITE", [], 1, "litert_torch is not installed", "pip install 'litert-torch"),
            marks=pytest.mark.skipif(is_installed("litert_torch"), reason="litert-torch is installed"),
        ),
        ("m.mlpackage", [], 2, "coremltools fails", "m.onnx, for ONNX Runtime Mobile"),
        ("m.mlmodel", [], 2, "coremltools fails", "m.tflite, for LiteRT"),
        ("m.pt", [], 2, "a model of another program", "ends in .onnx or .tflite"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_remedy(
    tmp_path: Path, name: str, options: list[str], status: int, fault: str, remedy: str
) -> None:
    result = run_tool("kd-export", "face68-tiny", *options, "-o", str(tmp_path / name))
    assert result.status == status, result
    message, _, hint = result.stderr.partition("\n  ")
    assert fault in message
    assert remedy in hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (MemoryError(), MemoryError),
        (TypeError("an odd operator\nand more"), DataError),
    ],
)
def test_a_full_disk_is_no_fault_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, shown: type[Exception]
) -> None:
    def convert(*_: object) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "litert_torch", SimpleNamespace(convert=convert))
    with pytest.raises(shown) as raised:
        export_tflite(network(0), tmp_path / "m.tflite")
    if shown is DataError:
        assert "test_resnet cannot be converted to TensorFlow Lite: an odd operator" in str(raised.value)


@pytest.mark.parametrize(("small", "large"), [(4, 7), (5, 10), (7, 14), (3, 10), (1, 5), (9, 9)])
def test_maps_enlarged_by_index_are_those_of_the_network(small: int, large: int) -> None:
    maps = torch.arange(small * small * 2.0).view(1, 2, small, small)
    assert torch.equal(_enlarge_by_index(maps, (large, large + 1)), enlarge(maps, (large, large + 1)))


@pytest.mark.skipif(not is_installed("litert_torch"), reason="litert-torch is not installed (the extra tflite)")
def test_a_tflite_file_answers_as_the_network(tmp_path: Path) -> None:
    from kdtools.export.check import compare_answers, sample_faces
    from kdtools.export.tflite import tflite_run

    images, points = drawn_faces(6, 48, seed=1)
    faces = write_faces(tmp_path / "faces.h5", points, images=images)
    model, output, original = tmp_path / "m.safetensors", tmp_path / "m.tflite", network(0)
    save_model(model, original, Provenance("test"))
    code = "from kdtools.cli.kd_export import main; main()"
    words = [sys.executable, "-c", code, str(model), "--verify", str(faces), "-o", str(output)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""  # the converter's own reports are not shown
    lines = result.stderr.splitlines()
    assert f"over 6 faces of {faces}" in result.stderr
    assert [line for line in lines if "NME" in line and "LiteRT" not in line]
    assert "faces/s by LiteRT" in lines[-1]
    assert all(line.startswith("kd-export: ") for line in lines), lines

    run, sample = tflite_run(output), sample_faces(str(faces), original, 6)
    found, confidence = original.points_and_confidence(torch.from_numpy(sample.images))
    assert confidence is not None
    np.testing.assert_allclose(run(sample.images), found.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(run(sample.images, "confidence"), confidence.detach().numpy(), atol=1e-3)
    with pytest.raises(DataError, match="differs from the original"):
        compare_answers(network(1), run, sample)
