"""Batches and augmentation: images and every set of points change alike, from the file to the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY_TRAINING
from reporters import NoSkips
from torch import Tensor, nn

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.import_faces import import_faces
from kdtools.faces.file import open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import pixels_to_unit, unit_to_pixels
from kdtools.model.card import ModelCard
from kdtools.model.inference import predict_units
from kdtools.model.sampling import resize_images, warp_images
from kdtools.storage.provenance import Provenance
from kdtools.training.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    Changes,
    augment,
    draw_changes,
    draw_noise,
    random_warps,
)
from kdtools.training.checkpoints import RunFiles
from kdtools.training.face_set import FaceSet, shuffled_batches
from kdtools.training.losses import loss_terms
from kdtools.training.task import Task
from kdtools.training.trainer import train

CPU = torch.device("cpu")


# A mirrored blob keeps its colour, and so its name.
BLOBS = Scheme("blobs", 3, mirror=(0, 1, 2))


class PerfectNet(nn.Module):
    """Finds the centre of the blob in each colour channel: exact at any rotation, scale or reflection."""

    def __init__(self, input_size: int = 96) -> None:
        super().__init__()
        self.card = ModelCard("none", input_size, BLOBS, CropRule(), (0, 0, 0), (1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[-1]
        assert size == self.card.input_size
        at = (torch.arange(size) + 0.5) / size - 0.5
        mass = images.double().sum(dim=(2, 3))
        x = (images.double().sum(dim=2) * at).sum(dim=2) / mass
        y = (images.double().sum(dim=3) * at).sum(dim=2) / mass
        return torch.stack([x, y], dim=2)

    def points_and_heatmaps(self, images: Tensor, layer: Tensor | None) -> tuple[Tensor, None]:
        assert layer is None
        return self(images), None


def blobs(points: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """One blob per colour channel, centred at points (3, 2)."""
    y, x = np.mgrid[:size, :size]
    channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return np.round(255 * np.stack(channels, axis=-1)).astype(np.uint8)


def geometry_of(name: str, *, flip: bool) -> Augmentation:
    """An augmentation without colours and noise, which move centres of brightness."""
    full = AUGMENTATIONS[name]
    return Augmentation(full.rotation, full.scale, full.shift, flip=flip)


def drawn(n: int, augmentation: Augmentation) -> Changes:
    return draw_changes(n, augmentation, torch.Generator().manual_seed(0))


def moved_by_hand(points: np.ndarray, warp: np.ndarray, flipped: bool, mirror: tuple[int, ...]) -> np.ndarray:
    """Points (L, 2) of one face; `warp` (2, 3) maps output to input, so each point solves warp · q = p for q."""
    moved = np.empty_like(points)
    for k, point in enumerate(points):
        name = mirror[k] if flipped else k
        moved[name] = np.linalg.solve(warp[:, :2], point - warp[:, 2])
    return moved


@pytest.mark.parametrize("augmentation", ["none", "mild", "paper"])
def test_image_truth_and_teachers_move_alike(augmentation: str) -> None:
    """Truth within 0.01 px of where a perfect model finds it in the image; teachers, each with other errors, as well
    as the truth where arithmetic by hand puts them. Mirroring exchanges the first two points."""
    rng = np.random.default_rng(1)
    size, n, mirror = 96, 16, (1, 0, 2)
    points = rng.uniform(36, 60, (n, 3, 2))
    images = torch.from_numpy(np.stack([blobs(p, size, 4.0) for p in points]))
    truth = pixels_to_unit(points, size, size)
    units = {"truth": truth, **{name: truth + rng.normal(0, 0.05, truth.shape) for name in ("tough", "tolerant")}}
    change = geometry_of(augmentation, flip=augmentation != "none")
    given = {name: torch.from_numpy(p.astype(np.float32)) for name, p in units.items()}
    warped, moved = augment(images, given, size, drawn(n, change), torch.tensor(mirror))

    warps, flip = random_warps(n, change, torch.Generator().manual_seed(0))  # those that `augment` drew
    if augmentation != "none":
        assert 0 < flip.sum() < n
        assert (moved["truth"] - given["truth"]).abs().max() * size > 5
    found = PerfectNet()(warped)
    found = torch.where(flip[:, None, None], found[:, mirror], found)  # blobs keep their colours, points do not
    assert (found - moved["truth"]).abs().max() * size < 0.01
    assert moved.keys() == units.keys()
    for name, before in units.items():
        for face in range(n):
            by_hand = moved_by_hand(before[face], warps[face].double().numpy(), bool(flip[face]), mirror)
            np.testing.assert_allclose(moved[name][face], by_hand, atol=1e-5, err_msg=f"{name} of face {face}")


def test_faces_that_are_not_to_be_mirrored() -> None:
    changes, never = (drawn(16, geometry_of("mild", flip=flip)) for flip in (True, False))
    kept = torch.arange(16) < 8
    some = changes.without_flip_of(kept)
    assert changes.flip[:8].any()
    assert some.flip.tolist() == [False] * 8 + changes.flip[8:].tolist()
    torch.testing.assert_close(some.warps, torch.where(kept[:, None, None], never.warps, changes.warps))


@pytest.mark.parametrize(("side", "size"), [(192, 96), (250, 96), (500, 96), (191, 96)])
def test_faces_reduced_at_reading_keep_their_points(side: int, size: int) -> None:
    """Truth within 0.01 px of the network's input of where a perfect model finds it, in images averaged before."""
    rng = np.random.default_rng(3)
    points = rng.uniform(0.38, 0.62, (16, 3, 2)) * side
    images = np.stack([blobs(p, side, side / 24) for p in points])
    truth = torch.from_numpy(pixels_to_unit(points, side, side).astype(np.float32))
    faces = FaceSet(images, {"truth": truth}, np.arange(16)[::-1].copy())
    pixels, given = faces.take(np.arange(16), CPU, size)
    assert size <= pixels.shape[1] < 2 * size
    warped, moved = augment(pixels, given, size, drawn(16, geometry_of("mild", flip=False)), None)
    assert (PerfectNet(size)(warped) - moved["truth"]).abs().max() * size < 0.01


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
    annotations = read_annotations(Sources([str(folder)], "pts"), NoSkips())
    with create_faces(str(tmp_path / "faces.h5"), False, Provenance("test")) as writer:
        import_faces(
            annotations,
            writer,
            crop=CropRule(1.0),  # blobs must lie whole inside the crop: the model weighs all it sees
            size=256,
            jobs=1,
            scheme=IBUG68,
            subsets=[],
            reporter=NoSkips(),
        )
    with open_faces(tmp_path / "faces.h5") as faces:
        images = torch.from_numpy(np.array(faces.images))
        change = Augmentation(rotation=30, scale=(0.8, 1.1), shift=0.02, flip=True)
        warps, flip = random_warps(8, change, torch.Generator().manual_seed(1))
        assert 0 < flip.sum() < 8
        found = PerfectNet(256)(warp_images(images, warps, 256))
        back = found @ warps[:, :, :2].double().transpose(1, 2) + warps[:, None, :, 2]
        in_source = faces.to_frame(unit_to_pixels(back.numpy(), 256, 256), "source")
        for identity, points in zip(faces.ids, in_source, strict=True):
            np.testing.assert_allclose(points, source[identity], atol=0.01)


def test_mirrored_faces_exchange_left_and_right() -> None:
    mirror = torch.tensor(IBUG68.mirror)
    points = torch.rand(64, 68, 2) - 0.5
    images = torch.zeros(64, 8, 8, 3, dtype=torch.uint8)
    only_flip = Augmentation(flip=True)
    _, moved = augment(images, {"truth": points}, 8, drawn(64, only_flip), mirror)
    flipped = (moved["truth"] - points).abs().amax(dim=(1, 2)) > 1e-6
    assert 16 < flipped.sum() < 48
    expected = points[flipped] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(moved["truth"][flipped][:, mirror], expected)
    _, still = augment(images, {"truth": points}, 8, drawn(64, only_flip.without_flip()), None)
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
    changed, same = augment(
        images, points, 16, drawn(32, change), None, draw_noise(16, torch.Generator().manual_seed(0))
    )
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed - resize_images(images, 16)).abs().mean() > 0.02
    torch.testing.assert_close(same["truth"], points["truth"])


def test_resizing_by_averaging_keeps_places() -> None:
    points = np.array([[60.0, 70.0], [40.0, 50.0], [80.0, 40.0]])
    image = torch.from_numpy(blobs(points, 130, 6.0)[None])
    for size in (130, 96, 48, 40):
        found = PerfectNet(size)(resize_images(image, size))[0].numpy()
        np.testing.assert_allclose(unit_to_pixels(found, 130, 130), points, atol=0.03 * 130 / size, err_msg=str(size))


def test_batches_hold_each_face_at_most_once() -> None:
    batches = list(shuffled_batches(70, 16, torch.Generator().manual_seed(1)))
    assert [len(b) for b in batches] == [16] * 4
    assert len(set(np.concatenate(batches))) == 64
    assert [len(b) for b in shuffled_batches(5, 16, torch.Generator())] == [5]
    assert [len(b) for b in shuffled_batches(5, 2, torch.Generator())] == [2, 2]  # batch norm needs two


def test_faces_are_taken_in_the_order_asked_for() -> None:
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    faces = FaceSet(images, {"truth": torch.arange(10.0)[:, None, None].expand(10, 1, 2)}, np.array([7, 2, 9, 4]))
    pixels, points = faces.take(np.array([2, 0, 1]), CPU, 2)
    assert pixels[:, 0, 0, 0].tolist() == [9, 7, 2]
    assert points["truth"][:, 0, 0].tolist() == [9, 7, 2]


# ---- what a training hands to its loss
@pytest.mark.parametrize("teacher_size", [40, 64, 96])
def test_teachers_see_the_images_that_the_student_sees(
    teacher_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect teacher, with an input smaller or larger than the student's, agrees with the truth to 0.02 px of 96.

    So does a teacher from a file that knew the truth, which moves by arithmetic instead.
    """
    rng = np.random.default_rng(5)
    points = rng.uniform(36, 60, (16, 3, 2))
    images = np.stack([blobs(p, 96, 5.0) for p in points])
    truth = torch.from_numpy(pixels_to_unit(points, 96, 96).astype(np.float32))
    task = Task(
        train=FaceSet(images, {"truth": truth, "tolerant": truth.clone()}, np.arange(12)),
        val=FaceSet(images, {"truth": truth}, np.arange(12, 16)),
        online={"tough": PerfectNet(teacher_size)},  # type: ignore[dict-item]
        scheme=BLOBS,
        crop=CropRule(),
    )
    seen: list[tuple[Tensor, dict[str, Tensor]]] = []

    def spy(loss: str, pred: Tensor, truth: Tensor, teachers: dict[str, Tensor], *variant: Any) -> dict[str, Tensor]:
        seen.append((truth, dict(teachers)))
        return loss_terms(loss, pred, truth, teachers, *variant)

    monkeypatch.setattr("kdtools.training.objective.loss_terms", spy)
    monkeypatch.setitem(AUGMENTATIONS, "mild", geometry_of("mild", flip=True))
    train(
        task,
        replace(TINY_TRAINING, input_size=64, loss="kd", epochs=2, batch=6, lr=1e-3, schedule="constant", seed=1),
        RunFiles.for_output(tmp_path / "m.safetensors"),
        device=CPU,
        provenance=Provenance("test"),
        resume=False,
        on_epoch=lambda _: None,
        on_step=lambda _: None,
    )
    assert len(seen) == 4
    for moved, teachers in seen:
        assert teachers.keys() == {"tough", "tolerant"}
        assert (teachers["tough"] - moved).abs().max() * 96 < 0.02
        torch.testing.assert_close(teachers["tolerant"], moved)
