"""In which coordinates a shape model sees the faces of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import write_faces

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.soft_landmarks import fit_faces, soften_faces
from kdtools.landmarks import Scheme


def write_turned_copies(path: Path, height: int, width: int, *, images: bool = True) -> None:
    """30 faces that are one shape, turned and scaled: Procrustes leaves nothing to soften."""
    rng = np.random.default_rng(0)
    shape = rng.normal(size=20) + 1j * rng.normal(size=20)
    pose = rng.uniform(3, 6, 30) * np.exp(1j * rng.uniform(-0.6, 0.6, 30))
    points = pose[:, None] * shape + width / 2 + 1j * height / 2
    black = np.zeros((30, height, width, 3), np.uint8) if images else None
    points = np.stack([points.real, points.imag], axis=-1)
    write_faces(path, points, images=black, scheme=Scheme("twenty", 20))


def largest_change(faces: FacesFile) -> float:
    soft = soften_faces(faces, fit_faces(faces, variance=0.9, align="procrustes"), clip=3)
    return float(np.abs(soft - faces.landmarks).max())


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 128), (128, 64)])
def test_turned_faces_are_not_sheared_in_oblong_images(tmp_path: Path, height: int, width: int) -> None:
    write_turned_copies(tmp_path / "a.h5", height, width)
    with open_faces(tmp_path / "a.h5") as faces:
        assert largest_change(faces) < 1e-3


def test_files_without_images_are_softened_in_source_pixels(tmp_path: Path) -> None:
    write_turned_copies(tmp_path / "a.h5", 128, 128, images=False)
    with open_faces(tmp_path / "a.h5") as faces:
        assert largest_change(faces) < 1e-3
        unaligned = fit_faces(faces, variance=0.9, align="none")
        with pytest.raises(DataError, match="no /image"):
            soften_faces(faces, unaligned, clip=3)
