"""Rows of values from the errors of all faces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from kdtools.evaluation.measure import LandmarkSums, Measured, Measurements
from kdtools.evaluation.point_sets import PointSet, text_of
from kdtools.evaluation.protocols import Measures
from kdtools.evaluation.request import Request
from kdtools.evaluation.results import Row, Values
from kdtools.landmarks import Scheme
from kdtools.metrics import compare_paired, mean_interval, normalise, share_interval, summarise, threshold_label


def values_of(
    nme: np.ndarray, groups: np.ndarray | None, measures: Measures, true_nme: np.ndarray | None = None
) -> Values:
    """All statistics of errors (n,), with 95 % intervals; `groups` (n,) number the people, photographs or videos.

    `true_nme` (n,) are the same faces' errors with origins taken off, of which only the mean is given.

    A missing prediction (inf) is a failure, so the mean is infinite and has no interval; nme_found_percent is then the
    mean of the others.
    """
    statistics = summarise(nme, measures.thresholds, measures.binned_step)
    measured = ~np.isnan(nme)
    errors, units = nme[measured], None if groups is None else groups[measured]
    n_missing = int(np.isinf(errors).sum())
    values: Values = {"n": len(errors)}
    if units is not None:
        values["n_groups"] = len(np.unique(units))
    if n_missing:
        values["missing"] = n_missing
    if len(errors) < len(nme):
        values["unmeasured"] = len(nme) - len(errors)
    values["nme_percent"] = statistics["nme_percent"]
    _put_interval(values, "nme_low_percent", "nme_high_percent", mean_interval(errors, units, bounds=(0.0, np.inf)))
    if true_nme is not None:
        true_errors = true_nme[measured]
        values["nme_true_percent"] = 100 * float(np.mean(true_errors)) if len(true_errors) else None
        interval = mean_interval(true_errors, units, bounds=(0.0, np.inf))
        _put_interval(values, "nme_true_low_percent", "nme_true_high_percent", interval)
    if n_missing:
        finite = errors[np.isfinite(errors)]
        values["nme_found_percent"] = 100 * float(finite.mean()) if len(finite) else None
    for key in ("p50", "p90", "p95", "p99"):
        values[key] = statistics[key]
    for threshold in measures.thresholds:
        label = threshold_label(threshold)
        failures = share_interval(errors > threshold, units)
        areas = mean_interval(np.maximum(0, 1 - errors / threshold), units, bounds=(0.0, 1.0))
        for kind, interval in (("fr", failures), ("auc", areas)):
            values[f"{kind}@{label}_percent"] = statistics[f"{kind}@{label}_percent"]
            _put_interval(values, f"{kind}_low@{label}_percent", f"{kind}_high@{label}_percent", interval)
        if measures.binned_step is not None:
            values[f"auc_binned@{label}_percent"] = statistics[f"auc_binned@{label}_percent"]
    return values


def _put_interval(values: Values, low: str, high: str, interval: tuple[float, float] | None) -> None:
    values[low], values[high] = (None, None) if interval is None else (100.0 * limit for limit in interval)


def comparison_values(nme: np.ndarray, baseline: np.ndarray, groups: np.ndarray | None) -> Values:
    """Comparison of errors (n,) with those of the baseline on the same faces."""
    comparison = compare_paired(nme, baseline, groups)
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

    @property
    def baseline(self) -> str:
        return self.measurements.predictions[0].name

    def rows(self) -> list[Row]:
        rows = []
        for one in self.measurements.predictions:
            for subset, member in self.members.items():
                for k, normaliser in enumerate(self.measures.normalisers):
                    base = self.measurements.predictions[0].distance
                    values = self._values(one.distance, base, one.name, k, member, one.true_distance)
                    if one.jitter is not None and k == 0:
                        frames = one.jitter[member]
                        frames = frames[np.isfinite(frames)]
                        values["jitter_percent"] = 100 * float(frames.mean()) if len(frames) else None
                    rows.append(Row(one.name, subset, normaliser, values))
        return rows

    def region_rows(self) -> list[Row]:
        if not self.measurements.predictions[0].regions.size:
            return []
        rows = []
        points = region_points(self.truth.scheme)
        for one in self.measurements.predictions:
            for s, (subset, member) in enumerate(self.members.items()):
                for r, region in enumerate(points):
                    base = self.measurements.predictions[0].regions[:, r]
                    values = self._values(one.regions[:, r], base, one.name, 0, member)
                    if one.landmarks is not None:
                        parts = landmark_values(one.landmarks, s, points[region])
                        values |= {key: parts[key] for key in ("bias_x_percent", "bias_y_percent", "normal_percent")}
                    rows.append(Row(one.name, subset, self.measures.normalisers[0], values, region))
        return rows

    def landmark_rows(self) -> list[Row]:
        return [
            Row(
                one.name,
                subset,
                self.measures.normalisers[0],
                landmark_values(one.landmarks, s, [point]),
                landmark_label(self.truth.scheme, point),
            )
            for one in self.measurements.predictions
            if one.landmarks is not None
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
        distance: np.ndarray,
        base: np.ndarray,
        name: str,
        k: int,
        member: np.ndarray,
        true_distance: np.ndarray | None = None,
    ) -> Values:
        lengths = self.measurements.lengths[k]
        everyone = member.all()
        nme = normalise(distance, lengths) if everyone else normalise(distance[member], lengths[member])
        groups = self.groups if self.groups is None or everyone else self.groups[member]
        true_nme = None if true_distance is None else normalise(true_distance[member], lengths[member])
        values = values_of(nme, groups, self.measures, true_nme)
        if self.request.compare and name != self.baseline:
            values |= comparison_values(nme, normalise(base[member], lengths[member]), groups)
        return values


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
