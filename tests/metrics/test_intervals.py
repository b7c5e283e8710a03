"""Intervals and paired tests: against scipy, by hand where that can be done, and how often they cover."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from kdtools.errors import DataError
from kdtools.metrics import bootstrap as sampling
from kdtools.metrics.intervals import ced_band, compare_paired, mean_interval, share_interval


def skewed(n: int, seed: int = 0) -> np.ndarray:
    return 0.03 * np.exp(0.35 * np.random.default_rng(seed).standard_normal(n))


def people(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of 10 to 75 frames of each of n people, who differ."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), rng.integers(10, 76, n))
    person, frame = 0.35 * rng.standard_normal(n), 0.2 * rng.standard_normal(len(groups))
    return 0.03 * np.exp(person[groups] + frame - (0.35**2 + 0.2**2) / 2), groups


@pytest.mark.parametrize(("n", "method"), [(100, "BCa"), (100, "percentile"), (689, "BCa")])
def test_mean_is_close_to_the_bootstrap_of_scipy(n: int, method: str) -> None:
    values = skewed(n)
    found = mean_interval(values)
    assert found is not None
    rng = np.random.default_rng(0)
    expected = stats.bootstrap((values,), np.mean, n_resamples=4000, method=method, rng=rng).confidence_interval
    width = expected.high - expected.low
    np.testing.assert_allclose(found, expected, atol=0.12 * width)


def test_groups_are_close_to_the_bootstrap_of_scipy() -> None:
    values, groups = people(200)
    sums, counts = np.bincount(groups, values), np.bincount(groups)

    def ratio(s: np.ndarray, n: np.ndarray, axis: int = -1) -> np.ndarray:
        return s.sum(axis=axis) / n.sum(axis=axis)

    expected = stats.bootstrap(
        (sums, counts), ratio, paired=True, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    np.testing.assert_allclose(mean_interval(values, groups), expected, atol=0.12 * (expected.high - expected.low))


@pytest.mark.parametrize("n", [2, 3])
def test_few_units_have_the_t_of_student(n: int) -> None:
    values = skewed(n)
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    np.testing.assert_allclose(mean_interval(values), (values.mean() - half, values.mean() + half), rtol=1e-12)


def test_mean_of_degenerate_values() -> None:
    assert mean_interval([]) is None
    assert mean_interval([], []) is None
    assert mean_interval([0.1]) is None
    assert mean_interval([np.nan, 0.1]) is None
    assert mean_interval([0.1, 0.2, np.inf]) is None
    assert mean_interval([np.nan] * 3, [1, 2, 3]) is None
    for n in (2, 5, 30, 3000):
        assert mean_interval(np.full(n, 0.1)) == pytest.approx((0.1, 0.1), rel=1e-14)
    assert mean_interval(np.full(30, 0.1), np.arange(30) // 3) == pytest.approx((0.1, 0.1), rel=1e-14)
    assert mean_interval(np.zeros(30)) == (0.0, 0.0)


def test_a_value_left_out_is_not_there() -> None:
    values, groups = people(20)
    holes = np.concatenate([values, [np.nan] * 3])
    assert mean_interval(holes) == mean_interval(values)
    assert mean_interval(holes, np.concatenate([groups, [3, 50, 51]])) == mean_interval(values, groups)


def test_seeds_groups_and_bounds() -> None:
    values, groups = people(20)
    found = mean_interval(values, groups)
    assert found is not None
    assert found == mean_interval(values, groups, seed=0) != mean_interval(values, groups, seed=1)
    names = np.random.default_rng(0).permutation(1_000_000)[:20] - 500_000  # any whole numbers, of any size
    names.sort()  # the same order of units, so the same draws
    assert found == mean_interval(values, names[groups])
    assert found == mean_interval(values, groups.astype(np.uint64))
    alone = mean_interval(values)
    assert alone is not None
    assert found[1] - found[0] > 3 * (alone[1] - alone[0])
    assert (
        np.ptp(mean_interval(values, groups, level=0.8))
        < np.ptp(found)
        < np.ptp(mean_interval(values, groups, level=0.99))
    )
    assert mean_interval([0.0, 0.9, 1.0], bounds=(0, 1)) == (0, 1)


def test_faces_in_groups_of_one_are_faces() -> None:
    values = skewed(100)
    np.testing.assert_allclose(mean_interval(values, np.arange(100)), mean_interval(values), rtol=1e-12)


@pytest.mark.parametrize("chunk", [1, 700, 10**7])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    values, groups = people(20)
    before = mean_interval(values, groups, draws=500)
    monkeypatch.setattr(sampling, "CHUNK", chunk)
    np.testing.assert_allclose(mean_interval(values, groups, draws=500), before, rtol=1e-12)


def test_many_units_in_bins_keep_the_interval() -> None:
    values = skewed(100_000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    found = mean_interval(values)
    np.testing.assert_allclose(found, (values.mean() - half, values.mean() + half), atol=0.1 * half)
    np.testing.assert_allclose(mean_interval(values, np.arange(100_000)), found, rtol=1e-10)


def test_one_gross_error_does_not_blow_up_the_interval() -> None:
    values = np.append(skewed(29), 6.0)
    found = mean_interval(values)
    assert found is not None
    student = stats.t.ppf(0.975, 29) * stats.sem(values)
    assert student < (found[1] - found[0]) / 2 <= 1.51 * student
    single = mean_interval([0.0] * 29 + [1.0])  # a third of the draws have no spread at all
    assert single is not None
    assert np.isfinite(single).all()


def test_share_is_the_interval_of_wilson() -> None:
    for hits, n in ((0, 5), (1, 5), (5, 5), (30, 100), (3, 2000)):
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        np.testing.assert_allclose(share_interval(np.arange(n) < hits), expected, atol=1e-12)


def test_share_with_groups() -> None:
    groups = np.repeat(np.arange(40), 25)
    whole = np.arange(40)[groups] < 12  # people who fail in every frame or in none: worth a face each
    found, of_people = share_interval(whole, groups), share_interval(np.arange(40) < 12)
    assert found is not None
    assert of_people is not None
    np.testing.assert_allclose(found, of_people, atol=0.02)
    apart = share_interval(np.arange(1000) % 25 < 8, groups)  # each in the same share of frames
    np.testing.assert_allclose(apart, share_interval(np.arange(1000) % 25 < 8), atol=0.01)
    none, one = share_interval(np.zeros(1000, bool), groups), share_interval(np.arange(1000) == 7, groups)
    assert none is not None
    assert one is not None
    assert none[0] == 0
    assert 0.03 < none[1] < 1.1 * one[1] < 0.09
    every = share_interval(np.ones(1000, bool), groups)
    np.testing.assert_allclose(every, (1 - none[1], 1), rtol=1e-12)
    assert share_interval([], []) is None
    assert share_interval([]) is None
    assert share_interval([True, False], [4, 4]) is None


def test_band_is_the_share_at_each_error() -> None:
    nme, groups = people(30)
    nme[5], nme[9] = np.inf, np.nan
    known = ~np.isnan(nme)
    grid = np.linspace(0, 0.08, 9)
    for of_groups in (None, groups):
        band = ced_band(nme, of_groups, grid)
        assert band is not None
        assert (band[0] <= band[1]).all()
        assert (np.diff(band) >= 0).all()
        for k, at in enumerate(grid):
            expected = share_interval(nme[known] <= at, None if of_groups is None else groups[known])
            np.testing.assert_allclose((band[0][k], band[1][k]), expected, atol=0.005)
    assert ced_band([np.nan], None, grid) is None
    assert ced_band([0.01, 0.02], [1, 1], grid) is None


def test_band_of_many_groups_keeps_its_width() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4000), 5)
    nme = 0.03 * np.exp((0.3 * rng.standard_normal(4000))[groups] + 0.2 * rng.standard_normal(20_000))
    low, high = ced_band(nme, groups, [0.03]) or pytest.fail("no band")
    per_group = np.bincount(groups, nme <= 0.03) / 5
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * stats.sem(per_group), rel=0.1)


def test_comparison_by_hand() -> None:
    found = compare_paired([0.02, 0.03, 0.07, 0.01], [0.04, 0.05, 0.06, 0.02], [0, 0, 1, 1])
    assert (found.n, found.n_groups, found.p_wilcoxon) == (4, 2, None)
    assert found.difference == pytest.approx(-0.01)
    assert found.relative == pytest.approx(-0.04 / 0.17)
    assert found.improved == 0.75
    assert found.low is not None
    assert found.high is not None
    # residuals of the sums -0.04 and 0: -0.02 and 0.02, so the error is sqrt(2 * 0.0008) / 4 = 0.01, and t is 1
    assert (found.high - found.low) / 2 == pytest.approx(0.01 * stats.t.ppf(0.975, 1))
    assert found.p_bootstrap == pytest.approx(0.5)  # of one degree


def test_comparison_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    base = skewed(200)
    found = compare_paired(base * np.exp(0.2 * rng.standard_normal(200) + 0.01), base)
    errors = base * np.exp(0.2 * np.random.default_rng(0).standard_normal(200) + 0.01)
    assert found.p_wilcoxon == stats.wilcoxon(errors - base).pvalue
    assert found.p_bootstrap == pytest.approx(stats.ttest_rel(errors, base).pvalue, abs=0.05)
    assert found.improved == np.mean(errors < base)


def test_units_of_a_comparison_count_once() -> None:
    base, groups = people(12)
    errors = base * np.where(groups == 3, 0.5, 1.01)
    found = compare_paired(errors, base, groups)
    per_person = np.bincount(groups, errors - base) / np.bincount(groups)
    assert found.n_groups == 12
    assert found.p_wilcoxon == stats.wilcoxon(per_person).pvalue
    ignoring = compare_paired(errors, base)
    assert found.p_bootstrap is not None
    assert ignoring.p_bootstrap is not None
    assert found.p_bootstrap > 0.2 > 0.05 > ignoring.p_bootstrap


def test_interval_and_p_agree() -> None:
    rng = np.random.default_rng(1)
    decided = []
    for seed in range(60):
        n = int(rng.integers(2, 40))
        base = skewed(n, seed)
        found = compare_paired(base * np.exp(0.2 * rng.standard_normal(n) + 0.1), base, draws=400)
        assert found.low is not None
        assert found.high is not None
        assert found.p_bootstrap is not None
        assert 1 / 401 <= found.p_bootstrap <= 1
        decided.append(found.p_bootstrap <= 0.05)
        assert decided[-1] == (not found.low <= 0 <= found.high)
    assert 10 < sum(decided) < 50


def test_equal_and_missing_predictions() -> None:
    base = skewed(30)
    same = compare_paired(base, base)
    assert (same.difference, same.low, same.high, same.relative, same.improved) == (0, 0, 0, 0, 0)
    assert (same.p_bootstrap, same.p_wilcoxon) == (1, None)
    shifted = compare_paired(np.full(30, 0.25), np.full(30, 0.5), draws=99)
    assert (shifted.difference, shifted.low, shifted.high, shifted.p_bootstrap) == (-0.25, -0.25, -0.25, 0.01)
    errors, holes = base.copy(), base.copy()
    errors[:3] = np.inf  # worse
    holes[3:5] = np.inf  # better than this
    holes[0] = np.inf  # both
    holes[6] = np.nan  # not counted
    found = compare_paired(errors, holes)
    assert (found.n, found.n_groups, found.difference) == (24, 24, 0)
    assert found.improved == 2 / 29
    nothing = compare_paired([np.inf, np.nan], [0.1, 0.1])
    assert (nothing.n, nothing.difference, nothing.p_bootstrap, nothing.improved) == (0, None, None, 0)
    assert compare_paired([], []).improved is None
    single = compare_paired([0.1], [0.2])
    assert (single.difference, single.low, single.p_bootstrap, single.p_wilcoxon) == (-0.1, None, None, None)
    assert compare_paired([0.1, 0.2], [0.0, 0.0]).relative is None


def test_errors_that_say_what_to_do() -> None:
    with pytest.raises(DataError, match="groups of 2 faces, but 3 values"):
        mean_interval([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="not whole numbers"):
        share_interval([True, False], [0.5, 1.0])
    with pytest.raises(DataError, match="level"):
        mean_interval([1, 2, 3], level=95)
    with pytest.raises(DataError, match="0 draws"):
        compare_paired([1, 2], [2, 3], draws=0)
    with pytest.raises(DataError, match="2 errors to compare with 3"):
        compare_paired([1, 2], [1, 2, 3])
    for grid in ([0.2, 0.1], [0.1, np.nan, 0.2]):
        with pytest.raises(DataError, match="ascend"):
            ced_band([0.1], None, grid)


def test_coverage() -> None:
    """A small part of benchmarks/coverage.py: three standard errors of 400 sets are 3.3 %."""
    inside = ignoring = rejected = 0
    for seed in range(400):
        values, groups = people(20, seed)
        low, high = mean_interval(values, groups, draws=500, seed=seed) or pytest.fail("no interval")
        inside += low <= 0.03 <= high
        low, high = mean_interval(values, draws=500, seed=seed) or pytest.fail("no interval")
        ignoring += low <= 0.03 <= high
        of_model = np.exp(0.15 * np.random.default_rng(seed).standard_normal((2, 20)))[:, groups]
        rejected += (compare_paired(*(values * of_model), groups, draws=500, seed=seed).p_bootstrap or 0) <= 0.05
    assert 0.917 <= inside / 400 <= 0.983
    assert ignoring / 400 < 0.5
    assert 0.01 <= rejected / 400 <= 0.083


def test_intervals_need_no_scipy() -> None:
    """It takes a tenth of a second to load, scipy.stats a second, and 140 MB of disk."""
    code = (
        "import sys; from kdtools.metrics.intervals import *; g = [1, 1, 2, 3]; v = [1.0, 2, 3, 4]; "
        "mean_interval(v, g), share_interval([1, 0, 1, 1], g), ced_band(v, g, [2, 3]); sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
