"""The report as LaTeX tables (booktabs), to be taken into a paper with \\input."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kdtools.evaluation.results import Evaluation, Row
from kdtools.reports.columns import (
    UNMEASURED,
    Best,
    best_values,
    clean,
    compared,
    comparison_keys,
    interval_of,
    is_best,
    keys_of,
    parts_of,
    rows_for_people,
    written,
    written_interval,
)
from kdtools.reports.method import facts_of

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # these two would belong to the line end before them
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "%&#$_{}"},
}
_ONE_COLUMN = 46  # figures and names of about so many letters fit one column of two at 9 points
_MARKUP = re.compile(r"\\text\w+|\\infty|\\,|[\\${}]")


def as_latex(evaluation: Evaluation) -> str:
    """A tabular per normaliser, a row per prediction: NME of each subset, then failure rate and AUC of the first one.

    The NME of the first subset has its 95 % interval. Where faces are missing, so that the NME is infinite, that of the
    faces found is in columns of its own.

    Surprising: no table environment, as caption, label and place are the paper's. The comments say how it was measured.
    """
    rows, left_out = rows_for_people(evaluation)
    best = best_values(rows)
    tables: list[str] = []
    for normaliser in dict.fromkeys(row.normaliser for row in rows):
        own = [row for row in rows if row.normaliser == normaliser]
        table = _by_part(evaluation, own, best) if any(row.part for row in own) else _by_subset(own, best)
        tables.append(_comment(f"NME in % of {normaliser}") + table)
        differences = compared(own)
        if differences:
            said = f"NME minus that of {evaluation.baseline}, in points of % of {normaliser}; below 0 is better"
            tables.append(_comment(said) + _comparison(differences))
    head = [_comment("kd-eval: \\usepackage{booktabs} in the preamble, then \\input this file in a table environment.")]
    head += [_comment(f"{name}: {text}") for name, text in facts_of(evaluation)]
    head += [_comment(note) for note in [left_out, *evaluation.notes] if note]
    return "".join(head) + "\n" + "\n".join(tables)


def escape(text: str) -> str:
    """
    >>> print(escape("a_b 5%"))
    a\\_b 5\\%
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in clean(text))


def _comment(text: str) -> str:
    return f"% {clean(text)}\n"


def _by_subset(rows: Sequence[Row], best: Best) -> str:
    predictions = list(dict.fromkeys(row.prediction for row in rows))
    subsets = list(dict.fromkeys(row.subset for row in rows))
    place = {(row.prediction, row.subset): row for row in rows}
    keys = [key for key in keys_of(rows) if parts_of(key)[0] in ("fr", "auc", "auc_binned")]
    keys.sort(key=lambda key: ("fr", "auc", "auc_binned").index(parts_of(key)[0]))
    first = subsets[0]
    with_interval = any(row.subset == first and interval_of(row.figures, "nme_percent") for row in rows)
    with_missing = [s for s in subsets if any(row.subset == s and "nme_found_percent" in row.figures for row in rows)]
    lines = []
    for prediction in predictions:
        of_subset = {subset: place.get((prediction, subset)) for subset in subsets}
        cells = [_cell(of_subset[subset], "nme_percent", best) for subset in subsets]
        if with_interval:
            row = of_subset[first]
            cells.insert(1, (escape(written_interval(row.figures, "nme_percent")) if row else "") or "--")
        cells += [_cell(of_subset[subset], "nme_found_percent", best) for subset in with_missing]
        cells += [_cell(of_subset[first], key, best) for key in keys]
        lines.append([escape(prediction), *cells])
    groups = [("NME", len(subsets) + with_interval)]
    groups += [("NME found", len(with_missing))] if with_missing else []
    groups += [
        (f"{name} ({escape(first)})" if len(subsets) > 1 else name, len(own))
        for name, base in (("FR", "fr"), ("AUC", "auc"), ("AUC binned", "auc_binned"))
        if (own := [key for key in keys if parts_of(key)[0] == base])
    ]
    headings = [
        "",
        *map(escape, subsets),
        *map(escape, with_missing),
        *(f"@{escape(parts_of(key)[1])}" for key in keys),
    ]
    if with_interval:
        headings.insert(2, r"95\,\% interval")
    return _tabular(headings, lines, groups)


def _by_part(evaluation: Evaluation, rows: Sequence[Row], best: Best) -> str:
    """A row per region, landmark or face of each subset, a column of NME per prediction, and of those found."""
    predictions = list(dict.fromkeys(row.prediction for row in rows))
    with_missing = {row.prediction for row in rows if "nme_found_percent" in row.figures}
    keys = {name: ["nme_percent", *(["nme_found_percent"] if name in with_missing else [])] for name in predictions}
    place = {(row.subset, row.part, row.prediction): row for row in rows}
    several = len({row.subset for row in rows}) > 1
    lines = [
        [
            *([escape(subset)] if several else []),
            escape(part),
            *(_cell(place.get((subset, part, name)), key, best) for name in predictions for key in keys[name]),
        ]
        for subset, part in dict.fromkeys((row.subset, row.part) for row in rows)
    ]
    headings = [*(["subset"] if several else []), evaluation.by]
    headings += [escape(name) if key == "nme_percent" else "found" for name in predictions for key in keys[name]]
    return _tabular(headings, lines, [], n_labels=1 + several)


def _comparison(rows: Sequence[Row]) -> str:
    with_counts = "n_compared" in comparison_keys(rows)
    lines = [
        [
            escape(row.subset) + (f" {escape(row.part)}" if row.part else ""),
            escape(row.prediction),
            _signed(written("difference_percent", row.figures["difference_percent"])),
            _signed(written_interval(row.figures, "difference_percent")),
            _signed(written("improved_percent", row.figures.get("improved_percent"))).removesuffix(r" \%"),
            _signed(written("p_bootstrap", row.figures.get("p_bootstrap"))),
            _signed(written("p_wilcoxon", row.figures.get("p_wilcoxon"))),
            *([written("n_compared", row.figures["n_compared"])] if with_counts else []),
        ]
        for row in rows
    ]
    headings = ["subset", "", "difference", r"95\,\% interval", r"better on \%", "$p$ bootstrap", "$p$ Wilcoxon"]
    headings += ["faces"] if with_counts else []
    return _tabular(headings, lines, [], n_labels=2)


def _signed(text: str) -> str:
    """A minus that is one, and not a hyphen."""
    text = escape(text).replace(UNMEASURED, "--").replace(r"\textless{}", "$<$")
    return text.replace("-", "$-$").replace("$-$$-$", "--").replace("+", "$+$")


def _cell(row: Row | None, key: str, best: Best) -> str:
    if row is None:
        return "--"
    if key not in row.figures:
        return ""
    text = written(key, row.figures[key]).replace(UNMEASURED, "--").replace("inf", r"$\infty$")
    return rf"\textbf{{{text}}}" if is_best(row, key, best) else text


def _tabular(
    headings: Sequence[str], lines: Sequence[Sequence[str]], groups: Sequence[tuple[str, int]], n_labels: int = 1
) -> str:
    """`groups` are headings over several columns each, from the first figure on."""
    letters = [[len(_MARKUP.sub("", cell)) for cell in line] for line in [headings, *lines]]
    n_letters = sum(max(column) + 2 for column in zip(*letters, strict=True))
    wide = n_letters > _ONE_COLUMN
    text = [_comment("wide: in a paper of two columns this is for table*")] if wide else []
    text += [rf"\begin{{tabular}}{{@{{}}{'l' * n_labels}{'r' * (len(headings) - n_labels)}@{{}}}}" + "\n\\toprule\n"]
    if groups:
        # The last column of each group ends its rule.
        ends, end = [], n_labels
        for _, count in groups:
            ends.append((end + 1, end + count))
            end += count
        over = [rf"\multicolumn{{{count}}}{{c}}{{{name}}}" for name, count in groups]
        rules = [rf"\cmidrule(lr){{{start}-{stop}}}" for start, stop in ends]
        text += [" & " * n_labels + " & ".join(over) + r" \\" + "\n", " ".join(rules) + "\n"]
    text += [" & ".join(headings) + r" \\" + "\n\\midrule\n"]
    text += [" & ".join(line) + r" \\" + "\n" for line in lines]
    return "".join(text) + "\\bottomrule\n\\end{tabular}\n"
