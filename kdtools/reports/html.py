"""The report as one self-contained HTML page: no script, no other file, no network."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from kdtools import __version__
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.faces.selection import ALL_FACES
from kdtools.reporting import counted, printable
from kdtools.reports.columns import (
    VERDICT,
    Value,
    format_interval,
    format_value,
    heading_of,
    interval_of,
    is_interval_end,
    keys_of,
    meaning_of,
    parts_of,
)
from kdtools.reports.method import facts_of, normaliser_meaning, unit_of
from kdtools.reports.plots.style import short_names
from kdtools.reports.table import (
    Cell,
    Table,
    by_normaliser,
    compared,
    comparison_table,
    in_order,
    results_table,
    rows_for_people,
    table_side_by_side,
    verdict_of,
)

_PLOTS = {
    "ced": (
        "Cumulative error distribution",
        "Share of faces (up) with at most a given error (across): the further to the upper left, the better.",
    ),
    "landmarks": ("Error by landmark", "On the mean face of the truth: which points are found well, and which badly."),
    "scatter": (
        "Face by face",
        "Each face's error by one prediction against that by the other; on the diagonal both are equal.",
    ),
}
_WIDE_PX = 500  # a wider plot could not be read in half the page
_MOST_CARDS = 6
_MOST_NAMED, _LONGEST_NAME = 3, 32  # predictions in the title, and letters of each
_NBSP = "\N{NO-BREAK SPACE}"
_PART_KEYS = ("missing", "nme", "nme_found", "bias_x", "bias_y", "normal", "spread")

Grid = dict[str, Any]  # a table as the template's macro `grid` lays it out


def as_html(
    evaluation: Evaluation,
    *,
    plots: Mapping[str, str] | None = None,
    worst: bytes | None = None,
    command: str = "",
    inputs: Mapping[str, str] | None = None,
    version: str = __version__,
) -> str:
    """The page. Equal arguments give equal bytes: it carries no date.

    `plots` maps kinds (ced, landmarks, scatter) to <svg> elements of the first subset, inserted unchanged; `worst` is a
    PNG of its worst faces; `inputs` maps files to their SHA-256.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    shown, notes = rows_for_people(evaluation)
    rows = in_order(evaluation.overall) or shown
    faces = shown if evaluation.by == "face" and evaluation.overall else []
    subset = evaluation.regions[0].subset if evaluation.regions else ""
    regions = compared(row for row in in_order(evaluation.regions) if row.subset == subset)
    of_normaliser = by_normaliser(rows)
    template = (files("kdtools.reports") / "report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    # Long names are paths: a line may break behind their separators.
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split(r"(?<=[/_])", name))
    environment.filters["typeset"] = _typeset
    return environment.from_string(template).render(
        title=printable(_title(evaluation, rows)),
        lead=_lead(evaluation),
        cards_of=printable(f"{rows[0].subset} set, errors in % of {rows[0].normaliser}") if rows else "",
        cards=_cards(rows),
        sentences=_sentences(evaluation, rows),
        comparisons=[(name, _comparison(evaluation, own)) for name, own in of_normaliser.items() if compared(own)],
        where=_comparison(evaluation, regions, "region") if regions else None,
        results=[
            (name, normaliser_meaning(name, evaluation.scheme), _results(own, evaluation.by))
            for name, own in of_normaliser.items()
        ],
        matrix=_normalisers(rows) if len(of_normaliser) > 1 else None,
        regions=_parts(evaluation.regions, "region"),
        landmarks=_parts(evaluation.landmarks, "landmark"),
        faces=[_results(own, "face") for own in by_normaliser(faces).values()],
        plots=[(*_PLOTS[kind], svg, _width(svg) > _WIDE_PX) for kind, svg in (plots or {}).items()],
        subset=printable(next(iter(evaluation.members), ALL_FACES)),
        worst=base64.b64encode(worst).decode() if worst else "",
        facts=facts_of(evaluation),
        notes=list(map(printable, notes)),
        legend=_legend(rows),
        command=printable(command),
        inputs={printable(name): digest for name, digest in (inputs or {}).items()},
        version=version,
    )


def _results(rows: Sequence[Row], by: str) -> Grid:
    caption = f"All values, errors in % of {printable(rows[0].normaliser)}"
    if any(interval_of(row.values, "nme_percent") for row in rows):
        caption += "; 95 % intervals in brackets"
    return _grid(caption, results_table(rows, by, every_interval=True))


def _comparison(evaluation: Evaluation, rows: Sequence[Row], by: str = "") -> Grid:
    """The verdict, with the interval drawn as a line, next to the difference."""
    rows = compared(rows)
    caption = f"NME minus that of {printable(evaluation.baseline)}, points of % of {printable(rows[0].normaliser)}"
    caption = f"By {by}, {printable(rows[0].subset)} set: {caption}" if by else caption
    table = comparison_table(rows, by)
    columns = sorted(table.columns[1:], key=lambda column: column.key != VERDICT)
    return _grid(f"{caption}; below 0 is better", replace(table, columns=[table.columns[0], *columns]))


def _normalisers(rows: Sequence[Row]) -> Grid:
    """NME by every normaliser side by side."""
    table = table_side_by_side(rows, "normaliser", ["nme_percent"], "")
    headings = [(printable(column.over), "") for column in table.columns]
    return _grid("NME in % of each normaliser", table) | {"headings": headings, "over": []}


def _parts(rows: Sequence[Row], by: str) -> list[tuple[str, Grid]]:
    """A table for each subset: a line per region or landmark, the values of the predictions side by side."""
    keys = [key for base in _PART_KEYS for key in keys_of(rows) if parts_of(key)[0] == base]
    of_subset: dict[str, list[Row]] = {}
    for row in rows:
        of_subset.setdefault(row.subset, []).append(row)
    grids = []
    for subset, own in of_subset.items():
        table = table_side_by_side(own, "prediction", keys, by, intervals=by == "region")
        caption = f"By {by}, {printable(subset)} set, errors in % of {printable(own[0].normaliser)}"
        grids.append((printable(subset), _grid(caption, table) | {"has_bars": True}))
    return grids


def _grid(caption: str, table: Table) -> Grid:
    """Lines in groups: the innermost label that tells lines apart is the line's own, the others are the group's.

    Where all lines of each group have the same number of faces, it stands over the group instead of in a column.
    """
    *outer, (label, own) = [(name, list(map(printable, texts))) for name, texts in table.labels_shown().items()]
    columns = table.columns
    groups: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(own)):
        groups.setdefault(tuple(texts[place] for _, texts in outer), []).append(place)
    names = [" · ".join(group) for group in groups]
    for key, words in (("n", " · {} faces"), ("n_groups", " in {} groups")):
        cells = next((column.cells for column in columns if column.key == key), [])
        counts = [{cells[place].text for place in places} for places in groups.values() if cells]
        if len(counts) > 1 and all(len(count) == 1 for count in counts):
            columns = [column for column in columns if column.key != key]
            names = [name + words.format(*count) for name, count in zip(names, counts, strict=True)]
    over = Counter(column.over for column in columns)
    lines = [
        [(own[place], [column.cells[place] for column in columns]) for place in places] for places in groups.values()
    ]
    return {
        "caption": caption,
        "label": label,
        "headings": [(heading_of(column.key), meaning_of(column.key)) for column in columns],
        "groups": list(zip(names, lines, strict=True)),
        "over": [(printable(name), n) for name, n in over.items()] if len(over) > 1 else [],
        "has_bars": False,
    }


def _typeset(text: str) -> str:
    """A minus that is one, infinity, and no line end before %."""
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞").replace(" %", f"{_NBSP}%")


def _width(svg: str) -> int:
    """Of an <svg> element, in pixels; 0 where it does not say."""
    start = re.match(r"<svg\b[^>]*?\swidth=\"(\d+)", svg)
    return int(start[1]) if start else 0


def _title(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """What is measured on what: student on test, or 4 predictions on test."""
    predictions = list(dict.fromkeys(row.prediction for row in rows))
    named = [name for name in predictions if name != MEAN_SHAPE]
    truth = (evaluation.truth.rstrip("/").rpartition("/")[2] or evaluation.truth).removesuffix(".h5")
    names = short_names(named, _LONGEST_NAME)
    if not names:
        return f"Mean shape on {truth}" if predictions else truth
    if len(names) > _MOST_NAMED:
        return f"{len(names)} predictions on {truth}"
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} on {truth}"


def _lead(evaluation: Evaluation) -> str:
    scheme, protocol = evaluation.scheme, evaluation.protocol
    text = f"{counted(evaluation.n_faces, 'face')} · {counted(scheme.n_points, 'point')} ({scheme.name})"
    return printable(f"{text} · protocol {protocol}" if protocol else text)


def _cards(of_subsets: Sequence[Row]) -> list[tuple[str, list[tuple[str, Cell]]]]:
    """The main values of each prediction; none where there are too many predictions to take in."""
    rows = _first_rows(of_subsets)
    n_predictions = sum(row.prediction != MEAN_SHAPE for row in rows)
    if not 0 < n_predictions <= _MOST_CARDS:
        return []
    cells = {column.key: column.cells for column in results_table(rows, "", every_interval=True).columns}
    cards = []
    for place, row in enumerate(rows):
        if row.prediction == MEAN_SHAPE:
            continue
        keys = ["nme_percent", *(key for key in row.values if parts_of(key)[0] in ("fr", "auc"))][:3]
        keys += [key for key in ("missing", "unmeasured", "nme_found_percent") if key in row.values]
        cards.append((printable(row.prediction), [(heading_of(key), cells[key][place]) for key in keys]))
    return cards


def _first_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of the first subset with the main normaliser; none where rows are of parts."""
    return [
        row for row in rows if not row.part and (row.subset, row.normaliser) == (rows[0].subset, rows[0].normaliser)
    ]


def _sentences(evaluation: Evaluation, of_subsets: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """Verdict, prediction, claim and evidence of each comparison on the first subset with the main normaliser."""
    baseline = printable(evaluation.baseline)
    sentences = []
    for row in compared(_first_rows(of_subsets)):
        difference, verdict = row.values["difference_percent"], verdict_of(row)
        who = printable(row.prediction)
        if difference is None:
            sentences.append(("", who, f"could not be compared with {baseline}", ""))
            continue
        amount = f"{abs(difference):.2f} points of NME"
        ends = interval_of(row.values, "difference_percent")
        if ends and verdict != "unclear":
            low, high = sorted((abs(ends[0]), abs(ends[1])))
            claim = f"is {verdict} than {baseline} by {amount} [{low:.2f}, {high:.2f}]"
        elif ends:
            interval = _typeset(format_interval(row.values, "difference_percent"))
            claim = f"and {baseline} do not differ clearly: {_typeset(f'{difference:+z.2f}')} points of NME {interval}"
        else:
            claim = f"has {amount} {'more' if difference > 0 else 'less'} than {baseline}"
        words = {
            "relative_percent": f"% relative to {baseline}",
            "improved_percent": "smaller error on % of faces",
            "p_bootstrap": f"paired bootstrap by {unit_of(evaluation)}: %",
            "p_wilcoxon": "Wilcoxon: %",
        }
        evidence = [
            text.replace("%", _evidence(key, row.values[key]), 1)
            for key, text in words.items()
            if row.values.get(key) is not None
        ]
        sentences.append((verdict, who, claim, "; ".join(evidence)))
    return sentences


def _evidence(key: str, value: Value) -> str:
    """71.0 % or p < 0.001."""
    text = _typeset(format_value(key, value))
    if key.startswith("p_"):
        text = f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"
    return text.replace(" ", _NBSP)


def _legend(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What the values of the page mean, each once, whatever its threshold."""
    legend: dict[str, str] = {}
    for key in keys_of(rows):
        if not is_interval_end(key) and meaning_of(key):
            legend.setdefault(heading_of(key).partition("@")[0], meaning_of(key))
    return list(legend.items())
