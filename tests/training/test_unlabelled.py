"""Unlabelled faces in a training: what they are taught, how they are drawn, and what a run survives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY_TRAINING, drawn_faces, write_faces
from reporters import Recorder
from safetensors.torch import load_file

from kdtools.errors import DataError, KdError, UsageError
from kdtools.faces.file import open_faces
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import read_card
from kdtools.model.file import load_model
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.lineage import Lineage
from kdtools.storage.provenance import Provenance
from kdtools.training.augmentation import warp_points
from kdtools.training.face_set import continued_positions
from kdtools.training.loader import Loader
from kdtools.training.losses import KD_VARIANTS, kd_loss, l1_loss, loss_terms, mean_of_known
from kdtools.training.objective import Objective
from kdtools.training.run import TrainingRun, train_model
from kdtools.training.settings import Settings, resolve_settings, resolve_student_settings
from kdtools.training.task import load_task
from kdtools.training.trust import agreement_trust, mirrored_points

CPU = torch.device("cpu")
TINY = replace(TINY_TRAINING, epochs=2)
HALF = replace(TINY, unlabelled_share=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled faces, unlabelled ones of another size with ids of their own, and predictions for both."""
    path = tmp_path_factory.mktemp("unlabelled")
    images, points = drawn_faces(24, 40, 11)
    write_faces(path / "faces.h5", points, images=images)
    more, hidden = drawn_faces(20, 48, 12)
    ids = [f"more{k}" for k in range(20)]
    write_faces(path / "more.h5", images=more, ids=ids)
    for name, by_px in (("tough", 0.0), ("tolerant", 2.0)):
        confidence = np.linspace(0.1, 1.0, 20 * 68, dtype=np.float32).reshape(20, 68)
        write_faces(path / f"{name}_more.h5", hidden + by_px, ids=ids, role="predicted", confidence=confidence)
        both = np.concatenate([points, hidden]) + by_px
        all_ids = [*(f"face{k}" for k in range(24)), *ids]
        write_faces(path / f"{name}_both.h5", both.astype(np.float32), ids=all_ids, role="predicted")
    run = TrainingRun(replace(TINY, epochs=1), str(path / "faces.h5"), str(path / "tough.safetensors"))
    train_model(run, provenance=Provenance("test"))
    return path


def load(folder: Path, settings: Settings, teachers: dict[str, str], reporter: Reporter = SILENT, **kwargs: Any) -> Any:
    return load_task(
        str(folder / "faces.h5"),
        None,
        None,
        {name: str(folder / file) for name, file in teachers.items()},
        val_share=settings.val_share,
        seed=settings.seed,
        device=CPU,
        unlabelled_path=str(kwargs.get("unlabelled", folder / "more.h5")),
        teaches_labelled=settings.teaches_labelled,
        trust=settings.trust,
        reporter=reporter,
    )


def run_of(folder: Path, output: Path, settings: Settings, teachers: dict[str, str], **kwargs: Any) -> TrainingRun:
    return TrainingRun(
        settings,
        str(folder / "faces.h5"),
        str(output),
        teachers={name: str(folder / file) for name, file in teachers.items()},
        unlabelled_path=str(folder / "more.h5"),
        **kwargs,
    )


# ---- which faces a step has
def test_every_pass_takes_each_face_once_and_steps_may_span_passes() -> None:
    steps = [continued_positions(10, 4, step, lambda k: 100 + k) for step in range(5)]
    taken = np.concatenate(steps)
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert list(taken[:10]) != list(taken[10:])
    assert sorted(continued_positions(3, 9, 0, lambda k: k)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_labelled_faces_of_a_step_are_those_of_a_run_without_unlabelled_ones(folder: Path) -> None:
    """So that two runs compare at equal steps: the same labelled images, points and steps."""
    with load(folder, HALF, {"tough": "tough_more.h5"}) as task:
        mixed = Loader(task, HALF, CPU)
        plain = Loader(replace(task, unlabelled=None), TINY, CPU)
        assert mixed.n_steps == plain.n_steps == 2
        for (_, with_more), (_, alone) in zip(mixed.batches(1, 0), plain.batches(1, 0), strict=True):
            n = len(alone.images)
            assert torch.equal(with_more.images[:n], alone.images)
            assert torch.equal(with_more.points["truth"], alone.points["truth"])
            assert with_more.n_unlabelled == len(with_more.unlabelled["tough"]) == 8
            assert (with_more.n_faces, alone.n_faces) == (n + 8, n)


@pytest.mark.parametrize(("share", "labelled", "unlabelled"), [(0.2, 8, 2), (0.5, 8, 8), (0.9, 8, 72), (1.0, 0, 8)])
def test_the_share_of_a_step(folder: Path, share: float, labelled: int, unlabelled: int) -> None:
    settings = replace(TINY, unlabelled_share=share)
    with load(folder, settings, {"tough": "tough_more.h5"}) as task:
        loader = Loader(task, settings, CPU)
        _, batch = next(loader.batches(1, 0))
    assert (len(batch.images) - batch.n_unlabelled, batch.n_unlabelled) == (labelled, unlabelled)
    assert loader.n_steps == (3 if share == 1 else 2)  # passes over 20 or 18 faces, 8 at a time


def test_points_and_confidence_move_with_mirrored_faces(folder: Path) -> None:
    settings = replace(HALF, trust="confidence", augmentation="mild")
    with load(folder, settings, {"tough": "tough_more.h5"}) as task:
        loader = Loader(task, settings, CPU)
        assert task.unlabelled is not None
        known = {tuple(np.round(row.numpy(), 5)) for row in task.unlabelled.confidence}
        mirror = np.array(task.scheme.mirror)
        seen = {"plain": 0, "mirrored": 0}
        for _, batch in loader.batches(1, 0):
            assert batch.confidence is not None
            for row in batch.confidence.numpy():
                plain, mirrored = tuple(np.round(row, 5)), tuple(np.round(row[mirror], 5))
                assert plain in known or mirrored in known
                seen["plain" if plain in known else "mirrored"] += 1
    assert all(seen.values())


# ---- what they are taught
def terms_of(folder: Path, settings: Settings, teachers: dict[str, str]) -> tuple[dict[str, float], Any, Any, Any]:
    """Terms of the first step for a student that always says the same, with the batch and the answers."""
    with load(folder, settings, teachers) as task:
        _, batch = next(Loader(task, settings, CPU).batches(1, 0))
        objective = Objective(task, settings, CPU)
        answers = objective.ask_teachers(batch)
        pred = torch.linspace(-0.4, 0.4, 68 * 2).view(1, 68, 2).repeat(len(batch.images), 1, 1)
        terms = objective.terms(pred, None, batch, answers)
    return {name: float(value) for name, value in terms.items()}, pred, batch, answers


def test_the_teacher_takes_the_place_of_the_truth(folder: Path) -> None:
    settings = replace(HALF, w_unlabelled=0.5)
    terms, pred, batch, _ = terms_of(folder, settings, {"tough": "tough_more.h5"})
    labelled = float(l1_loss(pred[:8], batch.points["truth"]))
    unlabelled = float(l1_loss(pred[8:], batch.unlabelled["tough"]))
    assert terms["unlabelled"] == pytest.approx(unlabelled)
    assert terms["total"] == pytest.approx(labelled + 0.5 * unlabelled)


def test_kd_loss_of_unlabelled_faces_has_an_exact_tough_teacher(folder: Path) -> None:
    settings = replace(HALF, loss="kd")
    terms, pred, batch, answers = terms_of(folder, settings, {"tough": "tough_both.h5", "tolerant": "tolerant_both.h5"})
    tough, tolerant = answers.unlabelled["tough"], answers.unlabelled["tolerant"]
    assert terms["unlabelled"] == pytest.approx(float(kd_loss(pred[8:], tough, tough, tolerant)["total"]))
    own = kd_loss(pred[:8], batch.points["truth"], answers.labelled["tough"], answers.labelled["tolerant"])
    assert terms["total"] == pytest.approx(float(own["total"]) + terms["unlabelled"])
    alpha = KD_VARIANTS["reference"].alpha_tough[0]
    assert float(kd_loss(pred[8:], tough, tough, tolerant)["tough"]) == pytest.approx(
        alpha * float(l1_loss(pred[8:], tough))
    )


def test_of_unlabelled_faces_alone_nothing_else_is_learnt(folder: Path) -> None:
    settings = replace(TINY, unlabelled_share=1.0)
    terms, pred, batch, _ = terms_of(folder, settings, {"tough": "tough_more.h5"})
    assert batch.points == {}
    assert terms["total"] == terms["unlabelled"] == pytest.approx(float(l1_loss(pred, batch.unlabelled["tough"])))


def test_a_teacher_network_sees_the_very_images(folder: Path) -> None:
    """Without a loss that uses teachers on labelled faces, it is asked about the others alone."""
    _, _, batch, answers = terms_of(folder, HALF, {"tough": "tough.safetensors"})
    teacher = load_model(folder / "tough.safetensors", CPU)
    with torch.no_grad():
        assert torch.allclose(answers.unlabelled["tough"], teacher(batch.images[8:]), atol=1e-6)
    assert answers.labelled == {}
    _, _, batch, answers = terms_of(folder, replace(HALF, loss="l1+mimic"), {"tough": "tough.safetensors"})
    with torch.no_grad():
        assert torch.allclose(answers.labelled["tough"], teacher(batch.images)[:8], atol=1e-6)


# ---- what to trust
def test_a_weighted_mean() -> None:
    values = torch.tensor([[[1.0, 1.0], [4.0, 4.0]]])
    known = torch.ones_like(values, dtype=torch.bool)
    assert float(mean_of_known(values, known, torch.tensor([[3.0, 1.0]]))) == pytest.approx((3 * 1 + 4) / 4)
    assert float(mean_of_known(values, known, torch.zeros(1, 2))) == 0


def test_trust_by_confidence_and_by_agreement(folder: Path) -> None:
    cached = {"tough": "tough_more.h5", "tolerant": "tolerant_more.h5"}
    terms, pred, batch, answers = terms_of(folder, replace(HALF, trust="confidence"), {"tough": "tough_more.h5"})
    error = (pred[8:] - batch.unlabelled["tough"]).abs().mean(dim=2)
    weight = batch.confidence
    assert terms["unlabelled"] == pytest.approx(float((error * weight).sum() / weight.sum()), rel=1e-5)
    assert terms["trust"] == pytest.approx(float(weight.mean()))
    settings = replace(HALF, trust="agreement", trust_scale=0.05, augmentation="none")
    terms, _, _, answers = terms_of(folder, settings, cached)
    distance = np.hypot(2, 2) / 48  # px of 48
    assert answers.trust.numpy() == pytest.approx(np.exp(-((distance / 0.05) ** 2)), rel=1e-4)
    assert float(agreement_trust(torch.full((1, 1, 2), torch.nan), torch.zeros(1, 1, 2), 1.0)) == 0


def test_trust_by_views_is_full_for_a_teacher_that_does_not_mind_the_mirror(folder: Path) -> None:
    _, _, batch, answers = terms_of(folder, replace(HALF, trust="views"), {"tough": "tough.safetensors"})
    teacher = load_model(folder / "tough.safetensors", CPU)
    with open_faces(folder / "faces.h5") as faces:
        mirror = torch.tensor(faces.scheme.mirror)
    with torch.no_grad():
        plain, turned = teacher(batch.images[8:]), teacher(batch.images[8:].flip(3))
    back = warp_points(turned, torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).repeat(8, 1, 1), torch.ones(8).bool(), mirror)
    assert torch.allclose(mirrored_points(turned, mirror), back, atol=1e-6)
    expected = torch.exp(-(((plain - back).norm(dim=2) / 0.02) ** 2))
    assert torch.allclose(answers.trust, expected, atol=1e-5)


@pytest.mark.parametrize("loss", ["l1", "l1+assist", "l1+mimic", "smooth+mimic", "kd"])
def test_a_point_that_is_not_trusted_counts_in_no_term(loss: str) -> None:
    """Not in those of the teachers either, which mimicking adds."""
    generator = torch.Generator().manual_seed(0)
    truth, tough, tolerant = (torch.rand(1, 4, 2, generator=generator) for _ in range(3))
    trust = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    near, far = torch.zeros(1, 4, 2), torch.zeros(1, 4, 2)
    far[:, 3] = 5
    teachers = {"tough": tough, "tolerant": tolerant}
    for one, other in zip(
        *(loss_terms(loss, pred, truth, teachers, trust=trust).values() for pred in (near, far)), strict=True
    ):
        assert float(one) == pytest.approx(float(other))


@pytest.mark.parametrize(
    ("trust", "teachers", "message"),
    [
        ("confidence", {"tough": "tough_both.h5"}, "states its confidence"),
        ("confidence", {"tough": "tough.safetensors"}, "states its confidence"),
        ("agreement", {"tough": "tough_more.h5"}, "compares two teachers"),
        ("views", {"tough": "tough_more.h5"}, "mirrored image: a model file"),
    ],
)
def test_trust_that_the_teachers_cannot_tell(folder: Path, trust: str, teachers: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message), load(folder, replace(HALF, trust=trust), teachers):
        pass


# ---- files that do and do not go together
def test_a_face_without_a_prediction_and_other_crops_are_refused(folder: Path, tmp_path: Path) -> None:
    images, points = drawn_faces(24, 40, 11)
    write_faces(tmp_path / "faces.h5", points, images=images, crop=CropRule(0.2))
    write_faces(tmp_path / "tough.h5", points, role="predicted")
    for name, rule in (("detector", CropRule(0.2, "detector")), ("wide", CropRule(0.5, "detector"))):
        write_faces(tmp_path / f"{name}.h5", points + 3, images=images, crop=rule)
    recorder = Recorder()
    with load(tmp_path, HALF, {"tough": "tough.h5"}, recorder, unlabelled=tmp_path / "detector.h5") as task:
        assert torch.equal(task.unlabelled.points["tough"], task.train.points["truth"])  # not its own landmarks
    assert any("its landmarks are not used" in line for line in recorder.said)
    with pytest.raises(DataError, match=r"margin of 0\.5") as caught:
        load(tmp_path, HALF, {"tough": "tough.h5"}, unlabelled=tmp_path / "wide.h5").__enter__()
    assert "--margin 0.2" in caught.value.hint
    with pytest.raises(DataError, match="lacks 20 of the 20 faces"):
        load(folder, HALF, {"tough": str(tmp_path / "tough.h5")}).__enter__()
    with pytest.raises(DataError, match="lacks 24 of the 24 faces"):  # of the labelled ones, which mimic too
        load(folder, replace(HALF, loss="l1+mimic"), {"tough": "tough_more.h5"}).__enter__()


def test_photographs_that_nobody_cropped_are_refused_beside_crops(folder: Path, tmp_path: Path) -> None:
    """`kd-import photos` looks for no faces, so the teacher would find points in whole photographs."""
    images, points = drawn_faces(24, 40, 11)
    write_faces(tmp_path / "faces.h5", points, images=images, crop=CropRule(0.3))
    more, _ = drawn_faces(20, 48, 12)
    whole = np.tile(np.float32([0, 0, 48, 48]), (20, 1))
    shared: dict[str, Any] = {"images": more, "ids": [f"more{k}" for k in range(20)], "box": whole}
    found = {"tough": str(folder / "tough_more.h5")}
    path = write_faces(tmp_path / "more.h5", **shared)
    with pytest.raises(DataError, match="holds whole images, in which no faces were looked for") as caught:
        load(tmp_path, HALF, found, unlabelled=path).__enter__()
    assert "--detector finder --margin 0.3" in caught.value.hint
    asked = replace(Provenance("test"), detector={"name": "whole"})
    write_faces(path, **shared, provenance=asked)
    with load(tmp_path, HALF, found, unlabelled=path) as task:
        assert len(task.unlabelled) == 20


# ---- a run
def log_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.with_suffix(".log.jsonl").read_text().splitlines()]


def test_a_stopped_run_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    from kdtools.training.run import Callbacks
    from kdtools.training.trainer import Stopped

    settings = replace(HALF, trust="agreement", augmentation="strong", ema=0.9, trust_scale=0.1)
    teachers = {"tough": "tough.safetensors", "tolerant": "tolerant_more.h5"}
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train_model(run_of(folder, whole, settings, teachers), provenance=Provenance("test"))
    n_steps: list[Any] = []
    stopping = Callbacks(on_step=n_steps.append, stop_asked=lambda: len(n_steps) == 3)
    with pytest.raises(Stopped):
        train_model(run_of(folder, parts, settings, teachers), SILENT, stopping, Provenance("test"))
    train_model(run_of(folder, parts, settings, teachers, resume=True), provenance=Provenance("test"))
    assert whole.read_bytes() == parts.read_bytes()
    of_clock = ("seconds", "images_per_second")
    assert [{k: v for k, v in line.items() if k not in of_clock} for line in log_of(whole)] == [
        {k: v for k, v in line.items() if k not in of_clock} for line in log_of(parts)
    ]
    assert set(log_of(whole)[0]["terms"]) == {"total", "unlabelled", "trust"}


def test_other_unlabelled_faces_are_another_run(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "s.safetensors"
    run = run_of(folder, output, replace(HALF, epochs=1), {"tough": "tough.safetensors"})
    train_model(run, provenance=Provenance("test"))
    output.unlink()
    other, _ = drawn_faces(20, 48, 13)
    write_faces(tmp_path / "other.h5", images=other, ids=[f"more{k}" for k in range(20)])
    changed = replace(run, resume=True, unlabelled_path=str(tmp_path / "other.h5"))
    with pytest.raises(UsageError, match="other faces, points or teachers"):
        train_model(changed, provenance=Provenance("test"))
    with pytest.raises(UsageError, match=r"trained with unlabelled_share = 0\.5, not 0\.2"):
        train_model(replace(run, resume=True, settings=replace(run.settings, unlabelled_share=0.2)))
    with pytest.raises(UsageError, match=r"trained with unlabelled_share = 0\.5, not 0\.0"):
        train_model(replace(run, resume=True, settings=replace(TINY, epochs=1), unlabelled_path=None, teachers={}))


def test_the_file_says_what_it_learnt_from(folder: Path, tmp_path: Path) -> None:
    images, _ = drawn_faces(20, 48, 12)
    lineage = Lineage.of_data(["snapshots"], "for research only")
    more = write_faces(
        tmp_path / "more.h5",
        images=images,
        ids=[f"more{k}" for k in range(20)],
        provenance=replace(Provenance("test"), lineage=lineage),
    )
    output = tmp_path / "s.safetensors"
    settings = replace(TINY, unlabelled_share=1.0, epochs=1)
    run = replace(run_of(folder, output, settings, {"tough": "tough_more.h5"}), unlabelled_path=str(more))
    train_model(run, provenance=Provenance("test"))
    card, fields = read_card(output)
    assert card.settings["unlabelled_share"] == 1.0
    assert json.loads(fields["roles"])["unlabelled"] == str(more)
    assert "snapshots" in fields["trained_on"]
    assert fields["terms"]["snapshots"] == "for research only"
    assert load_file(output)


def test_without_unlabelled_faces_files_hold_no_settings_of_theirs(folder: Path) -> None:
    card, _ = read_card(folder / "tough.safetensors")
    assert not {"unlabelled_share", "w_unlabelled", "trust", "trust_scale"} & set(card.settings)


# ---- settings
@pytest.mark.parametrize(
    ("settings", "unlabelled", "teachers", "message"),
    [
        (TINY, True, {"tough": "tough_more.h5"}, "unlabelled_share=0 takes no face"),
        (HALF, False, {"tough": "tough_more.h5"}, "needs unlabelled faces"),
        (HALF, True, {"tolerant": "tolerant_more.h5"}, "needs --tough"),
    ],
)
def test_share_faces_and_teacher_belong_together(
    folder: Path, tmp_path: Path, settings: Settings, unlabelled: bool, teachers: dict[str, str], message: str
) -> None:
    run = run_of(folder, tmp_path / "s.safetensors", settings, teachers)
    with pytest.raises(KdError, match=message):
        train_model(run if unlabelled else replace(run, unlabelled_path=None), provenance=Provenance("test"))


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["unlabelled_share=0.95"], "--set unlabelled_share is 0.95"),
        (["unlabelled_share=-0.1"], "--set unlabelled_share is -0.1"),
        (["trust=views"], "without --unlabelled, --set trust would do nothing"),
        (["unlabelled_share=0.5", "trust=confidence", "trust_scale=0.1"], "trust=confidence, --set trust_scale"),
        (["unlabelled_share=0.5", "trust=hope"], "--set trust is 'hope'"),
    ],
)
def test_settings_that_do_nothing_or_are_out_of_range(assignments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_settings("kd-student", "default", {"loss": "l1"}, assignments)


def test_best_is_what_there_is_to_learn_from() -> None:
    assert resolve_student_settings("best", {}).loss == "l1"
    mimic = resolve_student_settings("best", {}, teachers=["tough"])
    assert mimic == resolve_settings("kd-student", "best+mimic", {})
    assert (mimic.loss, mimic.w_main, mimic.w_tough) == ("l1+mimic", 1.0, 3.0)
    more = resolve_student_settings("best", {}, teachers=["tough"], unlabelled=True)
    assert (more.loss, more.unlabelled_share) == ("l1", 0.5)
    assert resolve_student_settings("best", {}, ["unlabelled_share=1"], unlabelled=True).unlabelled_share == 1
