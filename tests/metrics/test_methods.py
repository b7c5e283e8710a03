"""Intervals and comparisons of methods of several models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from kdtools.errors import DataError
from kdtools.metrics import (
    compare_methods,
    compare_paired,
    mean_interval,
    method_interval,
    method_share_interval,
    share_interval,
)


def draw_method(
    rng: np.random.Generator, k: int, units: int, between: float, size: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Errors (k, units * size) about 3 of models that differ by `between`, and the groups; groups differ by 1."""
    groups = np.repeat(np.arange(units), size)
    of_units = rng.normal(3, 1, units)[groups]
    own = rng.normal(0, 0.3, (k, len(groups)))
    return of_units + own + between * rng.normal(size=(k, 1)), groups


@pytest.mark.parametrize("paired", [False, True])
def test_the_interval_is_the_formula(paired: bool) -> None:
    """Three groups, so that faces have Student's interval: by hand, variance by variance."""
    rng = np.random.default_rng(0)
    n_models = (4, 4) if paired else (4, 3)
    groups = np.repeat([0, 1, 2], [5, 2, 4])
    new, old = (rng.normal(3 + k, 1, (n, 11)) for k, n in enumerate(n_models))
    gap = new.mean(0) - old.mean(0)
    difference = gap.mean()
    residuals = np.array([(gap - difference)[groups == g].sum() for g in range(3)])
    of_faces = 3 / 2 * (residuals**2).sum() / 11**2
    samples = [new.mean(1) - old.mean(1)] if paired else [new.mean(1), old.mean(1)]
    terms = [(means.var(ddof=1) / len(means), len(means) - 1) for means in samples]
    total = of_faces + sum(v for v, _ in terms)
    degrees = int(total**2 / (of_faces**2 / 2 + sum(v**2 / d for v, d in terms)))
    half = student.ppf(0.975, degrees) * np.sqrt(total)
    found = compare_methods(new, old, groups, paired=paired)
    assert found.difference == pytest.approx(difference)
    assert (found.low, found.high) == (pytest.approx(difference - half), pytest.approx(difference + half))
    assert found.improved == np.mean(gap < 0)
    assert found.relative == pytest.approx(difference / old.mean())
    assert (found.n, found.n_groups, found.p_wilcoxon) == (11, 3, None)


def test_the_p_value_is_that_of_the_interval() -> None:
    new, old = (draw_method(np.random.default_rng(seed), 3, 40, 0.1)[0] for seed in (1, 2))
    new -= new.mean() - old.mean()
    found = compare_methods(new, old)
    assert found.p_bootstrap == pytest.approx(1)
    half = found.high  # type: ignore[operator]
    for shift, is_clear in ((0.99 * half, False), (1.01 * half, True), (-1.01 * half, True)):  # type: ignore[operator]
        found = compare_methods(new + shift, old)
        assert (found.p_bootstrap < 0.05) == is_clear == (not found.low <= 0 <= found.high)  # type: ignore[operator]
    assert compare_methods(new + 100, old).p_bootstrap == 1 / 2001


def test_models_that_agree_add_nothing() -> None:
    rng = np.random.default_rng(3)
    errors, groups = draw_method(rng, 1, 30, 0, size=2)
    twice, base = np.repeat(errors, 3, axis=0), errors[0] + rng.normal(0.1, 0.2, 60)
    alone = compare_paired(errors[0], base, groups)
    for found in (compare_methods(twice, base, groups), compare_methods(errors, base, groups)):
        assert (found.low, found.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
        assert found.p_bootstrap == pytest.approx(alone.p_bootstrap, abs=1e-3)
    assert method_interval(twice, groups) == pytest.approx(mean_interval(errors[0], groups))


def test_models_that_differ_widen_every_interval() -> None:
    rng = np.random.default_rng(4)
    near, groups = draw_method(rng, 3, 50, 0)
    far = near + np.array([[-0.3], [0.0], [0.3]])
    for interval in (method_interval, lambda values, units: method_share_interval(values > 4, units)):
        (low, high), (low_far, high_far) = interval(near, groups), interval(far, groups)
        assert high_far - low_far > 1.1 * (high - low)
    assert method_interval(far - 3, groups, bounds=(0.0, np.inf))[0] == 0


def test_a_single_face_or_group_has_no_spread_between_units() -> None:
    errors = [[0.02], [0.06]]
    assert method_interval(errors) is None
    assert method_interval([[0.02, np.nan], [0.06, 0.1]]) is None
    alone = [share_interval([hit]) for hit in (False, True)]
    assert method_share_interval([[False], [True]]) == pytest.approx(np.mean(alone, axis=0))
    assert method_share_interval([[False] * 3, [True] * 3], [7, 7, 7]) is None
    for paired in (False, True):
        found = compare_methods(errors, [[0.05], [0.09]], paired=paired)
        assert (found.n, found.low, found.high, found.p_bootstrap) == (1, None, None, None)
        assert found.difference == pytest.approx(-0.03)


def test_an_interval_contains_the_true_difference_as_often_as_it_says() -> None:
    """Few models that differ as much as faces do: resampling both, and taking quantiles, would cover 84 %."""
    rng = np.random.default_rng(5)
    n_sets, covered = 200, {"methods": 0, "mean": 0}
    for seed in range(n_sets):
        (new, groups), (old, _) = (draw_method(rng, 3, 30, 0.2, size=2) for _ in range(2))
        found = compare_methods(new, old, groups, draws=300, seed=seed)
        covered["methods"] += found.low <= 0 <= found.high  # type: ignore[operator]
        low, high = method_interval(new, groups, draws=300, seed=seed)  # type: ignore[misc]
        covered["mean"] += low <= 3 <= high
    assert all(0.92 * n_sets <= count <= 0.99 * n_sets for count in covered.values()), covered


def test_a_missing_prediction_of_one_model_is_left_out_of_all() -> None:
    new, old = np.full((2, 8), 2.0) + np.arange(8) / 10, np.full((2, 8), 3.0)
    new[1, 3] = np.inf
    found = compare_methods(new, old)
    assert found.n == 7
    assert found.improved == 7 / 8
    assert method_interval(new) is None


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="3 errors to compare with 2"):
        compare_methods(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(DataError, match="2 models to pair with 3"):
        compare_methods(np.ones((2, 3)), np.ones((3, 3)), paired=True)
    with pytest.raises(DataError, match=r"errors of shape \(2, 2, 2\)"):
        method_interval(np.ones((2, 2, 2)))
