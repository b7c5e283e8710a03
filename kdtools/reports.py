"""Rows of figures as a table, TSV, JSON or one number."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from kdtools.errors import UsageError
from kdtools.evaluation import Row

_LABELS = ("prediction", "subset", "normaliser")
_HEADINGS = {"nme_percent": "NME %", "nme_of_mean_shape_percent": "of mean shape"}


def _keys(rows: Sequence[Row]) -> list[str]:
    """Names of all figures, in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row.figures))


def as_json(rows: Sequence[Row]) -> str:
    """One object per row. JSON has no infinity: a figure that is infinite, or could not be measured, is null."""
    records = [
        {"prediction": row.prediction, "subset": row.subset, "normaliser": row.normaliser}
        | {key: None if value is None or math.isinf(value) else value for key, value in row.figures.items()}
        for row in rows
    ]
    return json.dumps(records, indent=1, allow_nan=False)


def as_tsv(rows: Sequence[Row]) -> str:
    """One header line, one line per row, six decimals; an empty cell could not be measured."""
    keys = _keys(rows)
    lines = ["\t".join([*_LABELS, *keys])]
    for row in rows:
        labels = [row.prediction, row.subset, row.normaliser]
        lines.append("\t".join([*map(_clean, labels), *(_number(row.figures.get(key), 6) for key in keys)]))
    return "\n".join(lines)


def print_table(rows: Sequence[Row]) -> None:
    """For a person at a terminal; labels that are the same in all rows become the title."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    same = {label: getattr(rows[0], label) for label in _LABELS if len({getattr(row, label) for row in rows}) == 1}
    title = Text("errors in % of the normaliser; " + ", ".join(f"{label}: {same[label]}" for label in same))
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    shown = [label for label in _LABELS if label not in same]
    for label in shown:
        table.add_column(label, overflow="fold")
    keys = _keys(rows)
    for key in keys:
        table.add_column(_HEADINGS.get(key, key.removesuffix("_percent").upper()), justify="right")
    for row in rows:
        decimals = {"n": 0, "unmeasured": 0, "nme_of_mean_shape_percent": 0}
        cells = [_number(row.figures.get(key), decimals.get(key, 2)) for key in keys]
        if "nme_of_mean_shape_percent" in keys:
            place = keys.index("nme_of_mean_shape_percent")
            cells[place] = cells[place] and cells[place] + " %"
        table.add_row(*(Text(str(getattr(row, label))) for label in shown), *cells)
    Console().print(table)


def find_value(rows: Sequence[Row], name: str) -> str:
    """One figure of the first row; `nme` and `fr@0.08` stand for `nme_percent` and `fr@0.08_percent`.

    Raises UsageError for a figure that is not there.
    """
    figures = rows[0].figures
    for key in (name, f"{name}_percent"):
        if key in figures:
            return _number(figures[key], 6)
    raise UsageError(f"there is no figure {name!r}", f"give one of {', '.join(figures)}")


def _number(value: float | None, decimals: int) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"


def _clean(text: str) -> str:
    """Names may hold any character, but a cell of TSV no tab and no line end."""
    return " ".join(text.split("\t")).replace("\n", " ").replace("\r", " ")
