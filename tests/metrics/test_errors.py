"""Errors of points and faces: what can be checked by head, and figures of another program for real predictions."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kdtools import metrics
from kdtools.errors import DataError
from kdtools.landmarks import IBUG68
from kdtools.metrics import (
    NORMALISERS,
    clean_points,
    jitter_per_face,
    mean_distance,
    nme_per_face,
    normalise,
    normaliser_named,
    outward,
    point_distances,
    signed_normal_errors,
    summarise,
)


def test_every_metric_has_an_example() -> None:
    functions = [getattr(metrics, name) for name in metrics.__all__]
    assert [f.__name__ for f in functions if inspect.isfunction(f) and ">>>" not in (f.__doc__ or "")] == []


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
    assert set(expected["full"]) == {*NORMALISERS} - {"face-height"}
    for kind in expected["full"]:
        nme = nme_per_face(gt, pred, normaliser_named(kind, IBUG68).lengths(clean_points(gt)))
        for subset, mask in subsets.items():
            figures = summarise(nme[mask], (0.05, 0.07, 0.08, 0.1))
            assert figures.pop("p99") == pytest.approx(100 * np.quantile(nme[mask], 0.99), rel=1e-12)
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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
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


def test_faces_that_cannot_be_measured() -> None:
    gt, pred = random_faces(n=5)
    gt[0] = np.nan
    nme = nme_per_face(gt, pred, [10, 0, np.nan, np.inf, 10])
    assert np.isnan(nme).tolist() == [True, True, True, True, False]
    figures = summarise(nme, [0.08])
    assert (figures["n"], figures["unmeasured"]) == (1, 4)
    assert figures["p50"] == pytest.approx(100 * nme[4])


@pytest.mark.filterwarnings("error")
def test_distances_and_means_of_some_points() -> None:
    gt, pred = random_faces(n=5)
    gt[0], gt[1, 2], pred[1, 2], pred[2, 1], pred[3, 5] = np.nan, np.nan, np.nan, np.nan, 1e200
    distances = point_distances(gt, pred)
    plain = np.linalg.norm(pred[4] - gt[4], axis=1)
    np.testing.assert_allclose(distances[4], plain, rtol=1e-14)
    assert np.isnan(distances).tolist() == [[True] * 6, [False, False, True] + [False] * 3] + [[False] * 6] * 3
    assert np.argwhere(np.isinf(distances)).tolist() == [[2, 1], [3, 5]]  # 1e200 squared is not a number any more
    np.testing.assert_allclose(
        mean_distance(distances, [0, 2]), [np.nan, distances[1, 0], *distances[2:, [0, 2]].mean(axis=1)]
    )
    assert np.isnan(mean_distance(distances, [])).all()
    np.testing.assert_allclose(normalise(distances, np.arange(5))[1:], distances[1:] / np.arange(1, 5)[:, None])
    assert np.isnan(normalise(distances, np.arange(5))[0]).all()


def test_cleaning_leaves_the_original_alone() -> None:
    points = np.array([[[1, 2], [np.inf, 3], [-np.inf, np.inf], [4, np.nan]]], dtype=np.float32)
    cleaned = clean_points(points)
    assert cleaned.dtype == np.float64
    np.testing.assert_array_equal(cleaned[0], [[1, 2]] + [[np.nan, np.nan]] * 3)
    assert points[0, 1, 1] == 3
    huge = np.full((1, 3, 2), 1e308)  # whose sum is infinite though each is not
    np.testing.assert_array_equal(clean_points(huge), huge)


@pytest.mark.filterwarnings("error")
def test_blocks_change_nothing_and_lists_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gt, pred = random_faces(n=50)
    gt[7, 1], gt[9, 1, 1], pred[11, 0], gt[13] = np.nan, np.inf, np.inf, np.nan
    size = normaliser_named("box-size", IBUG68).lengths(clean_points(gt))
    whole = nme_per_face(gt, pred, size)
    monkeypatch.setattr(importlib.import_module("kdtools.metrics.errors"), "BLOCK_FACES", 7)
    np.testing.assert_array_equal(whole, nme_per_face(gt.tolist(), pred.tolist(), size))
    assert nme_per_face(gt[:0], pred[:0], []).shape == (0,)


def circles(n: int = 8, turn: int = 1) -> np.ndarray:
    """Three circles of n points, of which the radii are 1, 2 and 3 and the middles differ."""
    angle = turn * 2 * np.pi * np.arange(n) / n + 0.3
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius, middle = np.array([1.0, 2.0, 3.0]), np.array([[50.0, 80.0], [-7.0, 9.0], [400.0, 300.0]])
    return middle[:, None] + radius[:, None, None] * ring


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("closed", [True, False])
def test_outward_is_away_from_the_middle_whichever_way_the_outline_runs(turn: int, closed: bool) -> None:
    gt = circles(turn=turn)
    middle = gt.mean(axis=1, keepdims=True)
    pred = middle + (gt - middle) * 1.1
    errors = signed_normal_errors(gt, pred, [(*range(8), 0) if closed else range(8)])
    signed = outward(errors.values, errors.areas)
    ends = 1.0 if closed else np.cos(np.pi / 8)  # an open one ends with its chords, which lean by half a step
    expected = np.outer([0.1, 0.2, 0.3], [ends, 1, 1, 1, 1, 1, 1, ends])
    np.testing.assert_allclose(signed, expected)
    np.testing.assert_allclose(np.abs(errors.areas[:, 0]), 8 / 2 * np.sin(np.pi / 4) * np.array([1, 4, 9]))
    summed = outward(errors.values.sum(axis=0), errors.areas.sum(axis=0))
    np.testing.assert_allclose(summed, expected.sum(axis=0))
    along = np.roll(gt, -1, axis=1) - np.roll(gt, 1, axis=1)
    np.testing.assert_allclose(signed_normal_errors(gt, gt + along, [(*range(8), 0)]).values, 0, atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_normal_errors_where_points_are_missing() -> None:
    gt = circles()
    pred = gt + 1
    gt[0, 3], pred[1, 5], gt[2, 6] = np.nan, np.nan, gt[2, 4]
    errors = signed_normal_errors(gt, pred, [(*range(6), 0), (6,), ()])
    missing = [np.flatnonzero(np.isnan(row)).tolist() for row in errors.values]
    assert missing == [[2, 3, 4, 6, 7], [5, 6, 7], [6, 7]]  # 6 and 7 are on no outline with a direction
    assert errors.areas[0].tolist() == [0] * 8
    assert (errors.areas[1:] != 0).tolist() == [[True] * 6 + [False] * 2] * 2
    assert np.isnan(outward(errors.values, errors.areas)[0]).all()
    coinciding = signed_normal_errors(gt, pred, [(4, 5, 6)])  # in the third face, 5 has no neighbours apart
    assert np.isnan(coinciding.values[2, 5])


def test_a_point_on_two_outlines_takes_the_first() -> None:
    gt, pred = random_faces(n=3)
    both = signed_normal_errors(gt, pred, [(0, 1, 2), (0, 3, 4, 2)])
    first, second = (signed_normal_errors(gt, pred, [line]) for line in ((0, 1, 2), (0, 3, 4, 2)))
    for mixed, one, other in zip(both, first, second, strict=True):
        np.testing.assert_array_equal(mixed[:, [0, 1, 2]], one[:, [0, 1, 2]])
        np.testing.assert_array_equal(mixed[:, [3, 4]], other[:, [3, 4]])


def test_outward_of_real_faces(shared_dir: Path) -> None:
    with h5py.File(shared_dir / "golden" / "300wpublic_truth.h5") as file:
        gt = clean_points(file["landmarks"][()])
    size = normaliser_named("box-size", IBUG68).lengths(gt)[:, None]

    def mean_normal(pred: np.ndarray) -> np.ndarray:
        errors = signed_normal_errors(gt, pred, IBUG68.outlines)
        values = np.nanmean(errors.values / size, axis=0)  # NaN where the lids of a shut eye meet
        return outward(values, errors.areas.sum(axis=0))

    middle = gt[:, 27:31].mean(axis=1, keepdims=True)
    grown = mean_normal(middle + (gt - middle) * 1.1)
    assert (grown[:17] > 0.03).all()  # a jaw that is too wide
    raised = mean_normal(gt - [0, 5])
    assert (raised[17:27] > 0).all()  # brows too high
    assert (raised[31:36] < 0).all()  # nostrils, whose line curves downwards
    for eye in (range(36, 42), range(42, 48)):
        centre = gt[:, eye].mean(axis=1, keepdims=True)
        assert (mean_normal(centre + (gt - centre) * 1.2)[list(eye)] > 0).all()  # eyes too wide open


def test_jitter() -> None:
    gt, _ = random_faces(n=6)
    before = gt - np.random.default_rng(3).normal(0, 1, gt.shape)
    assert jitter_per_face(gt, gt + 3, before, before + 3, np.ones(6)) == pytest.approx(0, abs=1e-12)  # steady, wrong
    shaken = gt.copy()
    shaken[:, 1] += [3, 4]
    np.testing.assert_allclose(jitter_per_face(gt, shaken, before, before, np.full(6, 10)), 5 / 6 / 10)
    gt[0], before[1], shaken[2, 0] = np.nan, np.nan, np.nan
    before_pred = before.copy()
    before_pred[3, 2] = np.inf
    before[4, :5] = np.nan  # only point 5 is left, which was not shaken
    jitter = jitter_per_face(gt, shaken, before, before_pred, [10, 10, 10, 10, 10, 0])
    np.testing.assert_allclose(jitter, [np.nan, np.nan, np.inf, np.inf, 0, np.nan])


def test_errors_say_what_is_wrong() -> None:
    gt, pred = random_faces(n=3)
    ones = np.ones(3)
    cases: list[tuple[str, Any]] = [
        ("3 faces of truth, 2 of predictions", lambda: nme_per_face(gt, pred[:2], ones)),
        (r"normalisers of shape \(2,\)", lambda: nme_per_face(gt, pred, ones[:2])),
        ("4 points per face in the predictions, but the truth has 6", lambda: nme_per_face(gt, pred[:, :4], ones)),
        ("points of shape", lambda: nme_per_face(gt[..., 0], pred, ones)),
        ("2 faces in the predictions, but the truth has 3", lambda: point_distances(gt, pred[:2])),
        ("4 points per face in the predictions", lambda: signed_normal_errors(gt, pred[:, :4], [])),
        ("1 faces in the predictions", lambda: jitter_per_face(gt, pred, gt, pred[:1], ones)),
    ]
    for message, call in cases:
        with pytest.raises(DataError, match=message):
            call()
