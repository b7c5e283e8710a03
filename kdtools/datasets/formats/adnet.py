"""Tables of ADNet and STAR Loss (.tsv): path, five points, all points, scale, centre x, centre y, maybe attributes.

./rawImages/37--Soccer/37_Soccer_soccer_ball_37_45.jpg<tab>x,y,x,y,...<tab>x,y,x,y,...<tab>1.2<tab>331.5<tab>402<tab>0,...

Columns are parted by tabs, the numbers inside by commas. The files have no header, but one is passed over. The box is
the square around the centre with 200 * scale pixels a side; the six attributes are those of WFLW, in its order.

0-based: the loader takes them so (it warps pictures with OpenCV and mirrors x to width - 1 - x for 300W and WFLW).

Source: lib/dataset/ and evaluate.py of github.com/huangyangyu/ADNet; tools/split_wflw.py of
github.com/ZhenglinZhou/STAR.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.hrnet import square_box
from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.column_checks import usual_columns
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.naming_300w import id_in_300w, subsets_in_300w
from kdtools.datasets.formats.shared.text_lists import (
    files_like,
    is_number,
    most_frequent,
    only_file,
    parse_numbers,
    peek_lines,
    read_lines,
)
from kdtools.datasets.formats.wflw import ATTRIBUTES
from kdtools.errors import DataError

_ROOT = "rawImages/"  # the authors' paths begin, in several ways, with all that leads there
_N_MAIN = 10  # numbers in the column of five points


def accepts(source: Path) -> bool:
    return bool(_tables_in(source))


def _tables_in(source: Path) -> list[Path]:
    return files_like(source, "*.tsv", lambda path: any(map(_is_row, peek_lines(path))))


def _is_row(line: str) -> bool:
    cells = line.split("\t")
    main = cells[1].split(",") if len(cells) in (6, 7) else []
    return len(main) == _N_MAIN and all(is_number(text.strip()) for text in main)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    path = only_file(source, _tables_in(source))
    faces = list(_read_faces(path, reading))
    usual = most_frequent([len(numbers) for _, _, numbers, _, _ in faces])
    columns = usual_columns(path, [numbers for _, _, numbers, _, _ in faces if len(numbers) == usual], reading)
    for where, name, numbers, box, subsets in faces:
        if columns is None or len(numbers) != usual:
            reading.skip(where, f"{len(numbers)} numbers in the third column, but most lines of the file have {usual}")
            continue
        image = reading.find_image(name, path.parent, where)
        if image is not None:
            name = id_in_300w(name)
            subsets |= subsets_in_300w(name)
            points = as_points(columns.points_in(numbers), reading.base)
            yield Annotation(reading.number(name), image, points, box=box, subsets=subsets)


_Face = tuple[str, str, np.ndarray, np.ndarray | None, frozenset[str]]  # where, name, numbers, box, subsets


def _read_faces(path: Path, reading: Reading) -> Iterator[_Face]:
    for first, (where, line) in enumerate(read_lines(path)):
        try:
            yield where, *_parse_row(line, reading.base)
        except DataError as error:
            if first > 0 or any(is_number(text) for cell in line.split("\t") for text in cell.split(",")):
                reading.skip(where, error.message)  # a first line without any number is a header


def _parse_row(line: str, base: float) -> tuple[str, np.ndarray, np.ndarray | None, frozenset[str]]:
    cells = line.split("\t")
    if len(cells) not in (6, 7):
        raise DataError(f"{len(cells)} columns, not 6 or 7")
    name = cells[0].strip().replace("\\", "/").rpartition(_ROOT)[2]
    if not name:
        raise DataError("no image name")
    if len(_numbers_in(cells[1])) != _N_MAIN:
        raise DataError("the second column does not hold five points")
    box = square_box(parse_numbers([cell.strip() for cell in cells[3:6]]), base)
    flags = _numbers_in(cells[6]) if len(cells) == 7 else np.zeros(len(ATTRIBUTES))
    if len(flags) != len(ATTRIBUTES) or not np.isin(flags, (0, 1)).all():
        raise DataError("the last column does not hold six attributes of 0 or 1")
    subsets = frozenset(attribute for attribute, flag in zip(ATTRIBUTES, flags, strict=True) if flag)
    return name, _numbers_in(cells[2]), box, subsets


def _numbers_in(cell: str) -> np.ndarray:
    return parse_numbers([text.strip() for text in cell.split(",")])


FORMAT = Format("adnet", "tables of ADNet and STAR Loss (.tsv)", 0, accepts, read)
