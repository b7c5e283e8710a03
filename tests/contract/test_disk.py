"""Full disks: one line says so, nothing of the output is there, temporary files are gone."""

from __future__ import annotations

import errno
import os
import random
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .faults import Faults
from .running import Result, fail, left_in, run_script, run_tool
from .table import TOOLS, TRAINERS, WRITERS, every_writer
from .world import World, check_leftovers, check_product, check_unfinished

PAGE = 4096  # bytes; a disk in memory is given out by these


@every_writer
def test_a_full_disk(tool: str, world: World, small_disk: Callable[[int], Path]) -> None:
    """Not one byte is free."""
    folder = small_disk(PAGE)
    (folder / "filler").write_bytes(bytes(PAGE))
    output = folder / f"out{TOOLS[tool].suffix}"
    fail(run_tool(tool, *world.words(tool, output)), tool, 1, folder / "out", os.strerror(errno.ENOSPC))
    assert set(left_in(folder)) <= {"filler", *(["out.log.jsonl"] if tool in TRAINERS else [])}


@pytest.mark.parametrize("tool", ["kd-synth", "kd-teacher"])
def test_a_full_disk_of_a_process(tool: str, world: World, small_disk: Callable[[int], Path]) -> None:
    """HDF5 and safetensors have nothing to add as the process ends."""
    folder = small_disk(PAGE)
    output = folder / f"out{TOOLS[tool].suffix}"
    fail(run_script(tool, *world.words(tool, output)), tool, 1, folder / "out", os.strerror(errno.ENOSPC))
    assert set(left_in(folder)) <= ({"out.log.jsonl"} if tool in TRAINERS else set())


# The report of kd-eval is shorter.
@pytest.mark.parametrize("tool", [tool for tool in WRITERS if tool != "kd-eval"])
def test_a_file_that_may_not_grow(tool: str, world: World, tmp_path: Path) -> None:
    """The same by a limit on the size of files, which needs no permission."""
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, limit[1]))
    try:
        result = run_tool(tool, *world.words(tool, output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    fail(result, tool, 1, tmp_path / "out", os.strerror(errno.EFBIG))
    assert set(left_in(tmp_path)) <= ({"out.log.jsonl"} if tool in TRAINERS else set())


def test_a_disk_that_fills_in_the_middle_of_a_training(world: World, small_disk: Callable[[int], Path]) -> None:
    """Room for the first checkpoint and the best network, not for the optimiser's state after an epoch."""
    folder = small_disk(world.files["tough_model"].stat().st_size * 5 // 2)
    result = run_tool("kd-teacher", *world.words("kd-teacher", folder / "out.safetensors"))
    fail(result, "kd-teacher", 1, folder / "out", os.strerror(errno.ENOSPC))
    assert set(left_in(folder)) <= {"out.last.safetensors", "out.best.safetensors", "out.log.jsonl"}
    check_product(folder / "out.last.safetensors")


def test_no_room_for_temporary_files(
    world: World, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard input and output are spooled."""
    folder = small_disk(PAGE)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    faces = world.files["faces"].read_bytes()
    no_room = os.strerror(errno.ENOSPC)
    fail(run_tool("kd-dump", "-", stdin=faces), "kd-dump", 1, "standard input", no_room)
    fail(run_tool("kd-synth", *world.words("kd-synth", "-")), "kd-synth", 1, "standard output", no_room)
    fail(run_tool("kd-teacher", *world.words("kd-teacher", "-")), "kd-teacher", 1, no_room)
    assert left_in(folder) == []


# ---- make soak
def room_needed(tool: str, world: World, folder: Path) -> int:
    """Bytes that all files of a run take at its end."""
    assert run_tool(tool, *world.words(tool, folder / f"out{TOOLS[tool].suffix}"), "-q").status == 0
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.soak
@every_writer
def test_disks_of_many_sizes(
    tool: str, world: World, small_disk: Callable[[int], Path], tmp_path: Path, faults: Faults
) -> None:
    """Random sizes up to twice what the files need in the end: the output is whole, or not there and that is said."""
    whole = tmp_path / "whole"
    whole.mkdir()
    n_pages = room_needed(tool, world, whole) * 2 // PAGE + 4
    rng = random.Random(tool)
    sizes = [1, 2, 3, *(rng.randint(1, n_pages) for _ in range(faults.n_of(12)))]
    run: Callable[..., Result] = run_script if TOOLS[tool].no_torch else run_tool
    for size in sizes:
        folder = small_disk(size * PAGE)
        output = folder / f"out{TOOLS[tool].suffix}"
        result = run(tool, *world.words(tool, output))
        faults.tried("full disks", tool, "done" if result.status == 0 else "refused")
        if result.status == 0:
            check_product(output)
            check_leftovers(folder, output)
        else:
            fail(result, tool, 1, folder / "out", os.strerror(errno.ENOSPC))
            assert not output.exists()
            check_unfinished(folder, output)
