"""kd-dump --aligned: eyes, nose and mouth are where the template has them, from the file's images or photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from contract.running import run_tool
from factories import drawn_faces, plain_images, write_faces

from kdtools.images.cropping import warp_square
from kdtools.images.drawing import write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import IBUG68, scheme_named
from kdtools.landmarks.alignment import TEMPLATE, five_point_weights, five_points
from kdtools.landmarks.geometry import apply_affine

SPOTS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def marked_photograph(points: np.ndarray, side: int) -> np.ndarray:
    """A grey image with a coloured disc at each of five points."""
    image = plain_images(1, side, 90)[0]
    for (x, y), colour in zip(points, SPOTS, strict=True):
        cv2.circle(image, (round(16 * x), round(16 * y)), 16 * 7, colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    return image


def spots_in(image: np.ndarray) -> np.ndarray:
    """Centres (5, 2) of the discs."""
    centres = []
    for colour in SPOTS:
        near = np.clip(1 - np.abs(image.astype(float) - colour).max(axis=2) / 80, 0, None)
        rows, columns = np.indices(near.shape)
        centres.append([(columns * near).sum() / near.sum(), (rows * near).sum() / near.sum()])
    return np.array(centres)


def placed(degrees: float, scale: float, side: int) -> np.ndarray:
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return (TEMPLATE - 56) @ np.array([[cos, sin], [-sin, cos]]) + side / 2


@pytest.mark.parametrize("size", [112, 160])
def test_from_photographs(tmp_path: Path, size: int) -> None:
    """Faces of predictions, turned, small and five times as large as the crop; those of one photograph have #2."""
    photos, five = tmp_path / "photos", []
    for k, (degrees, scale, side) in enumerate(((0, 1, 200), (40, 2, 400), (-130, 5.3, 1100))):
        five.append(placed(degrees, scale, side))
        photos.mkdir(exist_ok=True)
        write_image(photos / f"{k}.png", cv2.resize(marked_photograph(five[-1], side), None, fx=1, fy=1))
    points = np.array([*five, five[0]])
    sources = [str(tmp_path / "elsewhere" / f"{k}.png") for k in (0, 1, 2, 0)]
    ids = ["a/0.png", "1.jpg", "2", "a/0.png#2"]
    faces = write_faces(
        tmp_path / "p.h5", points, ids=ids, scheme=scheme_named("points5"), role="predicted", source=sources
    )
    words = ["--aligned", tmp_path / "out", "--images", photos, "-o", tmp_path / "p.csv"]
    done = run_tool("kd-dump", faces, *words, *(["--size", str(size)] if size != 112 else []))
    assert (done.status, done.stderr.splitlines()[1:]) == (0, []), done.stderr
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert files == ["1.jpg.png", "2.png", "a/0.png", "a/0.png#2.png"]
    for name in files:
        image = read_image(tmp_path / "out" / name)
        assert image.shape == (size, size, 3)
        np.testing.assert_allclose(spots_in(image), TEMPLATE * size / 112, atol=0.35)


def test_from_the_files_images(tmp_path: Path) -> None:
    """Points of 68 in crops; with --pixels source the photographs are wanted, which are not there."""
    images, points = drawn_faces(3, 96, 1)
    points[1, 30] = np.nan
    faces = write_faces(tmp_path / "f.h5", points, images=images, source=["x.png", "y.png", "z.png"])
    done = run_tool("kd-dump", faces, "--aligned", tmp_path / "out", "-o", tmp_path / "f.csv")
    assert done.status == 4
    assert "face1: one of its eyes, nose and corners of the mouth is missing" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["face0.png", "face2.png"]
    five = five_points(points[:1], five_point_weights(IBUG68))
    from kdtools.landmarks.alignment import aligned_to_source

    expected = warp_square(images[0], aligned_to_source(five, 112)[0], 112)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "face0.png"), expected)
    done = run_tool("kd-dump", faces, "--aligned", tmp_path / "b", "--pixels", "source", "-o", tmp_path / "g.csv")
    assert (done.status, (tmp_path / "b").exists(), (tmp_path / "g.csv").exists()) == (1, False, False)
    assert "no face could be aligned" in done.stderr


def test_a_large_face_is_averaged_and_outside_is_black() -> None:
    """A checkerboard of single pixels becomes grey, not a pattern."""
    board = np.indices((800, 800)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    crop = warp_square(image, np.array([[8.0, 0, 4], [0, 8.0, 4]]), 96)
    assert np.abs(crop[5:-5, 5:-5].astype(int) - 127).max() <= 2
    assert warp_square(image, np.array([[1.0, 0, 750], [0, 1.0, 0]]), 112)[:, 60:].max() == 0
    corners = apply_affine(np.array([[0.0, -1, 111], [1, 0, 0]]), np.array([[0.0, 0], [111, 0]]))
    picture = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)
    quarter = warp_square(picture, np.array([[0.0, -1, 111], [1, 0, 0]]), 112)
    np.testing.assert_array_equal(quarter, np.rot90(picture))
    assert corners.tolist() == [[111, 0], [111, 111]]


def test_what_is_refused(tmp_path: Path) -> None:
    images, points = drawn_faces(2, 64, 1)
    write_image(tmp_path / "0.png", images[0])
    before = (tmp_path / "0.png").read_bytes()
    source = [str(tmp_path / "0.png")] * 2
    faces = write_faces(tmp_path / "f.h5", points, ids=["0.png", "1"], role="predicted", source=source)
    done = run_tool("kd-dump", faces, "--aligned", tmp_path, "-f", "-o", tmp_path / "f.csv")
    assert done.status == 1
    assert "is one of the source images" in done.stderr
    assert (tmp_path / "0.png").read_bytes() == before
    assert run_tool("kd-dump", faces, "--size", "64").status == 2
    two = write_faces(tmp_path / "two.h5", points[:, :2], images=images)
    done = run_tool("kd-dump", two, "--aligned", tmp_path / "out")
    assert done.status == 1
    assert "does not say which of its points are left_eye" in done.stderr
    assert not (tmp_path / "out").exists()
    for others in (
        ["--crops", tmp_path / "out", "-o", tmp_path / "x.csv"],
        ["--format", "pts", "-o", tmp_path / "out"],
    ):
        done = run_tool("kd-dump", faces, "--aligned", f"{tmp_path}/./out", *others)
        assert done.status == 2
        assert "--aligned needs a folder of its own" in done.stderr
    climbing = write_faces(tmp_path / "up.h5", points, images=images, ids=["../a", "b"])
    done = run_tool("kd-dump", climbing, "--aligned", tmp_path / "out", "-o", tmp_path / "up.csv")
    assert (done.status, (tmp_path / "out").exists(), (tmp_path / "up.csv").exists()) == (1, False, False)


@pytest.mark.parametrize("aligned", ["out", "out/aligned", "."])
def test_a_folder_of_aligned_faces_is_none_of_the_others(
    aligned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crop called aligned/face0.png and the aligned face0.png would be one file."""
    images, points = drawn_faces(2, 48, 1)
    faces = write_faces(tmp_path / "f.h5", points, images=images, ids=["aligned/face0", "face0"])
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    for words in (["--crops", "out", "-o", "p.csv"], ["--format", "pts", "-o", "out"]):
        done = run_tool("kd-dump", faces, "--aligned", aligned, *words)
        assert done.status == 2
        assert "--aligned needs a folder of its own, outside the others" in done.stderr
    assert list(Path("out").iterdir()) == []


def test_a_table_may_lie_beside_its_aligned_faces(tmp_path: Path) -> None:
    images, points = drawn_faces(2, 48, 1)
    (tmp_path / "out").mkdir()
    faces = write_faces(tmp_path / "f.h5", points, images=images)
    done = run_tool("kd-dump", faces, "--aligned", tmp_path / "out", "-o", tmp_path / "out" / "p.csv")
    assert done.status == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["face0.png", "face1.png", "p.csv"]
