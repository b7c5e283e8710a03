"""Inputs that are possible, and absurd: a working folder that is gone, folders in folders, pictures of no pixel."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from .running import fail, run_tool, succeed
from .table import TOOLS
from .world import World


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[Path]:
    """The working folder, which is deleted while one is in it."""
    before, folder = Path.cwd(), tmp_path / "gone"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("tool", [tool for tool, row in TOOLS.items() if row.words])
def test_a_working_folder_that_is_gone(tool: str, world: World, gone: Path) -> None:
    row = TOOLS[tool]
    name = (*row.faces, *row.models, *row.sources, "")[0]
    words = world.words(tool, f"out{row.suffix}", **({name: "absent"} if name else {}))
    result = run_tool(tool, *words)
    if "working folder" not in result.stderr:  # where the input is looked for first
        fail(result, tool, 1, "absent", os.strerror(2).lower().split()[0])
    else:
        fail(result, tool, 1, "the working folder does not exist any more")
        assert "change to one that does" in result.stderr


def test_other_places_are_reached_from_a_folder_that_is_gone(world: World, gone: Path, tmp_path: Path) -> None:
    succeed(run_tool("kd-merge", world.files["faces"], "-q", "-o", tmp_path / "out.h5"))
    result = run_tool("kd-import", ".", "-o", tmp_path / "import.h5")
    fail(result, "kd-import", 1, "the working folder does not exist any more")


def test_1500_folders_in_one_another(world: World, tmp_path: Path) -> None:
    """Paths as long as these cannot be opened, so folders are entered one by one."""
    before, root, output = Path.cwd(), tmp_path / "deep", tmp_path / "out.h5"
    root.mkdir()
    try:
        os.chdir(root)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        shutil.copy(world.files["folder"] / "0.png", "a.png")
        os.chdir(before)
        words = [world.files["student"], root, "--device", "cpu", "--detector", "whole", "-o", output]
        assert run_tool("kd-predict", *words, "-q").status == 0
        assert run_tool("kd-import", root, "-q", "-f", "-o", output).status == 0
    finally:
        os.chdir(before)
        subprocess.run(["rm", "-rf", root], check=True)  # which Python could not, by recursion


@pytest.mark.parametrize("tool", [tool for tool, row in TOOLS.items() if row.faces])
def test_faces_of_no_pixel(tool: str, world: World, tmp_path: Path) -> None:
    faces, name = tmp_path / "empty.h5", TOOLS[tool].faces[0]
    shutil.copy(world.files[name], faces)
    with h5py.File(faces, "r+") as h5:
        if "image" in h5:
            del h5["image"]
        h5["image"] = np.zeros((len(h5["id"]), 0, 0, 3), np.uint8)
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{name: faces})
    fail(run_tool(tool, *words), tool, 1, faces, "0 x 0 px")
