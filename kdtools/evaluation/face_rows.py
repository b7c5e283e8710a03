"""Rows of single faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from kdtools.evaluation.measure import Measured, Measurements
from kdtools.evaluation.pointsets import text_of
from kdtools.evaluation.results import Figures, Row


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
