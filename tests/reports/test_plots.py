"""Figures of kd-eval: what the curves and counts are, what is left out, equal bytes, bounded files; the worst faces."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from factories import plain_images, write_faces
from PIL import Image
from reporters import Recorder

from kdtools.errors import DataError, FileError, UsageError
from kdtools.evaluation.results import Errors, Evaluation, Row
from kdtools.faces.file import open_faces
from kdtools.faces.ids import match_ids
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.metrics import nme_per_face, normaliser_named, worst_rows
from kdtools.metrics.intervals import ced_band
from kdtools.reports.plots import PLOTS, check_plots, draw_modes, draw_plot, plot_svg
from kdtools.reports.plots.ced import ced_drawing, curves_of
from kdtools.reports.plots.landmarks import landmark_errors
from kdtools.reports.plots.scatter import farthest, pairs_of
from kdtools.viewing.output import picture_bytes
from kdtools.viewing.overlay import COLOURS as MARKS
from kdtools.viewing.worst import worst_sheet

INF, NAN = np.inf, np.nan
TRIANGLE = Scheme("triangle", 3, outlines=((0, 1, 2, 0),), names=("left", "right", "top"))
FACE = np.array([[-0.5, 0.4], [0.5, 0.4], [0.0, -0.6]])


def evaluation_of(*nmes: Any, names: list[str] | None = None, **fields: Any) -> Evaluation:
    """An evaluation of predictions with these errors, and the same errors by landmark for each."""
    names = names or [f"runs/net{k}.h5" for k in range(len(nmes))]
    n_faces = len(nmes[0])
    landmarks = [
        Row(name, "full", "inter-ocular", {"nme_percent": 2.0 + k, "bias_x_percent": 1.0, "bias_y_percent": -0.5}, part)
        for name in names
        for k, part in enumerate(TRIANGLE.names)
    ]
    known: dict[str, Any] = {
        "landmarks": landmarks,
        "errors": [Errors(name, np.array(nme, float)) for name, nme in zip(names, nmes, strict=True)],
        "ids": [f"set/face{k:04d}.jpg" for k in range(n_faces)],
        "members": {"full": np.ones(n_faces, bool)},
        "mean_face": FACE,
    }
    return Evaluation("t.h5", TRIANGLE, n_faces, ["inter-ocular"], [0.05, 0.1], "subset", [], **{**known, **fields})


def random_evaluation(n_faces: int, n_predictions: int = 2, **fields: Any) -> Evaluation:
    rng = np.random.default_rng(0)
    base = rng.lognormal(-3.5, 0.4, n_faces)
    return evaluation_of(*(base * rng.lognormal(0.1 * k, 0.3, n_faces) for k in range(n_predictions)), **fields)


def texts_of(svg: str) -> list[str]:
    """The texts in a figure, which are there as text."""
    found = [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]
    return [text for text in found if text]


# ---- curves
def test_a_curve_steps_at_each_error_and_is_exact() -> None:
    (curve,), limit, threshold = curves_of(evaluation_of([0.02, 0.04, 0.04, 0.3]))
    assert (limit, threshold, curve.n, curve.missing) == (0.1, 0.1, 4, 0)
    assert curve.error_percent == pytest.approx([0, 2, 2, 4, 4, 10])
    assert curve.share_percent.tolist() == [0, 0, 25, 25, 75, 75]
    assert curve.nme_percent == pytest.approx(10)
    assert curve.auc_percent == pytest.approx(100 * (0.8 + 0.6 + 0.6) / 4)


def test_missing_faces_keep_a_curve_below_one_and_unmeasured_ones_do_not_count() -> None:
    (curve,), _, _ = curves_of(evaluation_of([0.02, 0.04, INF, INF, NAN]))
    assert (curve.n, curve.missing) == (4, 2)
    assert curve.share_percent.max() == 50
    assert curve.nme_percent == pytest.approx(3)
    texts = texts_of(plot_svg("ced", evaluation_of([0.02, 0.04, INF, INF, NAN])))
    assert {"net0 (2 missing)", "3.00*", "* of the faces predicted", "Share of 4 faces (%)"} <= set(texts)


def test_a_curve_of_many_faces_is_exact_where_it_is_sampled() -> None:
    nme = np.random.default_rng(1).lognormal(-3, 0.6, 5000)
    (curve,), limit, _ = curves_of(evaluation_of(nme))
    assert len(curve.error_percent) == 400
    for k in (0, 57, 200, 399):
        assert curve.share_percent[k] == pytest.approx(100 * np.mean(100 * nme <= curve.error_percent[k]))
    band = ced_band(nme, None, np.linspace(0, limit, 160))
    assert curve.band is not None
    assert band is not None
    assert np.allclose(curve.band[1:], 100 * np.array(band))


def test_bands_of_grouped_faces_are_wider() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 30)
    nme = 0.03 * np.exp(0.5 * rng.normal(size=20)[groups] + 0.1 * rng.normal(size=600))
    width = []
    for given in (None, groups):
        (curve,), _, _ = curves_of(evaluation_of(nme, groups=given))
        assert curve.band is not None
        width.append((curve.band[2] - curve.band[1]).max())
    assert width[1] > 2 * width[0]


@pytest.mark.parametrize(
    ("nme", "thresholds", "limit"),
    [
        ([0.02, 0.05, 0.08], [0.08], 0.08),
        ([0.010, 0.011, 0.012], [0.1], 0.015),  # all done long before the threshold
        ([0.3, 0.4, 0.9], [0.1], 1.0),  # not begun by then
        ([0.02, 0.03, 0.04], [], 0.04),
        ([INF, INF], [0.07], 0.07),
        ([INF], [], 0.1),
        ([0.0, 0.0], [0.1], 0.01),
    ],
)
def test_the_axis_ends_where_the_curves_tell_something(
    nme: list[float], thresholds: list[float], limit: float, tmp_path: Path
) -> None:
    evaluation = replace(evaluation_of(nme), thresholds=thresholds)
    assert curves_of(evaluation)[1] == pytest.approx(limit)
    assert draw_plot("ced", evaluation, tmp_path / "a.png") == ""


def test_curves_are_of_a_subset() -> None:
    evaluation = evaluation_of(
        [0.01, 0.02, 0.09], members={"full": np.ones(3, bool), "hard": np.array([0, 0, 1], bool)}
    )
    (curve,), _, _ = curves_of(evaluation, "hard")
    assert "Share of 1 face of hard (%)" in texts_of(plot_svg("ced", evaluation, subset="hard"))
    assert (curve.n, curve.nme_percent) == (1, pytest.approx(9))
    with pytest.raises(DataError, match="no subset 'soft'"):
        curves_of(evaluation, "soft")


def test_nothing_measured_is_said() -> None:
    with pytest.raises(DataError, match="no face of full could be measured"):
        plot_svg("ced", evaluation_of([NAN, NAN]))
    with pytest.raises(DataError, match="no face of full could be measured"):
        plot_svg("scatter", evaluation_of([NAN, 0.1], [0.1, NAN]))


def test_the_golden_curve_has_the_golden_area(shared_dir: Path) -> None:
    with (
        open_faces(shared_dir / "golden" / "300wpublic_truth.h5") as truth,
        open_faces(shared_dir / "golden" / "300wpublic_pred.h5") as pred,
    ):
        gt, rows = truth.landmarks, match_ids(truth.ids, pred.ids, truth.name, pred.name)
        norm = normaliser_named("inter-ocular", IBUG68).lengths(gt.astype(float))
        nme = nme_per_face(gt, pred.landmarks[rows], norm)
    (curve,), _, _ = curves_of(evaluation_of(nme))
    assert curve.nme_percent == pytest.approx(2.993687, abs=1e-6)
    assert curve.auc_percent == pytest.approx(70.085812, abs=1e-6)
    area = float(np.sum(np.diff(curve.error_percent) * (curve.share_percent[1:] + curve.share_percent[:-1]) / 2)) / 10
    assert area == pytest.approx(70.085812, abs=0.05)  # of the curve as it is drawn


# ---- legends and looks
def test_ten_curves_have_ten_looks_and_names() -> None:
    evaluation = random_evaluation(300, 10)
    texts = texts_of(plot_svg("ced", evaluation))
    assert [text for text in texts if text.startswith("net")] == [f"net{k}" for k in range(10)]
    assert "AUC@0.10 %" in texts
    curves = ced_drawing(evaluation).figure.axes[0].lines
    assert len({(line.get_color(), str(line.get_linestyle()), str(line._dash_pattern)) for line in curves[:20:2]}) == 10
    assert len({line.get_marker() for line in curves[1:20:2]}) == 10


def test_the_legend_leaves_the_curves_alone() -> None:
    """Good curves leave the corner below them free; poor ones run through it, and the legend goes under the axes."""
    nme = np.linspace(0.005, 0.01, 100)
    nme[-3:] = 0.09
    good, poor = (plot_svg("ced", evaluation_of(error)) for error in (nme, nme + 0.085))
    assert [svg.count('<g id="ced-axes_') for svg in (good, poor)] == [1, 2]


@pytest.mark.parametrize("kind", PLOTS)
def test_hostile_names_are_text(kind: str, tmp_path: Path) -> None:
    names = ["<script>$x^2$&\"'", "_a\x01\udcff{b}%\n", "b" * 300]
    evaluation = evaluation_of(*[[0.01, 0.02, 0.03]] * 3, names=names, ids=["<b>", "$a$", "_\x00"])
    svg = plot_svg(kind, evaluation)
    assert any(text.startswith("<script>$x^2$&") for text in texts_of(svg))
    assert "<script" not in svg
    for suffix in ("png", "svg", "pdf"):
        draw_plot(kind, evaluation, tmp_path / f"a.{suffix}")


# ---- landmarks
def test_landmarks_stand_in_the_order_of_the_scheme() -> None:
    evaluation = evaluation_of([0.02, 0.03])
    rows = [row for row in reversed(evaluation.landmarks) if row.part != "top"]
    rows.append(Row("runs/net0.h5", "full", "box-diagonal", {"nme_percent": 9.0}, "top"))  # of another normaliser
    (panel,) = landmark_errors(replace(evaluation, landmarks=rows))
    assert panel.error.tolist()[:2] == [2, 3]
    assert np.isnan(panel.error[2])
    assert panel.bias[:2].tolist() == [[1, -0.5], [1, -0.5]]


def test_landmarks_without_names_are_numbers() -> None:
    evaluation = evaluation_of([0.02, 0.03])
    rows = [Row("a", "full", "inter-ocular", {"nme_percent": float(k)}, str(k)) for k in range(68)]
    (panel,) = landmark_errors(replace(evaluation, scheme=IBUG68, landmarks=rows))
    assert panel.error.tolist() == list(range(68))


def test_undefined_landmarks_are_drawn_hollow() -> None:
    evaluation = evaluation_of([0.02, 0.03])
    rows = [replace(row, values={"nme_percent": None if row.part == "left" else INF}) for row in evaluation.landmarks]
    rows[1] = evaluation.landmarks[1]
    (panel,) = landmark_errors(replace(evaluation, landmarks=rows))
    assert np.isfinite(panel.error).tolist() == [False, True, False]
    assert "net0" in texts_of(plot_svg("landmarks", replace(evaluation, landmarks=rows)))


def test_landmarks_with_missing_faces_are_those_of_the_others() -> None:
    """One lost face of thousands must not make every disc hollow."""
    lost = {"n": 9, "missing": 2, "nme_percent": INF, "nme_found_percent": 4.0}
    rows = [replace(row, values=lost) for row in evaluation_of([0.02]).landmarks]
    evaluation = evaluation_of([0.02], landmarks=rows)
    (panel,) = landmark_errors(evaluation)
    assert panel.error.tolist() == [4, 4, 4]
    assert "net0 (2 missing)" in texts_of(plot_svg("landmarks", evaluation))


def test_the_scale_of_the_arrows_is_said() -> None:
    assert "mean offset of 1 %" in texts_of(
        plot_svg("landmarks", evaluation_of([0.02, 0.03]))
    )  # of sqrt(1.25), rounded down
    none = [replace(row, values={"nme_percent": 1.0}) for row in evaluation_of([0.02]).landmarks]
    assert not any("offset" in text for text in texts_of(plot_svg("landmarks", evaluation_of([0.02], landmarks=none))))


def test_no_errors_by_landmark_are_an_error() -> None:
    for fields in ({"landmarks": []}, {"mean_face": None}):
        with pytest.raises(DataError, match="no errors by landmark of full"):
            plot_svg("landmarks", evaluation_of([0.02, 0.03], **fields))


def test_panels_beyond_six_are_left_out_and_told(tmp_path: Path) -> None:
    eight = random_evaluation(50, 8)
    assert "the last 2 are left out" in draw_plot("landmarks", eight, tmp_path / "a.svg")
    assert "the last 1 are left out" in draw_plot("scatter", eight, tmp_path / "b.svg")
    assert draw_plot("landmarks", random_evaluation(50, 6), tmp_path / "c.svg") == ""


# ---- scatter
def test_the_scatter_counts_both_sides() -> None:
    evaluation = evaluation_of([0.02, 0.04, 0.05, INF, INF, NAN], [0.01, 0.05, 0.05, 0.03, INF, 0.01])
    baseline, (pair,) = pairs_of(evaluation)
    assert (baseline, pair.name, len(pair.rows), pair.n_better, pair.n_worse) == ("net0", "net1", 5, 2, 1)
    texts = texts_of(plot_svg("scatter", evaluation))
    assert {"better: 2 (40.0 %)", "of these 1 missing", "worse: 1 (20.0 %)"} <= set(texts)


def test_the_scatter_takes_the_baseline_and_names_the_farthest() -> None:
    evaluation = evaluation_of([0.02, 0.02, 0.02], [0.01, 0.02, 0.09], [0.02, 0.02, 0.02], baseline="runs/net1.h5")
    baseline, pairs = pairs_of(evaluation)
    assert (baseline, [pair.name for pair in pairs]) == ("net1", ["net0", "net2"])
    assert farthest(pairs[0]) == [2, 0]  # 9/2 is more than 2/1; the face with equal errors is not among them
    texts = texts_of(plot_svg("scatter", evaluation))
    assert {"face0000.jpg", "face0002.jpg"} <= set(texts)
    assert "face0001.jpg" not in texts


def test_one_prediction_has_no_scatter() -> None:
    with pytest.raises(DataError, match="needs two predictions"):
        plot_svg("scatter", evaluation_of([0.02, 0.03]))


@pytest.mark.parametrize("nmes", [([0.02], [0.03]), ([0.0, 0.0], [0.0, 0.01]), ([0.0], [0.0]), ([INF], [0.02])])
def test_degenerate_scatters_are_drawn(nmes: tuple[list[float], list[float]]) -> None:
    n_better = sum(b < a for a, b in zip(*nmes, strict=True))
    assert any(text.startswith(f"better: {n_better} (") for text in texts_of(plot_svg("scatter", evaluation_of(*nmes))))


# ---- files
@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
@pytest.mark.parametrize("kind", PLOTS)
def test_the_same_data_gives_the_same_bytes(kind: str, suffix: str, tmp_path: Path) -> None:
    evaluation = random_evaluation(200)
    for name in "ab":
        draw_plot(kind, evaluation, tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert b"Date" not in first


@pytest.mark.parametrize("kind", PLOTS)
def test_the_background_is_white_and_opaque(kind: str, tmp_path: Path) -> None:
    draw_plot(kind, random_evaluation(50), tmp_path / "a.png")
    picture = Image.open(tmp_path / "a.png")
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert picture.width in (1020, 2100)  # a column, or a page, of a paper at 300 dpi


def test_pdfs_hold_fonts_that_publishers_take(tmp_path: Path) -> None:
    draw_plot("ced", random_evaluation(50), tmp_path / "a.pdf")
    data = (tmp_path / "a.pdf").read_bytes()
    assert b"Type3" not in data
    assert b"CIDFontType2" in data


@pytest.mark.parametrize("kind", PLOTS)
def test_svgs_share_a_page_without_clashing(kind: str) -> None:
    evaluation = random_evaluation(60)
    one, other = plot_svg(kind, evaluation, name="one"), plot_svg(kind, evaluation, name="other")
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (one, other)]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', one))
    assert used
    assert {a or b for a, b in used} <= ids[0]
    links = re.findall(r'(?:href|src)="(?!#)([^"]{0,40})', one)
    assert all(link.startswith("data:") for link in links)
    assert one.startswith('<svg id="one" role="img" aria-label="')
    assert "<style" not in one or "#one *{" in one.replace(" ", "").replace("#one*", "#one *")


def test_a_million_faces_make_small_files(tmp_path: Path) -> None:
    evaluation = random_evaluation(1_000_000, ids=["a"] * 1_000_000)
    for kind in ("ced", "scatter"):
        path = tmp_path / f"{kind}.svg"
        draw_plot(kind, evaluation, path)
        assert path.stat().st_size < 400_000
    assert "Faces per cell" in (tmp_path / "scatter.svg").read_text()


def test_the_users_own_settings_change_nothing() -> None:
    import matplotlib

    evaluation = random_evaluation(40)
    expected = plot_svg("ced", evaluation)
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert plot_svg("ced", evaluation) == expected
        assert matplotlib.rcParams["font.size"] == 30


def test_the_modes_are_in_the_same_look(tmp_path: Path) -> None:
    modes = np.random.default_rng(0).normal(size=(2, 3, 2))
    draw_modes(ShapeModel(FACE, modes, np.array([3.0, 1.0]), "none"), TRIANGLE, tmp_path / "a.svg")
    texts = texts_of((tmp_path / "a.svg").read_text())
    assert {"mode 1: 75 % of those kept", "mode 2: 25 % of those kept", "mean"} <= set(texts)


# ---- what is asked for
def test_plots_are_checked_before_any_work(tmp_path: Path) -> None:
    ced, worst = str(tmp_path / "a=b.SVG"), str(tmp_path / "w.jpeg")
    assert check_plots([f"ced={ced}", f"worst={worst}"], False, 2) == [("ced", ced), ("worst", worst)]
    for text in ("ced", "ced=", "roc=a.svg", "=a.svg", "ced=-", "ced=a.jpg", "ced=a"):
        with pytest.raises(UsageError, match=re.escape(text)):
            check_plots([text], False, 2)
    with pytest.raises(UsageError, match="worst") as refused:
        check_plots([f"worst={tmp_path}/w.svg"], False, 2)
    assert ".png" in refused.value.hint
    with pytest.raises(UsageError, match="one file"):
        check_plots([f"ced={ced}", f"scatter={ced}"], False, 2)
    with pytest.raises(UsageError, match="scatter needs two predictions"):
        check_plots([f"scatter={ced}"], False, 1)
    Path(ced).write_text("")
    with pytest.raises(FileError, match="exists already"):
        check_plots([f"ced={ced}"], False, 2)
    assert check_plots([f"ced={ced}"], True, 2) == [("ced", ced)]


# ---- worst faces
SIZE = 100


def truth_file(path: Path, points: np.ndarray, **arrays: Any) -> str:
    """A faces file with these points (N, 68, 2) and grey images, or with what is given instead of these."""
    n = len(points)
    grey = {"images": plain_images(n, SIZE, 128), "to_source": np.tile([[2.0, 0, 30], [0, 2.0, 40]], (n, 1, 1))}
    return str(write_faces(path, points, ids=[f"face{k}.png" for k in range(n)], **(arrays or grey)))


def grid_of_points(n_faces: int) -> np.ndarray:
    """Points (N, 68, 2) far enough from each other to tell their marks apart."""
    x, y = np.meshgrid(np.linspace(15, 85, 9), np.linspace(15, 85, 8))
    return np.tile(np.stack([x.ravel(), y.ravel()], axis=1)[:68], (n_faces, 1, 1))


def test_the_worst_come_first_and_equal_ones_in_file_order() -> None:
    nme = np.array([0.03, INF, 0.05, NAN, 0.05, 0.01])
    assert worst_rows(nme, 3).tolist() == [2, 4, 0]
    assert worst_rows(nme, 9).tolist() == [2, 4, 0, 5]
    assert worst_rows(nme, 1, np.array([1, 1, 0, 0, 0, 1], bool)).tolist() == [0]
    assert worst_rows(np.array([INF]), 3).tolist() == []


def test_the_sheet_shows_truth_and_prediction_where_they_are(tmp_path: Path) -> None:
    gt = np.full((3, 68, 2), NAN)
    gt[:, :2] = [[30, 40], [60, 40]]
    guess = gt + [0, 30]
    with open_faces(truth_file(tmp_path / "t.h5", gt)) as faces:
        sheet = worst_sheet(
            faces, guess * 2 + [30, 40], np.array([0.1, 0.3, INF]), prediction="net", measure="height", n=1, size=SIZE
        )
    assert sheet is not None
    cell = find_cell(sheet)
    for y, colour in ((40, MARKS[0]), (70, MARKS[1])):
        for x in (30, 60):
            assert np.abs(cell[y, x].astype(int) - colour).max() < 60


def find_cell(sheet: np.ndarray) -> np.ndarray:
    """The first picture on a sheet of grey pictures."""
    grey = (sheet == 128).all(axis=2)
    y, x = np.flatnonzero(grey.sum(axis=1) > 40)[0], np.flatnonzero(grey.sum(axis=0) > 40)[0]
    return sheet[y : y + SIZE, x : x + SIZE]


def test_the_sheet_reads_sources_and_tells_those_it_cannot(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", np.full((SIZE, SIZE, 3), 128, np.uint8))
    gt = grid_of_points(2)
    sources = [str(tmp_path / "0.png"), str(tmp_path / "gone.png")]
    recorder = Recorder()
    with open_faces(truth_file(tmp_path / "t.h5", gt, source=sources)) as faces:
        nme = np.array([0.1, 0.2])
        sheet = worst_sheet(faces, gt, nme, prediction="net", measure="height", reporter=recorder)
        assert sheet is not None
        assert [name for name, _ in recorder.skipped] == ["face1.png"]
        alone = worst_sheet(faces, gt, np.array([NAN, 0.2]), prediction="net", measure="height")
        assert alone is None


def test_a_truth_without_pictures_has_no_sheet(tmp_path: Path) -> None:
    gt = grid_of_points(1)
    with open_faces(truth_file(tmp_path / "t.h5", gt, score=[1.0])) as faces:
        assert worst_sheet(faces, gt, np.array([0.1]), prediction="net", measure="height") is None


def test_only_the_points_shown_are_read(tmp_path: Path) -> None:
    gt = grid_of_points(5)
    asked: list[int] = []

    class Points:
        def __getitem__(self, row: int) -> np.ndarray:
            asked.append(row)
            return gt[row]

    with open_faces(truth_file(tmp_path / "t.h5", gt)) as faces:
        worst_sheet(faces, Points(), np.arange(5) / 10, prediction="net", measure="height", n=2)
    assert asked == [4, 3]


def test_sheets_are_written_as_photographs() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture_bytes(picture)))), picture)
    assert Image.open(io.BytesIO(picture_bytes(picture, ".JPG"))).format == "JPEG"
