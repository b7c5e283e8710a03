"""Augmentation, the training loop, checkpoints and prediction, on tiny networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdtools.batches import (
    AUGMENTATIONS,
    Augmentation,
    FaceSet,
    augment,
    random_warps,
    resize_images,
    shuffled_batches,
    warp_images,
)
from kdtools.errors import FileError, TrainingError, UsageError
from kdtools.files import Provenance, create_faces, open_faces
from kdtools.geometry import CropRule, pixels_to_unit, unit_to_pixels
from kdtools.images import write_image
from kdtools.importing import import_faces, read_annotations
from kdtools.inference import predict_units
from kdtools.models import LandmarkNet, ModelCard, create_network, load_model, read_card, save_model
from kdtools.schemes import IBUG68, Scheme
from kdtools.synth import draw_faces
from kdtools.tasks import load_task
from kdtools.training import RunFiles, Settings, learning_rate, train

CPU = torch.device("cpu")
ARCH = "test_resnet"
TINY = Settings(
    arch=ARCH,
    input_size=32,
    loss="l1",
    variant="reference",
    epochs=3,
    batch=8,
    lr=2e-3,
    schedule="cosine",
    augmentation="mild",
    init="none",
    seed=3,
    val_share=0.25,
)


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points, _ = zip(*draw_faces(32, 40, 11), strict=True)
    with create_faces(str(path), False, Provenance("test")) as writer:
        writer.create_images(32, 40, 40)[:] = np.stack(images)
        writer.put_ids([f"face{k}" for k in range(32)])
        writer.put_landmarks(np.stack(points), IBUG68, "hard")
    return path


def run_training(
    faces_path: Path,
    output: Path,
    settings: Settings = TINY,
    *,
    teachers: dict[str, str] | None = None,
    resume: bool = False,
    stop_after: int | None = None,
) -> list[Any]:
    """Train to `output`'s best file; returns the epochs. `stop_after` interrupts as Ctrl-C would."""
    epochs = []

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
        say=lambda _: None,
    ) as task:
        train(
            task,
            settings,
            RunFiles.beside(output),
            device=CPU,
            provenance=Provenance("test"),
            resume=resume,
            say=lambda _: None,
            on_epoch=on_epoch,
            on_step=lambda _: None,
        )
    return epochs


# ---- augmentation
class PerfectNet(nn.Module):
    """Finds the centre of the blob in each colour channel: exact at any rotation, scale or reflection."""

    def __init__(self) -> None:
        super().__init__()
        scheme = Scheme("blobs", 3, mirror=(0, 1, 2))
        self.card = ModelCard("none", 96, scheme, CropRule(), (0, 0, 0), (1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[-1]
        at = (torch.arange(size) + 0.5) / size - 0.5
        mass = images.double().sum(dim=(2, 3))
        x = (images.double().sum(dim=2) * at).sum(dim=2) / mass
        y = (images.double().sum(dim=3) * at).sum(dim=2) / mass
        return torch.stack([x, y], dim=2)


def blobs(points: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """One blob per colour channel, centred at points (3, 2)."""
    y, x = np.mgrid[:size, :size]
    channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return np.round(255 * np.stack(channels, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("augmentation", ["none", "mild", "paper"])
def test_perfect_model_finds_augmented_points_within_a_hundredth_of_a_pixel(augmentation: str) -> None:
    rng = np.random.default_rng(1)
    size = 96
    points = rng.uniform(36, 60, (16, 3, 2))
    images = torch.from_numpy(np.stack([blobs(p, size, 4.0) for p in points]))
    units = {"truth": torch.from_numpy(pixels_to_unit(points, size, size).astype(np.float32))}
    units["teacher"] = units["truth"] + 0.1
    plain = AUGMENTATIONS[augmentation]
    # Colour and noise move centres of brightness; what is tested here is the geometry.
    change = Augmentation(plain.rotation, plain.scale, plain.shift, flip=augmentation != "none")
    generator = torch.Generator().manual_seed(0)
    warped, moved = augment(images, units, 96, change, torch.arange(3), generator)
    found = PerfectNet()(warped)
    assert (found - moved["truth"]).abs().max().item() * size < 0.01
    if augmentation != "none":
        assert (moved["truth"] - units["truth"]).abs().max().item() * size > 5
        linear = (moved["teacher"] - moved["truth"])[:, 0]  # a constant offset turns and scales with its face
        assert linear.norm(dim=1).std() > 0 or augmentation == "none"


def test_perfect_model_from_photograph_to_source_pixels(tmp_path: Path) -> None:
    """Import, augment (flips included), predict, and back to the photograph: all steps lose under 0.01 px of it."""
    rng = np.random.default_rng(4)
    folder = tmp_path / "photos"
    folder.mkdir()
    source: dict[str, np.ndarray] = {}
    for k in range(8):
        points = rng.uniform(-45, 45, (3, 2)) + rng.uniform(190, 210, 2)
        points[0] -= 20  # never all in one place
        write_image(folder / f"p{k}.png", blobs(points, 400, 6.0))
        body = "\n".join(f"{x + 1:.9f} {y + 1:.9f}" for x, y in points)  # 300W counts from 1
        (folder / f"p{k}.pts").write_text(f"version: 1\nn_points: 3\n{{\n{body}\n}}\n")
        source[f"p{k}.png"] = points
    annotations = read_annotations([str(folder)], "pts", None, pytest.fail, lambda *_: None)
    with create_faces(str(tmp_path / "faces.h5"), False, Provenance("test")) as writer:
        import_faces(
            annotations,
            writer,
            crop=CropRule(1.0),  # blobs must lie whole inside the crop: the model weighs all it sees
            size=256,
            jobs=1,
            subsets=[],
            skip=pytest.fail,
            progress=lambda _: None,
        )
    with open_faces(tmp_path / "faces.h5") as faces:
        images = torch.from_numpy(np.array(faces.images))
        change = Augmentation(rotation=30, scale=(0.8, 1.1), shift=0.02, flip=True)
        warps, flip = random_warps(8, change, torch.Generator().manual_seed(1))
        assert 0 < flip.sum() < 8
        found = PerfectNet()(warp_images(images, warps, 256))
        back = found @ warps[:, :, :2].double().transpose(1, 2) + warps[:, None, :, 2]
        in_source = faces.points_to_source(unit_to_pixels(back.numpy(), 256, 256))
        for identity, points in zip(faces.ids, in_source, strict=True):
            np.testing.assert_allclose(points, source[identity], atol=0.01)


def test_mirrored_faces_exchange_left_and_right() -> None:
    mirror = torch.tensor(IBUG68.mirror)
    points = torch.rand(64, 68, 2) - 0.5
    images = torch.zeros(64, 8, 8, 3, dtype=torch.uint8)
    only_flip = Augmentation(flip=True)
    _, moved = augment(images, {"truth": points}, 8, only_flip, mirror, torch.Generator().manual_seed(0))
    flipped = (moved["truth"] - points).abs().amax(dim=(1, 2)) > 1e-6
    assert 16 < flipped.sum() < 48
    expected = points[flipped] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(moved["truth"][flipped][:, mirror], expected)
    _, still = augment(images, {"truth": points}, 8, only_flip, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(still["truth"], points)


def test_prediction_comes_back_to_source_pixels(tmp_path: Path) -> None:
    """Perfect model, crop of another size than the network's input, map to the source: within 0.01 px of the source."""
    rng = np.random.default_rng(2)
    points = rng.uniform(44, 84, (5, 3, 2))
    images = np.stack([blobs(p, 128, 5.0) for p in points])
    units = predict_units(PerfectNet(), images, device=CPU, batch=2)  # type: ignore[arg-type]
    np.testing.assert_allclose(unit_to_pixels(units, 128, 128), points, atol=0.01)


def test_colours_change_within_their_range_and_leave_points_alone() -> None:
    images = torch.randint(0, 255, (32, 16, 16, 3), dtype=torch.uint8)
    points = {"truth": torch.rand(32, 3, 2)}
    change = Augmentation(colour=0.4, noise=0.05)
    changed, same = augment(images, points, 16, change, None, torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed - resize_images(images, 16)).abs().mean() > 0.02
    torch.testing.assert_close(same["truth"], points["truth"])


def test_resizing_by_averaging_keeps_places() -> None:
    points = np.array([[60.0, 70.0], [40.0, 50.0], [80.0, 40.0]])
    image = torch.from_numpy(blobs(points, 130, 6.0)[None])
    for size in (130, 96, 48, 40):
        found = PerfectNet()(resize_images(image, size))[0].numpy()
        np.testing.assert_allclose(unit_to_pixels(found, 130, 130), points, atol=0.03 * 130 / size, err_msg=str(size))


def test_batches_hold_each_face_at_most_once() -> None:
    batches = list(shuffled_batches(70, 16, torch.Generator().manual_seed(1)))
    assert [len(b) for b in batches] == [16] * 4
    assert len(set(np.concatenate(batches))) == 64
    assert [len(b) for b in shuffled_batches(5, 16, torch.Generator())] == [5]


def test_faces_are_taken_in_the_order_asked_for() -> None:
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    faces = FaceSet(images, {"truth": torch.arange(10.0)[:, None, None].expand(10, 1, 2)}, np.array([7, 2, 9, 4]))
    pixels, points = faces.take(np.array([2, 0, 1]), CPU)
    assert pixels[:, 0, 0, 0].tolist() == [9, 7, 2]
    assert points["truth"][:, 0, 0].tolist() == [9, 7, 2]


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
    assert card.settings == vars(settings)
    assert fields["tool"] == "test"
    network = load_model(tmp_path / "m.best.safetensors", CPU)
    with load_task(str(faces_path), None, None, {}, val_share=0.25, seed=3, device=CPU, say=lambda _: None) as task:
        from kdtools.training import validate

        nme, normaliser = validate(network, task.val, IBUG68, CPU, 8)
    assert normaliser == "inter-ocular"
    assert nme == pytest.approx(best, rel=1e-4)


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


def test_resume_refuses_other_settings(faces_path: Path, tmp_path: Path) -> None:
    run_training(faces_path, tmp_path / "m.safetensors", Settings(**{**vars(TINY), "epochs": 1}))
    with pytest.raises(UsageError, match=r"lr = 0\.002, not 0\.5"):
        run_training(
            faces_path, tmp_path / "m.safetensors", Settings(**{**vars(TINY), "epochs": 1, "lr": 0.5}), resume=True
        )


def test_loss_that_is_no_number_stops_with_a_clear_error(faces_path: Path, tmp_path: Path) -> None:
    settings = Settings(**{**vars(TINY), "lr": 1e30, "schedule": "constant", "loss": "l2"})
    with pytest.raises(TrainingError, match="no longer a number in epoch"):
        run_training(faces_path, tmp_path / "m.safetensors", settings)
    assert load_model(tmp_path / "m.last.safetensors", CPU)


def test_teachers_as_predictions_and_as_models_give_like_losses(faces_path: Path, tmp_path: Path) -> None:
    """Without augmentation both see the same images, so the same points but for rounding in the file."""
    run_training(faces_path, tmp_path / "t.safetensors", Settings(**{**vars(TINY), "epochs": 2}))
    model = tmp_path / "t.best.safetensors"
    network = load_model(model, CPU)
    with open_faces(faces_path) as faces, create_faces(str(tmp_path / "t.h5"), False, Provenance("test")) as writer:
        units = predict_units(network, faces.images, device=CPU, batch=16)
        writer.put_ids(faces.ids[::-1])
        writer.put_landmarks(unit_to_pixels(units, 40, 40)[::-1], IBUG68, "predicted")
    settings = Settings(**{**vars(TINY), "loss": "kd", "epochs": 1, "augmentation": "none"})
    runs = {
        kind: run_training(faces_path, tmp_path / f"{kind}.safetensors", settings, teachers={k: str(p) for k in TERMS})
        for kind, p in (("file", tmp_path / "t.h5"), ("model", model))
    }
    assert runs["file"][0].terms.keys() == {"main", "tough", "tolerant", "total"}
    for name, value in runs["file"][0].terms.items():
        assert runs["model"][0].terms[name] == pytest.approx(value, rel=1e-3)


TERMS = ("tough", "tolerant")


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
    same, _, has_head = create_network(card_for(), str(tmp_path / "model.safetensors"))
    assert has_head
    assert torch.equal(same.head.weight, network.head.weight)
    _, _, has_head = create_network(card_for(5), str(tmp_path / "model.safetensors"))
    assert not has_head
    from safetensors.torch import save_file

    weights = {name: tensor + 1 for name, tensor in network.backbone.state_dict().items()}
    save_file({**weights, "classifier.weight": torch.zeros(3)}, tmp_path / "timm.safetensors")
    started, told, _ = create_network(card_for(), str(tmp_path / "timm.safetensors"))
    for name, tensor in started.backbone.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert f"{len(weights)} of" in told
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="none of its 1 weights fits"):
        create_network(card_for(), str(tmp_path / "other.safetensors"))


def test_unknown_network_is_refused_with_near_names() -> None:
    card = ModelCard("mobilenetv2_10", 32, IBUG68, CropRule(), (0, 0, 0), (1, 1, 1))
    with pytest.raises(UsageError, match="mobilenetv2_10") as caught:
        LandmarkNet(card)
    assert "mobilenetv2_100" in caught.value.hint


def test_untrained_network_answers_with_the_mean_shape() -> None:
    torch.manual_seed(0)
    network = LandmarkNet(card_for()).eval()
    shape = torch.rand(68, 2) - 0.5
    network.start_at(shape)
    found = network(torch.rand(4, 3, 32, 32))
    assert (found - shape).abs().mean() < 0.1


def test_transformers_take_other_input_sizes() -> None:
    card = ModelCard("test_vit", 96, IBUG68, CropRule(), (0.5,) * 3, (0.5,) * 3)
    assert LandmarkNet(card).eval()(torch.rand(2, 3, 96, 96)).shape == (2, 68, 2)
