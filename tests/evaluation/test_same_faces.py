"""Predictions and truth of the same names that do not mean the same points, or the same pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import drawn_faces, write_faces
from reporters import Recorder

from kdtools.errors import DataError
from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.request import Request
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.storage.provenance import Provenance

IBUG68 = SCHEMES["ibug68"]
OTHER = replace(IBUG68, outer_corners=(0, 16))


@pytest.mark.parametrize("known", [True, False])
def test_other_corners_under_one_name(known: bool, tmp_path: Path) -> None:
    """An error, for a known scheme as for one's own, whose points have no names."""
    _, points = drawn_faces(3, 64, 1)
    own = Scheme("own", 68, outer_corners=(36, 45))
    one, two = (OTHER, IBUG68) if known else (replace(own, outer_corners=(0, 16)), own)
    truth = write_faces(tmp_path / "truth.h5", points, scheme=one)
    pred = write_faces(tmp_path / "pred.h5", points + 1, scheme=two, role="predicted")
    for norm in (None, "inter-ocular"):
        with pytest.raises(DataError, match="other outer"):
            evaluate(Request([str(pred)], str(truth), norm=norm))


def test_other_corners_than_usual_are_told(tmp_path: Path) -> None:
    _, points = drawn_faces(3, 64, 1)
    truth = write_faces(tmp_path / "truth.h5", points, scheme=OTHER)
    pred = write_faces(tmp_path / "pred.h5", points + 1, scheme=OTHER, role="predicted")
    recorder = Recorder()
    evaluate(Request([str(pred)], str(truth), norm="inter-ocular"), recorder)
    assert any("(0, 16)" in text and "(36, 45)" in text for text in recorder.warned)


def test_predictions_of_other_pictures_under_the_same_ids(tmp_path: Path) -> None:
    """Told by the hashes that files record; the same pictures, and files made from each other, are not warned of."""
    images, points = drawn_faces(4, 64, 1)
    others, _ = drawn_faces(4, 64, 2)
    truth = write_faces(tmp_path / "test.h5", points, images=images)
    (tmp_path / "then").mkdir()
    other = write_faces(tmp_path / "then" / "test.h5", points, images=others)

    def warnings_of(made_from: Path, against: Path) -> list[str]:
        provenance = Provenance("kd-predict").with_inputs([made_from])
        pred = write_faces(tmp_path / "pred.h5", points + 1, role="predicted", provenance=provenance)
        recorder = Recorder()
        evaluate(Request([str(pred)], str(against)), recorder)
        return [text for text in recorder.warned if "SHA-256" in text]

    assert warnings_of(truth, truth) == []
    (told,) = warnings_of(other, truth)
    assert "another" in told
    from_truth = Provenance("kd-merge").with_inputs([truth])
    stripped = write_faces(tmp_path / "stripped.h5", points, provenance=from_truth)
    assert warnings_of(truth, stripped) == []
    assert warnings_of(stripped, truth) == []
    assert len(warnings_of(other, stripped)) == 1
    part = write_faces(tmp_path / "part.h5", points, provenance=Provenance("kd-merge").with_inputs([stripped]))
    assert warnings_of(truth, part) == []  # two steps away
    notes = tmp_path / "notes.json"
    notes.write_text("{}")
    twice = [
        write_faces(tmp_path / name, points, images=pixels, provenance=Provenance("kd-import").with_inputs([notes]))
        for name, pixels in (("crops.h5", images), ("whole.h5", None))
    ]
    assert warnings_of(twice[0], twice[1]) == []  # imported twice from one source
    shards = write_faces(tmp_path / "shard.h5", points, provenance=Provenance("kd-predict").with_inputs([notes]))
    joined = write_faces(tmp_path / "all.h5", points, provenance=Provenance("kd-merge").with_inputs([shards]))
    recorder = Recorder()
    evaluate(Request([str(joined)], str(truth)), recorder)
    assert recorder.warned == []  # shards do not tell
    np.testing.assert_equal(len(points), 4)
