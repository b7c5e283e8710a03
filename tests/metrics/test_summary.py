"""Figures of many faces: against plain formulas and the published codes, and where they are not defined."""

from __future__ import annotations

import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.metrics import area_under_binned_ced, area_under_ced, failure_rate, summarise, threshold_label


def some_nme(n: int = 200, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(np.log(0.04), 0.4, n)


def test_figures_are_those_of_plain_formulas() -> None:
    nme = some_nme(137)
    figures = summarise(nme, [0.08, 0.05], binned_step=0.0001)
    expected = {
        "n": 137,
        "nme_percent": 100 * nme.mean(),
        **{f"p{q}": 100 * np.quantile(nme, q / 100) for q in (50, 90, 95, 99)},
    }
    for t, label in ((0.08, "0.08"), (0.05, "0.05")):
        expected[f"fr@{label}_percent"] = 100 * (nme > t).mean()
        expected[f"auc@{label}_percent"] = 100 * np.maximum(0, 1 - nme / t).mean()
        expected[f"auc_binned@{label}_percent"] = 100 * area_under_binned_ced(nme, t)
        assert figures[f"fr@{label}_percent"] == 100 * failure_rate(nme, t)
        assert figures[f"auc@{label}_percent"] == 100 * area_under_ced(nme, t)
    assert list(figures) == list(expected)
    assert figures == pytest.approx(expected, rel=1e-12)
    assert not [key for key in summarise(nme, [0.08]) if "binned" in key]


def test_area_is_that_of_the_step_curve() -> None:
    nme = some_nme()
    grid = (np.arange(200_000) + 0.5) / 200_000 * 0.08
    curve = np.searchsorted(np.sort(nme), grid, side="right") / len(nme)
    assert area_under_ced(nme, 0.08) == pytest.approx(curve.mean(), abs=1e-5)
    assert area_under_ced([0, np.nan, np.inf], 0.08) == 0.5


@pytest.mark.parametrize(
    ("threshold", "beyond"), [(0.08, False), (0.1, False), (0.05, True), (0.07, True), (0.0002, False)]
)
def test_binned_area_is_that_of_the_published_codes(threshold: float, beyond: bool) -> None:
    from scipy.integrate import simpson, trapezoid

    nme = np.append(some_nme(689), [0.0001, 0.05005, np.inf, np.nan])
    xs = np.arange(0, threshold + 0.0001, 0.0001)
    ys = np.array([np.count_nonzero(nme <= x) for x in xs]) / 692
    assert (xs[-1] > threshold + 0.00005) == (len(xs) % 2 == 0) == beyond
    if beyond:  # scipy before 1.11
        first, last = trapezoid(ys[:2], x=xs[:2]), trapezoid(ys[-2:], x=xs[-2:])
        area = (simpson(ys[1:], x=xs[1:]) + first + simpson(ys[:-1], x=xs[:-1]) + last) / 2
        assert simpson(ys, x=xs) / threshold == pytest.approx(area / threshold, abs=1e-4)
    else:
        area = simpson(ys, x=xs)
    assert area_under_binned_ced(nme, threshold) == pytest.approx(area / threshold, rel=1e-12)


def test_binned_area_comes_close_to_the_exact_one_where_the_samples_end_in_time() -> None:
    nme = some_nme(2000)
    assert area_under_binned_ced(nme, 0.08) == pytest.approx(area_under_ced(nme, 0.08), abs=1e-4)
    excess = area_under_binned_ced(nme, 0.05) - area_under_ced(nme, 0.05)
    assert excess == pytest.approx((nme <= 0.05).mean() * 0.0001 / 0.05, abs=1e-4)


def test_failure_is_strictly_above_the_threshold() -> None:
    assert failure_rate([0.08, np.nextafter(0.08, 1), np.nan], 0.08) == 0.5
    assert summarise([0.08, np.nextafter(0.08, 1), np.nan], [0.08])["fr@0.08_percent"] == 50


@pytest.mark.filterwarnings("error")
def test_infinite_faces_count_and_are_never_nan() -> None:
    nme = [0.01, 0.02, 0.03] + [np.inf] * 2
    figures = summarise(nme, [0.04], binned_step=0.0001)
    assert [figures[p] for p in ("p50", "p90", "p95", "p99")] == [3.0, np.inf, np.inf, np.inf]
    assert (figures["n"], figures["nme_percent"], figures["fr@0.04_percent"]) == (5, np.inf, 40)
    assert figures["auc@0.04_percent"] == pytest.approx(100 * (3 / 4 + 2 / 4 + 1 / 4) / 5)
    assert summarise([0.01, np.inf], [])["p50"] == np.inf
    nobody = summarise([np.inf], [0.08], binned_step=0.0001)
    assert (nobody["n"], nobody["nme_percent"], nobody["p99"]) == (1, np.inf, np.inf)
    assert (nobody["fr@0.08_percent"], nobody["auc@0.08_percent"], nobody["auc_binned@0.08_percent"]) == (100, 0, 0)


def test_one_face() -> None:
    figures = summarise([0.04], [0.08], binned_step=0.0001)
    assert {figures[key] for key in ("nme_percent", "p50", "p90", "p95", "p99")} == {4.0}
    assert (figures["fr@0.08_percent"], figures["auc@0.08_percent"]) == (0, 50)
    assert figures["auc_binned@0.08_percent"] == pytest.approx(50, abs=0.1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nme", [[], [np.nan, np.nan]])
def test_nothing_measured_gives_none(nme: list[float]) -> None:
    figures = summarise(nme, [0.08], binned_step=0.0001)
    assert figures.pop("n") == 0
    assert figures.pop("unmeasured", 0) == len(nme)
    assert [*figures] == [
        *("nme_percent", "p50", "p90", "p95", "p99", "fr@0.08_percent", "auc@0.08_percent", "auc_binned@0.08_percent")
    ]
    assert all(value is None for value in figures.values())
    for metric in (failure_rate, area_under_ced, area_under_binned_ced):
        with pytest.raises(DataError, match="no face could be measured"):
            metric(nme, 0.08)


def test_faces_that_cannot_be_measured_stand_behind_n() -> None:
    figures = summarise([np.nan, 0.02, np.nan], [0.08])
    assert list(figures)[:3] == ["n", "unmeasured", "nme_percent"]
    assert (figures["n"], figures["unmeasured"], figures["nme_percent"]) == (1, 2, 2.0)
    assert "unmeasured" not in summarise([0.02], [0.08])


def test_faces_may_come_in_any_order() -> None:
    nme = some_nme()
    assert summarise(nme, [0.05]) == summarise(np.sort(nme)[::-1], [0.05]) == summarise(nme.reshape(20, 10), [0.05])


def test_labels() -> None:
    labels = [threshold_label(t) for t in (0.05, 0.08, 0.1, 0.125, 1, 0.07)]
    assert labels == ["0.05", "0.08", "0.10", "0.125", "1.00", "0.07"]


@pytest.mark.parametrize("threshold", [0, -1, np.nan, np.inf])
def test_thresholds_must_be_above_zero(threshold: float) -> None:
    for metric in (failure_rate, area_under_ced, area_under_binned_ced):
        with pytest.raises(DataError, match="the threshold is"):
            metric([0.1], threshold)
    with pytest.raises(DataError, match="the threshold is"):
        summarise([], [threshold])


@pytest.mark.parametrize("threshold", [0.00019, 1e9])
def test_thresholds_that_steps_do_not_fit(threshold: float) -> None:
    with pytest.raises(DataError, match=r"does not suit steps of 0\.0001") as error:
        area_under_binned_ced([0.1], threshold)
    assert "between 0.0002 and 1000" in error.value.hint
