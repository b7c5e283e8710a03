"""What the readers of text lists and of JSON share: numbers that are checked, lines, a look at a file's beginning."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import as_points
from kdtools.datasets.formats.shared.listing import texts_below
from kdtools.errors import DataError, FileError, reason_of, some_of

# Written out because float() also takes 1_000, infinity and other scripts' digits, which no data set means.
NUMBER = r"(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[nN][aA][nN])"
_NUMBER = re.compile(NUMBER, re.ASCII)
_NUMBERS = re.compile(f"{NUMBER}(?:,{NUMBER})*", re.ASCII)
_LARGEST = 1e6  # pixels; the sides of a JPEG end at 65,535
_N_LAST = 11  # texts a row keeps, for WFLW's ten columns and the one before; all would take ten times the memory
_PEEK = 1 << 16  # bytes; a line of 468 points takes 20 KB


@dataclass(frozen=True)
class Row:
    """A line of a list: where it stands, the name of its picture, its numbers (n,) float64, the last ones as text."""

    where: str
    name: str
    numbers: np.ndarray
    last: tuple[str, ...]


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def parse_numbers(texts: Sequence[str]) -> np.ndarray:
    """Texts -> (n,) float64. Raises DataError for one that is not a number, or too large for a pixel."""
    # All at once is three times as fast as one by one, where no text holds a comma itself.
    joined = ",".join(texts)
    if not _NUMBERS.fullmatch(joined) or joined.count(",") >= len(texts):
        for text in texts:
            if not is_number(text):
                raise DataError(f"{text[:30]!r} is not a number")
    return check_size(np.array(list(map(float, texts)), np.float64))


def check_size(numbers: np.ndarray) -> np.ndarray:
    """The numbers themselves. Raises DataError for one that lies beyond any picture, or is infinite."""
    wrong = np.abs(numbers) > _LARGEST  # false for NaN
    if wrong.any():
        raise DataError(f"{numbers[wrong][0]:g} is not a place in a picture")
    return numbers


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields where a line stands (`path:7`) and the line; empty ones are left out. Raises FileError."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield f"{path}:{number}", line.strip()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not a text file in UTF-8: {reason_of(error)}") from error
    except OSError as error:
        raise FileError(f"{path}: {reason_of(error)}") from error


def peek_text(path: Path) -> str:
    """The beginning of a text file, to see what it is; nothing where it is no text or cannot be read."""
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_PEEK)
    except OSError:
        return ""
    return "" if b"\0" in beginning else beginning.decode("utf-8-sig", errors="replace").lstrip()


def peek_lines(path: Path) -> list[str]:
    """The first lines that are not empty: several, because the very first may be a header or a damaged one."""
    lines = (line.strip() for line in peek_text(path).splitlines())
    return list(islice(filter(None, lines), 5))


def files_like(source: Path, pattern: str, looks_right: Callable[[Path], bool]) -> list[Path]:
    """The file itself, or the files of a folder whose names match the pattern, where they look right; sorted."""
    if source.is_file():
        return [source] if looks_right(source) else []
    if pattern.startswith("**/"):  # however deep the folders are, which would be too deep for `Path.glob`
        names = (
            name for name in texts_below(source) if fnmatchcase(name.rpartition("/")[2], pattern.removeprefix("**/"))
        )
        paths: Iterable[Path] = (source / name for name in names)
    else:
        paths = sorted(source.glob(pattern))
    return [path for path in paths if not path.name.startswith(".") and path.is_file() and looks_right(path)]


def lists_of(source: Path, is_line: Callable[[str], bool]) -> list[Path]:
    """As `files_like`, the .txt files among whose first lines `is_line` knows one."""
    return files_like(source, "*.txt", lambda path: any(map(is_line, peek_lines(path))))


def text_files(source: Path, suffix: str = ".txt") -> Iterator[Path]:
    """The file itself where its name ends so, or such files below a folder, sorted, hidden ones left out."""
    if source.is_file():
        yield from [source] if source.suffix.lower() == suffix else []
        return
    for name in texts_below(source):
        if name.lower().endswith(suffix) and (path := source / name).is_file():
            yield path


def only_file(source: Path, files: Sequence[Path]) -> Path:
    """Raises FileError where a folder holds several files of the format, or a source none: which one is meant?"""
    if not files:
        raise FileError(f"{source}: no file of this format")
    if len(files) > 1:
        raise FileError(
            f"{source}: holds {len(files)} such files: {some_of([file.name for file in files])}", "name the one to read"
        )
    return files[0]


def rows_of_one_length(
    path: Path, split: Callable[[str], tuple[str, list[str]]], skip: Callable[[str, str], None]
) -> list[Row]:
    """Lines of a list in which all have equally many numbers; `split` cuts a line into its name and its numbers.

    A line with a number more or less is skipped, because its points would be shifted by a coordinate. Raises FileError.
    """
    rows = []
    for where, line in read_lines(path):
        try:
            name, texts = split(line)
            rows.append(Row(where, name, parse_numbers(texts), tuple(texts[-_N_LAST:])))
        except DataError as error:
            skip(where, error.message)
    usual = most_frequent([len(row.numbers) for row in rows])
    for row in rows:
        if len(row.numbers) != usual:
            skip(row.where, f"{len(row.numbers)} numbers, but most lines of the file have {usual}")
    return [row for row in rows if len(row.numbers) == usual]


def split_path_first(line: str) -> tuple[str, list[str]]:
    """`PATH 1 2 3` -> the path, which may hold spaces, and the numbers. Raises DataError where either is absent."""
    words = line.split()
    count = 0
    while count < len(words) and is_number(words[-1 - count]):
        count += 1
    if count in (0, len(words)):
        raise DataError("no numbers at the end of the line" if count == 0 else "no image name before the numbers")
    return line.rsplit(maxsplit=count)[0], words[-count:]


def load_json(path: Path) -> Any:
    """Raises FileError where the file is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise FileError(f"{path}: not a JSON file: {reason_of(error)}") from error
    except OSError as error:
        raise FileError(f"{path}: {reason_of(error)}") from error


def numbers_of(value: Any, what: str, none: float | None = None) -> np.ndarray:
    """A JSON list of numbers -> (n,) float64; `none` is what null stands for. Raises DataError for anything else."""
    if not isinstance(value, list):
        raise DataError(f"{what}: not a list of numbers")
    items = [none if item is None else item for item in value]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise DataError(f"{what}: {str(item)[:30]!r} is not a number")
    try:
        return check_size(np.array(items, np.float64))
    except OverflowError as error:  # an integer of 400 digits
        raise DataError(f"{what}: a number is too large") from error


def pairs_of(value: Any, what: str, none: float | None = None) -> np.ndarray:
    """A JSON list of pairs -> (n, 2) float64, NaN where one of the two is. Raises DataError for anything else."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{what}: not a list of points")
    pairs = [numbers_of(pair, what, none) for pair in value]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{what}: a point has not two numbers")
    return as_points(np.concatenate(pairs))


def most_frequent(lengths: Sequence[int]) -> int:
    """Of several equally frequent ones the first; 0 of none."""
    return Counter(lengths).most_common(1)[0][0] if lengths else 0
