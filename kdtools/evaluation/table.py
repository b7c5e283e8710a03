"""From the errors of all faces to rows of figures."""

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
from kdtools.evaluation.results import Figures, Row
from kdtools.landmarks import Scheme
from kdtools.metrics import compare_paired, mean_interval, normalise, share_interval, summarise, threshold_label


def figures_of(nme: np.ndarray, groups: np.ndarray | None, measures: Measures) -> Figures:
    """All figures of errors (n,), with 95 % intervals; `groups` (n,) tell which faces are one person's.

    A missing prediction (inf) is a failure, so that the mean is infinite and has no interval; then the mean of the
    others is given as nme_found_percent.
    """
    plain = summarise(nme, measures.thresholds, measures.binned_step)
    measured = ~np.isnan(nme)
    found, units = nme[measured], None if groups is None else groups[measured]
    n_missing = int(np.isinf(found).sum())
    figures: Figures = {"n": len(found)}
    if units is not None:
        figures["n_groups"] = len(np.unique(units))
    if n_missing:
        figures["missing"] = n_missing
    if len(found) < len(nme):
        figures["unmeasured"] = len(nme) - len(found)
    figures["nme_percent"] = plain["nme_percent"]
    _put_interval(figures, "nme_low_percent", "nme_high_percent", mean_interval(found, units, bounds=(0.0, np.inf)))
    if n_missing:
        finite = found[np.isfinite(found)]
        figures["nme_found_percent"] = 100 * float(finite.mean()) if len(finite) else None
    for key in ("p50", "p90", "p95", "p99"):
        figures[key] = plain[key]
    for threshold in measures.thresholds:
        label = threshold_label(threshold)
        failures = share_interval(found > threshold, units)
        areas = mean_interval(np.maximum(0, 1 - found / threshold), units, bounds=(0.0, 1.0))
        for kind, interval in (("fr", failures), ("auc", areas)):
            figures[f"{kind}@{label}_percent"] = plain[f"{kind}@{label}_percent"]
            _put_interval(figures, f"{kind}_low@{label}_percent", f"{kind}_high@{label}_percent", interval)
        if measures.binned_step is not None:
            figures[f"auc_binned@{label}_percent"] = plain[f"auc_binned@{label}_percent"]
    return figures


def _put_interval(figures: Figures, low: str, high: str, interval: tuple[float, float] | None) -> None:
    figures[low], figures[high] = (None, None) if interval is None else (100.0 * limit for limit in interval)


def comparison_figures(nme: np.ndarray, baseline: np.ndarray, groups: np.ndarray | None) -> Figures:
    """Figures of errors (n,) against those of the baseline on the same faces."""
    found = compare_paired(nme, baseline, groups)
    shares = {
        "n_compared": found.n,
        "difference_percent": found.difference,
        "difference_low_percent": found.low,
        "difference_high_percent": found.high,
        "relative_percent": found.relative,
        "p_bootstrap": found.p_bootstrap,
        "p_wilcoxon": found.p_wilcoxon,
        "improved_percent": found.improved,
    }
    return {
        key: 100 * value if value is not None and key.endswith("_percent") else value for key, value in shares.items()
    }


def region_points(scheme: Scheme) -> dict[str, list[int]]:
    """Regions with left and right put together: left_brow and right_brow are brows. In the scheme's order."""
    regions: dict[str, list[int]] = {}
    for name, points in scheme.regions:
        both = re.fullmatch(r"(?:left|right)_(.+)", name)
        regions.setdefault(f"{both[1]}s" if both else name, []).extend(points)
    return regions


def landmark_label(scheme: Scheme, index: int) -> str:
    """Name of a point; its index, from 0, where the scheme has no names."""
    return scheme.names[index] if scheme.names else str(index)


def landmark_figures(sums: LandmarkSums, subset: int, points: Sequence[int]) -> Figures:
    """Mean error and its parts over these points of all faces of a subset; every annotated point counts alike.

    As of faces, a point that was not predicted makes the mean infinite; all else is of the predicted ones.
    """
    n, n_normal, n_missing = (float(one[subset, points].sum()) for one in (sums.n, sums.n_normal, sums.n_missing))

    def mean(total: np.ndarray, count: float = n) -> float | None:
        return float(total[subset, points].sum()) / count if count else None

    error, square = mean(sums.error), mean(sums.square)
    spread = None if error is None or square is None else max(square - error * error, 0.0) ** 0.5
    values = {"nme_percent": np.inf if n_missing else error}
    if n_missing:
        values["nme_found_percent"] = error
    values |= {
        "bias_x_percent": mean(sums.x),
        "bias_y_percent": mean(sums.y),
        "normal_percent": mean(sums.normal, n_normal),
        "spread_percent": spread,
    }
    counts: Figures = {"n": int(n + n_missing)}
    if n_missing:
        counts["missing"] = int(n_missing)
    return counts | {key: None if value is None else 100 * value for key, value in values.items()}


@dataclass(frozen=True)
class Tables:
    """Rows of figures from measurements."""

    request: Request
    truth: PointSet
    measures: Measures
    members: dict[str, np.ndarray]
    groups: np.ndarray | None
    found: Measurements

    @property
    def baseline(self) -> str:
        return self.found.predictions[0].name

    def rows(self) -> list[Row]:
        rows = []
        for one in self.found.predictions:
            for subset, member in self.members.items():
                for k, normaliser in enumerate(self.measures.normalisers):
                    figures = self._figures(one.distance, self.found.predictions[0].distance, one.name, k, member)
                    if one.jitter is not None and k == 0:
                        frames = one.jitter[member]
                        frames = frames[np.isfinite(frames)]
                        figures["jitter_percent"] = 100 * float(frames.mean()) if len(frames) else None
                    rows.append(Row(one.name, subset, normaliser, figures))
        return rows

    def region_rows(self) -> list[Row]:
        if not self.found.predictions[0].regions.size:
            return []
        rows = []
        points = region_points(self.truth.scheme)
        for one in self.found.predictions:
            for s, (subset, member) in enumerate(self.members.items()):
                for r, region in enumerate(points):
                    base = self.found.predictions[0].regions[:, r]
                    figures = self._figures(one.regions[:, r], base, one.name, 0, member)
                    if one.landmarks is not None:
                        parts = landmark_figures(one.landmarks, s, points[region])
                        figures |= {key: parts[key] for key in ("bias_x_percent", "bias_y_percent", "normal_percent")}
                    rows.append(Row(one.name, subset, self.measures.normalisers[0], figures, region))
        return rows

    def landmark_rows(self) -> list[Row]:
        return [
            Row(
                one.name,
                subset,
                self.measures.normalisers[0],
                landmark_figures(one.landmarks, s, [point]),
                landmark_label(self.truth.scheme, point),
            )
            for one in self.found.predictions
            if one.landmarks is not None
            for s, subset in enumerate(self.members)
            for point in range(self.truth.n_points)
        ]

    def face_rows(self) -> Sequence[Row]:
        subsets = [name for name in self.members if name in self.request.subsets] or list(self.members)[:1]
        normalisers = list(enumerate(self.measures.normalisers))[: None if self.request.norm else 1]
        return FaceRows(
            self.truth.ids,
            self.found,
            {name: self.members[name] for name in subsets},
            normalisers,
            self.baseline if self.request.compare else "",
        )

    def _figures(self, distance: np.ndarray, base: np.ndarray, name: str, k: int, member: np.ndarray) -> Figures:
        lengths = self.found.lengths[k]
        everyone = member.all()
        nme = normalise(distance, lengths) if everyone else normalise(distance[member], lengths[member])
        groups = self.groups if self.groups is None or everyone else self.groups[member]
        figures = figures_of(nme, groups, self.measures)
        if self.request.compare and name != self.baseline:
            figures |= comparison_figures(nme, normalise(base[member], lengths[member]), groups)
        return figures


class FaceRows(Sequence[Row]):
    """One row a face, made when it is asked for: a million of them at once would fill the memory."""

    def __init__(
        self,
        ids: np.ndarray,
        found: Measurements,
        members: dict[str, np.ndarray],
        normalisers: Sequence[tuple[int, str]],
        baseline: str,
    ) -> None:
        self.ids, self.found, self.baseline = ids, found, baseline
        rows_of = {name: np.flatnonzero(member) for name, member in members.items()}
        self.runs = [
            (one, subset, k, normaliser, rows)
            for one in found.predictions
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
        error = self._error(one, k, row)
        figures: Figures = {"missing": 1} if error == np.inf else {}
        figures["nme_percent"] = error
        if self.baseline and one.name != self.baseline:
            base = self._error(self.found.predictions[0], k, row)
            figures["difference_percent"] = None
            if error is not None and base is not None and np.isfinite([error, base]).all():
                figures["difference_percent"] = error - base
        return Row(one.name, subset, normaliser, figures, text_of(self.ids[row]))

    def _error(self, one: Measured, k: int, row: int) -> float | None:
        """In percent; None where it cannot be measured."""
        error = 100 * float(one.distance[row] / self.found.lengths[k, row])
        return None if np.isnan(error) else error
