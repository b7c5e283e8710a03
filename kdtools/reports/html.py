"""The report as one HTML page that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from kdtools import __version__
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.faces.selection import ALL_FACES
from kdtools.reports.columns import (
    Best,
    best_values,
    clean,
    compared,
    heading_of,
    in_order,
    interval_of,
    is_end,
    keys_of,
    meaning_of,
    parts_of,
    rows_for_people,
    verdict_of,
    written,
    written_interval,
)
from kdtools.reports.method import facts_of, normaliser_meaning, unit_of
from kdtools.reports.table import (
    Cell,
    cell_of,
    comparison_table,
    normaliser_table,
    part_tables,
    region_comparison,
    results_table,
    rows_of,
    typeset,
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
_WIDE_PX = 500  # of a figure that would not be read in half the page
_MOST_CARDS = 6


@dataclass(frozen=True)
class Figure:
    """A plot of the page; one that `is_wide` takes all columns."""

    title: str
    text: str
    svg: str
    is_wide: bool


def as_html(
    evaluation: Evaluation,
    *,
    plots: Mapping[str, str] | None = None,
    worst: bytes | None = None,
    command: str = "",
    inputs: Mapping[str, str] | None = None,
    version: str = __version__,
) -> str:
    """The page. Equal arguments give equal bytes: there is no date on it.

    `plots` maps kinds (ced, landmarks, scatter) to <svg> elements of the first subset, which are taken as they are;
    `worst` is a PNG of its worst faces; `inputs` maps files to their SHA-256.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    asked, left_out = rows_for_people(evaluation)
    rows = in_order(evaluation.overall) or asked
    faces = asked if evaluation.by == "face" and evaluation.overall else []
    best = best_values(rows)
    normalisers = list(dict.fromkeys(row.normaliser for row in rows))
    template = (files("kdtools.reports") / "report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    # Long names are paths: they may be broken behind what parts their words.
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split(r"(?<=[/_])", name))
    subset = clean(next(iter(evaluation.members), ALL_FACES))
    return environment.from_string(template).render(
        truth=clean(evaluation.truth).rstrip("/").rpartition("/")[2],
        lead=_lead(evaluation),
        cards_of=_place(rows[0]) if rows else "",
        cards=_cards(rows, best),
        sentences=_sentences(evaluation, rows),
        comparisons=[
            comparison_table(evaluation, rows_of(rows, name), "")
            for name in normalisers
            if compared(rows_of(rows, name))
        ],
        where=region_comparison(evaluation),
        results=[
            (name, normaliser_meaning(name, evaluation.scheme), results_table(rows_of(rows, name), "", best))
            for name in normalisers
        ],
        matrix=normaliser_table(rows, best) if len(normalisers) > 1 else None,
        regions=part_tables(evaluation.regions, "region"),
        landmarks=part_tables(evaluation.landmarks, "landmark"),
        faces=[
            results_table(rows_of(faces, name), "face", best_values(faces))
            for name in normalisers
            if rows_of(faces, name)
        ],
        plots=[Figure(*_PLOTS[kind], svg, _width(svg) > _WIDE_PX) for kind, svg in (plots or {}).items()],
        subset=subset,
        worst=base64.b64encode(worst).decode() if worst else "",
        facts=facts_of(evaluation),
        notes=[clean(note) for note in [left_out, *evaluation.notes] if note],
        legend=_legend(rows),
        command=clean(command),
        inputs={clean(name): digest for name, digest in (inputs or {}).items()},
        version=version,
    )


def _width(svg: str) -> int:
    """Of an <svg> element, in pixels; 0 where it does not say."""
    start = re.match(r"<svg\b[^>]*?\swidth=\"(\d+)", svg)
    return int(start[1]) if start else 0


def _place(row: Row) -> str:
    return clean(f"{row.subset} set, errors in % of {row.normaliser}")


def _lead(evaluation: Evaluation) -> str:
    scheme = evaluation.scheme
    texts = [f"{evaluation.n_faces} faces", f"{scheme.n_points} points ({scheme.name})"]
    return clean(" · ".join([*texts, *([f"protocol {evaluation.protocol}"] if evaluation.protocol else [])]))


def _cards(of_subsets: Sequence[Row], best: Best) -> list[tuple[str, list[tuple[str, Cell]]]]:
    """For each prediction, its main figures; none where there are too many to take in."""
    first = of_subsets[0] if of_subsets else None
    if first is None or first.part:
        return []
    rows = [
        row
        for row in of_subsets
        if (row.subset, row.normaliser) == (first.subset, first.normaliser) and row.prediction != MEAN_SHAPE
    ]
    if len(rows) > _MOST_CARDS:
        return []
    cards = []
    for row in rows:
        keys = ["nme_percent", *(key for key in row.figures if parts_of(key)[0] in ("fr", "auc"))][:3]
        keys += [key for key in ("missing", "unmeasured", "nme_found_percent") if key in row.figures]
        cards.append((clean(row.prediction), [(heading_of(key), cell_of(row, key, best)) for key in keys]))
    return cards


def _sentences(evaluation: Evaluation, of_subsets: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """Mood, prediction, what is said of it and the evidence, for the first subset with the main normaliser."""
    first = of_subsets[0] if of_subsets else None
    if first is None or first.part:
        return []
    baseline = clean(evaluation.baseline)
    said = []
    for row in compared(of_subsets):
        if (row.subset, row.normaliser) != (first.subset, first.normaliser):
            continue
        difference, mood = row.figures["difference_percent"], verdict_of(row)
        who = clean(row.prediction)
        if difference is None:
            said.append(("", who, f"could not be compared with {baseline}", ""))
            continue
        amount = f"{abs(difference):.2f} points of NME"
        ends = interval_of(row.figures, "difference_percent")
        if ends and mood != "unclear":
            low, high = sorted((abs(ends[0]), abs(ends[1])))
            claim = f"is {mood} than {baseline} by {amount} [{low:.2f}, {high:.2f}]"
        elif mood == "unclear":
            interval = typeset(written_interval(row.figures, "difference_percent"))
            claim = f"and {baseline} do not differ clearly: {typeset(f'{difference:+.2f}')} points of NME {interval}"
        else:
            claim = f"has {amount} {'more' if difference > 0 else 'less'} than {baseline}"
        evidence = []
        if row.figures.get("relative_percent") is not None:
            share = typeset(written("relative_percent", row.figures["relative_percent"]))
            evidence.append(f"{share} relative to {baseline}")
        if row.figures.get("improved_percent") is not None:
            share = typeset(written("improved_percent", row.figures["improved_percent"]))
            evidence.append(f"smaller error on {share} of faces")
        if row.figures.get("p_bootstrap") is not None:
            evidence.append(f"paired bootstrap by {unit_of(evaluation)}: p\N{NO-BREAK SPACE}{_p(row, 'p_bootstrap')}")
        if row.figures.get("p_wilcoxon") is not None:
            evidence.append(f"Wilcoxon: p\N{NO-BREAK SPACE}{_p(row, 'p_wilcoxon')}")
        said.append((mood, who, claim, "; ".join(evidence)))
    return said


def _p(row: Row, key: str) -> str:
    text = written(key, row.figures[key])
    sign, number = ("<", text[1:]) if text.startswith("<") else ("=", text)
    return f"{sign}\N{NO-BREAK SPACE}{number}"


def _legend(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What the figures of the page mean, each once, whatever its threshold."""
    legend: dict[str, str] = {}
    for key in keys_of(rows):
        if not is_end(key) and meaning_of(key):
            legend.setdefault(heading_of(key).partition("@")[0], meaning_of(key))
    return list(legend.items())
