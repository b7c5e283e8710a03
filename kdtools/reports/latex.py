"""The report as LaTeX tables (booktabs), for \\input in a paper."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kdtools.evaluation.results import Evaluation, Row
from kdtools.reporting import printable
from kdtools.reports.columns import UNMEASURED, keys_of, parts_of
from kdtools.reports.method import facts_of
from kdtools.reports.table import (
    Cell,
    by_normaliser,
    compared,
    comparison_table,
    rows_for_people,
    table_side_by_side,
)

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # these two would be read as options of the \\ before them
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "%&#$_{}"},
}
_ONE_COLUMN = 46  # about so many letters fit one column of a two-column paper at 9 points
_MARKUP = re.compile(r"\\text\w+|\\infty|\\,|[\\${}]")


def as_latex(evaluation: Evaluation) -> str:
    """One tabular per normaliser, a line per prediction: NME of each subset, then failure rate and AUC of the first.

    The NME of the first subset has its 95 % interval. Where faces are missing and the NME is infinite, the NME of the
    faces found has its own columns.

    There is no table environment: caption, label and position are the paper's. Comments say how it was measured.
    """
    rows, notes = rows_for_people(evaluation)
    tables: list[str] = []
    for normaliser, own in by_normaliser(rows).items():
        table = _by_part(own, evaluation.by) if any(row.part for row in own) else _by_subset(own)
        tables.append(_comment(f"NME in % of {normaliser}") + table)
        differences = compared(own)
        if differences:
            unit = f"NME minus that of {evaluation.baseline}, in points of % of {normaliser}; below 0 is better"
            tables.append(_comment(unit) + _comparison(differences, evaluation.by))
    head = ["kd-eval: \\usepackage{booktabs} in the preamble, then \\input this file in a table environment."]
    head += [f"{name}: {text}" for name, text in facts_of(evaluation)]
    return "".join(map(_comment, [*head, *notes])) + "\n" + "\n".join(tables)


def escape(text: str) -> str:
    """
    >>> print(escape("a_b 5%"))
    a\\_b 5\\%
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in printable(text))


def _comment(text: str) -> str:
    return f"% {printable(text)}\n"


def _by_subset(rows: Sequence[Row]) -> str:
    names = {
        "nme": "NME",
        "nme_true": "NME true",
        "nme_found": "NME found",
        "fr": "FR",
        "auc": "AUC",
        "auc_binned": "AUC binned",
    }
    keys = [key for base in names for key in keys_of(rows) if parts_of(key)[0] == base]
    table = table_side_by_side(rows, "subset", keys, "", intervals=True)
    first, several = rows[0].subset, any(row.subset != rows[0].subset for row in rows)
    headings, groups = [""], []
    texts = [list(map(escape, table.labels["prediction"]))]
    for base, name in names.items():
        of_subsets = base.startswith("nme")
        columns = [
            column
            for column in table.columns
            if parts_of(column.key)[0] == base and (of_subsets or column.over == first) and column.is_filled
        ]
        n_before = len(headings)
        for column in columns:
            headings.append(escape(column.over) if of_subsets else f"@{escape(parts_of(column.key)[1])}")
            texts.append(list(map(_text, column.cells)))
            if len(headings) == 2 and any(cell.interval for cell in column.cells):
                headings.append(r"95\,\% interval")
                texts.append([escape(cell.interval) or "--" for cell in column.cells])
        if columns:
            groups.append(
                (name if of_subsets or not several else f"{name} ({escape(first)})", len(headings) - n_before)
            )
    return _tabular(headings, texts, groups)


def _by_part(rows: Sequence[Row], by: str) -> str:
    """One line per region, landmark or face of each subset; columns of NME, and NME found, for each prediction."""
    table = table_side_by_side(rows, "prediction", ["nme_percent", "nme_found_percent"], by)
    columns = [column for column in table.columns if column.is_filled]
    labels = table.labels_shown(always=[by])
    headings = [*labels, *(escape(column.over) if column.key == "nme_percent" else "found" for column in columns)]
    texts = [list(map(escape, own)) for own in labels.values()]
    texts += [list(map(_text, column.cells)) for column in columns]
    return _tabular(headings, texts, [], len(labels))


def _comparison(rows: Sequence[Row], by: str) -> str:
    """Without the relative difference and the verdict, which follow from the rest, to fit a column of a paper."""
    table = comparison_table(rows, by)
    labels = table.labels_shown(always=table.labels.keys() - {"normaliser"})
    columns = {column.key: column.cells for column in table.columns}
    names = {
        "difference_percent": "difference",
        "improved_percent": r"better on \%",
        "p_bootstrap": "$p$ bootstrap",
        "p_wilcoxon": "$p$ Wilcoxon",
        "n_compared": "faces",
    }
    names = {key: name for key, name in names.items() if key in columns}
    texts = [list(map(escape, own)) for own in labels.values()]
    texts += [[_signed(cell.text).removesuffix(r" \%") for cell in columns[key]] for key in names]
    texts.insert(len(labels) + 1, [_signed(cell.interval) for cell in columns["difference_percent"]])
    headings = [*("" if label == "prediction" else label for label in labels), *names.values()]
    headings.insert(len(labels) + 1, r"95\,\% interval")
    return _tabular(headings, texts, [], len(labels))


def _signed(text: str) -> str:
    """Signs and dashes as mathematics sets them: a minus, not a hyphen."""
    text = escape(text).replace(UNMEASURED, "--").replace(r"\textless{}", "$<$")
    return text.replace("-", "$-$").replace("$-$$-$", "--").replace("+", "$+$")


def _text(cell: Cell) -> str:
    text = cell.text.replace(UNMEASURED, "--").replace("inf", r"$\infty$")
    return rf"\textbf{{{text}}}" if cell.is_best else text


def _tabular(
    headings: Sequence[str], columns: Sequence[Sequence[str]], groups: Sequence[tuple[str, int]], n_labels: int = 1
) -> str:
    """`groups` are headings that each span several columns, from the first value on."""
    n_letters = sum(
        max(len(_MARKUP.sub("", text)) for text in (heading, *texts)) + 2
        for heading, texts in zip(headings, columns, strict=True)
    )
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
    text += [" & ".join(line) + r" \\" + "\n" for line in zip(*columns, strict=True)]
    return "".join(text) + "\\bottomrule\n\\end{tabular}\n"
