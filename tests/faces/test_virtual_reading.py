"""Virtual arrays are read from the open parts: nothing is read as zeros, and nothing of a part that has changed."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import write_faces
from reporters import Strict

from kdtools.errors import FileError
from kdtools.evaluation.read_points import read_points
from kdtools.faces.file import open_faces
from kdtools.faces.file_pool import OpenFaces
from kdtools.faces.virtual import write_virtual
from kdtools.faces.writer import create_faces
from kdtools.storage import hdf5_guard
from kdtools.storage.provenance import Provenance


def part_at(path: Path, number: int, n: int = 3) -> Path:
    images = np.arange(n, dtype=np.uint8)[:, None, None, None] + np.zeros((n, 8, 8, 3), np.uint8) + 10 * number
    points = np.arange(n)[:, None, None] + np.full((n, 4, 2), 100.0 * number)
    return write_faces(path, points, ids=[f"{number}/{k}" for k in range(n)], images=images, score=np.arange(n))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A virtual file of two parts of three faces."""
    paths = [str(part_at(tmp_path / f"{number}.h5", number)) for number in (1, 2)]
    with OpenFaces(paths) as files, create_faces(str(tmp_path / "whole.h5"), True, Provenance("test")) as writer:
        write_virtual(writer, files, str(tmp_path / "whole.h5"), Strict())
    return tmp_path / "whole.h5"


def test_rows_in_any_order(whole: Path) -> None:
    with open_faces(whole) as faces:
        assert faces.images[[4, 0, 1, 5]][:, 0, 0, 0].tolist() == [21, 10, 11, 22]
        assert faces.images[1:4][:, 0, 0, 0].tolist() == [11, 12, 20]
        assert faces.points("image", slice(2, 4))[:, 0, 0].tolist() == [102, 200]
        assert faces.stored("score")[...].tolist() == [0, 1, 2, 0, 1, 2]
        assert faces.texts("id", slice(2, 4)) == ["1/2", "2/0"]


def test_a_part_that_has_fewer_faces_than_it_had(whole: Path) -> None:
    """HDF5 reads empty ids and zeros there."""
    part_at(whole.with_name("2.h5"), 2, n=2)
    with pytest.raises(FileError, match="no part fills its rows 5 to 5"), open_faces(whole):
        pass


def test_points_that_no_part_fills_are_missing(whole: Path) -> None:
    """As in a file of another program, whose points are only of some faces."""
    with h5py.File(whole, "r+") as h5:
        attributes = dict(h5["landmarks"].attrs)
        del h5["landmarks"]
        layout = h5py.VirtualLayout((6, 4, 2), np.float32)
        layout[3:6] = h5py.VirtualSource("2.h5", "landmarks", (3, 4, 2))
        h5.create_virtual_dataset("landmarks", layout).attrs.update(attributes)
    with open_faces(whole) as faces:
        assert np.isnan(faces.landmarks[:3]).all()
        assert faces.landmarks[3:, 0, 0].tolist() == [200, 201, 202]
    with contextlib.ExitStack() as stack:
        points = read_points(str(whole), stack, Strict())
        assert np.isnan(points.points(slice(0, 6))[:3]).all()


def test_a_part_that_is_replaced_or_truncated_while_it_is_read(whole: Path) -> None:
    with open_faces(whole) as faces:
        part_at(whole.with_name("new.h5"), 7).rename(whole.with_name("1.h5"))
        assert faces.images[0, 0, 0, 0] == 10  # of the file that was opened
        assert faces.points("image", slice(0, 1))[0, 0, 0] == 100
        with whole.with_name("2.h5").open("r+b") as stream:
            stream.truncate(1000)
        for read in (lambda: faces.images[4], lambda: faces.points("image")):
            with pytest.raises(FileError, match=r"2\.h5: was changed or replaced"):
                read()


@pytest.mark.parametrize("layout", ["every other row", "half of the points", "a row twice"])
def test_layouts_that_are_no_blocks_of_rows(layout: str, whole: Path) -> None:
    with h5py.File(whole, "r+") as h5:
        del h5["landmarks"]
        made = h5py.VirtualLayout((6, 4, 2), np.float32)
        source = h5py.VirtualSource("2.h5", "landmarks", (3, 4, 2))
        if layout == "every other row":
            made[::2] = source
        elif layout == "half of the points":
            made[:3, :2] = source[:, :2]
        else:
            made[:3], made[2:5] = source, source
        h5.create_virtual_dataset("landmarks", made)
    with pytest.raises(FileError, match=r"blocks of whole rows|several parts fill"), open_faces(whole):
        pass


@pytest.mark.in_child
def test_many_files_are_tried_in_one_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(write_faces(tmp_path / f"{k}.h5", np.zeros((2, 68, 2)), ids=[f"{k}a", f"{k}b"])) for k in range(5)]
    tried: list[int] = []
    usual = hdf5_guard.rehearse

    def counted(*what: Any) -> Any:
        tried.append(1)
        return usual(*what)

    monkeypatch.setattr(hdf5_guard, "rehearse", counted)
    monkeypatch.setattr(hdf5_guard, "_rehearsed", OrderedDict())
    with OpenFaces([*names, str(tmp_path / "absent.h5")]) as files:
        files.try_together()  # the absent one is reported when it is opened
        assert not tried
    with OpenFaces(names) as files:
        files.try_together()
        assert sum(map(len, files)) == 10
    assert len(tried) == 1
    Path(names[3]).write_bytes(b"no HDF5")
    with OpenFaces(names) as files:
        files.try_together()
        assert [len(files[k]) for k in range(3)] == [2, 2, 2]
        with pytest.raises(FileError, match=r"3\.h5"):
            files[3]
