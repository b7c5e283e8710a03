"""CSV, TSV, JSON lines and 300W's CSV: what is understood, what is refused, and that nothing is misread."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from common import examples
from format_reading import Skipped, read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import csv300w, csv_points, jsonl, tsv_points
from kdtools.datasets.formats.shared.annotation import Annotation
from kdtools.datasets.formats.shared.format import Format
from kdtools.errors import FileError, KdError
from kdtools.images.drawing import write_image

FORMATS = {module.FORMAT.name: module.FORMAT for module in (csv_points, tsv_points, jsonl, csv300w)}


def read(
    form: Format, source: Path, *, base: float | None = None, pictures: bool = False
) -> tuple[list[Annotation], Skipped]:
    return read_all(form, source, base=base, pictures=pictures)


def read_text(text: str | bytes, folder: Path, name: str = "list.csv") -> tuple[list[Annotation], Skipped]:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read(FORMATS[name.rpartition(".")[2]], folder / name)


# ---- small valid sets
def faces_68(n: int = 3) -> np.ndarray:
    """Points (n, 68, 2) from 1, with six digits, well inside a picture of 120 x 100."""
    rng = np.random.default_rng(0)
    return np.round(rng.uniform(30, 80, (n, 68, 2)), 4)


def write_pictures(folder: Path, names: list[str]) -> None:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((100, 120, 3), 40 * k, np.uint8))


def sample_table(folder: Path, suffix: str, delimiter: str) -> Path:
    names = ["a.png", "b/c.png", "d.png"]
    write_pictures(folder, names)
    rows = [["image", *(f"{axis}{k}" for k in range(68) for axis in "xy")]]
    rows += [[name, *map(str, face.reshape(-1))] for name, face in zip(names, faces_68(), strict=True)]
    path = folder / f"landmarks.{suffix}"
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    return path


def sample_jsonl(folder: Path) -> Path:
    names = ["a.png", "b/c.png", "d.png"]
    write_pictures(folder, names)
    faces = [
        {"id": name, "image": name, "points": points.tolist(), "visible": [True] * 68, "box": [20, 20, 90, 90]}
        for name, points in zip(names, faces_68(), strict=True)
    ]
    path = folder / "faces.jsonl"
    path.write_text("".join(json.dumps(face) + "\n" for face in faces))
    return path


def sample_csv300w(folder: Path) -> Path:
    """As bbox_face_landmarks_300w_valid.csv: six significant digits, three corners of a turned square, no header."""
    names = ["lfpw/testset/image_0208.png", "helen/testset/3036412907_1.jpg", "ibug/image_012.jpg"]
    write_pictures(folder, names)
    across = np.array([69.5, -4.25])
    down = np.array([4.25, 69.5])
    lines = []
    for k, (name, face) in enumerate(zip(names, faces_68(), strict=True)):
        corner = np.array([20.5 + k, 24.75])
        corners = [*(corner + across), *corner, *(corner + down)]
        lines.append(",".join([name, *(f"{number:g}" for number in [*corners, *face.reshape(-1)])]) + "\n")
    path = folder / "bbox_face_landmarks_300w_valid.csv"
    path.write_text("".join(lines))
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "csv": lambda folder: sample_table(folder, "csv", ","),
    "tsv": lambda folder: sample_table(folder, "tsv", "\t"),
    "jsonl": sample_jsonl,
    "csv300w": sample_csv300w,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_read_by_their_format_alone(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    for source in (path, tmp_path):
        assert [form.name for form in FORMATS.values() if form.accepts(source)] == [name]
        for pictures in (True, False):
            found, skipped = read(FORMATS[name], source, pictures=pictures)
            assert skipped == []
            expected = faces_68() - FORMATS[name].base
            np.testing.assert_allclose([one.points for one in found], expected, atol=1e-4 if name == "csv300w" else 0)
            assert all(one.image.is_file() == pictures for one in found)
    ids = ["lfpw/testset/image_0208.png", "helen/testset/3036412907_1.jpg", "ibug/image_012.jpg"]
    assert [one.id for one in found] == (ids if name == "csv300w" else ["a.png", "b/c.png", "d.png"])
    shifted = read(FORMATS[name], path, base=0.25)[0][0].points
    np.testing.assert_allclose(shifted, faces_68()[0] - 0.25, atol=1e-4)


# ---- CSV: columns by their names
THREE = np.array([[40.5, 30.0], [80.0, 34.0], [60.0, 62.25]])
X, Y = THREE.T.tolist()
PAIRS = list(chain.from_iterable(zip(X, Y, strict=True)))


def table(header: str, *numbers: object, name: str = "a.png", before: str = "", delimiter: str = ",") -> str:
    return f"{header}\n{before}{name}{delimiter}{delimiter.join(map(str, numbers))}\n"


@pytest.mark.parametrize(
    "text",
    [
        table("image,x0,y0,x1,y1,x2,y2", *PAIRS),
        table("id,x0,y0,x1,y1,x2,y2", *PAIRS),
        table("image,x0,x1,x2,y0,y1,y2", *X, *Y),
        table("name,y0,x0,y1,x1,y2,x2", *chain.from_iterable(zip(Y, X, strict=True))),
        table("file name,x_1,y_1,x_2,y_2,x_3,y_3", *PAIRS),
        table("filename,0_x,0_y,1_x,1_y,2_x,2_y", *PAIRS),
        table("Image-Name,part_0_x,part_0_y,part_1_x,part_1_y,part_2_x,part_2_y", *PAIRS),
        table("image,landmark_x00,landmark_y00,landmark_x01,landmark_y01,landmark_x02,landmark_y02", *PAIRS),
        table("image,p2x,p2y,p0x,p0y,p1x,p1y", *PAIRS[4:], *PAIRS[:4]),
        table("image,left_eye_center_x,left_eye_center_y,nose_tip_x,nose_tip_y,mouth_x,mouth_y", *PAIRS),
        table("image,leftEyeX,leftEyeY,noseX,noseY,mouthX,mouthY", *PAIRS),
        table("image,X,Y,X,Y,X,Y", *PAIRS),
        table("picture of the face,x0,y0,x1,y1,x2,y2", *PAIRS),
        table(",x0,y0,x1,y1,x2,y2", *PAIRS),
        table(",image,x0,y0,x1,y1,x2,y2", *PAIRS, before="7,"),
        table("Unnamed: 0,image,x0,y0,x1,y1,x2,y2", *PAIRS, before="7,"),
        table("id,image,score,x0,y0,x1,y1,x2,y2", "a.png", 0.5, *PAIRS),
        table("image,box_x0,box_y0,box_x1,box_y1,x0,y0,x1,y1,x2,y2,score", 1, 2, 3, 4, *PAIRS, 0.9),
        table("image,x_min,y_min,x_max,y_max,center_x,center_y,x0,y0,x1,y1,x2,y2", *[9] * 6, *PAIRS),
        table("image,x,y,w,h,nose_x,nose_y,chin_x,chin_y,brow_x,brow_y", *[9] * 4, *PAIRS),
        table("image,face_x,face_y,face_width,face_height,x0,y0,x1,y1,x2,y2", *[9] * 4, *PAIRS),
        table("image,gaze_0_x,gaze_0_y,pose_x,pose_y,top_left_corner_x,x0,y0,x1,y1,x2,y2", *[9] * 5, *PAIRS),
        table("image,x0,y0,z0,x1,y1,z1,x2,y2,z2", *PAIRS[:2], 7, *PAIRS[2:4], 7, *PAIRS[4:], 7),
        table("image;x0;y0;x1;y1;x2;y2", *PAIRS, delimiter=";"),
        table("image\tx0\ty0\tx1\ty1\tx2\ty2", *PAIRS, delimiter="\t"),
        table('"image","x0","y0","x1","y1","x2","y2"', *PAIRS, name='"a.png"'),
        "\ufeff" + table(" image , x0 , y0,x1,y1,x2, y2", *PAIRS).replace("\n", "\r\n"),
        "\n\n" + table("a.png," + ",".join(map(str, PAIRS)), *PAIRS, name="b.png"),
        table("a.png,4e1,30,80,nan,60,62", *PAIRS, name="b.png"),
    ],
)
def test_columns_are_found_by_their_names(text: str, tmp_path: Path) -> None:
    found, skipped = read_text(text, tmp_path)
    assert skipped == []
    assert found[-1].id in ("a.png", "b.png")
    assert found[-1].image == Path(found[-1].id)
    np.testing.assert_array_equal(found[-1].points, THREE)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("image,a,b,c,d", "first line, taken for a header, names no columns of x and y"),
        ("x0,y0,x1,y1", "no column for the image's name"),
        ("image,file,x0,y0", "several columns of names"),
        ("image,x0,y0,x1", "an x or a y alone: '.1'"),
        ("image,x0,y0,x2,y2", "without a gap"),
        ("image,x5,y5,x6,y6", "without a gap"),
        ("image,x0,y0,x00,y00", "without a gap"),
        ("image,x0,y0,x0,y0", "two columns 'x0'"),
        ("image,x,x,y,y", "not as x, y, x, y"),
        ("image,gt_x0,gt_y0,gt_x1,gt_y1,pred_x0,pred_y0", "several sets of points"),
        ("frame, gaze_0_x, gaze_0_y, eye_lmk_x_0, eye_lmk_y_0, x_0, y_0, x_1, y_1", "several sets of points"),
        ("frame, x_0, y_0, x_1, y_1, X_0, Y_0, Z_0, X_1, Y_1, Z_1", "two columns 'X_0'"),
        ("image,x,y,nose_x,nose_y", "has x and y besides the points"),
        ("image,face_0_point_0_x,face_0_point_0_y,face_1_point_1_x,face_1_point_1_y", "without a gap"),
        ("image,pupil_x,pupil_y,x0,y0,x1,y1", "several sets of points"),
        (",0,1,2,3,4", "numbers the columns"),
        ("0,1,2,3,4", "numbers the columns"),
        ("image,0,1,2,3", "numbers the columns"),
        ('"a.png,1,2\nb.png,3,4', "not a CSV file"),
    ],
)
def test_what_could_be_misread_is_refused(header: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=said) as caught:
        read_text(f"{header}\na.png,1,2,3,4,5,6,7,8\n", tmp_path)
    assert str(tmp_path / "list.csv") in caught.value.message
    assert caught.value.hint or "CSV" in said


def test_bad_lines_are_named_and_no_number_slips(tmp_path: Path) -> None:
    header = "image,x0,y0,x1,y1"
    good = "a.png,1,2,,NA"
    bad = ["b.png,1,2,3", "b.png,1,2,3,4,5", "b.png,1,2,x,4", "b.png,1,2,inf,4", "b.png,1,2,1e30,4", ",1,2,3,4"]
    bad += ["b.png,1_0,2,3,4", "b.png,\u0661,2,3,4", "b.png,0x10,2,3,4", "b\0.png,1,2,3,4"]
    found, skipped = read_text("\n".join([header, good, *bad, "a.png,5,6,nan,8"]), tmp_path)
    assert [one.id for one in found] == ["a.png", "a.png#2"]
    np.testing.assert_array_equal(found[0].points, [[1, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(found[1].points, [[5, 6], [np.nan, np.nan]])
    assert [where for where, _ in skipped] == [f"{tmp_path / 'list.csv'}:{k}" for k in range(3, 13)]
    assert skipped[0][1] == "4 cells, but the header has 5"
    without_header = "\n".join([good, *(line for line in bad if "5" not in line)])
    found, skipped = read_text(without_header, tmp_path)
    assert ([one.id for one in found], len(skipped)) == (["a.png"], 9)


def test_decimal_commas_are_not_taken_for_separators(tmp_path: Path) -> None:
    for text in ("a.png;1,5;2,5\n", "image;x0;y0\na.png;1,5;2,5\n"):
        found, skipped = read_text(text, tmp_path)
        assert found == []
        assert "'1,5' is a number with a decimal comma" in skipped[0][1]


def test_ids_of_a_table_stay_as_they_are(tmp_path: Path) -> None:
    text = 'id,x0,y0\n"set, 1/a.jpg#2",1,2\nset/a.jpg,3,4\n'
    found, _ = read_text(text, tmp_path)
    assert [one.id for one in found] == ["set, 1/a.jpg#2", "set/a.jpg"]
    assert [str(one.image) for one in found] == ["set, 1/a.jpg", "set/a.jpg"]
    with pytest.raises(FileError, match="not a CSV file"):
        read_text("id,x0,y0\ngrün,1,2\n".encode("latin-1"), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nlabeled-data/a/img1.png,1,2\n",
        "image_name,scale,center_w,center_h,original_0_x,original_0_y\na.png,1.0,2,3,4,5\n",
        "name,tag,x00,y00,x01,y01\ni000qa-fn,0000,1,2,0,0\n",
    ],
)
def test_csv_of_other_formats_is_left_to_them(text: str, tmp_path: Path) -> None:
    """DeepLabCut, HRNet (1-based) and MUCT (0, 0 is missing)."""
    (tmp_path / "list.csv").write_text(text)
    assert not csv_points.FORMAT.accepts(tmp_path / "list.csv")
    assert not csv300w.FORMAT.accepts(tmp_path / "list.csv")


# ---- JSON lines
def test_json_lines_hold_everything(tmp_path: Path) -> None:
    lines = [
        '{"id":"x#2","image":"x.jpg","points":[[1,2.5],null],"visible":[true,false],"box":[0,1,5,6],"score":0.5,'
        '"confidence":[0.25,null],"subsets":["common","a b"]}',
        '{"image":"set/y.jpg","points":[[null,null],[3,4]]}',
        '{"image":"set/y.jpg","points":[[1,2],[3,4]],"visible":[1,0],"box":null,"more":{}}',
        '{"id":17,"points":[[1,2],[3,4]],"box":[5,5,5,5]}',
    ]
    found, skipped = read_text("\n".join(lines), tmp_path, "faces.jsonl")
    assert skipped == []
    assert [(one.id, str(one.image)) for one in found] == [
        ("x#2", "x.jpg"), ("set/y.jpg", "set/y.jpg"), ("set/y.jpg#2", "set/y.jpg"), ("17", "17")
    ]  # fmt: skip
    one = found[0]
    np.testing.assert_array_equal(one.points, [[1, 2.5], [np.nan, np.nan]])
    np.testing.assert_array_equal(one.visible, [True, False])
    np.testing.assert_array_equal(one.confidence, [0.25, np.nan])
    np.testing.assert_array_equal(one.box, [0, 1, 5, 6])
    assert (one.score, one.subsets) == (0.5, {"common", "a b"})
    assert found[2].visible.dtype == bool
    assert found[3].box is None
    shifted, _ = read(jsonl.FORMAT, tmp_path / "faces.jsonl", base=1)
    np.testing.assert_array_equal(shifted[0].points[0], [0, 1.5])
    np.testing.assert_array_equal(shifted[0].box, [-1, 0, 4, 5])


@pytest.mark.parametrize(
    "line",
    [
        "[1,2]",
        "{",
        '{"points":[[1,2]]}',
        '{"id":"a"}',
        '{"id":"a","points":[]}',
        '{"id":"a","points":[1,2]}',
        '{"id":"a","points":[[1,2,3]]}',
        '{"id":"a","points":[["1","2"]]}',
        '{"id":"a","points":[[1,NaN]]}',
        '{"id":"a","points":[[1,1e300]]}',
        '{"id":"a","points":[[1,123456789012345678901234567890]]}',
        '{"id":" ","points":[[1,2]]}',
        '{"id":"a\\u0000","points":[[1,2]]}',
        '{"id":true,"points":[[1,2]]}',
        '{"id":["a"],"points":[[1,2]]}',
        '{"id":"a","points":[[1,2]],"visible":[true,true]}',
        '{"id":"a","points":[[1,2]],"visible":[0.5]}',
        '{"id":"a","points":[[1,2]],"confidence":0.5}',
        '{"id":"a","points":[[1,2]],"box":[1,2,3]}',
        '{"id":"a","points":[[1,2]],"score":"high"}',
        '{"id":"a","points":[[1,2]],"subsets":["a/b"]}',
        '{"id":"a","points":[[1,2]],"subsets":"common"}',
    ],
)
def test_bad_json_lines_are_named(line: str, tmp_path: Path) -> None:
    found, skipped = read_text(f'{{"id":"x","points":[[1,2]]}}\n\n{line}\n', tmp_path, "faces.jsonl")
    assert [one.id for one in found] == ["x"]
    assert [where for where, _ in skipped] == [f"{tmp_path / 'faces.jsonl'}:3"]


def test_json_lines_of_other_things_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "loss": 0.5}\n')
    assert not jsonl.FORMAT.accepts(tmp_path / "log.jsonl")
    assert not jsonl.FORMAT.accepts(tmp_path)


# ---- 300W as CSV
def test_the_turned_square_becomes_an_upright_box(tmp_path: Path) -> None:
    found, _ = read(csv300w.FORMAT, sample_csv300w(tmp_path))
    side = np.hypot(69.5, 4.25)
    centre = np.array([20.5, 24.75]) - 1 + np.array([69.5 + 4.25, 69.5 - 4.25]) / 2
    np.testing.assert_allclose(found[0].box, [*(centre - side / 2), *(centre + side / 2)], atol=1e-3)
    assert [sorted(one.subsets) for one in found] == [["common"], ["common"], ["challenging"]]


def test_a_damaged_line_of_300w_is_named(tmp_path: Path) -> None:
    path = sample_csv300w(tmp_path)
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    bad = [cells[:-2], [*cells[:1], "0", *cells[2:]], [*cells[:20], "x", *cells[21:]], ["", *cells[1:]]]
    path.write_text("\n".join([lines[0], *map(",".join, bad), lines[2]]))
    found, skipped = read(csv300w.FORMAT, path)
    assert [one.id for one in found] == ["lfpw/testset/image_0208.png", "ibug/image_012.jpg"]
    assert [where for where, _ in skipped] == [f"{path}:{k}" for k in (2, 3, 4, 5)]


def test_300w_of_the_real_files(shared_dir: Path) -> None:
    """The same faces as in HRNet's table, which copies the .pts; six digits are within 0.005 of those."""
    folder = shared_dir / "data" / "annotations"
    test, skipped = read(csv300w.FORMAT, folder / "300w_csv" / "bbox_face_landmarks_300w_test.csv")
    assert (len(test), skipped) == (600, [])
    assert sum("indoor" in one.subsets for one in test) == sum("outdoor" in one.subsets for one in test) == 300
    path = folder / "300w_csv" / "bbox_face_landmarks_300w_valid.csv"
    assert [form.name for form in FORMATS.values() if form.accepts(path)] == ["csv300w"]
    valid, skipped = read(csv300w.FORMAT, path)
    assert (len(valid), skipped) == (689, [])
    assert sum("challenging" in one.subsets for one in valid) == 135
    with (folder / "300w_hrnet_csv" / "300w_valid.csv").open() as stream:
        other = {row[0]: np.array(row[4:], float).reshape(68, 2) for row in list(csv.reader(stream))[1:]}
    assert {one.id for one in valid} == set(other)
    differences = [np.abs(one.points + 1 - other[one.id]).max() for one in valid]
    assert max(differences) < 0.006
    middles = np.array([(one.points.mean(axis=0) - one.box[:2]) / (one.box[2:] - one.box[:2]) for one in valid])
    np.testing.assert_allclose(middles.mean(axis=0), 0.5, atol=0.06)
    assert not csv_points.FORMAT.accepts(folder / "300w_hrnet_csv" / "300w_valid.csv")


@pytest.mark.parametrize(("part", "n_faces"), [("train", 2912), ("val", 385)])
def test_youtube_faces_of_the_real_files(shared_dir: Path, part: str, n_faces: int) -> None:
    folder = shared_dir / "data" / "youtube68" / part
    found, skipped = read(csv_points.FORMAT, folder, pictures=True)
    assert (len(found), skipped) == (n_faces, [])
    assert {one.points.shape for one in found} == {(68, 2)}
    with (folder / "landmarks.csv").open() as stream:
        rows = list(csv.reader(stream))[1:]
    np.testing.assert_array_equal(found[-1].points.reshape(-1), np.array(rows[-1][1:], float))
    seen: dict[str, int] = {}
    for one, row in zip(found, rows, strict=True):
        seen[row[0]] = seen.get(row[0], 0) + 1
        assert one.id == (row[0] if seen[row[0]] == 1 else f"{row[0]}#{seen[row[0]]}")


# ---- damage
def damaged(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    """Bytes with some parts cut out, doubled, or replaced."""
    for place, kind, new in edits:
        k = place % (len(data) + 1)
        if kind == "cut":
            data = data[:k] + data[k + len(new) * 3 :]
        elif kind == "double":
            data = data[: k + 40] + data[k:]
        else:
            data = data[:k] + new + data[k + (kind == "replace") * len(new) :]
    return data


NASTY = ["nan", "inf", "-", "1e999", "1e30", ",", ",,", ";", "\t", "\n", '"', "\0", "\xff", "x0", "null", "[", "#2"]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.sampled_from(["cut", "double", "insert", "replace"]),
        st.sampled_from([text.encode("latin-1") for text in NASTY]) | st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in SAMPLES.items()}


@examples(100)
@pytest.mark.parametrize("name", SAMPLES)
def test_damage_ends_in_annotations_skips_or_an_error(name: str, n_examples: int, samples: dict[str, Path]) -> None:
    path = samples[name]
    whole = path.read_bytes()

    @settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    @given(EDITS)
    def check(edits: list[tuple[int, str, bytes]]) -> None:
        path.write_bytes(damaged(whole, edits))
        try:
            FORMATS[name].accepts(path)
            found, _ = read(FORMATS[name], path)
        except KdError:
            return
        for one in found:
            assert one.points.ndim == 2
            assert one.points.shape[1] == 2
            assert not np.isinf(one.points).any()
            assert one.id
            assert "\0" not in one.id

    try:
        check()
    finally:
        path.write_bytes(whole)


# ---- rows of several things
def things(*categories: str, column: str = "class", comma: str = ",") -> str:
    header = comma.join(["image", column, "x0", "y0", "x1", "y1"])
    rows = [comma.join([f"{k}.png", name, *map(str, range(k, k + 4))]) for k, name in enumerate(categories)]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize("column", ["label", "class", "Category", "class name", "object"])
@pytest.mark.parametrize(("suffix", "comma"), [("csv", ","), ("tsv", "\t")])
def test_rows_of_several_categories_are_different_things(tmp_path: Path, column: str, suffix: str, comma: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text(things("face", "hand", "face", column=column, comma=comma))
    form = FORMATS[suffix]
    with pytest.raises(KdError, match=r"'face' \(2 annotations of 2 points\), 'hand' \(1 anno") as caught:
        read(form, path)
    assert "--category" in caught.value.hint
    found, skipped = read_all(form, path, pictures=False, categories=("hand",))
    assert [one.id for one in found] == ["1.png"]
    assert skipped == []
    assert len(read_all(form, path, pictures=False, categories=("*",))[0]) == 3


def test_a_column_of_one_category_and_unused_ones_do_not_matter(tmp_path: Path) -> None:
    text = things("face", "face", "hand").replace("2,3,4,5", ",,,")
    found, skipped = read_text(text, tmp_path)
    assert [one.id for one in found] == ["0.png", "1.png"]
    assert skipped == []
    assert len(read_text("label,x0,y0\na.png,1,2\nb.png,3,4\n", tmp_path)[0]) == 2  # the only column of names
    with pytest.raises(KdError, match="no points are of the category 'hand'"):
        read_all(FORMATS["csv"], tmp_path / "list.csv", pictures=False, categories=("hand",))
