"""The training loop, its data, checkpoints and model files, on tiny networks."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from factories import TINY_TRAINING, drawn_faces, write_faces
from reporters import Recorder
from safetensors.torch import load_file
from torch import Tensor, nn

from kdtools.errors import DataError, FileError, TrainingError, UsageError
from kdtools.faces.file import open_faces
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import unit_to_pixels
from kdtools.landmarks.registry import SCHEMES
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import create_network, load_model, load_training_state, save_model
from kdtools.model.inference import predict_units
from kdtools.model.network import LandmarkNet, choose_device
from kdtools.model.sampling import resize_images
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.provenance import Provenance
from kdtools.training.checkpoints import RunFiles, digest_task
from kdtools.training.face_set import FaceSet
from kdtools.training.losses import KD_VARIANTS, kd_loss, loss_terms
from kdtools.training.settings import Settings
from kdtools.training.task import load_task
from kdtools.training.trainer import Step, Stopped, average_weights, floats_of, learning_rate, train
from kdtools.training.validation import validate

CPU = torch.device("cpu")
ARCH = "test_resnet"
TINY = TINY_TRAINING


TERMS = ("tough", "tolerant")


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points = drawn_faces(32, 40, 11)
    return write_faces(path, points, images=images)


def moved_faces(faces_path: Path, path: Path, by_px: float, role: str = "hard") -> Path:
    """A copy of a faces file whose points lie elsewhere."""
    with open_faces(faces_path) as faces:
        return write_faces(path, faces.landmarks + by_px, images=faces.images, role=role)


def run_training(
    faces_path: Path,
    output: Path,
    settings: Settings = TINY,
    *,
    teachers: dict[str, str] | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    stop_at_step: int | None = None,
) -> list[Any]:
    """Train to `output`'s best file; returns the epochs.

    `stop_after` breaks off after an epoch, as kill would; `stop_at_step` asks it to stop, as a signal does.
    """
    epochs: list[Any] = []
    steps: list[Any] = []

    def on_epoch(epoch: Any) -> None:
        epochs.append(epoch)
        if epoch.epoch == stop_after:
            raise KeyboardInterrupt

    with load_task(
        str(faces_path),
        None,
        None,
        teachers or {},
        val_share=settings.val_share,
        seed=settings.seed,
        device=CPU,
    ) as task:
        train(
            task,
            settings,
            RunFiles.for_output(output),
            device=CPU,
            provenance=Provenance("test"),
            resume=resume,
            on_epoch=on_epoch,
            on_step=steps.append,
            stop_asked=lambda: len(steps) == stop_at_step,
        )
    return epochs


# ---- what it starts from
def load(
    faces_path: Path,
    val_path: Path | None = None,
    val_share: float = 0.25,
    *,
    teachers: dict[str, str] | None = None,
    reporter: Reporter = SILENT,
) -> Any:
    return load_task(
        str(faces_path),
        None if val_path is None else str(val_path),
        None,
        teachers or {},
        val_share=val_share,
        seed=3,
        device=CPU,
        reporter=reporter,
    )


def test_no_face_is_both_trained_on_and_validated_with(faces_path: Path) -> None:
    with load(faces_path) as task:
        assert not set(task.train.rows) & set(task.val.rows)
        assert sorted([*task.train.rows, *task.val.rows]) == list(range(32))
        assert len(task.val) == 8


def test_faces_of_another_file_validate_and_all_others_train(faces_path: Path, tmp_path: Path) -> None:
    images, points = drawn_faces(5, 48, 12)
    other = write_faces(tmp_path / "val.h5", points, images=images)
    with load(faces_path, other) as task:
        assert task.train.rows.tolist() == list(range(32))
        assert task.val.rows.tolist() == list(range(5))
        np.testing.assert_array_equal(task.val.images, images)
        with open_faces(faces_path) as faces:
            np.testing.assert_array_equal(task.train.images, faces.images)
        in_pixels = unit_to_pixels(task.val.points["truth"].numpy(), 48, 48)
        np.testing.assert_allclose(in_pixels, points, atol=1e-4)


def test_faces_without_any_point_are_not_trained_on(faces_path: Path, tmp_path: Path) -> None:
    with open_faces(faces_path) as faces:
        images, points = np.array(faces.images), faces.landmarks
    points[[4, 9, 20]] = np.nan
    points[5, 3:] = np.nan  # three points are better than none
    with load(write_faces(tmp_path / "holes.h5", points, images=images)) as task:
        assert sorted({*task.train.rows, *task.val.rows, 4, 9, 20}) == list(range(32))
        assert not {4, 9, 20} & set(task.train.rows)


def test_too_few_faces_to_keep_some_apart_are_told_with_a_way_out(faces_path: Path) -> None:
    with pytest.raises(DataError) as told, load(faces_path, val_share=0.99):
        pass
    assert "--val-share" in told.value.hint  # kd-split's --group is no option of these tools
    assert "--group" not in told.value.hint


def test_faces_that_may_not_belong_together_are_warned_of(faces_path: Path, tmp_path: Path) -> None:
    """By a warning, which -q does not silence: common faces, and crops by another rule, of a teacher or to validate."""
    recorder = Recorder()
    teachers = {"tough": str(save_teacher(tmp_path / "t.safetensors", seed=1))}
    with load(faces_path, faces_path, teachers=teachers, reporter=recorder):
        assert recorder.warned == [f"32 of {faces_path} are among the faces to train on"]
    recorder.warned.clear()
    paths = [tmp_path / "wide.h5", tmp_path / "narrow.h5"]
    for path, margin in zip(paths, (0.7, 0.1), strict=True):
        with open_faces(faces_path) as faces:
            write_faces(path, faces.landmarks, images=faces.images)
        with h5py.File(path, "r+") as h5:
            h5.attrs["crop"] = CropRule(margin).to_json()
            h5["id"][...] = [f"{path.stem}{k}" for k in range(32)]
    with load(*paths, teachers=teachers, reporter=recorder):
        assert len(recorder.warned) == 2
        assert all(str(paths[0]) in line and '"margin": 0.7' in line for line in recorder.warned)
        assert f"{teachers['tough']} by {CropRule(0.3).to_json()}" in recorder.warned[0]
        assert f"{paths[1]} by {CropRule(0.1).to_json()}" in recorder.warned[1]


# ---- the loss and the measure
def test_loss_gives_each_teacher_its_place_and_heeds_the_variant() -> None:
    generator = torch.Generator().manual_seed(0)
    pred, truth, tough, tolerant = torch.randn(4, 6, 5, 2, generator=generator).mul(0.05).unbind()
    given = {"tolerant": tolerant, "tough": tough}
    totals = set()
    for variant in KD_VARIANTS:
        terms = loss_terms("kd", pred, truth, given, variant)
        expected = kd_loss(pred=pred, truth=truth, tough=tough, tolerant=tolerant, variant=variant)
        assert {k: v.item() for k, v in terms.items()} == {k: v.item() for k, v in expected.items()}
        totals.add(terms["total"].item())
    assert len(totals) == len(KD_VARIANTS)


def test_an_epoch_takes_each_training_face_once_by_the_loss_asked_for(
    faces_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = str(moved_faces(faces_path, tmp_path / "teacher.h5", 2.0, "predicted"))
    seen: list[Tensor] = []

    def spy(
        loss: str, pred: Tensor, truth: Tensor, teachers: dict[str, Tensor], variant: str, *_: Any
    ) -> dict[str, Tensor]:
        assert (loss, variant) == ("kd", "figure")
        for points in teachers.values():
            torch.testing.assert_close(points, truth + 2 / 40)
        seen.append(truth)
        return loss_terms(loss, pred, truth, teachers, variant)

    monkeypatch.setattr("kdtools.training.objective.loss_terms", spy)
    settings = Settings(**{**vars(TINY), "loss": "kd", "variant": "figure", "epochs": 1, "augmentation": "none"})
    run_training(faces_path, tmp_path / "m.safetensors", settings, teachers=dict.fromkeys(TERMS, teacher))
    with load(faces_path) as task:
        expected = task.train.points["truth"][torch.from_numpy(task.train.rows)]
    assert len(expected) == 24
    difference = (torch.cat(seen)[:, None] - expected).abs().amax(dim=(2, 3))  # (seen, expected)
    assert (difference < 1e-5).sum(dim=0).tolist() == [1] * 24
    assert (difference < 1e-5).sum(dim=1).tolist() == [1] * 24


class KnownAnswer(nn.Module):
    """Answers with the same points (L, 2), whatever it sees."""

    def __init__(self, points: Tensor, scheme: Scheme) -> None:
        super().__init__()
        self.points = points
        self.card = ModelCard("none", 32, scheme, CropRule(), (0, 0, 0), (1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.points.expand(len(images), -1, -1)


@pytest.mark.parametrize(
    ("corners", "kind", "normaliser"),
    [((0, 1), "inter-ocular", 32.0), (None, "box-diagonal", (32**2 + 8**2) ** 0.5)],
)
def test_validation_measures_in_pixels_of_oblong_images(
    corners: tuple[int, int] | None, kind: str, normaliser: float
) -> None:
    """Images of 64 x 32 px; a box of 32 x 8 px, all of it found 8 px too low; the last row's face does not belong."""
    scheme = Scheme("three", 3, outer_corners=corners)
    truth = torch.tensor([[-16.0, 0.0], [16.0, 0.0], [0.0, 8.0]]) / torch.tensor([64.0, 32.0])
    found = truth + torch.tensor([0.0, 8 / 32])
    points = torch.stack([truth, truth, truth + 0.3])
    val = FaceSet(np.zeros((3, 32, 64, 3), np.uint8), {"truth": points}, np.array([0, 1]))
    nme, told = validate(KnownAnswer(found, scheme), val, scheme, CPU, 2)  # type: ignore[arg-type]
    assert told == kind
    assert nme == pytest.approx(100 * 8 / normaliser, rel=1e-5)


# ---- the loop
def test_training_learns_and_logs_every_epoch(faces_path: Path, tmp_path: Path) -> None:
    settings = Settings(**{**vars(TINY), "epochs": 12, "augmentation": "none"})
    epochs = run_training(faces_path, tmp_path / "m.safetensors", settings)
    assert epochs[-1].terms["total"] < 0.6 * epochs[0].terms["total"]
    lines = [json.loads(line) for line in (tmp_path / "m.log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    best = min(line["val_nme_percent"] for line in lines)
    card, fields = read_card(tmp_path / "m.best.safetensors")
    assert card.scheme == IBUG68
    assert card.settings == settings.to_store()
    assert fields["tool"] == "test"
    network = load_model(tmp_path / "m.best.safetensors", CPU)
    with load_task(str(faces_path), None, None, {}, val_share=0.25, seed=3, device=CPU) as task:
        nme, normaliser = validate(network, task.val, IBUG68, CPU, 8)
    assert normaliser == "inter-ocular"
    assert nme == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("better_by", [1.0, -1.0])
def test_each_epoch_is_compared_with_the_mean_shape(
    faces_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better_by: float
) -> None:
    """The mean of the crops, as kd-eval has it, and a warning of a network that does not beat it."""
    recorder = Recorder()
    settings = replace(TINY, epochs=1, lr=1e-7, augmentation="none")
    with load(faces_path) as task:
        mean = task.train.points["truth"][torch.from_numpy(task.train.rows)].mean(dim=0).numpy() * 40
        truth = task.val.points["truth"][torch.from_numpy(task.val.rows)].numpy() * 40
        eyes = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1)
        expected = 100 * (np.linalg.norm(truth - mean, axis=2).mean(axis=1) / eyes).mean()
        files = RunFiles.for_output(tmp_path / "m")
        found = (float(expected) - better_by, "inter-ocular")
        monkeypatch.setattr("kdtools.training.trainer.validate", lambda *args: found)
        train(task, settings, files, device=CPU, provenance=Provenance("test"), resume=False, reporter=recorder)
    line = json.loads((tmp_path / "m.log.jsonl").read_text())
    assert line["mean_shape_nme_percent"] == pytest.approx(expected, rel=1e-4)
    warned = any("no better than always predicting the mean shape" in text for text in recorder.warned)
    assert warned == (better_by < 0)


def test_same_seed_gives_the_same_bytes_and_another_does_not(faces_path: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run_training(
            faces_path, tmp_path / f"{name}.safetensors", Settings(**{**vars(TINY), "epochs": 1, "seed": seed})
        )
    a, b, c = ((tmp_path / f"{name}.best.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_interrupted_and_resumed_run_is_the_uninterrupted_one(faces_path: Path, tmp_path: Path) -> None:
    whole = run_training(faces_path, tmp_path / "whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        run_training(faces_path, tmp_path / "part.safetensors", stop_after=1)
    assert load_model(tmp_path / "part.last.safetensors", CPU).card.arch == ARCH  # usable as it lies there
    rest = run_training(faces_path, tmp_path / "part.safetensors", resume=True)
    assert [e.epoch for e in rest] == [2, 3]
    assert [e.terms for e in rest] == [e.terms for e in whole[1:]]
    assert [e.val_nme_percent for e in rest] == [e.val_nme_percent for e in whole[1:]]
    for kind in ("best", "last"):
        networks = [load_model(tmp_path / f"{name}.{kind}.safetensors", CPU) for name in ("whole", "part")]
        for left, right in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
            assert torch.equal(left, right)


EVERYTHING = Settings(
    **{**vars(TINY), "ema": 0.9, "optimiser": "adamw", "weight_decay": 0.05, "augmentation": "strong", "freeze": 2}
)


@pytest.mark.parametrize("settings", [TINY, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 8])
def test_a_run_stopped_between_two_steps_goes_on_there(
    settings: Settings, step: int, faces_path: Path, tmp_path: Path
) -> None:
    """Three epochs of three steps: the files of the run that was stopped end as those of the one that was not."""
    run_training(faces_path, tmp_path / "whole.safetensors", settings)
    with pytest.raises(Stopped):
        run_training(faces_path, tmp_path / "part.safetensors", settings, stop_at_step=step)
    rest = run_training(faces_path, tmp_path / "part.safetensors", settings, resume=True)
    assert [epoch.epoch for epoch in rest] == list(range((step - 1) // 3 + 1, 4))
    for kind in ("best", "last"):
        files = [tmp_path / f"{name}.{kind}.safetensors" for name in ("whole", "part")]
        assert same_but_for_speed(*files)
    assert course_of(tmp_path / "whole.log.jsonl") == course_of(tmp_path / "part.log.jsonl")


def course_of(log: Path) -> list[dict[str, Any]]:
    """The lines of a log without what depends on the machine's speed."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def same_but_for_speed(one: Path, other: Path) -> bool:
    """Whether two checkpoints or models hold the same tensors, to the last bit."""
    left, right = load_file(one), load_file(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_what_was_lost_of_a_run_is_made_again(faces_path: Path, tmp_path: Path) -> None:
    """The best network is in the checkpoint too; without the checkpoint the run starts again, and says so."""
    run_training(faces_path, tmp_path / "whole.safetensors")
    best = (tmp_path / "whole.best.safetensors").read_bytes()
    for lost in (["best"], ["best", "log"], ["last"], ["last", "best", "log"]):
        output = tmp_path / f"{'_'.join(lost)}.safetensors"
        with pytest.raises(KeyboardInterrupt):
            run_training(faces_path, output, stop_after=2)
        files = RunFiles.for_output(output)
        for name in lost:
            getattr(files, name).unlink()
        run_training(faces_path, output, resume=True)
        assert files.best.read_bytes() == best
        assert course_of(files.log) == course_of(tmp_path / "whole.log.jsonl")


def test_averaged_weights_follow_the_network(faces_path: Path, tmp_path: Path) -> None:
    """By hand: after step n, from 0, the average keeps (1 + n) / (10 + n) of itself, at most `ema`."""
    own = LandmarkNet(card_for())
    averaged = copy.deepcopy(own)
    expected = averaged.head.weight.detach().clone()
    for number in range(4):
        with torch.no_grad():
            own.head.weight += 1
        average_weights(floats_of(averaged), floats_of(own), 0.2, number)
        keep = min(0.2, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * own.head.weight
        torch.testing.assert_close(averaged.head.weight, expected)
    settings = Settings(**{**vars(TINY), "ema": 0.9})
    run_training(faces_path, tmp_path / "m.safetensors", settings)
    model, state, _ = load_training_state(tmp_path / "m.last.safetensors")
    assert (model["head.weight"] - state["raw.head.weight"]).abs().max() > 0
    torch.testing.assert_close(load_model(tmp_path / "m.last.safetensors", CPU).head.weight.data, model["head.weight"])


def test_heatmaps_gather_at_their_points_when_they_are_trained(faces_path: Path, tmp_path: Path) -> None:
    spread = []
    for w_heat in (0.0, 1.0):
        changed = {"head": "heatmap", "input_size": 64, "epochs": 8, "lr": 0.02, "augmentation": "none"}
        epochs = run_training(
            faces_path, tmp_path / f"{w_heat:.0f}.safetensors", Settings(**{**vars(TINY), **changed, "w_heat": w_heat})
        )
        assert set(epochs[-1].terms) == ({"total", "heat"} if w_heat else {"total"})
        network = load_model(tmp_path / f"{w_heat:.0f}.last.safetensors", CPU).eval()
        with open_faces(faces_path) as faces, torch.inference_mode():
            images = resize_images(torch.from_numpy(np.array(faces.images)), 64)
            _, heatmaps = network.points_and_heatmaps(images)
        assert heatmaps is not None
        share = heatmaps.flatten(2).softmax(dim=2)
        spread.append(float(torch.special.entr(share).sum(dim=2).mean()))
    assert spread[1] < spread[0] - 0.5


def test_weights_of_one_axis_do_not_decay(faces_path: Path, tmp_path: Path) -> None:
    """With a rate of nearly 0 only decay could move anything, and decay is the rate times the weight."""
    settings = Settings(**{**vars(TINY), "optimiser": "adamw", "weight_decay": 1e6, "lr": 1e-9, "epochs": 1})
    run_training(faces_path, tmp_path / "m.safetensors", settings)
    first = Settings(**{**vars(settings), "weight_decay": 0.0})
    run_training(faces_path, tmp_path / "n.safetensors", first)
    decayed, kept = load_file(tmp_path / "m.best.safetensors"), load_file(tmp_path / "n.best.safetensors")
    shrunk = {name for name in kept if kept[name].ndim > 1}
    assert "head.weight" in shrunk
    for name, value in kept.items():
        if "running" in name:  # statistics of what the layers before them give
            continue
        close = torch.allclose(decayed[name], value, rtol=1e-4, atol=1e-7)
        assert close != (name in shrunk and bool(value.abs().max() > 1e-6)), name


def test_progress_tells_epoch_speed_and_terms(faces_path: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    with load(faces_path) as task:
        settings = Settings(**{**vars(TINY), "epochs": 2})
        train(
            task,
            settings,
            RunFiles.for_output(tmp_path / "m.safetensors"),
            device=CPU,
            provenance=Provenance("test"),
            resume=False,
            on_epoch=lambda _: None,
            on_step=steps.append,
        )
    assert [(step.epoch, step.step) for step in steps] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert all(step.images_per_second > 0 for step in steps)
    assert steps[0].terms is None
    last = steps[2].terms
    assert last is not None
    log = json.loads((tmp_path / "m.log.jsonl").read_text().splitlines()[0])
    assert last == log["terms"]


def test_resume_refuses_other_settings(faces_path: Path, tmp_path: Path) -> None:
    run_training(faces_path, tmp_path / "m.safetensors", Settings(**{**vars(TINY), "epochs": 1}))
    with pytest.raises(UsageError, match=r"lr = 0\.002, not 0\.5"):
        run_training(
            faces_path, tmp_path / "m.safetensors", Settings(**{**vars(TINY), "epochs": 1, "lr": 0.5}), resume=True
        )


def test_resume_refuses_other_landmarks(faces_path: Path, tmp_path: Path) -> None:
    settings = Settings(**{**vars(TINY), "epochs": 1})
    run_training(faces_path, tmp_path / "m.safetensors", settings)
    other = moved_faces(faces_path, tmp_path / "other.h5", 0.5)
    with pytest.raises(UsageError, match="trained on other"):
        run_training(other, tmp_path / "m.safetensors", settings, resume=True)
    assert run_training(faces_path, tmp_path / "m.safetensors", settings, resume=True) == []


def test_resume_refuses_other_images_and_another_mirror_map(faces_path: Path, tmp_path: Path) -> None:
    """Of the same landmarks: faces cut out or painted over again, and points that mirroring now names otherwise."""
    settings = Settings(**{**vars(TINY), "epochs": 1})
    run_training(faces_path, tmp_path / "m.safetensors", settings)
    with open_faces(faces_path) as faces:
        brighter = write_faces(tmp_path / "brighter.h5", faces.landmarks, images=faces.images[...] // 2 + 128)
        unmirrored = write_faces(tmp_path / "unmirrored.h5", faces.landmarks, images=faces.images[...])
    with h5py.File(unmirrored, "r+") as h5:
        h5["landmarks"].attrs["mirror"] = np.arange(68)
    for other in (brighter, unmirrored):
        with pytest.raises(UsageError, match="trained on other"):
            run_training(other, tmp_path / "m.safetensors", settings, resume=True)


def test_the_digest_of_a_run_covers_every_image(faces_path: Path, tmp_path: Path) -> None:
    """A black one among them is other data, whichever it is; the same faces in another file are not."""
    with open_faces(faces_path) as faces:
        points, images = faces.landmarks, np.array(faces.images[...])

    def digest(path: Path) -> str:
        with load_task(str(path), None, None, {}, val_share=0.25, seed=0, device=CPU) as task:
            return digest_task(task)

    digests = {digest(write_faces(tmp_path / "same.h5", points, images=images))}
    for row in range(len(images)):
        changed = images.copy()
        changed[row] = 0
        digests.add(digest(write_faces(tmp_path / "changed.h5", points, images=changed)))
    assert len(digests) == 1 + len(images)


@pytest.mark.parametrize("kind", ["predictions", "models"])
@pytest.mark.parametrize("exchanged", TERMS)
def test_resume_refuses_another_teacher(faces_path: Path, tmp_path: Path, kind: str, exchanged: str) -> None:
    if kind == "predictions":
        paths = [moved_faces(faces_path, tmp_path / f"{k}.h5", k, "predicted") for k in (1, 2)]
    else:
        paths = [save_teacher(tmp_path / f"{k}.safetensors", seed=k) for k in (1, 2)]
    settings = Settings(**{**vars(TINY), "loss": "kd", "epochs": 1})
    teachers = dict.fromkeys(TERMS, str(paths[0]))
    run_training(faces_path, tmp_path / "m.safetensors", settings, teachers=teachers)
    other = {**teachers, exchanged: str(paths[1])}
    with pytest.raises(UsageError, match="trained on other"):
        run_training(faces_path, tmp_path / "m.safetensors", settings, teachers=other, resume=True)
    assert run_training(faces_path, tmp_path / "m.safetensors", settings, teachers=teachers, resume=True) == []


def save_teacher(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_model(path, LandmarkNet(card_for()), Provenance("test"))
    return path


def test_loss_that_is_no_number_stops_with_a_clear_error(faces_path: Path, tmp_path: Path) -> None:
    settings = Settings(**{**vars(TINY), "lr": 1e30, "schedule": "constant", "loss": "l2"})
    with pytest.raises(TrainingError, match="no longer a number in epoch"):
        run_training(faces_path, tmp_path / "m.safetensors", settings)
    assert load_model(tmp_path / "m.last.safetensors", CPU)


def test_a_stop_does_not_keep_a_network_that_is_no_number(faces_path: Path, tmp_path: Path) -> None:
    """The loss is looked at now and then; between two looks a signal must not put NaN in a good checkpoint's place."""
    settings = Settings(**{**vars(TINY), "lr": 1e30, "schedule": "constant", "loss": "l2"})
    with pytest.raises(TrainingError, match="no longer a number in epoch 1"):
        run_training(faces_path, tmp_path / "m.safetensors", settings, stop_at_step=2)
    _, _, fields = load_training_state(tmp_path / "m.last.safetensors")
    assert (fields["step"], fields["history"]) == (0, [])


def test_best_network_of_an_earlier_run_never_passes_for_this_one(faces_path: Path, tmp_path: Path) -> None:
    (tmp_path / "m.best.safetensors").write_bytes(b"of another run")
    settings = Settings(**{**vars(TINY), "epochs": 1, "lr": 1e30, "schedule": "constant"})
    with pytest.raises(TrainingError, match="no longer a number"):
        run_training(faces_path, tmp_path / "m.safetensors", settings)
    assert not (tmp_path / "m.best.safetensors").exists()
    assert (tmp_path / "m.log.jsonl").read_text() == ""


def test_teachers_as_predictions_and_as_models_give_like_losses(faces_path: Path, tmp_path: Path) -> None:
    """Without augmentation both see the same images, so the same points but for rounding in the file."""
    run_training(faces_path, tmp_path / "t.safetensors", Settings(**{**vars(TINY), "epochs": 2}))
    model = tmp_path / "t.best.safetensors"
    network = load_model(model, CPU)
    with open_faces(faces_path) as faces:
        units = predict_units(network, faces.images, device=CPU, batch=16)
        points = unit_to_pixels(units, 40, 40)
        write_faces(tmp_path / "t.h5", points[::-1], ids=faces.ids[::-1], role="predicted")
    settings = Settings(**{**vars(TINY), "loss": "kd", "epochs": 1, "augmentation": "none"})
    runs = {
        kind: run_training(faces_path, tmp_path / f"{kind}.safetensors", settings, teachers={k: str(p) for k in TERMS})
        for kind, p in (("file", tmp_path / "t.h5"), ("model", model))
    }
    assert runs["file"][0].terms.keys() == {"main", "tough", "tolerant", "total"}
    for name, value in runs["file"][0].terms.items():
        assert runs["model"][0].terms[name] == pytest.approx(value, rel=1e-3)


def test_learning_rates() -> None:
    def rates(schedule: str) -> list[float]:
        return [learning_rate(Settings(**{**vars(TINY), "schedule": schedule}), s, 100) for s in range(100)]

    cosine = rates("cosine")
    assert cosine[4] == pytest.approx(TINY.lr)
    assert cosine[0] == pytest.approx(TINY.lr / 5)
    assert cosine[-1] < 0.01 * TINY.lr
    assert rates("time")[99] == pytest.approx(TINY.lr / (1 + 1e-4 * 99))
    assert set(rates("constant")) == {TINY.lr}


# ---- model files
def card_for(n_points: int = 68) -> ModelCard:
    scheme = IBUG68 if n_points == 68 else Scheme("few", n_points)
    return ModelCard(ARCH, 32, scheme, CropRule(0.3), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), {"lr": 1.0})


def test_model_file_alone_gives_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card_for()).eval()
    save_model(tmp_path / "m.safetensors", network, Provenance("test"))
    loaded = load_model(tmp_path / "m.safetensors", CPU)
    assert loaded.card == network.card
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(images), network(images))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_start_weights_from_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card_for())
    save_model(tmp_path / "model.safetensors", network, Provenance("test"))
    same, _ = create_network(card_for(), str(tmp_path / "model.safetensors"), torch.zeros(68, 2))
    assert torch.equal(same.head.weight, network.head.weight)
    few, start = create_network(card_for(5), str(tmp_path / "model.safetensors"), torch.full((5, 2), 0.25))
    assert (few.head.bias == 0.25).all()
    assert "points" not in start
    from safetensors.torch import save_file

    weights = {name: tensor + 1 for name, tensor in network.backbone.state_dict().items()}
    save_file({**weights, "classifier.weight": torch.zeros(3)}, tmp_path / "timm.safetensors")
    started, told = create_network(card_for(), str(tmp_path / "timm.safetensors"), torch.zeros(68, 2))
    for name, tensor in started.backbone.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    n_weights = sum(tensor.ndim > 0 for tensor in weights.values())  # counters of batches are none
    assert f"{n_weights} of {n_weights + 2} weights" in told
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="only 0 of the 77 weights"):
        create_network(card_for(), str(tmp_path / "other.safetensors"), torch.zeros(68, 2))


@pytest.mark.parametrize("names", [(), ("thumb", "index", "middle", "ring", "little")], ids=["none", "others"])
def test_a_head_of_as_many_unrelated_points_is_kept_and_said(names: tuple[str, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LandmarkNet(replace(card_for(5), scheme=Scheme("face", 5, names=("a", "b", "c", "d", "e"))))
    save_model(tmp_path / "model.safetensors", network, Provenance("test"))
    card = replace(card_for(5), scheme=Scheme("hand", 5, names=names))
    found, start = create_network(card, str(tmp_path / "model.safetensors"), torch.zeros(5, 2))
    assert torch.equal(found.head.weight, network.head.weight)
    assert "its 5 points are taken for those of the new network, though neither names nor a conversion tell" in start


@pytest.mark.parametrize("head", ["linear", "heatmap"])
def test_a_head_of_other_points_keeps_those_that_are_the_same(tmp_path: Path, head: str) -> None:
    torch.manual_seed(0)
    network = LandmarkNet(replace(card_for(), head=head)).eval()
    save_model(tmp_path / "model.safetensors", network, Provenance("test"))
    # Names of cofw29, to which points of ibug68 can be converted; others; and the known scheme itself.
    names = ("mouth_left", "left_eye_outer", "an_ear", "mouth_right")
    own = Scheme("own", 4, names=names)
    images, mean_shape = torch.rand(2, 3, 32, 32), torch.full((4, 2), 0.25)
    started, told = create_network(
        replace(card_for(), scheme=own, head=head), str(tmp_path / "model.safetensors"), mean_shape
    )
    assert "and those of 3 of its 4 points" in told
    points, found = network(images), started.eval()(images)
    torch.testing.assert_close(found[:, [0, 1, 3]], points[:, [48, 36, 54]])
    assert (found[:, 2] - 0.25).abs().max() < 0.2
    five, told = create_network(
        replace(card_for(), scheme=SCHEMES["points5"], head=head),
        str(tmp_path / "model.safetensors"),
        torch.zeros(5, 2),
    )
    assert "and those of 3 of its 5 points" in told
    torch.testing.assert_close(five.eval()(images)[:, 2:], points[:, [30, 48, 54]])


@pytest.mark.parametrize("name", ["", "gpu", "meta", "mps", "cuda:-1", "cuda:99"])
def test_a_device_that_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        choose_device(name)


def test_unknown_network_is_refused_with_near_names() -> None:
    card = ModelCard("mobilenetv2_10", 32, IBUG68, CropRule(), (0, 0, 0), (1, 1, 1))
    with pytest.raises(UsageError, match="mobilenetv2_10") as caught:
        LandmarkNet(card)
    assert "mobilenetv2_100" in caught.value.hint


def test_untrained_network_answers_with_the_mean_shape() -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card_for()).eval()
    shape = torch.rand(68, 2) - 0.5
    network.head.start_at(shape)
    found = network(torch.rand(4, 3, 32, 32))
    assert (found - shape).abs().mean() < 0.1


def test_transformers_take_other_input_sizes() -> None:
    card = ModelCard("test_vit", 96, IBUG68, CropRule(), (0.5,) * 3, (0.5,) * 3)
    assert LandmarkNet(card).eval()(torch.rand(2, 3, 96, 96)).shape == (2, 68, 2)
