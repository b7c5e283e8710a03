"""TSV: what `csv_points` reads and writes, with tabs between the cells, in files called .tsv.

A name that holds a tab, a quote or a line break is put in quotes, as in CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kdtools.datasets.formats import csv_points
from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.tables import table_at


def accepts(source: Path) -> bool:
    return table_at(source, ".tsv") is not None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = source if source.is_file() else table_at(source, ".tsv")
    if path is not None:
        yield from csv_points.read_faces(path, reading)


write = partial(csv_points.write, delimiter="\t")
FORMAT = Format(
    "tsv",
    "the same as csv, with tabs",
    0,
    accepts,
    read,
    write,
    suffix=".tsv",
    names_of_category=partial(csv_points.names_of, suffix=".tsv"),
    accepts_named=csv_points.accepts_named,
)
