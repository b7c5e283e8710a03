"""Jitter as a table, TSV, JSON or one number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdtools.errors import UsageError
from kdtools.evaluation.jitter import Jitter
from kdtools.reporting import printable

COLUMNS = [column.name for column in fields(Jitter)]


def jitter_tsv(rows: Sequence[Jitter]) -> Iterator[str]:
    """A heading and one line per prediction; values that could not be measured are empty."""
    yield "\t".join(COLUMNS)
    for row in rows:
        yield "\t".join(_text(value) for value in asdict(row).values())


def jitter_json(rows: Sequence[Jitter]) -> Iterator[str]:
    return (json.dumps(asdict(row)) for row in rows)


def jitter_value(rows: Sequence[Jitter], name: str) -> str:
    """One number of the first prediction. Raises UsageError for an unknown column."""
    if name not in COLUMNS:
        raise UsageError(f"--value is {name!r}", f"with --jitter there are {', '.join(COLUMNS)}")
    return _text(asdict(rows[0])[name])


def print_jitter(rows: Sequence[Jitter], console: Console) -> None:
    table = Table(*COLUMNS, box=None)
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in asdict(row).values()))  # a plain string may hold markup
    console.print(table)


def _text(value: str | float | None) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else printable(str(value))
