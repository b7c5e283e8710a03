"""One annotation convention of several: predicted, with its origin put back where it is asked for, and exported."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from factories import write_faces

from kdtools.cli import kd_export, kd_predict
from kdtools.cli._app import session
from kdtools.errors import UsageError
from kdtools.faces.file import open_faces
from kdtools.images.drawing import write_image
from kdtools.inspection import describe_file, open_any
from kdtools.landmarks import IBUG68
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import load_all_layers, save_model
from kdtools.model.network import LandmarkNet
from kdtools.prediction.engines import load_engine
from kdtools.storage.provenance import Provenance

Run = Callable[..., tuple[int, str]]
N, SIDE, SCALE, ORIGIN = 5, 32, 1.5, (1.25, -0.5)
HANDS = (Convention("300w/helen"), Convention("300w/lfpw", ORIGIN), Convention("youtube68"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    card = ModelCard("test_resnet", SIDE, IBUG68, CropRule(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))
    torch.manual_seed(0)
    card = ModelCard(**{**vars(card), "conventions": HANDS, "convention": "youtube68"})
    network = LandmarkNet(card)
    torch.nn.init.normal_(network.head.get_parameter("bias"), std=0.2)
    save_model(path, network, Provenance("test"))
    return path


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of which a pixel is 1.5 pixels of the source images."""
    images = np.random.default_rng(0).integers(0, 255, (N, SIDE, SIDE, 3)).astype(np.uint8)
    to_source = np.broadcast_to([[SCALE, 0, 7.0], [0, SCALE, -3.0]], (N, 2, 3))
    return write_faces(tmp_path_factory.mktemp("faces") / "faces.h5", images=images, to_source=to_source)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a tool in this process: its exit status and what it said."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(tool: ModuleType, *words: Any) -> tuple[int, str]:
        session.verbosity = session.n_skipped = 0
        monkeypatch.setattr(sys, "argv", [tool.__name__.rpartition(".")[2].replace("_", "-"), *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO())))  # type: ignore
        with pytest.raises(SystemExit) as stop:
            tool.main()
        signal.signal(signal.SIGTERM, handler)
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def answers(model: Path, faces: Path, layer: int) -> np.ndarray:
    """Points (N, L, 2) by a last layer of the whole network, in true pixels of the source images."""
    with open_faces(faces) as file, torch.inference_mode():
        images = torch.from_numpy(file.images[...]).permute(0, 3, 1, 2).float() / 255
        units = load_all_layers(model, torch.device("cpu"))(images, torch.full((N,), layer)).numpy()
        return np.asarray(file.to_frame((units + 0.5) * SIDE - 0.5, "source"))


def stored(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    with h5py.File(path) as h5:
        return h5["landmarks"][...], dict(h5["landmarks"].attrs)


@pytest.mark.parametrize(
    ("words", "layer", "name", "origin", "said"),
    [
        ((), 1, "youtube68", None, "points of the annotation convention youtube68, in true pixels"),
        (("--convention", "youtube68"), 1, "youtube68", None, "in true pixels: no origin of it is known"),
        (("--convention", "300w"), 0, "300w", None, "points of the annotation convention 300w, in true pixels"),
        (("--convention", "300w/lfpw"), 0, "300w/lfpw", ORIGIN, "with its origin of 1.25, -0.5 px added"),
    ],
)
def test_the_convention_that_is_asked_for(
    run: Run, model: Path, faces: Path, tmp_path: Path, words: Any, layer: int, name: str, origin: Any, said: str
) -> None:
    output = tmp_path / "found.h5"
    status, told = run(kd_predict, model, faces, *words, "-o", output)
    assert (status, said in told) == (0, True), told
    points, attributes = stored(output)
    np.testing.assert_allclose(points, answers(model, faces, layer) + np.array(origin or (0, 0)), atol=1e-3)
    assert attributes["convention"] == name
    assert ("origin" in attributes) == (origin is not None)
    with open_faces(output) as found:
        np.testing.assert_allclose(found.true_landmarks, answers(model, faces, layer), atol=1e-3)


def test_an_unknown_convention_is_refused_with_the_known_ones(
    run: Run, model: Path, faces: Path, tmp_path: Path
) -> None:
    status, told = run(kd_predict, model, faces, "--convention", "wflw", "-o", tmp_path / "found.h5")
    assert status == 2
    assert "has no annotation convention 'wflw'" in told
    assert "give one of 300w, 300w/helen, 300w/lfpw, youtube68" in told
    assert not (tmp_path / "found.h5").exists()
    assert run(kd_predict, model, faces, "--convention", "", "-o", tmp_path / "found.h5")[0] == 2
    status, told = run(kd_export, model, "--convention", "wflw", "-o", tmp_path / "wflw.onnx")
    assert (status, "give one of 300w" in told) == (2, True)


def test_without_conventions_nothing_is_written_of_them(run: Run, faces: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    status, told = run(kd_predict, tiny_onnx, faces, "-o", tmp_path / "found.h5")
    assert (status, "annotation convention" in told) == (0, False)
    assert not {"convention", "origin"} & stored(tmp_path / "found.h5")[1].keys()
    status, told = run(kd_predict, tiny_onnx, faces, "--convention", "300w", "-o", tmp_path / "other.h5")
    assert status == 2
    assert "was trained without annotation conventions" in told


def test_texts_and_photographs_have_the_same_points(run: Run, model: Path, faces: Path, tmp_path: Path) -> None:
    words = (model, faces, "--convention", "300w/lfpw")
    assert run(kd_predict, *words, "-o", tmp_path / "found.jsonl")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    expected = answers(model, faces, 0) + np.array(ORIGIN)
    np.testing.assert_allclose([line["points"] for line in lines], expected, atol=1e-3)
    assert all((line["convention"], line["origin"]) == ("300w/lfpw", list(ORIGIN)) for line in lines)
    assert run(kd_predict, *words, "-o", tmp_path / "found.csv")[0] == 0
    rows = [row.split(",") for row in (tmp_path / "found.csv").read_text().splitlines()[1:]]
    np.testing.assert_allclose(
        [[float(cell) for cell in row[-136:]] for row in rows], expected.reshape(N, -1), atol=1e-3
    )

    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for k, image in enumerate(np.random.default_rng(1).integers(0, 255, (2, 48, 48, 3)).astype(np.uint8)):
        write_image(photographs / f"{k}.png", image)
    for name, more in (("true", ("--convention", "300w")), ("labels", ("--convention", "300w/lfpw"))):
        assert run(kd_predict, model, photographs, "--detector", "whole", *more, "-o", tmp_path / f"{name}.h5")[0] == 0
    true, labels = (stored(tmp_path / f"{name}.h5") for name in ("true", "labels"))
    np.testing.assert_allclose(labels[0] - true[0], np.broadcast_to(ORIGIN, labels[0].shape), atol=1e-3)
    np.testing.assert_array_equal(labels[1]["origin"], ORIGIN)


def test_a_run_goes_on_only_with_the_same_convention(run: Run, model: Path, faces: Path, tmp_path: Path) -> None:
    words = (model, faces, "-o", tmp_path / "found.h5", "--resume")
    assert run(kd_predict, *words, "--convention", "300w/lfpw")[0] == 0
    status, told = run(kd_predict, *words, "--convention", "300w/lfpw")
    assert (status, "is whole already" in told) == (0, True)
    status, told = run(kd_predict, *words, "--convention", "youtube68")
    assert (status, "of another run" in told) == (1, True)


def test_an_export_answers_by_the_one_convention_and_knows_its_origins(
    run: Run, model: Path, faces: Path, tmp_path: Path
) -> None:
    exported = tmp_path / "300w.onnx"
    assert run(kd_export, model, "--convention", "300w/lfpw", "-o", exported)[0] == 0
    card = read_card(exported)[0]
    assert (card.conventions, card.convention) == (HANDS[:2], "300w")
    assert run(kd_predict, exported, faces, "-o", tmp_path / "true.h5")[0] == 0
    assert run(kd_predict, exported, faces, "--convention", "300w/lfpw", "-o", tmp_path / "labels.h5")[0] == 0
    true, labels = (stored(tmp_path / f"{name}.h5") for name in ("true", "labels"))
    np.testing.assert_allclose(true[0], answers(model, faces, 0), atol=1e-3)
    np.testing.assert_allclose(labels[0], answers(model, faces, 0) + np.array(ORIGIN), atol=1e-3)
    assert (true[1]["convention"], labels[1]["convention"]) == ("300w", "300w/lfpw")
    with pytest.raises(UsageError, match="has no annotation convention 'youtube68'"):
        load_engine(exported, convention="youtube68")


def test_exports_of_sets_with_layers_of_their_own(run: Run, model: Path, faces: Path, tmp_path: Path) -> None:
    """Each answers by its own layer, and by no other, as the model file does by whatever runs it."""
    card = ModelCard(
        **{**vars(read_card(model)[0]), "layers": ("300w", "300w/helen", "300w/lfpw"), "convention": "300w"}
    )
    card = ModelCard(**{**vars(card), "conventions": HANDS[:2]})
    network = LandmarkNet(card)
    torch.nn.init.normal_(network.head.get_parameter("bias"), std=0.2)
    sets = tmp_path / "sets.safetensors"
    save_model(sets, network, Provenance("test"))
    for number, name in enumerate(card.layers):
        expected = answers(sets, faces, number) + np.array(ORIGIN if name == "300w/lfpw" else (0.0, 0.0))
        exported = tmp_path / f"{number}.onnx"
        assert run(kd_export, sets, "--convention", name, "-o", exported)[0] == 0
        assert read_card(exported)[0].layers == (name,)
        for words in ((exported,), (sets, "--backend", "torch"), (sets, "--backend", "onnx")):
            found = tmp_path / "found.h5"
            assert run(kd_predict, *words, faces, "--convention", name, "-f", "-o", found)[0] == 0
            points, about = stored(found)
            np.testing.assert_allclose(points, expected, atol=1e-3)
            assert about["convention"] == name
        for other in {*card.layers} - {name}:
            with pytest.raises(UsageError, match=f"has no annotation convention '{other}'"):
                load_engine(exported, convention=other)
    assert run(kd_export, sets, "-o", tmp_path / "default.onnx")[0] == 0
    assert run(kd_predict, tmp_path / "default.onnx", faces, "-o", tmp_path / "default.h5")[0] == 0
    points, about = stored(tmp_path / "default.h5")
    np.testing.assert_allclose(points, answers(sets, faces, 0), atol=1e-3)
    assert about["convention"] == "300w"


def test_kd_info_names_conventions_and_origins(model: Path) -> None:
    with open_any(str(model)) as opened:
        about = describe_file(opened, follow=False)
    assert about["convention"] == "youtube68"
    assert about["conventions"] == {
        "300w": {"layer": "300w"},
        "300w/helen": {"layer": "300w"},
        "300w/lfpw": {"layer": "300w", "origin": list(ORIGIN)},
        "youtube68": {"layer": "youtube68"},
    }


def test_a_bundled_network_is_named_as_it_was_called(run: Run, faces: Path, tmp_path: Path) -> None:
    status, text = run(kd_predict, "face68", faces, "--convention", "wflw", "-o", tmp_path / "found.h5")
    assert (status, "error: face68: " in text) == (2, True), text
