"""The report of a terminal: as many columns as there is room for, none of them cut."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.reports.columns import (
    best_values,
    clean,
    compared,
    comparison_keys,
    has,
    heading_of,
    interval_of,
    is_best,
    main_keys,
    parts_of,
    rows_for_people,
    verdict_of,
    written,
    written_interval,
)
from kdtools.reports.method import has_one_group

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_WIDTH_OF_FILE = 120  # letters
_NEVER_SHOWN = ("n_groups",)  # the line below the title tells
# What goes first where there is no room: the higher, the sooner. The NME itself always stays.
_EASE = {
    "p99": 95,
    "p95": 90,
    "p50": 70,
    "p90": 60,
    "n": 45,
    "unmeasured": 44,
    "spread": 42,
    "nme_found": 15,
    "missing": 14,
}
_EASE_OF_INTERVAL = 40
_LABELS = ("normaliser", "subset", "part", "prediction")
_VERDICT_STYLES = {"better": "green", "worse": "red", "unclear": "dim"}


@dataclass(frozen=True)
class _Column:
    """A figure's column: its cells are lines of text, `ease` is how readily it goes where there is no room."""

    name: str
    cells: list[str]
    ease: float
    key: str

    @property
    def width(self) -> int:
        return _width([*self.cells, *self.name.split("\n")])


def as_text(evaluation: Evaluation) -> str:
    """The terminal's report without colours, for a file."""
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
    """For a person at a terminal: what is the same in all rows is the title, the best prediction of each row is bold.

    Columns that do not fit go, the least wanted first, and are named; a second table has the comparison.
    """
    from rich.text import Text

    rows, left_out = rows_for_people(evaluation)
    notes = [left_out, *evaluation.notes]
    if not rows:
        console.print(Text("no rows: there is nothing to measure"))
        return
    names, folder = _display_names(rows, console.width)
    console.print(Text(_title(evaluation, rows, folder)))
    console.print(Text(_unit(evaluation, rows)))
    gone = _print_rows(evaluation, rows, names, console)
    if gone:
        notes.insert(0, f"no room for {', '.join(gone)}: a wider terminal, --tsv or --json has them")
    differences = compared(rows)
    if differences:
        notes += _print_comparison(evaluation, differences, names, console)
    for note in filter(None, notes):
        console.print(Text(clean(note), "dim"))


def _title(evaluation: Evaluation, rows: Sequence[Row], folder: str) -> str:
    counts = {row.figures.get("n") for row in rows}
    parts = [clean(evaluation.truth)]
    if len(counts) == 1 and evaluation.by != "face":
        count = counts.pop()
        parts.append(f"{count} face{'' if count == 1 else 's'}")
    for label in _LABELS:
        values = {getattr(row, label) for row in rows}
        if len(values) == 1 and "" not in values:
            parts.append(f"{evaluation.by if label == 'part' else label} {clean(values.pop())}")
    if evaluation.protocol:
        parts.append(f"protocol {evaluation.protocol}")
    if folder:
        parts.append(f"predictions in {folder}")
    return ", ".join(parts)


def _unit(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """What errors are shares of, and what counts as one in the intervals."""
    text = "errors in % of the normaliser"
    if any(interval_of(row.figures, "nme_percent") for row in rows):
        return f"{text}; in brackets 95 % intervals by {_units(evaluation)}"
    if has_one_group(evaluation) and any("nme_low_percent" in row.figures for row in rows):
        return f"{text}; one group only: no intervals"
    return text


def _units(evaluation: Evaluation) -> str:
    """`32 people or photographs`, without how these were told."""
    if evaluation.groups is None:
        return "face"
    return clean(evaluation.grouping.partition("; ")[0].partition(", by ")[0])


def _display_names(rows: Sequence[Row], width: int) -> tuple[dict[str, str], str]:
    """Names of predictions for the table; the folder that all are in stands in the title where they are long."""
    names = {row.prediction: clean(row.prediction) for row in rows}
    if len(names) < 2 or max(map(len, names.values())) <= width // 5:
        return names, ""
    paths = [name for key, name in names.items() if key != MEAN_SHAPE]
    start = paths[0].rpartition("/")[0] + "/"
    while start != "/" and not all(name.startswith(start) for name in paths):
        start = start.rstrip("/").rpartition("/")[0] + "/"
    if start == "/":
        return names, ""
    return {key: name.removeprefix(start) for key, name in names.items()}, start


def _print_rows(evaluation: Evaluation, rows: Sequence[Row], names: dict[str, str], console: Console) -> list[str]:
    """Print the main table; returns the headings that there was no room for."""
    labels = _labels_of(evaluation, rows, names)
    best = best_values(rows)
    columns = _columns_of(rows, main_keys(rows))
    columns, gone = _that_fit(columns, labels, console.width)
    bold = [[is_best(row, column.key, best) for column in columns] for row in rows]
    styles = [["bold" if is_bold else "" for is_bold in line] for line in bold]
    _print_grid(labels, columns, styles, console)
    return gone


def _print_comparison(
    evaluation: Evaluation, rows: Sequence[Row], names: dict[str, str], console: Console
) -> list[str]:
    from rich.text import Text

    baseline = clean(names.get(evaluation.baseline, evaluation.baseline))
    console.print()
    others = {row.prediction for row in rows}
    who = names[others.pop()] if len(others) == 1 else "the others"
    console.print(Text(f"{who} compared with {baseline}, in points of NME, below 0 is better than {baseline}"))
    labels = _labels_of(evaluation, rows, names)
    verdicts = [verdict_of(row) for row in rows]
    keys = comparison_keys(rows)
    eases = {"relative_percent": 60, "p_wilcoxon": 50, "p_bootstrap": 30, "improved_percent": 40, "n_compared": 55}
    columns = []
    for key in keys:
        cells = [_cell(row, key, interval=key == "difference_percent") for row in rows]
        heading = {"relative_percent": "relative", "p_bootstrap": "p\nbootstrap", "p_wilcoxon": "p\nWilcoxon"}.get(key)
        columns.append(_Column(heading or heading_of(key).replace("NME ", ""), cells, eases.get(key, 0), key))
    if any(verdicts):
        columns.append(_Column("verdict", verdicts, 20, "verdict"))
    columns, gone = _that_fit(columns, labels, console.width)
    styles = [
        [_VERDICT_STYLES.get(verdict, "") if column.key == "verdict" else "" for column in columns]
        for verdict in verdicts
    ]
    _print_grid(labels, columns, styles, console)
    return [f"no room for {', '.join(gone)} of the comparison: --tsv or --json has them"] if gone else []


def _labels_of(evaluation: Evaluation, rows: Sequence[Row], names: dict[str, str]) -> dict[str, list[str]]:
    """Columns of labels that differ between rows, each heading with its cells."""
    labels = {}
    for label in _LABELS:
        values = [getattr(row, label) for row in rows]
        if len(set(values)) > 1:
            shown = [names[value] if label == "prediction" else clean(value) for value in values]
            labels[evaluation.by if label == "part" else label] = shown
    return labels or {"prediction": [names[row.prediction] for row in rows]}


def _columns_of(rows: Sequence[Row], keys: Sequence[str]) -> list[_Column]:
    columns: list[_Column] = []
    n_thresholds: dict[str, int] = {}
    for key in keys:
        base, threshold = parts_of(key)
        if key in _NEVER_SHOWN:
            continue
        if key == "n" and len({row.figures.get("n") for row in rows}) == 1:
            continue  # it stands in the title
        ease: float = _EASE.get(base, 10)
        if threshold:
            place = n_thresholds[base] = n_thresholds.get(base, -1) + 1
            ease = 50 + place if place else 20
            ease += 15 if rows[0].part else 0
        cells = [_cell(row, key, interval=key == "nme_percent") for row in rows]
        columns.append(_Column(heading_of(key).replace("@", "\n@").replace(" ", "\n"), cells, ease, key))
    return columns


def _cell(row: Row, key: str, *, interval: bool) -> str:
    if not has(row.figures, key):
        return ""
    value = row.figures.get(key, 0)
    return " ".join(filter(None, (written(key, value), written_interval(row.figures, key) if interval else "")))


def _that_fit(columns: list[_Column], labels: dict[str, list[str]], width: int) -> tuple[list[_Column], list[str]]:
    """The columns that there is room for, and the headings of the others."""
    gone: list[str] = []

    def needed() -> int:
        # A label may be folded, though not below what is still read easily.
        own = [min(_width([name, *cells]), max(12, width // 4)) for name, cells in labels.items()]
        return sum(own) + sum(column.width for column in columns) + _GAP * (len(own) + len(columns) - 1)

    while needed() > width:
        column = max(columns, key=lambda column: column.ease)
        with_interval = next((c for c in columns if c.key == "nme_percent" and any("[" in t for t in c.cells)), None)
        if with_interval and column.ease < _EASE_OF_INTERVAL:
            plain = [cell.partition(" [")[0] for cell in with_interval.cells]
            columns[columns.index(with_interval)] = _Column("NME", plain, 0, "nme_percent")
            gone.append("intervals")
        elif len(columns) > 1 and column.ease > 0:
            columns.remove(column)
            gone.append(column.name.replace("\n@", "@").replace("\n", " "))
        else:
            break
    return columns, gone


def _print_grid(
    labels: dict[str, list[str]], columns: list[_Column], styles: list[list[str]], console: Console
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # The line between columns is a space in this box: with one of padding it is the gap.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="")
    room = console.width - sum(column.width + _GAP for column in columns)
    labels = _folded(labels, room)
    for label in labels:
        table.add_column(label, overflow="fold")
    for column in columns:
        table.add_column(column.name, justify="right", no_wrap=True, min_width=column.width)
    before: list[str] = []
    grouped = len(labels) > 1
    spaced = grouped and next(iter(labels)) in _LABELS  # not between faces, of which each would be a group
    for place in range(len(styles)):
        own = [cells[place] for cells in labels.values()]
        new = next((k for k, (a, b) in enumerate(zip(own, before, strict=False)) if a != b), 0)
        if spaced and before and new == 0:
            table.add_row()
        shown = ["" if k < new and before and grouped else text for k, text in enumerate(own)]
        values = [Text(column.cells[place], style) for column, style in zip(columns, styles[place], strict=True)]
        table.add_row(*map(Text, shown), *values)
        before = own
    console.print(table)


def _width(texts: Iterable[str]) -> int:
    """Cells of the terminal that the widest takes: some letters take two."""
    from rich.cells import cell_len

    return max(map(cell_len, texts))


def _folded(labels: dict[str, list[str]], room: int) -> dict[str, list[str]]:
    """Labels in several lines where they are wider than the room for all; the longest give way."""
    widths = {name: _width([name, *cells]) for name, cells in labels.items()}
    while sum(widths.values()) + _GAP * (len(widths) - 1) > room and max(widths.values()) > 1:
        longest = max(widths, key=lambda name: widths[name])
        widths[longest] -= 1
    return {name: [_fold(text, widths[name]) for text in cells] for name, cells in labels.items()}


def _fold(text: str, width: int) -> str:
    """Broken behind a sign that parts words, where one stands in the second half of the line.

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
