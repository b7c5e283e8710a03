"""The tables of the page: what stands in each cell, and how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdtools.evaluation.results import Evaluation, Row
from kdtools.reports.columns import (
    Best,
    best_values,
    clean,
    compared,
    comparison_keys,
    has,
    heading_of,
    in_order,
    interval_of,
    is_best,
    main_keys,
    meaning_of,
    value_of,
    verdict_of,
    written,
    written_interval,
)

_PART_KEYS = (
    "missing",
    "nme_percent",
    "nme_found_percent",
    "bias_x_percent",
    "bias_y_percent",
    "normal_percent",
    "spread_percent",
)


@dataclass(frozen=True)
class Cell:
    """`bar` is a share of the cell's bar, None without one; `span` has the start, the middle and the end of an interval
    on a line from 0 to 100, of which 50 is no difference.
    """

    text: str
    interval: str = ""
    best: bool = False
    bar: float | None = None
    span: tuple[float, float, float] | None = None
    mood: str = ""


@dataclass(frozen=True)
class Group:
    """Lines of a table that belong together, each its label and its cells."""

    name: str
    lines: list[tuple[str, list[Cell]]]


@dataclass(frozen=True)
class Table:
    """`headings` are texts and what they mean; `over` are headings over several columns."""

    caption: str
    label: str
    headings: list[tuple[str, str]]
    groups: list[Group]
    over: list[tuple[str, int]] | None = None


def typeset(text: str) -> str:
    """A minus that is one, infinity, and no line end before %."""
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞").replace(" %", "\N{NO-BREAK SPACE}%")


def rows_of(rows: Sequence[Row], normaliser: str) -> list[Row]:
    return [row for row in rows if row.normaliser == normaliser]


def cell_of(row: Row | None, key: str, best: Best, *, interval: bool = True) -> Cell:
    if row is None or not has(row.figures, key):
        return Cell("")
    text = typeset(written(key, value_of(row.figures, key)))
    ends = typeset(written_interval(row.figures, key)) if interval else ""
    return Cell(text, ends, is_best(row, key, best))


def results_table(rows: Sequence[Row], by: str, best: Best) -> Table:
    label, groups = _groups(rows, by)
    keys = main_keys(rows)
    # The numbers of faces and groups stand over a group where they are the group's, as where nothing went wrong.
    names = [name for name, _ in groups]
    for key, words in (("n", " · {} faces"), ("n_groups", " in {} groups")):
        counts = [{row.figures.get(key) for _, row in lines} for _, lines in groups]
        if key in keys and len(groups) > 1 and all(len(count) == 1 for count in counts):
            keys.remove(key)
            names = [name + words.format(*count) for name, count in zip(names, counts, strict=True)]
    return Table(
        f"All figures, errors in % of {clean(rows[0].normaliser)}"
        + ("; 95 % intervals in brackets" if any(interval_of(row.figures, "nme_percent") for row in rows) else ""),
        label,
        [(heading_of(key), meaning_of(key)) for key in keys],
        [
            Group(name, [(own, [cell_of(row, key, best) for key in keys]) for own, row in lines])
            for name, (_, lines) in zip(names, groups, strict=True)
        ],
    )


def region_comparison(evaluation: Evaluation) -> Table | None:
    """The comparison by region, on the first subset."""
    rows = [row for row in in_order(evaluation.regions) if row.subset == evaluation.regions[0].subset]
    return comparison_table(evaluation, rows, "region")[1] if compared(rows) else None


def comparison_table(evaluation: Evaluation, rows: Sequence[Row], by: str) -> tuple[str, Table]:
    rows, normaliser = compared(rows), rows[0].normaliser
    label, groups = _groups(rows, by)
    ends = [abs(end) for row in rows for end in interval_of(row.figures, "difference_percent") or ()]
    scale = max(ends, default=0) * 1.05 or 1.0
    keys = comparison_keys(rows)
    lines = [
        Group(name, [(own, _compared_cells(row, keys, scale)) for own, row in of_group]) for name, of_group in groups
    ]
    headings = [("", "on the line, left of the middle is better than the baseline"), ("verdict", "by the interval")]
    headings = [(heading_of(keys[0]), meaning_of(keys[0])), *headings]
    headings += [(heading_of(key), meaning_of(key)) for key in keys[1:]]
    caption = f"NME minus that of {clean(evaluation.baseline)}, points of % of {clean(normaliser)}; below 0 is better"
    if by:
        caption = f"By {by}, {clean(rows[0].subset)} set: {caption}"
    return normaliser, Table(caption, label, headings, lines)


def normaliser_table(rows: Sequence[Row], best: Best) -> Table:
    """NME by every normaliser side by side."""
    normalisers = list(dict.fromkeys(row.normaliser for row in rows))
    place = {(row.subset, row.prediction, row.normaliser): row for row in rows}
    label, groups = _groups(rows_of(rows, normalisers[0]), "")
    return Table(
        "NME in % of each normaliser",
        label,
        [(clean(name), "") for name in normalisers],
        [
            Group(
                name,
                [
                    (
                        own,
                        [
                            cell_of(place.get((row.subset, row.prediction, n)), "nme_percent", best, interval=False)
                            for n in normalisers
                        ],
                    )
                    for own, row in lines
                ],
            )
            for name, lines in groups
        ],
    )


def part_tables(rows: Sequence[Row], by: str) -> list[tuple[str, Table]]:
    """A table for each subset: a line per region or landmark, the figures of the predictions side by side."""
    best = best_values(rows)
    predictions = list(dict.fromkeys(row.prediction for row in rows))
    keys = [key for key in _PART_KEYS if any(key in row.figures for row in rows)]
    tables = []
    for subset in dict.fromkeys(row.subset for row in rows):
        own = [row for row in rows if row.subset == subset]
        place = {(row.part, row.prediction): row for row in own}
        values = [row.figures.get("nme_percent") or 0 for row in own]
        longest = max([value for value in values if math.isfinite(value)], default=0) or 1.0
        lines = [
            (
                clean(part),
                [
                    _with_bar(place.get((part, name)), key, best, longest, interval=by == "region")
                    for name in predictions
                    for key in keys
                ],
            )
            for part in dict.fromkeys(row.part for row in own)
        ]
        headings = [(heading_of(key), meaning_of(key)) for _ in predictions for key in keys]
        over = [(clean(name), len(keys)) for name in predictions] if len(predictions) > 1 else None
        caption = f"By {by}, {clean(subset)} set, errors in % of {clean(own[0].normaliser)}"
        tables.append((clean(subset), Table(caption, by, headings, [Group("", lines)], over)))
    return tables


def _groups(rows: Sequence[Row], by: str) -> tuple[str, list[tuple[str, list[tuple[str, Row]]]]]:
    """Heading of the lines' labels, and lines in groups: the innermost label that differs is the line's own."""
    labels = {"subset": "subset", "part": by, "prediction": "prediction"}
    differing = [name for name in labels if len({getattr(row, name) for row in rows}) > 1] or ["prediction"]
    groups: dict[tuple[str, ...], list[tuple[str, Row]]] = {}
    for row in rows:
        outer = tuple(clean(getattr(row, name)) for name in differing[:-1])
        groups.setdefault(outer, []).append((clean(getattr(row, differing[-1])), row))
    return labels[differing[-1]], [(" · ".join(outer), lines) for outer, lines in groups.items()]


def _compared_cells(row: Row, keys: Sequence[str], scale: float) -> list[Cell]:
    mood = verdict_of(row)
    ends, middle = interval_of(row.figures, keys[0]), row.figures[keys[0]]
    span = None
    if ends and middle is not None:
        low, centre, high = (round(50 + 50 * value / scale, 2) for value in (ends[0], middle, ends[1]))
        span = (low, centre, high)
    first = Cell(typeset(written(keys[0], middle)), typeset(written_interval(row.figures, keys[0])))
    others = [Cell(typeset(written(key, row.figures.get(key)))) for key in keys[1:]]
    return [first, Cell("", span=span, mood=mood), Cell(mood, mood=mood), *others]


def _with_bar(row: Row | None, key: str, best: Best, longest: float, *, interval: bool) -> Cell:
    cell = cell_of(row, key, best, interval=interval)
    value = row.figures.get(key) if row is not None and key == "nme_percent" else None
    if value is None or not math.isfinite(value):
        return cell
    return Cell(cell.text, cell.interval, cell.best, round(100 * value / longest, 1))
