"""The report for a terminal: as many columns as fit, none of them cut off."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.reporting import printable
from kdtools.reports.columns import VERDICT, heading_of, interval_of, parts_of
from kdtools.reports.method import has_one_group
from kdtools.reports.table import (
    LABELS,
    Table,
    compared,
    comparison_table,
    results_table,
    rows_for_people,
)

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_WIDTH_OF_FILE = 120  # letters
# Columns with higher ranks are dropped first where there is no room; those with 0 always stay.
_DROP_RANK = {
    "p99": 95,
    "p95": 90,
    "p50": 70,
    "p90": 60,
    "relative": 60,
    "n_compared": 55,
    "n_models": 46,
    "p_wilcoxon": 50,
    "n": 45,
    "unmeasured": 44,
    "spread": 42,
    "improved": 40,
    "p_bootstrap": 30,
    VERDICT: 20,
    "nme_found": 15,
    "missing": 14,
    "models_sd": 12,
    "nme_true": 5,
    "nme": 0,
    "difference": 0,
}
_DROP_RANK_OF_INTERVALS = 40
_VERDICT_STYLES = {"better": "green", "worse": "red", "unclear": "dim"}


@dataclass(frozen=True)
class _Column:
    """A column of lines of text and their styles; `rank` is that of _DROP_RANK."""

    key: str
    heading: str
    rank: float
    texts: list[str]
    styles: list[str]

    @property
    def width(self) -> int:
        return _width([*self.texts, *self.heading.split("\n")])


def as_text(evaluation: Evaluation) -> str:
    """The terminal's report without colours, for text files."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=_WIDTH_OF_FILE,
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
        emoji=False,
    )
    print_table(evaluation, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def print_table(evaluation: Evaluation, console: Console) -> None:
    """Print the report: what all rows share as the title, the results with the best in bold, the comparison, notes.

    Columns that do not fit are dropped, the least important first, and named in a note.
    """
    from rich.text import Text

    rows, notes = rows_for_people(evaluation)
    if not rows:
        console.print(Text("no rows: there is nothing to measure"))
        return
    names, folder = _display_names(rows, console.width)
    console.print(Text(_title(evaluation, rows, folder)))
    console.print(Text(_unit(evaluation, rows)))
    gone = _print_table(results_table(rows, evaluation.by), names, console)
    if gone:
        notes = [f"no room for {', '.join(gone)}: a wider terminal, --tsv or --json has them", *notes]
    differences = compared(rows)
    if differences:
        baseline = printable(names.get(evaluation.baseline, evaluation.baseline))
        others = {row.prediction for row in differences}
        who = names[others.pop()] if len(others) == 1 else "the others"
        console.print()
        console.print(Text(f"{who} compared with {baseline}, in points of NME, below 0 is better than {baseline}"))
        gone = _print_table(comparison_table(differences, evaluation.by), names, console)
        if gone:
            notes = [*notes, f"no room for {', '.join(gone)} of the comparison: --tsv or --json has them"]
    for note in notes:
        console.print(Text(printable(note), "dim"))


def _title(evaluation: Evaluation, rows: Sequence[Row], folder: str) -> str:
    counts = {row.values.get("n") for row in rows}
    parts = [printable(evaluation.truth)]
    if len(counts) == 1 and evaluation.by != "face":
        count = counts.pop()
        parts.append(f"{count} face{'' if count == 1 else 's'}")
    for label in LABELS:
        values = {getattr(row, label) for row in rows}
        if len(values) == 1 and "" not in values:
            parts.append(f"{evaluation.by if label == 'part' else label} {printable(values.pop())}")
    if evaluation.protocol:
        parts.append(f"protocol {evaluation.protocol}")
    if folder:
        parts.append(f"predictions in {folder}")
    return ", ".join(parts)


def _unit(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """The unit of errors, and of what the intervals are."""
    text = "errors in % of the normaliser"
    if any(interval_of(row.values, "nme_percent") for row in rows):
        return f"{text}; in brackets 95 % intervals by {_units(evaluation)}"
    if has_one_group(evaluation) and any("nme_low_percent" in row.values for row in rows):
        return f"{text}; one group only: no intervals"
    return text


def _units(evaluation: Evaluation) -> str:
    """`32 people or photographs`, without how these were recognised."""
    units = "face"
    if evaluation.groups is not None:
        units = printable(evaluation.grouping.partition("; ")[0].partition(", by ")[0])
    return f"{units}, and by model" if evaluation.models else units


def _display_names(rows: Sequence[Row], width: int) -> tuple[dict[str, str], str]:
    """Names of predictions for the table, and a folder that all long names share, which goes into the title."""
    names = {row.prediction: printable(row.prediction) for row in rows}
    if len(names) < 2 or max(map(len, names.values())) <= width // 5:
        return names, ""
    paths = [name for key, name in names.items() if key != MEAN_SHAPE]
    start = paths[0].rpartition("/")[0] + "/"
    while start != "/" and not all(name.startswith(start) for name in paths):
        start = start.rstrip("/").rpartition("/")[0] + "/"
    if start == "/":
        return names, ""
    return {key: name.removeprefix(start) for key, name in names.items()}, start


def _print_table(table: Table, names: dict[str, str], console: Console) -> list[str]:
    """Print the columns that fit; returns the headings of the others."""
    labels = {
        label: [names[text] if label == "prediction" else printable(text) for text in texts]
        for label, texts in table.labels_shown().items()
    }
    columns, gone = _that_fit(_columns_of(table), labels, console.width)
    _print_grid(labels, columns, console)
    return gone


def _columns_of(table: Table) -> list[_Column]:
    columns: list[_Column] = []
    n_thresholds: dict[str, int] = {}
    for column in table.columns:
        base, threshold = parts_of(column.key)
        if base == "n_groups" or (base == "n" and len(set(column.cells)) == 1):
            continue  # these stand in the lines above the table
        rank = _DROP_RANK.get(base, 10)
        if threshold:
            place = n_thresholds[base] = n_thresholds.get(base, -1) + 1
            rank = 50 + place if place else 20
            rank += 0 if table.labels.keys() <= set(LABELS) else 15
        texts = [f"{cell.text} {cell.interval}".strip() for cell in column.cells]
        styles = ["bold" if cell.is_best else _VERDICT_STYLES.get(cell.verdict, "") for cell in column.cells]
        heading = heading_of(column.key).replace("@", "\n@").replace(" ", "\n")
        columns.append(_Column(column.key, heading, rank, texts, styles))
    return columns


def _that_fit(columns: list[_Column], labels: dict[str, list[str]], width: int) -> tuple[list[_Column], list[str]]:
    """The columns that fit, and the headings of the others."""
    gone: list[str] = []

    def needed() -> int:
        # A label may be folded, but not below what is still easy to read.
        own = [min(_width([name, *cells]), max(12, width // 4)) for name, cells in labels.items()]
        return sum(own) + sum(column.width for column in columns) + _GAP * (len(own) + len(columns) - 1)

    while needed() > width:
        column = max(columns, key=lambda column: column.rank)
        nme = next((c for c in columns if c.key == "nme_percent" and any("[" in text for text in c.texts)), None)
        if nme and column.rank < _DROP_RANK_OF_INTERVALS:
            plain = [text.partition(" [")[0] for text in nme.texts]
            columns[columns.index(nme)] = replace(nme, texts=plain)
            gone.append("intervals")
        elif column.rank > 0:
            columns.remove(column)
            gone.append(column.heading.replace("\n@", "@").replace("\n", " "))
        else:
            break
    return columns, gone


def _print_grid(labels: dict[str, list[str]], columns: list[_Column], console: Console) -> None:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    # The line between columns is a space in this box: with one of padding it is the gap.
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="")
    room = console.width - sum(column.width + _GAP for column in columns)
    labels = _folded(labels, room)
    for label in labels:
        grid.add_column(label, overflow="fold")
    for column in columns:
        grid.add_column(column.heading, justify="right", no_wrap=True, min_width=column.width)
    before: tuple[str, ...] = ()
    grouped = len(labels) > 1
    spaced = grouped and next(iter(labels)) in LABELS  # not between faces, of which each would be a group
    for place, own in enumerate(zip(*labels.values(), strict=True)):
        new = next((k for k, (a, b) in enumerate(zip(own, before, strict=False)) if a != b), 0)
        if spaced and before and new == 0:
            grid.add_row()
        shown = ["" if k < new and before and grouped else text for k, text in enumerate(own)]
        grid.add_row(*map(Text, shown), *(Text(column.texts[place], column.styles[place]) for column in columns))
        before = own
    console.print(grid)


def _width(texts: Iterable[str]) -> int:
    """Terminal cells of the widest text; some letters take two."""
    from rich.cells import cell_len

    return max(map(cell_len, texts))


def _folded(labels: dict[str, list[str]], room: int) -> dict[str, list[str]]:
    """Labels broken into several lines where they are wider than `room`, the longest first."""
    widths = {name: _width([name, *cells]) for name, cells in labels.items()}
    while sum(widths.values()) + _GAP * (len(widths) - 1) > room and max(widths.values()) > 1:
        longest = max(widths, key=lambda name: widths[name])
        widths[longest] -= 1
    return {name: [_fold(text, widths[name]) for text in cells] for name, cells in labels.items()}


def _fold(text: str, width: int) -> str:
    """Text in lines, broken behind a separator where one is in the second half of the line.

    >>> _fold("runs/mobilenet_kd/pred.h5", 20).splitlines()
    ['runs/mobilenet_kd/', 'pred.h5']
    """
    from rich.cells import chop_cells

    lines: list[str] = []
    while _width([text]) > width:
        line = chop_cells(text, width)[0] or text[:1]
        end = max(line.rfind(sign) for sign in "/_-. ") + 1
        line = line[:end] if end > len(line) // 2 else line
        lines.append(line)
        text = text[len(line) :]
    return "\n".join([*lines, text] if text else lines)
