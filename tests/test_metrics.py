"""Metrics: figures that can be checked by head, and those of another program for real predictions."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from kdtools import metrics
from kdtools.errors import DataError
from kdtools.metrics import (
    NORMALISERS,
    area_under_ced,
    failure_rate,
    nme_per_face,
    normaliser_per_face,
    summarise,
    threshold_label,
)

EYES = {"outer_corners": (36, 45), "left_eye": range(36, 42), "right_eye": range(42, 48)}


def test_docstring_examples() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted >= 9
    assert result.failed == 0


def test_figures_of_another_program(shared_dir: Path) -> None:
    golden = shared_dir / "golden"
    expected = json.loads((golden / "300wpublic_expected.json").read_text())["expected"]
    with h5py.File(golden / "300wpublic_truth.h5") as file:
        ids, gt = file["id"][()], file["landmarks"][()]
        subsets = {name: mask[()] for name, mask in file["subset"].items()} | {"full": np.ones(len(ids), bool)}
    with h5py.File(golden / "300wpublic_pred.h5") as file:
        row = {name: i for i, name in enumerate(file["id"][()])}
        pred = file["landmarks"][()][[row[name] for name in ids]]
    assert set(subsets) == set(expected)
    for kind in NORMALISERS:
        nme = nme_per_face(gt, pred, normaliser_per_face(gt, kind, **EYES))
        for subset, mask in subsets.items():
            figures = summarise(nme[mask], (0.05, 0.07, 0.08, 0.1))
            rounded = {key: round(value, 6) for key, value in figures.items() if value is not None}
            assert rounded == expected[subset][kind], (subset, kind)
            assert list(figures) == list(expected[subset][kind])


def random_faces(seed: int = 0, n: int = 50, n_points: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 100, (n, n_points, 2))
    return gt, gt + rng.normal(0, 2, gt.shape)


def test_points_missing_in_the_truth_do_not_count() -> None:
    gt, pred = random_faces()
    norm = np.full(len(gt), 10.0)
    hole = gt.copy()
    hole[:, 2] = np.nan
    rest = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(nme_per_face(hole, pred, norm), nme_per_face(gt[:, rest], pred[:, rest], norm))
    half = gt.copy()
    half[:, 2, 0] = np.nan  # a point with one number is not annotated
    np.testing.assert_array_equal(nme_per_face(half, pred, norm), nme_per_face(hole, pred, norm))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_prediction_is_a_failure_and_not_silent(bad: float) -> None:
    gt, pred = random_faces(n=4)
    pred[1, 3, 0] = bad
    gt[2, 3], pred[2, 3] = np.nan, bad  # not annotated, so nothing is missing
    nme = nme_per_face(gt, pred, np.full(4, 100.0))
    assert np.isposinf(nme).tolist() == [False, True, False, False]
    assert np.isfinite(nme[[0, 2, 3]]).all()
    figures = summarise(nme, [0.5])
    assert figures["n"] == 4
    assert figures["nme_percent"] == np.inf
    assert figures["fr@0.50_percent"] == 25
    assert figures["auc@0.50_percent"] == pytest.approx(100 * np.sum(1 - nme[[0, 2, 3]] / 0.5) / 4)


def test_quantiles_with_infinite_faces_are_never_nan() -> None:
    nme = [0.01, 0.02, 0.03] + [np.inf] * 2
    assert [summarise(nme, [])[p] for p in ("p50", "p90", "p95")] == [3.0, np.inf, np.inf]
    assert summarise([0.01, np.inf], [])["p50"] == np.inf
    rng = np.random.default_rng(1)
    finite = rng.exponential(0.04, 137)
    for share in (50, 90, 95):
        assert summarise(finite, [])[f"p{share}"] == pytest.approx(100 * np.quantile(finite, share / 100), rel=1e-12)


def test_faces_that_cannot_be_measured() -> None:
    gt, pred = random_faces(n=5)
    gt[0] = np.nan
    nme = nme_per_face(gt, pred, [10, 0, np.nan, np.inf, 10])
    assert np.isnan(nme).tolist() == [True, True, True, True, False]
    figures = summarise(nme, [0.08])
    assert (figures["n"], figures["unmeasured"]) == (1, 4)
    assert figures["p50"] == pytest.approx(100 * nme[4])
    assert "unmeasured" not in summarise(nme[4:], [0.08])


@pytest.mark.parametrize("nme", [[], [np.nan, np.nan]])
def test_nothing_measured_gives_none(nme: list[float]) -> None:
    figures = summarise(nme, [0.08])
    assert figures.pop("n") == 0
    assert figures.pop("unmeasured", 0) == len(nme)
    assert set(figures) == {"nme_percent", "p50", "p90", "p95", "fr@0.08_percent", "auc@0.08_percent"}
    assert all(value is None for value in figures.values())
    with pytest.raises(DataError, match="no face could be measured"):
        failure_rate(nme, 0.08)
    with pytest.raises(DataError, match="no face could be measured"):
        area_under_ced(nme, 0.08)


def test_area_is_that_of_the_step_curve() -> None:
    nme = np.random.default_rng(2).exponential(0.05, 200)
    grid = (np.arange(200_000) + 0.5) / 200_000 * 0.08
    curve = np.searchsorted(np.sort(nme), grid, side="right") / len(nme)
    assert area_under_ced(nme, 0.08) == pytest.approx(curve.mean(), abs=1e-5)
    assert area_under_ced([0, np.nan, np.inf], 0.08) == 0.5


def test_failure_is_strictly_above_the_threshold() -> None:
    assert failure_rate([0.08, np.nextafter(0.08, 1), np.nan], 0.08) == 0.5


def test_normalisers() -> None:
    gt, _ = random_faces(n=20)
    eyes = {"outer_corners": (0, 5), "left_eye": [0, 1], "right_eye": [4, 5]}
    left, right = gt[:, :2].mean(axis=1), gt[:, 4:].mean(axis=1)
    side = gt.max(axis=1) - gt.min(axis=1)
    expected = {
        "inter-ocular": np.linalg.norm(gt[:, 0] - gt[:, 5], axis=1),
        "inter-pupil": np.linalg.norm(left - right, axis=1),
        "box-diagonal": np.linalg.norm(side, axis=1),
        "box-size": np.sqrt(side[:, 0] * side[:, 1]),
    }
    assert tuple(expected) == NORMALISERS
    for kind, values in expected.items():
        np.testing.assert_allclose(normaliser_per_face(gt, kind, **eyes), values)


def test_normalisers_with_missing_points() -> None:
    gt, _ = random_faces(n=3)
    gt[0, 5], gt[1] = np.nan, np.nan
    ocular = normaliser_per_face(gt, "inter-ocular", outer_corners=(0, 5))
    pupil = normaliser_per_face(gt, "inter-pupil", left_eye=[0, 1], right_eye=[4, 5])
    box = normaliser_per_face(gt, "box-diagonal")
    assert np.isnan([ocular, pupil, box]).tolist() == [[True, True, False]] * 2 + [[False, True, False]]
    assert box[0] == pytest.approx(np.linalg.norm(np.ptp(gt[0, :5], axis=0)))


@pytest.mark.filterwarnings("error")
def test_blocks_change_nothing_and_lists_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gt, pred = random_faces(n=50)
    gt[7, 1], gt[9, 1, 1], pred[11, 0], gt[13] = np.nan, np.inf, np.inf, np.nan
    whole = nme_per_face(gt, pred, normaliser_per_face(gt, "box-size"))
    monkeypatch.setattr(metrics, "BLOCK_FACES", 7)
    as_lists = nme_per_face(gt.tolist(), pred.tolist(), normaliser_per_face(gt.tolist(), "box-size"))
    np.testing.assert_array_equal(whole, as_lists)
    assert normaliser_per_face(gt[:0], "box-size").shape == nme_per_face(gt[:0], pred[:0], []).shape == (0,)


def test_labels() -> None:
    labels = [threshold_label(t) for t in (0.05, 0.08, 0.1, 0.125, 1, 0.07)]
    assert labels == ["0.05", "0.08", "0.10", "0.125", "1.00", "0.07"]


def test_errors_say_what_is_wrong() -> None:
    gt, pred = random_faces(n=3)
    ones = np.ones(3)
    with pytest.raises(DataError, match="unknown normaliser 'eyes'"):
        normaliser_per_face(gt, "eyes")
    with pytest.raises(DataError, match="outer eye corners"):
        normaliser_per_face(gt, "inter-ocular")
    with pytest.raises(DataError, match="points of both eyes"):
        normaliser_per_face(gt, "inter-pupil", left_eye=[0], right_eye=[])
    with pytest.raises(DataError, match=r"point 45 .* 6 points"):
        normaliser_per_face(gt, "inter-ocular", outer_corners=(3, 45))
    with pytest.raises(DataError, match="3 faces of truth, 2 of predictions"):
        nme_per_face(gt, pred[:2], ones)
    with pytest.raises(DataError, match=r"normalisers of the form \(2,\)"):
        nme_per_face(gt, pred, ones[:2])
    with pytest.raises(DataError, match="4 points per face in the predictions, but the truth has 6"):
        nme_per_face(gt, pred[:, :4], ones)
    with pytest.raises(DataError, match="points of the form"):
        nme_per_face(gt[..., 0], pred, ones)
    for threshold in (0, -1, np.nan, np.inf):
        with pytest.raises(DataError, match="threshold"):
            failure_rate([0.1], threshold)
        with pytest.raises(DataError, match="threshold"):
            summarise([], [threshold])
