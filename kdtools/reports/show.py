"""A report on standard output: JSON and TSV for programs, a table for a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from kdtools.evaluation.jitter import Steadiness
from kdtools.evaluation.results import Evaluation
from kdtools.reports.steadiness import print_steadiness, steadiness_json, steadiness_tsv
from kdtools.reports.terminal import print_table
from kdtools.reports.text import as_tsv, json_lines


def show_evaluation(evaluation: Evaluation, form: str) -> None:
    """`form` is json, tsv or table."""
    if form == "table":
        from rich.console import Console

        print_table(evaluation, Console())
    else:
        _print_lines((json_lines if form == "json" else as_tsv)(evaluation))


def show_steadiness(rows: Sequence[Steadiness], form: str) -> None:
    """`form` is json, tsv or table."""
    if form == "table":
        from rich.console import Console

        print_steadiness(rows, Console())
    else:
        _print_lines((steadiness_json if form == "json" else steadiness_tsv)(rows))


def _print_lines(lines: Iterable[str]) -> None:
    """One at a time: by face there may be millions."""
    sys.stdout.writelines(line + "\n" for line in lines)
