"""What no format reads is refused with what it looks like; tables are read by name, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from format_reading import read_all
from test_format_downloads import CELEBA_HEADER, write_text
from test_format_lists import draw, faces, words

from kdtools.datasets.formats import csv_points, find_format, tsv_points
from kdtools.errors import FileError

FIVE = words(faces(5)[0])


@pytest.mark.parametrize(
    ("name", "text", "looks", "hint"),
    [
        ("labels.txt", "0 0.5 0.5 0.1 0.2\n0 0.25 0.5 0.1 0.2\n", "YOLO's labels of boxes", "YOLO-pose"),
        ("labels.txt", "0 0.5 0.5 0.1 0 0.2 0.3\n1 0.25 0.5 0.1 0.2 0 1 0.5 1\n", "YOLO's labels of outlines", "a box"),
        (
            "wider_face_train_bbx_gt.txt",
            "0--Parade/0_Parade_1.jpg\n1\n449 330 122 149 0 0 0 0 0 0 \n",
            "WIDER FACE's list of boxes",
            "RetinaFace's label.txt",
        ),
        (
            "list_bbox_celeba.txt",
            "2\nimage_id x_1 y_1 width height\n000001.jpg 95 71 226 313\n",
            "CelebA's list of boxes",
            "list_landmarks_celeba.txt",
        ),
        ("00000001_000.jpg.cat", "9 " + " ".join("1234567890" * 1 + "12345678"), "CAT data set", "CSV"),
        ("a.txt", f"a.jpg,{FIVE.replace(' ', ',')}\n", "a table with commas", "--format csv"),
        ("a.txt", f"a.jpg\t{FIVE.replace(' ', chr(9))}\n", "a table with tabs", "--format tsv"),
        ("a.txt", "1.5 2.5\n3.5 4.5\n5 6\n", "points alone, one a line", "their number in the first line"),
        ("a.txt", "a.jpg\nb.jpg\n", "a list of images without points", "--formats"),
        ("a.txt", f"{FIVE}\n", "lines of 10 numbers without an image's name", "begin each line"),
        ("a.txt", "a.jpg 1.5 2.5 3\n", "a list of images with 3 numbers each", "CSV with a header"),
        ("aflw.sqlite", "SQLite format 3\0", "AFLW's aflw.sqlite", "HRNet"),
        ("a.zip", "PK\x03\x04", "a zip archive", "unpack"),
        ("a.txt", "", "an empty file", "--formats"),
    ],
)
def test_what_a_file_looks_like(name: str, text: str, looks: str, hint: str, tmp_path: Path) -> None:
    source = write_text(tmp_path / name, text)
    with pytest.raises(FileError, match="no format knows it") as error:
        find_format("auto", source)
    assert looks in error.value.message
    assert hint in (error.value.hint or "")


def test_what_a_folder_looks_like(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="an empty folder"):
        find_format("auto", tmp_path / "empty")
    write_text(tmp_path / "set" / "a.foo", "x")
    with pytest.raises(FileError, match=r"a folder of files with '\.foo'"):
        find_format("auto", tmp_path / "set")


@pytest.mark.parametrize(("form", "sign"), [(csv_points.FORMAT, ","), (tsv_points.FORMAT, "\t")])
@pytest.mark.parametrize("header", [True, False])
def test_a_table_is_read_by_name_whatever_it_is_called(form, sign: str, header: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    draw(tmp_path, ["a.jpg", "b.jpg"])
    rows = [f"{n}.jpg {words(points)}" for n, points in zip("ab", faces(68), strict=False)]
    if header:
        rows.insert(0, "image " + " ".join(f"{axis}{k}" for k in range(68) for axis in "xy"))
    source = write_text(tmp_path / "points.txt", "\r\n".join(row.replace(" ", sign) for row in rows))
    assert find_format(form.name, source) is form
    found, skips = read_all(form, source)
    assert skips == []
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68)[:2])


def test_a_text_without_cells_is_no_table(tmp_path: Path) -> None:
    source = write_text(tmp_path / "a.txt", f"3\n{CELEBA_HEADER}\na.jpg {FIVE}\n")
    with pytest.raises(FileError, match="not what the format csv reads"):
        find_format("csv", source)
