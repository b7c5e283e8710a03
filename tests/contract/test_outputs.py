"""Outputs: whole or not there, never by surprise in the place of something else, under any name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from warm import Warm

from .running import fail, left_in, run_script, run_tool, succeed
from .table import TINY, TOOLS, TRAINERS, WRITERS, every_writer
from .test_help_and_version import options_of
from .world import World, check_leftovers, check_product

# Formats that a tool writes besides the one of its usual call.
MORE_SUFFIXES = {
    "kd-export": {".tflite"},
    "kd-predict": {".csv"},
    "kd-eval": {".csv", ".xlsx", ".png", ".json", ".html"},
}
WILD = "Ausgabe größer,\n 顔 \udce9"  # a line break, two scripts, and a byte that is not UTF-8


@every_writer
def test_an_existing_output_is_kept_or_replaced(tool: str, world: World, tmp_path: Path) -> None:
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    output.write_text("keep me")
    words = world.words(tool, output)
    fail(run_tool(tool, *words), tool, 1, output, "exists already")
    assert output.read_text() == "keep me"
    assert left_in(tmp_path) == [output.name]
    succeed(run_tool(tool, *words, "-f"))
    check_product(output)
    check_leftovers(tmp_path, output)


@every_writer
def test_a_suffix_says_what_is_written(tool: str, world: World, tmp_path: Path) -> None:
    """A name that promises another format is refused, and the error says which name or which tool does it."""
    own = {TOOLS[tool].suffix} | MORE_SUFFIXES.get(tool, set())
    for suffix in {".h5", ".safetensors", ".onnx", ".csv", ".png", ".xlsx", ".tflite", ".mp4", ".zip"} - own:
        output = tmp_path / f"out{suffix}"
        result = run_tool(tool, *world.words(tool, output))
        assert result.status == 2, (suffix, result)
        message, _, hint = result.stderr.partition("\n  ")
        assert suffix in message
        assert any(words in hint for words in ("ends in .", "end its name in", "kd-")), hint
    assert left_in(tmp_path) == []


@every_writer
def test_a_quiet_run_under_a_wild_name(tool: str, world: World, tmp_path: Path) -> None:
    """Says nothing; through a symbolic link, which stays. What is said of the name is one line of plain text."""
    suffix = TOOLS[tool].suffix
    output, link = tmp_path / f"{WILD}{suffix}", tmp_path / f"a link{suffix}"
    link.symlink_to(output)
    result = succeed(run_tool(tool, *world.words(tool, link), "-q"))
    assert result.stderr == ""
    assert link.is_symlink()
    check_product(output)
    fail(run_tool(tool, *world.words(tool, output)), tool, 1, r"Ausgabe größer,\n 顔", "exists already")


@every_writer
@pytest.mark.parametrize("folder", [".", ".."])
def test_an_output_that_is_a_folder_without_a_name(
    tool: str, folder: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    words = [folder if word == str(output) else word for word in world.words(tool, output)]
    result = run_tool(tool, *words)
    fail(result, tool, 2 if tool == "kd-eval" else 1, f"{folder}: ")  # which asks for a suffix


@every_writer
def test_an_output_that_cannot_be(tool: str, world: World, tmp_path: Path, read_only_folder: Path) -> None:
    """Each is refused, with -f too, and nothing is left or lost."""
    name = f"out{TOOLS[tool].suffix}"
    (tmp_path / "file").touch()
    loop, pipe, folder = (tmp_path / f"{kind}{TOOLS[tool].suffix}" for kind in ("loop", "pipe", "folder"))
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    folder.mkdir()
    before = left_in(tmp_path)
    for output, said in [
        (tmp_path / "nowhere" / name, "there is no folder"),
        (tmp_path / "file" / name, "there is no folder"),
        (folder, "is a folder"),
        (pipe, "not a regular file"),
        (loop, "symbolic links"),
        (tmp_path / ("x" * 300 + name), "File name too long"),
        (read_only_folder / name, "no permission to write"),
    ]:
        fail(run_tool(tool, *world.words(tool, output), "-f"), tool, 1, output, said)
    assert left_in(tmp_path) == before
    assert pipe.is_fifo()


@pytest.mark.parametrize("tool", [tool for tool in WRITERS if tool != "kd-view"])  # which writes a picture per face
def test_a_file_with_a_slash_at_its_end(tool: str, world: World, tmp_path: Path) -> None:
    output = f"{tmp_path / 'out'}{TOOLS[tool].suffix}/"
    fail(run_tool(tool, *world.words(tool, output)), tool, 1, output, "names a folder")
    assert left_in(tmp_path) == []


READ = [
    pytest.param(tool, name, id=f"{tool}-{name}")
    for tool in WRITERS
    for name in (*TOOLS[tool].faces, *TOOLS[tool].models)
]


@pytest.mark.parametrize(("tool", "name"), READ)
def test_an_output_that_is_an_input(
    tool: str, name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused and stays, by any name, with -f too: pictures, points and weights would be lost."""
    path = tmp_path / world.files[name].name
    link, hard = (tmp_path / f"{kind}{TOOLS[tool].suffix}" for kind in ("link", "hard"))
    shutil.copy(world.files[name], path)
    link.symlink_to(path)
    hard.hardlink_to(path)
    monkeypatch.chdir(tmp_path)
    before, names = path.read_bytes(), left_in(tmp_path)
    for output in (path, link, hard, Path("..") / tmp_path.name / path.name):
        why = ["is an input itself"] if output.suffix == TOOLS[tool].suffix else []  # another is refused before
        fail(run_tool(tool, *world.words(tool, output, **{name: path}), "-f"), tool, 2, output, *why)
        if "{second}" in TOOLS[tool].words:
            words = world.words(tool, tmp_path / "first.h5", **{name: path, "second": output})
            fail(run_tool(tool, *words, "-f"), tool, 2, output, "is an input itself")
    assert path.read_bytes() == before
    assert left_in(tmp_path) == names


OF_VIRTUAL = [
    pytest.param(tool, name, id=f"{tool}-{name}")
    for tool in WRITERS
    for name in TOOLS[tool].faces
    if TOOLS[tool].suffix == ".h5"
]


@pytest.mark.parametrize(("tool", "name"), OF_VIRTUAL)
def test_an_output_that_is_a_part_of_an_input(tool: str, name: str, world: World, tmp_path: Path) -> None:
    """A virtual file has its faces in others."""
    part, whole = tmp_path / "part.h5", tmp_path / "whole.h5"
    shutil.copy(world.files[name], part)
    succeed(run_tool("kd-merge", part, "--virtual", "-q", "-o", whole))
    before = part.read_bytes()
    fail(run_tool(tool, *world.words(tool, part, **{name: whole}), "-f"), tool, 2, part, "is an input itself")
    assert part.read_bytes() == before
    assert left_in(tmp_path) == ["part.h5", "whole.h5"]


def test_an_output_that_is_named_in_another_way(world: World, tmp_path: Path) -> None:
    """Lists, schemes, start weights, baselines and pictures in folders and lists are inputs too."""
    folder = tmp_path / "photographs"
    shutil.copytree(world.files["folder"], folder)
    ids, faces, model = tmp_path / "ids.h5", world.files["faces"], tmp_path / "model.safetensors"
    ids.write_text("*\n")
    (tmp_path / "list.txt").write_text(f"{folder / '1.png'}\n")
    shutil.copy(world.files["student"], model)
    pred, test, student = (world.files[name] for name in ("pred", "test", "student"))
    whole = ["--detector", "whole", "--device", "cpu"]
    for tool, output, words in (
        ("kd-merge", ids, [faces, "--ids-from", ids]),
        ("kd-teacher", model, [faces, "--init", model, *TINY.split()]),
        ("kd-teacher", model, [faces, "--set", f"init={model}", *TINY.split()]),
        ("kd-predict", folder / "1.png", [student, folder, *whole]),
        ("kd-predict", folder / "1.png", [student, "--list", tmp_path / "list.txt", *whole]),
        ("kd-import", folder / "1.png", [folder]),
        ("kd-import", folder / "1.pts", [folder]),
    ):
        before = output.read_bytes()
        result = run_tool(tool, *words, "-f", "-o", output)
        if output.suffix in (".png", ".pts"):  # which may be refused for their suffix alone
            assert result.status in (1, 2)
        else:
            fail(result, tool, 2, output, "is an input itself")
        assert output.read_bytes() == before
    table = tmp_path / "pred.tsv"
    succeed(run_tool("kd-dump", pred, "--format", "tsv", "-o", table))
    before = table.read_bytes()
    for words in ([table], [f"mine={table}"], [pred, "--mean-shape", table]):
        fail(run_tool("kd-eval", *words, "--truth", test, "-f", "-o", table), "kd-eval", 2, table, "is an input itself")
        assert table.read_bytes() == before


def test_a_product_in_a_folder_that_is_read_is_replaced(world: World, tmp_path: Path) -> None:
    """What is imported or predicted again has its old output among the pictures."""
    folder = tmp_path / "photographs"
    shutil.copytree(world.files["folder"], folder)
    for _ in range(2):
        succeed(run_tool("kd-import", folder, "--size", "32", "-f", "-o", folder / "faces.h5"))
        words = [world.files["student"], folder, "--detector", "whole", "--device", "cpu"]
        succeed(run_tool("kd-predict", *words, "-f", "-o", folder / "pred.h5"))


def test_a_second_output_that_fails_leaves_no_first(world: World, tmp_path: Path) -> None:
    """Status 1 means that nothing was written, pictures or not."""
    (tmp_path / "file").touch()
    words = world.words("kd-predict", tmp_path / "out.h5")
    fail(run_tool("kd-predict", *words, "--draw", tmp_path / "file"), "kd-predict", 1, tmp_path / "file")
    assert left_in(tmp_path) == ["file"]
    plot, words = tmp_path / "nowhere" / "modes.png", world.words("kd-asm", tmp_path / "out.h5")
    fail(run_tool("kd-asm", *words, "--plot-modes", plot), "kd-asm", 1, plot)
    assert left_in(tmp_path) == ["file"]


# ---- the same seed
@every_writer
def test_the_same_call_gives_the_same_file(tool: str, world: World, tmp_path: Path) -> None:
    """Under another name, with other jobs."""
    suffix = TOOLS[tool].suffix
    jobs = any("--jobs" in record.opts for record in options_of(tool))
    outputs = [tmp_path / f"one{suffix}", tmp_path / f"another{suffix}"]
    for output, n_jobs in zip(outputs, "12", strict=True):
        succeed(run_tool(tool, *world.words(tool, output), *(["-j", n_jobs] if jobs else [])))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.parametrize("tool", ["kd-synth", "kd-merge", "kd-teacher"])
def test_another_process_gives_the_same_file(tool: str, world: World, warm: Warm, tmp_path: Path) -> None:
    """One of each kind of writer: nothing depends on what a process has done before, or on how it hashes."""
    outputs = [tmp_path / f"{name}{TOOLS[tool].suffix}" for name in ("one", "another")]
    succeed(run_tool(tool, *world.words(tool, outputs[0])))
    kind = warm if tool in TRAINERS else None
    succeed(run_script(tool, *world.words(tool, outputs[1]), "-q", warm=kind))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_another_seed_gives_another_file(tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("one.h5", "two.h5")]
    for seed, output in enumerate(outputs):
        succeed(run_tool("kd-synth", "-n", "2", "--size", "16", "-j", "1", "--seed", str(seed), "-o", output))
    with h5py.File(outputs[0]) as one, h5py.File(outputs[1]) as two:
        assert not np.array_equal(one["image"], two["image"])
