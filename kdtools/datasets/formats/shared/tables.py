"""Delimited text (CSV, TSV) as rows of cells, for the formats that come in it."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.text_lists import check_size, is_number
from kdtools.errors import DataError, FileError, reason_of, some_of

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)
_FEWEST_DECIMALS = 6
_START = 1 << 16  # characters in which the first row is looked for


def table_at(source: Path, suffix: str) -> Path | None:
    """The file itself, or the only one of that suffix in a folder; None where there is none.

    Hidden files are left out: macOS puts ._NAME.csv beside NAME.csv. Raises FileError for several.
    """
    if source.is_file():
        return source if source.suffix.lower() == suffix else None
    tables = sorted(path for path in source.glob(f"*{suffix}") if path.is_file() and not path.name.startswith("."))
    if len(tables) > 1:
        some = some_of([path.name for path in tables])
        raise FileError(
            f"{source}: holds {len(tables)} {suffix} files: {some}", "name the one to read, or give --format images"
        )
    return tables[0] if tables else None


def read_table(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each row stands (path:line) and its cells; blank rows are left out. Comma, semicolon or tab between them.

    Raises FileError where the file is not such text. Faults of quoting end it too: after one, nobody knows where a
    row begins.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = _delimiter_of(stream.read(_START))
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for row in reader:
                if not is_blank(row):
                    yield f"{path}:{reader.line_num}", row
    except (UnicodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file: {error}") from error
    except OSError as error:
        raise FileError(f"{path}: {reason_of(error)}") from error


def first_rows(path: Path, n: int) -> list[list[str]]:
    """The first rows that are not blank, for a look at what a file is; none where it is no text."""
    try:
        return [row for _, row in islice(read_table(path), n)]
    except FileError:
        return []


def is_blank(row: list[str]) -> bool:
    return not any(cell.strip() for cell in row)


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def numbers_of(cells: Sequence[str]) -> np.ndarray:
    """(n,) float64, NaN for missing ones. Raises DataError for other text, and for a number beyond any picture."""
    return check_size(np.array([_number_of(cell) for cell in cells], np.float64))


def _number_of(cell: str) -> float:
    """NaN for a missing one. Raises DataError for text that is not a number."""
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    if has_decimal_comma(text):
        raise DataError(f"{text[:30]!r} is a number with a decimal comma, or two numbers; write 12.5 for 12,5")
    if not is_number(text):
        raise DataError(f"{text[:30]!r} is not a number")
    return float(text)


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is `12,5`, which may be one number or two."""
    return _DECIMAL_COMMA.fullmatch(cell.strip()) is not None


def check_no_decimals_apart(rows: Sequence[Sequence[str]]) -> None:
    """Raises DataError where commas in numbers seem to have cut these in two, as 12,5,13,07 for 12.5 and 13.07.

    `rows` are the cells of faces after the name: all are whole, and every second one is a digit or begins with 0.
    """
    seconds = [cell.strip() for row in rows for cell in row[1::2]]
    if len(seconds) < _FEWEST_DECIMALS or not all(cell.strip().isdecimal() for row in rows for cell in row):
        return
    if any(len(cell) > 1 and cell[0] == "0" for cell in seconds) or all(len(cell) == 1 for cell in seconds):
        raise DataError(
            "its numbers seem to be split at decimal commas, such as 12,5 into 12 and 5",
            "write 12.5, or put ; between cells",
        )


def picture_of(id: str) -> str:
    """The picture's name in the id of a face: `a.jpg#2`, the second face in a.jpg -> `a.jpg`."""
    return re.sub(r"(?<=.)#\d+$", "", id)


def _delimiter_of(start: str) -> str:
    """What cuts the first row into most cells; a comma only where nothing else does, since it may be a decimal one."""

    def n_cells(delimiter: str) -> int:
        rows = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
        return len(next((row for row in rows if not is_blank(row)), []))

    return max("\t;,", key=n_cells)
