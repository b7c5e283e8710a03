"""Dense points that programs answer with, dumped as JSON: MediaPipe's face mesh and InsightFace's 106 points."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_reading import read_all
from reporters import Recorder
from test_format_downloads import picture, write_text

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import find_format, insightface, mediapipe
from kdtools.errors import DataError

WIDTH, HEIGHT = 80, 60


def mesh(n_points: int, k: int) -> np.ndarray:
    """Shares of a picture (n_points, 2)."""
    return np.random.default_rng(k).uniform(0.2, 0.8, (n_points, 2))


def landmarks(shares: np.ndarray) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": 0.01} for x, y in shares.tolist()]


def pixels(k: int) -> np.ndarray:
    return np.random.default_rng(k).uniform(5, 55, (106, 2))


def face(k: int) -> dict[str, Any]:
    return {"bbox": [1.0, 2, 50, 58], "det_score": 0.5, "pose": [0, 1, 2], "landmark_2d_106": pixels(k).tolist()}


def write_mediapipe(folder: Path, n_points: int = 468) -> Path:
    for k, name in enumerate("ab"):
        picture(folder / f"{name}.png", WIDTH, HEIGHT)
        document = {"faceBlendshapes": [], "faceLandmarks": [landmarks(mesh(n_points, k))]}
        write_text(folder / f"{name}.json", json.dumps(document))
    return folder


def write_insightface(folder: Path) -> Path:
    for name in "ab":
        picture(folder / f"{name}.png", WIDTH, HEIGHT)
    return write_text(folder / "faces.json", json.dumps({"a.png": [face(0), face(1)], "b.png": [face(2)]}))


SAMPLES: dict[str, Callable[[Path], Path]] = {"mediapipe": write_mediapipe, "insightface": write_insightface}


def test_mesh_with_irises_beside_pictures(tmp_path: Path) -> None:
    source = write_mediapipe(tmp_path, 478)
    assert find_format("auto", source).name == "mediapipe"
    found, skips = read_all(mediapipe.FORMAT, source)
    assert skips == []
    assert [one.id for one in found] == ["a.png", "b.png"]
    for k, one in enumerate(found):
        np.testing.assert_allclose(one.points, mesh(478, k)[:468] * (WIDTH, HEIGHT), atol=1e-9)
    with pytest.raises(DataError, match="shares of the images' width and height"):
        read_all(mediapipe.FORMAT, source, pictures=False)


@pytest.mark.parametrize("form", ["by key", "by name", "protobuf", "pairs"])
def test_forms_of_a_mesh(form: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", WIDTH, HEIGHT)
    shares = mesh(468, 7)
    document: Any = {
        "by key": [{"image": "a.png", "face_landmarks": [landmarks(shares), landmarks(shares / 2)]}],
        "by name": {"a.png": {"face_landmarks": [landmarks(shares), landmarks(shares / 2)]}},
        "protobuf": {
            "image": "a.png",
            "multi_face_landmarks": [{"landmark": landmarks(shares)}, {"landmark": landmarks(shares / 2)}],
        },
        "pairs": {"image": "a.png", "face_landmarks": [shares.tolist(), (shares / 2).tolist()]},
    }[form]
    found, skips = read_all(mediapipe.FORMAT, write_text(tmp_path / "all.json", json.dumps(document)))
    assert skips == []
    assert [one.id for one in found] == ["a.png", "a.png#2"]
    np.testing.assert_allclose(found[0].points, shares * (WIDTH, HEIGHT), atol=1e-9)
    np.testing.assert_allclose(found[1].points, shares * (WIDTH, HEIGHT) / 2, atol=1e-9)


def test_a_mesh_in_pixels_needs_no_picture(tmp_path: Path) -> None:
    points = mesh(468, 3) * (WIDTH, HEIGHT)
    source = write_text(tmp_path / "a.json", json.dumps({"face_landmarks": [landmarks(points)]}))
    (one,), _ = read_all(mediapipe.FORMAT, source, pictures=False)
    np.testing.assert_allclose(one.points, points, atol=1e-9)
    short = write_text(tmp_path / "b.json", json.dumps({"image": "b.png", "face_landmarks": [landmarks(points[:5])]}))
    picture(tmp_path / "b.png", WIDTH, HEIGHT)
    found, skips = read_all(mediapipe.FORMAT, short)
    assert found == []
    assert "5 points, where MediaPipe's face mesh has 468 or 478" in skips[0][1]


def test_faces_of_insightface(tmp_path: Path) -> None:
    source = write_insightface(tmp_path)
    assert find_format("auto", source).name == "insightface"
    for pictures in (True, False):
        found, skips = read_all(insightface.FORMAT, source, pictures=pictures)
        assert skips == []
        assert [one.id for one in found] == ["a.png", "a.png#2", "b.png"]
        np.testing.assert_allclose(np.stack([one.points for one in found]), [pixels(k) for k in range(3)], atol=1e-9)
        assert [list(one.box) for one in found] == [[1, 2, 50, 58]] * 3
        assert [one.score for one in found] == [0.5] * 3


def test_a_list_of_faces_is_of_the_picture_of_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "party.png", WIDTH, HEIGHT)
    broken = {**face(1), "landmark_2d_106": pixels(1)[:100].tolist()}
    source = write_text(tmp_path / "party.json", json.dumps([face(0), broken]))
    (one,), skips = read_all(insightface.FORMAT, source)
    assert one.id == "party.png"
    assert "not a list of 106 pairs" in skips[0][1]


@pytest.mark.parametrize(
    "header", [["{k}_x", "{k}_y", "{k}_z"], ["x{k}", "y{k}", "z{k}"], ["landmark_{k}_x", "landmark_{k}_y"]]
)
@pytest.mark.parametrize("n_points", [468, 478])
def test_a_wide_table_of_the_mesh(header: list[str], n_points: int, tmp_path: Path) -> None:
    """A row a picture, as people write it with pandas: shares, with or without the depth."""
    names = [column.format(k=k) for k in range(n_points) for column in header]
    lines = [",".join(["image", *names])]
    for k, name in enumerate("ab"):
        picture(tmp_path / f"{name}.png", WIDTH, HEIGHT)
        cells = np.column_stack([mesh(n_points, k), np.full(n_points, -0.03)])[:, : len(header)]
        lines.append(",".join([f"{name}.png", *map(str, cells.reshape(-1))]))
    path = write_text(tmp_path / "mesh.csv", "\n".join(lines) + "\n")
    found = read_annotations(Sources([str(path)]), Recorder())
    expected = [mesh(n_points, k) * (WIDTH, HEIGHT) for k in range(2)]
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), expected, atol=1e-9)
