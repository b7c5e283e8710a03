"""Ids as bytes: read alike in every way, and looked up as text would be."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.errors import FileError
from kdtools.faces.file import begin_to_open, open_faces
from kdtools.faces.ids import are_unique, look_up
from kdtools.storage import hdf5_guard

EVEN = ["a/1.jpg", "bb/22.jpg", "ßé/3.jpg", "x"]


@pytest.fixture(autouse=True)
def nothing_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what another test of this process began to look at and then did not open."""
    monkeypatch.setattr(hdf5_guard, "_begun", {})


def write(path: Path, ids: list[str]) -> Path:
    write_faces(path, np.zeros((len(ids), 68, 2)), ids=ids)
    return path


@pytest.mark.in_child
@pytest.mark.parametrize("ids", [EVEN, [], [*EVEN, "long" * 100], [f"{k:03d}" for k in range(300)]])
@pytest.mark.parametrize("how", ["handed over", "begun before", "read here"])
def test_ids_are_read_alike_in_every_way(
    ids: list[str], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5_guard, "_rehearsed", OrderedDict())
    path = write(tmp_path / "a.h5", ids)
    if how == "begun before":
        begin_to_open(str(path))
    with open_faces(path, ids=how != "read here") as faces:
        found = faces.id_bytes
        assert (faces._stream.found is not None) == (how != "read here" and len(ids) > 0 and max(map(len, ids)) < 50)
        assert faces.ids == ids
    assert found.tolist() == [identity.encode() for identity in ids]
    assert found.dtype.kind == ("O" if "long" * 100 in ids else "S")  # where the width of the longest takes too much
    assert not hdf5_guard._begun


@pytest.mark.in_child
def test_ids_of_fixed_length_are_bytes_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", ["a", "b"])
    with h5py.File(path, "a") as h5:
        del h5["id"]
        h5["id"] = np.array([b"one", b"three"])
    with open_faces(path, ids=True) as faces:
        assert faces.id_bytes.tolist() == [b"one", b"three"]


@pytest.mark.in_child
def test_damage_is_reported_by_who_opens_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", EVEN)
    damaged = bytearray(path.read_bytes())
    heap = damaged.index(b"GCOL")
    damaged[heap + 8 : heap + 16] = b"\xff" * 8
    path.write_bytes(damaged)
    for begin in (True, False):
        if begin:
            begin_to_open(str(path))
        with pytest.raises(FileError, match="damaged"), open_faces(path, ids=True):
            pass
    begin_to_open(str(tmp_path / "absent.h5"))
    assert not hdf5_guard._begun


def test_are_unique() -> None:
    ids = np.array([b"%d" % k for k in range(1000)])
    for kind in ("S", object):
        assert are_unique(ids.astype(kind))
        assert are_unique(ids[:0].astype(kind))
        assert not are_unique(np.append(ids, b"500").astype(kind))


@pytest.mark.parametrize("kind", ["S", "S100", object])
def test_look_up_finds_rows_in_every_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.array([b"folder/%d.jpg" % k for k in range(2000)])
    order = np.random.default_rng(0).permutation(2000)
    rows = look_up(ids, ids[order].astype(kind), -1)
    assert (order[rows] == np.arange(2000)).all()
    assert look_up(ids, np.append(ids[order][:-1], b"other").astype(kind), -1).tolist() == [
        row if row < 1999 else -1 for row in rows.tolist()
    ]
    assert look_up(ids[:3], ids[:2].astype(kind), -7).tolist() == [0, 1, -7]
    assert look_up(ids[:1].tolist(), ids[:2].tolist(), -1).tolist() == [0]
    monkeypatch.setattr("kdtools.faces.ids._digests", lambda ids: np.zeros(len(ids), np.uint64))
    assert (look_up(ids, ids[order].astype(kind), -1) == rows).all()  # where digests say nothing
    assert are_unique(ids)
