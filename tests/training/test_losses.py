"""Losses against the reference values and against arithmetic one can check by head."""

from __future__ import annotations

import doctest
import json
import math
from pathlib import Path

import pytest
import torch

from kdtools.errors import UsageError
from kdtools.training import losses
from kdtools.training.losses import (
    KD_VARIANTS,
    PAPER_WEIGHTS,
    PLAIN_LOSSES,
    LossWeights,
    heat_term,
    heatmap_loss,
    kd_loss,
    l1_loss,
    l2_loss,
    loss_terms,
    smooth_loss,
    wing_loss,
)
from kdtools.training.settings import MAIN_LOSSES

NAMES = ("pred", "truth", "tough", "tolerant")


def random_batch(seed: int, b: int = 3, n: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(b, n, 2, generator=generator, dtype=torch.float64) - 0.5
    spread = {"pred": 0.05, "truth": 0.0, "tough": 0.01, "tolerant": 0.02}
    return {
        name: truth + spread[name] * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
        for name in NAMES
    }


def test_kd_loss_agrees_with_reference_values(shared_dir: Path) -> None:
    reference = json.loads((shared_dir / "golden" / "kd_loss.json").read_text())
    assert len(reference["cases"]) >= 8
    for case in reference["cases"]:
        tensors = {name: torch.tensor(case[name], dtype=torch.float64) for name in NAMES}
        tensors["pred"].requires_grad_()
        terms = kd_loss(**tensors, variant=case["variant"])
        terms["total"].backward()
        assert terms.keys() == case["terms"].keys()
        for name, value in case["terms"].items():
            assert terms[name].item() == pytest.approx(value, abs=1e-9)
        torch.testing.assert_close(
            tensors["pred"].grad, torch.tensor(case["grad_pred"], dtype=torch.float64), atol=1e-9, rtol=0
        )


def test_constants_are_those_of_the_reference(shared_dir: Path) -> None:
    constants = json.loads((shared_dir / "golden" / "kd_loss.json").read_text())["constants"]
    for name, expected in constants.items():
        ours = KD_VARIANTS[name]
        assert [*ours.alpha_tough, *ours.alpha_tolerant] == [*expected["tough"], *expected["tolerant"]]
        assert (ours.beta, ours.c, ours.ramp) == (expected["beta"], expected["c"], expected["ramp"])
        assert [PAPER_WEIGHTS.main, PAPER_WEIGHTS.tough, PAPER_WEIGHTS.tolerant] == expected["w"]


@pytest.mark.parametrize("variant", KD_VARIANTS)
def test_gradient_is_that_of_the_value_with_constant_weights(variant: str) -> None:
    """The weight ω takes no gradient, so the gradient of an assistive term is ∓ω·sign(e) / count."""
    one = random_batch(1)
    one["pred"].requires_grad_()
    kd_loss(**one, variant=variant)["tough"].backward()
    constants = KD_VARIANTS[variant]
    error, t = (one["pred"] - one["truth"]).detach(), (one["tough"] - one["truth"]).abs()
    size = error.abs()
    inside = constants.alpha_tough[1] * size / (constants.beta * t) if constants.ramp else torch.zeros_like(size)
    weight = torch.where(
        size > t,
        constants.alpha_tough[0],
        torch.where(size >= constants.beta * t, constants.alpha_tough[1], inside),
    )
    slope = torch.where(size > t, weight, -weight) * error.sign() / error.numel()
    torch.testing.assert_close(one["pred"].grad, slope)


def test_teacher_without_error_pulls_like_l1() -> None:
    one = random_batch(2)
    terms = kd_loss(one["pred"], one["truth"], one["truth"], one["truth"], "figure")
    l1 = l1_loss(one["pred"], one["truth"])
    torch.testing.assert_close(terms["tough"], l1)
    torch.testing.assert_close(terms["main"], l2_loss(one["pred"], one["truth"]))


def test_side_of_the_teacher_does_not_matter() -> None:
    one = random_batch(3)
    mirrored = {name: 2 * one["truth"] - one[name] for name in ("tough", "tolerant")}
    for variant in KD_VARIANTS:
        torch.testing.assert_close(
            kd_loss(**one, variant=variant)["total"], kd_loss(**{**one, **mirrored}, variant=variant)["total"]
        )


@pytest.mark.parametrize("loss", ["l1", "l2", "wing", "kd"])
def test_points_that_are_not_annotated_count_for_nothing(loss: str) -> None:
    full = random_batch(4)
    cut = {name: value[:, :4] for name, value in full.items()}
    holes = {name: value.clone() for name, value in full.items()}
    holes["truth"][:, 4] = math.nan
    holes["pred"].requires_grad_()
    teachers = {name: holes[name] for name in ("tough", "tolerant")}
    total = loss_terms(loss, holes["pred"], holes["truth"], teachers)["total"]
    expected = loss_terms(loss, cut["pred"], cut["truth"], {k: cut[k] for k in teachers})["total"]
    torch.testing.assert_close(total, expected)
    total.backward()
    assert torch.isfinite(holes["pred"].grad).all()
    assert (holes["pred"].grad[:, 4] == 0).all()


def test_missing_teacher_point_leaves_the_main_term() -> None:
    one = random_batch(5)
    one["tough"][:] = math.nan
    terms = kd_loss(**one)
    assert terms["tough"].item() == 0
    assert torch.isfinite(terms["total"])


def test_wing_loss_meets_where_its_parts_join() -> None:
    width, zero = 10 / 256, torch.zeros(1, 1, 2, dtype=torch.float64)
    near, far = (wing_loss(zero + width + step, zero).item() for step in (-1e-9, 1e-9))
    assert near == pytest.approx(far, abs=1e-7)
    # w·ln(1 + w/ε) = 10/256 · ln 6
    assert near == pytest.approx(width * math.log(6), abs=1e-7)


def test_smooth_loss_is_l1_whose_gradient_does_not_jump() -> None:
    zero, width = torch.zeros(1, 1, 2, dtype=torch.float64), 2 / 256
    error = torch.tensor([[[width / 2, 5 * width]]], dtype=torch.float64, requires_grad=True)
    loss = smooth_loss(error, zero)
    assert loss.item() == pytest.approx((width / 8 + 4.5 * width) / 2)
    loss.backward()
    assert error.grad is not None
    assert error.grad.flatten().tolist() == pytest.approx([0.25, 0.5])  # of a mean of two: half as steep, then as L1


@pytest.mark.parametrize("main", MAIN_LOSSES)
def test_teachers_on_any_main_loss(main: str) -> None:
    """The terms are the functions of their names, and the total is their weighted sum; each teacher may be absent."""
    one = random_batch(7)
    teachers = {name: one[name] for name in ("tough", "tolerant")}
    weights = LossWeights(0.5, 2.0, 3.0)
    plain = PLAIN_LOSSES[main]
    expected = {"main": plain(one["pred"], one["truth"])}
    mimic = {**expected, **{name: plain(one["pred"], teacher) for name, teacher in teachers.items()}}
    assist = {**expected, **{name: kd_loss(**one, variant="figure")[name] for name in teachers}}
    for form, terms in (("mimic", mimic), ("assist", assist)):
        for given in ((), ("tough",), ("tolerant",), ("tough", "tolerant")):
            found = loss_terms(
                f"{main}+{form}", one["pred"], one["truth"], {n: teachers[n] for n in given}, "figure", weights
            )
            assert found.keys() == {"main", *given, "total"}
            total = 0.5 * terms["main"] + sum({"tough": 2.0, "tolerant": 3.0}[n] * terms[n] for n in given)
            torch.testing.assert_close(found["total"], total)
            for name in ("main", *given):
                torch.testing.assert_close(found[name], terms[name])


def test_l1_mimic_of_equal_weights_has_its_minimum_at_the_median() -> None:
    one = random_batch(8)
    others = torch.stack([one["truth"], one["tough"], one["tolerant"]])
    teachers = {name: one[name] for name in ("tough", "tolerant")}

    def total(pred: torch.Tensor) -> float:
        return loss_terms("l1+mimic", pred, one["truth"], teachers, weights=LossWeights(1, 1, 1))["total"].item()

    least = total(others.median(dim=0).values)
    for step in (-1e-4, 1e-4):
        assert total(others.median(dim=0).values + step) > least


def test_weights_count_in_kd_loss_too() -> None:
    one = random_batch(9)
    teachers = {name: one[name] for name in ("tough", "tolerant")}
    terms = loss_terms("kd", one["pred"], one["truth"], teachers, "reference", LossWeights(1.0, 0.0, 4.0))
    torch.testing.assert_close(terms["total"], terms["main"] + 4 * terms["tolerant"])


def test_a_heatmap_is_best_where_it_is_a_gaussian_around_the_point() -> None:
    """A 3 x 4 map, a point a quarter of a cell off the centre of the cell in row 1, column 2, and an unknown one."""
    truth = torch.tensor([[[0.125 + 0.25 / 4, 0.0], [float("nan"), 0.0]]], dtype=torch.float64)
    column, row = torch.arange(4.0, dtype=torch.float64), torch.arange(3.0, dtype=torch.float64)
    gaussian = -((column - 2.25).square() + (row[:, None] - 1).square()) / (2 * 0.7**2)
    heatmaps = torch.stack([gaussian, torch.full((3, 4), 7.0, dtype=torch.float64)])[None].requires_grad_()
    least = heatmap_loss(heatmaps, truth)
    share = gaussian.flatten().softmax(dim=0)
    torch.testing.assert_close(least.detach(), -(share * share.log()).sum())
    least.backward()
    assert heatmaps.grad is not None
    assert heatmaps.grad.abs().max() < 1e-6  # of float32 cell centres


def test_a_heatmap_of_a_point_outside_the_image_is_drawn_to_the_border() -> None:
    heatmaps = torch.zeros(1, 1, 2, 2, requires_grad=True)
    heatmap_loss(heatmaps, torch.tensor([[[3.0, -0.25]]])).backward()
    assert heatmaps.grad is not None
    assert heatmaps.grad[0, 0].argmin() == 1  # row 0, column 1 grows most


def test_unknown_variant_is_refused() -> None:
    one = random_batch(6)
    with pytest.raises(UsageError, match="variant 'best'"):
        kd_loss(**one, variant="best")


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(losses).failed == 0


def test_heatmaps_mimic_where_points_do() -> None:
    one = random_batch(10)
    teachers = {name: one[name] for name in ("tough", "tolerant")}
    heatmaps = torch.randn(3, 5, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    to = {name: heatmap_loss(heatmaps, one[name]) for name in ("truth", *teachers)}
    mimic = heat_term(heatmaps, one["truth"], teachers, "l1+mimic", LossWeights(1, 2, 5))
    torch.testing.assert_close(mimic, (to["truth"] + 2 * to["tough"] + 5 * to["tolerant"]) / 8)
    for loss in ("l1", "kd", "l1+assist"):
        torch.testing.assert_close(heat_term(heatmaps, one["truth"], teachers, loss), to["truth"])
    assert heat_term(heatmaps, one["truth"], {}, "l1+mimic", LossWeights(0, 1, 1)) == 0
