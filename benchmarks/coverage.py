"""How often the 95 % intervals of kdtools cover, and how often its paired tests reject where there is no difference.

    python benchmarks/coverage.py [--draws 1000]

Draws data sets of known truth: errors of faces are lognormal with the spread of a real model's on 300W (0.35 of the
logarithm), alone or in frames of people who differ as much, with and without 2 % of outliers four times as large.
Beside the intervals of kdtools stand the common ones, and what comes out if the groups are ignored. Rows that are
`checked` must cover in 93 to 97 % and reject in 3 to 7 %, or the status is 1; the others show where it ends. Shares
have no upper bound: those of few hits are discrete, and wide on purpose where groups hide how they vary.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from kdtools.metrics.intervals import ced_band, compare_paired, mean_interval, share_interval
from kdtools.metrics.methods import compare_methods

MEAN = 0.03  # NME
SPREAD = 0.35  # of its logarithm, between independent faces
PERSON, FRAME = 0.35, 0.2  # of its logarithm, between people and between frames of one
OUTLIERS, TIMES = 0.02, 4.0
FRAMES = (10, 75)  # least and most per person
THRESHOLD = 0.05
RESAMPLES = 1000  # of the percentile and BCa bootstraps beside kdtools' own
NORMAL = NormalDist()

Limits = tuple[float, float]
Sample = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Errors:
    """Errors of faces: n of them, or of n people."""

    n: int
    people: bool = False
    spread: float = SPREAD
    person: float = PERSON
    outliers: bool = False

    @property
    def name(self) -> str:
        what = f"{self.n} people" if self.people else f"{self.n} faces"
        if self.people and not self.person:
            what += ", all alike"
        if not self.people and self.spread != SPREAD:
            what += f", spread {self.spread:g}"
        return what + (", outliers" if self.outliers else "")

    @property
    def total(self) -> float:
        return math.hypot(self.person, FRAME) if self.people else self.spread

    @property
    def mean(self) -> float:
        return MEAN * (1 + OUTLIERS * (TIMES - 1) * self.outliers)

    @property
    def share_below(self) -> float:
        """Share of the faces up to the threshold, without outliers."""
        return NORMAL.cdf((math.log(THRESHOLD / MEAN) + self.total**2 / 2) / self.total)

    @property
    def auc(self) -> float:
        """Area under the CED up to the threshold, without outliers."""
        at = (math.log(THRESHOLD / MEAN) + self.total**2 / 2) / self.total
        return NORMAL.cdf(at) - MEAN / THRESHOLD * NORMAL.cdf(at - self.total)

    def draw(self, rng: np.random.Generator) -> Sample:
        if not self.people:
            values, groups = self.spread * rng.standard_normal(self.n), None
        else:
            groups = np.repeat(np.arange(self.n), rng.integers(FRAMES[0], FRAMES[1] + 1, self.n))
            values = self.person * rng.standard_normal(self.n)[groups] + FRAME * rng.standard_normal(len(groups))
        values = MEAN * np.exp(values - self.total**2 / 2)
        if self.outliers:
            values = np.where(rng.random(len(values)) < OUTLIERS, TIMES * values, values)
        return values, groups

    def draw_pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Errors of two models of the same quality: a common part, and a part of each model and person."""
        base, groups = self.draw(rng)
        own = 0.15 * rng.standard_normal((2, len(base)))
        if groups is not None:
            own += 0.15 * rng.standard_normal((2, self.n))[:, groups]
        if self.outliers:
            own += math.log(TIMES) * (rng.random(own.shape) < OUTLIERS)
        first, second = base * np.exp(own)
        return first, second, groups


def common_intervals(values: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> dict[str, Limits]:
    """Student's t, and the percentile and BCa bootstraps, with people as units."""
    units = np.arange(len(values)) if groups is None else groups
    counts = np.bincount(units)
    n_units, n = len(counts), len(values)
    mean = values.mean()
    rest = np.bincount(units, values) - mean * counts
    half = stdtrit(n_units - 1, 0.975) * math.sqrt(n_units / (n_units - 1) * (rest @ rest)) / n
    drawn = rng.integers(0, n_units, (RESAMPLES, n_units)) + n_units * np.arange(RESAMPLES)[:, None]
    times = np.bincount(drawn.ravel(), minlength=RESAMPLES * n_units).reshape(RESAMPLES, n_units)
    shift = (times @ rest) / (times @ counts)
    jackknife = -rest / (n - counts)
    away = jackknife.mean() - jackknife
    skew = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    bias = NORMAL.inv_cdf(np.clip((shift < 0).mean(), 0.001, 0.999))
    ends = [bias + NORMAL.inv_cdf(p) for p in (0.025, 0.975)]
    shares = [NORMAL.cdf(bias + end / (1 - skew * end)) for end in ends]
    return {
        "Student's t": (mean - half, mean + half),
        "percentile": tuple(mean + np.quantile(shift, [0.025, 0.975])),
        "BCa": tuple(mean + np.quantile(shift, shares)),
    }


class Table:
    """Rows of a Markdown table, each shown once it is there; remembers whether a checked one was out of its range."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def begin(self, *columns: str) -> None:
        print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)

    def row(self, case: str, method: str, percent: float, wanted: Limits | None, *others: str) -> None:
        verdict = ""
        if wanted is not None:
            inside = wanted[0] <= percent <= wanted[1]
            verdict = "checked" if inside else "OUTSIDE"
            if not inside:
                self.failed.append(f"{case}, {method}: {percent:.1f} %")
        print("| " + " | ".join([case, method, f"{percent:.1f}", *others, verdict]) + " |", flush=True)


def coverage(
    table: Table, case: str, checked: bool, truth: float, sets: Iterator[dict[str, Limits | None]], most: float = 97
) -> None:
    """Rows of one case: the first method is that of kdtools."""
    covered: dict[str, list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    for intervals in sets:
        for method, limits in intervals.items():
            covered[method].append(limits is not None and limits[0] <= truth <= limits[1])
            widths[method].append(math.inf if limits is None else limits[1] - limits[0])
    for method, hits in covered.items():
        wanted = (93, most) if checked and method.startswith("kdtools") else None
        table.row(case, method, 100 * float(np.mean(hits)), wanted, f"{100 * np.mean(widths[method]):.2f}")


def mean_sets(
    errors: Errors, n_sets: int, change: Callable[[np.ndarray], np.ndarray]
) -> Iterator[dict[str, Limits | None]]:
    rng = np.random.default_rng(1)
    for seed in range(n_sets):
        values, groups = errors.draw(rng)
        values = change(values)
        found = {"kdtools": mean_interval(values, groups, seed=seed), **common_intervals(values, groups, rng)}
        if groups is not None:
            found["groups ignored"] = mean_interval(values, seed=seed)
        yield found


def share_sets(n_sets: int, draw: Callable[[np.random.Generator], Sample]) -> Iterator[dict[str, Limits | None]]:
    rng = np.random.default_rng(2)
    for _ in range(n_sets):
        hits, groups = draw(rng)
        found = {"kdtools": share_interval(hits, groups)}
        if groups is not None:
            found["groups ignored"] = share_interval(hits)
        yield found


def failures(errors: Errors) -> Callable[[np.random.Generator], Sample]:
    def draw(rng: np.random.Generator) -> Sample:
        values, groups = errors.draw(rng)
        return values > THRESHOLD, groups

    return draw


def whole_people(n: int, share: float) -> Callable[[np.random.Generator], Sample]:
    """All frames of a person fail or none."""

    def draw(rng: np.random.Generator) -> Sample:
        groups = np.repeat(np.arange(n), rng.integers(FRAMES[0], FRAMES[1] + 1, n))
        return (rng.random(n) < share)[groups], groups

    return draw


def band_sets(errors: Errors, n_sets: int) -> Iterator[dict[str, Limits | None]]:
    """The band's limits at the threshold, in the middle of a grid."""
    rng = np.random.default_rng(3)
    grid = np.linspace(0, 2 * THRESHOLD, 101)
    for _ in range(n_sets):
        values, groups = errors.draw(rng)
        low, high = ced_band(values, groups, grid)
        yield {"kdtools": (low[50], high[50])}


def method_sets(n_models: int, n: int, between: float, n_sets: int) -> Iterator[dict[str, Limits | None]]:
    """Two methods of the same quality, of `n_models` each that differ by `between` times the spread of faces."""
    rng = np.random.default_rng(5)
    for seed in range(n_sets):
        base = MEAN * np.exp(SPREAD * rng.standard_normal(n))
        spread = MEAN * SPREAD * between / math.sqrt(n)
        new, old = (
            base * np.exp(0.15 * rng.standard_normal((n_models, n))) + spread * rng.standard_normal((n_models, 1))
            for _ in range(2)
        )
        found = compare_methods(new, old, draws=500, seed=seed)
        networks = compare_paired(new[0], old[0], draws=500, seed=seed)
        times = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
        drawn = [
            np.take_along_axis(times @ one.T, rng.integers(0, n_models, (RESAMPLES, n_models)), axis=1).mean(axis=1)
            for one in (new, old)
        ]
        yield {
            "kdtools": (found.low, found.high),
            "percentile, both resampled": tuple(np.quantile(drawn[0] - drawn[1], [0.025, 0.975])),
            "--compare of one model each": (networks.low, networks.high),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000, help="data sets per case")
    n_sets = parser.parse_args().draws
    table = Table()

    print("Mean (NME): how often the 95 % interval covers, and its mean width in points of percent")
    table.begin("case", "method", "covers %", "width", "")
    for checked, errors in (
        (True, Errors(30)),
        (True, Errors(100)),
        (True, Errors(689)),
        (True, Errors(2500)),
        (True, Errors(689, outliers=True)),
        (True, Errors(20, people=True)),
        (True, Errors(40, people=True)),
        (True, Errors(40, people=True, outliers=True)),
        (False, Errors(5, people=True)),
        (False, Errors(10, people=True)),
        (False, Errors(30, outliers=True)),
        (False, Errors(100, outliers=True)),
        (False, Errors(100, spread=1.0)),
        (False, Errors(689, spread=1.0)),
    ):
        coverage(table, errors.name, checked, errors.mean, mean_sets(errors, n_sets, lambda nme: nme))

    print(f"\nAUC up to {THRESHOLD}: the same")
    table.begin("case", "method", "covers %", "width", "")
    for errors in (Errors(30), Errors(689), Errors(20, people=True), Errors(40, people=True)):
        sets = mean_sets(errors, n_sets, lambda nme: np.maximum(0, 1 - nme / THRESHOLD))
        coverage(table, errors.name, True, errors.auc, sets)

    print(f"\nShare of errors above {THRESHOLD} (failure rate): the same")
    table.begin("case", "method", "covers %", "width", "")
    for checked, errors in (
        (True, Errors(100)),
        (True, Errors(689)),
        (True, Errors(20, people=True)),
        (True, Errors(40, people=True)),
        (True, Errors(200, people=True)),
        (False, Errors(10, people=True)),
        (False, Errors(40, people=True, person=0.15)),
        (False, Errors(40, people=True, person=0.0)),
    ):
        truth = 1 - errors.share_below
        name = f"{errors.name}, {100 * truth:.1f} %"
        coverage(table, name, checked, truth, share_sets(n_sets, failures(errors)), most=100)
    for share in (0.05, 0.1, 0.3):
        name = f"40 people, {100 * share:.0f} % of whom fail in every frame"
        coverage(table, name, False, share, share_sets(n_sets, whole_people(40, share)))

    print(f"\nBand of the CED, at an error of {THRESHOLD}: the same")
    table.begin("case", "method", "covers %", "width", "")
    for errors in (Errors(689), Errors(40, people=True)):
        coverage(table, errors.name, True, errors.share_below, band_sets(errors, n_sets))

    print("\nPaired tests of models of the same quality: how often p is at most 5 %")
    table.begin("case", "test", "rejects %", "")
    for checked, errors in (
        (True, Errors(30)),
        (True, Errors(100)),
        (True, Errors(689)),
        (True, Errors(689, outliers=True)),
        (True, Errors(20, people=True)),
        (True, Errors(40, people=True)),
        (True, Errors(40, people=True, outliers=True)),
        (False, Errors(6, people=True)),
        (False, Errors(10, people=True)),
        (False, Errors(30, outliers=True)),
        (False, Errors(100, outliers=True)),
    ):
        rng = np.random.default_rng(4)
        rejected: dict[str, list[bool]] = defaultdict(list)
        for seed in range(n_sets):
            first, second, groups = errors.draw_pair(rng)
            found = compare_paired(first, second, groups, seed=seed)
            rejected["bootstrap"].append(found.p_bootstrap is not None and found.p_bootstrap <= 0.05)
            rejected["Wilcoxon"].append(found.p_wilcoxon is not None and found.p_wilcoxon <= 0.05)
            if groups is not None:
                ignoring = compare_paired(first, second, seed=seed)
                rejected["bootstrap, groups ignored"].append((ignoring.p_bootstrap or 0) <= 0.05)
                rejected["Wilcoxon, groups ignored"].append((ignoring.p_wilcoxon or 0) <= 0.05)
        for test, hits in rejected.items():
            wanted = (3, 7) if checked and "ignored" not in test else None
            table.row(errors.name, test, 100 * float(np.mean(hits)), wanted)

    print("\nDifference of two methods of the same quality: the same")
    table.begin("case", "method", "covers %", "width", "")
    for n_models, n, between in (
        (2, 100, 1.0),
        (3, 100, 0.0),
        (3, 100, 1.0),
        (3, 689, 1.0),
        (5, 689, 1.0),
        (5, 100, 3.0),
    ):
        name = f"{n_models} models each, {n} faces, models spread {between:g} times as wide as means over faces"
        coverage(table, name, n_models > 2 and between > 0, 0.0, method_sets(n_models, n, between, n_sets), most=98.5)

    if table.failed:
        sys.exit("outside the range: " + "; ".join(table.failed))


if __name__ == "__main__":
    main()
