"""The networks that come with kdtools: named wherever a model is expected, and described by their licence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from contract.running import run_tool, succeed
from factories import drawn_faces, write_faces

from kdtools import bundled
from kdtools.export import graph
from kdtools.faces.file import open_faces
from kdtools.model.card import read_card
from kdtools.onnx_session import open_session
from kdtools.prediction.engines import load_engine

NAMES = bundled.bundled_names()
FOLDER = Path(bundled.__file__).parent / "pretrained"
every_network = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, points = drawn_faces(4, 96, seed=1)
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    write_faces(path, images=images, landmarks=points)
    return path


def test_what_comes_along() -> None:
    assert {"face68", "face68-tiny"} <= set(NAMES)
    assert all(bundled.export_file(name) is not None for name in NAMES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 17e6


@every_network
def test_each_is_described(name: str) -> None:
    card, fields = read_card(name)
    assert card.scheme.n_points == 68
    licence = (FOLDER / "LICENSE-WEIGHTS").read_text()
    assert all(data.split(":")[0].split()[0] in licence for data in fields["trained_on"])
    assert fields["terms"]
    assert fields["edition"].split(",")[0] in (FOLDER / f"{name}.md").read_text()
    assert "/" not in "".join(json.loads(fields["argv"]))  # no path of the machine it was trained on
    exported = read_card(bundled.export_file(name) or "")[1]
    of_default = card.with_one_layer(card.convention).convention_fields()
    for name_of_field in ("conventions", "layers"):  # of the default layer; older exports state no layers
        expected = json.loads(json.dumps(of_default[name_of_field]))
        assert exported.pop(name_of_field, expected) == expected
        fields.pop(name_of_field, None)
    assert exported.items() >= fields.items()


@every_network
def test_weights_and_export_agree(name: str, faces: Path) -> None:
    with open_faces(faces) as file:
        images = np.asarray(file.images[:])
    size = read_card(name)[0].input_size
    crops = np.stack([cv2.resize(image, (size, size)) for image in images])
    torch, onnx = (load_engine(name, backend=backend).predict(crops)[0] for backend in ("torch", "onnx"))
    np.testing.assert_allclose(torch, onnx, atol=1e-4)


@every_network
def test_opencv_runs_each_export(name: str) -> None:
    """So do other small runtimes: nothing is computed from the shapes of maps, by the operators of 2020."""
    path = bundled.export_file(name) or ""
    model = onnx.load(path)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    size = read_card(path)[0].input_size
    image = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    opencv = cv2.dnn.readNetFromONNX(str(path))
    opencv.setInput(image)
    (points,) = open_session(path, threads=1).run(["landmarks"], {"images": image})
    np.testing.assert_allclose(opencv.forward("landmarks"), points, atol=1e-4)


def test_prediction_by_name_needs_no_torch(faces: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from kdtools.cli.kd_predict import main; main()"
    output = tmp_path / "p.h5"
    subprocess.run([sys.executable, "-c", code, "face68", faces, "-o", output], check=True, cwd=tmp_path)
    with open_faces(output) as file:
        assert len(file) == 4
        assert json.loads(file.h5.attrs["inputs"]).keys() == {"face68", str(faces)}


def test_the_name_does_in_every_tool(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_tool("kd-info", "face68", "--value", "input_size").stdout.strip().isdigit()
    listed = run_tool("kd-info", "--bundled")
    lines = listed.stdout.decode().splitlines()
    assert lines[0].split()[:3] == ["face68", "68", "points"]
    assert lines[-1].startswith("finder       faces in photographs, for --detector finder; edition ")
    # Tracing takes half a minute. The graph that comes along is this network's: kd-export compares the two.
    monkeypatch.setattr(graph, "_graph_of", lambda network: onnx.load(bundled.export_file("face68")))
    succeed(run_tool("kd-export", "face68", "-o", "x.onnx"))
    shapes = "--arch mobilenetv2_100 --input-size 32 --epochs 1 --batch 4 --device cpu --val-share 0.5"
    result = run_tool("kd-student", faces, "--init", "face68", "--loss", "l1", *shapes.split(), "-o", "s.safetensors")
    assert "weights from face68" in succeed(result).stderr
    assert run_tool("kd-info", "s.safetensors", "--value", "settings.init").stdout == b"face68\n"
    states = json.loads(run_tool("kd-info", "s.safetensors", "--json").stdout)["provenance"]["inputs"]
    assert {one["name"]: one["state"] for one in states}["face68"] == "unchanged"


def test_a_file_of_that_name_comes_first(
    tiny_onnx: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "face68").write_bytes(tiny_onnx.read_bytes())
    result = succeed(run_tool("kd-predict", "face68", faces, "-o", "p.h5"))
    assert "face68: the file of this name is used, not the bundled network" in result.stderr
    assert load_engine("face68").card.input_size == 32


def test_without_the_folder_everything_else_works(tiny_onnx: Path, faces: Path, tmp_path: Path) -> None:
    """A copy of the package from which the folder was deleted."""
    shutil.copytree(FOLDER.parent, tmp_path / "copy" / "kdtools", ignore=shutil.ignore_patterns("pretrained"))
    code = """
import sys
import kdtools
assert kdtools.__file__.startswith(sys.argv[1]), kdtools.__file__
sys.path.append(sys.argv[2])
from contract.running import run_tool
tiny, faces = sys.argv[3:]
predicted, named, listed, own = (
    run_tool(*words)
    for words in (
        ("kd-predict", tiny, faces, "-o", "p.h5"),
        ("kd-predict", "face68", faces, "-o", "q.h5"),
        ("kd-info", "--bundled"),
        ("kd-eval", "p.h5", "--truth", faces, "--value", "nme_percent"),
    )
)
assert predicted.status == 0, predicted
assert named.status == 1 and "face68: no such model" in named.stderr and "kd-student trains one" in named.stderr, named
assert listed.status == 0 and listed.stdout == b"", listed
assert own.status == 0 and float(own.stdout) > 0, own
"""
    words = [tmp_path / "copy", Path(__file__).parent, tiny_onnx, faces]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "copy")}
    subprocess.run([sys.executable, "-c", code, *words], check=True, cwd=tmp_path, env=environment)
    assert sorted(os.listdir(tmp_path)) == ["copy", "p.h5"]
