"""Splits that keep together what belongs together, in kd-student and in kd-split."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

from kdtools import groups
from kdtools.errors import DataError
from kdtools.files import Provenance, create_faces, open_faces
from kdtools.geometry import CropRule
from kdtools.groups import group_of, split_rows
from kdtools.schemes import IBUG68


def test_people_are_not_split() -> None:
    ids = [f"set/person{p}_{k:02d}.jpg" for p in range(20) for k in range(6)]
    train_rows, val_rows, grouped = split_rows(ids, 0.2, 0)
    assert grouped
    people = [{group_of(ids[row]) for row in rows} for rows in (train_rows, val_rows)]
    assert not people[0] & people[1]
    assert 0.15 < len(val_rows) / len(ids) < 0.3
    assert sorted([*train_rows, *val_rows]) == list(range(120))


def test_numbered_file_names_are_no_group() -> None:
    train_rows, val_rows, grouped = split_rows([f"image_{k:04d}.jpg" for k in range(100)], 0.1, 0)
    assert not grouped
    assert (len(train_rows), len(val_rows)) == (90, 10)
    with pytest.raises(DataError, match="too few"):
        split_rows(["a"], 0.1, 0)


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(groups).failed == 0


def test_copied_rows_keep_every_array_in_step(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 40
    points = rng.uniform(0, 16, (n, 68, 2)).astype(np.float32)
    with create_faces(str(tmp_path / "all.h5"), False, Provenance("test")) as writer:
        images = writer.create_images(n, 4, 4)
        images[:] = np.arange(n, dtype=np.uint8)[:, None, None, None]
        writer.put_ids([f"face{k}" for k in range(n)])
        writer.put_landmarks(points, IBUG68, "hard")
        writer.put("subset/odd", np.arange(n) % 2 == 1)
        writer.put_crop(CropRule(0.3))
    rows = rng.permutation(n)[:13]
    with (
        open_faces(tmp_path / "all.h5") as faces,
        create_faces(str(tmp_path / "part.h5"), False, Provenance("test")) as writer,
    ):
        writer.copy_rows(faces, rows)
    with open_faces(tmp_path / "part.h5") as part:
        assert part.ids == [f"face{k}" for k in rows]
        assert part.images[:, 0, 0, 0].tolist() == rows.tolist()
        np.testing.assert_array_equal(part.landmarks, points[rows])
        assert part.subsets["odd"].tolist() == [bool(k % 2) for k in rows]
        assert (part.scheme, part.crop, part.role) == (IBUG68, CropRule(0.3), "hard")
        assert part.h5["landmarks"].attrs["unit"] == "pixel"
