"""Points in .npy and .npz, with the names of their images; no pickle is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_reading import read_all
from test_format_downloads import picture, write_text
from test_format_lists import draw, faces

from kdtools.datasets.formats import find_format, numpy_points
from kdtools.errors import FileError

NAMES = ["a.png", "b/c d.png", "e.png"]


def write_npy(folder: Path) -> Path:
    draw(folder, NAMES)
    np.save(folder / "faces.npy", faces(68))
    write_text(folder / "faces.txt", "\n".join(NAMES) + "\n")
    return folder / "faces.npy"


def write_npz(folder: Path) -> Path:
    draw(folder, NAMES)
    np.savez(folder / "faces.npz", points=faces(68), names=np.array(NAMES))
    return folder / "faces.npz"


SAMPLES: dict[str, Callable[[Path], Path]] = {"numpy": write_npz}


def check(source: Path) -> None:
    assert find_format("auto", source).name == "numpy"
    found, skips = read_all(numpy_points.FORMAT, source)
    assert skips == []
    assert [one.id for one in found] == NAMES
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68), atol=1e-4)


@pytest.mark.parametrize("kind", ["<f8", ">f4", "fortran"])
def test_npy_with_a_list(kind: str, tmp_path: Path) -> None:
    source = write_npy(tmp_path)
    np.save(source, np.asfortranarray(faces(68)) if kind == "fortran" else faces(68).astype(kind))
    check(source)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("names", [np.array(NAMES), np.array([name.encode() for name in NAMES])])
def test_npz_with_its_names(packed: bool, names: np.ndarray, tmp_path: Path) -> None:
    draw(tmp_path, NAMES)
    save: Any = np.savez_compressed if packed else np.savez
    save(tmp_path / "faces.npz", landmarks=faces(68), files=names, scores=np.ones(3))
    check(tmp_path / "faces.npz")


def test_one_face_beside_its_image(tmp_path: Path) -> None:
    picture(tmp_path / "me.jpg")
    points = faces(5)[0]
    points[2] = np.nan
    np.save(tmp_path / "me.npy", points)
    (one,), skips = read_all(numpy_points.FORMAT, tmp_path / "me.npy")
    assert (one.id, skips) == ("me.jpg", [])
    np.testing.assert_allclose(np.asarray(one.points), points, atol=1e-9)


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (faces(5), "no list of their images' names"),
        (np.zeros((3, 5, 3)), "has the shape (3, 5, 3)"),
        (np.array([1.0, 2.0]), "which are the points?"),
        (np.array([{}, None], object), "Python objects, which are never loaded"),
        (np.zeros((3, 5, 2), complex), "an array of complex128"),
    ],
)
def test_arrays_that_are_refused(array: np.ndarray, why: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(FileError, match=re.escape(why)):
        read_all(numpy_points.FORMAT, tmp_path / "x.npy")


def test_a_list_of_another_length_and_a_file_that_is_cut_off(tmp_path: Path) -> None:
    source = write_npy(tmp_path)
    (tmp_path / "faces.txt").write_text("a.png\n")
    with pytest.raises(FileError, match=r"3 faces, but faces\.txt has 1 names"):
        read_all(numpy_points.FORMAT, source)
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(FileError, match="cut off"):
        read_all(numpy_points.FORMAT, source)
