"""What a source looks like that no format accepts, for the error that says so: known formats that are not read by name.

Sources of the formats named here: readme of WIDER FACE's annotations (shuoyang1213.me/WIDERFACE), README of CelebA,
readme of the CAT data set (W. Zhang, J. Sun, X. Tang, ECCV 2008), docs.ultralytics.com/datasets/detect and /segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from kdtools.datasets.formats.shared.json_xml_kinds import kind_of_json_or_xml
from kdtools.datasets.formats.shared.tables import has_decimal_comma
from kdtools.datasets.formats.shared.text_lists import is_number, peek_lines, peek_text
from kdtools.errors import some_of
from kdtools.storage.file_kinds import IMAGE_SUFFIXES
from kdtools.storage.names import files_below

_MAGIC = {
    b"SQLite format 3\0": ("an SQLite database, as AFLW's aflw.sqlite", "AFLW is read as HRNet's or MMPose's lists"),
    b"PK\x03\x04": ("a zip archive", "unpack it and name the folder"),
    b"\x1f\x8b": ("a gzip archive", "unpack it and name the folder"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it and name the folder"),
    b"%PDF": ("a PDF file", ""),
}
_CELEBA_BOXES = "x_1 y_1 width height"
_N_LISTED = 1000  # files of a folder that are counted
_N_WIDER = 10  # numbers of a face in WIDER FACE's own lists: a box and six attributes
_N_CAT = 9  # points of a cat


def what_it_looks_like(source: Path) -> tuple[str, str]:
    """What a source seems to be, and what to do about it; both empty where nothing can be told."""
    if kind_of_document := kind_of_json_or_xml(source):
        return kind_of_document, ""
    if source.is_dir():
        return _folder(source)
    try:
        with source.open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return "", ""
    if not start:
        return "an empty file", ""
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    lines = peek_lines(source)
    if not lines or peek_text(source)[:1] in ("{", "[", "<"):
        return "", ""
    rows = [line.replace(",", " ").replace(";", " ").split() for line in lines]
    return next((told for look in _TEXTS if (told := look(lines, rows))), ("", ""))


def _folder(source: Path) -> tuple[str, str]:
    names = list(islice(files_below(source), _N_LISTED))
    if not names:
        return "an empty folder", ""
    kinds = Counter(Path(name).suffix.lower() or "no suffix" for name in names)
    return f"a folder of files with {some_of([kind for kind, _ in kinds.most_common()])}", "name the file to read"


_Told = tuple[str, str] | None
_Rows = Sequence[Sequence[str]]


def _are_numbers(words: Sequence[str]) -> bool:
    return bool(words) and all(map(is_number, words))


def _yolo(lines: Sequence[str], rows: _Rows) -> _Told:
    if not all(_are_numbers(row) and row[0].isdecimal() and len(row) >= 5 for row in rows):
        return None
    if not all(0 <= float(word) <= 1 for row in rows for word in row[1:]):
        return None
    if all(len(row) == 5 for row in rows):
        return "YOLO's labels of boxes, without keypoints", "labels of YOLO-pose have the points behind the box"
    return "YOLO's labels of outlines", "labels of YOLO-pose have a box, then the same number of points, in each line"


def _wider(lines: Sequence[str], rows: _Rows) -> _Told:
    if len(rows) > 2 and _is_picture(lines[0]) and lines[1].isdecimal() and len(rows[2]) == _N_WIDER:
        return "WIDER FACE's list of boxes, without points", "RetinaFace's label.txt has five points of these faces"
    return None


def _celeba(lines: Sequence[str], rows: _Rows) -> _Told:
    if any(_CELEBA_BOXES in line for line in lines[:2]):
        return "CelebA's list of boxes, without points", "name list_landmarks_celeba.txt"
    if any("5_o_Clock_Shadow" in line for line in lines[:2]):
        return "CelebA's list of attributes, without points", "name list_landmarks_celeba.txt"
    return None


def _cat(lines: Sequence[str], rows: _Rows) -> _Told:
    if len(rows) == 1 and rows[0][0] == str(_N_CAT) and len(rows[0]) == 1 + 2 * _N_CAT and _are_numbers(rows[0]):
        return "an annotation of the CAT data set (.cat)", "convert it to CSV: image, x0, y0, ..."
    return None


def _decimal_commas(lines: Sequence[str], rows: _Rows) -> _Told:
    cells = [word for line in lines for word in line.split()[1:]]
    if cells and all(map(has_decimal_comma, cells)):
        return (
            "a list of numbers with decimal commas, or of pairs x,y",
            "write 12.5 for 12,5, and spaces between numbers",
        )
    return None


def _table(lines: Sequence[str], rows: _Rows) -> _Told:
    for sign, name, option in (("\t", "tabs", "tsv"), (",", "commas", "csv"), (";", "semicolons", "csv")):
        cells = [line.split(sign) for line in lines]
        if len(cells[-1]) > 2 and sum(is_number(cell.strip()) for cell in cells[-1]) > 1:
            return f"a table with {name} between the cells", f"give --format {option}"
    return None


def _list(lines: Sequence[str], rows: _Rows) -> _Told:
    if all(_are_numbers(row) for row in rows):
        if all(len(row) == 2 for row in rows):
            return (
                "points alone, one a line",
                "put their number in the first line, and the image with that name next to it",
            )
        return f"lines of {len(rows[-1])} numbers without an image's name", "begin each line with the image's name"
    if all(map(_is_picture, lines)):
        return "a list of images without points", ""
    numbers = [sum(map(is_number, row)) for row in rows]
    if all(_is_picture(row[0]) and count == len(row) - 1 for row, count in zip(rows, numbers, strict=True)):
        return f"a list of images with {numbers[-1]} numbers each", "write it as CSV with a header: image,x0,y0,..."
    return None


def _is_picture(name: str) -> bool:
    return Path(name.strip()).suffix.lower() in IMAGE_SUFFIXES


_TEXTS: tuple[Callable[[Sequence[str], _Rows], _Told], ...] = (
    _yolo,
    _wider,
    _celeba,
    _cat,
    _decimal_commas,
    _table,
    _list,
)
