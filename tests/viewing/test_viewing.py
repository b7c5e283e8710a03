"""kd-view: where marks land, in which colours and order, how sheets are laid out, what is refused."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import plain_images, write_faces
from PIL import Image
from reporters import Strict

from kdtools.cli import kd_import
from kdtools.cli._app import session
from kdtools.cli.kd_view import main
from kdtools.errors import DataError
from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.request import Request
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.drawing import draw_points, draw_segments, write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import box_to_source
from kdtools.storage.provenance import Provenance
from kdtools.viewing.lettering import font_of, short_names, shorten, width_of
from kdtools.viewing.output import plan_pictures
from kdtools.viewing.overlay import COLOURS

TRUTH, FIRST = (np.array(colour) for colour in COLOURS[:2])
GREY = 128
SIZE = 64  # of the images; cells of 64 px then show them as they are


def write_grey_faces(
    path: str | Path, points: np.ndarray, ids: list[str] | None = None, *, images: bool = True, **arrays: Any
) -> str:
    """A faces file of plain grey images with these points (N, L, 2)."""
    ids = ids or [f"face{k}.png" for k in range(len(points))]
    grey = plain_images(len(points), SIZE, GREY) if images else None
    return str(write_faces(path, points, ids=ids, images=grey, **arrays))


def points_at(*shapes: list[tuple[float, float]]) -> np.ndarray:
    """Points (N, 68, 2): NaN but for the first ones of each face."""
    points = np.full((len(shapes), 68, 2), np.nan)
    for face, shape in zip(points, shapes, strict=True):
        face[: len(shape)] = np.array(shape).reshape(-1, 2)
    return points


def view(*words: str | Path, status: int = 0) -> None:
    """Run kd-view in this process and check its exit status."""
    session.verbosity = session.n_skipped = 0
    argv, sys.argv = sys.argv, ["kd-view", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = argv
    assert (stop.value.code or 0) == status


def picture(path: Path) -> np.ndarray:
    """A sheet's pixels (H, W, 3), as numbers that can be subtracted."""
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def near(image: np.ndarray, colour: np.ndarray, tolerance: int = 40) -> np.ndarray:
    """Which pixels have about this colour, (H, W) bool."""
    return np.abs(image - colour).max(axis=-1) <= tolerance


def centre_of(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Mean x, y of the pixels with about this colour."""
    return np.argwhere(near(image, colour)).mean(axis=0)[::-1]


def cell(image: np.ndarray, k: int, size: int, columns: int) -> np.ndarray:
    """The k-th picture of a sheet without labels and legend."""
    pitch = size + round(6 + 0.03 * size)
    x, y = pitch - size + k % columns * pitch, pitch - size + k // columns * pitch
    return image[y : y + size, x : x + size]


BARE = ("--no-labels", "--no-legend")


# ---- where marks land
@pytest.mark.parametrize("size", [64, 100, 200, 333])
def test_points_land_where_they_belong(size: int, tmp_path: Path) -> None:
    """Within half a pixel of the image's map onto its cell, in the colours of the truth and the prediction."""
    gt, pred = points_at([(20, 30)]), points_at([(45.5, 12.25)])
    paths = write_grey_faces(tmp_path / "gt.h5", gt), write_grey_faces(tmp_path / "pred.h5", pred)
    view(*paths, "--width", size, *BARE, "-o", tmp_path / "a.png")
    drawn = cell(picture(tmp_path / "a.png"), 0, size, 1)
    for points, colour in ((gt, TRUTH), (pred, FIRST)):
        np.testing.assert_allclose(centre_of(drawn, colour), (points[0, 0] + 0.5) * size / SIZE - 0.5, atol=0.5)


def test_occluded_points_are_rings_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    visible = np.ones((1, 68))
    visible[0, 1] = 0
    points = points_at([(16, 31.5), (48, 31.5)])
    view(write_grey_faces(tmp_path / "gt.h5", points, visible=visible), "--width", "512", *BARE, "--no-lines",
         "-o", tmp_path / "a.png")  # fmt: skip
    drawn = cell(picture(tmp_path / "a.png"), 0, 512, 1)
    (_, y), (x_disc, x_ring) = (np.round((points[0, :2] + 0.5) * 8 - 0.5).astype(int)[:, k] for k in (1, 0))
    assert near(drawn[y, x_disc], TRUTH)
    assert near(drawn[y, x_ring], np.array([GREY] * 3), 3)
    assert near(drawn, TRUTH)[y - 9 : y + 10, x_ring - 9 : x_ring + 10].any()
    changed = ~near(drawn, np.array([GREY] * 3), 3)
    assert not changed[:, 200:300].any()
    assert not changed[: y - 10].any()
    assert not changed[y + 10 :].any()


def test_outlines_follow_the_scheme_and_can_be_left_out(tmp_path: Path) -> None:
    scheme = Scheme("three", 3, outlines=((0, 1),))
    points = np.array([[[8, 20], [56, 20], [32, 50]]], float)
    path = write_grey_faces(tmp_path / "gt.h5", points, scheme=scheme)
    view(path, "--width", "256", *BARE, "-o", tmp_path / "with.png")
    view(path, "--width", "256", *BARE, "--no-lines", "-o", tmp_path / "without.png")
    middle = [near(cell(picture(tmp_path / name), 0, 256, 1), TRUTH)[81, 129] for name in ("with.png", "without.png")]
    assert middle == [True, False]


def test_error_bars_join_truth_and_prediction(tmp_path: Path) -> None:
    gt, pred = points_at([(10, 32), (10, 50)]), points_at([(50, 32), (np.nan, np.nan)])
    paths = write_grey_faces(tmp_path / "gt.h5", gt), write_grey_faces(tmp_path / "pred.h5", pred)
    view(*paths, "--width", "256", *BARE, "--no-lines", "--error-bars", "-o", tmp_path / "a.png")
    drawn = cell(picture(tmp_path / "a.png"), 0, 256, 1)
    white = near(drawn, np.array([255] * 3), 60)
    rows, columns = np.nonzero(white)
    assert abs(rows.mean() - ((32 + 0.5) * 4 - 0.5)) < 1
    assert columns.min() < 60
    assert columns.max() > 180
    assert not white[180:].any()


def test_points_far_outside_stay_out_of_other_cells(tmp_path: Path) -> None:
    gt = points_at([(30, 30)], [(30, 30)])
    pred = points_at([(3e6, 30)], [(30, 30)])
    paths = write_grey_faces(tmp_path / "gt.h5", gt), write_grey_faces(tmp_path / "pred.h5", pred)
    view(*paths, "--width", "512", *BARE, "--error-bars", "-o", tmp_path / "a.png")
    sheet = picture(tmp_path / "a.png")
    first = cell(sheet, 0, 512, 2)
    assert not near(first, FIRST).any()
    assert near(first, np.array([255] * 3), 60)[243, 260:].all(), "the bar goes straight to the border"
    assert (sheet[:, 21 + 512 : 2 * 21 + 512] == 255).all(), "gutters stay white"


def test_lines_are_cut_off_where_they_leave_the_canvas() -> None:
    canvas = np.zeros((20, 20, 3), np.uint8)
    starts = np.array([[-1e7, -1e7], [5, 1e9], [1e30, 3], [np.nan, 1], [np.inf, 2], [30, -100]])
    ends = np.array([[1e7, 1e7], [5, 1e9], [1e30, -3], [5, 5], [5, 5], [30, 100]])
    draw_segments(canvas, starts, ends, (255, 255, 255), 1)
    assert canvas[range(20), range(20)].min() > 150
    assert canvas[np.abs(np.subtract.outer(range(20), range(20))) > 2].max() == 0
    draw_points(canvas, np.array([[1e30, 1], [np.inf, 3], [np.nan, np.nan], [-1e9, 4]]), (255, 255, 255), 2)


def test_numbers_stand_beside_points_without_covering_them(tmp_path: Path) -> None:
    points = points_at([(20, 20), (24, 20), (40, 50)])
    path = write_grey_faces(tmp_path / "gt.h5", points)
    view(path, *BARE, "--no-lines", "-o", tmp_path / "plain.png", "--width", "800")
    view(path, *BARE, "--no-lines", "--numbers", "-o", tmp_path / "numbers.png")
    plain, numbered = (cell(picture(tmp_path / name), 0, 800, 1) for name in ("plain.png", "numbers.png"))
    np.testing.assert_array_equal(near(plain, TRUTH), near(numbered, TRUTH))
    changed = np.argwhere((plain != numbered).any(axis=-1))[:, ::-1]
    distance = np.linalg.norm(changed[:, None] - ((points[0, :3] + 0.5) * 12.5 - 0.5), axis=-1)
    assert distance.min(axis=1).max() < 35
    assert (distance.min(axis=0) < 16).all()


def test_short_error_bars_are_not_buried(tmp_path: Path) -> None:
    """In a small picture, between points 9 px apart, each bar shows, and the predictions have no outline."""
    truth = np.full((1, 68, 2), np.nan)
    truth[0, :17, 0], truth[0, :17, 1] = np.arange(17) * 3.5 + 4, 30.0
    paths = [write_grey_faces(tmp_path / "gt.h5", truth), write_grey_faces(tmp_path / "pred.h5", truth + [0, 2.25])]
    view(*paths, *BARE, "--error-bars", "--width", "256", "-o", tmp_path / "a.png")
    drawn = cell(picture(tmp_path / "a.png"), 0, 256, 1)
    x = np.round((truth[0, :17, 0] + 0.5) * 4 - 0.5).astype(int)
    middle, end = round((30 + 1.125 + 0.5) * 4), round((30 + 2.25 + 0.5) * 4 - 0.5)
    assert (drawn[middle - 1 : middle + 2, x].max(axis=(0, 2)) > 180).all()
    assert np.abs(drawn[end, x[:-1] + 7] - GREY).max() < 20


# ---- joins, errors, order
def test_files_are_joined_by_id(tmp_path: Path) -> None:
    gt = points_at(*[[(10 + 5 * k, 20)] for k in range(8)])
    order = np.array([5, 2, 7, 0, 1, 6, 4, 3])
    ids = [f"face{k}.png" for k in range(8)]
    first = write_grey_faces(tmp_path / "gt.h5", gt)
    second = write_grey_faces(tmp_path / "pred.h5", gt[order] + [0, 25], [ids[k] for k in order])
    view(first, second, "--width", "128", "--columns", "3", *BARE, "-o", tmp_path / "a.png")
    sheet = picture(tmp_path / "a.png")
    for k in range(8):
        drawn = cell(sheet, k, 128, 3)
        np.testing.assert_allclose(centre_of(drawn, TRUTH), [20.5 + 10 * k, 40.5], atol=0.6)
        np.testing.assert_allclose(centre_of(drawn, FIRST), [20.5 + 10 * k, 90.5], atol=0.6)


def test_points_in_source_pixels_come_into_the_crop(tmp_path: Path) -> None:
    """Predictions are files without images, in pixels of the sources."""
    box = np.array([[100.0, 200.0, 356.0, 456.0]])
    gt = points_at([(20, 30)])
    first = write_grey_faces(tmp_path / "gt.h5", gt, box=box, to_source=box_to_source(box, SIZE, SIZE))
    in_source = (gt + 0.5) * 4 - 0.5 + [100, 200] + [40, 0]
    second = write_grey_faces(tmp_path / "pred.h5", in_source, images=False)
    view(first, second, "--width", "128", *BARE, "-o", tmp_path / "a.png")
    drawn = cell(picture(tmp_path / "a.png"), 0, 128, 1)
    np.testing.assert_allclose(centre_of(drawn, FIRST), [60.5, 60.5], atol=0.6)


def shifted(tmp_path: Path, shifts: list[float], **arrays: Any) -> tuple[str, str]:
    """Five true points, the k-th face's first one at x = 10 + 5 k, and predictions that lie lower by the shifts."""
    gt = np.tile(np.array([[0.0, 15], [50, 30], [20, 50], [30, 55], [40, 60]]), (len(shifts), 1, 1))
    gt[:, 0, 0] = 10 + 5 * np.arange(len(shifts))
    pred = gt + np.array(shifts)[:, None, None] * [0, 1]
    scheme, ids = Scheme("test5", 5), arrays.pop("ids", None)
    return (
        write_grey_faces(tmp_path / "gt.h5", gt, ids, scheme=scheme, **arrays),
        write_grey_faces(tmp_path / "pred.h5", pred, ids, scheme=scheme, images=False),
    )


def order_of(path: Path, n: int) -> list[int]:
    """Which n faces of `shifted` stand on a sheet of one row: their first points are told by x."""
    sheet = picture(path)
    assert sheet.shape == (128 + 20, 10 + n * (128 + 10), 3)
    return [round((centre_of(cell(sheet, k, 128, n)[:45], TRUTH)[0] / 2 - 10) / 5) for k in range(n)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("--reverse -n 2", [4, 3]),
        ("--sort error", [3, 1, 4, 0, 2]),
        ("--worst 2", [3, 1]),
        ("--sort error --reverse -n 3", [2, 0, 4]),
        ("--sort score", [2, 4, 0, 3, 1]),
        ("--sort score --reverse", [3, 0, 4, 2, 1]),
        ("--sort id", [3, 4, 2, 0, 1]),
        ("--subset some", [1, 3]),
        ("--subset full -n 2", [0, 1]),
        ("--ids b* --ids a", [2, 3, 4]),
    ],
)
def test_which_faces_in_which_order(words: str, expected: list[int], tmp_path: Path) -> None:
    """A face without a prediction is the worst; one without a score comes last either way."""
    paths = shifted(
        tmp_path,
        [4, 16, 2, np.nan, 8],
        ids=["x", "y", "bc", "a", "b"],
        score=[0.5, np.nan, 0.1, 0.9, 0.3],
        subset_some=[0, 1, 0, 1, 0],
    )
    view(*paths, "--no-lines", "--width", "128", *BARE, *words.split(), "-o", tmp_path / "a.png")
    assert order_of(tmp_path / "a.png", len(expected)) == expected


def test_random_faces_follow_the_seed(tmp_path: Path) -> None:
    paths = shifted(tmp_path, [1.0] * 8)
    orders = []
    for seed in (0, 0, 1):
        view(*paths, "--no-lines", "--width", "128", *BARE, "--random", "--seed", seed, "-n", "4", "-f",
             "-o", tmp_path / "a.png")  # fmt: skip
        orders.append(order_of(tmp_path / "a.png", 4))
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] == sorted(set(orders[0])), "drawn at random, shown in file order"


def test_another_truth(tmp_path: Path) -> None:
    gt, pred = shifted(tmp_path, [5.0])
    for words in ((gt, pred, "--truth", pred), (gt, "--truth", pred)):
        view(*words, "--width", "128", *BARE, "--no-lines", "-f", "-o", tmp_path / "a.png")
        drawn = cell(picture(tmp_path / "a.png"), 0, 128, 1)
        np.testing.assert_allclose(centre_of(drawn[:45], TRUTH), [20.5, 40.5], atol=0.6)


def test_errors_below_the_pictures_are_those_of_kd_eval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(
        "kdtools.viewing.sheet.write_spans", lambda draw, x, y, spans, font: written.extend(t for t, _ in spans)
    )
    gt, pred = shifted(tmp_path, [5.0])
    view(gt, pred, "-o", tmp_path / "a.png")
    request = Request([str(pred)], str(gt), norm="box-diagonal")
    row = evaluate(request, Strict()).rows[0]
    assert written == ["face0.png", f"NME {row.values['nme_percent']:.2f} %"]


def test_faces_with_nothing_known_are_shown_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(
        "kdtools.viewing.sheet.write_spans", lambda draw, x, y, spans, font: written.extend(t for t, _ in spans)
    )
    nothing = np.full((2, 68, 2), np.nan)
    paths = write_grey_faces(tmp_path / "gt.h5", nothing), write_grey_faces(tmp_path / "pred.h5", nothing)
    view(*paths, *BARE[1:], "--error-bars", "--numbers", "-o", tmp_path / "a.png")
    assert written == ["face0.png", "NME not measured", "face1.png", "NME not measured"]
    assert not near(picture(tmp_path / "a.png"), TRUTH).any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38, -3e38, 1e9])
def test_points_that_are_no_places_are_no_fault(value: float, tmp_path: Path) -> None:
    """Neither as predictions nor as the truth; the good points beside them are drawn, and nothing is warned of."""
    boxes = np.array([[0.0, 0, 512, 512]])
    crop = {"box": boxes, "to_source": box_to_source(boxes, SIZE, SIZE)}
    good, bad = points_at([(20, 30), (40, 50)]), points_at([(value, 30), (40, value), (45, 10)])
    paths = [write_grey_faces(tmp_path / "a.h5", good, **crop), write_grey_faces(tmp_path / "b.h5", bad, **crop)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for words in (paths, paths[::-1]):
            view(*words, "--numbers", "--error-bars", *BARE, "--width", "128", "-f", "-o", tmp_path / "a.png")
            drawn = cell(picture(tmp_path / "a.png"), 0, 128, 1)
            assert near(drawn, TRUTH).any()
            assert near(drawn, FIRST).any()


# ---- sheets
@pytest.mark.parametrize(
    ("n", "words", "columns", "rows"),
    [(1, "", 1, 1), (3, "", 3, 1), (8, "", 8, 1), (9, "", 5, 2), (50, "", 8, 5), (50, "-n 50", 8, 7),
     (5, "--columns 2", 2, 3), (2, "--columns 7", 2, 1)],
)  # fmt: skip
def test_size_of_a_sheet(n: int, words: str, columns: int, rows: int, tmp_path: Path) -> None:
    path = write_grey_faces(tmp_path / "gt.h5", points_at(*[[(30, 30)]] * n))
    view(path, "--width", "40", *BARE, *words.split(), "-o", tmp_path / "a.png")
    sheet = picture(tmp_path / "a.png")
    assert sheet.shape == (7 + rows * 47, 7 + columns * 47, 3)
    is_picture = near(sheet, np.array([GREY] * 3), 3)
    n_shown = min(n, 50 if "50" in words else 40)
    assert is_picture.sum() == pytest.approx(n_shown * 40 * 40, rel=0.02)
    assert (sheet[:7] == 255).all()
    assert (sheet[:, -7:] == 255).all()


def test_labels_and_legend_take_room_and_can_be_left_out(tmp_path: Path) -> None:
    paths = shifted(tmp_path, [5.0, 2.0])
    heights = {}
    for words in ("", "--no-legend", "--no-labels", "--no-legend --no-labels"):
        view(*paths, *words.split(), "-f", "-o", tmp_path / "a.png")
        sheet = picture(tmp_path / "a.png")
        heights[words] = len(sheet)
        legend = sheet[: len(sheet) - 200 - 12 - (0 if "labels" in words else 2 * 16)]
        for colour in (TRUTH, FIRST):
            assert near(legend[:25], colour, 5).any() == ("legend" not in words)
    assert heights["--no-legend --no-labels"] == 200 + 24
    assert heights["--no-labels"] > heights["--no-legend --no-labels"] < heights["--no-legend"] < heights[""]


def test_long_texts_keep_both_ends_and_fit() -> None:
    font = font_of(12)
    for text in ("300W/challenging/ibug/image_0001234_mirror.jpg", "顔/" * 60, "a\nb", "x" * 100_000):
        for width in (20, 64, 200):
            short = shorten(text, width, font)
            assert width_of(short, font) <= width
            assert "\n" not in short
    assert shorten("300W/challenging/ibug/image_0001.jpg", 120, font).startswith("300W/")
    assert shorten("300W/challenging/ibug/image_0001.jpg", 120, font).endswith("01.jpg")
    assert shorten("short.jpg", 120, font) == "short.jpg"


def test_legend_names() -> None:
    assert short_names(["a/x.h5", "standard input"]) == ["x.h5", "standard input"]
    assert short_names(["a/x.h5", "b/x.h5"]) == ["a/x.h5", "b/x.h5"]


def test_colours_differ_for_the_colour_blind() -> None:
    """In brightness or blueness, which red-green blindness leaves."""
    seen = np.array(COLOURS) @ np.array([[0.3, 0], [0.59, 0], [0.11, 1]])
    apart = np.linalg.norm(seen[:, None] - seen, axis=-1)
    assert apart[~np.eye(len(seen), dtype=bool)].min() > 40


def test_kinds_of_pictures(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = write_grey_faces(tmp_path / "gt.h5", points_at([(30, 30)]))
    view(path, *BARE, "-o", tmp_path / "a.png")
    view(path, *BARE, "-o", tmp_path / "a.JPG")
    view(path, *BARE, "-o", "-", "-q")
    stdout = capfdbinary.readouterr().out
    assert stdout == (tmp_path / "a.png").read_bytes()
    assert Image.open(io.BytesIO(stdout)).format == "PNG"
    assert Image.open(tmp_path / "a.JPG").format == "JPEG"
    assert np.abs(picture(tmp_path / "a.JPG") - picture(tmp_path / "a.png")).mean() < 1


def test_images_alone_need_no_points(tmp_path: Path) -> None:
    write_faces(tmp_path / "bare.h5", images=np.stack([*plain_images(1, 16, 10), *plain_images(1, 16, 200)]))
    view(tmp_path / "bare.h5", "--no-labels", "-o", tmp_path / "a.png")
    sheet = picture(tmp_path / "a.png")
    assert [cell(sheet, k, 200, 2).mean() for k in range(2)] == [10, 200]


# ---- crops from the sources
def write_photograph(path: Path) -> np.ndarray:
    """A picture whose red is x and whose green is y."""
    image = np.zeros((120, 200, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(200), np.arange(120)[:, None]
    write_image(path, image)
    return image


def test_faces_without_images_are_cropped_from_their_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Around the points, by the file's crop rule; around the box where there are none; else they are skipped."""
    write_photograph(tmp_path / "photo.png")
    points = points_at([(50, 20), (90, 60)], [], [(50, 20), (90, 60)])
    boxes = np.array([[0, 0, 1, 1], [100, 40, 140, 60], [0, 0, 1, 1]])
    sources = [str(tmp_path / name) for name in ("photo.png", "photo.png", "absent.png")]
    path = write_grey_faces(tmp_path / "pred.h5", points, images=False, box=boxes, source=sources)
    view(path, "--no-labels", "--no-lines", "-o", tmp_path / "a.png", status=4)
    assert "skipped face2.png: " in capsys.readouterr().err
    sheet = picture(tmp_path / "a.png")
    assert sheet.shape == (224, 12 + 2 * 212, 3)
    for k, box in enumerate([CropRule().square_around_points(points[0]), np.array([100, 30, 140, 70])]):
        middle = cell(sheet, k, 200, 2)[60, 100]
        expected = box[:2] + (np.array([100, 60]) + 0.5) / 200 * (box[2:] - box[:2]) - 0.5
        np.testing.assert_allclose(middle[:2], expected, atol=1.5)
    mark = centre_of(cell(sheet, 0, 200, 2)[:100], TRUTH)
    np.testing.assert_allclose(mark, [200 * (0.2 / 1.4)] * 2, atol=1)


def test_nothing_to_draw_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = points_at([(30, 30), (40, 40)])
    view(write_grey_faces(tmp_path / "a.h5", points, images=False), "-o", tmp_path / "a.png", status=1)
    assert "holds neither /image nor /source" in capsys.readouterr().err
    path = write_grey_faces(tmp_path / "a.h5", points, images=False, source=[str(tmp_path / "absent.png")])
    view(path, "-o", tmp_path / "a.png", status=1)
    assert "no face could be drawn" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


# ---- one picture per face
@pytest.mark.parametrize("words", [["-o", "{}/"], ["--each", "-o", "{}"]])
def test_one_picture_per_face(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["a/b.jpg", "../../up.png", "/etc/abs.tif", "..", "party.jpg#2"]
    path = write_grey_faces(tmp_path / "gt.h5", points_at(*[[(30, 30)]] * 5), ids)
    folder = tmp_path / "out" / "faces"
    folder.parent.mkdir()
    call = [path, *BARE, "--width", "64", *(word.format(folder) for word in words)]
    view(*call)
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in folder.parent.rglob("*") if p.is_file())
    assert made == [
        "faces/a/b.jpg", "faces/etc/abs.tif.png", "faces/face.png", "faces/party.jpg#2.png", "faces/up.png"
    ]  # fmt: skip
    assert read_image(folder / "up.png").shape == (80, 80, 3)
    view(*call, status=1)
    assert "exists already" in capsys.readouterr().err
    view(*call, "-f")


def test_names_of_pictures_stay_apart(tmp_path: Path) -> None:
    for ids in (["../a.png", "a.png"], ["a.png", "a.png/b.png"], ["b.tif", "b.tif.png"]):
        with pytest.raises(DataError, match="would have one name"):
            plan_pictures(ids, tmp_path)
    assert plan_pictures(["a/b.png", "a/c"], tmp_path) == {"a/b.png": tmp_path / "a/b.png", "a/c": tmp_path / "a/c.png"}


def test_source_images_are_never_drawn_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photograph(tmp_path / "photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    path = write_grey_faces(tmp_path / "a.h5", points_at([(50, 20), (90, 60)]), ["photo.png"], images=False,
                       source=[str(tmp_path / "photo.png")])  # fmt: skip
    view(path, "-f", "-o", f"{tmp_path}/", status=1)
    assert "one of the source images" in capsys.readouterr().err
    assert (tmp_path / "photo.png").read_bytes() == before


# ---- what is refused
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("{gt} -o {dir}/a.gif", 2, "a.gif: not a kind of picture"),
        ("{gt} -o {dir}", 1, "is a folder"),
        ("{gt} -o {dir}/no/a.png", 1, "there is no folder"),
        ("{gt} -o {dir}/no/faces/", 1, "there is no folder"),
        ("{gt} -o {gt} --each", 1, "is not a folder"),
        ("{gt} --sort error -o {out}", 2, "--sort error needs points to compare"),
        ("{gt} --error-bars -o {out}", 2, "--error-bars needs points to compare"),
        ("{gt} {pred} --sort size -o {out}", 2, "'size' is not one of 'error', "),
        ("{gt} {pred} --sort score -o {out}", 1, "holds no /score"),
        ("{gt} {pred} --worst 3 -n 4 -o {out}", 2, "--worst brings its own"),
        ("{gt} {pred} --worst 3 --random -o {out}", 2, "--worst or --random"),
        ("{gt} --subset none -o {out}", 1, "no subset 'none'"),
        ("{gt} --ids none* -o {out}", 1, "no face is left"),
        ("{gt} - --truth - -o {out}", 1, "standard input: "),
        ("- - -o {out}", 2, "only one input"),
        ("- --truth {gt} {pred} - -o {out}", 2, "only one input"),
        ("{gt} --each -o -", 2, "--each writes a folder"),
        ("{gt} --each --columns 3 -o {dir}/", 2, "--columns is for a sheet"),
        ("{gt} {pred} {pred} {pred} {pred} {pred} -o {out}", 2, "6 files of points are too many"),
        ("{gt} --width 2048 --columns 1 -n 9 -o {out}", 1, "over 16384 px a side"),
        ("{gt} {five} -o {out}", 1, "68 points per face"),
        ("{gt} {bare} -o {out}", 1, "holds no /landmarks"),
    ],
)
def test_what_is_refused(
    words: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    points = points_at(*[[(30, 30)]] * 9)
    names = {name: str(tmp_path / f"{name}.h5") for name in ("gt", "pred", "five", "bare")}
    for name in ("gt", "pred"):
        write_grey_faces(names[name], points)
    write_grey_faces(names["five"], points[:, :5])
    write_faces(names["bare"], ids=[f"face{k}.png" for k in range(9)])
    folder = tmp_path / "dir"
    folder.mkdir()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    view(*words.format(dir=folder, out=folder / "a.png", **names).split(), status=status)
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[0]
    assert len(lines) <= 2
    assert list(folder.iterdir()) == []


def test_only_the_faces_shown_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Images:
        def __getitem__(self, row: int) -> np.ndarray:
            asked.append(row)
            return np.full((SIZE, SIZE, 3), GREY, np.uint8)

    monkeypatch.setattr(FacesFile, "images", property(lambda self: Images()))
    path = write_grey_faces(tmp_path / "gt.h5", points_at(*[[(30, 30)]] * 9))
    view(path, "--ids", "face[46]*", "-o", tmp_path / "a.png")
    assert asked == [4, 6]


def test_real_faces(shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops made on the fly show what kd-import would have cut out."""
    for path in sorted((shared_dir / "data" / "lfpw68" / "train").glob("image_000[1-3].*")):
        (tmp_path / path.name).symlink_to(path)
    session.verbosity = session.n_skipped = 0
    argv = ["kd-import", str(tmp_path), "--size", "200", "-o", str(tmp_path / "a.h5"), "-q"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        kd_import.main()
    with open_faces(tmp_path / "a.h5") as faces, create_faces(str(tmp_path / "b.h5"), False, Provenance("t")) as writer:
        writer.put_ids(faces.ids)
        writer.put_landmarks(faces.points(), faces.scheme, "soft")
        writer.copy_companions(faces)
    for name in "ab":
        view(tmp_path / f"{name}.h5", *BARE, "-o", tmp_path / f"{name}.png")
    assert np.abs(picture(tmp_path / "a.png") - picture(tmp_path / "b.png")).mean() < 1


def test_two_sources_are_not_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2024/a.png is not there, and must not be drawn on 2023's; two paths of one photograph are no such case."""
    (tmp_path / "flat").mkdir()
    write_image(tmp_path / "flat" / "a.png", plain_images(1, 64, 40)[0])
    points = np.tile(np.array([[20.0, 20], [44, 20], [20, 44], [44, 44]], np.float32), (2, 1, 1))
    monkeypatch.chdir(tmp_path)
    for first, second, status in (("p/2023/a.png", "p/2024/a.png", 1), ("photos/a.png", "/home/me/photos/a.png", 0)):
        write_faces(tmp_path / "p.h5", points, ids=["a", "b"], source=[first, second], role="predicted")
        monkeypatch.setattr(sys, "argv", ["kd-view", "p.h5", "--images", "flat", "-f", "-o", "x.png"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == status
        assert (tmp_path / "x.png").exists() == (status == 0)
        if status:
            assert f"'{first}' and '{second}' both lead to the image flat/a.png" in capsys.readouterr().err


def test_sources_are_found_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Predictions of photos/ moved elsewhere, and viewed from elsewhere; of two files of one name the nearer one."""
    for name, grey in (("photos/a.png", 40), ("photos/sub/a.png", 200), ("photos/b.png", 90)):
        (tmp_path / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "there" / name, plain_images(1, 64, grey)[0])
    points = np.tile(np.array([[20.0, 20], [44, 20], [20, 44], [44, 44]], np.float32), (3, 1, 1))
    sources = ["photos/a.png", "photos/sub/a.png", "photos/b.png"]
    write_faces(tmp_path / "p.h5", points, ids=["a.png", "sub/a.png", "b.png"], source=sources, role="predicted")
    monkeypatch.chdir(tmp_path)
    words = ["kd-view", "p.h5", "--no-lines", "--no-labels", "-f"]
    for folder in ("there/photos", "there"):
        monkeypatch.setattr(sys, "argv", [*words, "--images", folder, "-o", "out/"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        greys = [int(np.median(read_image(tmp_path / "out" / name))) for name in ("a.png", "sub/a.png", "b.png")]
        assert greys == [40, 200, 90]
    monkeypatch.setattr(sys, "argv", [*words, "-o", "x.png"])
    with pytest.raises(SystemExit):
        main()
    assert "--images" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*words, "--images", "there/photos", "-o", "there/photos/"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert "source images" in capsys.readouterr().err
    write_faces(tmp_path / "own.h5", points, images=plain_images(3, 64))
    monkeypatch.setattr(sys, "argv", ["kd-view", "own.h5", "--images", "there", "-o", "x.png"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
