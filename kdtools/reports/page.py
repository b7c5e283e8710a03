"""The report as one HTML page that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from kdtools import __version__
from kdtools.evaluation.results import ALL_FACES, MEAN_SHAPE, Evaluation, Row
from kdtools.reports.figures import (
    best_values,
    clean,
    compared,
    comparison_keys,
    has,
    heading_of,
    in_order,
    interval_of,
    is_best,
    is_end,
    keys_of,
    main_keys,
    meaning_of,
    parts_of,
    rows_for_people,
    value_of,
    verdict_of,
    written,
    written_interval,
)
from kdtools.reports.method import facts_of, normaliser_meaning, unit_of

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
_PART_KEYS = (
    "missing",
    "nme_percent",
    "nme_found_percent",
    "bias_x_percent",
    "bias_y_percent",
    "normal_percent",
    "spread_percent",
)
_MOST_CARDS = 6
_Best = dict[tuple[str, str, str, str], str]


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
        comparisons=[_comparison(evaluation, _of(rows, name), "") for name in normalisers if compared(_of(rows, name))],
        where=_where(evaluation),
        results=[
            (name, normaliser_meaning(name, evaluation.scheme), _results(_of(rows, name), "", best))
            for name in normalisers
        ],
        matrix=_matrix(rows, best) if len(normalisers) > 1 else None,
        regions=_parts(evaluation.regions, "region"),
        landmarks=_parts(evaluation.landmarks, "landmark"),
        faces=[_results(_of(faces, name), "face", best_values(faces)) for name in normalisers if _of(faces, name)],
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


def _of(rows: Sequence[Row], normaliser: str) -> list[Row]:
    return [row for row in rows if row.normaliser == normaliser]


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


def _typeset(text: str) -> str:
    """A minus that is one, infinity, and no line end before %."""
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞").replace(" %", "\N{NO-BREAK SPACE}%")


def _cell(row: Row | None, key: str, best: _Best, *, interval: bool = True) -> Cell:
    if row is None or not has(row.figures, key):
        return Cell("")
    text = _typeset(written(key, value_of(row.figures, key)))
    ends = _typeset(written_interval(row.figures, key)) if interval else ""
    return Cell(text, ends, is_best(row, key, best))


def _cards(of_subsets: Sequence[Row], best: _Best) -> list[tuple[str, list[tuple[str, Cell]]]]:
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
        cards.append((clean(row.prediction), [(heading_of(key), _cell(row, key, best)) for key in keys]))
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
            interval = _typeset(written_interval(row.figures, "difference_percent"))
            claim = f"and {baseline} do not differ clearly: {_typeset(f'{difference:+.2f}')} points of NME {interval}"
        else:
            claim = f"has {amount} {'more' if difference > 0 else 'less'} than {baseline}"
        evidence = []
        if row.figures.get("relative_percent") is not None:
            share = _typeset(written("relative_percent", row.figures["relative_percent"]))
            evidence.append(f"{share} relative to {baseline}")
        if row.figures.get("improved_percent") is not None:
            share = _typeset(written("improved_percent", row.figures["improved_percent"]))
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


def _groups(rows: Sequence[Row], by: str) -> tuple[str, list[tuple[str, list[tuple[str, Row]]]]]:
    """Heading of the lines' labels, and lines in groups: the innermost label that differs is the line's own."""
    labels = {"subset": "subset", "part": by, "prediction": "prediction"}
    differing = [name for name in labels if len({getattr(row, name) for row in rows}) > 1] or ["prediction"]
    groups: dict[tuple[str, ...], list[tuple[str, Row]]] = {}
    for row in rows:
        outer = tuple(clean(getattr(row, name)) for name in differing[:-1])
        groups.setdefault(outer, []).append((clean(getattr(row, differing[-1])), row))
    return labels[differing[-1]], [(" · ".join(outer), lines) for outer, lines in groups.items()]


def _results(rows: Sequence[Row], by: str, best: _Best) -> Table:
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
            Group(name, [(own, [_cell(row, key, best) for key in keys]) for own, row in lines])
            for name, (_, lines) in zip(names, groups, strict=True)
        ],
    )


def _where(evaluation: Evaluation) -> Table | None:
    """The comparison by region, on the first subset."""
    rows = [row for row in in_order(evaluation.regions) if row.subset == evaluation.regions[0].subset]
    return _comparison(evaluation, rows, "region")[1] if compared(rows) else None


def _comparison(evaluation: Evaluation, rows: Sequence[Row], by: str) -> tuple[str, Table]:
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


def _compared_cells(row: Row, keys: Sequence[str], scale: float) -> list[Cell]:
    mood = verdict_of(row)
    ends, middle = interval_of(row.figures, keys[0]), row.figures[keys[0]]
    span = None
    if ends and middle is not None:
        low, centre, high = (round(50 + 50 * value / scale, 2) for value in (ends[0], middle, ends[1]))
        span = (low, centre, high)
    first = Cell(_typeset(written(keys[0], middle)), _typeset(written_interval(row.figures, keys[0])))
    others = [Cell(_typeset(written(key, row.figures.get(key)))) for key in keys[1:]]
    return [first, Cell("", span=span, mood=mood), Cell(mood, mood=mood), *others]


def _matrix(rows: Sequence[Row], best: _Best) -> Table:
    """NME by every normaliser side by side."""
    normalisers = list(dict.fromkeys(row.normaliser for row in rows))
    place = {(row.subset, row.prediction, row.normaliser): row for row in rows}
    label, groups = _groups(_of(rows, normalisers[0]), "")
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
                            _cell(place.get((row.subset, row.prediction, n)), "nme_percent", best, interval=False)
                            for n in normalisers
                        ],
                    )
                    for own, row in lines
                ],
            )
            for name, lines in groups
        ],
    )


def _parts(rows: Sequence[Row], by: str) -> list[tuple[str, Table]]:
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


def _with_bar(row: Row | None, key: str, best: _Best, longest: float, *, interval: bool) -> Cell:
    cell = _cell(row, key, best, interval=interval)
    value = row.figures.get(key) if row is not None and key == "nme_percent" else None
    if value is None or not math.isfinite(value):
        return cell
    return Cell(cell.text, cell.interval, cell.best, round(100 * value / longest, 1))


def _legend(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What the figures of the page mean, each once, whatever its threshold."""
    legend: dict[str, str] = {}
    for key in keys_of(rows):
        if not is_end(key) and meaning_of(key):
            legend.setdefault(heading_of(key).partition("@")[0], meaning_of(key))
    return list(legend.items())
