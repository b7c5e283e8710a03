"""Inputs that are missing, damaged, foreign, too new, of another kind, or do not fit the others."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from .running import fail, left_in, run_tool, succeed
from .table import TOOLS
from .world import World


# ---- files of no use
def spoil(kind: str, good: Path, stranger: Path, folder: Path) -> Path:
    """A file of no use in the place of `good`; `stranger` is a good file other-kind."""
    path = folder / f"spoilt{good.suffix}"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("Faces:\n1 2 3\n" * 20)
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[: good.stat().st_size * 6 // 10])
    elif kind == "other-kind":
        shutil.copy(stranger, path)
    elif kind == "foreign":
        write_foreign(path)
    elif kind == "newer":
        write_newer(good, path)
    else:
        assert kind == "missing"
    return path


def write_foreign(path: Path) -> None:
    """A sound file that kdtools did not write."""
    if path.suffix == ".h5":
        with h5py.File(path, "w") as h5:
            h5["landmarks"] = np.zeros((3, 68, 2))
    else:
        save_file({"weight": np.zeros((3, 3), np.float32)}, path)


def write_newer(good: Path, path: Path) -> None:
    """A copy of a file that says it is of the next format version."""
    if path.suffix == ".h5":
        shutil.copy(good, path)
        with h5py.File(path, "r+") as h5:
            h5.attrs["kd_format"] = 2
        return
    with safe_open(good, framework="np") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        fields = json.loads(stored.metadata()["kdtools"])
    save_file(tensors, path, metadata={"kdtools": json.dumps({**fields, "kd_format": 2})})


# ---- one input of no use
SPOILT_FACES = ("missing", "directory", "empty", "text", "truncated", "foreign", "newer", "other-kind")
SPOILT_SOURCES = ("missing", "empty", "text")


def spoilt_inputs() -> Iterator[Any]:
    """(tool, input, kind) for each input of each tool and each way in which it can be wrong."""
    for tool, row in TOOLS.items():
        for name in (*row.faces, *row.models):
            for kind in SPOILT_FACES:
                if kind != "other-kind" or name not in row.either:
                    marks = [pytest.mark.in_child] if kind == "truncated" else []
                    yield pytest.param(tool, name, kind, id=f"{tool}-{name}-{kind}", marks=marks)
        for name in row.sources:
            for kind in SPOILT_SOURCES:
                yield pytest.param(tool, name, kind, id=f"{tool}-{name}-{kind}")


def spoil_source(kind: str, folder: Path) -> Path:
    """A folder of annotated images that is none."""
    path = folder / "spoilt"
    if kind == "empty":
        path.mkdir()
    elif kind == "text":
        path.write_text("no images in here")
    return path


@pytest.mark.parametrize(("tool", "name", "kind"), list(spoilt_inputs()))
def test_a_spoilt_input(tool: str, name: str, kind: str, world: World, tmp_path: Path) -> None:
    row, folder = TOOLS[tool], tmp_path / "out"
    folder.mkdir()
    if name in row.sources:
        spoilt = spoil_source(kind, tmp_path)
    else:
        stranger = world.files["faces" if name in row.models else "student"]
        spoilt = spoil(kind, world.files[name], stranger, tmp_path)
    fail(run_tool(tool, *world.words(tool, folder / f"out{row.suffix}", **{name: spoilt})), tool, 1, spoilt)
    assert left_in(folder) == []


# ---- inputs that do not fit each other
def joined_inputs(attribute: str) -> list[Any]:
    """(tool, input) for each input that a row names in this attribute."""
    return [pytest.param(tool, name, id=f"{tool}-{name}") for tool in TOOLS for name in getattr(TOOLS[tool], attribute)]


@pytest.mark.parametrize(("tool", "name"), joined_inputs("joined"))
def test_ids_that_do_not_match(tool: str, name: str, world: World, tmp_path: Path) -> None:
    stranger = world.files["other"]
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{name: stranger})
    fail(run_tool(tool, *words), tool, 1, stranger, "'synth/", "lacks")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(("tool", "name"), joined_inputs("points"))
def test_a_wrong_number_of_points(tool: str, name: str, world: World, tmp_path: Path) -> None:
    row = TOOLS[tool]
    stranger = world.files["five_model" if name in row.models else "five_soft" if name == "soft" else "five"]
    result = run_tool(tool, *world.words(tool, tmp_path / f"out{row.suffix}", **{name: stranger}))
    fail(result, tool, 1, "points per face")
    assert re.search(r"\b68\b.*\b5\b|\b5\b.*\b68\b", result.stderr.splitlines()[-2]), result.stderr
    assert left_in(tmp_path) == []


def test_a_file_without_what_is_needed(world: World, tmp_path: Path) -> None:
    """Faces without images, and images without landmarks."""
    output = tmp_path / "out"
    for tool in ("kd-teacher", "kd-student"):
        words = world.words(tool, output, faces=world.files["soft"])
        fail(run_tool(tool, *words), tool, 1, world.files["soft"], "holds no /image")
    bare = tmp_path / "bare.h5"
    succeed(run_tool("kd-import", world.files["folder"], "--format", "images", "--size", "32", "-o", bare))
    for tool, name in (("kd-teacher", "faces"), ("kd-asm", "faces"), ("kd-eval", "pred"), ("kd-eval", "test")):
        words = world.words(tool, output.with_suffix(TOOLS[tool].suffix), **{name: bare})
        fail(run_tool(tool, *words), tool, 1, bare, "holds no /landmarks")
    assert left_in(tmp_path) == ["bare.h5"]


# ---- a few bad ones among good ones
def test_bad_images_are_skipped_by_import(world: World, tmp_path: Path) -> None:
    folder, output = tmp_path / "photographs", tmp_path / "out.h5"
    shutil.copytree(world.files["folder"], folder)
    (folder / "3.png").write_bytes(b"no image")
    (folder / "5.pts").write_text("version: 1\nn_points: 68\n{\n1 2\n}\n")
    result = succeed(run_tool("kd-import", folder, "--size", "48", "-o", output), status=4)
    assert len(re.findall(r"^kd-import: skipped ", result.stderr, re.MULTILINE)) == 2
    assert "3.png" in result.stderr
    assert "5.pts" in result.stderr
    with h5py.File(output) as h5:
        assert list(h5["id"].asstr()) == ["0.png", "1.png", "2.png", "4.png", "6.png", "7.png"]
        assert {len(h5[name]) for name in ("image", "landmarks", "box", "to_source", "source")} == {6}
        assert h5["image"].id.get_offset() is not None
        good = h5["image"][...]
    succeed(run_tool("kd-import", world.files["folder"], "--size", "48", "-o", output, "-f"))
    with h5py.File(output) as h5:
        np.testing.assert_array_equal(good, h5["image"][[0, 1, 2, 4, 6, 7]])


def test_import_without_a_good_image(world: World, tmp_path: Path) -> None:
    folder, out = tmp_path / "photographs", tmp_path / "out"
    out.mkdir()
    shutil.copytree(world.files["folder"], folder)
    for image in folder.glob("*.png"):
        image.write_bytes(image.read_bytes()[:100])
    fail(run_tool("kd-import", folder, "-o", out / "out.h5"), "kd-import", 1, "no face could be imported")
    assert left_in(out) == []


def test_broken_photographs_are_skipped_by_predict(world: World, tmp_path: Path) -> None:
    folder, output = tmp_path / "photographs", tmp_path / "out.h5"
    folder.mkdir()
    image = cv2.imread(str(world.files["folder"] / "0.png"))
    assert image is not None
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        cv2.imwrite(str(folder / name), image)
    (folder / "b.jpg").write_bytes((folder / "b.jpg").read_bytes()[:300])
    result = succeed(
        run_tool("kd-predict", world.files["student"], folder, "--detector", "whole", "-o", output), status=4
    )
    assert "kd-predict: skipped b.jpg: " in result.stderr
    with h5py.File(output) as h5:
        assert list(h5["id"].asstr()) == ["a.jpg", "c.jpg"]
    output.unlink()
    for path in folder.iterdir():
        path.write_bytes(b"\xff\xd8")
    fail(
        run_tool("kd-predict", world.files["student"], folder, "--detector", "whole", "-o", output),
        "kd-predict",
        1,
        "3 images were skipped, and there are no others",
    )
    assert not output.exists()


@pytest.mark.parametrize("tool", [name for name, row in TOOLS.items() if row.faces])
def test_verbose_shows_where_an_error_arose(tool: str, world: World, tmp_path: Path) -> None:
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{TOOLS[tool].faces[0]: tmp_path / "absent.h5"})
    result = run_tool(tool, *words, "-v")
    assert result.status == 1
    assert "Traceback" in result.stderr
    assert f"\n{tool}: error: {tmp_path / 'absent.h5'}: " in result.stderr


@pytest.mark.parametrize("kind", ["empty", "text", "truncated"])
def test_bad_standard_input(kind: str, world: World, spool_folder: Path, tmp_path: Path) -> None:
    spoilt = spoil(kind, world.files["pred"], world.files["student"], tmp_path).read_bytes()
    result = run_tool("kd-eval", "-", "--truth", world.files["test"], stdin=spoilt)
    fail(result, "kd-eval", 1, "standard input")
    assert left_in(spool_folder) == []


@pytest.mark.parametrize("tool", ["kd-eval", "kd-dump", "kd-merge", "kd-asm", "kd-predict", "kd-view"])
def test_maps_that_cannot_be_inverted(tool: str, world: World, tmp_path: Path) -> None:
    """All points would lie on a line in the source image: kd-eval divided by the length of that."""
    path, output = tmp_path / "flat.h5", tmp_path / f"out{TOOLS[tool].suffix}"
    shutil.copy(world.files["test"], path)
    with h5py.File(path, "r+") as h5:
        maps = h5["to_source"][...] if "to_source" in h5 else np.tile([[1.0, 0, 0], [0, 1, 0]], (len(h5["id"]), 1, 1))
        maps[1, 1] = 0
        if "to_source" in h5:
            del h5["to_source"]
        h5["to_source"] = maps
    words = {
        "kd-eval": [world.files["pred"], "--truth", path],
        "kd-dump": [path],
        "kd-merge": [path, "--no-images"],
        "kd-asm": [path],
        "kd-predict": [world.files["student"], path, "--device", "cpu"],
        "kd-view": [path, world.files["pred"], "--width", "48"],
    }[tool]
    fail(run_tool(tool, *words, "-o", output), tool, 1, path, "/to_source: 1 of")
    assert not output.exists()
