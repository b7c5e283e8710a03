"""kd-eval's figures: the reference table to the digits given, joins, subsets, regions, comparisons, odd input."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import plain_images, write_faces
from reporters import Recorder, Strict

from kdtools.errors import DataError, FileError, UsageError
from kdtools.evaluation import measure
from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.read_points import read_points, read_prediction
from kdtools.evaluation.request import Request, parse_thresholds, split_norms
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.evaluation.units import find_frames, find_units
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import box_to_source
from kdtools.metrics import summarise
from kdtools.reporting import SILENT
from kdtools.storage.stamps import one_run


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Points whose outer eye corners are 100 px apart."""
    points = np.random.default_rng(seed).uniform(50, 150, (n, 68, 2))
    points[:, 36], points[:, 45] = [50, 100], [150, 100]
    return points


def run(
    predictions: list[Path | str], truth: Path | str, recorder: Recorder | None = None, **options: Any
) -> Evaluation:
    request = Request([str(p) for p in predictions], str(truth), **{"norm": "inter-ocular", **options})
    return evaluate(request, recorder or Recorder())


def only(evaluation: Evaluation) -> dict[str, Any]:
    """Figures of the only row."""
    assert len(evaluation.rows) == 1
    return evaluation.rows[0].values


def by_name(evaluation: Evaluation) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row.prediction, row.subset, row.part): row.values for row in evaluation.rows}


# ---- figures
def test_reference_table_comes_out_to_the_digits_given(shared_dir: Path) -> None:
    golden = shared_dir / "golden"
    expected = json.loads((golden / "300wpublic_expected.json").read_text())["expected"]
    found = run(
        [golden / "300wpublic_pred.h5"], golden / "300wpublic_truth.h5", norm="all", thresholds=[0.05, 0.07, 0.08, 0.10]
    )
    ours = {(row.subset, row.normaliser): row.values for row in found.rows}
    assert set(ours) == {(subset, kind) for subset, kinds in expected.items() for kind in (*kinds, "face-height")}
    for subset, kinds in expected.items():
        for kind, given in kinds.items():
            for name, value in given.items():
                assert round(ours[subset, kind][name], 6) == value, (subset, kind, name)


def test_predictions_and_truth_of_other_programs_give_the_same(shared_dir: Path) -> None:
    annotations = shared_dir / "data" / "annotations"
    truth, pred = annotations / "300w_hrnet_csv" / "300w_valid.csv", annotations / "spiga_json"
    predictions = sorted(pred.glob("*pred*.json"))
    assert predictions
    found = run([predictions[0]], truth)
    figures = {row.subset: row.values["nme_percent"] for row in found.rows}
    assert {name: round(figures[name], 6) for name in ("full", "challenging", "common")} == {
        "full": 2.993687,
        "challenging": 4.662282,
        "common": 2.58708,
    }


def test_a_known_shift_is_a_known_error_and_rows_are_joined_by_id(tmp_path: Path) -> None:
    points = shapes(5)
    truth = write_faces(tmp_path / "truth.h5", points, subset_first=np.arange(5) < 2)
    shifted = points + np.arange(5)[:, None, None] * [0, 1]  # face k is k px too low, of 100
    order = [3, 0, 4, 2, 1]
    pred = write_faces(tmp_path / "pred.h5", shifted[order], ids=[f"face{k}" for k in order])
    found = by_name(run([pred], truth))
    assert found[str(pred), "full", ""]["nme_percent"] == pytest.approx(2, abs=1e-4)
    assert found[str(pred), "first", ""]["nme_percent"] == pytest.approx(0.5, abs=1e-4)
    assert found[str(pred), "first", ""]["n"] == 2


def test_predictions_are_compared_in_the_source_whatever_the_crop(tmp_path: Path) -> None:
    points = shapes(3)
    to_source = box_to_source(np.array([[20.0, 30, 180, 190]] * 3), 64, 64)
    crops = np.einsum("nij,nlj->nli", np.linalg.inv(to_source[:, :, :2]), points - to_source[:, None, :, 2])
    write_faces(tmp_path / "truth.h5", crops, images=plain_images(3, 64), to_source=to_source)
    pred = write_faces(tmp_path / "pred.h5", points + [3, 4])
    assert only(run([pred], tmp_path / "truth.h5"))["nme_percent"] == pytest.approx(5, abs=1e-3)


def test_blocks_and_compressed_files_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = shapes(50)
    points[3, 5], points[7] = np.nan, np.nan
    guess = points + np.random.default_rng(1).normal(0, 3, points.shape)
    truth, pred = write_faces(tmp_path / "truth.h5", points), write_faces(tmp_path / "pred.h5", guess)
    whole = run([pred], truth, norm="all", details=True)
    packed = tmp_path / "packed.h5"
    with h5py.File(pred) as old, h5py.File(packed, "w") as new:
        for name, value in old.attrs.items():
            new.attrs[name] = value
        old.copy("id", new)
        new.create_dataset("landmarks", data=old["landmarks"][...], compression="gzip", chunks=(7, 68, 2))
        new["landmarks"].attrs["role"] = "predicted"
    monkeypatch.setattr(measure, "_BLOCK", 7)
    parts = run([packed], truth, norm="all", details=True)
    for one, two in ((whole.rows, parts.rows), (whole.regions, parts.regions), (whole.landmarks, parts.landmarks)):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert a.values.keys() == b.values.keys()
            np.testing.assert_allclose(
                [x for x in a.values.values() if x is not None],
                [x for x in b.values.values() if x is not None],
                rtol=1e-9,
            )


def test_regions_landmarks_and_bias(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = shapes(40)
    guess = points + rng.normal(0, 1, points.shape)
    guess[:, 36:48] += [2, -1]  # the eyes, of 100 px
    truth, pred = write_faces(tmp_path / "truth.h5", points), write_faces(tmp_path / "pred.h5", guess)
    regions = {row.part: row.values for row in run([pred], truth, by="region").rows}
    assert list(regions) == ["jaw", "brows", "nose", "eyes", "mouth"]
    gt = points.astype(np.float32).astype(float)
    gap = guess.astype(np.float32).astype(float) - gt
    eyes = np.linalg.norm(gap[:, 36:48], axis=2)
    assert regions["eyes"]["nme_percent"] == pytest.approx(eyes.mean())
    assert regions["eyes"]["bias_x_percent"] == pytest.approx(gap[:, 36:48, 0].mean())
    assert regions["eyes"]["bias_y_percent"] == pytest.approx(gap[:, 36:48, 1].mean())
    assert regions["eyes"]["p90"] == pytest.approx(np.quantile(eyes.mean(axis=1), 0.9))
    landmarks = run([pred], truth, by="landmark").rows
    assert [row.part for row in landmarks] == [str(k) for k in range(68)]
    distance = np.linalg.norm(gap, axis=2)
    np.testing.assert_allclose([row.values["nme_percent"] for row in landmarks], distance.mean(axis=0))
    np.testing.assert_allclose([row.values["spread_percent"] for row in landmarks], distance.std(axis=0))
    assert {row.values["n"] for row in landmarks} == {40}


def test_a_jaw_that_is_too_wide_is_off_to_the_outside(tmp_path: Path) -> None:
    angle = np.linspace(0, np.pi, 17)
    face = np.zeros((1, 68, 2))
    face[0, :17] = np.stack([-50 * np.cos(angle), 50 * np.sin(angle)], axis=1)
    face[0, 36], face[0, 45] = [-50, 0], [50, 0]
    wide = face.copy()
    wide[0, :17] *= 1.04  # 2 px of 100
    for mirrored in (1, -1):  # whichever way round the outline runs
        truth = write_faces(tmp_path / f"t{mirrored}.h5", face * [mirrored, 1])
        pred = write_faces(tmp_path / f"p{mirrored}.h5", wide * [mirrored, 1])
        jaw = run([pred], truth, by="region").rows[0].values
        assert jaw["normal_percent"] == pytest.approx(2, abs=0.05)
        assert jaw["nme_percent"] == pytest.approx(2, abs=1e-4)


def test_by_face_is_a_row_each_in_the_order_of_the_truth(tmp_path: Path) -> None:
    points = shapes(4)
    truth = write_faces(tmp_path / "truth.h5", points, subset_odd=np.arange(4) % 2 == 1)
    one = write_faces(tmp_path / "one.h5", points + [1, 0])
    two = write_faces(
        tmp_path / "two.h5",
        (points + np.arange(4)[:, None, None] * [0, 1])[::-1],
        ids=[f"face{k}" for k in (3, 2, 1, 0)],
    )
    rows = run([one, two], truth, by="face", compare=True).rows
    assert [row.part for row in rows] == [f"face{k}" for k in range(4)] * 2
    np.testing.assert_allclose([row.values["nme_percent"] for row in rows], [1] * 4 + [0, 1, 2, 3], atol=1e-4)
    assert rows[7].values["difference_percent"] == pytest.approx(2, abs=1e-4)
    assert [rows[k] for k in range(len(rows))] == list(rows) == rows[:]
    odd = run([one], truth, by="face", subsets=["odd"], norm="inter-ocular,box-size").rows
    assert [(row.subset, row.normaliser, row.part) for row in odd] == [
        ("odd", kind, face) for kind in ("inter-ocular", "box-size") for face in ("face1", "face3")
    ]


def test_points_that_are_hidden_can_be_left_out(tmp_path: Path) -> None:
    points = shapes(3)
    visible = np.ones((3, 68), np.uint8)
    visible[:, :17] = 0
    visible[2] = 0
    guess = points.copy()
    guess[:, :17] += [0, 8]
    guess[:, 17:] += [0, 2]
    truth = write_faces(tmp_path / "truth.h5", points, visible=visible)
    pred = write_faces(tmp_path / "pred.h5", guess)
    figures = only(run([pred], truth, visible_only=True))
    assert figures["nme_percent"] == pytest.approx(2, abs=1e-4)
    assert (figures["n"], figures["unmeasured"]) == (2, 1)
    assert only(run([pred], truth))["nme_percent"] == pytest.approx((17 * 8 + 51 * 2) / 68, abs=1e-4)


def test_outlines_run_through_hidden_points_and_jitter_is_of_points_seen_in_both_frames(tmp_path: Path) -> None:
    angle = np.linspace(0, np.pi, 17)
    face = np.zeros((2, 68, 2))
    face[:, :17] = np.stack([-50 * np.cos(angle), 50 * np.sin(angle)], axis=1)
    face[:, 36], face[:, 45] = [-50, 0], [50, 0]
    wide = face.copy()
    wide[:, :17] *= 1.04
    wide[1, 5] += [0, 17]  # hidden in the first frame
    visible = np.ones((2, 68), np.uint8)
    visible[0, 1:16:2] = 0
    ids = ["v_1.jpg", "v_2.jpg"]
    truth = write_faces(tmp_path / "truth.h5", face, ids=ids, visible=visible)
    pred = write_faces(tmp_path / "pred.h5", wide, ids=ids)
    rows = run([pred], truth, by="landmark", visible_only=True).rows
    assert [row.values["n"] for row in rows[:4]] == [2, 1, 2, 1]
    np.testing.assert_allclose([rows[k].values["normal_percent"] for k in (0, 1, 2, 3, 16)], 2, atol=0.05)
    assert only(run([pred], truth, visible_only=True, video="auto"))["jitter_percent"] == pytest.approx(0, abs=1e-5)
    assert only(run([pred], truth, video="auto"))["jitter_percent"] == pytest.approx(17 / 68, abs=1e-4)
    with pytest.raises(DataError, match="does not say which points are visible"):
        run([truth], pred, visible_only=True)


def test_landmarks_that_are_not_predicted_are_failures_of_theirs(tmp_path: Path) -> None:
    points = shapes(4)
    guess = points + [0, 2]
    guess[1, 7] = np.nan
    truth, pred = write_faces(tmp_path / "truth.h5", points), write_faces(tmp_path / "pred.h5", guess)
    rows = run([pred], truth, by="landmark", allow_missing=True).rows
    assert (rows[7].values["n"], rows[7].values["missing"], rows[7].values["nme_percent"]) == (4, 1, np.inf)
    assert rows[7].values["nme_found_percent"] == pytest.approx(2, abs=1e-4)
    assert "missing" not in rows[8].values
    assert rows[8].values["nme_percent"] == pytest.approx(2, abs=1e-4)
    faces = run([pred], truth, by="face", allow_missing=True).rows
    assert [row.values.get("missing") for row in faces] == [None, 1, None, None]


def test_normalisers_by_name_pair_and_number(tmp_path: Path) -> None:
    points = shapes(3)
    boxes = np.array([[0, 0, 40, 90]] * 3, np.float32)  # sqrt of the area: 60
    truth = write_faces(tmp_path / "truth.h5", points, box=boxes, box_origin="annotation")
    pred = write_faces(tmp_path / "pred.h5", points + [0, 3])
    found = run([pred], truth, norm="points:36,45,100,given-box,face-height")
    height = np.ptp(points.astype(np.float32)[..., 1], axis=1)
    expected = {"points:36,45": 3, "100": 3, "given-box": 5, "face-height": 100 * np.mean(3 / height)}
    assert [row.normaliser for row in found.rows] == list(expected)
    np.testing.assert_allclose([row.values["nme_percent"] for row in found.rows], list(expected.values()), rtol=1e-4)
    pixels = only(run([pred], truth, norm="1", thresholds=[2, 5]))
    assert (pixels["fr@2.00_percent"], pixels["fr@5.00_percent"]) == (100, 0)
    rows = run([pred], truth, norm="all, 100,100.0 , points: 36, 45").rows
    assert [row.normaliser for row in rows][-3:] == ["given-box", "100", "points:36,45"]
    for empty in ("", ",", " "):
        with pytest.raises(UsageError, match="--norm is"):
            run([pred], truth, norm=empty)
    with pytest.raises(UsageError, match="threshold 8 would be 800%"):
        run([pred], truth, thresholds=[8])
    with pytest.raises(UsageError, match="inter-ear"):
        run([pred], truth, norm="inter-ear")
    with pytest.raises(DataError, match="holds no boxes"):
        run([pred], pred, norm="given-box")


def test_a_protocol_says_what_is_measured(tmp_path: Path) -> None:
    points = shapes(4)
    truth = write_faces(
        tmp_path / "truth.h5",
        points,
        subset_challenging=np.arange(4) > 2,
        subset_common=np.arange(4) < 3,
        subset_x=[1] * 4,
    )
    pred = write_faces(tmp_path / "pred.h5", points + [0, 6])
    found = run([pred], truth, norm=None, protocol="star")
    assert found.protocol == "star"
    assert {row.normaliser for row in found.rows} >= {"inter-ocular"}
    assert list(dict.fromkeys(row.subset for row in found.rows)) == ["full", "common", "challenging"]
    assert {"fr@0.05_percent", "auc@0.05_percent", "auc_binned@0.05_percent"} <= found.rows[0].values.keys()
    own = run([pred], truth, norm="box-size", protocol="star", thresholds=[0.2], subsets=["x"])
    assert [(row.subset, row.normaliser) for row in own.rows] == [("x", "box-size")]
    assert "fr@0.20_percent" in own.rows[0].values


def test_mean_shape_is_a_row_and_the_measure_of_the_others(tmp_path: Path) -> None:
    points = shapes(4)

    def with_images(name: str, values: np.ndarray) -> Path:
        return write_faces(tmp_path / name, values, images=plain_images(4, 200))

    truth, other = with_images("truth.h5", points), with_images("other.h5", np.tile(points[:1] + [0, 10], (4, 1, 1)))
    pred = write_faces(tmp_path / "pred.h5", points + [1, 0])
    rows = run([pred], truth, mean_shape=str(other)).rows
    assert [row.prediction for row in rows] == [str(pred), MEAN_SHAPE]
    mean_nme = rows[1].values["nme_percent"]
    expected = np.linalg.norm(points[:1] + [0, 10] - points, axis=2).mean()
    assert mean_nme == pytest.approx(expected, rel=1e-4)
    assert rows[0].values["nme_of_mean_shape_percent"] == pytest.approx(100 / mean_nme, rel=1e-4)
    assert rows[1].values["nme_of_mean_shape_percent"] == pytest.approx(100)
    with pytest.raises(DataError, match="needs a truth with images"):
        run([pred], pred, mean_shape=str(other))
    with pytest.raises(DataError, match="needs a file with images"):
        run([pred], truth, mean_shape=str(pred))
    hole = points.copy()
    hole[:, 3] = np.nan
    with pytest.raises(DataError, match="no face has point 3"):
        run([pred], truth, mean_shape=str(with_images("hole.h5", hole)))
    hole[0, 3] = np.inf
    hole[1, 3] = 7
    assert run([pred], truth, mean_shape=str(with_images("inf.h5", hole))).rows[1].values["nme_percent"] < np.inf


# ---- joining
def test_faces_and_subsets_that_are_not_there_are_named(tmp_path: Path) -> None:
    truth = write_faces(tmp_path / "truth.h5", shapes(4), subset_first=np.arange(4) < 2)
    fewer = write_faces(tmp_path / "fewer.h5", shapes(3))
    with pytest.raises(DataError, match=r"lacks 1 of the 4 faces .* 'face3'") as error:
        run([fewer], truth)
    assert "ids of" in error.value.hint
    assert "'face0'" in error.value.hint
    with pytest.raises(DataError, match="no subset 'last'"):
        run([truth], truth, subsets=["last"])
    with pytest.raises(DataError, match=r"1 face is not in .* 'face3'"):
        run([truth], fewer)
    heard = Recorder()
    assert only(run([truth], fewer, heard, allow_extra=True))["n"] == 3
    assert f"left out 1 face that {fewer} lacks" in heard.warned[0]


def test_missing_faces_count_as_failures_where_that_is_allowed(tmp_path: Path) -> None:
    points = shapes(4)
    truth = write_faces(tmp_path / "truth.h5", points)
    fewer = write_faces(tmp_path / "fewer.h5", points[:3] + [0, 4])
    heard = Recorder()
    found = run([fewer], truth, heard, allow_missing=True, thresholds=[0.08])
    figures = only(found)
    assert (figures["n"], figures["missing"], figures["nme_percent"]) == (4, 1, np.inf)
    assert figures["nme_found_percent"] == pytest.approx(4, abs=1e-4)
    assert figures["fr@0.08_percent"] == 25
    assert figures["auc@0.08_percent"] == pytest.approx(100 * 3 / 4 / 2, abs=1e-3)
    assert figures["nme_low_percent"] is None
    assert "1 of 4 faces are missing and counted as failures" in heard.warned[0]
    assert heard.warned[0] in found.notes
    stranger = write_faces(tmp_path / "stranger.h5", points, ids=[f"other{k}" for k in range(4)])
    with pytest.raises(DataError, match="lacks 4 of the 4"):
        run([stranger], truth, allow_missing=True, allow_extra=True)


def test_shards_are_one_prediction(tmp_path: Path) -> None:
    points = shapes(10)
    truth = write_faces(tmp_path / "truth.h5", points)
    guess = points + np.arange(10)[:, None, None] * [0, 0.5]
    ids = [f"face{k}" for k in range(10)]
    for k, rows in enumerate(([7, 8, 9], [0, 1, 2], [6, 5, 4, 3])):
        write_faces(tmp_path / f"part-{k}.h5", guess[rows], ids=[ids[row] for row in rows])
    for word in (f"{tmp_path}/part-*.h5", f"mine={tmp_path}/part-?.h5"):
        found = run([word], truth)
        assert only(found)["nme_percent"] == pytest.approx(2.25, abs=1e-4)
        assert found.rows[0].prediction == (word if word.startswith("/") else "mine")
    (tmp_path / "part-1.h5").unlink()
    with pytest.raises(DataError, match=r"mine: lacks 3 of the 10 faces .*'face0', 'face1', 'face2'"):
        run([f"mine={tmp_path}/part-?.h5"], truth)
    write_faces(tmp_path / "part-9.h5", guess[3:4], ids=["face3"])
    with pytest.raises(DataError, match=r"part-9.h5: has face 'face3', and so has .*part-2.h5"):
        run([f"mine={tmp_path}/part-?.h5"], truth)
    with pytest.raises(FileError, match="no file matches"):
        run([f"{tmp_path}/none-*.h5"], truth)
    with pytest.raises(UsageError, match="two predictions are called"):
        run([truth, truth], truth)
    with pytest.raises(UsageError, match="no prediction can be called 'mean shape'"):
        run([f"mean shape={truth}"], truth)


@pytest.mark.in_child
def test_a_damaged_header_is_reported_as_damage(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "a.h5", shapes(1))
    whole = path.read_bytes()
    for at in range(len(whole) // 40, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with contextlib.ExitStack() as stack, contextlib.suppress(FileError, DataError):
            read_points(str(path), stack, SILENT)


def test_a_shard_of_long_ids_does_not_widen_those_of_all(tmp_path: Path) -> None:
    short, long = [f"a{k}" for k in range(2000)], [letter * 10_000 for letter in "bcd"]
    for name, ids in (("short", short), ("long", long)):
        write_faces(tmp_path / f"{name}.h5", np.zeros((len(ids), 5, 2)), ids=ids)
    with contextlib.ExitStack() as stack:
        found = read_prediction(None, str(tmp_path / "*.h5"), "", stack, SILENT)
    assert found.ids.tolist() == [identity.encode() for identity in long + short]
    assert found.ids.nbytes < 1e6


def test_shards_without_quotes_and_quotes_without_shards_are_told_of(tmp_path: Path) -> None:
    points = shapes(4)
    truth = write_faces(tmp_path / "truth.h5", points)
    one = write_faces(tmp_path / "part-1.h5", points[:2])
    two = write_faces(tmp_path / "part-2.h5", points[2:], ids=["face2", "face3"])
    with pytest.raises(DataError) as error:
        run([one, two], truth)
    assert "Quote their pattern" in error.value.hint
    write_faces(tmp_path / "part-3.h5", points)
    with pytest.raises(DataError) as error:
        run([f"{tmp_path}/part-*.h5"], truth)
    assert "leave out the quotes" in error.value.hint
    with pytest.raises(FileError) as error:
        run([one], f"{tmp_path}/truth*.h5".replace("truth", "tr?th"))
    assert "kd-merge" in error.value.hint


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    points = shapes(2)
    truth = write_faces(tmp_path / "truth.h5", points)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(truth.read_bytes()), daemon=True)
    writer.start()
    with one_run():  # at whose end its copy is deleted
        found = run([pipe], truth)
    writer.join()
    assert only(found)["nme_percent"] == 0
    assert found.files == [str(truth)]


def test_a_file_whose_name_is_a_pattern_is_taken_as_it_is(tmp_path: Path) -> None:
    points = shapes(2)
    truth = write_faces(tmp_path / "truth.h5", points)
    for name in ("a[1].h5", "lr=3e-3.h5"):
        pred = write_faces(tmp_path / name, points)
        assert run([pred], truth).rows[0].prediction == str(pred)


def photograph(n: int) -> tuple[np.ndarray, list[str]]:
    """Faces beside each other in photographs of three, each 100 px wide and 300 px from the next."""
    points = shapes(n) + (np.arange(n) % 3)[:, None, None] * [300, 0]
    names = [f"p{k // 3}.jpg" + (f"#{k % 3 + 1}" if k % 3 else "") for k in range(n)]
    return points, names


def test_faces_of_a_photograph_can_be_joined_by_place(tmp_path: Path) -> None:
    points, ids = photograph(9)
    truth = write_faces(tmp_path / "truth.h5", points, ids=ids)
    order = [1, 2, 0, 3, 4, 5, 8, 7, 6]  # numbered otherwise in the first and the last photograph
    far = np.full((1, 68, 2), 5000.0) + shapes(1)
    pred = write_faces(tmp_path / "pred.h5", np.concatenate([points[order] + [0, 2], far]), ids=[*ids, "p1.jpg#9"])
    heard = Recorder()
    by_id = run([pred], truth, heard, allow_extra=True)
    assert only(by_id)["nme_percent"] > 100
    assert any("5 of 9 predictions are farther" in text and "--join place" in text for text in heard.warned)
    heard = Recorder()
    figures = only(run([pred], truth, heard, join="place"))
    assert (figures["n"], figures["nme_percent"]) == (9, pytest.approx(2, abs=1e-3))
    assert heard.warned == [f"{pred}: left out 1 face that {truth} lacks"]
    lost = points.copy()
    lost[4] += [0, 900]
    astray = write_faces(tmp_path / "lost.h5", lost, ids=ids)
    with pytest.raises(DataError, match="lacks 1 of the 9"):  # what lies that far away is no prediction of a face
        run([astray], truth, join="place")


def test_faces_with_few_points_find_their_predictions_by_place(tmp_path: Path) -> None:
    points, ids = photograph(9)
    order = [2, 1, 0, *range(3, 9)]
    partly = points.copy()
    partly[0, 3:] = np.nan
    partly[1, 1:] = np.nan  # a single point
    partly[2] = np.nan  # none at all
    truth = write_faces(tmp_path / "truth.h5", partly, ids=ids)
    pred = write_faces(tmp_path / "pred.h5", points[order] + [0, 1], ids=ids)
    figures = only(run([pred], truth, join="place", norm="100"))
    assert (figures["n"], figures["unmeasured"]) == (8, 1)
    assert figures["nme_percent"] == pytest.approx(1, abs=1e-3)


def test_pictures_with_other_suffixes_are_joined_by_place_too(tmp_path: Path) -> None:
    points, ids = photograph(3)
    truth = write_faces(tmp_path / "truth.h5", points, ids=ids)
    pred = write_faces(
        tmp_path / "pred.h5", points[[1, 0, 2]], ids=[identity.replace(".jpg", ".png") for identity in ids]
    )
    heard = Recorder()
    assert only(run([pred], truth, heard, join="place"))["nme_percent"] == 0
    assert "without their suffixes" in heard.warned[0]


def test_lists_that_number_faces_in_another_order_are_told_of(tmp_path: Path) -> None:
    points, _ = photograph(6)
    points = points * [0.3, 1]  # close to each other

    def write(name: str, order: list[int]) -> Path:
        rows = [f"p{k // 3}.jpg," + ",".join(f"{v:.4f}" for v in points[k].ravel()) for k in order]
        (tmp_path / name).write_text("\n".join(["image," + ",".join(f"x{k},y{k}" for k in range(68)), *rows]))
        return tmp_path / name

    truth, same, other = write("t.csv", [*range(6)]), write("s.csv", [*range(6)]), write("o.csv", [0, 1, 2, 5, 4, 3])

    def told(pred: Path, **options: Any) -> tuple[float, list[str]]:
        heard = Recorder()
        figures = only(run([pred], truth, heard, norm="box-size", **options))
        return figures["nme_percent"], [text for text in heard.warned if "photographs" in text]

    assert told(same) == (0, [])
    nme, warned = told(other)
    assert nme > 1
    assert "in 1 of 2 photographs" in warned[0]
    assert "--join place" in warned[0]
    assert told(other, join="place")[0] == 0


def test_what_kd_dump_writes_as_pts_is_joined_again(tmp_path: Path) -> None:
    points, ids = photograph(6)
    truth = write_faces(tmp_path / "truth.h5", points, ids=ids)
    (tmp_path / "pts").mkdir()
    for name, shape in zip(ids, points, strict=True):
        lines = "".join(f"{x + 1:.4f} {y + 1:.4f}\n" for x, y in shape)
        (tmp_path / "pts" / f"{name.replace('.jpg', '')}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}}}\n")
    assert only(run([tmp_path / "pts"], truth))["nme_percent"] == pytest.approx(0, abs=1e-3)


def test_other_programs_may_leave_out_folders_and_suffixes(tmp_path: Path) -> None:
    points = shapes(3)
    truth = write_faces(tmp_path / "truth.h5", points, ids=[f"test/im{k}.png" for k in range(3)])
    (tmp_path / "pts").mkdir()
    for k, shape in enumerate(points + [0, 5]):
        lines = "".join(f"{x + 1:.4f} {y + 1:.4f}\n" for x, y in shape)
        (tmp_path / "pts" / f"im{k}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}}}\n")
    heard = Recorder()
    assert only(run([tmp_path / "pts"], truth, heard))["nme_percent"] == pytest.approx(5, abs=1e-3)
    assert "by file names alone" in heard.warned[0]
    table = tmp_path / "pred.csv"
    table.write_text(
        "\n".join(
            [
                "image," + ",".join(f"x{k},y{k}" for k in range(68)),
                *(f"test/im{k}.jpg," + ",".join(f"{v:.4f}" for v in shape.ravel()) for k, shape in enumerate(points)),
            ]
        )
    )
    heard = Recorder()
    assert only(run([table], truth, heard))["nme_percent"] == pytest.approx(0, abs=1e-3)
    assert "without their suffixes" in heard.warned[0]


def test_files_of_no_use_are_refused_in_one_line(tmp_path: Path) -> None:
    truth = write_faces(tmp_path / "truth.h5", shapes(2))
    (tmp_path / "text.h5").write_text("no numbers\n" * 9)
    (tmp_path / "empty.csv").touch()
    with h5py.File(tmp_path / "foreign.h5", "w") as h5:
        h5["landmarks"] = np.zeros((2, 68, 2))
    for name, message in (("text.h5", "no format"), ("empty.csv", "is empty"), ("foreign.h5", "not a faces file")):
        with pytest.raises(FileError, match=message):
            run([tmp_path / name], truth)
    with pytest.raises(FileError, match="no such file"):
        run([tmp_path / "absent.h5"], truth)
    with pytest.raises(DataError, match=r"68 points per face, but .* has 3"):
        run([write_faces(tmp_path / "three.h5", shapes(2)[:, :3], scheme=Scheme("mine", 3))], truth)
    with pytest.raises(UsageError, match="only one input"):
        run(["-"], "-")


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "pred.h5", shapes(3))
    with contextlib.ExitStack() as stack:
        points = read_points(str(path), stack, Strict())
    np.testing.assert_array_equal(points.points(np.array([2, -1, 0]))[[0, 2]], points.points(slice(0, 3))[[2, 0]])
    assert np.isnan(points.points(np.array([2, -1, 0]))[1]).all()
    path.unlink()
    write_faces(path, shapes(4))
    with pytest.raises(FileError, match="was changed or replaced"):
        points.points(slice(0, 2))


# ---- several predictions, groups, video
def test_comparison_is_with_the_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = shapes(60)
    ids = [f"person{k // 6}_{k % 6}.jpg" for k in range(60)]
    truth = write_faces(tmp_path / "truth.h5", points, ids=ids, subset_odd=np.arange(60) % 2 == 1)
    amount = rng.uniform(2, 4, 60)[:, None, None]
    worse = write_faces(tmp_path / "worse.h5", points + amount * [0, 1], ids=ids)
    better = write_faces(tmp_path / "better.h5", points + (amount - 0.5) * [0, 1], ids=ids)
    found = run([worse, better], truth, compare=True)
    assert found.baseline == str(worse)
    rows = by_name(found)
    assert "difference_percent" not in rows[str(worse), "full", ""]
    for subset in ("full", "odd"):
        figures = rows[str(better), subset, ""]
        assert figures["n_groups"] == 10
        assert figures["difference_percent"] == pytest.approx(-0.5, abs=1e-4)
        assert figures["difference_low_percent"] <= figures["difference_percent"] <= figures["difference_high_percent"]
        assert figures["improved_percent"] == 100
        assert figures["n_compared"] == rows[str(better), subset, ""]["n"]
        assert figures["p_bootstrap"] < 0.01
        assert figures["relative_percent"] == pytest.approx(-50 / rows[str(worse), subset, ""]["nme_percent"], rel=1e-3)
    regions = by_name(run([worse, better], truth, compare=True, by="region"))
    assert regions[str(better), "full", "mouth"]["difference_percent"] == pytest.approx(-0.5, abs=1e-4)
    with pytest.raises(UsageError, match="needs two predictions"):
        run([worse], truth, compare=True)
    for words in ({"compare": True, "by": "landmark"}, {"video": "auto", "by": "region"}):
        with pytest.raises(UsageError, match=r"single landmarks|whole faces"):
            run([worse, better], truth, **words)


def test_frames_of_one_person_are_not_independent(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = shapes(200)
    ids = [f"person{k // 20}_{k % 20}.jpg" for k in range(200)]
    offset = np.repeat(rng.uniform(1, 5, 10), 20)[:, None, None] * [0, 1]
    truth, pred = (
        write_faces(tmp_path / "truth.h5", points, ids=ids),
        write_faces(tmp_path / "pred.h5", points + offset, ids=ids),
    )

    def width(**options: Any) -> float:
        figures = only(run([pred], truth, **options))
        return float(figures["nme_high_percent"] - figures["nme_low_percent"])

    assert width() > 2.5 * width(group="none")
    assert width(group=r"^(person\d+)_") == pytest.approx(width(), rel=0.15)  # other numbers, so other draws
    assert "n_groups" not in only(run([pred], truth, group="none"))
    assert find_units(np.array([b"a.jpg", b"b.jpg"], object), None).codes is None


def test_jitter_is_of_frames_that_follow_each_other(tmp_path: Path) -> None:
    points = np.tile(shapes(1), (8, 1, 1))
    ids = [f"a/{k:03d}.jpg" for k in (1, 2, 3, 5)] + [f"b/{k:03d}.jpg" for k in (0, 10, 20, 30)]
    truth = write_faces(tmp_path / "truth.h5", points, ids=ids)
    moved = points + np.array([0, 3, 3, 9, 0, 1, 0, 1])[:, None, None] * [0, 1]  # changes: 3, 0, (not next), 1, 1, 1
    order = np.random.default_rng(0).permutation(8)
    pred = write_faces(tmp_path / "pred.h5", moved[order], ids=[ids[k] for k in order])
    figures = only(run([pred], truth, video="auto"))
    assert figures["jitter_percent"] == pytest.approx((3 + 0 + 1 + 1 + 1) / 5, abs=1e-4)
    np.testing.assert_array_equal(
        find_frames(np.array([i.encode() for i in ids], object), r"(.)/(\d+)").before, [-1, 0, 1, -1, -1, 4, 5, 6]
    )
    assert figures["n_groups"] == 2  # the videos
    partly = write_faces(tmp_path / "partly.h5", np.where(np.arange(8)[:, None, None] == 2, np.nan, moved), ids=ids)
    heard = Recorder()
    figures = only(run([partly], truth, heard, video="auto", allow_missing=True))
    assert figures["jitter_percent"] == pytest.approx((3 + 1 + 1 + 1) / 4, abs=1e-4)
    assert any("jitter leaves out 1 frame " in text for text in heard.warned)
    with pytest.raises(DataError, match="no two faces are consecutive"):
        run([pred], truth, video=r"(x)(\d+)")
    with pytest.raises(UsageError, match="no two groups"):
        run([pred], truth, video=r"(\d+)")


# ---- odd input
def test_scheme_without_eyes_is_measured_by_its_box(tmp_path: Path) -> None:
    scheme = Scheme("mine", 3)
    points = np.array([[[0.0, 0], [30, 40], [10, 10]]])
    paths = [write_faces(tmp_path / name, points, scheme=scheme) for name in ("truth.h5", "pred.h5")]
    rows = run([paths[1]], paths[0], norm=None).rows
    assert [row.normaliser for row in rows] == ["box-diagonal", "box-size", "face-height"]
    with pytest.raises(DataError, match="names no regions"):
        run([paths[1]], paths[0], norm=None, by="region")


def test_faces_that_cannot_be_measured_are_told_of_and_nothing_is_nan(tmp_path: Path) -> None:
    points = shapes(5)
    points[1] = np.nan  # no point at all
    points[2, 45] = points[2, 36]  # coincident eye corners
    points[3, 36] = np.nan  # an eye corner missing
    truth = write_faces(
        tmp_path / "truth.h5", points, subset_empty=[0] * 5, subset_bad=np.arange(5) == 1, subset_one=np.arange(5) == 0
    )
    guess = shapes(5)
    guess[4, 0] = np.nan  # a point that was not predicted
    heard = Recorder()
    pred = write_faces(tmp_path / "pred.h5", guess)
    with pytest.raises(DataError, match="1 of 5 faces lack predicted points: 'face4'"):
        run([pred], truth)
    found = run([pred], truth, heard, details=True, thresholds=[0.08], allow_missing=True)
    rows = {row.subset: row.values for row in found.rows}
    assert (rows["full"]["n"], rows["full"]["unmeasured"], rows["full"]["missing"]) == (2, 3, 1)
    assert "1 of 5 faces lack predicted points and are counted" in heard.warned[0]
    assert "could not be measured: 3" in heard.warned[1]
    for name in ("empty", "bad"):
        assert rows[name]["n"] == 0
        assert all(value is None for key, value in rows[name].items() if key not in ("n", "unmeasured"))
    assert rows["one"]["n"] == 1
    assert rows["one"]["nme_percent"] == 0
    assert rows["one"]["nme_low_percent"] is None  # of one face nothing can be said
    every = [value for row in [*found.rows, *found.regions, *found.landmarks] for value in row.values.values()]
    assert not any(isinstance(value, float) and np.isnan(value) for value in every)


def test_nothing_that_is_predicted_and_nothing_annotated(tmp_path: Path) -> None:
    points = shapes(3)
    nothing = np.full_like(points, np.nan)
    truth, none = write_faces(tmp_path / "truth.h5", points), write_faces(tmp_path / "none.h5", nothing)
    figures = only(run([none], truth, thresholds=[0.08], allow_missing=True))
    assert (figures["n"], figures["missing"], figures["nme_percent"]) == (3, 3, np.inf)
    assert (figures["fr@0.08_percent"], figures["auc@0.08_percent"], figures["nme_found_percent"]) == (100, 0, None)
    assert only(run([truth], none, thresholds=[0.08]))["n"] == 0
    empty = tmp_path / "empty.h5"
    with h5py.File(truth) as old, h5py.File(empty, "w") as new:
        new.attrs.update(old.attrs)
        new.create_dataset("id", (0,), h5py.string_dtype())
        new.create_dataset("landmarks", (0, 68, 2), np.float32)
    with pytest.raises(DataError, match="holds no faces"):
        run([truth], empty)
    with pytest.raises(DataError, match="lacks 3 of the 3"):
        run([empty], truth, allow_missing=True)


def test_a_foreign_subset_called_full_does_not_stand_for_all(tmp_path: Path) -> None:
    truth = write_faces(tmp_path / "truth.h5", shapes(3))
    with h5py.File(truth, "r+") as h5:
        h5["subset/full"] = np.array([True, False, False])
    heard = Recorder()
    assert only(run([write_faces(tmp_path / "pred.h5", shapes(3))], truth, heard))["n"] == 3
    assert "'full' is left out" in heard.warned[0]


def test_words_of_the_command_line() -> None:
    assert parse_thresholds("0.05,0.1,0.05") == [0.05, 0.1]
    for text in ("", "a", "0", "-1", "inf", "nan", "1e300"):
        with pytest.raises(UsageError):
            parse_thresholds(text)
    assert split_norms("inter-ocular,points:1,2,100") == ["inter-ocular", "points:1,2", "100"]


def test_rows_hold_the_figures_of_the_library(tmp_path: Path) -> None:
    points = shapes(30)
    guess = points + np.random.default_rng(2).normal(0, 2, points.shape)
    truth, pred = write_faces(tmp_path / "truth.h5", points), write_faces(tmp_path / "pred.h5", guess)
    found = run([pred], truth, thresholds=[0.03])
    plain = summarise(found.errors[0].nme, [0.03])
    assert {key: value for key, value in only(found).items() if key in plain} == plain
    assert isinstance(found.rows[0], Row)
    assert replace(found.rows[0], part="x").part == "x"
