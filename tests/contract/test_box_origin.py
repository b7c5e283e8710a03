"""Whose box /box is, through every tool that passes it on: never the annotation's unless it says so."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from factories import drawn_faces, write_faces

from kdtools.errors import DataError
from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.request import Request
from kdtools.faces.box_origin import box_origin
from kdtools.faces.file import open_faces

from .running import fail, run_tool, succeed


def origin_in(path: Path) -> str:
    with open_faces(path) as faces:
        assert "box" in faces
        return box_origin(faces)


def faces_with(path: Path, origin: str, *, images: bool, first: int = 0) -> Path:
    """Six drawn faces with a box of the given origin; without one, as of an older kdtools."""
    pictures, points = drawn_faces(6, 64, 1)
    ids = [f"p{k}.png" for k in range(first, first + 6)]
    box = np.tile(np.float32([0, 0, 64, 64]), (6, 1))
    return write_faces(
        path, points, ids=ids, images=pictures if images else None, box=box, box_origin=origin, scheme=None
    )


@pytest.mark.parametrize("origin", ["", "crop", "annotation", "detector"])
@pytest.mark.parametrize("images", [True, False])
def test_what_a_file_says(origin: str, images: bool, tmp_path: Path) -> None:
    """Without the attribute, a file with images has the squares of its crops; of others nobody knows."""
    path = faces_with(tmp_path / "a.h5", origin, images=images)
    assert origin_in(path) == (origin or ("crop" if images else ""))


@pytest.mark.parametrize("origin", ["", "crop"])
def test_squares_of_crops_stay_squares_of_crops(origin: str, tiny_onnx: Path, tmp_path: Path) -> None:
    """Also where the images are gone: points of kd-merge --no-images, kd-asm and kd-predict."""
    crops, out = faces_with(tmp_path / "crops.h5", origin, images=True), tmp_path / "out"
    out.mkdir()
    for tool, words in (
        ("kd-merge", [crops, "--no-images", "-o", out / "merged.h5"]),
        ("kd-merge", [crops, "-o", out / "with.h5"]),
        ("kd-asm", [crops, "-o", out / "soft.h5"]),
        ("kd-predict", [tiny_onnx, crops, "-o", out / "pred.h5"]),
        ("kd-split", [crops, "--share", "0.5", "--group", "none", "-o", out / "a.h5", "--rest", out / "b.h5"]),
    ):
        succeed(run_tool(tool, *words))
    assert {path.name: origin_in(path) for path in out.iterdir()} == dict.fromkeys(
        ("merged.h5", "with.h5", "soft.h5", "pred.h5", "a.h5", "b.h5"), "crop"
    )
    for name in ("merged.h5", "soft.h5", "pred.h5"):
        with pytest.raises(DataError, match="its boxes are the squares of crops"):
            evaluate(Request([str(out / "pred.h5")], str(out / name), norm="given-box"))


def test_boxes_of_several_origins_are_not_mixed(tmp_path: Path) -> None:
    crops = faces_with(tmp_path / "crops.h5", "", images=True)
    own = faces_with(tmp_path / "own.h5", "annotation", images=False, first=6)
    old = faces_with(tmp_path / "old.h5", "", images=False, first=12)
    more = faces_with(tmp_path / "more.h5", "annotation", images=False, first=18)
    for k, (paths, kept) in enumerate((((crops, own), False), ((own, old), False), ((own, more), True))):
        for options in ([], ["--virtual"]):
            if options and crops in paths:
                continue
            output = tmp_path / f"out{k}{len(options)}.h5"
            plain = ["--no-images"] if crops in paths else options
            result = succeed(run_tool("kd-merge", *paths, *plain, "-o", output))
            assert ("/box is left out" in result.stderr) == (not kept)
            with open_faces(output) as faces:
                assert ("box" in faces) == kept
                assert box_origin(faces) == ("annotation" if kept else "")


def test_an_import_says_whose_its_boxes_are(tmp_path: Path) -> None:
    pictures, points = drawn_faces(3, 64, 2)
    folder = tmp_path / "photographs"
    folder.mkdir()
    rows = []
    for k, (picture, its) in enumerate(zip(pictures, points, strict=True)):
        cv2.imwrite(str(folder / f"{k}.png"), picture[..., ::-1])
        rows.append({"image": f"{k}.png", "points": its.tolist(), "box": [1.0, 2.0, 60.0, 62.0]})
    (folder / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_tool("kd-import", folder, "--size", "48", "-o", tmp_path / "crops.h5").status == 0
    assert run_tool("kd-import", folder, "--no-images", "-o", tmp_path / "own.h5").status == 0
    assert (origin_in(tmp_path / "crops.h5"), origin_in(tmp_path / "own.h5")) == ("crop", "annotation")


def test_an_unknown_box_is_never_divided_by(tmp_path: Path) -> None:
    """The error says what to do, and doing it works."""
    truth = faces_with(tmp_path / "truth.h5", "", images=False)
    words = [truth, "--truth", truth, "--norm", "given-box", "--value", "nme"]
    result = run_tool("kd-eval", *words)
    fail(result, "kd-eval", 1, truth, "some that do not say whose they are")
    assert "attribute origin of /box" in result.stderr
    with h5py.File(truth, "r+") as h5:
        h5["box"].attrs["origin"] = "annotation"
    assert run_tool("kd-eval", *words).status == 0


@pytest.mark.parametrize("origin", ["", "crop", "detector", "annotation"])
def test_a_dump_makes_no_other_box_one_of_the_annotation(origin: str, tmp_path: Path) -> None:
    """Neither of the formats has a place to say whose a box is, but for jsonl, which says it."""
    points = write_faces(
        tmp_path / "a.h5",
        np.random.default_rng(0).uniform(20, 40, (3, 68, 2)),
        ids=[f"p{k}.png" for k in range(3)],
        box=np.tile(np.float32([1, 2, 61, 62]), (3, 1)),
        box_origin=origin,
    )
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"p{k}.png"), np.zeros((64, 64, 3), np.uint8))
    own = origin == "annotation"
    for form, suffix in (("jsonl", "jsonl"), ("coco", "json"), ("dlib", "xml"), ("csv", "csv")):
        text = tmp_path / f"{form}.{suffix}"
        words = ["--images", tmp_path] if form == "coco" else ["--details"] if form == "csv" else []
        result = succeed(run_tool("kd-dump", points, "--format", form, *words, "-o", text))
        assert ("no boxes of" in result.stderr) == (form in ("coco", "dlib") and not own)
        assert ("the boxes of the points are written instead" in result.stderr) == ("no boxes of" in result.stderr)
        result = run_tool("kd-import", text, "--format", form, "--no-images", "-o", tmp_path / f"{form}.h5")
        assert result.status == 0, result.stderr
        with open_faces(tmp_path / f"{form}.h5") as faces:
            same = "box" in faces and np.allclose(faces.h5["box"][...], [1, 2, 61, 62])
        assert same == (own and form != "csv"), form
