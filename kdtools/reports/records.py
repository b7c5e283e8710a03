"""Records, dataclasses with a value in each field, as a table, TSV, JSON or one value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from kdtools.errors import UsageError
from kdtools.reporting import printable

if TYPE_CHECKING:
    from rich.console import Console


def records_tsv(rows: Sequence[Any]) -> Iterator[str]:
    """A heading and one line per record; values that could not be measured are empty."""
    yield "\t".join(_columns(rows))
    for row in rows:
        yield "\t".join(_text(value) for value in asdict(row).values())


def records_json(rows: Sequence[Any]) -> Iterator[str]:
    """A JSON object in a line for each record."""
    return (json.dumps(asdict(row)) for row in rows)


def record_value(rows: Sequence[Any], name: str, where: str) -> str:
    """One value of the first record. Raises UsageError, with the words `where` there are others, for an unknown one."""
    if name not in _columns(rows):
        raise UsageError(f"--value is {name!r}", f"{where} there are {', '.join(_columns(rows))}")
    return _text(asdict(rows[0])[name])


def print_records(rows: Sequence[Any], console: Console) -> None:
    from rich.table import Table  # 40 ms to load, which other forms do not need
    from rich.text import Text

    table = Table(*_columns(rows), box=None)
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in asdict(row).values()))  # a plain string may hold markup
    console.print(table)


def _columns(rows: Sequence[Any]) -> list[str]:
    return [column.name for column in fields(rows[0])]


def _text(value: str | float | None) -> str:
    return "" if value is None else f"{value:z.4f}" if isinstance(value, float) else printable(str(value))
