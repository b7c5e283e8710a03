"""kd-merge and kd-split: every array stays with its id, nobody is on both sides, files that do not fit are refused."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.cli import kd_merge, kd_split
from kdtools.cli._app import session
from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.detector import detector_of
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.file_pool import OpenFaces
from kdtools.faces.people import group_faces
from kdtools.faces.split import draw_folds, draw_share
from kdtools.landmarks import IBUG68, Scheme, convert_mask, convert_points, scheme_named
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import box_to_source
from kdtools.landmarks.shape_model import ShapeModel

Run = Callable[..., tuple[int, str]]
SIDE = 4


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a tool in this process: its exit status and what it said."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(main: Callable[[], NoReturn], *words: Any, stdin: str = "") -> tuple[int, str]:
        session.verbosity = session.n_skipped = 0
        monkeypatch.setattr(sys, "argv", ["tool", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as stop:
            main()
        signal.signal(signal.SIGTERM, handler)
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def number_of(identity: str) -> int:
    """Ids end in the number from which all of a face's values are made."""
    return int(identity.rpartition("_")[2])


def points_of(numbers: Sequence[int], scheme: Scheme = IBUG68) -> np.ndarray:
    rows = [np.random.default_rng(number).uniform(0, SIDE, (scheme.n_points, 2)) for number in numbers]
    return np.array(rows, np.float32)


def confidence_of(numbers: Sequence[int], n_points: int) -> np.ndarray:
    return np.array(numbers)[:, None] / 2000 + np.arange(n_points)[::-1] / 200


def boxes_of(numbers: Sequence[int]) -> np.ndarray:
    first = np.array(numbers, float)
    return np.stack([first, 2 * first, first + 8, 2 * first + 8], axis=1)


def write_numbered(
    path: Path, numbers: Sequence[int], *, leave_out: Sequence[str] = (), stem: str = "face", **options: Any
) -> Path:
    """A faces file in which every array of a face says which it is."""
    values = np.array(numbers)
    scheme, size = options.get("scheme", IBUG68), options.get("size", SIDE)
    arrays = {
        "images": np.tile((values % 256).astype(np.uint8)[:, None, None, None], (1, size, size, 3)),
        "points": points_of(numbers, scheme),
        "crop": CropRule(options.get("margin", 0.2)),
        "visible": values[:, None] % 2 == np.zeros(scheme.n_points),
        "box": boxes_of(numbers),
        "to_source": box_to_source(boxes_of(numbers), size, size),
        "source": [f"photo {k}.jpg" for k in numbers],
        "score": values / 1000,
        "confidence": confidence_of(numbers, scheme.n_points),
        "subset/odd": values % 2 == 1,
    }
    kept = {name: array for name, array in arrays.items() if name not in leave_out}
    ids = [f"{stem}_{k}" for k in numbers]
    return write_faces(path, ids=ids, scheme=scheme, role=options.get("role", "hard"), **kept)


def check_rows(faces: FacesFile) -> list[int]:
    """Assert that each id kept its own values; the faces' numbers."""
    numbers = [number_of(identity) for identity in faces.ids]
    values = np.array(numbers)
    if "image" in faces:
        np.testing.assert_array_equal(faces.images[:, 0, 0, 0], values % 256)
        np.testing.assert_array_equal(faces.landmarks, points_of(numbers))
        np.testing.assert_allclose(faces.read("to_source", 0, len(faces)), box_to_source(boxes_of(numbers), SIDE, SIDE))
    np.testing.assert_array_equal(faces.h5["visible"][:, 3], values % 2 == 0)
    if "box" in faces:
        np.testing.assert_array_equal(faces.h5["box"][...], boxes_of(numbers))
    assert list(faces.h5["source"].asstr()) == [f"photo {k}.jpg" for k in numbers]
    np.testing.assert_allclose(faces.h5["score"][...], values / 1000, rtol=1e-6)
    np.testing.assert_allclose(faces.h5["confidence"][...], confidence_of(numbers, 68), rtol=1e-6)
    np.testing.assert_array_equal(faces.subsets["odd"], values % 2 == 1)
    for name in filter(faces.__contains__, ("landmarks", "box", "visible", "score")):
        assert faces.h5[name].attrs["dims"][0] == "face"
    return numbers


# ---- kd-merge
def test_merged_rows_keep_every_array_in_step(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a file's images take many blocks; what comes out can be memory-mapped."""
    monkeypatch.setattr("kdtools.faces.merge._BLOCK_BYTES", 3 * SIDE * SIDE * 5)
    rng = np.random.default_rng(0)
    numbers = rng.permutation(600)[:57].tolist()
    parts = [numbers[:20], numbers[20:21], numbers[21:]]
    paths = [write_numbered(tmp_path / f"{k}.h5", part) for k, part in enumerate(parts)]
    assert run(kd_merge.main, *paths, "-o", tmp_path / "all.h5") == (
        0,
        f"kd-merge: 57 faces to {tmp_path / 'all.h5'}\n",
    )
    with open_faces(tmp_path / "all.h5") as merged:
        assert check_rows(merged) == numbers
        assert (merged.scheme, merged.role, merged.crop) == (IBUG68, "hard", CropRule(0.2))
        assert not merged.images.is_packed
        inputs = json.loads(merged.h5.attrs["inputs"])
        assert list(inputs) == sorted(map(str, paths))


def test_the_shards_of_a_split_merge_to_the_whole(tmp_path: Path, run: Run) -> None:
    whole = write_numbered(tmp_path / "whole.h5", range(30))
    assert run(kd_split.main, whole, "-o", tmp_path / "a.h5", "--rest", tmp_path / "b.h5", "--share", 0.3)[0] == 0
    assert run(kd_merge.main, tmp_path / "b.h5", tmp_path / "a.h5", "-o", tmp_path / "again.h5")[0] == 0
    with open_faces(tmp_path / "again.h5") as again:
        assert sorted(check_rows(again)) == list(range(30))


def test_parts_of_a_file(tmp_path: Path, run: Run) -> None:
    path, out = write_numbered(tmp_path / "in.h5", range(20)), tmp_path / "out.h5"

    def taken(*words: Any, stdin: str = "", status: int = 0) -> list[int]:
        assert run(kd_merge.main, path, *words, "-f", "-o", out, stdin=stdin)[0] == status
        with open_faces(out) as part:
            return check_rows(part)

    assert taken("--subset", "odd") == list(range(1, 20, 2))
    assert taken("--subset", "odd", "--subset", "full") == list(range(20))
    assert taken("--subset", "odd", "--exclude", "face_1*") == [3, 5, 7, 9]
    (tmp_path / "ids.txt").write_text("face_7\r\n\nface_1?\nface_7\n")
    assert taken("--ids-from", tmp_path / "ids.txt") == [7, *range(10, 20)]
    assert taken("--ids-from", "-", stdin="face_3\nface_4\n", status=0) == [3, 4]
    assert taken("--ids-from", "-", "--subset", "odd", stdin="face_3\nface_4\n") == [3]


def test_ids_that_are_not_there_are_named(tmp_path: Path, run: Run) -> None:
    path, out = write_numbered(tmp_path / "in.h5", range(5)), tmp_path / "out.h5"
    status, said = run(kd_merge.main, path, "--ids-from", "-", "-o", out, stdin="face_3\nface_9\nx*\n")
    assert status == 4
    assert "skipped face_9: no face has this id" in said
    assert "skipped x*: " in said
    status, said = run(kd_merge.main, path, "--ids-from", "-", "-o", out, "-f", stdin="face_9\n")
    assert (status, "no face is left" in said) == (1, True)
    for words, expected in ((["--exclude", "x*"], "--exclude x*: no id fits"), (["--add-subset", "a=x"], "a=x: no id")):
        status, said = run(kd_merge.main, path, *words, "-o", out, "-f")
        assert (status, expected in said) == (0, True)


def test_added_subsets(tmp_path: Path, run: Run) -> None:
    path, out = write_numbered(tmp_path / "in.h5", range(6)), tmp_path / "out.h5"
    words = ["--add-subset", "few=face_[12]", "--add-subset", "few=face_5", "--add-subset", "odd=face_0"]
    assert run(kd_merge.main, path, *words, "-o", out)[0] == 0
    with open_faces(out) as faces:
        assert np.flatnonzero(faces.subsets["few"]).tolist() == [1, 2, 5]
        assert np.flatnonzero(faces.subsets["odd"]).tolist() == [0, 1, 3, 5]


def test_arrays_that_only_some_files_hold(tmp_path: Path, run: Run) -> None:
    whole = write_numbered(tmp_path / "whole.h5", [1, 2, 3])
    lacking = ("visible", "score", "confidence", "subset/odd", "to_source", "source")
    part = write_numbered(tmp_path / "part.h5", [4, 5], leave_out=lacking)
    for paths, order in (((whole, part), slice(0, 3)), ((part, whole), slice(2, 5))):
        status, said = run(kd_merge.main, *paths, "-f", "-o", tmp_path / "out.h5")
        assert status == 0
        assert f"/visible is left out: {part} holds none" in said
        assert f"/source is left out: {part} holds none" in said
        with open_faces(tmp_path / "out.h5") as out:
            assert "visible" not in out
            assert "source" not in out
            filled = np.ones(5, bool)
            filled[order] = False
            np.testing.assert_array_equal(np.isnan(out.h5["score"]), filled)
            assert np.isnan(out.h5["confidence"][...]).all(axis=1).tolist() == filled.tolist()
            assert out.h5["confidence"].shape == (5, 68)
            np.testing.assert_array_equal(
                out.read("to_source", 0, len(out))[filled], np.broadcast_to([[1, 0, 0], [0, 1, 0]], (2, 2, 3))
            )
            assert not out.subsets["odd"][filled].any()
            assert out.subsets["odd"][order].tolist() == [True, False, True]


def test_files_that_do_not_fit_are_refused(tmp_path: Path, run: Run) -> None:
    one, out = write_numbered(tmp_path / "one.h5", range(3)), tmp_path / "out.h5"
    five, mirrored = Scheme("five", 5), Scheme("ibug68", 68, mirror=tuple(range(68)))
    wrong: dict[str, tuple[dict[str, Any], list[str]]] = {
        "size": ({"size": 8}, ["images of 4 x 4 and of 8 x 8 px", "--no-images"]),
        "points": ({"scheme": five}, ["5 points per face, but", "has 68"]),
        "name": ({"scheme": Scheme("mine", 68)}, ["schemes ibug68 and mine", "--convert converts"]),
        "mirror": ({"scheme": mirrored}, ["ibug68, but with another mirror"]),
        "role": ({"role": "soft"}, ["landmarks of the roles hard and soft"]),
        "images": ({"leave_out": ["images"]}, ["holds /image, but", "--no-images"]),
        "landmarks": ({"leave_out": ["points", "visible", "confidence"]}, ["holds /landmarks, but"]),
    }
    for name, (options, expected) in wrong.items():
        other = write_numbered(tmp_path / f"{name}.h5", range(3, 6), **options)
        status, said = run(kd_merge.main, one, other, "-o", out)
        assert (status, len(said.splitlines())) == (1, 2), said
        assert str(one) in said
        assert str(other) in said
        assert all(text in said for text in expected), said
        assert not out.exists()


def test_the_same_ids_are_told_apart_by_a_prefix(tmp_path: Path, run: Run) -> None:
    one, two, out = (
        write_numbered(tmp_path / "a.h5", range(5)),
        write_numbered(tmp_path / "b.h5", range(3, 8)),
        tmp_path / "o",
    )
    status, said = run(kd_merge.main, one, two, "-o", out)
    assert status == 1
    assert f"{one} and {two} hold 2 of the same ids: 'face_3', 'face_4'\n  --prefix puts" in said
    assert run(kd_merge.main, one, two, "-o", out, "--prefix", "--exclude", "b/*_7")[0] == 0
    with open_faces(out) as faces:
        assert faces.ids == [f"a/face_{k}" for k in range(5)] + [f"b/face_{k}" for k in range(3, 7)]
        check_rows(faces)
    status, said = run(kd_merge.main, one, one, "-o", tmp_path / "p", "--prefix")
    assert (status, f"{one} and {one} hold 5 of the same ids" in said) == (1, True)
    assert "the files have the same name" in said


def test_without_images_points_go_to_the_sources(tmp_path: Path, run: Run) -> None:
    small = write_numbered(tmp_path / "small.h5", range(3), margin=0.2)
    large = write_numbered(tmp_path / "large.h5", range(3, 6), size=8, margin=0.4)
    bare = write_numbered(tmp_path / "bare.h5", range(6, 8), leave_out=["images"])
    status, said = run(kd_merge.main, small, large, bare, "--no-images", "-o", tmp_path / "out.h5")
    assert status == 0
    assert said.count("warning") == said.count("/box is left out") == 1  # boxes of crops, and some of nobody
    with open_faces(tmp_path / "out.h5") as out:
        assert check_rows(out) == list(range(8))
        assert "box" not in out
        assert "image" not in out
        assert "to_source" not in out
        assert out.crop is None
        for path, rows in ((small, slice(0, 3)), (large, slice(3, 6)), (bare, slice(6, 8))):
            with open_faces(path) as source:
                np.testing.assert_allclose(out.landmarks[rows], source.points(), rtol=1e-6)


def test_one_crop_rule_or_none(tmp_path: Path, run: Run) -> None:
    """A rule that holds for some faces only is not stated: a model trained on them would take it for its own."""
    paths = [write_numbered(tmp_path / f"{k}.h5", [k], margin=0.2 + k / 10) for k in range(2)]
    status, said = run(kd_merge.main, *paths, "-o", tmp_path / "out.h5")
    assert status == 0
    assert f"no crop rule is written: {paths[0]} states" in said
    with open_faces(tmp_path / "out.h5") as out:
        assert out.crop is None


@pytest.mark.parametrize("virtual", [False, True])
def test_one_detector_or_none(virtual: bool, tmp_path: Path, run: Run) -> None:
    """What found the faces is stated of merged and of split files if the same found all of them."""
    finder = {"name": "finder", "min_score": 0.55, "search_size": 500}
    other = {"name": "cascade"} if virtual else finder | {"search_size": 1000}
    paths = [write_numbered(tmp_path / f"{k}.h5", range(6 * k, 6 * k + 6)) for k in range(3)]
    for path, record in zip(paths, (finder, finder, other), strict=True):
        with h5py.File(path, "r+") as h5:
            h5.attrs["detector"] = json.dumps(record)
    how = ["--virtual"] if virtual else []
    for sources, expected in (paths[:2], finder), (paths, {}):
        assert run(kd_merge.main, *sources, *how, "-f", "-o", tmp_path / "out.h5")[0] == 0
        with open_faces(tmp_path / "out.h5") as out:
            assert detector_of(out) == expected
    words = (paths[0], "--group", "none", "--share", "0.5", "-o", tmp_path / "a.h5", "--rest", tmp_path / "b.h5", "-f")
    assert run(kd_split.main, *words)[0] == 0
    with open_faces(tmp_path / "b.h5") as out:
        assert detector_of(out) == finder


def test_points_of_several_schemes_in_one(tmp_path: Path, run: Run) -> None:
    five = scheme_named("points5")
    many, few = (write_numbered(tmp_path / f"{s.name}.h5", [k, k + 1], scheme=s) for k, s in ((0, IBUG68), (2, five)))
    assert run(kd_merge.main, many, few, "--convert", "points5", "-o", tmp_path / "out.h5")[0] == 0
    with open_faces(tmp_path / "out.h5") as out:
        assert out.scheme == five
        np.testing.assert_allclose(out.landmarks[:2], convert_points(points_of([0, 1]), IBUG68, five), rtol=1e-5)
        np.testing.assert_array_equal(out.landmarks[2:], points_of([2, 3], five))
        assert out.h5["visible"][...].tolist() == [[1] * 5, [0] * 5] * 2
        expected = convert_mask(confidence_of([0, 1], 68), IBUG68, five)
        np.testing.assert_allclose(out.h5["confidence"][:2], expected, rtol=1e-6)
        np.testing.assert_allclose(out.h5["confidence"][2:], confidence_of([2, 3], 5), rtol=1e-6)
    status, said = run(kd_merge.main, many, "--convert", "cofw29", "-o", tmp_path / "cofw.h5")
    assert (status, "warning: ibug68 to cofw29 is approximate: lower edges" in said) == (0, True)
    status, said = run(kd_merge.main, few, "--convert", "ibug68", "-o", tmp_path / "no.h5")
    assert (status, "cannot be converted" in said) == (2, True)


def test_the_shape_model_of_all_stays(tmp_path: Path, run: Run) -> None:
    paths = [write_numbered(tmp_path / f"{k}.h5", [k], role="soft") for k in range(2)]
    for change, path in enumerate(paths):
        with h5py.File(path, "r+") as h5:
            h5["shape_model/mean"] = np.zeros((68, 2)) + change
            h5["shape_model/modes"], h5["shape_model/variance"] = np.ones((1, 68, 2)), np.ones(1)
    status, said = run(kd_merge.main, *paths, "-o", tmp_path / "out.h5")
    assert (status, "/shape_model is left out" in said) == (0, True)
    assert run(kd_merge.main, paths[0], "-f", "-o", tmp_path / "out.h5")[0] == 0
    with open_faces(tmp_path / "out.h5") as out:
        assert isinstance(out.shape_model, ShapeModel)


def test_usage_of_merge(tmp_path: Path, run: Run) -> None:
    path = write_numbered(tmp_path / "in.h5", range(3))
    status, said = run(kd_merge.main, path, "--subset", "even", "-o", tmp_path / "out.h5")
    assert (status, "no subset 'even'\n  there are full, odd" in said) == (1, True), said
    for words, expected in (
        (["--add-subset", "name"], "give NAME=GLOB"),
        (["--add-subset", "a/b=*"], "cannot be called 'a/b'"),
        (["--add-subset", "full=*"], "all faces"),
        (["--convert", "nope"], "unknown scheme"),
        (["-", "--ids-from", "-"], "only one input"),
    ):
        status, said = run(kd_merge.main, path, *words, "-o", tmp_path / "out.h5")
        assert (status, expected in said) == (2, True), said
    for name, text in (("no.txt", None), ("empty.txt", b"\n"), ("binary.txt", b"\xff\xfe\xfa")):
        if text is not None:
            (tmp_path / name).write_bytes(text)
        status, said = run(kd_merge.main, path, "--ids-from", tmp_path / name, "-o", tmp_path / "out.h5")
        assert (status, str(tmp_path / name) in said) == (1, True), said


# ---- kd-split
@pytest.mark.parametrize("seed", range(6))
def test_a_share_keeps_rows_in_step_and_people_together(tmp_path: Path, run: Run, seed: int) -> None:
    """Each face of a person has the person's name in its id, where the default guess would not look for it."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(200)[:60]
    whole, paths = tmp_path / "whole.h5", [tmp_path / "a.h5", tmp_path / "b.h5"]
    write_numbered(whole, numbers.tolist())
    with h5py.File(whole, "r+") as h5:
        h5["id"][...] = [f"{k}/who{k % 17}-face_{k}" for k in numbers]
    words = ["-o", paths[0], "--rest", paths[1], "--share", 0.25, "--group", "/who(\\d+)-", "--seed", seed]
    assert run(kd_split.main, whole, *words)[0] == 0
    found = []
    for path in paths:
        with open_faces(path) as part:
            found.append(check_rows(part))
    assert sorted([*found[0], *found[1]]) == sorted(numbers.tolist())
    assert not {k % 17 for k in found[0]} & {k % 17 for k in found[1]}
    assert 0.1 < len(found[1]) / 60 <= 0.375


def test_folds(tmp_path: Path, run: Run) -> None:
    numbers = list(range(50))
    whole = write_numbered(tmp_path / "whole.h5", numbers)
    with h5py.File(whole, "r+") as h5:
        h5["id"][...] = [f"set/p{k % 10}-{k // 10}_{k}" for k in numbers]
    words = ["--folds", 4, "--group", "p(\\d+)", "-o", tmp_path / "fold{}.h5"]
    status, said = run(kd_split.main, whole, *words)
    assert status == 0
    assert "10 people, nobody in both" in said
    found = []
    for k in range(1, 5):
        with open_faces(tmp_path / f"fold{k}.h5") as fold:
            found.append(check_rows(fold))
    assert sorted(number for fold in found for number in fold) == numbers
    assert sorted(map(len, found)) == [10, 10, 15, 15]
    people = [{k % 10 for k in fold} for fold in found]
    assert len(set.union(*people)) == sum(map(len, people)) == 10
    status, said = run(kd_split.main, whole, *words)
    assert (status, "fold1.h5: exists already" in said) == (1, True)


def test_by_subset(tmp_path: Path, run: Run) -> None:
    whole, a, b = write_numbered(tmp_path / "whole.h5", range(20)), tmp_path / "a.h5", tmp_path / "b.h5"
    words = ["-o", a, "--rest", b, "--by-subset", "odd", "-f"]
    status, said = run(kd_split.main, whole, *words)
    assert (status, "warning" in said) == (0, False)
    with open_faces(a) as even, open_faces(b) as odd:
        assert check_rows(even) == list(range(0, 20, 2))
        assert check_rows(odd) == list(range(1, 20, 2))
    status, said = run(kd_split.main, whole, *words, "--group", "(\\d)$")
    assert status == 0
    status, said = run(kd_split.main, whole, *words, "--group", "(_)")
    assert (status, "1 person is both in odd and outside it: '_'" in said) == (1, True)
    with h5py.File(whole, "r+") as h5:
        h5["id"][...] = [f"{k // 2}/face_{k}" for k in range(20)]
        h5["id"][...] = [f"person{k // 2}_{k}" for k in range(20)]
    status, said = run(kd_split.main, whole, *words)
    assert (status, "warning: by their ids 10 people or photographs may be in both" in said) == (0, True)


def test_a_split_keeps_the_shape_model(tmp_path: Path, run: Run) -> None:
    whole = write_numbered(tmp_path / "whole.h5", range(10), role="soft")
    with h5py.File(whole, "r+") as h5:
        h5["shape_model/mean"] = np.arange(136.0).reshape(68, 2)
        h5["shape_model/modes"], h5["shape_model/variance"] = np.ones((1, 68, 2)), np.ones(1)
        h5["shape_model"].attrs["align"] = "none"
    assert run(kd_split.main, whole, "-o", tmp_path / "a.h5", "--rest", tmp_path / "b.h5")[0] == 0
    for name in ("a.h5", "b.h5"):
        with open_faces(tmp_path / name) as part:
            assert part.shape_model.align == "none"
            assert part.shape_model.mean[67, 1] == 135


def test_usage_of_split(tmp_path: Path, run: Run) -> None:
    whole = write_numbered(tmp_path / "whole.h5", range(10))
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    for status, words, expected in (
        (2, ["-o", a], "give --rest FILE"),
        (2, ["-o", a, "--rest", b, "--folds", 3], "or --folds K"),
        (2, ["-o", a, "--folds", 3], "needs {} for the number"),
        (2, ["-o", a, "--rest", b, "--share", 0.2, "--by-subset", "odd"], "give one of"),
        (1, ["-o", a, "--rest", b, "--by-subset", "even"], "there are full, odd"),
        (2, ["-o", a, "--rest", b, "--group", "("], "not a regular expression"),
        (2, ["-o", a, "--rest", b, "--group", "face"], "put ( ) around"),
        (1, ["-o", a, "--rest", b, "--group", "([1-9])$"], "matches nobody in 1 of 10 ids: 'face_0'"),
        (1, ["-o", a, "--rest", b, "--group", "(face)"], "too few to split"),
        (1, ["-o", tmp_path / "{}.h5", "--folds", 3, "--group", "(face)"], "cannot fill 3 folds"),
        (2, ["-o", a, "--rest", a], "the same file"),
    ):
        found, said = run(kd_split.main, whole, *words)
        assert (found, expected in said) == (status, True), said
    assert [path.name for path in tmp_path.iterdir()] == ["whole.h5"]


def test_draws() -> None:
    groups = [f"g{k % 7}" for k in range(70)]
    mask = draw_share(groups, 0.3, 3)
    assert mask.sum() in (20, 30)
    np.testing.assert_array_equal(mask, draw_share(groups, 0.3, 3))
    assert any((draw_share(groups, 0.3, seed) != mask).any() for seed in range(5))
    folds = draw_folds(groups, 7, 0)
    assert np.bincount(folds).tolist() == [10] * 7
    with pytest.raises(DataError, match="cannot fill"):
        draw_folds(groups, 8, 0)
    with pytest.raises(UsageError):
        group_faces(["a"], "a")
    assert group_faces(["x1b", "y2b"], r"(\d)b|z").names == ["1", "2"]


# ---- references instead of copies
def test_a_virtual_file_reads_as_a_merged_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved with its parts and opened from another folder, it still finds them; without one of them it is refused."""
    (tmp_path / "parts").mkdir()
    paths = [tmp_path / "parts" / f"{k}.h5" for k in range(3)]
    for k, path in enumerate(paths):
        n = 2 * k  # the first is empty
        write_faces(
            path,
            np.random.default_rng(k).random((n, 68, 2)),
            ids=[f"{k}/ä{row}" for row in range(n)],
            role="predicted",
            source=[f"photo {k} {row}" for row in range(n)],
            score=np.arange(n),
            subset_odd=np.arange(n) % 2,
        )
    words = [*map(str, paths), "-o"]
    assert run(kd_merge.main, *words, tmp_path / "copied.h5")[0] == 0
    assert run(kd_merge.main, *words, tmp_path / "virtual.h5", "--virtual")[0] == 0
    assert (tmp_path / "virtual.h5").stat().st_size < 60_000
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("parts", "virtual.h5"):
        (tmp_path / name).rename(moved / name)
    monkeypatch.chdir(tmp_path)
    with open_faces(tmp_path / "copied.h5") as copied, open_faces("moved/virtual.h5") as virtual:
        assert virtual.ids == copied.ids
        assert (virtual.scheme, virtual.role) == (copied.scheme, copied.role)
        for name in ("source", "landmarks", "score", "subset/odd"):
            np.testing.assert_array_equal(virtual.read(name, 0, 6), copied.read(name, 0, 6))
            np.testing.assert_array_equal(virtual.read(name, 1, 3), copied.read(name, 1, 3))
    (moved / "parts" / "2.h5").unlink()
    with pytest.raises(FileError, match=r"absent: parts/2\.h5"), open_faces("moved/virtual.h5"):
        pass


def test_a_virtual_file_is_of_whole_files_with_different_ids(run: Run, tmp_path: Path) -> None:
    path, output, pipe = tmp_path / "a.h5", tmp_path / "o.h5", tmp_path / "pipe"
    write_faces(path, np.zeros((1, 68, 2)), role="predicted")
    os.mkfifo(pipe)
    for words, told in (
        ([path, path, "-o", output], "ids? occurs? more than once|hold 1 of the same ids"),
        ([path, "--prefix", "-o", output], "whole files"),
        ([path, "-", "-o", output], "not to streams"),
        ([path, "-o", "-"], "not to streams"),
        ([pipe, path, "-o", output], "not to streams or pipes"),
    ):
        status, said = run(kd_merge.main, *words, "--virtual")
        assert status in (1, 2)
        assert re.search(told, said)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.h5", "pipe"]


def write_parts(folder: Path, n_parts: int) -> list[Path]:
    """Files of predictions of two faces each; the second is that of an empty shard."""
    paths = [folder / f"{k}.h5" for k in range(n_parts)]
    for k, path in enumerate(paths):
        n = 0 if k == 1 else 2
        some = {"score": np.full(n, k), "subset_odd": np.arange(n) % 2} if n else {}
        write_faces(path, np.full((n, 68, 2), k), ids=[f"{k}/{row}" for row in range(n)], role="predicted", **some)
    return paths


def test_more_parts_are_joined_than_may_be_open(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_parts(tmp_path, 9)
    assert run(kd_merge.main, *paths, "-o", tmp_path / "plain.h5")[0] == 0
    monkeypatch.setattr("kdtools.faces.file_pool.room_for_files", lambda: 3)
    assert run(kd_merge.main, *paths, "-o", tmp_path / "few.h5")[0] == 0
    status, said = run(kd_merge.main, *paths, "-o", tmp_path / "virtual.h5", "--virtual")
    assert (status, "left out" in said) == (0, False)
    with open_faces(tmp_path / "plain.h5") as plain:
        for name in ("few.h5", "virtual.h5"):
            with open_faces(tmp_path / name) as found:
                assert found.ids == plain.ids == [f"{k}/{row}" for k in (0, *range(2, 9)) for row in range(2)]
                for array in ("landmarks", "score", "subset/odd"):
                    np.testing.assert_array_equal(found.stored(array)[...], plain.stored(array)[...])


def test_files_are_closed_when_others_are_asked_for(tmp_path: Path) -> None:
    paths = [str(path) for path in write_parts(tmp_path, 4)]
    with OpenFaces(paths, most=2) as files:
        first, second = files[0], files[1]
        assert files[-1].ids == ["3/0", "3/1"]
        assert (bool(first.h5), bool(second.h5)) == (False, True)
        assert [len(faces) for faces in files] == [2, 0, 2, 2]
    assert not second.h5


def test_a_virtual_file_of_more_parts_than_may_be_open_is_refused(run: Run, tmp_path: Path) -> None:
    """HDF5 would read zeros, and ids that are empty. The limit is raised as far as that needs no rights."""
    paths = write_parts(tmp_path, 4)
    assert run(kd_merge.main, *paths, "-o", tmp_path / "virtual.h5", "--virtual")[0] == 0
    code = f"""
import resource
from kdtools.faces import open_faces
from kdtools.errors import FileError
for hard in (80, 66):
    resource.setrlimit(resource.RLIMIT_NOFILE, (65, hard))
    try:
        with open_faces({str(tmp_path / "virtual.h5")!r}) as faces:
            print(faces.ids)
    except FileError as error:
        print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ids, refusal = done.stdout.splitlines()
    assert ids == str([f"{k}/{row}" for k in (0, 2, 3) for row in range(2)])
    assert refusal.endswith("refers to 3 files, but only 2 more may be open at a time")
