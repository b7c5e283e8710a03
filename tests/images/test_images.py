"""Reading images at a reduced size: same places, sizes as stated, in less time than the full image takes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.datasets.formats import Annotation
from kdtools.datasets.import_faces import crop_annotated
from kdtools.errors import FileError
from kdtools.images.drawing import write_image
from kdtools.images.reading import is_turned, may_be_turned, read_image, read_reduced
from kdtools.landmarks.crop_rule import CropRule, points_in_box

POINTS = np.array([[300.0, 400.0], [700.0, 430.0], [480.0, 800.0]])


def draw_blobs(height: int, width: int, sigma: float = 12.0) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in POINTS)
    return np.repeat((255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def write_jpeg(path: Path, image: np.ndarray, orientation: int = 1) -> None:
    """A JPEG of good quality; with an orientation, its EXIF segment says so."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    if orientation > 1:
        entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big")
        tiff = b"MM\0*\0\0\0\x08\0\x01" + entry + orientation.to_bytes(2, "big") + bytes(6)
        data = data[:2] + b"\xff\xe1" + (2 + 6 + len(tiff)).to_bytes(2, "big") + b"Exif\0\0" + tiff + data[2:]
    path.write_bytes(data)


def centroid(image: np.ndarray, near: np.ndarray, radius: int) -> np.ndarray:
    x0, y0 = np.round(near).astype(int) - radius
    part = image[max(y0, 0) : y0 + 2 * radius + 1, max(x0, 0) : x0 + 2 * radius + 1, 0].astype(float)
    y, x = np.mgrid[max(y0, 0) : max(y0, 0) + part.shape[0], max(x0, 0) : max(x0, 0) + part.shape[1]]
    return np.array([(x * part).sum(), (y * part).sum()]) / part.sum()


@pytest.mark.parametrize(("height", "width"), [(1000, 1200), (1001, 1203), (997, 1193)])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 8, 100])
def test_reduced_images_keep_their_places(tmp_path: Path, height: int, width: int, most: int) -> None:
    write_jpeg(tmp_path / "a.jpg", draw_blobs(height, width))
    image, reduction, full = read_reduced(tmp_path / "a.jpg", most)
    assert reduction == {1: 1, 2: 2, 3: 2, 4: 4, 7: 4, 8: 8, 100: 8}[most]
    assert full == (height, width)
    assert image.shape == (-(-height // reduction), -(-width // reduction), 3)
    for point in POINTS:
        there = (point + 0.5) / reduction - 0.5
        assert np.abs(centroid(image, there, 60 // reduction) - there).max() < 0.05


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("height", "width"), [(1000, 1200), (1001, 1203)])
def test_reduced_images_are_turned_as_full_ones_are(tmp_path: Path, height: int, width: int, orientation: int) -> None:
    write_jpeg(tmp_path / "a.jpg", draw_blobs(height, width), orientation)
    upright = read_image(tmp_path / "a.jpg")
    image, reduction, full = read_reduced(tmp_path / "a.jpg", 4)
    assert full == upright.shape[:2]
    assert full == ((height, width) if orientation < 5 else (width, height))
    rows, columns = full[0] // reduction, full[1] // reduction  # whole blocks
    whole = upright[: rows * reduction, : columns * reduction]
    small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - image[:rows, :columns])[2:-2, 2:-2].max() <= 6, reduction


def test_colours_and_other_formats(tmp_path: Path) -> None:
    image = np.full((600, 800, 3), (200, 100, 20), np.uint8)
    write_image(tmp_path / "a.png", image)
    write_jpeg(tmp_path / "a.jpg", image[..., ::-1])
    pixels, reduction, full = read_reduced(tmp_path / "a.png", 4)
    assert (pixels.shape, reduction, full) == ((600, 800, 3), 1, (600, 800))
    assert np.abs(read_reduced(tmp_path / "a.jpg", 4)[0].astype(int) - [200, 100, 20]).max() <= 3
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:300])
    with pytest.raises(FileError, match="cut off"):
        read_reduced(tmp_path / "cut.jpg", 4)


@pytest.mark.parametrize("size", [32, 64, 100, 200])
def test_crops_of_large_photographs_are_the_same_by_either_way(tmp_path: Path, size: int) -> None:
    """A JPEG is decoded at a reduced size, a PNG in full; their crops agree, and points lie on what they mark."""
    image = draw_blobs(1001, 1203, sigma=20)
    write_jpeg(tmp_path / "a.jpg", image)
    write_image(tmp_path / "a.png", image)
    paths = [tmp_path / "a.jpg", tmp_path / "a.png"]
    faces, crops = zip(
        *(crop_annotated(Annotation("a", path, POINTS), CropRule(0.3), size) for path in paths), strict=True
    )
    assert np.abs(crops[0].astype(int) - crops[1]).mean() < 1
    np.testing.assert_array_equal(faces[0].square, faces[1].square)
    for crop in crops:
        for point in points_in_box(POINTS, faces[0].square, size):
            assert np.abs(centroid(crop, point, size // 8) - point).max() < 0.1


def test_a_small_face_stays_visible_under_its_points() -> None:
    """Discs of 68 points would cover a face of 20 px; outlines leave most of it as it is."""
    from kdtools.images.drawing import draw_landmarks
    from kdtools.landmarks import Scheme, scheme_named
    from kdtools.synth import draw_faces

    (_, points, _) = next(iter(draw_faces(1, 64, seed=0)))
    low = points.min(axis=0)
    for side, most in (20, 0.7), (100, 0.35):
        placed = (points - low) * (side / np.ptp(points, axis=0).max()) + 4
        image = np.full((side + 8, side + 8, 3), 200, np.uint8)
        drawn = draw_landmarks(image, placed, scheme_named("ibug68"))
        changed = (np.abs(drawn.astype(int) - 200).max(axis=2) > 60)[4:-4, 4:-4]
        assert 0.1 < changed.mean() < most, side
        alone = draw_landmarks(image, placed, Scheme("mine", 68))  # without outlines there are the discs alone
        assert (alone != image).any()


def test_the_number_of_a_face_stands_above_it_and_inside_the_image() -> None:
    from kdtools.images.drawing import number_face

    for corner in ([40.0, 50.0], [0.0, 0.0], [80.0, 80.0], [-500.0, 30.0]):
        image = np.zeros((100, 100, 3), np.uint8)
        number_face(image, np.array([corner, [corner[0] + 20, corner[1] + 20], [np.nan, np.nan]]), 12)
        rows, columns = np.nonzero(image.max(axis=2))
        assert len(rows) > 30, corner
        assert 0 < columns.min() <= columns.max() < 99, corner
        if corner == [40.0, 50.0]:
            assert rows.max() < 50
            assert abs((columns.min() + columns.max()) / 2 - 50) < 3
    untouched = np.zeros((20, 20, 3), np.uint8)
    number_face(untouched, np.full((68, 2), np.nan), 1)
    assert not untouched.any()


@pytest.mark.parametrize("orientation", [1, 2, 6, 8])
def test_only_a_jpeg_without_exif_is_known_to_be_upright_by_its_bytes(tmp_path: Path, orientation: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    write_jpeg(tmp_path / "a.jpg", image, orientation)
    assert is_turned(tmp_path / "a.jpg") == may_be_turned((tmp_path / "a.jpg").read_bytes()) == (orientation > 1)
    write_image(tmp_path / "a.png", image)
    assert may_be_turned((tmp_path / "a.png").read_bytes())
