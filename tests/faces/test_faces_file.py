"""Faces files: what is written is read again, joined by id, refused when it should be."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.errors import DataError, FileError
from kdtools.faces import arrays
from kdtools.faces import writer as writer_module
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.ids import match_ids
from kdtools.faces.writer import ImageRows, create_faces
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import apply_affine, box_to_source, invert_affine
from kdtools.storage.outputs import written_aside, written_aside_together
from kdtools.storage.provenance import Provenance

PROVENANCE = Provenance("test", ["kd-test", "-o", "x.h5", "-f", "--seed", "1"])


def write_small(path: Path, n: int = 6, *, order: np.ndarray | None = None, size: int = 8) -> np.ndarray:
    """A small faces file with a crop map; returns its points in source pixels, in the order of ids face0, face1, ..."""
    rng = np.random.default_rng(5)
    points = rng.uniform(0, size, (n, 68, 2)).astype(np.float32)
    corner = rng.uniform(0, 50, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (n, 1))], axis=1)
    to_source = box_to_source(boxes, size, size)
    images = rng.integers(0, 255, (n, size, size, 3), np.uint8)
    rows = np.arange(n) if order is None else order
    write_faces(
        path,
        points[rows],
        ids=[f"face{k}" for k in rows],
        images=images[rows],
        crop=CropRule(0.1),
        provenance=PROVENANCE,
        to_source=to_source[rows],
        subset_even=rows % 2 == 0,
    )
    return np.einsum("nij,nlj->nli", to_source[:, :, :2], points) + to_source[:, None, :, 2]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    source_points = write_small(tmp_path / "a.h5")
    with open_faces(tmp_path / "a.h5") as faces:
        assert faces.ids == [f"face{k}" for k in range(6)]
        assert faces.scheme == IBUG68
        assert faces.crop == CropRule(0.1)
        assert faces.role == "hard"
        assert faces.subsets["even"].tolist() == [True, False] * 3
        np.testing.assert_allclose(faces.points(), source_points, atol=1e-4)
        attrs = dict(faces.h5.attrs)
        assert attrs["kd_kind"] == "faces"
        assert attrs["kd_format"] == 1
        assert attrs["tool"] == "test"
        assert json.loads(attrs["argv"]) == ["kd-test", "--seed", "1"]
        for name in ("id", "image", "landmarks", "to_source", "subset/even"):
            assert len(faces.h5[name].attrs["dims"]) == faces.h5[name].ndim
            assert not any(dim.isdigit() for dim in faces.h5[name].attrs["dims"]), "each axis has a name"
            assert "unit" in faces.h5[name].attrs


@pytest.mark.parametrize("packed", ["", "gzip", "lzf"])
def test_images_are_read_by_rows_in_any_order(packed: str, tmp_path: Path) -> None:
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        pixels = h5["image"][...]
        if packed:
            del h5["image"]
            h5.create_dataset("image", data=pixels, compression=packed)
    with open_faces(tmp_path / "a.h5") as faces:
        images = faces.images
        assert (images.shape, images.dtype, len(images)) == (pixels.shape, np.uint8, len(pixels))
        assert images.is_packed == bool(packed)
        for rows in (slice(2, 4), slice(None, None, -2), slice(3, 3), ..., 1, -1, np.int64(2), [4, 0, 5, 1, 2, 3]):
            np.testing.assert_array_equal(images[rows], pixels[rows])
        for rows in (np.array([5, -6, 1]), np.array([3, 1, 3]), np.array([], np.int64), np.arange(6) % 2 == 1):
            np.testing.assert_array_equal(images[rows], pixels[rows])
        np.testing.assert_array_equal(images, pixels)
        np.testing.assert_array_equal(list(images), pixels)
        for row in (6, -7, [0, 6]):
            with pytest.raises(IndexError):
                images[row]


def test_files_are_joined_by_id_and_moved_into_each_others_crops(tmp_path: Path) -> None:
    source_points = write_small(tmp_path / "a.h5")
    order = np.array([3, 1, 0, 5, 4, 2])
    ids = [f"face{k}" for k in order]
    write_faces(tmp_path / "pred.h5", source_points[order], ids=ids, role="predicted")  # no images, so source pixels
    with open_faces(tmp_path / "a.h5") as faces, open_faces(tmp_path / "pred.h5") as pred:
        np.testing.assert_allclose(faces.landmarks_from(pred), faces.landmarks, atol=1e-3)


def test_points_and_boxes_in_the_frame_asked_for(tmp_path: Path) -> None:
    """Of all rows or some; a file without /image has its points in pixels of the sources, and no other frame."""
    source_points = write_small(tmp_path / "a.h5", size=8)
    some = slice(2, 5)
    with open_faces(tmp_path / "a.h5") as faces:
        stored = faces.landmarks
        np.testing.assert_allclose(faces.points(), source_points, atol=1e-4)
        np.testing.assert_allclose(faces.points("source", some), source_points[some], atol=1e-4)
        np.testing.assert_array_equal(faces.points("image", some), stored[some])
        np.testing.assert_allclose(faces.points("unit", some), (stored[some] + 0.5) / 8 - 0.5, atol=1e-6)
        np.testing.assert_allclose(faces.from_source(source_points[some], some), stored[some], atol=1e-4)
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        maps = h5["to_source"][...]
        maps[:, 0, 1] = 0.25  # sheared
        h5["to_source"][...] = maps
        h5["box"] = np.tile(np.float32([10, 10, 20, 30]), (6, 1))
    with open_faces(tmp_path / "a.h5") as faces:
        np.testing.assert_array_equal(faces.boxes("source", some), np.tile([10, 10, 20, 30], (3, 1)))
        corners = np.array([[9.5, 9.5], [19.5, 9.5], [19.5, 29.5], [9.5, 29.5]])
        inside = apply_affine(invert_affine(maps), np.broadcast_to(corners, (6, 4, 2))) + 0.5
        expected = np.concatenate([inside.min(axis=1), inside.max(axis=1)], axis=1)
        np.testing.assert_allclose(faces.boxes("image"), expected)
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        del h5["image"]  # /to_source is then no map of the points
    with open_faces(tmp_path / "a.h5") as faces:
        assert not faces.has_images
        np.testing.assert_array_equal(faces.points("source", some), stored[some])
        np.testing.assert_array_equal(faces.from_source(stored), stored)
        for call in (faces.points, faces.boxes):
            with pytest.raises(DataError, match="holds no /image"):
                call("image")


def test_ids_that_do_not_match_are_named() -> None:
    assert match_ids(["b", "a"], ["a", "b", "c"], "truth", "pred").tolist() == [1, 0]
    with pytest.raises(DataError, match=r"pred: lacks 1 of the 2 faces of truth: 'x'"):
        match_ids(["a", "x"], ["a"], "truth", "pred")
    with pytest.raises(DataError, match="more than once"):
        match_ids(["a"], ["a", "a"], "truth", "pred")


def test_equal_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'same'"), create_faces(str(tmp_path / "a.h5"), False, PROVENANCE) as writer:
        writer.put_ids(["same", "other", "same"])
    assert list(tmp_path.iterdir()) == []


def test_spare_rows_of_images_are_cut_off(tmp_path: Path) -> None:
    with create_faces(str(tmp_path / "a.h5"), False, PROVENANCE) as writer:
        writer.create_images(50, 32, 32)[:3] = 7
        writer.put_ids(["a", "b", "c"])
        writer.keep_images(range(3))
    with open_faces(tmp_path / "a.h5") as faces:
        assert faces.images.shape == (3, 32, 32, 3)
        assert (np.asarray(faces.images) == 7).all()
        assert faces.images.is_packed is False
    assert (tmp_path / "a.h5").stat().st_size < 10 * 32 * 32 * 3
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("side", [4, 64, 256])
def test_rows_that_threads_write_give_the_same_bytes_as_hdf5(tmp_path: Path, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, side, side, 3), np.uint8)
    for name in ("one", "other"):
        with create_faces(str(tmp_path / name), False, PROVENANCE) as writer:
            data = writer.create_images(*images.shape[:3])
            if name == "one":
                data[...] = images
            else:
                rows = ImageRows(data)
                with ThreadPoolExecutor(4) as pool:
                    list(pool.map(rows.write, reversed(range(40)), images[::-1]))
            writer.put_ids([str(k) for k in range(40)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_without_pwrite_rows_are_written_by_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    for name in ("one", "other"):
        with create_faces(str(tmp_path / name), False, PROVENANCE) as writer:
            rows = ImageRows(writer.create_images(*images.shape[:3]))
            for k, image in enumerate(images):
                rows.write(k, image)
            writer.put_ids([str(k) for k in range(40)])
        monkeypatch.delattr(os, "pwrite", raising=False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_rows_between_kept_ones_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_COPY_ROWS", 4)
    images = np.random.default_rng(0).integers(0, 256, (19, 8, 8, 3), np.uint8)
    kept = [0, 2, 3, 13, 18]
    with create_faces(str(tmp_path / "a.h5"), False, PROVENANCE) as writer:
        writer.create_images(19, 8, 8)[...] = images
        writer.put_ids(list("abcde"))
        writer.keep_images(kept)
    with open_faces(tmp_path / "a.h5") as faces:
        np.testing.assert_array_equal(np.asarray(faces.images), images[kept])


def test_images_that_were_all_filled_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_cut_images", lambda *_: pytest.fail("the file is copied"))
    with create_faces(str(tmp_path / "a.h5"), False, PROVENANCE) as writer:
        writer.create_images(3, 8, 8)[:] = 7
        writer.put_ids(["a", "b", "c"])
        writer.keep_images(range(3))
    with open_faces(tmp_path / "a.h5") as faces:
        assert (np.array(faces.images) == np.full((3, 8, 8, 3), 7)).all()


def test_newer_format_is_refused_and_older_one_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        h5.attrs["kd_format"] = 2
    with pytest.raises(FileError, match="faces format 2"), open_faces(tmp_path / "a.h5"):
        pass
    upgraded: list[str] = []
    monkeypatch.setattr(arrays.schema, "FORMAT", 3)
    monkeypatch.setitem(arrays.UPGRADES, 2, lambda faces: upgraded.append(faces.name))
    with open_faces(tmp_path / "a.h5") as faces:
        assert upgraded == [faces.name]


def test_array_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        del h5["subset/even"]
        h5["subset/even"] = np.ones(5, bool)
    with pytest.raises(FileError, match="subset/even"), open_faces(tmp_path / "a.h5"):
        pass


@pytest.mark.parametrize(
    ("array", "values"),
    [
        ("image", np.zeros((6, 8, 8, 3), np.float32)),
        ("image", np.zeros((6, 8, 8, 3), np.uint16)),
        ("landmarks", np.full((6, 68, 2), b"12")),
        ("landmarks", np.zeros((6, 68, 2), complex)),
        ("box", np.full((6, 4), True)),
        ("visible", np.ones((6, 68), np.float32)),
        ("subset/even", np.full(6, b"yes")),
        ("subset/even", np.full(6, np.nan)),
        ("source", np.zeros(6)),
    ],
)
def test_array_of_the_wrong_type_is_refused_by_name(tmp_path: Path, array: str, values: np.ndarray) -> None:
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        if array in h5:
            del h5[array]
        h5[array] = values
    with pytest.raises(FileError, match=rf"/{array} holds .*, expected"), open_faces(tmp_path / "a.h5"):
        pass


def test_arrays_of_related_types_are_read(tmp_path: Path) -> None:
    """Other programs write doubles, whole numbers for points, and 0 and 1 for membership."""
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        for name in ("landmarks", "subset/even"):
            del h5[name]
        h5["landmarks"] = np.full((6, 68, 2), 3, ">i4")
        h5["subset/even"] = np.array([1, 0] * 3, np.uint8)
        h5["visible"] = np.ones((6, 68), bool)
        h5["score"] = np.ones(6, np.float64)
    with open_faces(tmp_path / "a.h5") as faces:
        assert (faces.landmarks == 3).all()
        assert faces.subsets["even"].tolist() == [True, False] * 3


def test_group_in_the_place_of_a_subset_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        h5.create_group("subset/odd")
    with pytest.raises(FileError, match="/subset/odd"), open_faces(tmp_path / "a.h5"):
        pass


def test_attributes_of_fixed_length_or_in_arrays_of_one_are_read(tmp_path: Path) -> None:
    """C writes text of a fixed length, MATLAB often arrays of one element."""
    write_small(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        h5.attrs["kd_kind"] = np.bytes_(b"faces")
        h5.attrs["kd_format"] = np.array([1], np.int32)
        h5.attrs["scheme"] = np.array([b"ibug68"], "S6")
        h5.attrs["crop"] = np.bytes_(CropRule(0.1).to_json())
        h5["landmarks"].attrs["role"] = np.bytes_(b"soft")
    with open_faces(tmp_path / "a.h5") as faces:
        assert faces.scheme == IBUG68
        assert faces.role == "soft"
        assert faces.crop == CropRule(0.1)
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        h5.attrs["kd_kind"] = np.bytes_(b"cats")
    with pytest.raises(FileError, match="kd_kind is 'cats'"), open_faces(tmp_path / "a.h5"):
        pass


def test_scheme_comes_from_the_file_itself(tmp_path: Path) -> None:
    write_faces(tmp_path / "a.h5", np.zeros((1, 3, 2)), scheme=Scheme("mine", 3, mirror=(1, 0, 2)))
    with open_faces(tmp_path / "a.h5") as faces:
        assert faces.scheme.name == "mine"
        assert faces.scheme.mirror == (1, 0, 2)
        assert faces.scheme.outer_corners is None


def test_failure_leaves_nothing_and_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_aside(str(path), force=True) as part:  # noqa: PT012
        part.write_text("new")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_output_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(FileError, match="exists already"), written_aside(str(path), force=False) as part:  # noqa: PT012
        part.write_text("mine")
        path.write_text("of another process")
    assert path.read_text() == "of another process"
    assert len(list(tmp_path.iterdir())) == 1


def test_outputs_of_one_run_exist_all_or_none(tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("a.svg", "a.md", f"{'long' * 60}.md", f"{'long' * 60}2.md")]
    with pytest.raises(ZeroDivisionError), written_aside_together(outputs, force=False) as parts:  # noqa: PT012
        assert len(set(parts)) == 4
        parts[0].write_text("first")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with written_aside_together(outputs, force=False) as parts:
        for k, part in enumerate(parts):
            part.write_text(str(k))
    assert [Path(output).read_text() for output in outputs] == ["0", "1", "2", "3"]
    assert len(list(tmp_path.iterdir())) == 4


def test_an_output_in_the_way_of_one_leaves_none_of_its_group(tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("a.svg", "b.md")]
    with pytest.raises(FileError, match="exists"), written_aside_together(outputs, force=False) as parts:  # noqa: PT012
        for part in parts:
            part.write_text("mine")
        Path(outputs[1]).write_text("of another process")
    assert [path.name for path in tmp_path.iterdir()] == ["b.md"]
    assert Path(outputs[1]).read_text() == "of another process"


def test_a_full_device_leaves_none_of_a_group(tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("a.svg", "b.md")]
    with pytest.raises(FileError, match="No space left"), written_aside_together(outputs, force=False) as parts:  # noqa: PT012
        parts[0].write_text("first")
        with open("/dev/full", "w") as full:
            full.write("second")
    assert list(tmp_path.iterdir()) == []


def test_outputs_of_two_machines_are_written_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers on one file system may both have process 7."""
    parts = []
    for host in ("node1", "node2"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        with written_aside(str(tmp_path / "a.txt"), force=True) as part:
            part.write_text(host)
        parts.append(part.parent.name)
    assert "node1" in parts[0]
    assert "node2" in parts[1]


def test_link_as_output_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    os.symlink("there/real.txt", tmp_path / "link.txt")
    with written_aside(str(tmp_path / "link.txt"), force=False) as part:
        part.write_text("x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there" / "real.txt").read_text() == "x"


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_small(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_faces_file_of_another_program(shared_dir: Path) -> None:
    with open_faces(shared_dir / "golden" / "300wpublic_truth.h5") as truth:
        assert isinstance(truth, FacesFile)
        assert len(truth) == 689
        assert truth.scheme == IBUG68
        assert truth.subsets["common"].sum() == 554
