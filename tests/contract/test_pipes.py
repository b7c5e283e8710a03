"""A pipe in the place of a file, such as a shell's `<(...)`: copied where it is read from place to place."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from factories import write_faces
from warm import Warm

from kdtools.storage.pipes import seekable
from kdtools.storage.stamps import one_run

from .running import fail, left_in, run_tool, script
from .table import TOOLS
from .world import World, check_product, content_of

PIPED = [
    pytest.param(tool, name, id=f"{tool}-{name}")
    for tool, row in TOOLS.items()
    for name in (*row.faces, *row.models)
    if tool not in ("kd-student", "kd-teacher")  # whose inputs all go one way: one of them is enough
    or name == "faces"
]


_named: dict[str, Any] = {}  # what a tool makes of files, as all of its inputs are compared with


def pipe_of(content: bytes, path: Path) -> Path:
    """A named pipe through which `content` comes, once."""
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    return path


@pytest.mark.parametrize(("tool", "name"), PIPED)
def test_a_pipe_takes_the_place_of_any_faces_file_or_model(
    tool: str, name: str, world: World, tmp_path: Path, spool_folder: Path
) -> None:
    """With the same product, and no copy left."""
    (tmp_path / "pipes").mkdir()
    (tmp_path / "out").mkdir()
    pipe = pipe_of(world.files[name].read_bytes(), tmp_path / "pipes" / "pipe")
    suffix = TOOLS[tool].suffix
    result = run_tool(tool, *world.words(tool, tmp_path / "out" / f"piped{suffix}", **{name: pipe}))
    assert result.status == 0, result.stderr
    assert left_in(spool_folder) == []
    if suffix in (".onnx", ".safetensors"):
        check_product(tmp_path / "out" / f"piped{suffix}")
        return
    piped = content_of(result.stdout, tmp_path / "out" / f"piped{suffix}")
    if tool not in _named:
        direct = run_tool(tool, *world.words(tool, tmp_path / "out" / f"named{suffix}"))
        _named[tool] = content_of(direct.stdout, tmp_path / "out" / f"named{suffix}")
    named = _named[tool]
    if isinstance(named, bytes):  # a report names its inputs
        named = re.sub(rb'/[^"\t\n]*/' + world.files[name].name.encode(), os.fsencode(pipe), named)
    assert piped == named


def test_two_process_substitutions_of_a_shell(world: World, tmp_path: Path) -> None:
    """They are /dev/fd/63 and /dev/fd/62."""
    files, output = world.files, tmp_path / "all.h5"
    line = f'{script("kd-merge")} <(cat "$1") <(cat "$2") -o "$3"'
    done = subprocess.run(
        ["bash", "-c", line, "-", files["faces"], files["other"], output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n_faces = [int(run_tool("kd-info", path, "--value", "faces").stdout) for path in (files["faces"], files["other"])]
    assert int(run_tool("kd-info", output, "--value", "faces").stdout) == sum(n_faces)


def test_a_pipe_named_twice_is_copied_once(tmp_path: Path, spool_folder: Path) -> None:
    pipe = pipe_of(b"content", tmp_path / "pipe")
    with one_run():
        first, second = seekable(pipe), seekable(str(pipe))
        assert first == second
        assert first.read_bytes() == b"content"
    assert left_in(spool_folder) == []
    assert seekable(tmp_path / "absent") == tmp_path / "absent"


def test_a_pipe_of_two_names_is_one(tmp_path: Path, spool_folder: Path) -> None:
    """Both get all of it, where no command line refuses the second."""
    pipe = pipe_of(b"content", tmp_path / "pipe")
    (tmp_path / "link").symlink_to(pipe)
    with one_run():
        assert [seekable(path).read_bytes() for path in (pipe, tmp_path / "link")] == [b"content"] * 2
    files = write_faces(tmp_path / "a.h5", ids=["x"])
    line = f"cat {files} | {script('kd-merge')} /dev/stdin /dev/fd/0 -o {tmp_path / 'b.h5'}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/dev/stdin and /dev/fd/0 are one pipe, which can be read only once" in done.stderr


@pytest.mark.in_child
def test_damage_and_other_kinds_in_a_pipe_are_reported_by_its_name(tmp_path: Path) -> None:
    sound = write_faces(tmp_path / "a.h5", ids=["x"]).read_bytes()
    for number, content in enumerate((sound[: len(sound) // 2], b"no faces", b"")):
        pipe = pipe_of(content, tmp_path / f"pipe{number}")
        fail(run_tool("kd-merge", pipe, "-o", tmp_path / "out.h5"), "kd-merge", 1, pipe)
        pipe = pipe_of(content, tmp_path / f"another{number}")
        fail(run_tool("kd-info", pipe), "kd-info", 1, pipe)


# ---- kd-predict, which takes tar files too
@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_onnx: Path) -> Path:
    """Three photographs in the folder photos, and the model m.onnx."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.onnx").symlink_to(tiny_onnx)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        image = np.full((40, 40, 3), 60 * number + 40, np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), image)
    return tmp_path / "photos"


Bash = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def bash(warm: Warm) -> Bash:
    """Runs a line of bash in which `predict` is kd-predict, and M the model."""

    def run(line: str) -> subprocess.CompletedProcess[str]:
        path = script("kd-predict") if "<(" in line else warm.script("kd-predict")  # which gets three streams alone
        line = line.replace("predict M", f"{path} --detector whole m.onnx")
        return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)

    return run


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "line",
    [
        "predict M <(tar c photos)",
        "tar c photos | predict M -",
        "tar cz photos | predict M -",
        "predict M <(tar cz photos)",
        "ls photos/* | predict M - --list",
        "predict M <(find photos -name '*.png' -print0 | sort -z) --list",
    ],
)
def test_photographs_through_a_pipe(line: str, bash: Bash) -> None:
    direct = bash("ls photos/* > names; predict M names --list")
    piped = bash(line)
    assert (direct.returncode, piped.returncode) == (0, 0), piped.stderr
    assert sorted(piped.stdout.splitlines()) == sorted(direct.stdout.splitlines())
    assert len(piped.stdout.splitlines()) == 4


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("ls photos/*.png | predict M -", "holds names of files", "m.onnx - --list"),
        ("find photos -name '*.png' -print0 | predict M -", "holds names of files", "m.onnx - --list"),
        ("predict M <(ls photos/*.png)", "holds names of files", " --list"),
        ("tar c photos | predict M - /dev/stdin", "- and /dev/stdin are one pipe", "name it once"),
        ("tar c photos | predict M /dev/stdin /dev/fd/0", "/dev/stdin and /dev/fd/0 are one pipe", "name it once"),
        ("tar c photos | predict M /dev/stdin /dev/stdin", "/dev/stdin is named twice", "name it once"),
        ("predict M - < photos/1.png", "is a PNG picture", "tar c FILE |"),
        ("tar c photos | predict M - --resume -o p.h5", "can be read only once", "write it to a file"),
        ("ls photos/* | predict M - --list --resume -o p.h5", "can be read only once", "write it to a file"),
    ],
)
def test_other_things_through_a_pipe_are_answered_with_the_right_call(
    line: str, message: str, hint: str, bash: Bash
) -> None:
    done = bash(line)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert message in first
    assert hint in second


@pytest.mark.usefixtures("photos")
def test_a_faces_file_through_a_pipe(bash: Bash) -> None:
    made = run_tool("kd-import", "photos", "--detector", "whole", "--size", "32", "-o", "crops.h5")
    assert made.status == 0, made.stderr
    piped = bash(f"{script('kd-predict')} m.onnx <(cat crops.h5)")
    direct = bash(f"{script('kd-predict')} m.onnx crops.h5")
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == direct.stdout


def test_resume_takes_no_other_model_or_boxes_for_the_same(tmp_path: Path, photos: Path, tiny_onnx: Path) -> None:
    """A pipe has the same name each time, and what comes through it is not recorded."""
    model = pipe_of(tiny_onnx.read_bytes(), tmp_path / "pipe.onnx")
    result = run_tool("kd-predict", model, photos, "--detector", "whole", "--resume", "-o", tmp_path / "p.h5")
    fail(result, "kd-predict", 2, f"{model} can be read only once")
    os.mkfifo(tmp_path / "boxes.csv")
    words = tiny_onnx, photos, "--detector", tmp_path / "boxes.csv", "--resume", "-o", tmp_path / "p.h5"
    fail(run_tool("kd-predict", *words), "kd-predict", 2, "boxes.csv can be read only once")
    assert not (tmp_path / "p.h5").exists()


def test_what_is_wrong_with_a_piped_file_is_said_by_its_own_name(tmp_path: Path, world: World) -> None:
    """Not by that of the temporary copy, which is gone when the user reads the message."""
    for tool, words in (
        ("kd-predict", ("{pipe}", world.files["faces"], "-o", tmp_path / "out.h5")),
        ("kd-export", ("{pipe}", "-o", tmp_path / "out.onnx")),
        ("kd-info", ("{pipe}",)),
    ):
        folder = tmp_path / tool
        folder.mkdir()
        pipe = pipe_of(b"\x40\x92" + bytes(6) + b"{" + bytes(2000), folder / "pipe")
        result = run_tool(tool, *(pipe if word == "{pipe}" else word for word in words))
        assert result.status == 1
        assert f"error: {pipe}: " in result.stderr
        assert "kdtools-" not in result.stderr
