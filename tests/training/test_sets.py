"""Sets of one annotation convention, each with a last layer of its own beside that of their rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from factories import TINY_TRAINING, drawn_faces, write_faces
from reporters import Recorder

from kdtools.errors import DataError
from kdtools.faces.file import open_faces
from kdtools.landmarks.conventions import Convention
from kdtools.model.card import read_card
from kdtools.model.file import load_model
from kdtools.model.inference import predict_crops
from kdtools.training import conventions
from kdtools.training.augmentation import AUGMENTATIONS, Augmentation
from kdtools.training.cross_fitting import settings_of_folds
from kdtools.training.loader import Loader
from kdtools.training.run import TrainingRun, train_model
from kdtools.training.task import load_task

CPU = torch.device("cpu")
SIDE, N = 40, 32
LFPW, HELEN = Convention("300w/lfpw", (1.0, 0.0)), Convention("300w/helen")
LAYERS = ("300w", "300w/helen", "300w/lfpw")
SETTINGS = replace(TINY_TRAINING, epochs=30, lr=3e-3, augmentation="none", head="heatmap", w_heat=0.05, loss="l2")


def lowered(points: np.ndarray) -> np.ndarray:
    """The same faces as another hand annotates them: brows and nose 12 % of the eye distance lower."""
    moved = points.copy()
    eyes = points[:, 42:48].mean(axis=1) - points[:, 36:42].mean(axis=1)
    moved[:, 17:36] += 0.12 * np.stack([-eyes[:, 1], eyes[:, 0]], axis=1)[:, None]
    return moved


@pytest.fixture(scope="module", autouse=True)
def few_faces_are_a_set() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conventions, "LEAST_OF_SET", 8)
        yield


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each face once as helen and once as lfpw; lfpw's labels lie 1 px to the right, and its brows and noses lower."""
    images, points = drawn_faces(N, SIDE, 11)
    return write_faces(
        tmp_path_factory.mktemp("sets") / "faces.h5",
        np.concatenate([points, lowered(points) + np.array([1.0, 0.0])]),
        images=np.concatenate([images, images]),
        ids=[f"p{k:02}_{hand}" for hand in "ab" for k in range(N)],
        conventions=[HELEN, LFPW],
        convention=[HELEN.name] * N + [LFPW.name] * N,
    )


@pytest.fixture(scope="module")
def learnt(faces: Path) -> Path:
    output = faces.with_name("sets.safetensors")
    train_model(TrainingRun(SETTINGS, str(faces), str(output), device_name="cpu"), Recorder())
    return output


def task_of(faces: Path, reporter: Any, **options: Any) -> Any:
    teachers = options.pop("teachers", {})
    given: dict[str, Any] = {"val_share": 0.25, "seed": 3, "device": CPU, "reporter": reporter, **options}
    return load_task(str(faces), None, None, teachers, **given)


def test_each_set_answers_by_its_own_places_and_the_rule_lies_between(faces: Path, learnt: Path) -> None:
    card = read_card(learnt)[0]
    assert (card.layers, card.convention) == (LAYERS, "300w")
    with open_faces(faces) as file:
        images, true = file.images[:N], file.true_landmarks
    answers = {
        name: predict_crops(load_model(learnt, CPU, name), images, device=CPU, batch=8)[:, 17:36] for name in LAYERS
    }
    apart = (true[N:] - true[:N])[:, 17:36]

    def share(name: str) -> float:
        """0: as helen's hand, 1: as lfpw's; by how far the points lie from helen's answer."""
        return float(((answers[name] - answers[HELEN.name]) * apart).sum() / (apart**2).sum())

    assert share(LFPW.name) == pytest.approx(1, abs=0.25)
    assert share("300w") == pytest.approx(0.5, abs=0.25)
    for name, own in ((HELEN.name, true[:N]), (LFPW.name, true[N:])):
        distances = {of: np.linalg.norm(answers[of] - own[:, 17:36], axis=2).mean() for of in LAYERS}
        assert min(distances, key=distances.__getitem__) == name


def test_what_a_set_learns_is_not_mirrored(faces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Its labels are not symmetric. Half of what the rule learns is, of labelled and of unlabelled faces."""
    monkeypatch.setitem(AUGMENTATIONS, "none", Augmentation(flip=True))
    images, points = drawn_faces(12, SIDE, 8)
    more = write_faces(tmp_path / "more.h5", images=images, ids=[f"m{k}" for k in range(12)])
    tough = write_faces(tmp_path / "tough.h5", points, role="predicted", ids=[f"m{k}" for k in range(12)])
    settings = replace(SETTINGS, batch=8, unlabelled_share=0.5)
    for answered in ("300w", LFPW.name):
        with h5py.File(tough, "r+") as h5:
            h5["landmarks"].attrs["convention"] = answered
        options: dict[str, Any] = {"unlabelled_path": str(more), "teaches_labelled": False}
        with task_of(faces, Recorder(), teachers={"tough": str(tough)}, **options) as task:
            loader = Loader(task, settings, CPU)
            steps = [loader._prepare(epoch, step, np.arange(8)) for epoch in range(1, 5) for step in range(6)]
        for part, of_rule in ((0, True), (1, answered == "300w")):
            layers = torch.cat([parts[part].layers for parts in steps])
            flips = torch.cat([parts[part].changes.flip for parts in steps]).float()
            assert not flips[layers != 0].any()
            assert (layers == 0).any() == of_rule
            assert (layers != 0).any() == (part == 0 or not of_rule)
            assert not of_rule or flips[layers == 0].mean() == pytest.approx(0.5, abs=0.15)


def test_a_face_is_learnt_by_its_set_and_by_its_rule_half_of_the_time(faces: Path) -> None:
    with task_of(faces, Recorder()) as task:
        settings = replace(SETTINGS, batch=8, augmentation="light")
        loader = Loader(task, settings, CPU)
        seen = [batch.layers for epoch in range(1, 9) for _, batch in loader.batches(epoch, 0)]
        again = [batch.layers for epoch in range(1, 9) for _, batch in Loader(task, settings, CPU).batches(epoch, 0)]
        assert all(torch.equal(one, other) for one, other in zip(seen, again, strict=True))
        counts = torch.bincount(torch.cat(seen), minlength=3) / len(torch.cat(seen))
        own = task.train.layers[torch.from_numpy(task.train.rows)]
    shares = torch.bincount(own, minlength=3) / len(own)
    assert counts[0] == pytest.approx(0.5, abs=0.08)
    np.testing.assert_allclose(counts[1:], shares[1:] / 2, atol=0.08)


def test_a_single_set_needs_no_layer_of_its_own(tmp_path: Path) -> None:
    images, points = drawn_faces(8, SIDE, 1)
    path = write_faces(tmp_path / "faces.h5", points, images=images, conventions=[LFPW])
    with task_of(path, Recorder()) as task:
        assert (task.learnt.layers, task.train.rules) == (("300w",), None)


def test_a_set_of_few_faces_has_the_layer_of_its_rule(faces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(conventions, "LEAST_OF_SET", 30)
    images, points = drawn_faces(48, SIDE, 3)
    names = [HELEN.name] * 40 + [LFPW.name] * 8
    shared: dict[str, Any] = {"conventions": [HELEN, LFPW], "convention": names}
    path = write_faces(tmp_path / "faces.h5", points, images=images, **shared)
    with load_task(str(path), str(faces), None, {}, val_share=0, seed=0, device=CPU, reporter=Recorder()) as task:
        assert task.learnt.layers == ("300w", "300w/helen")
        assert task.train.layers.tolist() == [1] * 40 + [0] * 8
        assert task.train.rules.tolist() == [0, 0]
        assert task.val.rules is None
        assert task.val.layers.tolist() == [1] * N + [0] * N


def test_labels_that_are_not_learnt_are_measured_by_the_rule(faces: Path, tmp_path: Path) -> None:
    """With unlabelled faces alone no face would teach the layers of sets, and validation would measure these."""
    images, points = drawn_faces(6, SIDE, 8)
    shared: dict[str, Any] = {"ids": [f"m{k}" for k in range(6)]}
    more = write_faces(tmp_path / "more.h5", images=images, **shared)
    tough = write_faces(tmp_path / "tough.h5", points, role="predicted", **shared)
    with h5py.File(tough, "r+") as h5:
        h5["landmarks"].attrs["convention"] = "300w"
    settings = replace(SETTINGS, epochs=1, batch=4, unlabelled_share=1.0, loss="l1")
    output = tmp_path / "m.safetensors"
    run = TrainingRun(settings, str(faces), str(output), device_name="cpu", unlabelled_path=str(more))
    reporter = Recorder()
    train_model(replace(run, teachers={"tough": str(tough)}), reporter)
    assert read_card(output)[0].layers == ("300w",)
    assert not any("no face to learn from" in line for line in reporter.warned)


def test_predictions_of_another_set_are_named(faces: Path, tmp_path: Path) -> None:
    with open_faces(faces) as file:
        shared: dict[str, Any] = {"ids": file.ids}
        tough = write_faces(tmp_path / "tough.h5", file.landmarks, role="predicted", **shared)
    for name, is_named in (("300w", False), (HELEN.name, True)):
        with h5py.File(tough, "r+") as h5:
            h5["landmarks"].attrs["convention"] = name
        reporter = Recorder()
        with task_of(faces, reporter, teachers={"tough": str(tough)}):
            warned = any("follow another annotation convention" in line for line in reporter.warned)
        assert warned == is_named


def test_the_layer_that_is_asked_for_is_the_default(faces: Path) -> None:
    reporter = Recorder()
    with task_of(faces, reporter, convention=LFPW.name) as task:
        assert (task.learnt.default, task.learnt.layers) == (LFPW.name, LAYERS)
    assert f"the network answers by {LFPW.name}, unless --convention asks for another one" in reporter.said
    # Folds know the rule, whatever sets they hold.
    with open_faces(faces) as file:
        folds = [(np.arange(N), np.arange(N, 2 * N)), (np.arange(N, 2 * N), np.arange(N))]
        assert settings_of_folds(SETTINGS, file, folds).convention == "300w"
        with pytest.raises(DataError, match=r"teacher of fold 1 would learn from no face of .* 300w/lfpw"):
            settings_of_folds(replace(SETTINGS, convention=LFPW.name), file, folds)


def test_faces_of_another_set_are_measured_by_the_rule(faces: Path, tmp_path: Path) -> None:
    images, points = drawn_faces(6, SIDE, 5)
    names = ["300w/ibug"] * 2 + ["300w"] * 2 + [LFPW.name] * 2
    conventions = [Convention("300w/ibug"), Convention("300w"), LFPW]
    val = write_faces(tmp_path / "val.h5", points, images=images, conventions=conventions, convention=names)
    reporter = Recorder()
    with load_task(str(faces), str(val), None, {}, val_share=0, seed=0, device=CPU, reporter=reporter) as task:
        assert task.val.layers.tolist() == [0, 0, 0, 0, 2, 2]
    assert not any("which is not trained" in line for line in reporter.warned)


@pytest.mark.parametrize(
    ("answered", "layer", "is_named"),
    [("300w", 0, False), (HELEN.name, 1, False), (LFPW.name, 2, False), ("300w/ibug", 0, False), ("wflw", 2, True)],
)
def test_unlabelled_faces_are_learnt_where_their_points_lie(
    faces: Path, tmp_path: Path, answered: str, layer: int, is_named: bool
) -> None:
    """Faces of lfpw, whose points are those of a teacher that answers by its rule or by another set."""
    images, points = drawn_faces(6, SIDE, 8)
    shared: dict[str, Any] = {"ids": [f"m{k}" for k in range(6)]}
    more = write_faces(tmp_path / "more.h5", images=images, conventions=[LFPW], **shared)
    tough = write_faces(tmp_path / "tough.h5", points, role="predicted", **shared)
    with h5py.File(tough, "r+") as h5:
        h5["landmarks"].attrs["convention"] = answered
    options: dict[str, Any] = {"unlabelled_path": str(more), "teaches_labelled": False}
    reporter = Recorder()
    with task_of(faces, reporter, teachers={"tough": str(tough)}, **options) as task:
        assert task.unlabelled.layers.tolist() == [layer] * 6
    assert any("follow another annotation convention" in line for line in reporter.warned) == is_named


def test_a_teacher_that_knows_the_rule_alone_teaches_the_rule(faces: Path, learnt: Path, tmp_path: Path) -> None:
    images, points = drawn_faces(6, SIDE, 8)
    one = write_faces(tmp_path / "one.h5", points, images=images, conventions=[Convention("300w")])
    rule = tmp_path / "rule.safetensors"
    train_model(TrainingRun(replace(SETTINGS, epochs=1, batch=4), str(one), str(rule), device_name="cpu"), Recorder())
    more = write_faces(tmp_path / "more.h5", images=images, ids=[f"m{k}" for k in range(6)], conventions=[LFPW])
    for teacher, layer in ((rule, 0), (learnt, 2)):
        reporter = Recorder()
        options: dict[str, Any] = {"unlabelled_path": str(more), "teaches_labelled": False}
        with task_of(faces, reporter, teachers={"tough": str(teacher)}, **options) as task:
            assert task.unlabelled.layers.tolist() == [layer] * 6
        assert not any("convention" in line for line in reporter.warned)
