"""Annotation conventions in faces files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import plain_images, write_faces

from kdtools.errors import DataError, UsageError
from kdtools.faces import open_faces
from kdtools.landmarks.conventions import (
    Convention,
    conventions_from_json,
    conventions_to_json,
    origin_in_image,
    parse_origin,
)
from kdtools.landmarks.geometry import apply_affine

RNG = np.random.default_rng(3)
POINTS = RNG.uniform(20, 100, (3, 68, 2))
TWO = (Convention("300w", (0.7, -0.2)), Convention("helen"))


def turned_maps() -> np.ndarray:
    """Crops twice as large as their place in the source, turned by 0, 90 and 30 degrees."""
    turns = np.radians([0, 90, 30])
    maps = np.zeros((3, 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = 0.5 * np.cos(turns), -0.5 * np.sin(turns)
    maps[:, 1, 0], maps[:, 1, 1] = 0.5 * np.sin(turns), 0.5 * np.cos(turns)
    maps[:, :, 2] = [[10, 20], [-3, 4], [100, 7]]
    return maps


def test_names_and_origins_of_faces(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "a.h5", POINTS, conventions=TWO, convention=["helen", "", "300w"])
    with open_faces(path) as faces:
        assert faces.conventions.names == ("300w", "helen")
        assert faces.conventions.of_faces.tolist() == [1, -1, 0]
        assert faces.conventions.origins.tolist() == [[0.7, -0.2], [0, 0]]
        assert faces.conventions.all[1].origin is None
        np.testing.assert_array_equal(faces.landmarks, POINTS.astype(np.float32))
        np.testing.assert_array_equal(faces.true_landmarks[:2], faces.landmarks[:2])
        np.testing.assert_allclose(faces.true_landmarks[2], POINTS[2] - [0.7, -0.2], atol=1e-5)


def test_a_file_without_conventions(tmp_path: Path) -> None:
    with open_faces(write_faces(tmp_path / "a.h5", POINTS)) as faces:
        assert faces.conventions.names == ()
        assert faces.conventions.of_faces.tolist() == [-1, -1, -1]
        assert faces.conventions.origins.shape == (0, 2)
        assert faces.put_back is None
        assert faces.true_landmarks.tobytes() == faces.landmarks.tobytes()


def test_an_origin_in_crops_that_are_turned_and_scaled(tmp_path: Path) -> None:
    """A crop twice as large has twice the offset, turned against the crop."""
    maps, origin = turned_maps(), np.array([0.7, -0.2])
    expected = [[1.4, -0.4], [-0.4, -1.4]]
    np.testing.assert_allclose(origin_in_image(np.tile(origin, (3, 1)), maps)[:2], expected, atol=1e-12)
    path = write_faces(
        tmp_path / "a.h5",
        POINTS,
        images=plain_images(3, 128),
        to_source=maps,
        conventions=[Convention("a", (0.7, -0.2))],
    )
    with open_faces(path) as faces:
        np.testing.assert_allclose(faces.true_landmarks[:2], POINTS[:2] - np.array(expected)[:, None], atol=1e-5)
        in_source = apply_affine(maps, faces.true_landmarks)
        np.testing.assert_allclose(in_source, apply_affine(maps, POINTS) - origin, atol=1e-4)
        np.testing.assert_allclose(faces.true_points("source"), in_source, atol=1e-4)
        moved = faces.points("unit") - faces.true_points("unit")
        np.testing.assert_allclose(moved, np.tile(faces.origins("unit")[:, None], (68, 1)), atol=1e-6)


def test_labels_of_another_file_with_their_own_origin(tmp_path: Path) -> None:
    crops = write_faces(tmp_path / "a.h5", POINTS, images=plain_images(3, 128), to_source=turned_maps())
    others = write_faces(tmp_path / "b.h5", POINTS, conventions=[Convention("a", (0.5, 0.0))])
    with open_faces(crops) as faces, open_faces(others) as labels:
        plain, true = faces.landmarks_from(labels), faces.landmarks_from(labels, true=True)
        moved = origin_in_image(np.tile([0.5, 0.0], (3, 1)), turned_maps())
        np.testing.assert_allclose(plain - true, moved[:, None].repeat(68, 1), atol=1e-4)


def test_predictions_with_an_origin_put_back(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "a.h5", POINTS, role="predicted")
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs["convention"], h5["landmarks"].attrs["origin"] = "300w", np.array([0.7, 0.0])
    with open_faces(path) as faces:
        assert faces.put_back == Convention("300w", (0.7, 0.0))
        np.testing.assert_allclose(faces.true_points(), POINTS - [0.7, 0], atol=1e-5)


def test_sets_of_one_convention_share_its_layer() -> None:
    assert [Convention(name).layer for name in ("300w/lfpw", "300w/helen", "300w")] == ["300w"] * 3


def test_json_of_conventions() -> None:
    text = conventions_to_json(TWO)
    assert text == '{"300w": {"origin": [0.7, -0.2]}, "helen": {}}'
    assert conventions_from_json(text) == {one.name: one for one in TWO}
    assert parse_origin("0.7,-2") == (0.7, -2.0)


ODD_ORIGINS = ["1", "[1]", "[1, NaN]", '[1, "b"]', "[0, 1e9]", "{}"]
ODD_NAMES = ["", " a", "/a", "a/", "a/b/c", "a\\n", "a/ b"]
NO_CONVENTIONS = ["[]", "3", "no json", '{"a": 1}']


@pytest.mark.parametrize(
    "text",
    NO_CONVENTIONS
    + [f'{{"{odd}": {{}}}}' for odd in ODD_NAMES]
    + [f'{{"a": {{"origin": {odd}}}}}' for odd in ODD_ORIGINS],
)
def test_damaged_conventions_are_named(text: str, tmp_path: Path) -> None:
    path = write_faces(tmp_path / "a.h5", POINTS)
    with h5py.File(path, "r+") as h5:
        h5.attrs["conventions"] = text
    with open_faces(path) as faces, pytest.raises(DataError, match=r"a\.h5"):
        _ = faces.conventions


def test_a_name_for_each_face_is_no_convention(tmp_path: Path) -> None:
    names = [f"face{k}" for k in range(101)]
    path = write_faces(tmp_path / "a.h5", np.zeros((101, 68, 2)), convention=names)
    with open_faces(path) as faces, pytest.raises(DataError, match="more than 100 annotation conventions"):
        _ = faces.conventions


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "nan,0", "1000,0"])
def test_an_origin_is_two_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="--origin"):
        parse_origin(text)
