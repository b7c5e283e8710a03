"""kd-eval's figures: the reference table to the digits given, joins, subsets, reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdtools.errors import DataError, UsageError
from kdtools.evaluation import MEAN_SHAPE, Row, evaluate, nme_above, parse_thresholds
from kdtools.files import Provenance, create_faces
from kdtools.geometry import box_to_source
from kdtools.reports import as_json, as_tsv, find_value, print_table
from kdtools.schemes import IBUG68, Scheme


def write_points(path: Path, points: np.ndarray, *, order: np.ndarray | None = None, subset: str = "") -> Path:
    rows = np.arange(len(points)) if order is None else order
    with create_faces(str(path), False, Provenance("test")) as writer:
        writer.put_ids([f"face{k}" for k in rows])
        writer.put_landmarks(points[rows], IBUG68, "hard")
        if subset:
            writer.put(f"subset/{subset}", rows < 2)
    return path


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Points whose outer eye corners are 100 px apart."""
    points = np.random.default_rng(seed).uniform(50, 150, (n, 68, 2))
    points[:, 36], points[:, 45] = [50, 100], [150, 100]
    return points


def figures(predictions: list[Path], truth: Path, **options: object) -> list[Row]:
    defaults = {"normalisers": "all", "thresholds": [0.08], "subsets": None, "mean_shape_path": None}
    return evaluate([str(p) for p in predictions], str(truth), **{**defaults, "warn": print, **options})  # type: ignore[arg-type]


def test_reference_table_comes_out_to_the_digits_given(shared_dir: Path) -> None:
    golden = shared_dir / "golden"
    expected = json.loads((golden / "300wpublic_expected.json").read_text())["expected"]
    rows = figures([golden / "300wpublic_pred.h5"], golden / "300wpublic_truth.h5", thresholds=[0.05, 0.07, 0.08, 0.10])
    ours = {(row.subset, row.normaliser): row.figures for row in rows}
    assert len(ours) == sum(len(kinds) for kinds in expected.values())
    for subset, kinds in expected.items():
        for kind, given in kinds.items():
            assert given.keys() == ours[subset, kind].keys()
            for name, value in given.items():
                assert round(ours[subset, kind][name], 6) == value, (subset, kind, name)


def test_a_known_shift_is_a_known_error_and_rows_are_joined_by_id(tmp_path: Path) -> None:
    points = shapes(5)
    truth = write_points(tmp_path / "truth.h5", points, subset="first")
    shifted = points + np.arange(5)[:, None, None] * [0, 1]  # face k is k px too low, of 100
    pred = write_points(tmp_path / "pred.h5", shifted, order=np.array([3, 0, 4, 2, 1]))
    rows = {(r.subset, r.normaliser): r.figures for r in figures([pred], truth)}
    assert rows["full", "inter-ocular"]["nme_percent"] == pytest.approx(2, abs=1e-4)
    assert rows["first", "inter-ocular"]["nme_percent"] == pytest.approx(0.5, abs=1e-4)
    assert rows["first", "inter-ocular"]["n"] == 2


def test_predictions_are_compared_in_the_source_whatever_the_crop(tmp_path: Path) -> None:
    points = shapes(3)
    to_source = box_to_source(np.array([[20.0, 30, 180, 190]] * 3), 64, 64)
    crops = np.einsum("nij,nlj->nli", np.linalg.inv(to_source[:, :, :2]), points - to_source[:, None, :, 2])
    with create_faces(str(tmp_path / "truth.h5"), False, Provenance("test")) as writer:
        writer.create_images(3, 64, 64)[:] = 0
        writer.put_ids(["face0", "face1", "face2"])
        writer.put_landmarks(crops, IBUG68, "hard")
        writer.put("to_source", to_source)
    pred = write_points(tmp_path / "pred.h5", points + [3, 4])
    row = figures([pred], tmp_path / "truth.h5", normalisers="inter-ocular")[0]
    assert row.figures["nme_percent"] == pytest.approx(5, abs=1e-3)


def test_mean_shape_is_a_row_and_the_measure_of_the_others(tmp_path: Path) -> None:
    points = shapes(4)

    def with_images(name: str, values: np.ndarray) -> Path:
        with create_faces(str(tmp_path / name), False, Provenance("test")) as writer:
            writer.create_images(4, 200, 200)[:] = 0
            writer.put_ids([f"face{k}" for k in range(4)])
            writer.put_landmarks(values, IBUG68, "hard")
        return tmp_path / name

    truth, other = with_images("truth.h5", points), with_images("other.h5", np.tile(points[:1] + [0, 10], (4, 1, 1)))
    pred = write_points(tmp_path / "pred.h5", points + [1, 0])
    rows = figures([pred], truth, normalisers="inter-ocular", mean_shape_path=str(other))
    assert [row.prediction for row in rows] == [str(pred), MEAN_SHAPE]
    mean_nme = rows[1].figures["nme_percent"]
    expected = np.linalg.norm(points[:1] + [0, 10] - points, axis=2).mean()
    assert mean_nme == pytest.approx(expected, rel=1e-4)
    assert rows[0].figures["nme_of_mean_shape_percent"] == pytest.approx(100 / mean_nme, rel=1e-4)
    assert rows[1].figures["nme_of_mean_shape_percent"] == pytest.approx(100)


def test_faces_and_subsets_that_are_not_there_are_named(tmp_path: Path) -> None:
    truth = write_points(tmp_path / "truth.h5", shapes(4), subset="first")
    fewer = write_points(tmp_path / "fewer.h5", shapes(3))
    with pytest.raises(DataError, match=r"lacks 1 of the 4 faces .* 'face3'"):
        figures([fewer], truth)
    with pytest.raises(DataError, match="no subset 'last'"):
        figures([truth], truth, subsets=["last"])
    with pytest.raises(UsageError, match="inter-ear"):
        figures([truth], truth, normalisers="inter-ear")
    told: list[str] = []
    figures([truth], fewer, warn=told.append)
    assert "1 faces are not in" in told[0]


def test_scheme_without_eyes_is_measured_by_its_box(tmp_path: Path) -> None:
    for name in ("truth.h5", "pred.h5"):
        with create_faces(str(tmp_path / name), False, Provenance("test")) as writer:
            writer.put_ids(["a"])
            writer.put_landmarks(np.array([[[0.0, 0], [30, 40], [10, 10]]]), Scheme("mine", 3), "hard")
    rows = figures([tmp_path / "pred.h5"], tmp_path / "truth.h5")
    assert [row.normaliser for row in rows] == ["box-diagonal", "box-size"]


def test_face_that_cannot_be_measured_is_told_of(tmp_path: Path) -> None:
    points = shapes(3)
    points[1] = np.nan
    truth = write_points(tmp_path / "truth.h5", points)
    told: list[str] = []
    row = figures([write_points(tmp_path / "pred.h5", shapes(3))], truth, warn=told.append)[0]
    assert (row.figures["n"], row.figures["unmeasured"]) == (2, 1)
    assert "1 faces could not be measured" in told[0]


ROWS = [
    Row("a\tb.h5", "full", "inter-ocular", {"n": 3, "nme_percent": 5.25, "fr@0.08_percent": float("inf")}),
    Row("c.h5", "full", "inter-ocular", {"n": 0, "nme_percent": None, "fr@0.08_percent": None}),
]


def test_reports(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("\t") for line in as_tsv(ROWS).splitlines()]
    assert lines[0] == ["prediction", "subset", "normaliser", "n", "nme_percent", "fr@0.08_percent"]
    assert lines[1][:5] == ["a b.h5", "full", "inter-ocular", "3", "5.250000"]
    assert lines[2][3:] == ["0", "", ""]
    assert json.loads(as_json(ROWS))[0]["fr@0.08_percent"] is None
    assert find_value(ROWS, "nme") == find_value(ROWS, "nme_percent") == "5.250000"
    with pytest.raises(UsageError, match="no figure 'auc'"):
        find_value(ROWS, "auc")
    print_table(ROWS)
    shown = capsys.readouterr().out
    assert "subset: full" in shown
    assert "5.25" in shown


def test_limits() -> None:
    assert not nme_above(ROWS[0], 6)
    assert nme_above(ROWS[0], 5)
    assert nme_above(ROWS[1], 5)
    assert parse_thresholds("0.05,0.1") == [0.05, 0.1]
    for text in ("", "a", "0", "-1", "inf"):
        with pytest.raises(UsageError):
            parse_thresholds(text)
