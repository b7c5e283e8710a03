"""Numbers that are no points never become points: boxes, attributes, other orders, shares, signs of missing points."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reporters import Recorder

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import Annotation
from kdtools.datasets.formats.pts import parse_pts
from kdtools.datasets.formats.shared.column_checks import find_columns
from kdtools.datasets.import_faces import import_faces
from kdtools.errors import DataError, FileError, KdError
from kdtools.faces.writer import create_faces
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.storage.provenance import Provenance

N = 12
WIDTH, HEIGHT = 320, 240


def shape68() -> np.ndarray:
    """A drawn face (68, 2) in ibug's order, about 2 wide and high, centred, y downwards."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([np.cos(angle), 0.2 + np.sin(angle)], axis=1)
    brow = np.stack([np.linspace(-0.75, -0.2, 5), [-0.5, -0.6, -0.65, -0.62, -0.55]], axis=1)
    nose = np.stack([np.zeros(4), np.linspace(-0.3, 0.2, 4)], axis=1)
    base = np.stack([np.linspace(-0.2, 0.2, 5), [0.3, 0.33, 0.35, 0.33, 0.3]], axis=1)
    eye = np.array([[-0.6, -0.3], [-0.5, -0.36], [-0.38, -0.36], [-0.28, -0.3], [-0.38, -0.26], [-0.5, -0.26]])
    other_eye = (eye * [-1, 1])[[3, 2, 1, 0, 5, 4]]
    around = np.linspace(np.pi, -np.pi, 13)[:12]
    mouth = np.stack([0.4 * np.cos(around), 0.65 - 0.15 * np.sin(around)], axis=1)
    inner = np.stack([0.3 * np.cos(around), 0.65 - 0.06 * np.sin(around)], axis=1)[[0, 2, 3, 4, 6, 8, 9, 10]]
    return np.concatenate([jaw, brow, (brow * [-1, 1])[::-1], nose, base, eye, other_eye, mouth, inner])


def faces(n_points: int = 68, n: int = N) -> np.ndarray:
    """Faces (n, L, 2) of 68 or 5 points, somewhat rolled and turned, in a picture of WIDTH x HEIGHT, three decimals."""
    rng = np.random.default_rng(n_points)
    shape = shape68()
    if n_points == 5:
        shape = np.stack([shape[36:42].mean(0), shape[42:48].mean(0), shape[33], shape[48], shape[54]])
    size, roll = rng.uniform(40, 60, n), rng.normal(0, 0.1, n)
    turned = shape * rng.uniform(0.85, 1, (n, 1, 2)) + rng.normal(0, 0.01, (n, *shape.shape))
    turn = np.stack([np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll)], axis=1).reshape(n, 2, 2)
    centre = np.stack([rng.uniform(130, 190, n), rng.uniform(90, 110, n)], axis=1)
    return np.round(size[:, None, None] * (turned @ turn.transpose(0, 2, 1)) + centre[:, None], 3)


def boxes(points: np.ndarray, order: str) -> np.ndarray:
    """Whole numbers (n, 4) of a box around the points, as detectors give it."""
    low, high = np.floor(points.min(axis=1) - 3), np.ceil(points.max(axis=1) + 4)
    return {
        "corners": np.hstack([low, high]),
        "size": np.hstack([low, high - low]),
        "pairs": np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1),
    }[order]


def write_list(path: Path, columns: list[np.ndarray], form: str) -> Path:
    """Names and numbers as a list with spaces, or as a CSV or TSV table without a header."""
    table = np.hstack([np.asarray(part, np.float64).reshape(len(columns[0]), -1) for part in columns])
    comma, suffix = {"torchlm": (" ", ".txt"), "csv": (",", ".csv"), "tsv": ("\t", ".tsv")}[form]
    lines = [comma.join([f"img/{k}.jpg", *(f"{number:.10g}" for number in row)]) for k, row in enumerate(table)]
    path = path.with_suffix(suffix)
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, form: str = "auto", pictures: bool = False) -> tuple[list[Annotation], Recorder]:
    recorder = Recorder()
    return read_annotations(Sources([str(path)], form, pictures=pictures), recorder), recorder


def points_of(found: list[Annotation]) -> np.ndarray:
    return np.stack([one.points for one in found if one.points is not None])


def draw(folder: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    (folder / "img").mkdir(exist_ok=True, parents=True)
    for k in range(N):
        write_image(folder / "img" / f"{k}.jpg", np.full((size[1], size[0], 3), 10 * k, np.uint8))


FORMS = ("torchlm", "csv", "tsv")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["corners", "size", "pairs"])
@pytest.mark.parametrize("first", [True, False])
def test_a_box_beside_68_points_is_no_point(form: str, order: str, first: bool, tmp_path: Path) -> None:
    if (form, order, first) == ("torchlm", "pairs", True):
        pytest.skip("this is 300W's own layout, format list300w")
    points = faces()
    box = boxes(points, order)
    path = write_list(tmp_path / "list", [box, points] if first else [points, box], form)
    found, recorder = read(path, form)
    np.testing.assert_allclose(points_of(found), points)
    assert any("68 points" in text and "look like a box" in text for text in recorder.said)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["corners", "size"])
def test_a_box_beside_five_points_is_no_point(form: str, order: str, tmp_path: Path) -> None:
    points = faces(5)
    path = write_list(tmp_path / "list", [boxes(points, order), points], form)
    found, recorder = read(path, form)
    np.testing.assert_allclose(points_of(found), points)
    assert any("5 points" in text and "look like a box" in text for text in recorder.said)


def points_of_count(n_points: int) -> np.ndarray:
    """Faces of 68 points, of six that no scheme has, or of 21 of AFLW's."""
    aflw = [17, 19, 21, 22, 24, 26, 36, 37, 39, 42, 43, 45, 1, 31, 30, 35, 15, 48, 62, 54, 8]
    return faces()[:, {68: list(range(68)), 21: aflw, 6: [36, 39, 42, 45, 48, 54]}[n_points]]


@pytest.mark.parametrize("order", ["corners", "size", "pairs"])
@pytest.mark.parametrize("layout", ["bp", "pb", "bsp", "sbp", "ibp", "ipb", "pbs", "psb"])
@pytest.mark.parametrize("n_points", [5, 6, 21, 68])
def test_boxes_scores_and_numbers_of_rows_beside_points(order: str, layout: str, n_points: int) -> None:
    """A known count is read, others are refused with the columns of the box: points, box, score, number of the row."""
    points = faces(5) if n_points == 5 else points_of_count(n_points)
    score = np.random.default_rng(1).uniform(0.5, 1, (N, 1)).round(3)
    parts = {"b": boxes(points, order), "p": points.reshape(N, -1), "s": score, "i": np.arange(3.0, 3 + N)[:, None]}
    rows = list(np.hstack([parts[part] for part in layout]))
    if n_points in (5, 68):
        columns = find_columns(rows)
        np.testing.assert_array_equal(np.stack([columns.points_in(row) for row in rows]), parts["p"])
        assert "look like a box" in columns.note
    else:
        with pytest.raises(DataError, match=f"look like a box.*{n_points} points are left"):
            find_columns(rows)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("n_points", [5, 6, 21, 68])
def test_a_box_in_few_rows_is_never_taken_for_points_in_silence(n: int, n_points: int) -> None:
    points = (faces(5) if n_points == 5 else points_of_count(n_points))[:n]
    for order in ("corners", "size", "pairs"):
        for parts in ([boxes(points, order), points.reshape(n, -1)], [points.reshape(n, -1), boxes(points, order)]):
            rows = list(np.hstack(parts))
            with contextlib.suppress(DataError):
                columns = find_columns(rows)
                assert columns.doubt or len(columns.xy) == 2 * n_points


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_points", [5, 68])
@pytest.mark.parametrize("n_extra", [4, 5, 6])
@pytest.mark.parametrize("first", [True, False])
def test_attributes_are_no_points(form: str, n_points: int, n_extra: int, first: bool, tmp_path: Path) -> None:
    points = faces(n_points)
    flags = np.random.default_rng(0).integers(0, 4, (N, n_extra))
    path = write_list(tmp_path / "list", [flags, points] if first else [points, flags], form)
    found, recorder = read(path, form)
    np.testing.assert_allclose(points_of(found), points)
    assert any("look like attributes" in text for text in recorder.said)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_points", [5, 68])
def test_all_x_before_all_y(form: str, n_points: int, tmp_path: Path) -> None:
    points = faces(n_points)
    path = write_list(tmp_path / "list", [points.transpose(0, 2, 1)], form)
    found, recorder = read(path, form)
    np.testing.assert_allclose(points_of(found), points)
    assert any("all x come before all y" in text for text in recorder.said)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (lambda p: [p[:, :40], np.tile([1, 2, 2, 3], (N, 1))], "columns 81 to 84 look like attributes; 40 points"),
        (lambda p: [boxes(p[:, :41], "corners"), p[:, :41]], "columns 1 to 4 look like a box.*41 points are left"),
        (lambda p: [p[:, :41].transpose(0, 2, 1)], "all x before all y of 41 points"),
        (lambda p: [p, np.random.default_rng(0).uniform(20, 90, (N, 3))], "which are not pairs|not all are points"),
    ],
)
def test_what_is_not_certain_is_refused(
    form: str, columns: Callable[[np.ndarray], list[np.ndarray]], message: str, tmp_path: Path
) -> None:
    path = write_list(tmp_path / "list", columns(faces()), form)
    with pytest.raises(FileError, match=message) as caught:
        read(path, form)
    assert "header" in caught.value.hint


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chosen", [slice(0, 68), slice(0, 41), slice(17, 58), slice(30, 37), slice(36, 48)])
def test_points_alone_stay_points(form: str, chosen: slice, tmp_path: Path) -> None:
    points = faces()[:, chosen]
    found, recorder = read(write_list(tmp_path / "list", [points], form), form)
    np.testing.assert_allclose(points_of(found), points)
    assert not any("look" in text or "come before" in text for text in recorder.said)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))])
@pytest.mark.parametrize("shuffled", [True, False])
def test_sets_of_own_choice_stay_points(seed: int, shuffled: bool, tmp_path: Path) -> None:
    """Any points of a face, however many and in whatever order; weak evidence against them is a warning at most."""
    rng = np.random.default_rng(seed)
    for n_points in range(3, 68, 3):
        chosen = rng.permutation(68)[:n_points]
        points = faces()[:, chosen if shuffled else np.sort(chosen)]
        found, _ = read(write_list(tmp_path / "list", [points], "csv"))
        np.testing.assert_allclose(points_of(found), points)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("never", [[0], [67], [0, 1, 66, 67]])
def test_points_that_nobody_marked_stay_points(form: str, never: list[int], tmp_path: Path) -> None:
    points = faces()
    points[:, never] = np.nan
    found, _ = read(write_list(tmp_path / "list", [points], form), form)
    np.testing.assert_allclose(points_of(found), points)


@pytest.mark.parametrize("form", FORMS)
def test_two_points_beside_29_are_taken_with_a_warning(form: str, tmp_path: Path) -> None:
    """A count that is known but for four numbers, where these could be points: the brows above an eyeless face."""
    points = faces()[:, [0, 16, *range(31, 36), *range(46, 68)]]
    points = np.concatenate([points[:, :2] * [1, 1] - [0, 40], points[:, 2:29], points[:, 2:4]], axis=1)
    assert points.shape[1] == 31
    found, recorder = read(write_list(tmp_path / "list", [points], form), form)
    np.testing.assert_allclose(points_of(found), points)
    assert any("taken for 31 points, but columns" in text for text in recorder.warned)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("first", [True, False])
def test_numbers_that_do_not_move_with_29_points_are_refused(form: str, first: bool, tmp_path: Path) -> None:
    points = faces()[:, 30:59] + np.random.default_rng(1).uniform(0, 600, (N, 1, 1))
    angles = np.round(np.random.default_rng(0).uniform(-90, 90, (N, 4)), 2)
    path = write_list(tmp_path / "list", [angles, points] if first else [points, angles], form)
    with pytest.raises(FileError, match="look like other numbers; 29 points are left"):
        read(path, form)


def text_of(numbers: np.ndarray, comma: str) -> str:
    return comma.join(f"{number:.10g}" for number in numbers.ravel())


def write_layout(form: str, folder: Path, box: np.ndarray, numbers: np.ndarray) -> Path:
    """Rows of numbers where a format has its points, with boxes (N, 4) where it has one of its own."""
    names = [f"img/{k}.jpg" for k in range(len(numbers))]
    side = (box[:, 2:] - box[:, :2]).max(axis=1)
    centre = (box[:, :2] + box[:, 2:]) / 2
    squares = np.column_stack([side / 200, centre])
    if form == "wflw":
        lines = [f"{text_of(row, ' ')} {name}" for name, row in zip(names, numbers, strict=True)]
    elif form == "list300w":
        four = box[:, [0, 2, 1, 3]]
        lines = [f"{n} {text_of(b, ' ')} {text_of(row, ' ')}" for n, b, row in zip(names, four, numbers, strict=True)]
    elif form == "csv300w":
        half = side[:, None] / 2
        three = np.hstack([centre + half * corner for corner in ([1, -1], [-1, -1], [-1, 1])])
        lines = [f"{n},{text_of(b, ',')},{text_of(row, ',')}" for n, b, row in zip(names, three, numbers, strict=True)]
    elif form == "hrnet":
        header = [f"original_{k}_{axis}" for k in range(numbers.shape[1] // 2) for axis in "xy"]
        lines = [",".join(["image_name,scale,center_w,center_h", *header])]
        lines += [f"{n},{text_of(s, ',')},{text_of(r, ',')}" for n, s, r in zip(names, squares, numbers, strict=True)]
    else:
        lines = [
            "\t".join([n, text_of(row[:10], ","), text_of(row, ","), text_of(square, "\t")])
            for n, square, row in zip(names, squares, numbers, strict=True)
        ]
    path = folder / f"a_list{({'adnet': '.tsv', 'hrnet': '.csv', 'csv300w': '.csv'}).get(form, '.txt')}"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("form", ["wflw", "adnet", "hrnet"])
@pytest.mark.parametrize("kind", ["box first", "box last", "attributes"])
def test_other_numbers_in_layouts_of_data_sets_are_no_points(form: str, kind: str, tmp_path: Path) -> None:
    """A box of four numbers without WFLW's attributes is no two points more, nor where a header says so."""
    points = faces()
    box = boxes(points, "corners")
    flags = np.random.default_rng(0).integers(0, 4, (N, 4))
    rows = points.reshape(N, -1)
    numbers = {"box first": [box, rows], "box last": [rows, box], "attributes": [rows, flags]}[kind]
    found, recorder = read(write_layout(form, tmp_path, box, np.hstack(numbers)), form)
    np.testing.assert_allclose(points_of(found), points - BASES.get(form, 0))
    what = "attributes" if kind == "attributes" else "a box"
    assert any("68 points" in text and f"look like {what}" in text for text in recorder.said)


@pytest.mark.parametrize("form", ["wflw", "list300w", "adnet", "hrnet", "csv300w"])
@pytest.mark.parametrize("planar", [True, False])
def test_the_order_of_x_and_y_in_layouts_of_data_sets(form: str, planar: bool, tmp_path: Path) -> None:
    points = faces() * [1, 1.2]
    box = boxes(points, "corners")
    if form == "list300w":  # only where the middle of all numbers lies in the box is it this format
        points = points + [0, points[..., 0].mean() - points[..., 1].mean()]
        box = boxes(points, "corners")
    numbers = (points.transpose(0, 2, 1) if planar else points).reshape(N, -1)
    found, recorder = read(write_layout(form, tmp_path, box, numbers), form)
    np.testing.assert_allclose(points_of(found), points - BASES.get(form, 0))
    assert any("all x come before all y" in text for text in recorder.said) == planar


def write_as(form: str, folder: Path, points: np.ndarray) -> Path:
    """Faces (n, L, 2) as they are to stand in a file of the format, with its own index base."""
    folder.mkdir(exist_ok=True, parents=True)
    names = [f"img/{k}.jpg" for k in range(len(points))]
    if form in FORMS:
        return write_list(folder / "list", [points], form)
    if form == "jsonl":
        lines = [json.dumps({"image": n, "points": p.tolist()}) for n, p in zip(names, points, strict=True)]
        (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
        return folder / "a.jsonl"
    if form == "coco":
        images = [{"id": k, "file_name": name, "width": 9, "height": 9} for k, name in enumerate(names)]
        annotations = [
            {"id": k, "image_id": k, "category_id": 1, "keypoints": np.insert(p, 2, 2, axis=1).ravel().tolist()}
            for k, p in enumerate(points)
        ]
        categories = [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}]
        text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        (folder / "a.json").write_text(text)
        return folder / "a.json"
    if form == "dlib":
        parts = [
            "".join(f"<part name='{j:02}' x='{x:g}' y='{y:g}'/>" for j, (x, y) in enumerate(face)) for face in points
        ]
        rows = [
            f"<image file='{n}'><box top='1' left='1' width='99' height='99'>{p}</box></image>"
            for n, p in zip(names, parts, strict=True)
        ]
        (folder / "a.xml").write_text(f"<dataset><images>{''.join(rows)}</images></dataset>")
        return folder / "a.xml"
    assert form == "pts"
    (folder / "img").mkdir(exist_ok=True)
    for k, face in enumerate(points):
        rows = "\n".join(f"{x:g} {y:g}" for x, y in face)
        (folder / "img" / f"{k}.pts").write_text(f"version: 1\nn_points: {len(face)}\n{{\n{rows}\n}}\n")
    return folder


BASES = {"pts": 1, "list300w": 1, "hrnet": 1, "csv300w": 1}
ALL = (*FORMS, "jsonl", "coco", "dlib", "pts")


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("value", [-1, 0])
def test_repeated_sentinels_are_missing(form: str, value: float, tmp_path: Path) -> None:
    points = np.round(faces()) + 0.0
    points[::2, 3:6] = value
    found, recorder = read(write_as(form, tmp_path, points), form)
    expected = np.where(points == value, np.nan, points - BASES.get(form, 0))
    order = [int(Path(one.image).stem) for one in found]
    np.testing.assert_allclose(points_of(found), expected[order])
    place = f"{value} {value}"
    told = recorder.said if (form, value) == ("pts", -1) else recorder.warned
    assert any(place in text and "missing" in text for text in told)


@pytest.mark.parametrize("form", ["pts", "csv", "torchlm", "jsonl"])
def test_minus_x_minus_y_is_a_hidden_point(form: str, tmp_path: Path) -> None:
    points = faces()
    hidden = np.zeros((N, 68), bool)
    hidden[::3, 20:24] = True
    missing = np.zeros((N, 68), bool)
    missing[1::3, :2] = True
    stored = np.where(hidden[..., None], -points, points)
    stored[missing] = -1
    found, recorder = read(write_as(form, tmp_path, stored), form)
    order = [int(Path(one.image).stem) for one in found]
    expected = np.where(missing[..., None], np.nan, points - BASES.get(form, 0))
    np.testing.assert_allclose(points_of(found), expected[order], atol=1e-3)
    visible = np.stack([one.visible for one in found if one.visible is not None])
    np.testing.assert_array_equal(visible, ~(hidden | missing)[order])
    assert any("MERL-RAV" in text for text in (recorder.said if form == "pts" else recorder.warned))


def test_points_left_and_above_of_the_picture_stay_as_they_are(tmp_path: Path) -> None:
    points = faces() - faces().min(axis=1, keepdims=True) - 12
    assert (points < 0).all(axis=2).any()
    found, recorder = read(write_as("jsonl", tmp_path, points))
    np.testing.assert_allclose(points_of(found), points)
    assert recorder.warned == []
    assert all(one.visible is None for one in found)


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (100, 300)])
def test_shares_of_the_image(form: str, size: tuple[int, int], tmp_path: Path) -> None:
    if form == "dlib":
        pytest.skip("dlib's numbers are whole")
    shares = np.round(faces() / [WIDTH, HEIGHT], 6)
    path = write_as(form, tmp_path, shares)
    with pytest.raises(KdError, match=r"between 0 and 1|shares") as caught:
        read(path, form)
    assert "--no-images" in caught.value.hint
    draw(tmp_path, size)
    found, recorder = read(path, form, pictures=True)
    order = [int(Path(one.image).stem) for one in found]
    np.testing.assert_allclose(points_of(found), (shares * size)[order], atol=1e-3)
    if form != "torchlm":  # which knows them itself
        assert any("shares" in text for text in recorder.said)


@pytest.mark.parametrize("form", ALL)
def test_shares_of_one_axis_alone_are_refused(form: str, tmp_path: Path) -> None:
    if form == "dlib":
        pytest.skip("dlib's numbers are whole")
    with pytest.raises(FileError, match="x lie between 0 and 1"):
        read(write_as(form, tmp_path, faces() / [WIDTH, 1]), form)


@pytest.mark.parametrize("form", ["csv", "jsonl", "coco", "pts"])
def test_all_points_in_one_place_are_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="all points are within one pixel"):
        read(write_as(form, tmp_path, 100 + faces() / 1000), form)


@pytest.mark.parametrize("form", ["csv", "jsonl", "pts"])
def test_points_far_outside_most_pictures_are_refused(form: str, tmp_path: Path) -> None:
    """Faces of a plausible size, but with most of them outside three times their picture."""
    draw(tmp_path, (60, 40))
    found, recorder = read(write_as(form, tmp_path, faces()), form, pictures=True)
    with (
        pytest.raises(DataError, match=rf"{N} of {N} faces have points outside three times their image") as caught,
        create_faces(str(tmp_path / "faces.h5"), False, Provenance("test")) as writer,
    ):
        import_faces(found, writer, crop=CropRule(1.0), size=32, jobs=1, scheme=IBUG68, subsets=[], reporter=recorder)
    assert "--base" in caught.value.hint
    assert not (tmp_path / "faces.h5").exists()


@pytest.mark.parametrize("form", ["csv", "jsonl", "torchlm", "pts"])
def test_no_face_with_a_point_is_refused(form: str, tmp_path: Path) -> None:
    points = np.full((N, 68, 2), np.nan)
    if form == "jsonl":
        text = "\n".join(json.dumps({"image": f"{k}.jpg", "points": [None] * 68}) for k in range(N))
        (tmp_path / "a.jsonl").write_text(text)
        path = tmp_path / "a.jsonl"
    else:
        path = write_as(form, tmp_path, points)
    with pytest.raises(FileError, match="none of its 12 faces has a point"):
        read(path, form)


@pytest.mark.parametrize("form", ["jsonl", "dlib"])
@pytest.mark.parametrize("side", [1, 9000])
def test_boxes_of_absurd_size_are_refused(form: str, side: int, tmp_path: Path) -> None:
    path = write_as(form, tmp_path, faces().round())
    text = path.read_text()
    text = text.replace('"points"', f'"box": [0, 0, {side}, {side}], "points"')
    text = text.replace("width='99' height='99'", f"width='{side}' height='{side}'")
    path.write_text(text)
    with pytest.raises(FileError, match="12 of 12 boxes"):
        read(path, form)


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_box_that_is_left_out_is_mentioned(form: str, tmp_path: Path) -> None:
    points = faces()
    found, recorder = read(write_list(tmp_path / "list", [boxes(points, "corners"), points], form), form)
    assert all(one.box is None for one in found)
    assert any("columns 1 to 4 look like a box" in text for text in recorder.said)


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.jsonl", '{"image": 5, "points": []}\n' * 20, "jsonl"),
        ("a.csv", "image,x0,y0\n" + "a.png,z,z\n" * 20, "csv"),
        ("a.tsv", "image\tx0\ty0\n" + "a.png\tz\tz\n" * 20, "tsv"),
    ],
)
def test_a_list_without_a_readable_row_is_one_error(name: str, text: str, form: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    recorder = Recorder()
    with pytest.raises(FileError, match=r"none of its 20 entries can be read; .*:[12]: "):
        read_annotations(Sources([str(tmp_path / name)], form, pictures=False), recorder)
    assert recorder.skipped == []


def test_files_without_points_are_one_error(tmp_path: Path) -> None:
    for k in range(5):
        (tmp_path / f"{k}.pts").write_text("version: 1\nn_points: 2\n{\n1 x\n2 y\n}\n")
    recorder = Recorder()
    with pytest.raises(FileError, match="none of its 5 entries"):
        read_annotations(Sources([str(tmp_path)], "pts", pictures=False), recorder)
    assert recorder.skipped == []


@pytest.mark.parametrize("form", ["csv", "jsonl", "coco", "torchlm"])
def test_percent_of_the_image_is_refused(form: str, tmp_path: Path) -> None:
    percent = np.round(100 * faces() / [WIDTH, HEIGHT], 3)
    path = write_as(form, tmp_path, percent)
    draw(tmp_path, (640, 480))
    with pytest.raises(FileError, match=r"between 0 and 100, in images of about 640 x 480 px, as if in percent") as e:
        read(path, form, pictures=True)
    assert "divide" in e.value.hint
    found, recorder = read(write_as(form, tmp_path, percent[:3]), form, pictures=True)
    assert len(found) == 3
    assert any("as if in percent; they are taken for pixels" in text for text in recorder.warned)
    draw(tmp_path, (96, 96))  # Kaggle's pictures
    found, recorder = read(path, form, pictures=True)
    np.testing.assert_allclose(points_of(found), percent[: len(found)])
    assert not any("percent" in text for text in recorder.warned)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a.jpg;12,5;13,7;20,1;30,2\n", "'12,5' is a number with a decimal comma, or two numbers"),
        ("a.csv", "image;x0;y0;x1;y1\na.jpg;12,5;13,7;20,1;30,2\n", "'12,5' is a number with a decimal comma"),
        ("a.tsv", "a.jpg\t12,5\t13,7\t20,1\t30,2\n", "'12,5' is a number with a decimal comma, or two numbers"),
        ("a.csv", "a.jpg,12,5,13,7,20,1,31,5,40,1,13,6\n", "seem to be split at decimal commas"),
        ("a.csv", "a.jpg,12,53,13,07,20,15,31,50,40,10,13,62\n", "seem to be split at decimal commas"),
        ("a.txt", "a.jpg 12,5 13,7 20,1 31,5\n", "looks like a list of numbers with decimal commas"),
    ],
)
def test_decimal_commas_are_told(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(KdError, match=message):
        read_annotations(Sources([str(tmp_path / name)], pictures=False), Recorder())


# ---- what looks like points and is something else
def test_an_index_before_the_points_of_pts_is_no_coordinate() -> None:
    points = np.random.default_rng(3).uniform(50, 200, (5, 2)).round(2)
    for first in (0, 1):
        lines = [f"{k + first} {x} {y}" for k, (x, y) in enumerate(points)]
        text = "version: 1\nn_points: 5\n{\n" + "\n".join(lines) + "\n}\n"
        np.testing.assert_array_equal(parse_pts(text), points)
    lines = [f"{x} {y} {k}" for k, (x, y) in enumerate(points)]
    np.testing.assert_array_equal(parse_pts("n_points: 5\n{\n" + "\n".join(lines) + "\n}\n"), points)


@pytest.mark.parametrize("third", [1.0, 0.9, 2.0])
def test_every_third_number_of_a_list_is_a_flag_or_a_score(third: float) -> None:
    points = np.random.default_rng(4).uniform(50, 300, (8, 68, 2))
    rows = np.concatenate([points, np.full((8, 68, 1), third)], axis=2).reshape(8, -1)
    columns = find_columns(list(rows))
    np.testing.assert_array_equal(np.stack([columns.points_in(row) for row in rows]), points.reshape(8, -1))
    assert "every third is" in columns.note


@pytest.mark.parametrize("pictures", [True, False])
def test_coordinates_around_0_are_no_shares(pictures: bool, tmp_path: Path) -> None:
    points = np.random.default_rng(5).uniform(-0.5, 0.6, (6, 5, 2))
    cells = [",".join([f"a{k}.png", *map(str, one.reshape(-1))]) for k, one in enumerate(points)]
    header = ",".join(["image", *(f"{axis}{k}" for k in range(5) for axis in "xy")])
    (tmp_path / "a.csv").write_text("\n".join([header, *cells]) + "\n")
    for k in range(6):
        write_image(tmp_path / f"a{k}.png", np.full((60, 80, 3), 90, np.uint8))
    with pytest.raises(FileError, match="as if scaled to -1 to 1"):
        read_annotations(Sources([str(tmp_path / "a.csv")], "csv", pictures=pictures), Recorder())


def test_a_table_with_a_row_for_each_point_is_refused(tmp_path: Path) -> None:
    names = ("left_eye", "right_eye", "nose")
    rows = [f"a{k}.png,{name},{10 + k + n},{20 + n}" for k in range(4) for n, name in enumerate(names)]
    (tmp_path / "a.csv").write_text("\n".join(["image,point,x,y", *rows]) + "\n")
    with pytest.raises(FileError, match="a row is a point here, not a face"):
        read_annotations(Sources([str(tmp_path / "a.csv")], "csv", pictures=False), Recorder())
