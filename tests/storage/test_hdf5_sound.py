"""Anyone's sound HDF5 file opens, and a damaged one does no harm: a small part of benchmarks/hdf5_guard.py."""

from __future__ import annotations

import importlib.util
import random
import resource
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from kdtools.cli import kd_info
from kdtools.errors import FileError, KdError
from kdtools.evaluation.units import find_frames
from kdtools.faces.file import open_faces
from kdtools.faces.people import find_groups
from kdtools.faces.writer import create_faces
from kdtools.storage.provenance import Provenance


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks/hdf5_guard.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_guard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_points(path: Path, ids: list[str], **options: Any) -> Path:
    """As docs/format.md shows."""
    with h5py.File(path, "w", **options) as file:
        file.attrs["kd_kind"], file.attrs["kd_format"], file.attrs["scheme"] = "faces", 1, "two"
        file["id"] = ids
        file["landmarks"] = np.tile(np.float32([[0, 0], [5, 9]]), (len(ids), 1, 1))
        file["landmarks"].attrs["role"] = "predicted"
    return path


def test_sound_files_of_all_kinds_open(benchmark: ModuleType, tmp_path: Path) -> None:
    assert benchmark.try_files("sound", range(30), 1, tmp_path) == {"opened": 30}


def test_damaged_files_do_no_harm(benchmark: ModuleType, tmp_path: Path) -> None:
    counts = benchmark.try_files("damaged", range(30), 1, tmp_path)
    assert sum(counts.values()) == 30
    assert set(counts) <= {"refused", "same content", "other values"}
    assert counts["refused"] >= 10


def test_ids_of_mixed_length(tmp_path: Path) -> None:
    """Texts that begin or go on anywhere in a heap looked like lengths of texts to a guard that guessed."""
    rng, path = random.Random(0), tmp_path / "faces.h5"
    for n in (100, 1000, 5000):
        ids = [f"{'x' * rng.choice([5, 20, 60, 200, 800, 4000])}/{k:06d}.jpg" for k in range(n)]
        ids[-1] = "z" * rng.choice([10_000, 100_000, 1_000_000])
        with open_faces(write_points(path, ids)) as faces:
            assert faces.ids == ids


def test_one_long_id_takes_no_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took 5 GB, as arrays were as wide as the longest id."""
    ids = [f"clip_{k:06d}" for k in range(8000)] + ["z" * 999_990 + "1" * 9]
    path, before = write_points(tmp_path / "faces.h5", ids), peak_mb()
    monkeypatch.setattr("sys.argv", ["kd-info", str(path), "--no-inputs"])
    with pytest.raises(SystemExit) as ended:
        kd_info.main()
    assert not ended.value.code
    assert "8001" in capsys.readouterr().out
    assert len(find_groups([name.encode() for name in ids]).codes) == 8001
    assert (find_frames(np.array([name.encode() for name in ids], object), "auto").before[:3] == [-1, 0, 1]).all()
    assert peak_mb() < before + 300
    with (
        pytest.raises(FileError, match="a text of 2000000 characters, of which at most 1048576 are read"),
        open_faces(write_points(path, ["z" * 2_000_000])) as faces,
    ):
        faces.ids  # noqa: B018


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_more_subsets_than_are_read(tmp_path: Path) -> None:
    path = write_points(tmp_path / "faces.h5", ["a"])
    with h5py.File(path, "r+") as file:
        for k in range(1001):
            file[f"subset/{k}"] = [True]
    with pytest.raises(FileError, match=r"/subset: 1001 subsets, of which at most 1000 are read"), open_faces(path):
        pass


@pytest.mark.parametrize("unpacked", [b"", b"abc", bytes(8 * 8 * 3 - 1), bytes(8 * 8 * 3 + 1)])
@pytest.mark.parametrize("name", ["image", "landmarks"])
def test_packed_chunks_of_another_size(name: str, unpacked: bytes, tmp_path: Path) -> None:
    """HDF5 reads on behind a chunk that is too short, which ends the process or shows what is in its memory."""
    path = write_points(tmp_path / "faces.h5", ["a"])
    with h5py.File(path, "r+") as file:
        file.create_dataset("image", (1, 8, 8, 3), np.uint8, chunks=(1, 8, 8, 3), compression="gzip", shuffle=True)
        file["image"][...] = 7
        del file["landmarks"]
        file.create_dataset("landmarks", (1, 2, 2), np.float32, chunks=(1, 2, 2), compression="gzip")
        file["landmarks"][...] = 3
    with open_faces(path) as faces:
        assert (faces.images[0] == 7).all()
        assert (faces.landmarks == 3).all()
    with h5py.File(path, "r+") as file:
        file[name].id.write_direct_chunk((0,) * file[name].ndim, zlib.compress(unpacked))
    with pytest.raises(KdError, match=rf"{path}:/{name}: a packed chunk of \d+ bytes"), open_faces(path) as faces:
        faces.read(name, 0, 1) if name == "landmarks" else faces.images[:]


def test_parts_behind_symbolic_links(tmp_path: Path) -> None:
    """A virtual file from a stranger reads nothing that the user has elsewhere."""
    secret, folder = write_points(tmp_path / "secret.h5", ["a"]), tmp_path / "theirs"
    (folder / "real").mkdir(parents=True)
    (folder / "link.h5").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    write_points(folder / "real" / "part.h5", ["a"])
    for part, message in (
        ("link.h5", "is a symbolic link or is reached through one"),
        ("linked/secret.h5", "is a symbolic link or is reached through one"),
        ("real/part%%.h5", "takes for a pattern"),
        ("real/part.h5", ""),
    ):
        path = folder / "virtual.h5"
        with create_faces(str(path), True, Provenance("kd-test")) as writer:
            writer.put_ids(["a"])
            layout = h5py.VirtualLayout((1, 2, 2), np.float32)
            layout[...] = h5py.VirtualSource(part, "landmarks", (1, 2, 2))
            writer.h5.create_virtual_dataset("landmarks", layout)
        if message:
            with pytest.raises(FileError, match=message), open_faces(path):
                pass
        else:
            with open_faces(path) as faces:
                assert faces.landmarks.tolist() == [[[0, 0], [5, 9]]]
