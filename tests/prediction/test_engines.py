"""Engines: every one gives the network's points; exports are cached; what is no model is told in a line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from reporters import Recorder

from kdtools.errors import DataError, FileError, UsageError
from kdtools.export import cache
from kdtools.export.graph import export_onnx
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard, form_of, read_card
from kdtools.model.file import save_model
from kdtools.model.network import LandmarkNet
from kdtools.prediction.engines import FEW_FACES, FlippedEngine, load_engine
from kdtools.prediction.engines.torch import choose_dtype
from kdtools.storage.cache import cache_folder
from kdtools.storage.provenance import Provenance

SIZE = 32
pytestmark = pytest.mark.usefixtures("graphs")  # each network is traced once


@pytest.fixture(scope="module")
def network() -> LandmarkNet:
    torch.manual_seed(0)
    return LandmarkNet(ModelCard("test_resnet", SIZE, IBUG68, CropRule(0.3), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))).eval()


@pytest.fixture(scope="module")
def model(network: LandmarkNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engines") / "m.safetensors"
    save_model(path, network, Provenance("test"))
    return path


@pytest.fixture(scope="module")
def exported(network: LandmarkNet, model: Path) -> Path:
    path = model.with_suffix(".onnx")
    export_onnx(network, path, read_card(model)[1])
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def crops_and_points(network: LandmarkNet, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    crops = np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)
    with torch.inference_mode():
        return crops, network(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255).numpy()


def test_all_engines_give_the_points_of_the_network(network: LandmarkNet, model: Path, exported: Path) -> None:
    crops, points = crops_and_points(network)
    for path, backend in ((model, "torch"), (model, "onnx"), (exported, "auto")):
        engine = load_engine(path, backend=backend, device="cpu", threads=1)
        assert (engine.card.input_size, engine.card.crop.margin, engine.threads) == (SIZE, 0.3, 1)
        found, confidence = engine.predict(crops)
        assert (found.dtype, confidence, engine.has_confidence) == (np.float32, None, False)
        np.testing.assert_allclose(found, points, atol=1e-5)
        np.testing.assert_allclose(engine.predict(crops[::2])[0], points[::2], atol=1e-5)  # not contiguous


def test_calls_in_several_threads_and_of_any_number_of_crops_do_not_mix(exported: Path) -> None:
    """Each thread keeps the memory in which it brings its crops into the order of the network."""
    engine = load_engine(exported, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (41, SIZE, SIZE, 3), np.uint8)
    alone = np.concatenate([engine.predict(crops[k : k + 1])[0] for k in range(len(crops))])
    with ThreadPoolExecutor(4) as pool:
        for n in (1, 3, 8, 41):
            parts = [crops[k : k + n] for k in range(0, len(crops), n)]
            found = np.concatenate([points for points, _ in pool.map(engine.predict, parts)])
            np.testing.assert_allclose(found, alone, atol=1e-5)


def test_pytorch_says_how_sure_a_network_with_heatmaps_is(network: LandmarkNet, tmp_path: Path) -> None:
    """A heatmap that is sharpened by hand is sure; the others are as even as random weights leave them. What ONNX
    Runtime says is compared in test_export.py, where such a network is exported."""
    torch.manual_seed(0)
    sure = LandmarkNet(replace(network.card, head="heatmap")).eval()
    with torch.no_grad():
        sure.head.last.weight[:3] *= 1e4  # type: ignore[index,union-attr]
    save_model(tmp_path / "m.safetensors", sure, Provenance("test"))
    crops, points = crops_and_points(sure)
    engine = load_engine(tmp_path / "m.safetensors", backend="torch", device="cpu", threads=1)
    found, confidence = engine.predict(crops)
    np.testing.assert_allclose(found, points, atol=1e-4)
    assert engine.has_confidence
    assert confidence is not None
    assert (confidence.shape, confidence.dtype) == ((len(crops), 68), np.float32)
    assert confidence[:, :3].mean() > 0.9
    assert confidence[:, 3:].max() < 0.8
    flipped, surety = FlippedEngine(engine).predict(crops)
    again, surety_again = FlippedEngine(engine).predict(crops[:, :, ::-1])
    mirror = list(IBUG68.mirror or ())
    np.testing.assert_allclose(again, flipped[:, mirror] * [-1, 1], atol=1e-4)
    assert surety is not None
    np.testing.assert_allclose(surety_again, surety[:, mirror], atol=1e-3)


def test_a_flipped_engine_answers_alike_for_a_face_and_its_mirror_image(exported: Path) -> None:
    """Left and right change places with the image, whatever the network says; its confidence goes along."""
    engine = load_engine(exported, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    flipped = FlippedEngine(engine)
    points, _ = flipped.predict(crops)
    mirror = list(IBUG68.mirror or ())
    np.testing.assert_allclose(flipped.predict(crops[:, :, ::-1])[0], points[:, mirror] * [-1, 1], atol=1e-5)
    assert np.abs(points - engine.predict(crops)[0]).max() > 1e-3
    assert (points.dtype, flipped.card, flipped.batch) == (np.float32, engine.card, engine.batch)


@dataclass
class Brightest:
    """An engine that says in which column a crop is the brightest, the first point lower than others and less sure."""

    card: ModelCard
    threads: int = 1
    batch: int = 16
    name: str = "test"
    has_confidence: bool = True

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        points = np.zeros((len(crops), 68, 2), np.float32)
        points[..., 0] = ((crops[:, 0, :, 0].argmax(axis=1) + 0.5) / SIZE - 0.5)[:, None]
        points[:, 0, 1] = 0.25
        confidence = np.ones((len(crops), 68), np.float32)
        confidence[:, 0] = 0.5
        return points, confidence


def test_a_flipped_engine_takes_the_means_of_points_and_confidence(network: LandmarkNet) -> None:
    crops = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    crops[:, :, 5] = 255
    points, confidence = FlippedEngine(Brightest(network.card)).predict(crops)
    np.testing.assert_allclose(points[0, :, 0], 5.5 / SIZE - 0.5, atol=1e-6)
    assert confidence is not None
    for i in range(68):  # 0 and 16, the ends of the jaw, are each other's mirror image
        assert (points[0, i, 1], confidence[0, i]) == ((0.125, 0.75) if i in (0, 16) else (0, 1))


def test_points_without_a_mirror_map_cannot_be_flipped(network: LandmarkNet) -> None:
    with pytest.raises(DataError, match="own, have no mirror map, which --flip needs"):
        FlippedEngine(Brightest(replace(network.card, scheme=Scheme("own", 68))))


@pytest.fixture
def _copying(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are copies of one that was made before, which takes less time."""
    monkeypatch.setattr(cache, "_export", lambda model, path, layer: shutil.copy(exported, path))


@pytest.mark.usefixtures("_copying")
def test_a_model_is_exported_once(model: Path) -> None:
    recorder = Recorder()
    load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert len(recorder.said) == 1
    copy, digest = sorted(cache_folder().iterdir())  # nothing of the making lies beside them
    assert (copy.suffix, digest.suffix) == (".onnx", ".sha256")
    began = copy.stat().st_mtime_ns
    load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert len(recorder.said) == 1
    assert copy.stat().st_mtime_ns == began
    assert read_card(copy)[1]["arch"] == "test_resnet"


def _flip_bytes(copy: Path, elsewhere: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 0x40
    copy.write_bytes(content)


def _replace_by(copy: Path, elsewhere: Path) -> None:
    other = onnx.load(copy)
    other.producer_name = "another"
    copy.write_bytes(other.SerializeToString())


def _link(copy: Path, elsewhere: Path) -> None:
    copy.rename(elsewhere / "real.onnx")
    copy.symlink_to(elsewhere / "real.onnx")


def _pipe(copy: Path, elsewhere: Path) -> None:
    copy.unlink()
    os.mkfifo(copy)


def _folder(copy: Path, elsewhere: Path) -> None:
    copy.unlink()
    copy.mkdir()


def _lose_digest(copy: Path, elsewhere: Path) -> None:
    copy.with_suffix(".sha256").unlink()


def _let_others_write(copy: Path, elsewhere: Path) -> None:
    copy.chmod(0o666)


def _let_others_in(copy: Path, elsewhere: Path) -> None:
    copy.parent.chmod(0o777)


def _link_folder(copy: Path, elsewhere: Path) -> None:
    copy.parent.rename(elsewhere / "kdtools")
    copy.parent.symlink_to(elsewhere / "kdtools")


def _give_away(copy: Path, elsewhere: Path) -> None:
    """As if other users had put the copy there: from here on, who runs has another number."""


MADE_AGAIN = (_flip_bytes, _replace_by, _lose_digest, _let_others_write)
NOT_KEPT = (_link, _pipe, _folder, _let_others_in, _link_folder, _give_away)


@pytest.mark.usefixtures("_copying")
@pytest.mark.parametrize("tamper", [*MADE_AGAIN, *NOT_KEPT], ids=lambda one: one.__name__[1:])
def test_a_copy_runs_only_if_it_is_what_was_written(
    tamper: Callable[[Path, Path], None],
    model: Path,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_engine(model, device="cpu", threads=1)
    (copy,) = cache_folder().glob("*.onnx")
    (tmp_path / "elsewhere").mkdir()
    tamper(copy, tmp_path / "elsewhere")
    if tamper is _give_away:
        user = os.geteuid()
        monkeypatch.setattr("os.geteuid", lambda: user + 1)
    recorder, opened = Recorder(), []
    monkeypatch.setattr(
        "kdtools.prediction.engines._onnx_engine", lambda path, threads: opened.append(path.read_bytes())
    )
    load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert opened == [exported.read_bytes()]
    if tamper in MADE_AGAIN:
        assert "is not as it was written, and is made again" in recorder.said[0]
        assert copy.read_bytes() == exported.read_bytes()
    else:
        assert "cannot be kept" in recorder.said[-1]
    assert not (tmp_path / "elsewhere" / "real.onnx").exists() or tamper is _link


@pytest.mark.usefixtures("_copying")
def test_a_user_without_a_home_has_no_cache(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    recorder = Recorder()
    load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert "cannot be kept: this user has no home folder" in recorder.said[-1]
    gone = tmp_path / "nonexistent"  # as that of the user nobody, which the superuser could make
    monkeypatch.setattr(Path, "home", staticmethod(lambda: gone))
    load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert f"cannot be kept: this user's home folder {gone} does not exist" in recorder.said[-1]
    assert not gone.exists()


@pytest.mark.usefixtures("_copying")
def test_few_faces_are_not_worth_an_export(model: Path) -> None:
    for n_faces, runs in ((FEW_FACES - 1, "PyTorch"), (FEW_FACES, "ONNX"), (None, "ONNX"), (0, "PyTorch")):
        assert load_engine(model, device="cpu", threads=1, n_faces=n_faces).name.startswith(runs)


@pytest.mark.usefixtures("_copying")
def test_a_cache_that_cannot_be_written_costs_a_note(
    network: LandmarkNet, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    recorder = Recorder()
    crops, points = crops_and_points(network)
    engine = load_engine(model, device="cpu", threads=1, reporter=recorder)
    assert "cannot be kept" in recorder.said[-1]
    np.testing.assert_allclose(engine.predict(crops)[0], points, atol=1e-5)


def test_an_exported_model_answers_from_a_cold_start_without_torch(exported: Path) -> None:
    code = (
        "import sys, numpy\n"
        "from kdtools.prediction.engines import load_engine\n"
        f"engine = load_engine({str(exported)!r}, threads=1)\n"
        f"assert engine.predict(numpy.zeros((1, {SIZE}, {SIZE}, 3), numpy.uint8))[0].shape == (1, 68, 2)\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'timm')))\n"
    )
    before = os.times()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert seconds < 15  # of computing; one or two are usual: benchmarks/predict_speed.py


def test_onnx_runtime_tells_nobody(exported: Path, tmp_path: Path) -> None:
    """From 1.29 on it reports what it runs to its makers, and keeps a name for the machine in the folder for temporary
    files, unless that is switched off before it is loaded."""
    code = f"from kdtools.prediction.engines import load_engine; load_engine({str(exported)!r}, threads=1)"
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    hushed = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY"}
    environment = {name: value for name, value in os.environ.items() if name not in hushed}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    environment.pop("XDG_CACHE_HOME")
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert [path for name in ("home", "tmp") for path in (tmp_path / name).rglob("*")] == []


def test_cards_are_read_from_both_forms(model: Path, exported: Path, tmp_path: Path) -> None:
    assert (form_of(model), form_of(exported)) == ("safetensors", "onnx")
    card, fields = read_card(exported)
    assert card == read_card(model)[0]
    assert fields["precision"] == "float32"
    bare = onnx.load(exported)
    del bare.metadata_props[:]
    (tmp_path / "bare.onnx").write_bytes(bare.SerializeToString())
    (tmp_path / "cut.onnx").write_bytes(exported.read_bytes()[: os.path.getsize(exported) // 2])
    (tmp_path / "text.onnx").write_text("landmarks")
    for name, message in (
        ("bare.onnx", "not a kdtools model"),
        ("cut.onnx", "not an ONNX model, or damaged"),
        ("text.onnx", "not a model file"),
        ("none.onnx", "no such file"),
    ):
        with pytest.raises(FileError, match=message):
            load_engine(tmp_path / name)


def test_what_does_not_go_together_is_a_usage_error(model: Path, exported: Path) -> None:
    for path, options, message in (
        (exported, {"backend": "torch"}, "PyTorch does not run"),
        (exported, {"device": "cuda"}, "runs on the CPU"),
        (model, {"backend": "onnx", "device": "cuda:0"}, "runs on the CPU"),
        (model, {"backend": "tflite"}, "no backend"),
    ):
        with pytest.raises(UsageError, match=message):
            load_engine(path, **options)


def test_half_precision_is_taken_where_it_gives_the_same_points(network: LandmarkNet) -> None:
    assert choose_dtype(network, torch.device("cpu")) in (torch.float16, torch.bfloat16)

    class Fragile(torch.nn.Module):
        """Answers with what only float32 holds."""

        card = network.card

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = torch.nn.functional.conv2d(images, torch.full((2, 3, 1, 1), 1e5))
            return maps.float().mean(dim=(2, 3), keepdim=True).reshape(-1, 1, 2)

    assert choose_dtype(Fragile(), torch.device("cpu")) is torch.float32
