"""Annotation conventions in faces files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from contract.running import run_tool
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
from kdtools.training.conventions import true_points_from

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
        plain, true = faces.landmarks_from(labels), true_points_from(faces, labels)
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
    assert [Convention(name).rule for name in ("300w/lfpw", "300w/helen", "300w")] == ["300w"] * 3


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


@pytest.mark.parametrize("value", [5, np.array([1.0, 2.0])])
def test_attributes_that_are_no_text(value: object, tmp_path: Path) -> None:
    path = write_faces(tmp_path / "a.h5", POINTS)
    with h5py.File(path, "r+") as h5:
        h5.attrs["conventions"] = value
    with open_faces(path) as faces, pytest.raises(DataError, match=r"a\.h5:/convention: not annotation conventions: "):
        _ = faces.conventions


@pytest.mark.parametrize("name", ["a\x1b[31m\nb", "a//b", "x" * 101])
def test_predictions_of_what_no_convention_is_called(name: str, tmp_path: Path) -> None:
    path = predictions(tmp_path / "a.h5", POINTS, convention=name)
    with open_faces(path) as faces, pytest.raises(DataError, match=r"a\.h5:/landmarks: .*cannot be called"):
        _ = faces.put_back


def test_a_name_for_each_face_is_no_convention(tmp_path: Path) -> None:
    names = [f"face{k}" for k in range(101)]
    path = write_faces(tmp_path / "a.h5", np.zeros((101, 68, 2)), convention=names)
    with open_faces(path) as faces, pytest.raises(DataError, match="more than 100 annotation conventions"):
        _ = faces.conventions


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "nan,0", "1000,0"])
def test_an_origin_is_two_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="--origin"):
        parse_origin(text)


# ---- through the tools
def part(path: Path, stem: str, conventions: list[Convention], names: list[str]) -> Path:
    ids = [f"{stem}_{k}.jpg" for k in range(3)]
    options = {"ids": ids, "images": plain_images(3, 128), "to_source": turned_maps()}
    return write_faces(path, POINTS, conventions=conventions, convention=names, subset_odd=[0, 1, 0], **options)


def do(tool: str, *words: object) -> str:
    """What a tool wrote, which must succeed."""
    result = run_tool(tool, *words)
    assert result.status == 0, result.stderr
    return result.stdout.decode()


def test_merged_and_split_faces_keep_their_conventions(tmp_path: Path) -> None:
    lfpw, helen = Convention("300w/lfpw", (0.7, -0.2)), Convention("300w/helen")
    one = part(tmp_path / "a.h5", "a", [lfpw, helen], ["300w/lfpw", "300w/helen", ""])
    other = {"images": plain_images(3, 128), "to_source": turned_maps(), "subset_odd": [1, 0, 0]}
    write_faces(tmp_path / "b.h5", POINTS, ids=list("xyz"), **other)
    both, true = tmp_path / "both.h5", {}
    do("kd-merge", one, tmp_path / "b.h5", "-o", both)
    do("kd-merge", one, tmp_path / "b.h5", "--virtual", "-o", tmp_path / "virtual.h5")
    for path in (both, tmp_path / "virtual.h5"):
        with open_faces(path) as faces:
            assert faces.conventions.all == (helen, lfpw)
            assert faces.conventions.of_faces.tolist() == [1, 0, -1, -1, -1, -1]
            true = dict(zip(faces.ids, faces.true_points(), strict=True))
        with open_faces(one) as faces:
            np.testing.assert_array_equal(faces.true_points(), [true[identity] for identity in faces.ids])
    do("kd-split", both, "--by-subset", "odd", "-o", tmp_path / "t.h5", "--rest", tmp_path / "r.h5", "--group", "none")
    with open_faces(tmp_path / "t.h5") as kept, open_faces(tmp_path / "r.h5") as rest:
        assert kept.conventions.all == (lfpw,)
        assert rest.conventions.all == (helen,)
        for faces in (kept, rest):
            np.testing.assert_array_equal(faces.true_points(), [true[identity] for identity in faces.ids])


def test_converted_points_and_soft_landmarks_keep_the_origin(tmp_path: Path) -> None:
    points = np.random.default_rng(1).uniform(20, 100, (9, 68, 2))
    path = write_faces(tmp_path / "a.h5", points, conventions=TWO[:1])
    do("kd-merge", path, "--convert", "ibug51", "-o", tmp_path / "51.h5")
    do("kd-asm", path, "-o", tmp_path / "soft.h5")
    for name in ("51.h5", "soft.h5"):
        with open_faces(tmp_path / name) as faces:
            moved = faces.points() - faces.true_points()
            np.testing.assert_allclose(moved.reshape(-1, 2), np.tile([0.7, -0.2], (9 * faces.n_points, 1)), atol=1e-4)


def test_two_origins_of_one_name_are_refused_and_can_be_stated_anew(tmp_path: Path) -> None:
    one = part(tmp_path / "a.h5", "a", [TWO[0]], ["300w"] * 3)
    two = part(tmp_path / "b.h5", "b", [Convention("300w")], ["300w"] * 3)
    result = run_tool("kd-merge", one, two, "-o", tmp_path / "both.h5")
    assert result.status == 1
    assert "the convention 300w has the origin 0.7, -0.2 in one, no origin in the other" in result.stderr
    assert "kd-merge FILE --convention 300w --origin X,Y" in result.stderr
    do("kd-merge", two, "--convention", "300w", "--origin=0.7,-0.2", "-o", tmp_path / "c.h5")
    do("kd-merge", one, tmp_path / "c.h5", "-o", tmp_path / "both.h5")
    with open_faces(tmp_path / "both.h5") as faces:
        assert (faces.conventions.all, faces.conventions.counts.tolist()) == ((TWO[0],), [6])
    do("kd-merge", one, "--convention", "300w", "-o", tmp_path / "d.h5")  # what it states is kept
    with open_faces(tmp_path / "d.h5") as faces:
        assert faces.conventions.all == (TWO[0],)
    assert run_tool("kd-merge", one, "--origin", "1,0", "-o", tmp_path / "e.h5").status == 2
    assert run_tool("kd-merge", one, "--convention", "a//b", "-o", tmp_path / "e.h5").status == 2


def test_predictions_of_two_conventions_are_not_joined(tmp_path: Path) -> None:
    paths = [write_faces(tmp_path / f"{k}.h5", POINTS, ids=list(f"{k}ab"), role="predicted") for k in range(3)]
    for path, name in zip(paths, ("300w", "300w", "youtube68"), strict=True):
        with h5py.File(path, "r+") as h5:
            h5["landmarks"].attrs.update({"convention": name, "flipped": True})
            ids = h5["id"].asstr()[:]
            del h5["id"]
            h5["id"] = [f"{path.stem}{identity}" for identity in ids]
    do("kd-merge", *paths[:2], "-o", tmp_path / "m.h5")
    with open_faces(tmp_path / "m.h5") as faces:
        assert (faces.put_back, faces.flipped) == (Convention("300w"), True)
    for more in ((), ("--virtual",)):
        result = run_tool("kd-merge", *paths[1:], *more, "-o", tmp_path / "n.h5")
        assert result.status == 1
        assert "the annotation convention 300w and the annotation convention youtube68" in result.stderr


def predictions(path: Path, points: np.ndarray, **attributes: object) -> Path:
    """Points that kd-predict --convention found."""
    write_faces(path, points, role="predicted")
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs.update(attributes)
    return path


def test_soft_landmarks_of_predictions_lie_where_these_do(tmp_path: Path) -> None:
    """As a teacher's points their own origin is taken off, and not that of the labels."""
    points = np.random.default_rng(1).uniform(20, 100, (9, 68, 2))
    labels = write_faces(tmp_path / "labels.h5", points, conventions=TWO[:1])
    for n, (attributes, origin) in enumerate(
        [
            ({"convention": "300w"}, [0, 0]),
            ({}, [0, 0]),
            ({"convention": "300w", "origin": np.array([0.7, -0.2])}, TWO[0].origin),
        ]
    ):
        found = predictions(tmp_path / f"found{n}.h5", points, **attributes)
        do("kd-asm", found, "-o", tmp_path / f"soft{n}.h5")
        with open_faces(labels) as faces, open_faces(tmp_path / f"soft{n}.h5") as soft, open_faces(found) as plain:
            assert (soft.role, soft.put_back) == ("predicted", plain.put_back)
            moved = soft.points() - true_points_from(faces, soft)
        np.testing.assert_allclose(moved, np.broadcast_to(origin, moved.shape), atol=1e-4)


def test_an_origin_is_not_taken_off_predictions_twice(tmp_path: Path) -> None:
    found = predictions(tmp_path / "found.h5", POINTS, convention="300w", origin=np.array([0.7, -0.2]))
    result = run_tool("kd-merge", found, "--convention", "300w", "--origin", "0.7,-0.2", "-o", tmp_path / "m.h5")
    assert (result.status, (tmp_path / "m.h5").exists()) == (1, False)
    assert "its points are already those of the annotation convention 300w with its origin 0.7, -0.2" in result.stderr


def test_what_is_stated_anew_may_differ_between_the_files(tmp_path: Path) -> None:
    """As long as they agree on the convention that all faces get."""
    three = [Convention("300w", (1.0, 0.0)), TWO[1]]
    one = part(tmp_path / "a.h5", "a", list(TWO), ["300w", "helen", "300w"])
    two = part(tmp_path / "b.h5", "b", three, ["300w", "helen", "300w"])
    do("kd-merge", one, two, "--convention", "helen", "-o", tmp_path / "m.h5")
    with open_faces(tmp_path / "m.h5") as faces:
        assert (faces.conventions.all, faces.conventions.counts.tolist()) == ((TWO[1],), [6])
    assert run_tool("kd-merge", one, two, "--convention", "300w", "-o", tmp_path / "n.h5").status == 1


def test_an_import_states_its_convention(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), plain_images(1, 128, 90)[0])
        lines = "".join(f"{x + 1} {y + 1}\n" for x, y in POINTS[k])
        (folder / f"{k}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}}}\n")
    words = ("--convention", "300w/lfpw", "--origin", "0.72,0")
    for name, more in (("crops.h5", ("--size", "64")), ("points.h5", ("--no-images",))):
        do("kd-import", folder, *more, *words, "-o", tmp_path / name)
        with open_faces(tmp_path / name) as faces:
            assert faces.conventions.all == (Convention("300w/lfpw", (0.72, 0.0)),)
            np.testing.assert_allclose(faces.true_points(), POINTS - [0.72, 0], atol=1e-4)
    report = json.loads(do("kd-info", tmp_path / "crops.h5", "--json"))
    report = report[0] if isinstance(report, list) else report
    assert report["conventions"] == {"300w/lfpw": {"faces": 3, "origin": [0.72, 0.0]}}
    assert run_tool("kd-info", "--check", tmp_path / "crops.h5").status == 0
    for wrong in (("--convention", "a", "--origin", "1"), ("--origin", "1,0"), ("--convention", "")):
        assert run_tool("kd-import", folder, *wrong, "-o", tmp_path / "w.h5").status == 2


def test_a_check_names_damaged_conventions(tmp_path: Path) -> None:
    path = part(tmp_path / "a.h5", "a", [TWO[0]], ["300w"] * 3)
    assert run_tool("kd-info", "--check", path).status == 0
    with h5py.File(path, "r+") as h5:
        h5.attrs["conventions"] = '{"300w": 3}'
    result = run_tool("kd-info", "--check", path)
    assert result.status == 3
    assert "/convention: not annotation conventions" in result.stdout.decode() + result.stderr
