"""CSV: image name, x0, y0, x1, y1, ... from 0, with or without a header, as kd-dump and many programs write it.

    image,x0,y0,x1,y1
    a.jpg,10.5,20,30.25,22

A header may name the columns in other ways and in another order (`csv_columns`). An empty cell, nan and NA are missing
numbers. Comma, semicolon or tab stand between the cells. A name that stands in several lines is an image with several
faces; the id of the k-th ends in #k from the second on. Under the header `id` stand ids that already end so.
A column category, class or label says what the points of a row are of; of several things `Reading.categories` says one.
A column frame or frame_number without a column of names holds numbers of frames, of the video in a column video or of
the table's own name (see `table_frames`). Names such as clip.mp4#frame=000012 are frames in every format.
A header that only numbers the columns is understood where the points mirror like those of a scheme of that number.
The first pixel is 0, as in numpy and OpenCV: by definition, since such files say nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from kdtools.datasets.formats import csv300w, deeplabcut, hrnet, kaggle, muct, openface, via
from kdtools.datasets.formats.shared.annotation import Annotation, Blocks, FaceBlock, Reading
from kdtools.datasets.formats.shared.categories import NO_LABEL, Category, choose_categories
from kdtools.datasets.formats.shared.column_checks import usual_columns
from kdtools.datasets.formats.shared.csv_columns import (
    Columns,
    columns_by_place,
    columns_of_header,
    is_header,
    is_numbered,
    numbers_of_rows,
    scheme_of_numbered,
)
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import find_frame
from kdtools.datasets.formats.shared.table_frames import TableFrames, is_frame_number
from kdtools.datasets.formats.shared.tables import (
    check_no_decimals_apart,
    first_rows,
    is_missing,
    picture_of,
    read_table,
    table_at,
)
from kdtools.datasets.formats.shared.text_lists import is_number
from kdtools.errors import DataError, FileError
from kdtools.images.head_pose import POSE
from kdtools.landmarks import Scheme
from kdtools.storage.file_kinds import VIDEO_SUFFIXES

DETAILS = ("box_x0", "box_y0", "box_x1", "box_y1", "score", "confidence")  # half-open box; mean over the points
_N_LOOKED_AT = 300  # rows
_DIALECTS = (csv300w, hrnet, deeplabcut, kaggle, muct, openface, via)  # CSV too, but with other rules


def accepts(source: Path) -> bool:
    """Raises FileError for a folder of several such files: which one is meant?"""
    path = table_at(source, ".csv")
    return path is not None and not any(dialect.accepts(path) for dialect in _DIALECTS)


def accepts_named(source: Path) -> bool:
    """Whether a file, whatever it is called, is a table with several cells in a row, and no dialect."""
    rows = first_rows(source, 1) if source.is_file() else []
    return bool(rows) and len(rows[0]) > 2 and not any(dialect.accepts(source) for dialect in _DIALECTS)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """`source` is the file, or a folder with just one. Names are relative to it, or to a folder images/ beside it."""
    path = source if source.is_file() else table_at(source, ".csv")
    if path is not None:
        yield from read_faces(path, reading)


def names_of(source: Path, categories: tuple[str, ...] = (), suffix: str = ".csv") -> list[str] | None:
    """Names of the points in the header, such as nose of nose_x, nose_y; None where it has none.

    They are the same for all `categories`.
    """
    path = source if source.is_file() else table_at(source, suffix)
    rows = first_rows(path, 1) if path is not None else []
    if not rows or is_numbered(rows[0]) or not is_header(rows[0]):
        return None
    try:
        return list(columns_of_header(rows[0]).names) or None
    except DataError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error


def read_faces(path: Path, reading: Reading) -> Iterator[Annotation]:
    """The faces of a table, whatever it is called."""
    for row in read_rows(path, reading):
        if row.frame is not None:
            place = find_frame(reading, row.image, row.frame, path.parent, row.where)
            if place is not None:
                yield Annotation(reading.number(place.id), place.image, row.points, frame=place.frame)
            continue
        image = reading.find_image(row.image, path.parent, row.where)
        if image is not None:
            yield Annotation(reading.number(row.image) if row.id is None else row.id, image, row.points)


@dataclass(frozen=True)
class Row:
    """One face of a table: `where` it stands, its `image`'s name, its `id` where the table has one, `points` (L, 2).

    Where it names the `frame` of a video, from 0, `image` is the video.
    """

    where: str
    image: str
    id: str | None
    points: np.ndarray
    frame: int | None = None


def read_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """Faces of a table. Raises FileError where its columns cannot be understood.

    Raises DataError where rows are of several categories, and none is chosen.
    """
    rows = read_table(path)
    columns, chosen, frames = None, None, None
    for n_before, (where, cells) in enumerate(rows):
        if n_before == 0:
            columns = _columns_of(path, cells, reading)
            chosen = _chosen_categories(path, columns, reading)
            frames = TableFrames(path, columns, reading) if columns and columns.frame is not None else None
            if is_header(cells) or is_numbered(cells):
                continue
        if chosen is not None and columns and _category_of(cells, columns) not in chosen:
            continue
        try:
            yield _row_of(where, cells, columns or columns_by_place(len(cells)), reading.base, frames)
        except DataError as error:
            reading.skip(where, error.message)


def _columns_of(path: Path, first: list[str], reading: Reading) -> Columns | None:
    """Columns by the first row, a header or the first face; None without a header, where all numbers are points."""
    try:
        if is_numbered(first):
            name = scheme_of_numbered(numbers_of_rows(first_rows(path, _N_LOOKED_AT)[1:]))
            reading.say(
                f"{path}: its header numbers the columns; they are taken for x, y of {name}, as they mirror alike"
            )
            return columns_by_place(len(first))
        if is_header(first):
            columns = columns_of_header(first)
            if columns.image is None and columns.id is None and not _are_numbers(path, columns.frame):
                columns = replace(columns, image=columns.frame, frame=None)
            _check_a_row_is_a_face(columns, first_rows(path, _N_LOOKED_AT)[1:])
            return columns
        check_no_decimals_apart([row[1:] for row in first_rows(path, _N_LOOKED_AT)])
    except DataError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error
    usual = usual_columns(path, numbers_of_rows(first_rows(path, _N_LOOKED_AT)), reading)
    if usual is None or not usual.note:
        return None
    return Columns(1 + usual.n_numbers, tuple(1 + k for k in usual.xy))


def _chosen_categories(path: Path, columns: Columns | None, reading: Reading) -> frozenset[str | None] | None:
    """The categories whose rows are read; None where rows have none."""
    if columns is None or columns.category is None:
        if reading.categories:
            choose_categories(path, reading.categories, {}, [])  # which raises
        return None
    found = [
        (_category_of(cells, columns), len(columns.xy) // 2)
        for _, cells in islice(read_table(path), 1, None)
        if len(cells) == columns.n_cells and not all(is_missing(cells[k]) for k in columns.xy)
    ]
    known = {name: Category(name or NO_LABEL) for name, _ in found}
    chosen = choose_categories(path, reading.categories, known, found)
    return chosen | {None}  # a row that is too short for a category is skipped by its length


def _category_of(cells: Sequence[str], columns: Columns) -> str | None:
    if columns.category is None or columns.category >= len(cells):
        return None
    return cells[columns.category].strip()


def _check_a_row_is_a_face(columns: Columns, rows: list[list[str]]) -> None:
    """Raises DataError for a table with a row for each point: one point a row, and images that repeat."""
    image = columns.image
    if len(columns.xy) != 2 or image is None or len(rows) < 2:
        return
    last = max(image, *columns.xy)
    images = [row[image] for row in rows if len(row) > last and all(is_number(row[k]) for k in columns.xy)]
    if images and 2 * len(set(images)) <= len(images):
        raise DataError(
            "one point a row, and several rows an image: a row is a point here, not a face",
            "write a row for each face: image,x0,y0,x1,y1,...",
        )


def _are_numbers(path: Path, column: int | None) -> bool:
    """Whether most cells in a column of frames are whole numbers, and no names of pictures."""
    cells = [row[column] for row in first_rows(path, _N_LOOKED_AT)[1:] if column is not None and len(row) > column]
    return 2 * sum(is_frame_number(cell.strip()) for cell in cells) >= len(cells)


def _row_of(where: str, cells: list[str], columns: Columns, base: float, frames: TableFrames | None = None) -> Row:
    if len(cells) != columns.n_cells:
        raise DataError(f"{len(cells)} cells, but the header has {columns.n_cells}")
    video = None if frames is None else frames.video_of(cells)
    if frames is not None and video is not None and "\0" not in video:
        return Row(where, video, None, columns.points_of(cells, base), frames.frame_of(cells, video))
    id = None if columns.id is None else cells[columns.id]
    image = picture_of(id or "") if columns.image is None else cells[columns.image].strip()
    if not image.strip() or (id is not None and not id.strip()):
        raise DataError("no name")
    if image.lower().endswith(VIDEO_SUFFIXES):
        raise DataError("names a video, but no frame: add a column frame, counted from 0")
    if "\0" in image or "\0" in (id or ""):
        raise DataError("a NUL character in its name")
    return Row(where, image, id, columns.points_of(cells, base))


def write(
    blocks: Blocks,
    scheme: Scheme,
    stream: BinaryIO,
    *,
    delimiter: str = ",",
    header: bool = True,
    images: bool = False,
    details: bool = False,
    pose: bool = False,
) -> None:
    """Lines of id, x0, y0, ...; with `images` the picture's name stands after the id.

    With `details` the columns of `DETAILS` stand before the points, empty where the file does not hold them, and with
    `pose` those of `POSE`. Under a
    header, frame, time and track stand after the points of faces in videos. The numbers are the shortest that give the
    same float32 again.
    """
    comma, special = delimiter.encode(), re.compile(f'[{delimiter}"\n\r]|^\\s|\\s$')

    def quoted(text: str) -> bytes:
        return (f'"{text.replace(chr(34), 2 * chr(34))}"' if special.search(text) else text).encode()

    def write_header(n_points: int, video_columns: Sequence[str] = ()) -> None:
        numbered = [f"{axis}{k}" for k in range(n_points) for axis in "xy"]
        columns = ["id", *["image"] * images, *(DETAILS if details else ()), *POSE * pose, *numbered, *video_columns]
        stream.write(delimiter.join(columns).encode() + b"\n")

    n_before = -1
    for n_before, block in enumerate(blocks()):
        if header and n_before == 0:
            write_header(block.points.shape[1], block.video_columns)
        names = list(map(quoted, block.ids))
        if images:
            names = [name + comma + quoted(image) for name, image in zip(names, block.images, strict=True)]
        if details:
            found = _rows_of_numbers(_details_of(block), comma)
            names = [name + comma + row for name, row in zip(names, found, strict=True)]
        if pose and block.poses is not None:
            names = [name + comma + row for name, row in zip(names, _rows_of_numbers(block.poses, comma), strict=True)]
        points = _rows_of_numbers(block.points.reshape(len(names), -1), comma)
        lines = [name + comma + row for name, row in zip(names, points, strict=True)]
        if header and block.video_columns:
            cells = (["" if v is None else str(v) for v in block.video_of(k).values()] for k in range(len(lines)))
            lines = [line + comma + comma.join(map(str.encode, row)) for line, row in zip(lines, cells, strict=True)]
        stream.write(b"\n".join(lines) + b"\n")
    if header and n_before < 0:
        write_header(scheme.n_points)


def _details_of(block: FaceBlock) -> np.ndarray:
    """Box, score and mean confidence of each face (N, 6), NaN where the file does not hold them."""
    values = np.full((len(block.ids), len(DETAILS)), np.nan)
    if block.boxes is not None:
        values[:, :4] = block.boxes
    if block.scores is not None:
        values[:, 4] = block.scores
    if block.confidence is not None:
        known = np.isfinite(block.confidence).any(axis=1)
        values[known, 5] = np.nanmean(block.confidence[known], axis=1)
    return values


def _rows_of_numbers(numbers: np.ndarray, comma: bytes) -> list[bytes]:
    """Rows of numbers (N, K) as text, NaN as nothing. orjson writes numbers faster than anything else in Python."""
    text = orjson.dumps(np.ascontiguousarray(numbers, np.float32), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2]
    rows = text.replace(b"null", b"").split(b"],[")
    return rows if comma == b"," else [row.replace(b",", comma) for row in rows]


FORMAT = Format(
    "csv",
    "image name, x0, y0, x1, y1, ... with or without a header",
    0,
    accepts,
    read,
    write,
    suffix=".csv",
    names_of_category=names_of,
    accepts_named=accepts_named,
)
