"""The error against labels as annotated, and at true places with their origins taken off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from contract.running import run_tool
from factories import plain_images, write_faces
from reporters import Recorder

from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.request import Request
from kdtools.evaluation.results import Evaluation
from kdtools.faces import open_faces
from kdtools.landmarks.conventions import Convention
from kdtools.reports.markdown import as_markdown
from kdtools.reports.text import as_tsv, json_lines

LFPW, HELEN = Convention("300w/lfpw", (0.8, 0.0)), Convention("300w/helen", (0.0, 0.6))


def shapes(n: int = 6) -> np.ndarray:
    """True places, with outer eye corners 100 px apart."""
    points = np.random.default_rng(0).uniform(50, 150, (n, 68, 2))
    points[:, 36], points[:, 45] = [50, 100], [150, 100]
    return points


def put_back(path: Path, name: str, origin: tuple[float, float] | None = None) -> Path:
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs["convention"] = name
        if origin is not None:
            h5["landmarks"].attrs["origin"] = np.array(origin)
    return path


def run(predictions: list[Path], truth: Path, recorder: Recorder | None = None, **options: Any) -> Evaluation:
    request = Request([str(p) for p in predictions], str(truth), **{"norm": "inter-ocular", **options})
    return evaluate(request, recorder or Recorder())


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    labels = shapes()
    labels[:4] += LFPW.offset
    labels[4:] += HELEN.offset
    names = [LFPW.name] * 4 + [HELEN.name] * 2
    return write_faces(tmp_path / "truth.h5", labels, conventions=[LFPW, HELEN], convention=names)


def test_both_errors_are_given_and_named(truth: Path, tmp_path: Path) -> None:
    """Of true pixels: 0.8 % of 100 px for four faces and 0.6 % for two as annotated, and nothing at true places."""
    pred = write_faces(tmp_path / "pred.h5", shapes(), role="predicted")
    found = run([pred], truth)
    values = found.rows[0].values
    assert values["nme_percent"] == pytest.approx((4 * 0.8 + 2 * 0.6) / 6, abs=1e-5)
    assert values["nme_true_percent"] == pytest.approx(0, abs=1e-5)
    assert [note for note in found.notes if "as annotated" in note] == [
        "NME is against the labels as annotated, NME at true places with origins taken off: "
        f"{truth} has the origin 0, 0.6 px (300w/helen); 0.8, 0 px (300w/lfpw)"
    ]
    page = as_markdown(found)
    assert "NME at true places" in page
    assert "against the labels as annotated" in page
    assert json.loads("".join(json_lines(found)))[0]["nme_true_percent"] == pytest.approx(0, abs=1e-5)
    assert "nme_true_low_percent" in next(iter(as_tsv(found)))


def test_an_origin_put_back_into_predictions(truth: Path, tmp_path: Path) -> None:
    """Of the two faces of the other set, 0.8 px too far to the right and 0.6 too high, as annotated alone."""
    pred = put_back(write_faces(tmp_path / "p.h5", shapes() + LFPW.offset, role="predicted"), LFPW.name, LFPW.origin)
    recorder = Recorder()
    values = run([pred], truth, recorder).rows[0].values
    assert values["nme_percent"] == pytest.approx(2 * 1.0 / 6, abs=1e-5)
    assert values["nme_true_percent"] == pytest.approx(0, abs=1e-5)
    (warned,) = [line for line in recorder.warned if "annotation convention" in line]
    assert "are those of the annotation convention 300w/lfpw, but those of" in warned
    assert "are of 300w/helen, 300w/lfpw" in warned


def test_faces_one_by_one_and_in_shards(truth: Path, tmp_path: Path) -> None:
    for k, rows in enumerate((slice(0, 3), slice(3, 6))):
        ids = [f"face{n}" for n in range(6)][rows]
        write_faces(tmp_path / f"shard{k}.h5", shapes()[rows] + [0.1 * k, 0], ids=ids, role="predicted")
    put_back(tmp_path / "shard1.h5", "300w", (0.1, 0.0))
    found = run([tmp_path / "shard*.h5"], truth, by="face")
    assert [row.values["nme_true_percent"] for row in found.rows] == pytest.approx([0] * 6, abs=1e-5)
    assert [round(row.values["nme_percent"] or 0, 3) for row in found.rows][2:4] == [0.8, 0.7]


def test_places_of_another_convention_are_warned_of(truth: Path, tmp_path: Path) -> None:
    pred = put_back(write_faces(tmp_path / "p.h5", shapes(), role="predicted"), "youtube68")
    recorder = Recorder()
    run([pred], truth, recorder)
    assert any("annotation convention youtube68, but those of" in line and "300w" in line for line in recorder.warned)


def test_without_origins_nothing_changes(tmp_path: Path) -> None:
    truth = write_faces(tmp_path / "t.h5", shapes(), conventions=[Convention("300w")])
    found = run([write_faces(tmp_path / "p.h5", shapes() + 1, role="predicted")], truth)
    assert not any("true" in key for key in found.rows[0].values)
    assert not found.notes


def test_points_of_a_text_are_taken_for_true_pixels_and_that_is_told(truth: Path, tmp_path: Path) -> None:
    """kd-predict --convention may have put an origin back into them, which a text cannot state."""
    pred = write_faces(tmp_path / "p.h5", shapes(), role="predicted")
    text = tmp_path / "p.csv"
    assert run_tool("kd-dump", pred, "-o", text).status == 0
    recorder = Recorder()
    found = run([text], truth, recorder)
    assert found.rows[0].values["nme_true_percent"] == pytest.approx(0, abs=1e-5)
    assert any("p.csv: cannot state an origin" in line and "true pixels" in line for line in recorder.said)
    assert f"{text} states none and is taken for true pixels" in "".join(found.notes)


def test_the_mean_shape_at_true_places_is_that_of_the_true_places(tmp_path: Path) -> None:
    """Its own labels have an origin, in crops of which a pixel is 2 of the source images, turned by 90 degrees."""
    origin, points = (3.0, -1.0), shapes() / 4
    maps = np.broadcast_to([[0, -2.0, 200], [2.0, 0, 9]], (6, 2, 3))
    moved = np.array([-0.5, -1.5])  # the origin in pixels of the crops
    shared: dict[str, Any] = {"images": plain_images(6, 48), "to_source": maps}
    plain = write_faces(tmp_path / "plain.h5", points, **shared)
    truth = write_faces(tmp_path / "truth.h5", points + moved, conventions=[Convention("a", origin)], **shared)
    with open_faces(truth) as faces:
        np.testing.assert_allclose(faces.true_landmarks, points, atol=1e-4)
    values = [run([plain], path, mean_shape=str(path)).rows[-1].values for path in (plain, truth)]
    assert values[1]["nme_true_percent"] == pytest.approx(values[0]["nme_percent"], abs=1e-4)
    assert values[1]["nme_percent"] == pytest.approx(values[0]["nme_percent"], abs=1e-4)
