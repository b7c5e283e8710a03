"""The report as GitHub's Markdown, for a README or an issue."""

from __future__ import annotations

import re

from kdtools.evaluation.results import Evaluation
from kdtools.reporting import printable
from kdtools.reports.columns import heading_of
from kdtools.reports.method import facts_of, normaliser_meaning
from kdtools.reports.table import Cell, Table, by_normaliser, compared, comparison_table, results_table, rows_for_people

# Characters with a meaning in Markdown, and in HTML, which Markdown lets through.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def as_markdown(evaluation: Evaluation) -> str:
    """One table per normaliser, one of the comparison, and how it was measured. The best prediction is bold."""
    rows, notes = rows_for_people(evaluation)
    blocks: list[str] = []
    for normaliser, own in by_normaliser(rows).items():
        meaning = normaliser_meaning(normaliser, evaluation.scheme)
        blocks.append(f"**Errors in % of {escape(normaliser)}**" + (f" ({escape(meaning)})" if meaning else ""))
        blocks.append(_lines(results_table(own, evaluation.by)))
    differences = compared(rows)
    if differences:
        blocks.append(f"**Compared with {escape(evaluation.baseline)}** (points of NME; below 0 is better)")
        blocks.append(_lines(comparison_table(differences, evaluation.by)))
    facts = [f"{name}: {text}" for name, text in facts_of(evaluation)]
    blocks.append("\n".join(f"- {escape(line)}" for line in [*facts, *notes]))
    return "\n\n".join(filter(None, blocks)) + "\n"


def escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", printable(text))


def _lines(table: Table) -> str:
    labels = table.labels_shown(always=table.labels.keys() - {"normaliser"})
    texts = [list(map(escape, own)) for own in labels.values()]
    texts += [list(map(_text, column.cells)) for column in table.columns]
    headings = [*labels, *(heading_of(column.key) for column in table.columns)]
    rule = ["---"] * len(labels) + ["---:"] * len(table.columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rule, *zip(*texts, strict=True)])


def _text(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.is_best else cell.text.replace("<", "&lt;")
    return f"{text} {cell.interval}".strip()
