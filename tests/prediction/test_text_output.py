"""kd-predict writes text where the name of its output says so, and a table on a terminal."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from contract.running import fail, left_in, run_tool, succeed

from kdtools.faces.file import open_faces
from kdtools.prediction.text_output import print_faces


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, size in (("a.png", 60), ('b,"c.png', 80), ("d.png", 50)):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (size, size, 3), np.uint8))
    return folder


def test_text_holds_what_the_faces_file_holds(tiny_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    words = ["kd-predict", tiny_onnx, pictures, "--detector", "whole", "-q"]
    for name in ("p.h5", "p.csv", "p.tsv", "p.jsonl"):
        succeed(run_tool(*words, "-o", tmp_path / name))
    assert left_in(tmp_path) == ["p.csv", "p.h5", "p.jsonl", "p.tsv"]
    with open_faces(tmp_path / "p.h5") as faces:
        ids, points, boxes = list(faces.ids), faces.points("source"), faces.boxes("source")
    assert ids == ["a.png", 'b,"c.png', "d.png"]
    for name, delimiter in (("p.csv", ","), ("p.tsv", "\t")):
        with (tmp_path / name).open(newline="") as stream:
            header, *rows = csv.reader(stream, delimiter=delimiter)
        assert header[:9] == ["id", "box_x0", "box_y0", "box_x1", "box_y1", "score", "confidence", "x0", "y0"]
        assert [row[0] for row in rows] == ids
        np.testing.assert_array_equal([[np.float32(cell) for cell in row[1:5]] for row in rows], boxes)
        assert {tuple(row[5:7]) for row in rows} == {("1.0", "")}  # this network has no confidence
        written = np.array([[np.float32(cell) for cell in row[7:]] for row in rows]).reshape(3, -1, 2)
        np.testing.assert_array_equal(written, points)
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    np.testing.assert_array_equal(np.float32([line["points"] for line in lines]), points)
    for printed in (run_tool("kd-dump", tmp_path / "p.h5", "--details"), run_tool(*words)):  # into a pipe
        assert printed.status == 0, printed.stderr
        assert printed.stdout == (tmp_path / "p.csv").read_bytes()


def test_the_csv_is_a_data_set(tiny_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    words = [tiny_onnx, pictures, "--detector", "whole", "-q", "-o"]
    succeed(run_tool("kd-predict", *words, tmp_path / "p.csv"))
    succeed(run_tool("kd-predict", *words, tmp_path / "p.h5"))
    succeed(run_tool("kd-import", tmp_path / "p.csv", "--images", pictures, "--no-images", "-o", tmp_path / "back.h5"))
    with open_faces(tmp_path / "p.h5") as faces, open_faces(tmp_path / "back.h5") as back:
        np.testing.assert_array_equal(faces.points("source"), back.points("source"))


def test_a_text_is_written_whole_or_not_at_all(tiny_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.csv"
    output.write_text("keep me")
    words = ["kd-predict", tiny_onnx, "--detector", "whole", "-o", output]
    fail(run_tool(*words, pictures), "kd-predict", 1, output, "exists already")
    (tmp_path / "empty").mkdir()
    fail(run_tool(*words, tmp_path / "empty", "-f"), "kd-predict", 1, "no images")
    assert output.read_text() == "keep me"
    assert left_in(tmp_path) == ["empty", "p.csv"]


@pytest.mark.parametrize("option", [["--resume"], ["--shard", "1/2"]])
def test_long_runs_want_a_faces_file(option: list[str], tiny_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    words = ["kd-predict", tiny_onnx, pictures, *option]
    name = tmp_path / "p.csv"
    result = run_tool(*words, "-o", name)
    fail(result, "kd-predict", 2, option[0])
    assert f"kd-dump {tmp_path / 'p.h5'} --details -o {name}" in result.stderr
    result = run_tool(*words)
    fail(result, "kd-predict", 2, option[0])
    assert "give -o points.h5" in result.stderr


def test_a_table_for_people(
    tiny_onnx: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    succeed(run_tool("kd-predict", tiny_onnx, pictures, "--detector", "whole", "-o", tmp_path / "p.h5"))
    capsys.readouterr()
    with open_faces(tmp_path / "p.h5") as faces:
        print_faces(faces)
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.split() == ["face", "left", "top", "width", "height", "confidence"]
    assert [row.split()[:5] for row in rows] == [
        ["a.png", "0", "0", "60", "60"],
        ['b,"c.png', "0", "0", "80", "80"],
        ["d.png", "0", "0", "50", "50"],
    ]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "h5"])
def test_points_among_the_pictures_are_written_again(
    suffix: str, tiny_onnx: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By kd-predict MODEL . -f, as in a makefile; a table of the user's own is not replaced."""
    folder = Path(shutil.copytree(pictures, tmp_path / "photos"))
    monkeypatch.chdir(folder)
    words = ["kd-predict", tiny_onnx, ".", "--detector", "whole", "-q", "-o", f"points.{suffix}"]
    succeed(run_tool(*words))
    before = (folder / f"points.{suffix}").read_bytes()
    fail(run_tool(*words), "kd-predict", 1, "exists already")
    succeed(run_tool(*words, "-f"))
    if suffix != "h5":  # which records the folder's files, itself among them
        assert (folder / f"points.{suffix}").read_bytes() == before
    (folder / "points.csv").write_text("image,x0,y0\na.png,1,2\n")
    fail(run_tool(*words[:-1], "points.csv", "-f"), "kd-predict", 2, "is inside an input folder")
