"""kd-dump: what it writes is read back as it was, in every format, with and without the pictures."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import write_faces
from hypothesis import given, settings
from hypothesis import strategies as st

import kdtools.datasets.formats
from kdtools.cli import kd_dump, kd_import
from kdtools.cli._app import session
from kdtools.datasets.dump import crop_name, point_file_name, write_dump
from kdtools.datasets.dump_blocks import Selection
from kdtools.datasets.formats import (
    coco,
    csv_points,
    cvat,
    dlib_xml,
    jsonl,
    labelme,
    pts,
    tsv_points,
    wflw,
)
from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.errors import KdError
from kdtools.faces.file import open_faces
from kdtools.landmarks import scheme_for_points

SIZE = 40
FORMATS = {
    module.FORMAT.name: module.FORMAT
    for module in (csv_points, tsv_points, jsonl, pts, coco, dlib_xml, wflw, cvat, labelme)
}
IDS = ["a/b.jpg", "a/b.jpg#2", "a/b.jpg#3", "c d/größe, 顔.png", "e"]
ODD_IDS = ['q"uote".png', "line\nbreak\r.png", "tab\there;x.png", " lead.png", "[null,null]],[[.png", "'x'<&>.png"]
ROUNDING = {"pts": 1e-6, "wflw": 1e-6, "dlib": 0.5}


@pytest.fixture(autouse=True)
def known_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, form in FORMATS.items():
        monkeypatch.setitem(kdtools.datasets.formats.FORMATS, name, form)


def make_faces(path: Path, ids: list[str] = IDS, n_points: int = 68, **changes: Any) -> Path:
    """Faces with all a file may hold; a NaN point in one."""
    rng = np.random.default_rng(1)
    n = len(ids)
    points = rng.uniform(-3, SIZE + 3, (n, n_points, 2)).astype(np.float32)
    points[n // 4, n_points // 2] = np.nan
    scale = rng.uniform(0.5, 9, n)
    shift = rng.uniform(-20, 300, (n, 2))
    to_source = np.zeros((n, 2, 3))
    to_source[:, 0, 0] = to_source[:, 1, 1] = scale
    to_source[:, :, 2] = shift
    low = shift + 0.5 - 0.5 * scale[:, None]
    arrays = {
        "images": rng.integers(0, 256, (n, SIZE, SIZE, 3), np.uint8),
        "points": points,
        "visible": rng.integers(0, 2, (n, n_points)),
        "box": np.concatenate([low, low + SIZE * scale[:, None]], axis=1),
        "to_source": to_source,
        "box_origin": "annotation",
        "score": rng.uniform(0, 1, n),
        "confidence": rng.uniform(0, 1, (n, n_points)),
        "subset_common": np.arange(n) % 2 == 0,
        "subset_largepose": np.arange(n) == 1,
    }
    return write_faces(path, ids=ids, role="predicted", **{**arrays, **changes})


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return make_faces(tmp_path / "faces.h5")


def call(main: Callable[[], None], *words: str | Path) -> int:
    """Run a tool in this process; its exit status."""
    session.verbosity = session.n_skipped = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kd", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
    return int(stop.value.code or 0)


def dump(*words: str | Path) -> int:
    return call(kd_dump.main, *words)


def read(form: Format, source: Path, pictures: bool = False) -> list[Annotation]:
    def fail(what: str, why: str) -> None:
        raise AssertionError(f"skipped {what}: {why}")

    return list(form.read(source, Reading(form.base, fail, pictures=pictures)))


def source_points(path: Path) -> np.ndarray:
    """In pixels of the source images, by hand."""
    with h5py.File(path) as h5:
        scale, shift = h5["to_source"][:, :1, :1], h5["to_source"][:, :, 2]
        return (h5["landmarks"][...] * scale + shift[:, None]).astype(np.float32)


# ---- there and back
@pytest.mark.parametrize("block", [1, 2, 4096])
@pytest.mark.parametrize("name", FORMATS)
def test_points_come_back(name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdtools.datasets.dump_blocks.BLOCK", block)
    faces = make_faces(tmp_path / "faces.h5", IDS, 98 if name == "wflw" else 68)
    form = FORMATS[name]
    output = tmp_path / ("dump" if form.in_folder else f"dump{form.suffix}")
    with open_faces(faces) as opened:
        write_dump(Selection(opened), form, str(output), False)
    found = {one.id: one for one in read(form, output)}
    ids = ["a/b.jpg", "a/b#2.jpg", "a/b#3.jpg", "c d/größe, 顔.jpg", "e.jpg"] if name == "pts" else IDS
    assert sorted(found) == sorted(ids)
    truth = source_points(faces)
    for id, points in zip(ids, truth, strict=True):
        back = found[id].points.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(back), np.isnan(points))
        np.testing.assert_allclose(back, points, rtol=0, atol=ROUNDING.get(name, 0))


@pytest.mark.parametrize("name", FORMATS)
def test_a_dump_with_pictures_is_a_data_set(name: str, tmp_path: Path) -> None:
    """Through kd-dump and kd-import: the same points and pixels, to the rounding of the format."""
    faces = make_faces(tmp_path / "faces.h5", IDS, 98 if name == "wflw" else 68)
    folder = tmp_path / "set"
    folder.mkdir()
    output, images = folder / f"faces{FORMATS[name].suffix}", folder / "images"
    if FORMATS[name].in_folder:
        output = images = folder
    assert dump(faces, "--format", name, "-o", output, "--crops", images) == 0
    back = tmp_path / "back.h5"
    assert (
        call(kd_import.main, output, "--format", name, "--detector", "whole", "--size", str(SIZE), "-o", back, "-q")
        == 0
    )
    with open_faces(faces) as old, open_faces(back) as new:
        keeps_ids = name in ("csv", "tsv", "jsonl", "coco")
        names = (
            old.ids if keeps_ids else [("" if FORMATS[name].in_folder else "images/") + crop_name(id) for id in old.ids]
        )
        rows = [new.ids.index(id) for id in names]
        assert len(new) == len(old)
        np.testing.assert_array_equal(new.images[rows], old.images)
        difference = np.abs(new.landmarks[rows] - old.landmarks)
        assert np.nanmax(difference) <= max(ROUNDING.get(name, 0), 4e-6)
        np.testing.assert_array_equal(np.isnan(new.landmarks[rows]), np.isnan(old.landmarks))


def test_json_lines_come_back_whole(faces: Path, tmp_path: Path) -> None:
    assert dump(faces, "-o", tmp_path / "faces.jsonl") == 0
    found = read(jsonl.FORMAT, tmp_path / "faces.jsonl")
    with h5py.File(faces) as h5:
        for k, one in enumerate(found):
            assert (one.id, str(one.image)) == (IDS[k], IDS[k].partition("#")[0])
            np.testing.assert_array_equal(one.visible, h5["visible"][k].astype(bool))
            np.testing.assert_array_equal(one.confidence.astype(np.float32), h5["confidence"][k])
            np.testing.assert_array_equal(one.box.astype(np.float32), h5["box"][k])
            assert np.float32(one.score) == h5["score"][k]
            assert one.subsets == {name for name in h5["subset"] if h5["subset"][name][k]}


GOOD_IDS = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
NASTY_IDS = [
    *("esc\x1b[31m.jpg", "bell\x07.jpg", "delete\x7f.jpg", "c1\x9b2J.jpg", "next\x85line.jpg", "\x1c\x1d\x1e.jpg"),
    *("line\u2028.jpg", "turned\u202egpj.jpg", "no\u200bwidth.jpg", "\ufeffmark.jpg", "none\ufffe.jpg"),
    *(
        "line\nend.jpg",
        "line\r\nend.jpg",
        "tab\t.jpg",
        "page\x0b\x0c.jpg",
        " before.jpg",
        "after.jpg ",
        "two  spaces.jpg",
    ),
    *(
        'a"quote.jpg',
        "'a'.jpg",
        "a,b;c.jpg",
        "<b>&amp;]]>.jpg",
        "=1+1.jpg",
        "@a.jpg",
        "#a.jpg",
        "a\\b.jpg",
        "a\\nb.jpg",
    ),
    *("1 2.jpg", "12.5", "null", "id", "../up.jpg", "/a.jpg", "a/./b.jpg", "a//b.jpg", "C:\\a.jpg", "http://a/b.jpg"),
]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A faces file in which one of five ids is nasty, with so many points; made once for all formats."""
    folder = tmp_path_factory.mktemp("nasty")

    @cache
    def make(id: str, n_points: int) -> Path:
        return make_faces(folder / f"{NASTY_IDS.index(id)}-{n_points}.h5", [*GOOD_IDS, id], n_points)

    return make


@pytest.mark.parametrize("name", FORMATS)
def test_an_id_comes_back_or_is_refused(name: str, nasty: Callable[[str, int], Path], tmp_path: Path) -> None:
    """Whatever an id holds: no file is written that its own reader cannot read, or reads as another face's."""
    form, n_refused = FORMATS[name], 0
    for number, id in enumerate(NASTY_IDS):
        faces = nasty(id, 98 if name == "wflw" else 68)
        output = tmp_path / f"{number}{'' if form.in_folder else form.suffix}"
        try:
            with open_faces(faces) as opened:
                write_dump(Selection(opened), form, str(output), False)
        except KdError:
            assert not output.exists()
            n_refused += 1
            continue
        written = f"{id}.jpg" if name == "pts" and not id.endswith(".jpg") else id  # which names no picture
        assert sorted(one.id for one in read(form, output)) == sorted([*GOOD_IDS, written]), id
    if name in ("csv", "tsv", "jsonl"):
        assert n_refused == 0


@pytest.mark.parametrize("name", ["dlib", "cvat"])
def test_what_xml_cannot_hold_is_refused_with_a_way_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = make_faces(tmp_path / "faces.h5", ["a\x1b[31m.jpg"])
    assert dump(faces, "--format", name, "-o", tmp_path / "out.xml") == 1
    assert r"'a\x1b[31m.jpg': XML cannot hold '\x1b'" in (stderr := capsys.readouterr().err)
    assert "jsonl" in stderr


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl"])
def test_odd_ids_come_back(name: str, tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces.h5", ODD_IDS)
    assert dump(faces, "-o", tmp_path / f"dump.{name}") == 0
    found = read(FORMATS[name], tmp_path / f"dump.{name}")
    assert [one.id for one in found] == ODD_IDS
    np.testing.assert_array_equal([one.points.astype(np.float32) for one in found], source_points(faces))


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl"])
def test_any_id_and_any_number_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"dump.{name}"

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(
        st.lists(
            st.tuples(NAMES.filter(str.strip), st.lists(NUMBERS, min_size=6, max_size=6)),
            min_size=1,
            max_size=4,
            unique_by=lambda face: face[0],
        )
    )
    def check(given_faces: list[tuple[str, list[float]]]) -> None:
        ids = [id for id, _ in given_faces]
        points = np.array([numbers for _, numbers in given_faces], np.float32).reshape(-1, 3, 2)
        points[np.isnan(points).any(axis=-1)] = np.nan
        stream = io.BytesIO()
        write = FORMATS[name].write
        assert write is not None
        write(lambda: iter([FaceBlock(ids, ids, points)]), scheme_for_points(3), stream)
        path.write_bytes(stream.getvalue())
        found = read(FORMATS[name], path)
        assert [one.id for one in found] == ids
        np.testing.assert_array_equal([one.points.astype(np.float32) for one in found], points)

    check()


# ---- what is written
def cells_of(text: bytes) -> list[list[str]]:
    return [line.split(",") for line in text.decode().splitlines()]


def test_csv_on_standard_output(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    points = np.array([[[1.5, 2], [np.nan, 4], [0.1, 1 / 3]]], np.float32)
    changes: dict[str, Any] = {"images": None, "to_source": None, "points": points, "visible": [[1, 1, 0]]}
    faces = make_faces(tmp_path / "faces.h5", ["a.jpg"], 3, confidence=None, **changes)
    assert dump(faces) == 0
    assert capsysbinary.readouterr() == (b"id,x0,y0,x1,y1,x2,y2\na.jpg,1.5,2.0,,,0.1,0.33333334\n", b"")
    assert dump(faces, "--no-header", "--digits", "2", "--format", "tsv") == 0
    assert capsysbinary.readouterr().out == b"a.jpg\t1.5\t2.0\t\t\t0.1\t0.33\n"
    assert dump(faces, "--pixels", "image") == 1
    assert b"holds no /image" in capsysbinary.readouterr().err


def test_pixels_of_the_crops_or_of_the_sources(faces: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with h5py.File(faces) as h5:
        in_crops = h5["landmarks"][...]
    for words, points in (([], source_points(faces)), (["--pixels", "image"], in_crops)):
        assert dump(faces, "--no-header", "--ids", "e", *words) == 0
        cells = cells_of(capsysbinary.readouterr().out)
        np.testing.assert_array_equal(np.array(cells[0][1:], np.float32), points[4].reshape(-1))


def test_boxes_go_with_the_pixels(faces: Path) -> None:
    with open_faces(faces) as opened:
        (block,) = Selection(opened, in_crops=True).blocks()
        assert block.boxes is not None
        np.testing.assert_allclose(block.boxes, np.tile([0, 0, SIZE, SIZE], (5, 1)), atol=1e-4)
        np.testing.assert_array_equal(block.sizes, np.full((5, 2), SIZE))
        (block,) = Selection(opened, digits=0).blocks()
        np.testing.assert_array_equal(block.boxes, np.round(opened.h5["box"][...]))


def test_subsets_and_globs_choose(faces: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for words, rows in (
        (["--subset", "common"], [0, 2, 4]),
        (["--subset", "full", "--ids", "a/*"], [0, 1, 2]),
        (["--ids", "a/*"], [0, 1, 2]),
        (["--subset", "common", "--subset", "largepose", "--ids", "a/*"], [0, 1, 2]),
        (["--ids", "a/*", "--ids", "e"], [0, 1, 2, 4]),
        (["--subset", "common", "--ids", "a/*"], [0, 2]),
    ):
        assert dump(faces, *words) == 0
        out = capsysbinary.readouterr().out.splitlines()[1:]
        assert [line.split(b",")[0].decode() for line in out] == [IDS[row] for row in rows]
    for status, words, said in (
        (1, ["--subset", "nose"], "no subset 'nose'\n  there are full, common, largepose"),
        (1, ["--ids", "A/*"], "no face is left\n  ids are like 'a/b.jpg'"),
        (2, ["--format", "yaml"], "no format 'yaml' to write"),
        (2, ["--format", "images"], "no format 'images' to write"),
        (2, ["--format", "jsonl", "--no-header"], "--no-header: jsonl has no header"),
        (2, ["--no-header", "--crops", "x"], "--no-header hides"),
        (2, ["--format", "pts"], "name a folder"),
        (2, ["--format", "pts", "-o", "x", "--crops", "y"], "the same folder"),
        (2, ["--crops", "x", "--pixels", "source"], "--crops"),
        (2, ["--pixels", "px"], "not one of 'source', 'image'"),
    ):
        assert dump(faces, *words) == status
        assert said in capsysbinary.readouterr().err.decode()


# ---- files and folders
def test_the_suffix_chooses_the_format(faces: Path, tmp_path: Path) -> None:
    for name, start in (("a.csv", "id,x0"), ("a.tsv", "id\tx0"), ("a.jsonl", '{"id":'), ("a.txt", "id,x0")):
        assert dump(faces, "-o", tmp_path / name, "-q") == 0
        assert (tmp_path / name).read_text().startswith(start)


def test_outputs_are_whole_or_absent(
    faces: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, folder = tmp_path / "out.csv", tmp_path / "folder"
    output.write_text("keep me")
    folder.mkdir()
    (folder / "keep").touch()
    for words in (["-o", output], ["--format", "pts", "-o", folder], ["-o", tmp_path / "new.csv", "--crops", folder]):
        assert dump(faces, *words) == 1
        assert b"exists already" in capsysbinary.readouterr().err
    assert output.read_text() == "keep me"
    monkeypatch.setattr("kdtools.datasets.dump_blocks.BLOCK", 2)
    with h5py.File(faces, "r+") as h5:
        h5["landmarks"][4, 0] = np.inf
    for words in (["-o", output], ["--format", "pts", "-o", folder], ["-o", tmp_path / "new.csv", "--crops", folder]):
        assert dump(faces, *words, "-f") == 1
        assert b"face 'e': a point is infinite" in capsysbinary.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["faces.h5", "folder", "out.csv"]
    assert (output.read_text(), os.listdir(folder)) == ("keep me", ["keep"])
    assert dump(faces, "--ids", "a/*", "--format", "pts", "-o", folder, "-f") == 0
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "b#2.pts", "b#3.pts", "b.pts", "keep"]


@pytest.mark.parametrize(
    "id", ["../a.jpg", "/a.jpg", "a/../../b.jpg", "a//b.jpg", "a/.", "..", "a\\..\\b.jpg", " a.jpg"]
)
def test_ids_cannot_climb_out_of_a_folder(id: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    faces = make_faces(tmp_path / "faces.h5", ["x.jpg", id])
    folder = tmp_path / "in" / "folder"
    folder.parent.mkdir()
    for words in (["--format", "pts", "-o", folder], ["-o", tmp_path / "a.csv", "--crops", folder]):
        assert dump(faces, *words) == 1
        assert f"{id!r} cannot be the name of a file" in capsysbinary.readouterr().err.decode()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["faces.h5", "in"]


def test_two_faces_do_not_share_a_file(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    faces = make_faces(tmp_path / "faces.h5", ["a.jpg", "a.png", "a.png.png"])
    assert dump(faces, "--format", "pts", "-o", tmp_path / "pts") == 1
    assert b"'a.jpg' and 'a.png' would both be written to a.pts" in capsysbinary.readouterr().err
    faces = make_faces(tmp_path / "others.h5", ["a", "a.png"])
    assert dump(faces, "-o", tmp_path / "a.csv", "--crops", tmp_path / "images") == 1
    assert b"'a' and 'a.png' would both be written to a.png" in capsysbinary.readouterr().err


def test_names_of_files() -> None:
    assert [crop_name(id) for id in ("a/b.jpg", "a.png", "a.png#2")] == ["a/b.jpg.png", "a.png", "a.png#2.png"]
    names = [point_file_name(id, ".pts") for id in ("a/b.jpg", "a/b.JPG#2", "v1.5/frame.12", "a#3")]
    assert names == ["a/b.pts", "a/b#2.pts", "v1.5/frame.12.pts", "a#3.pts"]


def test_faces_that_no_text_can_name(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    faces = make_faces(tmp_path / "faces.h5", ["a.jpg", " \t"])
    assert dump(faces, "-o", tmp_path / "a.csv") == 1
    assert b"its id is blank" in capsysbinary.readouterr().err
    faces = make_faces(tmp_path / "lines.h5", ["a.jpg", "b\nc.jpg"], 98)
    with open_faces(faces) as opened, pytest.raises(kdtools.errors.DataError, match=r"b\\nc\.jpg"):
        write_dump(Selection(opened), wflw.FORMAT, str(tmp_path / "a.txt"), False)
    faces = make_faces(tmp_path / "far.h5", ["a.jpg"], to_source=np.array([[[1e38, 0, 0], [0, 1e38, 0]]]))
    assert dump(faces) == 1
    assert b"too far away" in capsysbinary.readouterr().err


def test_a_reader_that_leaves(faces: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", "from kdtools.cli.kd_dump import main; main()", str(faces)]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_faces_file_is_never_dumped_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = make_faces(tmp_path / "faces.h5", IDS)
    before = faces.read_bytes()
    assert call(kd_dump.main, faces, "-o", faces, "-f") == 2
    assert "is an input itself" in capsys.readouterr().err
    assert faces.read_bytes() == before
