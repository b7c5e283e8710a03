"""Inputs that are replaced, written over or truncated while they are read: an error, or the product of the old file."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from kdtools.images.detection import Found, WholeImage
from kdtools.storage.hdf5_guard import GuardedStream

from .faults import Faults
from .running import Result, fail, left_in, run_tool, succeed
from .table import TOOLS, TRAINERS
from .world import World, check_unfinished, content_of

KINDS = ("replaced", "written over", "truncated")
READ = [pytest.param(tool, name, id=f"{tool}-{name}") for tool in sorted(TOOLS) for name in TOOLS[tool].faces]
MODELS = [pytest.param(tool, name, id=f"{tool}-{name}") for tool in sorted(TOOLS) for name in TOOLS[tool].models]


def write_another(path: Path, other: Path) -> None:
    """A faces file of the same ids and size as `path`, with other pictures and points; or a model of other weights."""
    shutil.copy(path, other)
    if path.suffix == ".safetensors":
        weights = load_file(path)
        with safe_open(path, "numpy") as stored:
            save_file(
                {name: np.asarray(array / 2, array.dtype) for name, array in weights.items()}, other, stored.metadata()
            )
        return
    with h5py.File(other, "r+") as h5:
        if "image" in h5:
            h5["image"][...] = 255 - h5["image"][...]
        h5["landmarks"][...] = h5["landmarks"][...] * 0.5


def strike(kind: str, path: Path, other: Path) -> None:
    """What befalls an input in mid-read."""
    if kind == "replaced":
        os.replace(other, path)
    elif kind == "written over":
        with path.open("r+b") as stream:
            stream.write(other.read_bytes())
    else:
        os.truncate(path, path.stat().st_size // 3)


class Reads:
    """Counts how often a file is read, and calls `then` before the read number `at`."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.n, self.at, self.then = 0, -1, lambda: None
        inode, usual, usual_preadv = path.stat().st_ino, GuardedStream.readinto, os.preadv

        def count(descriptor: int) -> None:
            if os.fstat(descriptor).st_ino == inode:
                self.n += 1
                if self.n == self.at + 1:
                    self.then()

        def readinto(stream: GuardedStream, buffer: Any) -> int:
            count(stream.fileno())
            return usual(stream, buffer)

        def preadv(descriptor: int, *rest: Any) -> int:
            count(descriptor)
            return usual_preadv(descriptor, *rest)

        patch.setattr(GuardedStream, "readinto", readinto)
        patch.setattr(os, "preadv", preadv)


def product_of(tool: str, result: Result, folder: Path) -> Any:
    """What a run has made, apart from its provenance."""
    stdout = result.stdout.replace(str(folder.parent).encode(), b"")  # kd-info names its input
    return content_of(stdout, folder / f"out{TOOLS[tool].suffix}")


def check_recorded(output: Path, path: Path, original: Path) -> None:
    """A product that records the input records the hash of what was read."""
    if output.suffix == ".h5":
        with h5py.File(output) as h5:
            assert json.loads(h5.attrs["inputs"])[str(path)] == hashlib.sha256(original.read_bytes()).hexdigest()


def n_reads(tool: str, name: str, world: World, folder: Path, patch: pytest.MonkeyPatch) -> tuple[int, Any]:
    """How often a tool reads an input that stays, and what it makes."""
    folder.mkdir()
    path = folder / world.files[name].name
    shutil.copy(world.files[name], path)
    (folder / "out").mkdir()
    with patch.context() as inner:
        reads = Reads(path, inner)
        result = run_tool(tool, *world.words(tool, folder / "out" / f"out{TOOLS[tool].suffix}", **{name: path}))
    assert result.status == 0, result.stderr
    return reads.n, product_of(tool, result, folder / "out")


def try_one(
    kind: str, at: int, tool: str, name: str, world: World, folder: Path, expected: Any, patch: pytest.MonkeyPatch
) -> str:
    """Strike before the read number `at`; what came of it."""
    folder.mkdir()
    path, out = folder / world.files[name].name, folder / "out"
    other = folder / f"another{path.suffix}"
    shutil.copy(world.files[name], path)
    write_another(path, other)
    out.mkdir()
    output = out / f"out{TOOLS[tool].suffix}"
    with patch.context() as inner:
        reads = Reads(path, inner)
        reads.at, reads.then = at, lambda: strike(kind, path, other)
        result = run_tool(tool, *world.words(tool, output, **{name: path}))
    if result.status == 0:
        assert kind != "truncated" or reads.n <= at, "a truncated file was read to its end"
        assert product_of(tool, result, out) == expected, "a product of parts of two files"
        check_recorded(output, path, world.files[name])
        return "the product of the old file"
    fail(result, tool, 1, path)
    assert not output.exists()
    if tool in TRAINERS:
        check_unfinished(out, output)
    else:
        assert left_in(out) == []
    return "refused"


INPUTS = READ + [one for one in MODELS if one.values[0] not in TRAINERS]


@pytest.mark.in_child
@pytest.mark.parametrize(("number", "tool", "name"), [(k, *one.values) for k, one in enumerate(INPUTS)])
def test_an_input_that_changes_while_it_is_read(
    number: int, tool: str, name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of reading it; the three kinds, and moments, in turn."""
    n, expected = n_reads(tool, name, world, tmp_path / "whole", monkeypatch)
    assert n > 2
    k = number % len(KINDS)
    try_one(KINDS[k], n * (2 * k + 3) // 8, tool, name, world, tmp_path / KINDS[k], expected, monkeypatch)


# ---- make soak
@pytest.mark.in_child
@pytest.mark.soak
@pytest.mark.parametrize(("tool", "name"), READ + MODELS)
def test_an_input_that_changes_at_any_moment(
    tool: str, name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    n, expected = n_reads(tool, name, world, tmp_path / "whole", monkeypatch)
    rng = random.Random(f"{tool} {name}")
    for kind in KINDS:
        for attempt in range(faults.n_of(6)):
            folder = tmp_path / f"{kind} {attempt}"
            outcome = try_one(kind, rng.randrange(n), tool, name, world, folder, expected, monkeypatch)
            faults.tried(f"input {kind} while it is read", tool, outcome)


@dataclass(frozen=True)
class Pictures:
    """A source of pictures: `path` as it is named, of which the file `read` is struck; `other` takes its place."""

    path: Path
    read: Path
    other: Path


def make_pictures(kind: str, folder: Path) -> Pictures:
    """Four pictures, or frames, in a folder, a tar file or a video, and another of the same names and size."""
    for name, shade in (("own", 0), ("other", 128)):
        (folder / name).mkdir(parents=True)
        pictures = [np.full((64, 64, 3), shade + 20 * k, np.uint8) for k in range(4)]
        for k, picture in enumerate(pictures):
            cv2.imwrite(str(folder / name / f"{k}.bmp"), picture)
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            archive.add(folder / name, "p")
        writer = cv2.VideoWriter(str(folder / f"{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
        for picture in pictures * 10:
            writer.write(picture)
        writer.release()
    if kind == "photographs":
        return Pictures(folder / "own", folder / "own" / "2.bmp", folder / "other" / "2.bmp")
    suffix = ".tar" if kind == "tar" else ".avi"
    return Pictures(folder / f"own{suffix}", folder / f"own{suffix}", folder / f"other{suffix}")


@pytest.mark.parametrize("source", ["photographs", "tar", "video"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_that_change_while_they_are_read(
    kind: str, source: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the second one: the points of one state or the other, picture by picture; what is neither is named."""
    found, usual = {}, WholeImage.find_faces
    for name in ("whole", "struck"):
        pictures = make_pictures(source, tmp_path / name)
        n_looked_at = 0

        def look(detector: WholeImage, image: np.ndarray, image_id: str, name: str = name) -> list[Found]:
            nonlocal n_looked_at
            n_looked_at += 1
            if n_looked_at == 2 and name == "struck":
                strike(kind, pictures.read, pictures.other)  # noqa: B023
            return usual(detector, image, image_id)

        output = tmp_path / name / "out.h5"
        with monkeypatch.context() as patch:
            patch.setattr(WholeImage, "find_faces", look)
            words = [world.files["student"], pictures.path, "--detector", "whole", "--device", "cpu", "-j", "1"]
            result = run_tool("kd-predict", *words, "-o", output)
        if name == "whole":
            succeed(result)
        assert result.status in (0, 1, 4)
        assert "Traceback" not in result.stderr
        found[name] = points_of(output) if output.exists() else {}
        if result.status == 0:
            assert list(found[name]) == list(found["whole"])
        else:
            assert str(pictures.read.name) in result.stderr
    differ = [name for name, points in found["struck"].items() if not np.array_equal(points, found["whole"][name])]
    assert differ in ([], ["2.bmp"] if source == "photographs" else [])


def points_of(output: Path) -> dict[str, np.ndarray]:
    with h5py.File(output) as h5:
        return dict(zip(h5["id"].asstr()[:], h5["landmarks"][:], strict=True))
