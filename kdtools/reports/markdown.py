"""The report as GitHub's Markdown, for a README or an issue."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kdtools.evaluation.results import Evaluation, Row
from kdtools.reports.columns import (
    Best,
    best_values,
    clean,
    compared,
    comparison_keys,
    has,
    heading_of,
    is_best,
    main_keys,
    rows_for_people,
    value_of,
    verdict_of,
    written,
    written_interval,
)
from kdtools.reports.method import facts_of, normaliser_meaning

# Signs that Markdown takes for its own, and those of HTML, which it lets through.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def as_markdown(evaluation: Evaluation) -> str:
    """One table per normaliser, one of the comparison, and how it was measured. The best prediction is bold."""
    rows, left_out = rows_for_people(evaluation)
    best = best_values(rows)
    blocks: list[str] = []
    for normaliser in dict.fromkeys(row.normaliser for row in rows):
        own = [row for row in rows if row.normaliser == normaliser]
        meaning = normaliser_meaning(normaliser, evaluation.scheme)
        blocks.append(f"**Errors in % of {escape(normaliser)}**" + (f" ({escape(meaning)})" if meaning else ""))
        keys = main_keys(own)
        blocks.append(_table(evaluation, own, keys, best))
    differences = compared(rows)
    if differences:
        blocks.append(f"**Compared with {escape(evaluation.baseline)}** (points of NME; below 0 is better)")
        blocks.append(_comparison(evaluation, differences))
    facts = [f"- {escape(name)}: {escape(text)}" for name, text in facts_of(evaluation)]
    notes = [f"- {escape(note)}" for note in [left_out, *evaluation.notes] if note]
    blocks.append("\n".join([*facts, *notes]))
    return "\n\n".join(filter(None, blocks)) + "\n"


def escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", clean(text))


def _table(evaluation: Evaluation, rows: Sequence[Row], keys: Sequence[str], best: Best) -> str:
    names, labels = _labels(evaluation, rows)
    lines = []
    for row, own in zip(rows, labels, strict=True):
        cells = []
        for key in keys:
            text = written(key, value_of(row.figures, key)) if has(row.figures, key) else ""
            text = f"**{text}**" if is_best(row, key, best) else text
            interval = written_interval(row.figures, key) if key == "nme_percent" else ""
            cells.append(f"{text} {interval}".strip())
        lines.append([*own, *cells])
    return _lines([*names, *map(heading_of, keys)], len(names), lines)


def _comparison(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    names, labels = _labels(evaluation, rows)
    several = len({row.normaliser for row in rows}) > 1
    keys = comparison_keys(rows)
    lines = []
    for row, own in zip(rows, labels, strict=True):
        cells = []
        for key in keys:
            text = written(key, row.figures.get(key)) if key in row.figures else ""
            interval = written_interval(row.figures, key) if key == "difference_percent" else ""
            cells.append(f"{text} {interval}".strip().replace("<", "&lt;"))
        lines.append([*([escape(row.normaliser)] if several else []), *own, *cells, verdict_of(row)])
    headings = [*(["normaliser"] if several else []), *names, *map(heading_of, keys), "verdict"]
    return _lines(headings, len(names) + several, lines)


def _labels(evaluation: Evaluation, rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings of the labels, and the labels of each row."""
    names = ["subset", *([evaluation.by] if any(row.part for row in rows) else []), "prediction"]
    fields = ["subset", *(["part"] if len(names) > 2 else []), "prediction"]
    return names, [[escape(getattr(row, name)) for name in fields] for row in rows]


def _lines(headings: Sequence[str], n_labels: int, lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * n_labels + ["---:"] * (len(headings) - n_labels)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rule, *lines])
