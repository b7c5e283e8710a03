"""Yaw, pitch and roll: AFLW2000's signs, made views, other heads, missing points, and columns of kd-dump."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from contract.running import run_tool
from factories import write_faces

from kdtools.datasets.formats.shared.matlab import read_mat
from kdtools.errors import UsageError
from kdtools.images.head_pose import angles_of, head_poses, rotation_of
from kdtools.landmarks import IBUG68, SCHEMES
from kdtools.landmarks.head_shape import mean_head

VIEWS = np.array(
    [(yaw, pitch, roll) for yaw in (-60, 0, 25) for pitch in (-30, 0, 20) for roll in (-40, 0, 170)], float
)


def seen(angles: np.ndarray, distance: float, size: float = 200) -> np.ndarray:
    """The mean head's points (68, 2) in pixels, turned by yaw, pitch and roll, from so many face widths away."""
    shape = mean_head() @ rotation_of(angles).T
    plane = shape[:, :2] * (2 * distance / (2 * distance - shape[:, 2:]))
    return np.asarray(plane * (size / 2, -size / 2) + (400, 300))


def test_angles_and_rotations_are_inverse() -> None:
    for angles in VIEWS:
        np.testing.assert_allclose(angles_of(rotation_of(angles)), angles, atol=1e-9)


def test_the_signs() -> None:
    """Of the face in the picture: to its left, up, and clockwise are above 0."""
    frontal = seen(np.zeros(3), 10)
    left, up, clockwise = (seen(np.eye(3)[k] * 20, 10) for k in range(3))
    between_eyes = frontal[36:48].mean(axis=0)
    assert left[30, 0] - left[36:48, 0].mean() < frontal[30, 0] - between_eyes[0] - 5
    assert up[30, 1] - up[36:48, 1].mean() < frontal[30, 1] - between_eyes[1] - 5
    assert clockwise[45, 1] > clockwise[36, 1] + 5


@pytest.mark.parametrize("distance", [4.0, 10.0, 1000.0])
def test_made_views(distance: float) -> None:
    """The mean head itself, from near and far; the camera's distance is not known."""
    points = np.stack([seen(angles, distance) for angles in VIEWS])
    error = np.abs(head_poses(points, IBUG68) - VIEWS)
    assert error.max() < (8 if distance == 4 else 3)
    assert error.mean() < 2


def test_aflw2000(shared_dir: Path) -> None:
    """Its signs, and its angles: faces of others, fitted by another 3-D model."""
    files = sorted((shared_dir / "data/annotations/aflw2000/AFLW2000").glob("*.mat"))
    if not files:
        pytest.skip("AFLW2000 is not there")
    found = [read_mat(path, ["pt3d_68", "Pose_Para"]) for path in files]
    points = np.stack([np.asarray(one["pt3d_68"])[:2].T for one in found])
    stated = np.degrees([np.asarray(one["Pose_Para"])[0, [1, 0, 2]] for one in found])
    error = head_poses(points, IBUG68) - stated
    assert np.abs(error).mean(axis=0).max() < 4
    large = np.abs(stated) > 15
    assert np.all(np.sign(stated + error)[large] == np.sign(stated)[large])


def test_missing_points_and_other_schemes() -> None:
    points = np.stack([seen(np.array([20.0, 5, -3]), 1000)] * 5)
    points[1, :17] = np.nan  # the jaw is of no account
    points[2, 26:] = np.nan  # too few
    points[3] = np.nan
    points[4] = 7
    poses = head_poses(points, IBUG68)
    np.testing.assert_allclose(poses[1], poses[0])
    assert np.isnan(poses[2:]).all()
    np.testing.assert_allclose(head_poses(points[:1, 17:], SCHEMES["ibug51"]), poses[:1])
    with pytest.raises(UsageError, match="cofw29"):
        head_poses(np.zeros((1, 29, 2)), SCHEMES["cofw29"])
    assert head_poses(np.empty((0, 68, 2)), IBUG68).shape == (0, 3)


def test_columns(tmp_path: Path) -> None:
    points = np.stack([seen(np.array([20.0, 5, -3]), 1000), np.full((68, 2), np.nan)])
    faces = write_faces(tmp_path / "f.h5", points)
    done = run_tool("kd-dump", faces, "--head-pose", "--details")
    rows = list(csv.DictReader(done.stdout.decode().splitlines()))
    assert list(rows[0])[5:11] == ["score", "confidence", "yaw", "pitch", "roll", "x0"]
    assert [float(rows[0][name]) for name in ("yaw", "pitch", "roll")] == pytest.approx([20, 5, -3], abs=2)
    assert [rows[1][name] for name in ("yaw", "pitch", "roll")] == [""] * 3
    done = run_tool("kd-dump", faces, "--head-pose", "--format", "jsonl")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["roll"] == pytest.approx(-3, abs=1)
    assert second["yaw"] is None
    table = tmp_path / "t.csv"
    table.write_bytes(run_tool("kd-dump", faces, "--head-pose").stdout)
    read = run_tool("kd-import", table, "--no-images", "-o", tmp_path / "again.h5")
    assert read.status == 4, read.stderr
    assert "skipped face1: has no annotated point" in read.stderr
    again = run_tool("kd-dump", tmp_path / "again.h5", "--head-pose")
    assert again.stdout.splitlines() == table.read_bytes().splitlines()[:2]


def test_what_is_refused(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "f.h5", np.zeros((1, 29, 2)))
    done = run_tool("kd-dump", faces, "--head-pose")
    assert (done.status, done.stdout) == (2, b"")
    assert "schemes that do: ibug68, ibug51, wflw98" in done.stderr
    done = run_tool("kd-dump", faces, "--head-pose", "--format", "coco")
    assert done.status == 2
