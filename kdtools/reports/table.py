"""The tables of a report, built once for all forms that people read: rows, labels, columns and cells."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.reports.columns import (
    COMPARISON,
    VERDICT,
    Value,
    format_interval,
    format_value,
    has,
    interval_of,
    is_interval_end,
    keys_of,
    parts_of,
    value_of,
)

LABELS = ("normaliser", "subset", "part", "prediction")
_MOST_FACES = 50  # listed one by one in a report for people
# nme_found is of other faces for each prediction, so it is never the best.
_LOWER_IS_BETTER = ("nme", "nme_true", "p50", "p90", "p95", "p99", "fr", "jitter", "spread")
_BETTER = {**dict.fromkeys(_LOWER_IS_BETTER, min), **dict.fromkeys(("auc", "auc_binned"), max)}
_OF_FOUND_ONLY = ("spread", "jitter")  # these leave missing predictions out

Best = dict[tuple[str, str, str, str], str]  # what `best_values` finds


@dataclass(frozen=True)
class Cell:
    """One value as printed for people, with its interval; empty where the row has no such value.

    For forms that draw: `bar` is the NME in percent of the largest in the table; `span` is the start, middle and end of
    an interval on a line from 0 to 100, where 50 is no difference. `verdict` colours a cell of a comparison.
    """

    text: str = ""
    interval: str = ""
    is_best: bool = False
    bar: float | None = None
    span: tuple[float, float, float] | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Column:
    """The cells of one value, one per line; `over` is a heading above several columns."""

    key: str
    cells: list[Cell]
    over: str = ""

    @property
    def is_filled(self) -> bool:
        return any(cell.text for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """Lines of labels and cells. `labels` maps each heading to one label per line, as in the rows, not yet escaped."""

    labels: dict[str, list[str]]
    columns: list[Column]

    def labels_shown(self, always: Collection[str] = ()) -> dict[str, list[str]]:
        """The labels that differ between lines and those `always` shown; the last one if there are none."""
        shown = {name: texts for name, texts in self.labels.items() if name in always or len(set(texts)) > 1}
        return shown or dict([list(self.labels.items())[-1]])


def results_table(rows: Sequence[Row], by: str, *, every_interval: bool = False) -> Table:
    """One line per row with all values except the comparison, which has its own table.

    `by` is the heading of the rows' parts. Only the NME has its interval, unless `every_interval` is set.
    """
    best = best_values(rows)
    apart = COMPARISON if compared(rows) else ()
    keys = [key for key in keys_of(rows) if key not in apart and not is_interval_end(key)]
    columns = [
        Column(key, [_cell(row, key, best, every_interval or key == "nme_percent") for row in rows]) for key in keys
    ]
    return Table(_labels(rows, by, LABELS), columns)


def comparison_table(rows: Sequence[Row], by: str) -> Table:
    """One line per row of `compared`: the difference, its evidence and, last, the verdict.

    The number of faces compared is left out where it is that of all faces, the verdict where no row has an interval.
    """
    present = keys_of(rows)
    keys = [key for key in COMPARISON if key in present and not is_interval_end(key)]
    if all(row.values.get("n_compared", row.values.get("n")) == row.values.get("n") for row in rows):
        keys = [key for key in keys if key != "n_compared"]
    columns = [Column(key, [_cell(row, key, {}, key == "difference_percent") for row in rows]) for key in keys]
    ends = [abs(end) for row in rows for end in interval_of(row.values, "difference_percent") or ()]
    if ends:
        scale = 1.05 * max(ends) or 1.0
        verdicts = [(verdict_of(row), row) for row in rows]
        columns.append(Column(VERDICT, [Cell(text, verdict=text, span=_span(row, scale)) for text, row in verdicts]))
    return Table(_labels(rows, by, LABELS), columns)


def table_side_by_side(
    rows: Sequence[Row], across: str, keys: Sequence[str], by: str, *, intervals: bool = False
) -> Table:
    """Rows that differ only in the label `across` share one line, with columns side by side for each of its names."""
    best = best_values(rows)
    names = dict.fromkeys(getattr(row, across) for row in rows)
    labels = [label for label in LABELS if label != across]
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault(tuple(getattr(row, label) for label in labels), {})[getattr(row, across)] = row
    largest = max((nme for row in rows if math.isfinite(nme := _nme_of(row))), default=0) or 1.0
    columns = [
        Column(key, [_cell(line.get(name), key, best, intervals, largest) for line in lines.values()], name)
        for name in names
        for key in keys
    ]
    return Table(_labels([next(iter(line.values())) for line in lines.values()], by, labels), columns)


def _labels(rows: Sequence[Row], by: str, labels: Iterable[str]) -> dict[str, list[str]]:
    own = {label: [getattr(row, label) for row in rows] for label in labels}
    return {by if label == "part" else label: texts for label, texts in own.items() if label != "part" or any(texts)}


def _cell(row: Row | None, key: str, best: Best, with_interval: bool, largest_nme: float = 1.0) -> Cell:
    if row is None or not has(row.values, key):
        return Cell()
    value = value_of(row.values, key)
    return Cell(
        format_value(key, value),
        format_interval(row.values, key) if with_interval else "",
        is_best(row, key, best),
        bar=None if key != "nme_percent" or value is None or math.isinf(value) else round(100 * value / largest_nme, 1),
    )


def _span(row: Row, scale: float) -> tuple[float, float, float] | None:
    ends, middle = interval_of(row.values, "difference_percent"), row.values["difference_percent"]
    if ends is None or middle is None:
        return None
    low, centre, high = (round(50 + 50 * value / scale, 2) for value in (ends[0], middle, ends[1]))
    return low, centre, high


def best_values(rows: Sequence[Row]) -> Best:
    """(subset, normaliser, part, key) -> the best value as printed, so that values that look the same are all best.

    Only where at least two predictions compete and differ. The mean shape, which predicts nothing, does not compete,
    but nothing worse than it is best.
    Values that leave missing faces out compete only where each prediction misses as many.
    """
    values: dict[tuple[str, str, str, str], list[float]] = {}
    counts: dict[tuple[str, str, str, str], set[tuple[Value, Value]]] = {}
    baseline = {
        (row.subset, row.normaliser, row.part, key): value
        for row in rows
        if row.prediction == MEAN_SHAPE
        for key, value in row.values.items()
        if isinstance(value, (int, float))
    }
    for row in rows:
        n, missing = row.values.get("n"), row.values.get("missing")
        for key, value in row.values.items():
            base = parts_of(key)[0]
            if value is not None and base in _BETTER and row.prediction != MEAN_SHAPE:
                place = (row.subset, row.normaliser, row.part, key)
                values.setdefault(place, []).append(value)
                drops_missing = (key == "nme_percent" and math.isfinite(value)) or base in _OF_FOUND_ONLY
                counts.setdefault(place, set()).add((n, missing if drops_missing else None))
    best = {}
    for place, competing in values.items():
        better = _BETTER[parts_of(place[3])[0]]
        value = better(competing)
        differ = len({format_value(place[3], one) for one in competing}) > 1
        if differ and len(counts[place]) == 1 and better(value, baseline.get(place, value)) == value:
            best[place] = format_value(place[3], value)
    return best


def is_best(row: Row, key: str, best: Best) -> bool:
    if row.prediction == MEAN_SHAPE:
        return False
    return best.get((row.subset, row.normaliser, row.part, key)) == format_value(key, row.values.get(key))


def in_order(rows: Sequence[Row]) -> list[Row]:
    """By normaliser, subset and part, so that comparable predictions stand together."""
    ranks = {
        label: {name: rank for rank, name in enumerate(dict.fromkeys(getattr(row, label) for row in rows))}
        for label in LABELS
    }
    return sorted(rows, key=lambda row: [ranks[label][getattr(row, label)] for label in LABELS])


def by_normaliser(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each normaliser, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.normaliser, []).append(row)
    return groups


def rows_for_people(evaluation: Evaluation) -> tuple[list[Row], list[str]]:
    """The rows that fit on a page (of single faces the worst, the worst first), and the notes to print with them."""
    rows = evaluation.rows
    if evaluation.by != "face" or not rows:
        return in_order(rows), evaluation.notes
    # A face has a row for each prediction and subset and is as bad as the worst of them. There may be millions of rows.
    n_rows_per_face = max(1, math.ceil(len(rows) / max(evaluation.n_faces, 1)))
    main = (row for row in rows if row.normaliser == rows[0].normaliser and row.prediction != MEAN_SHAPE)
    worst = heapq.nlargest(_MOST_FACES * n_rows_per_face, main, key=_nme_of)
    chosen = list(dict.fromkeys(row.part for row in worst))[:_MOST_FACES]
    rank = {part: place for place, part in enumerate(chosen)}
    shown = sorted((row for row in rows if row.part in rank), key=lambda row: rank[row.part])
    left_out = [f"the {len(chosen)} worst faces; --tsv and --json have all"] if evaluation.n_faces > len(chosen) else []
    return in_order(shown), left_out + evaluation.notes


def _nme_of(row: Row) -> float:
    nme = row.values.get("nme_percent")
    return -math.inf if nme is None else nme


def compared(rows: Iterable[Row]) -> list[Row]:
    """The rows with a full comparison with the baseline; single faces have only a difference."""
    return [row for row in rows if "difference_percent" in row.values and "improved_percent" in row.values]


def verdict_of(row: Row) -> str:
    """better or worse than the baseline; unclear where the interval contains zero; nothing without an interval."""
    ends = interval_of(row.values, "difference_percent")
    if ends is None:
        return ""
    return "better" if ends[1] < 0 else "worse" if ends[0] > 0 else "unclear"
