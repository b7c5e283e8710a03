"""Images that their EXIF orientation turns: points may belong to the upright image, or to the stored one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_import_faces import centroid, write_blob_image

from kdtools.cli import kd_import
from kdtools.cli._app import session
from kdtools.cli._exit import USAGE
from kdtools.faces.file import open_faces
from kdtools.images.reading import is_turned, read_image, read_reduced, stored_size

WIDTH, HEIGHT = 120, 90
POINTS = np.array([[50.0, 15.0], [95.0, 20.0], [72.0, 40.0], [55.0, 70.0], [90.0, 74.0]])
TURN_AND_FLIP = 5  # of the eight orientations, one that mirrors as well


def write_turned(path: Path, orientation: int) -> None:
    """Blobs at POINTS of the stored image, and an orientation that says how to turn it."""
    write_blob_image(path.with_suffix(".png"), POINTS, WIDTH, HEIGHT)
    with Image.open(path.with_suffix(".png")) as image:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(path, exif=exif, quality=95)
    path.with_suffix(".png").unlink()


def upright(points: np.ndarray, orientation: int) -> np.ndarray:
    """Where points of the stored image lie in the upright one, by the EXIF standard's table."""
    x, y = points.T
    across, down = WIDTH - 1 - x, HEIGHT - 1 - y
    return np.stack(
        {
            1: (x, y), 2: (across, y), 3: (across, down), 4: (x, down),
            5: (y, x), 6: (down, x), 7: (down, across), 8: (y, across),
        }[orientation],
        axis=1,
    )  # fmt: skip


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    session.verbosity = session.n_skipped = 0
    monkeypatch.setattr(sys, "argv", ["kd-import", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        kd_import.main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stored", [True, False])
def test_points_stay_on_what_they_mark(
    orientation: int, stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_turned(tmp_path / "a.jpg", orientation)
    points = POINTS if stored else upright(POINTS, orientation)
    (tmp_path / "a.csv").write_text("a.jpg," + ",".join(map(str, points.reshape(-1))) + "\n")
    options = ["--exif", "keep"] if stored else []
    assert call(monkeypatch, tmp_path / "a.csv", "-o", tmp_path / "a.h5", "--size", "64", *options) == 0
    warned = "give --exif keep" in capsys.readouterr().err
    assert warned == (orientation > 1 and not stored)
    with open_faces(tmp_path / "a.h5") as faces:
        image, landmarks = np.asarray(faces.images[0]), np.asarray(faces.h5["landmarks"][0])
    for point in landmarks:
        np.testing.assert_allclose(centroid(image, point, 5), point, atol=0.35)


@pytest.mark.parametrize("orientation", [1, 3, TURN_AND_FLIP, 6])
def test_sizes_of_headers_are_those_of_the_stored_image(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_turned(path, orientation)
    assert stored_size(path) == (HEIGHT, WIDTH)
    assert is_turned(path) == (orientation > 1)
    assert read_image(path, upright=False).shape[:2] == (HEIGHT, WIDTH)
    assert read_image(path).shape[:2] == ((WIDTH, HEIGHT) if orientation >= TURN_AND_FLIP else (HEIGHT, WIDTH))
    small, reduction, size = read_reduced(path, 2, upright=False)
    assert (small.shape[:2], reduction, size) == ((HEIGHT // 2, WIDTH // 2), 2, (HEIGHT, WIDTH))


def test_damaged_headers_are_left_to_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_turned(path, 6)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        for at in rng.integers(2, 200, 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        assert is_turned(path) in (True, False)
        stored_size(path)


def test_points_alone_have_no_images_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("a.jpg,1,2,3,4\n")
    words = (tmp_path / "a.csv", "-o", tmp_path / "a.h5", "--no-images", "--exif", "keep")
    assert call(monkeypatch, *words) == USAGE
    assert "--exif has nothing to do" in capsys.readouterr().err
