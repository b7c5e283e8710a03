"""Formats of MATLAB files: COFW with 29 and with 68 points, AFLW2000-3D, and the reader of .mat itself."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from common import examples
from format_reading import read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import aflw2000, cofw, cofw68
from kdtools.datasets.formats.shared.matlab import as_array, read_mat, variable_names
from kdtools.errors import DataError, FileError, KdError
from kdtools.images.drawing import write_image

scipy_io = pytest.importorskip("scipy.io")


def faces(n_points: int) -> list[np.ndarray]:
    return [np.random.default_rng(k).uniform(20, 60, (n_points, 2)).round(3) for k in range(3)]


def picture(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 255, (70 + k, 90, 3), np.uint8)


def flags(n_points: int, k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 2, n_points)


def write_cofw(path: Path, part: str = "T", colour: bool = True) -> None:
    """As MATLAB 7.3 writes it: text in the first 512 bytes, then HDF5 with the axes in reverse."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [np.concatenate([p[:, 0] + 1, p[:, 1] + 1, flags(29, k)]) for k, p in enumerate(faces(29))]
    with h5py.File(path, "w", userblock_size=512) as file:
        file[f"phis{part}"] = np.array(rows).T
        file[f"bboxes{part}"] = np.array([[11, 12, 30, 40]] * 3, float).T
        cells = file.create_dataset(f"Is{part}", (1, 3), h5py.ref_dtype)
        for k in range(3):
            pixels = picture(k) if colour and k != 1 else picture(k)[..., 0]  # some of _color are grey
            cells[0, k] = file.create_dataset(f"#refs#/{k}", data=pixels.T, compression="gzip").ref
    with path.open("r+b") as stream:
        stream.write(
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jul 15 17:43:23 2013".ljust(124) + b"\0\2IM"
        )


def cofw_sample(folder: Path) -> Path:
    write_cofw(folder / "COFW_test_color.mat")
    return folder


def cofw68_sample(folder: Path) -> Path:
    (folder / "test_annotations").mkdir(parents=True)
    for k, points in enumerate(faces(68)):
        names = {"Points": points + 1, "Occ": flags(68, k)[None].astype(np.uint8)}
        scipy_io.savemat(folder / "test_annotations" / f"{k + 1}_points.mat", names, do_compression=True)
    boxes = np.array([[11, 12, 30, 40]] * 3, np.int16)
    scipy_io.savemat(folder / "cofw68_test_bboxes.mat", {"bboxes": boxes})
    pictures = folder / "pictures.mat"
    write_cofw(pictures)
    pictures.rename(folder / "COFW_test_color.mat")
    return folder / "test_annotations"


def aflw2000_sample(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for k, points in enumerate(faces(68)):
        values = {
            "pt2d": np.array([[-1.0] * 21, [452.0] * 21]),
            "Pose_Para": np.radians([[5, -29.9 + 40 * k, 5, 200, 200, -100, 1e-4]]).astype(np.float32),
            "pt3d_68": np.vstack([points.T + 1, np.zeros((1, 68))]).astype(np.float32),
        }
        scipy_io.savemat(folder / f"image{k:05d}.mat", values, do_compression=True)
        write_image(folder / f"image{k:05d}.jpg", picture(k))
    return folder


def write_joint(path: Path, numbers: Sequence[int] = (1, 3, 2)) -> None:
    """COFW_test_507.mat: a struct array of both sets of points, ordered as text: 1, 10, 100, ..."""
    fields = [("imagename", "O"), ("x_29", "O"), ("vis_29", "O"), ("x", "O"), ("vis", "O")]
    value = np.zeros((1, 3), fields)
    for k, number in enumerate(numbers):
        seed = max(number - 1, 0)
        points29, points68 = faces(29)[seed] + 1, faces(68)[seed] + 1
        seen29, seen68 = (1 - flags(n, seed)[:, None].astype(np.uint8) for n in (29, 68))
        value[0, k] = (f"images/{number}.jpg", points29, seen29, points68, seen68)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, {"COFW_test": value}, do_compression=True)


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "cofw": cofw_sample,
    "cofw68": cofw68_sample,
    "aflw2000": aflw2000_sample,
}
FORMS = {"cofw": cofw.FORMAT, "cofw68": cofw68.FORMAT, "aflw2000": aflw2000.FORMAT}
N_POINTS = {"cofw": 29, "cofw68": 68, "aflw2000": 68}


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_read_whole_and_by_their_own_format_alone(name: str, pictures: bool, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    found, skipped = read_all(FORMS[name], source, pictures=pictures)
    assert skipped == []
    assert len(found) == 3
    for k, face in enumerate(found):
        np.testing.assert_allclose(face.points, faces(N_POINTS[name])[k], atol=1e-5)
        if name == "aflw2000":
            assert face.id == f"image{k:05d}.jpg"
            assert face.subsets == {("yaw_0_30", "yaw_0_30", "yaw_30_60")[k]}
            assert face.image.is_file() == pictures
        else:
            assert face.id == f"test/{k + 1}"
            assert face.subsets == {"test"}
            assert face.visible is not None
            assert face.visible.tolist() == (1 - flags(N_POINTS[name], k)).astype(bool).tolist()
            assert face.box is not None
            assert face.box.tolist() == [10, 11, 40, 51]
            assert (face.load is not None) == pictures
    assert [other for other, form in FORMS.items() if form.accepts(source)] == [name]


def test_pictures_of_cofw_are_upright_rgb_in_any_thread(tmp_path: Path) -> None:
    found, _ = read_all(cofw.FORMAT, cofw_sample(tmp_path))
    loads = [face.load for face in found] * 10
    with ThreadPoolExecutor(8) as pool:
        for k, pixels in enumerate(pool.map(lambda load: load() if load else None, loads)):
            expected = picture(k % 3) if k % 3 != 1 else np.repeat(picture(1)[..., :1], 3, axis=2)
            assert pixels is not None
            assert pixels.flags.c_contiguous
            np.testing.assert_array_equal(pixels, expected)


def test_a_folder_of_both_parts_is_read_in_colour(tmp_path: Path) -> None:
    for part, name in (("T", "test"), ("Tr", "train")):
        write_cofw(tmp_path / f"COFW_{name}.mat", part, colour=False)
        write_cofw(tmp_path / f"COFW_{name}_color.mat", part)
    write_joint(tmp_path / "COFW_test_507.mat")
    found, _ = read_all(cofw.FORMAT, tmp_path)
    assert [face.id for face in found] == [f"{part}/{k}" for part in ("train", "test") for k in (1, 2, 3)]
    assert [face.image.parent.name for face in found[::3]] == ["COFW_train_color.mat", "COFW_test_color.mat"]
    grey, _ = read_all(cofw.FORMAT, tmp_path / "COFW_train.mat")
    assert grey[0].load is not None
    assert np.ptp(grey[0].load().astype(int), axis=2).max() == 0


def test_joint_file_gives_29_or_68_points_with_the_pictures_of_the_other(tmp_path: Path) -> None:
    write_joint(tmp_path / "marks" / "COFW_test_507.mat")
    write_cofw(tmp_path / "pictures" / "deep" / "COFW_test_color.mat")
    for form in (cofw.FORMAT, cofw68.FORMAT):
        n_points = N_POINTS[form.name]
        for source in (tmp_path / "marks", tmp_path / "marks" / "COFW_test_507.mat"):
            assert form.accepts(source)
            found, skipped = read_all(form, source, roots=(tmp_path / "pictures",))
            assert skipped == []
            assert [face.id for face in found] == ["test/1", "test/3", "test/2"]
        for face in found:
            k = int(face.id.split("/")[1]) - 1
            np.testing.assert_allclose(face.points, faces(n_points)[k])
            assert face.visible is not None
            assert face.visible.tolist() == (flags(n_points, k) == 0).tolist()
            assert face.load is not None
            assert face.load().shape == (70 + k, 90, 3)
        found, skipped = read_all(form, tmp_path / "marks")
        assert found == []
        assert "no image 'images/1.jpg'" in skipped[0][1]


def test_joint_file_with_single_pictures(tmp_path: Path) -> None:
    write_joint(tmp_path / "COFW_test_507.mat")
    for k in (1, 2):
        (tmp_path / "images").mkdir(exist_ok=True)
        write_image(tmp_path / "images" / f"{k}.jpg", picture(k))
    found, skipped = read_all(cofw.FORMAT, tmp_path)
    assert [face.image.name for face in found] == ["1.jpg", "2.jpg"]
    assert len(skipped) == 1


def test_pictures_that_cannot_be_numbered_are_skipped_and_absent_ones_fail(tmp_path: Path) -> None:
    write_joint(tmp_path / "COFW_test_507.mat", (1, 0, 2))
    write_cofw(tmp_path / "COFW_test_color.mat")
    edit_cofw(tmp_path / "COFW_test_color.mat", lambda file: file.move("IsT", "other"))
    found, skipped = read_all(cofw68.FORMAT, tmp_path / "COFW_test_507.mat")
    assert [face.id for face in found] == ["test/1", "test/2"]
    assert [why for _, why in skipped] == ["'images/0.jpg' is not a numbered picture"]
    edit_cofw(
        tmp_path / "COFW_test_color.mat",
        lambda file: file.create_dataset("IsT", data=file["other"][:, :1], dtype=h5py.ref_dtype),
    )
    first, second = (face.load for face in found)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first(), picture(0))
    with pytest.raises(DataError, match="picture 2: there is none"):
        second()


def edit_cofw(path: Path, edit: Callable[[Any], None]) -> None:
    with h5py.File(path, "r+") as file:
        edit(file)


def replace(name: str, value: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        del file[name]
        if value is not None:
            file[name] = value

    return edit


@pytest.mark.in_child
@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (replace("phisT", np.zeros((3, 87))), "not numbers in 87 rows"),
        (replace("phisT", b"text"), "holds no numbers"),
        (replace("bboxesT", np.zeros((4, 2))), "3 faces, but 2 boxes"),
        (replace("bboxesT", h5py.ExternalLink("other.h5", "/x")), "is not a data set"),
        (replace("phisT", h5py.SoftLink("/absent")), "is not a data set"),
    ],
)
def test_damaged_tables_of_cofw_are_errors(edit: Callable[[Any], None], reason: str, tmp_path: Path) -> None:
    source = cofw_sample(tmp_path)
    edit_cofw(source / "COFW_test_color.mat", edit)
    with pytest.raises((DataError, FileError), match=reason):
        read_all(cofw.FORMAT, source / "COFW_test_color.mat")


def set_value(name: str, at: tuple[int, int], value: float) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        file[name][at] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (set_value("phisT", (80, 1), 0.5), "flag of occlusion"),
        (set_value("phisT", (3, 1), np.inf), "inf is not"),
    ],
)
def test_bad_faces_of_cofw_are_skipped(edit: Callable[[Any], None], reason: str, tmp_path: Path) -> None:
    source = cofw_sample(tmp_path)
    edit_cofw(source / "COFW_test_color.mat", edit)
    found, skipped = read_all(cofw.FORMAT, source)
    assert [face.id for face in found] == ["test/1", "test/3"]
    assert skipped[0][0].endswith("COFW_test_color.mat:test/2")
    assert reason in skipped[0][1]


def point_first_cell(file: Any, target: Any) -> None:
    file["IsT"][0, 0] = target.ref


@pytest.mark.in_child
@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (replace("IsT", None), "is not a data set"),
        (replace("IsT", np.zeros((1, 3))), "picture 1: there is none"),
        (lambda file: point_first_cell(file, file.create_group("group")), "is not a data set"),
        (lambda file: point_first_cell(file, file.create_dataset("x", data=np.zeros((9, 9)))), "is not 8-bit"),
        (lambda file: point_first_cell(file, file.create_dataset("x", data=np.zeros((4, 9, 9), "u1"))), "is not 8-bit"),
        (lambda file: point_first_cell(file, file.create_dataset("x", (2**20, 2**20), "u1")), "bytes"),
    ],
)
def test_damaged_pictures_of_cofw_are_errors_when_loaded(
    edit: Callable[[Any], None], reason: str, tmp_path: Path
) -> None:
    source = cofw_sample(tmp_path)
    edit_cofw(source / "COFW_test_color.mat", edit)
    found, _ = read_all(cofw.FORMAT, source)
    assert found[0].load is not None
    with pytest.raises((DataError, FileError), match=reason):
        found[0].load()


@pytest.mark.in_child
def test_damaged_files_of_cofw68_are_skipped(tmp_path: Path) -> None:
    source = cofw68_sample(tmp_path / "set")
    whole = (source / "1_points.mat").read_bytes()
    (source / "1_points.mat").write_bytes(whole[:200])
    scipy_io.savemat(source / "2_points.mat", {"Points": np.zeros((68, 3)), "Occ": np.zeros((1, 68))})
    shutil.copy(source / "3_points.mat", source / "notes_points.mat")
    (source.parent / "cofw68_test_bboxes.mat").write_bytes(b"")
    found, skipped = read_all(cofw68.FORMAT, source)
    assert [(face.id, face.box) for face in found] == [("test/3", None)]
    reasons = {Path(what).name: why for what, why in skipped}
    assert "not a MATLAB file" in reasons["cofw68_test_bboxes.mat"]
    assert reasons["2_points.mat"] == "an array of 68 x 3, not of 68 x 2"
    assert "1_points.mat" in reasons


def test_files_beside_those_of_aflw2000(tmp_path: Path) -> None:
    """3DDFA's model lies in a folder of the data set; it is no face, while a damaged face is named."""
    source = aflw2000_sample(tmp_path / "AFLW2000")
    (source / "Code").mkdir()
    scipy_io.savemat(source / "Code" / "Model_Shape.mat", {"mu_shape": np.zeros((900, 1))})
    (source / "image00001.mat").write_bytes((source / "image00001.mat").read_bytes()[:300])
    (source / "image00002.jpg").unlink()
    found, skipped = read_all(aflw2000.FORMAT, source)
    assert [face.id for face in found] == ["image00000.jpg"]
    assert [Path(what).name for what, _ in skipped] == ["image00001.mat", "image00002.mat"]
    scipy_io.savemat(source / "image00001.mat", {"pt3d_68": np.ones((3, 68)), "Pose_Para": np.full((1, 7), np.nan)})
    assert "yaw of nan" in read_all(aflw2000.FORMAT, source)[1][0][1]


@pytest.mark.parametrize("compress", [True, False])
def test_mat_is_read_as_scipy_reads_it(compress: bool, tmp_path: Path) -> None:
    cells = np.empty((2, 1), object)
    cells[:, 0] = [np.arange(6.0).reshape(2, 3), "text"]
    values = {
        "double": np.random.default_rng(0).normal(size=(4, 5)),
        "int16": np.array([[-3, 300]], np.int16),
        "cube": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "small": np.array([[7.0]]),
        "empty": np.zeros((0, 3)),
        "word": "λ, text",
        "cells": cells,
        "st": {"a": np.ones((1, 2)), "long_name": "b"},
    }
    scipy_io.savemat(tmp_path / "a.mat", values, do_compression=compress)
    assert variable_names(tmp_path / "a.mat") == list(values)
    found = read_mat(tmp_path / "a.mat", list(values))
    for name in ("double", "int16", "cube", "small", "empty"):
        array = found[name]
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, values[name])
    assert found["word"] == "λ, text"
    assert isinstance(found["cells"], list)
    np.testing.assert_array_equal(np.asarray(found["cells"][0]), cells[0, 0])
    assert found["cells"][1] == "text"
    assert isinstance(found["st"], list)
    assert found["st"][0]["long_name"] == "b"  # type: ignore[index, call-overload]
    with pytest.raises(DataError, match="no variable other"):
        read_mat(tmp_path / "a.mat", ["other"])
    with pytest.raises(DataError, match="4 x 5, not of 5 x 4"):
        as_array(found["double"], 5, 4)


def matrix(kind: int, content: bytes, name: bytes = b"", dims: tuple[int, int] = (1, 1)) -> bytes:
    def element(number: int, data: bytes) -> bytes:
        return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)

    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *dims)) + element(1, name)
    return element(14, head + content)


@pytest.mark.parametrize("what", ["deep", "many", "fields"])
def test_hostile_mat_is_refused(what: str, tmp_path: Path) -> None:
    """Nesting that would end the process in scipy, and sizes that nothing stands behind."""
    if what == "deep":
        content = matrix(6, b"")
        for _ in range(3000):
            content = matrix(1, content)
        content = matrix(1, content, b"Points")
    elif what == "many":
        content = matrix(1, b"", b"Points", (2**31 - 1, 2**31 - 1))
    else:
        content = matrix(2, struct.pack("<III", 0x40005, 0, 0), b"Points")
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + content)
    with pytest.raises(DataError):
        read_mat(tmp_path / "a.mat", ["Points"])


def test_real_cofw(shared_dir: Path) -> None:
    """29 and 68 points of the same faces lie in one frame; the 68 are the same in both of their files."""
    folder = shared_dir / "data" / "annotations"
    found29, _ = read_all(cofw.FORMAT, folder / "mat", pictures=False)
    joint68, _ = read_all(cofw68.FORMAT, folder / "mat" / "COFW_test_507.mat", pictures=False)
    found68, skipped = read_all(cofw68.FORMAT, folder / "cofw68", pictures=False)
    assert (len(found29), len(joint68), len(found68), skipped) == (507, 507, 507, [])
    by_id = {face.id: face for face in found68}
    assert list(by_id) == [f"test/{k}" for k in range(1, 508)]
    for face in joint68:
        np.testing.assert_array_equal(face.points, by_id[face.id].points)
        np.testing.assert_array_equal(face.visible, by_id[face.id].visible)
    shifts = [by_id[f.id].points[[36, 45, 39, 42]] - f.points[[8, 9, 10, 11]] for f in found29]  # type: ignore[index]
    assert np.abs(np.mean(shifts, axis=(0, 1))).max() < 0.5
    occluded = np.mean([~face.visible for face in found29 if face.visible is not None])
    assert occluded == pytest.approx(0.2287, abs=1e-4)  # the 23 % of the paper


def test_real_cofw_is_mmpose_plus_one(shared_dir: Path) -> None:
    import json

    folder = shared_dir / "data" / "annotations"
    found, _ = read_all(cofw.FORMAT, folder / "mat", pictures=False)
    by_id = {face.id: face for face in found}
    entries = json.loads((folder / "mmpose" / "cofw" / "test_cofw.json").read_text())["annotations"]
    for entry in entries:  # MMPose numbers the 507 after the 1,345 for training
        face = by_id[f"test/{entry['image_id'] - 1345}"]
        keypoints = np.array(entry["keypoints"]).reshape(29, 3)
        np.testing.assert_allclose(face.points, keypoints[:, :2], atol=1e-4)
        np.testing.assert_array_equal(face.visible, keypoints[:, 2] == 2)


def test_real_aflw2000(shared_dir: Path) -> None:
    found, skipped = read_all(aflw2000.FORMAT, shared_dir / "data" / "annotations" / "aflw2000")
    assert (len(found), skipped) == (16, [])
    yaws = [sum(name in face.subsets for face in found) for name in ("yaw_0_30", "yaw_30_60", "yaw_60_90")]
    assert yaws == [10, 4, 2]


CHANGES = st.tuples(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6), st.integers(0, 500))


@pytest.mark.in_child
@examples(60)
@pytest.mark.parametrize("name", ["joint", *SAMPLES])
def test_damaged_files_give_points_skips_or_errors(name: str, n_examples: int, tmp_path: Path) -> None:
    if name == "joint":
        write_joint(tmp_path / "set" / "COFW_test_507.mat")
        source, form = tmp_path / "set", cofw.FORMAT
    else:
        source, form = SAMPLES[name](tmp_path / "set"), FORMS[name]
    path = sorted(source.glob("*.mat"))[0]
    whole = path.read_bytes()

    @settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    @given(CHANGES)
    def check(changes: tuple[list[tuple[int, int]], int]) -> None:
        data = bytearray(whole)
        for at, value in changes[0]:
            data[at % len(data)] = value
        path.write_bytes(data[: len(data) - changes[1]])
        try:
            form.accepts(source)
            found, _ = read_all(form, source, pictures=name != "joint")
            for face in found:
                assert face.points is not None
                assert face.points.shape == (N_POINTS[form.name], 2)
                assert not np.isinf(face.points).any()
                if face.load:
                    assert face.load().shape[2] == 3
        except KdError:
            pass

    check()
