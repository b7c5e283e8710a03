"""The origin of labels, from predictions over mirror images: numbers, signs, sizes, refusals, and the file written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from contract.running import Result, run_tool
from factories import plain_images, write_faces

from kdtools.errors import DataError
from kdtools.evaluation.origin import Estimate, estimate_origins
from kdtools.faces import open_faces
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard
from kdtools.prediction.engines import FlippedEngine
from kdtools.reporting import SILENT

N = 120
LFPW, HELEN = Convention("300w/lfpw", (0.0, 0.3)), Convention("300w/helen")


def shapes(seed: int, n: int = N) -> np.ndarray:
    """True places (n, 68, 2) of faces 40 to 400 px wide."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(40, 400, n)[rng.permutation(n)]
    return (rng.uniform(-0.5, 0.5, (n, 68, 2)) * sizes[:, None, None] + 500).astype(np.float64)


def write_predictions(path: Path, points: np.ndarray, *, flipped: bool = True, ids: list[str] | None = None) -> Path:
    write_faces(path, points, role="predicted", ids=ids)
    with h5py.File(path, "r+") as h5:
        if flipped:
            h5["landmarks"].attrs["flipped"] = True
    return path


def noise_of(points: np.ndarray, seed: int, share: float = 0.01) -> np.ndarray:
    """Errors that grow with the face, those of a face alike in a part, as a network's are."""
    rng = np.random.default_rng(seed)
    sizes = np.ptp(points, axis=1).max(axis=1)[:, None, None]
    return share * sizes * (rng.normal(0, 1, points.shape) + rng.normal(0, 0.3, (len(points), 1, 2)))


def estimates(labels: Path, predictions: Path) -> list[Estimate]:
    with open_faces(labels) as faces, open_faces(predictions) as found:
        return estimate_origins(faces, faces.conventions, found, None, SILENT)


def test_known_origins_are_found_within_their_intervals(tmp_path: Path) -> None:
    """Each convention's own, of faces small and large, with its sign."""
    true = np.concatenate([shapes(0), shapes(1), shapes(2)])
    labels = true + noise_of(true, 3, 0.005)
    labels[:N, :, 0] += 0.7
    labels[N : 2 * N, :, 0] -= 0.4
    names = [LFPW.name] * N + [HELEN.name] * N + [""] * N
    path = write_faces(tmp_path / "a.h5", labels, conventions=[LFPW, HELEN], convention=names)
    found = estimates(path, write_predictions(tmp_path / "p.h5", true + noise_of(true, 4)))
    assert [(one.convention, one.faces, one.people) for one in found] == [
        ("", N, N), (HELEN.name, N, N), (LFPW.name, N, N)
    ]  # fmt: skip
    for one, expected in zip(found, (0.0, -0.4, 0.7), strict=True):
        assert one.low is not None
        assert one.high is not None
        assert one.low < expected < one.high
        assert one.high - one.low < 0.6
        assert one.small == pytest.approx(expected, abs=0.2)
    assert [one.is_none for one in found] == [True, False, False]
    assert found[2].origin == (round(found[2].x or 0, 3), 0.3)  # y is what the file states
    assert found[0].origin == (0.0, 0.0)


def test_mirrored_data_turn_the_sign(tmp_path: Path) -> None:
    true = shapes(0)
    labels = true + [0.7, 0]
    mirror = list(IBUG68.mirror or ())

    def mirrored(points: np.ndarray) -> np.ndarray:
        return points[:, mirror] * [-1, 1] + [1000, 0]

    plain = estimates(write_faces(tmp_path / "a.h5", labels), write_predictions(tmp_path / "p.h5", true))
    turned = estimates(
        write_faces(tmp_path / "b.h5", mirrored(labels)), write_predictions(tmp_path / "q.h5", mirrored(true))
    )
    assert plain[0].x == pytest.approx(0.7, abs=1e-4)
    assert turned[0].x == pytest.approx(-0.7, abs=1e-4)


def test_labels_in_crops_that_are_scaled_and_turned(tmp_path: Path) -> None:
    """The origin is in pixels of the photographs, whatever the crop."""
    crops = np.random.default_rng(0).uniform(20, 100, (N, 68, 2))
    angles = np.linspace(-1, 1, N)
    maps = np.zeros((N, 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = 0.5 * np.cos(angles)
    maps[:, 1, 0] = 0.5 * np.sin(angles)
    maps[:, 0, 1] = -maps[:, 1, 0]
    path = write_faces(tmp_path / "a.h5", crops, images=plain_images(N, 128), to_source=maps)
    with open_faces(path) as faces:
        true = faces.points("source") - [0.9, 0]
    found = estimates(path, write_predictions(tmp_path / "p.h5", true))
    assert found[0].x == pytest.approx(0.9, abs=1e-3)


class _LeftToRight:
    """An engine that finds two bright dots, from left to right, and has learnt an offset in x, px."""

    threads, batch, name, has_confidence = 1, 8, "dots", False

    def __init__(self, offset: float) -> None:
        scheme = Scheme("dots", 2, mirror=(1, 0))
        self.card = ModelCard("none", 64, scheme, CropRule(), (0, 0, 0), (1, 1, 1))
        self.offset = offset

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        found = []
        for crop in crops[..., 0]:
            y, x = np.nonzero(crop)
            order = np.argsort(x)
            found.append(np.stack([x[order] + self.offset, y[order]], axis=1))
        return (np.float32(found) + 0.5) / 64 - 0.5, None


@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_what_a_network_has_learnt_of_an_origin_cancels(offset: float) -> None:
    images = plain_images(4, 64)
    points = np.array([[[10, 20], [50, 30]], [[5, 40], [21, 9]], [[0, 0], [63, 63]], [[30, 1], [31, 2]]])
    for image, dots in zip(images, points, strict=True):
        image[dots[:, 1], dots[:, 0]] = 255
    units, _ = FlippedEngine(_LeftToRight(offset)).predict(images)
    np.testing.assert_allclose((units + 0.5) * 64 - 0.5, points, atol=1e-4)


def test_points_without_their_partner_and_far_predictions_say_nothing(tmp_path: Path) -> None:
    """Where one side of the jaw alone is annotated, and drawn wider, the mean would move to that side."""
    true = shapes(0)
    labels = true + [0.5, 0]
    labels[:, :8, 0] -= 30
    labels[:, 9:17] = np.nan
    predictions = true.copy()
    predictions[0] += 300
    found = estimates(write_faces(tmp_path / "a.h5", labels), write_predictions(tmp_path / "p.h5", predictions))
    assert (found[0].faces, found[0].left_out) == (N - 1, 1)
    assert found[0].x == pytest.approx(0.5, abs=1e-4)


def test_faces_of_one_person_count_as_one(tmp_path: Path) -> None:
    """Ten people with their own habits: the interval is as wide as of ten values, not of 120."""
    true = shapes(0)
    offset = np.repeat(np.random.default_rng(1).normal(0.5, 1, 10), 12)
    ids = [f"person{'abcdefghij'[k // 12]}_{k % 12}.jpg" for k in range(N)]
    labels = true + np.stack([offset, np.zeros(N)], axis=1)[:, None]
    path = write_faces(tmp_path / "a.h5", labels, ids=ids)
    found = estimates(path, write_predictions(tmp_path / "p.h5", true, ids=ids))
    assert found[0].people == 10
    assert found[0].low is not None
    assert found[0].high is not None
    assert found[0].high - found[0].low > 1


# ---- the tool
def origin(*words: object) -> Result:
    return run_tool("kd-origin", *words)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    true = shapes(0)
    write_faces(tmp_path / "faces.h5", true + [0.7, 0], subset_odd=np.arange(N) % 2)
    write_predictions(tmp_path / "flipped.h5", true)
    write_predictions(tmp_path / "plain.h5", true, flipped=False)
    return tmp_path


def test_the_file_written_states_the_origin_and_keeps_the_labels(files: Path) -> None:
    result = origin(files / "faces.h5", files / "flipped.h5", "--convention", "300w/lfpw", "-o", files / "o.h5")
    assert (result.status, result.stdout) == (0, b"")
    assert "300w/lfpw: origin +0.70 px in x (95 % interval" in result.stderr
    with open_faces(files / "o.h5") as faces, open_faces(files / "faces.h5") as before:
        assert faces.conventions.names == ("300w/lfpw",)
        assert faces.conventions.all[0].origin == (0.7, 0.0)
        np.testing.assert_array_equal(faces.landmarks, before.landmarks)
        np.testing.assert_allclose(faces.true_landmarks, shapes(0), atol=1e-3)
        assert faces.subsets["odd"].sum() == N // 2
    words = (files / "flipped.h5", "--truth", files / "o.h5", "--norm", "1", "--json")
    row: dict[str, Any] = json.loads(run_tool("kd-eval", *words).stdout)[0]
    assert row["nme_percent"] == pytest.approx(70, abs=0.1)  # of one pixel
    assert row["nme_true_percent"] == pytest.approx(0, abs=0.1)


def test_what_is_printed(files: Path) -> None:
    result = origin(files / "faces.h5", files / "flipped.h5")
    assert result.status == 0
    heading, row = (line.split("\t") for line in result.stdout.decode().splitlines())
    values = dict(zip(heading, row, strict=True))
    assert (values["convention"], values["faces"], values["x"], values["y"]) == ("", str(N), "0.7000", "0.0000")
    record = json.loads(origin(files / "faces.h5", files / "flipped.h5", "--json").stdout)
    assert record["x"] == pytest.approx(0.7, abs=1e-4)
    assert record["size_small"] < record["size_large"]


def test_what_cannot_be_estimated_is_refused(files: Path) -> None:
    faces, flipped, output = files / "faces.h5", files / "flipped.h5", files / "o.h5"
    write_faces(files / "few.h5", shapes(0)[:5])
    write_faces(files / "own.h5", shapes(0)[:, :5], scheme=Scheme("own", 5))
    write_predictions(files / "five.h5", shapes(0)[:, :5])
    write_faces(files / "named.h5", shapes(0), conventions=[HELEN])
    for words, status, told in (
        ((faces, files / "plain.h5"), 1, "find the points again with kd-predict --flip"),
        ((faces, faces), 1, "holds hard landmarks, but predictions are needed"),
        ((faces, flipped, "-o", output), 2, "name it: --convention NAME"),
        ((files / "few.h5", flipped, "--convention", "a", "-o", output), 1, "no origin could be estimated"),
        ((faces, files / "five.h5"), 1, "68 points per face, but"),
        ((files / "own.h5", files / "five.h5"), 1, "does not say which points are mirror images"),
        ((faces, flipped, "--convention", "a/", "-o", output), 2, "an annotation convention cannot be called 'a/'"),
        ((files / "named.h5", flipped, "--convention", "a", "-o", output), 2, "all of"),
        ((faces, flipped, "--convention", "a", "--json", "-o", "-"), 2, "both go to standard output"),
    ):
        result = origin(*words)
        assert result.status == status, (words, result.stderr)
        assert told in result.stderr
        assert not output.exists()
    assert "5 people with sound predictions are too few for an origin" in origin(files / "few.h5", flipped).stderr


def test_predictions_are_no_labels(tmp_path: Path) -> None:
    pred = write_predictions(tmp_path / "p.h5", shapes(0))
    with pytest.raises(DataError, match="holds predicted landmarks, but labels are needed"):
        estimates(pred, pred)
