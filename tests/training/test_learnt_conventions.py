"""Faces of two annotation conventions in one training: each is learnt by its own last layer, at its true places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from factories import TINY_TRAINING, drawn_faces, write_faces
from reporters import Recorder

from kdtools.errors import DataError, UsageError
from kdtools.faces.file import open_faces
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import unit_to_pixels
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import load_all_layers, load_model, save_model
from kdtools.model.inference import predict_crops
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance
from kdtools.training.cross_fitting import fold_rows, settings_of_folds
from kdtools.training.run import Callbacks, TrainingRun, cross_fit_teachers, train_model
from kdtools.training.task import Task, load_task
from kdtools.training.trainer import Stopped

CPU = torch.device("cpu")
SIDE, N, SCALE = 40, 32, 1.25  # a pixel of /image is 1.25 of the source image
ORIGIN_PX = 2 / SCALE  # of the second hand, in pixels of /image
FIRST, SECOND = Convention("300w"), Convention("youtube68/db", (2.0, 0.0))
SETTINGS = replace(TINY_TRAINING, epochs=2, lr=3e-3, augmentation="none")
LONG: dict[str, Any] = {"epochs": 24, "head": "heatmap", "w_heat": 0.05}


def other_hand(points: np.ndarray) -> np.ndarray:
    """The same faces as another hand annotates them: brows and nose 12 % of the eye distance lower."""
    moved = points.copy()
    eyes = points[:, 42:48].mean(axis=1) - points[:, 36:42].mean(axis=1)
    down = np.stack([-eyes[:, 1], eyes[:, 0]], axis=1)
    moved[:, 17:36] += 0.12 * down[:, None]
    return moved


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`both.h5`: each face once by each hand. The labels of the second lie 2 px of the source image to the right."""
    folder = tmp_path_factory.mktemp("faces")
    images, points = drawn_faces(N, SIDE, 11)
    labels = np.concatenate([points, other_hand(points) + np.array([ORIGIN_PX, 0])])
    to_source = np.broadcast_to([[SCALE, 0, 7.0], [0, SCALE, -3.0]], (2 * N, 2, 3))
    names = np.array([FIRST.name] * N + [SECOND.name] * N)
    ids = np.array([f"p{k:02}_{hand}" for hand in "ab" for k in range(N)])
    shared: dict[str, Any] = {"images": np.concatenate([images, images]), "to_source": to_source, "ids": list(ids)}
    write_faces(folder / "both.h5", labels, conventions=[FIRST, SECOND], convention=list(names), **shared)
    write_faces(folder / "unstated.h5", labels, **shared)
    return folder


def train(faces: Path, output: Path, reporter: Any = None, **changes: Any) -> ModelCard:
    teachers = changes.pop("teachers", {})
    callbacks, resume = changes.pop("callbacks", Callbacks()), changes.pop("resume", False)
    run = TrainingRun(
        replace(SETTINGS, **changes), str(faces), str(output), device_name="cpu", teachers=teachers, resume=resume
    )
    train_model(run, reporter or Recorder(), callbacks)
    return read_card(output)[0]


@pytest.fixture(scope="module")
def learnt(folder: Path) -> Path:
    train(folder / "both.h5", folder / "both.safetensors", **LONG)
    return folder / "both.safetensors"


def distance_px(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of brows and noses, the points that the two hands place differently."""
    return float(np.linalg.norm(points - truth, axis=2)[:, 17:36].mean())


def test_each_answer_is_nearest_to_its_own_hand(folder: Path, learnt: Path) -> None:
    with open_faces(folder / "both.h5") as faces:
        images, true = faces.images[:N], faces.true_landmarks
        labels = faces.landmarks
    answers = {
        name: predict_crops(load_model(learnt, CPU, name), images, device=CPU, batch=8)
        for name in ("300w", "youtube68")
    }
    first, second = true[:N], true[N:]
    np.testing.assert_allclose(labels[N:, :, 0] - second[..., 0], ORIGIN_PX, atol=1e-4)
    own = distance_px(answers["300w"], first), distance_px(answers["youtube68"], second)
    other = distance_px(answers["300w"], second), distance_px(answers["youtube68"], first)
    assert max(own) < 0.85 * min(other)
    # Nearly all of the difference between the hands is learnt, and nothing of the origin.
    apart, found = (second - first)[:, 17:36], (answers["youtube68"] - answers["300w"])[:, 17:36]
    assert (found * apart).sum() / (apart**2).sum() == pytest.approx(1, abs=0.25)
    assert abs((answers["youtube68"] - answers["300w"])[:, 36:, 0].mean()) < 0.15 * ORIGIN_PX

    # Without conventions a network learns the mean of both (with L2; all in between is as good for L1).
    train(folder / "unstated.h5", folder / "unstated.safetensors", **{**LONG, "loss": "l2"})
    mixed = predict_crops(load_model(folder / "unstated.safetensors", CPU), images, device=CPU, batch=8)
    assert own[0] < distance_px(mixed, first)
    assert own[1] < distance_px(mixed, second)
    between = ((mixed - answers["300w"])[:, 17:36] * apart).sum() / (apart**2).sum()
    assert between == pytest.approx(0.5, abs=0.3)
    assert (mixed - answers["300w"])[:, 36:, 0].mean() == pytest.approx(ORIGIN_PX / 2, abs=0.25 * ORIGIN_PX)


def test_the_model_says_what_it_was_trained_on(folder: Path, learnt: Path) -> None:
    card = read_card(learnt)[0]
    assert card.conventions == (FIRST, SECOND)
    assert card.layers == ("300w", "youtube68")
    assert load_all_layers(learnt, CPU).head.n_layers == 2
    reporter = Recorder()
    chosen = train(folder / "both.h5", folder / "chosen.safetensors", reporter, epochs=1, convention="youtube68/db")
    assert (chosen.convention, chosen.settings["convention"]) == ("youtube68", "youtube68/db")
    assert "annotation convention 300w: 22 faces" in reporter.said
    assert "annotation convention youtube68/db: 26 faces, whose origin of 2, 0 px is taken off" in reporter.said
    assert "the network answers by youtube68, unless --convention asks for another one" in reporter.said


def test_the_convention_of_most_faces_is_the_default(tmp_path: Path) -> None:
    images, points = drawn_faces(12, SIDE, 1)
    names = ["a"] * 4 + ["b/x"] * 3 + ["b/y"] * 3 + [""] * 2
    all_of_them = [Convention(name) for name in ("a", "b/x", "b/y", "unused")]
    path = write_faces(tmp_path / "faces.h5", points, images=images, conventions=all_of_them, convention=names)
    reporter = Recorder()
    with _task(path, reporter, val_path=path) as task:
        assert [one.name for one in task.learnt.all] == ["a", "b/x", "b/y"]
        assert (task.learnt.layers, task.learnt.default) == (("a", "b"), "b")
        assert task.train.layers is not None
        assert task.train.layers.tolist() == [0] * 4 + [1] * 8
        assert task.train.rules is None
    assert "2 faces without a convention are learnt as b" in "\n".join(reporter.said)


def _task(path: Path, reporter: Any, val_path: Path | None = None, **options: Any) -> Any:
    val = None if val_path is None else str(val_path)
    defaults: dict[str, Any] = {"val_share": 0.25, "seed": 3, "device": CPU, "reporter": reporter}
    return load_task(str(path), val, None, options.pop("teachers", {}), **{**defaults, **options})


def test_unknown_conventions_are_refused_or_named(folder: Path, tmp_path: Path) -> None:
    unknown = _task(folder / "both.h5", Recorder(), convention="wflw")
    with pytest.raises(UsageError, match="no face to train on is of the annotation convention 'wflw'") as caught:
        unknown.__enter__()
    assert caught.value.hint == "give one of 300w, youtube68, youtube68/db"
    useless = _task(folder / "unstated.h5", Recorder(), convention="300w")
    with pytest.raises(UsageError, match="no face to train on states an annotation convention"):
        useless.__enter__()
    # Faces to validate with of a convention that is not trained are taken for the default, and that is said.
    images, points = drawn_faces(6, SIDE, 5)
    wflw = [Convention("wflw", (1.0, 0.0))]
    write_faces(tmp_path / "val.h5", points, images=images, conventions=wflw)
    reporter = Recorder()
    with _task(folder / "both.h5", reporter, val_path=tmp_path / "val.h5") as task:
        assert task.val.layers is not None
        assert task.val.layers.tolist() == [0] * 6
        found = unit_to_pixels(task.val.points["truth"].numpy(), SIDE, SIDE)
        np.testing.assert_allclose(found, points - np.array([1.0, 0.0]), atol=1e-4)
    assert any("6 faces of" in line and "wflw" in line and "taken for 300w" in line for line in reporter.warned)


def test_a_stopped_run_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    train(folder / "both.h5", tmp_path / "whole.safetensors", ema=0.9, augmentation="mild")
    steps: list[Any] = []
    stops = Callbacks(on_step=steps.append, stop_asked=lambda: len(steps) == 4)
    with pytest.raises(Stopped):
        train(folder / "both.h5", tmp_path / "part.safetensors", ema=0.9, augmentation="mild", callbacks=stops)
    train(folder / "both.h5", tmp_path / "part.safetensors", ema=0.9, augmentation="mild", resume=True)
    whole, part = (load_all_layers(tmp_path / f"{name}.safetensors", CPU).state_dict() for name in ("whole", "part"))
    assert all(torch.equal(one, part[name]) for name, one in whole.items())
    with pytest.raises(UsageError, match="convention"):
        train(
            folder / "both.h5",
            tmp_path / "part.safetensors",
            ema=0.9,
            augmentation="mild",
            resume=True,
            convention="300w",
        )


def test_other_conventions_are_another_task(folder: Path, tmp_path: Path) -> None:
    """A checkpoint does not go on with faces of which only the conventions changed."""
    from kdtools.training.checkpoints import digest_task

    def digest(names: list[str]) -> str:
        with open_faces(folder / "both.h5") as faces:
            path = write_faces(
                tmp_path / "faces.h5",
                faces.landmarks,
                images=faces.images[...],
                ids=faces.ids,
                conventions=[Convention("a"), Convention("b")],
                convention=names,
            )
        with _task(path, Recorder()) as task:
            assert isinstance(task, Task)
            return digest_task(task)

    half = ["a"] * N + ["b"] * N
    assert digest(half) == digest(half)
    assert digest(half) != digest(half[::-1])
    assert digest(half) != digest(["a"] * (2 * N))


def test_a_teacher_answers_each_face_by_its_own_convention(folder: Path, tmp_path: Path) -> None:
    """Its last layers stand in another order, and it does not know one of the names."""
    conventions = (Convention("cofw"), Convention("youtube68"))
    with open_faces(folder / "both.h5") as faces:
        card = ModelCard(
            "test_resnet",
            32,
            faces.scheme,
            CropRule(),
            (0.5, 0.5, 0.5),
            (0.2, 0.2, 0.2),
            conventions=conventions,
            convention="cofw",
        )
    network = LandmarkNet(card)
    network.head.start_at(torch.zeros(68, 2))
    with torch.no_grad():
        network.head.get_parameter("weight").zero_()
        network.head.get_parameter("bias").copy_(torch.tensor([0.1, 0.3]).repeat_interleave(136))
    save_model(tmp_path / "tough.safetensors", network, Provenance("test"))
    reporter = Recorder()
    from kdtools.training.conventions import layers_of_model

    with _task(folder / "both.h5", reporter, teachers={"tough": str(tmp_path / "tough.safetensors")}) as task:
        teacher = task.online["tough"]
        own = torch.tensor([0, 1, 1])
        answer = teacher(torch.zeros(3, 3, 32, 32), layers_of_model(task.learnt, teacher.card)(own))
    torch.testing.assert_close(answer[:, 0, 0], torch.tensor([0.1, 0.3, 0.3]))
    assert any("does not know the annotation convention 300w" in line for line in reporter.warned)


def test_predictions_of_another_convention_are_named(folder: Path, tmp_path: Path) -> None:
    """Their origin is taken off, where one was put back."""
    with open_faces(folder / "both.h5") as faces:
        true = faces.to_frame(faces.true_landmarks, "source")
        path = write_faces(tmp_path / "tough.h5", true + np.array([0.5, 0.0]), ids=faces.ids, role="predicted")
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs["convention"] = "youtube68/db"
        h5["landmarks"].attrs["origin"] = np.array([0.5, 0.0])
    reporter = Recorder()
    with _task(folder / "both.h5", reporter, teachers={"tough": str(path)}) as task:
        torch.testing.assert_close(task.train.points["tough"], task.train.points["truth"], atol=1e-5, rtol=0)
    assert any("its points of 22 faces follow another annotation convention" in line for line in reporter.warned)


def test_cross_fitted_teachers_answer_by_each_faces_convention(folder: Path, tmp_path: Path) -> None:
    run = TrainingRun(replace(SETTINGS, epochs=1), str(folder / "both.h5"), str(tmp_path / "t.h5"), device_name="cpu")
    cross_fit_teachers(run, 2, Recorder())
    with open_faces(tmp_path / "t.h5") as found, open_faces(folder / "both.h5") as faces:
        assert found.conventions.of_faces.tolist() == faces.conventions.of_faces.tolist()
        assert not found.origins().any()
        for number in (1, 2):
            network = load_all_layers(tmp_path / f"t.fold{number}of2.safetensors", CPU)
            assert network.head.n_layers == 2
        points = found.landmarks
    by_layer = {}
    for k, name in enumerate(("300w", "youtube68")):
        rows = np.arange(N) + k * N
        answers = [
            predict_crops(
                load_model(tmp_path / f"t.fold{n}of2.safetensors", CPU, name),
                _images(folder),
                rows=rows,
                device=CPU,
                batch=8,
            )
            for n in (1, 2)
        ]
        by_layer[name] = [answer * SCALE + np.array([7.0, -3.0]) for answer in answers]
        nearest = np.minimum(*(np.abs(points[rows] - one).max(axis=(1, 2)) for one in by_layer[name]))
        assert nearest.max() < 1e-3


def _images(folder: Path) -> np.ndarray:
    with open_faces(folder / "both.h5") as faces:
        return np.asarray(faces.images[...])


def test_one_convention_of_two_files_has_one_origin(folder: Path, tmp_path: Path) -> None:
    """Else one set is learnt at the true places, and validated or softened as it is annotated."""
    images, points = drawn_faces(N, SIDE, 11)
    ids = [f"p{k:02}" for k in range(N)]
    stated = write_faces(
        tmp_path / "stated.h5", points, images=images, ids=ids, conventions=[Convention("300w", (0.7, 0.0))]
    )
    earlier = write_faces(tmp_path / "earlier.h5", points, images=images, ids=ids, conventions=[Convention("300w")])
    soft = write_faces(tmp_path / "soft.h5", points, ids=ids, role="soft", conventions=[Convention("300w")])
    for val, landmarks, name in ((earlier, None, "earlier"), (None, soft, "soft")):
        task = load_task(
            str(stated), val and str(val), landmarks and str(landmarks), {}, val_share=0.25, seed=0, device=CPU
        )
        with pytest.raises(DataError, match=rf"stated\.h5 and .*{name}\.h5: the convention 300w has the origin 0.7, 0"):
            task.__enter__()


def test_targets_of_another_file_are_of_the_same_conventions(folder: Path, tmp_path: Path) -> None:
    """Soft-landmarks made before the convention was stated anew lie where the labels do, with an origin or without."""
    images, points = drawn_faces(N, SIDE, 11)
    ids = [f"p{k:02}" for k in range(N)]
    lfpw = Convention("300w/lfpw", (0.7, 0.0))
    faces = write_faces(tmp_path / "faces.h5", points, images=images, ids=ids, conventions=[lfpw])
    shared: dict[str, Any] = {"val_share": 0.25, "seed": 0, "device": CPU}
    for stated in ([Convention("300w")], [Convention("youtube68")], None, [lfpw]):
        soft = write_faces(tmp_path / "soft.h5", points, ids=ids, role="soft", conventions=stated)
        task = load_task(str(faces), None, str(soft), {}, **shared)
        if stated in (None, [lfpw]):
            with task as loaded:
                found = unit_to_pixels(loaded.train.points["truth"].numpy(), SIDE, SIDE)
                np.testing.assert_allclose(found, points - np.array([0.7, 0]), atol=1e-4)
        else:
            with pytest.raises(DataError, match="32 faces of other annotation conventions, such as 300w/lfpw in one"):
                task.__enter__()
    reporter = Recorder()
    found = _predicted(tmp_path / "found.h5", faces, "youtube68")
    with load_task(str(faces), None, str(found), {}, **shared, reporter=reporter):
        assert any("follow another annotation convention" in line for line in reporter.warned)


def _predicted(path: Path, source: Path, name: str) -> Path:
    """A teacher's predictions for the faces of a file: points of the one convention called `name`."""
    with open_faces(source) as faces:
        write_faces(path, np.tile(np.linspace(5, 30, 136).reshape(1, 68, 2), (len(faces), 1, 1)), ids=faces.ids)
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs.update({"role": "predicted", "convention": name})
    return path


def test_unlabelled_faces_are_learnt_by_the_convention_of_their_points(folder: Path, tmp_path: Path) -> None:
    """The default is another one, which would be spoilt by points of this one."""
    images, _ = drawn_faces(6, SIDE, 8)
    more = write_faces(tmp_path / "more.h5", images=images, ids=[f"m{k}" for k in range(6)])
    expected = {"youtube68": 1, "300w": 0, "wflw": 0}
    for name, layer in expected.items():
        reporter = Recorder()
        tough = {"tough": str(_predicted(tmp_path / "tough.h5", more, name))}
        options: dict[str, Any] = {"teachers": tough, "unlabelled_path": str(more), "teaches_labelled": False}
        with _task(folder / "both.h5", reporter, convention="300w", **options) as task:
            assert task.unlabelled.layers.tolist() == [layer] * 6
        unknown = any("its points of 6 faces follow another annotation convention" in line for line in reporter.warned)
        assert unknown == (name == "wflw")
        assert ("6 faces of" in "\n".join(reporter.said)) == (name == "youtube68")
    other = write_faces(
        tmp_path / "more.h5", images=images, ids=[f"m{k}" for k in range(6)], conventions=[Convention("wflw")]
    )
    options["teachers"] = {"tough": str(_predicted(tmp_path / "tough.h5", other, "youtube68"))}
    with _task(folder / "both.h5", Recorder(), convention="300w", **options) as task:
        assert task.unlabelled.layers.tolist() == [1] * 6
    # A network that knows the second one alone answers by it.
    second = write_faces(tmp_path / "second.h5", drawn_faces(8, SIDE, 2)[1], images=drawn_faces(8, SIDE, 2)[0])
    with h5py.File(second, "r+") as h5:
        h5.attrs["conventions"] = '{"youtube68": {}}'
        h5.create_dataset("convention", data=["youtube68"] * 8, dtype=h5py.string_dtype())
    train(second, tmp_path / "second.safetensors", epochs=1, batch=4)
    options["teachers"] = {"tough": str(tmp_path / "second.safetensors")}
    with _task(folder / "both.h5", Recorder(), convention="300w", **options) as task:
        assert task.unlabelled.layers.tolist() == [1] * 6


@pytest.mark.parametrize("form", ["model", "predictions", "predictions of unlabelled faces"])
def test_a_teacher_that_states_no_convention_is_named(folder: Path, tmp_path: Path, form: str) -> None:
    """Of two conventions its points can be places of one alone."""
    options: dict[str, Any] = {}
    tough = tmp_path / "tough.safetensors"
    if form == "model":
        train(folder / "unstated.h5", tough, epochs=1)
    elif form == "predictions":
        tough = write_faces(tmp_path / "tough.h5", **_points_like(folder / "both.h5"), role="predicted")
    else:
        more = write_faces(tmp_path / "more.h5", images=drawn_faces(6, SIDE, 8)[0])
        tough = write_faces(tmp_path / "tough.h5", np.ones((6, 68, 2)), role="predicted")
        options = {"unlabelled_path": str(more), "teaches_labelled": False}
    reporter = Recorder()
    with _task(folder / "both.h5", reporter, teachers={"tough": str(tough)}, **options):
        pass
    assert len([line for line in reporter.warned if f"{tough}: states no annotation convention" in line]) == 1


def _points_like(path: Path) -> dict[str, Any]:
    with open_faces(path) as faces:
        return {"points": faces.points("source"), "ids": faces.ids}


def test_a_convention_that_no_face_teaches_is_named(folder: Path, tmp_path: Path) -> None:
    """With unlabelled faces alone, whose points are of one convention, the other last layer learns nothing."""
    images, _ = drawn_faces(8, SIDE, 8)
    more = write_faces(tmp_path / "more.h5", images=images, ids=[f"m{k}" for k in range(8)])
    tough = _predicted(tmp_path / "tough.h5", more, "youtube68")
    run = TrainingRun(
        replace(SETTINGS, epochs=1, unlabelled_share=1.0),
        str(folder / "both.h5"),
        str(tmp_path / "s.safetensors"),
        device_name="cpu",
        teachers={"tough": str(tough)},
        unlabelled_path=str(more),
    )
    reporter = Recorder()
    train_model(run, reporter)
    assert any("no face to learn from is of the annotation convention 300w" in line for line in reporter.warned)


def test_folds_that_cannot_learn_a_convention_are_refused(tmp_path: Path) -> None:
    """One of a single person would be predicted by a teacher that does not know it, under its name."""
    images, points = drawn_faces(12, SIDE, 1)
    ids = [f"p{k}" for k in range(10)] + ["q_1", "q_2"]
    names = ["a"] * 10 + ["b"] * 2
    path = write_faces(
        tmp_path / "f.h5", points, images=images, ids=ids, conventions=[Convention("a")], convention=names
    )
    run = TrainingRun(replace(SETTINGS, epochs=1), str(path), str(tmp_path / "t.h5"), device_name="cpu")
    with pytest.raises(DataError, match="would predict faces of the annotation convention b without having learnt"):
        cross_fit_teachers(run, 2, Recorder())


def test_teachers_of_all_folds_answer_by_the_same_convention(tmp_path: Path) -> None:
    """Without one that is asked for, that of most of all faces, not of those of each fold."""
    images, points = drawn_faces(16, SIDE, 1)
    names = ["a"] * 8 + ["b"] * 7 + [""]
    for seed in range(6):
        both = [Convention("a"), Convention("b")]
        path = write_faces(tmp_path / "f.h5", points, images=images, conventions=both, convention=names)
        with open_faces(path) as faces:
            folds = list(fold_rows(faces, 2, seed))
            assert settings_of_folds(SETTINGS, faces, folds).convention == "a"
            asked = settings_of_folds(replace(SETTINGS, convention="b"), faces, folds)
            assert asked.convention == "b"


def test_unstated_faces_to_validate_with_are_named(folder: Path) -> None:
    """They are measured by the default, though they may be of another convention, or beside the true places."""
    reporter = Recorder()
    with _task(folder / "both.h5", reporter, val_path=folder / "unstated.h5"):
        assert any("64 faces of" in line and "state no annotation convention" in line for line in reporter.warned)
    reporter = Recorder()
    for faces, val in (("both", None), ("unstated", folder / "unstated.h5"), ("both", folder / "both.h5")):
        with _task(folder / f"{faces}.h5", reporter, val_path=val):
            assert not any("state no annotation convention" in line for line in reporter.warned)
