"""Rows of values from the errors of all faces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar, overload

import numpy as np

from kdtools.evaluation.measure import LandmarkSums, Measured, Measurements
from kdtools.evaluation.methods import Method, mean_values
from kdtools.evaluation.point_sets import PointSet, text_of
from kdtools.evaluation.protocols import Measures
from kdtools.evaluation.request import Request
from kdtools.evaluation.results import Row, Values
from kdtools.landmarks import Scheme
from kdtools.metrics import (
    compare_methods,
    method_interval,
    method_share_interval,
    normalise,
    summarise,
    threshold_label,
)
from kdtools.parallel import map_bounded

Place = TypeVar("Place")
_FEWEST_FOR_THREADS = 10_000  # faces
_BIASES = ("bias_x_percent", "bias_y_percent", "normal_percent")


def values_of(
    nmes: np.ndarray,
    groups: np.ndarray | None,
    measures: Measures,
    true_nmes: np.ndarray | None = None,
    *,
    is_method: bool = False,
) -> Values:
    """All statistics of errors (K, n) of K models, with 95 % intervals; `groups` (n,) number people or photographs.

    `true_nmes` (K, n) are the same faces' errors with origins taken off, of which only the mean is given. Statistics
    are means over the models; intervals are over faces and models. `is_method` adds the number and spread of models.

    A missing prediction (inf) is a failure, so the mean is infinite and has no interval; nme_found_percent is then the
    mean of the faces that all models predict.
    """
    statistics = mean_values([summarise(nme, measures.thresholds, measures.binned_step) for nme in nmes])
    measured = ~np.isnan(nmes[0])  # which faces can be measured depends on the truth
    errors, units = nmes[:, measured], None if groups is None else groups[measured]
    n = errors.shape[1]
    n_missing = int(np.isinf(errors).any(axis=0).sum())
    values: Values = {"n": n}
    if units is not None:
        values["n_groups"] = int(np.count_nonzero(np.bincount(units)))
    if is_method:
        values["n_models"] = len(nmes)
    if n_missing:
        values["missing"] = n_missing
    if n < nmes.shape[1]:
        values["unmeasured"] = nmes.shape[1] - n
    values["nme_percent"] = statistics["nme_percent"]
    _put_interval(values, "nme_low_percent", "nme_high_percent", method_interval(errors, units, bounds=(0.0, np.inf)))
    if is_method:
        can_vary = len(nmes) > 1 and n and not n_missing
        values["models_sd_percent"] = 100 * float(errors.mean(axis=1).std(ddof=1)) if can_vary else None
    if true_nmes is not None:
        true_errors = true_nmes[:, measured]
        values["nme_true_percent"] = 100 * float(np.mean(true_errors)) if n else None
        interval = method_interval(true_errors, units, bounds=(0.0, np.inf))
        _put_interval(values, "nme_true_low_percent", "nme_true_high_percent", interval)
    if n_missing:
        finite = errors[:, np.isfinite(errors).all(axis=0)]
        values["nme_found_percent"] = 100 * float(finite.mean()) if finite.size else None
    for key in ("p50", "p90", "p95", "p99"):
        values[key] = statistics[key]
    for threshold in measures.thresholds:
        label = threshold_label(threshold)
        failures = method_share_interval(errors > threshold, units)
        areas = method_interval(np.maximum(0, 1 - errors / threshold), units, bounds=(0.0, 1.0))
        for kind, interval in (("fr", failures), ("auc", areas)):
            values[f"{kind}@{label}_percent"] = statistics[f"{kind}@{label}_percent"]
            _put_interval(values, f"{kind}_low@{label}_percent", f"{kind}_high@{label}_percent", interval)
        if measures.binned_step is not None:
            values[f"auc_binned@{label}_percent"] = statistics[f"auc_binned@{label}_percent"]
    return values


def _put_interval(values: Values, low: str, high: str, interval: tuple[float, float] | None) -> None:
    values[low], values[high] = (None, None) if interval is None else (100.0 * limit for limit in interval)


def comparison_values(
    nmes: np.ndarray, baseline: np.ndarray, groups: np.ndarray | None, *, is_method: bool = False
) -> Values:
    """Comparison of errors (K, n) with those (M, n) of the baseline on the same faces; a method has no p_wilcoxon."""
    comparison = compare_methods(nmes, baseline, groups)
    shares = {
        "n_compared": comparison.n,
        "difference_percent": comparison.difference,
        "difference_low_percent": comparison.low,
        "difference_high_percent": comparison.high,
        "relative_percent": comparison.relative,
        "p_bootstrap": comparison.p_bootstrap,
        "p_wilcoxon": comparison.p_wilcoxon,
        "improved_percent": comparison.improved,
    }
    if is_method:
        del shares["p_wilcoxon"]
    return {
        key: 100 * value if value is not None and key.endswith("_percent") else value for key, value in shares.items()
    }


def region_points(scheme: Scheme) -> dict[str, list[int]]:
    """Points by region, left and right together (left_brow and right_brow are brows), in the scheme's order."""
    regions: dict[str, list[int]] = {}
    for name, points in scheme.regions:
        both = re.fullmatch(r"(?:left|right)_(.+)", name)
        regions.setdefault(f"{both[1]}s" if both else name, []).extend(points)
    return regions


def landmark_label(scheme: Scheme, index: int) -> str:
    """Name of a point; its index, from 0, where the scheme has no names."""
    return scheme.names[index] if scheme.names else str(index)


def landmark_values(sums: LandmarkSums, subset: int, points: Sequence[int]) -> Values:
    """Mean error and its components over these points of all faces of a subset; every annotated point counts alike.

    A point without a prediction makes the mean infinite; the other values leave it out.
    """
    n, n_normal, n_missing = (float(one[subset, points].sum()) for one in (sums.n, sums.n_normal, sums.n_missing))

    def mean(total: np.ndarray, count: float = n) -> float | None:
        return float(total[subset, points].sum()) / count if count else None

    error, square = mean(sums.error), mean(sums.square)
    spread = None if error is None or square is None else max(square - error * error, 0.0) ** 0.5
    shares = {
        "nme_percent": np.inf if n_missing else error,
        **({"nme_found_percent": error} if n_missing else {}),
        "bias_x_percent": mean(sums.x),
        "bias_y_percent": mean(sums.y),
        "normal_percent": mean(sums.normal, n_normal),
        "spread_percent": spread,
    }
    counts: Values = {"n": int(n + n_missing)}
    if n_missing:
        counts["missing"] = int(n_missing)
    return counts | {key: None if value is None else 100 * value for key, value in shares.items()}


@dataclass(frozen=True)
class Tables:
    """Rows of an evaluation, per subset, region, landmark or face."""

    request: Request
    truth: PointSet
    measures: Measures
    members: dict[str, np.ndarray]
    groups: np.ndarray | None
    measurements: Measurements
    methods: Sequence[Method]  # their predictions, by name

    @property
    def baseline(self) -> str:
        return self.methods[0].name

    def rows(self) -> list[Row]:
        def row(place: tuple[Method, str, int]) -> Row:
            method, subset, k = place
            member = self.members[subset]
            true_distances = [one.true_distance for one in method.models if one.true_distance is not None]
            values = self._values(method, lambda one: one.distance, k, member, true_distances)
            if k == 0:
                values |= mean_values([_jitter_values(one, member) for one in method.models])
            return Row(method.name, subset, self.measures.normalisers[k], values)

        return self._on_all_cores(row, product(self.methods, self.members, range(len(self.measures.normalisers))))

    def region_rows(self) -> list[Row]:
        if not self.measurements.predictions[0].regions.size:
            return []
        points = region_points(self.truth.scheme)

        def row(place: tuple[Method, tuple[int, str], tuple[int, str]]) -> Row:
            method, (s, subset), (r, region) = place
            values = self._values(method, partial(_region_distance, region=r), 0, self.members[subset])
            parts = self._landmark_values(method, s, points[region])
            values |= {key: parts[key] for key in _BIASES if key in parts}
            return Row(method.name, subset, self.measures.normalisers[0], values, region)

        return self._on_all_cores(row, product(self.methods, enumerate(self.members), enumerate(points)))

    def _on_all_cores(self, row: Callable[[Place], Row], places: Iterable[Place]) -> list[Row]:
        """The row of each place. A million errors are sorted outside Python's lock; of few faces threads cost more."""
        if len(self.truth) < _FEWEST_FOR_THREADS:
            return list(map(row, places))
        return list(map_bounded(row, places, 0, ahead=1))

    def landmark_rows(self) -> list[Row]:
        return [
            Row(
                method.name,
                subset,
                self.measures.normalisers[0],
                self._landmark_values(method, s, [point]),
                landmark_label(self.truth.scheme, point),
            )
            for method in self.methods
            if method.models[0].landmarks is not None
            for s, subset in enumerate(self.members)
            for point in range(self.truth.n_points)
        ]

    def face_rows(self) -> Sequence[Row]:
        subsets = [name for name in self.members if name in self.request.subsets] or list(self.members)[:1]
        normalisers = list(enumerate(self.measures.normalisers))[: None if self.request.norm else 1]
        return FaceRows(
            self.truth.ids,
            self.measurements,
            {name: self.members[name] for name in subsets},
            normalisers,
            self.baseline if self.request.compare else "",
        )

    def _values(
        self,
        method: Method,
        distance_of: Callable[[Measured], np.ndarray],
        k: int,
        member: np.ndarray,
        true_distances: Sequence[np.ndarray] = (),
    ) -> Values:
        everyone = member.all()
        lengths = self.measurements.lengths[k] if everyone else self.measurements.lengths[k][member]
        groups = self.groups if self.groups is None or everyone else self.groups[member]
        grouped = self.request.group_models

        def errors(distances: Iterable[np.ndarray]) -> np.ndarray:
            return np.stack([normalise(one if everyone else one[member], lengths) for one in distances])

        nmes = errors(map(distance_of, method.models))
        true_nmes = errors(true_distances) if true_distances else None
        values = values_of(nmes, groups, self.measures, true_nmes, is_method=grouped)
        if self.request.compare and method.name != self.baseline:
            baseline = errors(map(distance_of, self.methods[0].models))
            values |= comparison_values(nmes, baseline, groups, is_method=grouped)
        return values

    def _landmark_values(self, method: Method, subset: int, points: Sequence[int]) -> Values:
        sums = [one.landmarks for one in method.models if one.landmarks is not None]
        return mean_values([landmark_values(one, subset, points) for one in sums]) if sums else {}


def _region_distance(one: Measured, region: int) -> np.ndarray:
    return one.regions[:, region]


def _jitter_values(one: Measured, member: np.ndarray) -> Values:
    if one.jitter is None:
        return {}
    frames = one.jitter[member]
    frames = frames[np.isfinite(frames)]
    return {"jitter_percent": 100 * float(frames.mean()) if len(frames) else None}


class FaceRows(Sequence[Row]):
    """A row per face, made on access: a million of them at once would fill the memory."""

    def __init__(
        self,
        ids: np.ndarray,
        measurements: Measurements,
        members: dict[str, np.ndarray],
        normalisers: Sequence[tuple[int, str]],
        baseline: str,
    ) -> None:
        self.ids, self.measurements, self.baseline = ids, measurements, baseline
        rows_of = {name: np.flatnonzero(member) for name, member in members.items()}
        self.runs = [
            (one, subset, k, normaliser, rows)
            for one in measurements.predictions
            for subset, rows in rows_of.items()
            for k, normaliser in normalisers
        ]
        self.ends = np.cumsum([len(rows) for *_, rows in self.runs])

    def __len__(self) -> int:
        return int(self.ends[-1])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        run = int(np.searchsorted(self.ends, index, side="right"))
        one, subset, k, normaliser, rows = self.runs[run]
        return self._row(one, subset, k, normaliser, int(rows[index - int(self.ends[run]) + len(rows)]))

    def __iter__(self) -> Iterator[Row]:
        for one, subset, k, normaliser, rows in self.runs:
            for row in rows:
                yield self._row(one, subset, k, normaliser, int(row))

    def _row(self, one: Measured, subset: str, k: int, normaliser: str, row: int) -> Row:
        error = self._error(one.distance, k, row)
        values: Values = {"missing": 1} if error == np.inf else {}
        values["nme_percent"] = error
        if one.true_distance is not None:
            values["nme_true_percent"] = self._error(one.true_distance, k, row)
        if self.baseline and one.name != self.baseline:
            base = self._error(self.measurements.predictions[0].distance, k, row)
            values["difference_percent"] = None
            if error is not None and base is not None and np.isfinite([error, base]).all():
                values["difference_percent"] = error - base
        return Row(one.name, subset, normaliser, values, text_of(self.ids[row]))

    def _error(self, distance: np.ndarray, k: int, row: int) -> float | None:
        """Error in percent; None where it cannot be measured."""
        error = 100 * float(distance[row] / self.measurements.lengths[k, row])
        return None if np.isnan(error) else error
