"""Ctrl-C, SIGTERM and SIGKILL: the statuses, and that nothing is half written, left behind or goes on running."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .faults import Faults
from .running import Result, finish, group_is_gone, left_in, run_script, run_tool, start_tool, wait_for
from .table import TOOLS, TRAINERS, WRITERS, every_tool
from .world import World, check_product, check_unfinished

ENDINGS = {signal.SIGTERM: (143, "terminated"), signal.SIGINT: (130, "interrupted")}
OLD = b"what was there before"


# ---- at moments that a test can choose
@pytest.fixture(autouse=True)
def same_handlers() -> Iterator[None]:
    """What a test makes of signals is for that test alone."""
    before = {number: signal.getsignal(number) for number in ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send_in(patch: pytest.MonkeyPatch, function: str, *numbers: signal.Signals) -> None:
    """Let the next call of a function of os send signals to this process before it does its work."""
    usual = getattr(os, function)

    def called(*args: Any, **options: Any) -> Any:
        patch.setattr(os, function, usual)
        for number in numbers:
            signal.raise_signal(number)
        return usual(*args, **options)

    patch.setattr(os, function, called)


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("tool", [tool for tool in WRITERS if tool not in TRAINERS])  # which end their step first
def test_a_signal_as_an_output_is_put_in_place(
    tool: str, number: signal.Signals, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written but not yet renamed; and while it is renamed a second time, with Ctrl-C pressed again at once."""
    output, (status, word) = tmp_path / f"out{TOOLS[tool].suffix}", ENDINGS[number]
    for function, times in (("fsync", 1), ("replace", 2)):
        output.write_bytes(OLD)
        send_in(monkeypatch, function, *[number] * times)
        result = run_tool(tool, *world.words(tool, output), "-f", "-q")
        assert (result.status, result.stderr) == (status, f"{tool}: {word}\n")
        assert left_in(tmp_path) == [output.name]
        assert output.read_bytes() == OLD


def test_a_signal_as_a_part_is_removed(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.h5"
    for number, (status, _) in ENDINGS.items():
        send_in(monkeypatch, "fsync", signal.SIGTERM)
        send_in(monkeypatch, "unlink", number)
        assert run_tool("kd-synth", *world.words("kd-synth", output)).status == 143, status
        assert left_in(tmp_path) == []


def test_ignored_signals_stay_ignored(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As nohup has it, and a script's background job."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    send_in(monkeypatch, "fsync", *ENDINGS)
    assert run_tool("kd-synth", *world.words("kd-synth", tmp_path / "out.h5")).status == 0
    check_product(tmp_path / "out.h5")


# ---- processes
@pytest.fixture
def drawing(tmp_path: Path) -> Any:
    """A process that draws faces with two workers, some time after it began."""
    process = start_tool("kd-synth", "-n", "50000", "--size", "64", "-j", "2", "-o", tmp_path / "out.h5")
    wait_for(lambda: sum(path.stat().st_size for path in tmp_path.rglob("*")) > 200_000, process)  # both draw
    return process


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_while_faces_are_drawn(number: signal.Signals, drawing: Any, tmp_path: Path) -> None:
    """SIGTERM goes to the tool alone, as kill sends it; SIGINT to its workers too, as a terminal sends Ctrl-C."""
    status, word = ENDINGS[number]
    (os.killpg if number == signal.SIGINT else os.kill)(drawing.pid, number)
    assert finish(drawing) == Result(status, b"", f"kd-synth: {word}\n")
    assert left_in(tmp_path) == []
    assert group_is_gone(drawing.pid)


def test_workers_end_with_a_killed_tool(drawing: Any, tmp_path: Path) -> None:
    """SIGKILL leaves a hidden file, but nothing that runs."""
    drawing.kill()
    finish(drawing)
    assert group_is_gone(drawing.pid)
    assert_killed(tmp_path, tmp_path / "out.h5")


def assert_killed(folder: Path, output: Path) -> None:
    """Assert that beside an output there are only files whose names say that they are hidden and parts."""
    for path in folder.iterdir():
        if path.name.startswith(".") and (".part" in path.name or path.name.endswith(".lock")):
            if path.is_dir():
                for inner in path.iterdir():
                    inner.unlink()
                path.rmdir()
            else:
                path.unlink()
    check_unfinished(folder, output)


# ---- make soak
@pytest.mark.soak
@every_tool
def test_signals_at_random_moments(tool: str, world: World, tmp_path: Path, spool_folder: Path, faults: Faults) -> None:
    """From before Python has begun to after it has ended, to the tool alone or to all its processes."""
    folder, writes = tmp_path / "out", bool(TOOLS[tool].suffix)
    folder.mkdir()
    output = folder / f"out{TOOLS[tool].suffix}"
    second = world.second_output(output)
    words = [*world.words(tool, output), *(["-f"] if writes else [])]
    began = time.monotonic()
    assert run_script(tool, *words).status == 0
    seconds, rng = time.monotonic() - began, random.Random(tool)
    for attempt in range(faults.n_of(24)):
        number = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)[attempt % 3]
        for path in folder.iterdir():
            path.unlink()
        if writes:
            output.write_bytes(OLD)
        process = start_tool(tool, *words)
        time.sleep(rng.uniform(0, 1.05 * seconds))
        if process.poll() is None:
            (os.killpg if attempt % 2 else os.kill)(process.pid, number)
        result = finish(process)
        faults.tried(number.name, tool, outcome_of(result, number))
        assert group_is_gone(process.pid)
        check_ended(tool, result, number)
        is_done = writes and (output.read_bytes() != OLD or result.status == 0)
        if is_done:
            check_product(output)
        if is_done and second.exists():
            check_product(second)
            second.unlink()
        if number == signal.SIGKILL:
            assert_killed(folder, output)
        else:
            check_unfinished(folder, output)
            assert left_in(spool_folder) == []


def outcome_of(result: Result, number: signal.Signals) -> str:
    """How a process ended that was sent a signal at some moment."""
    return {0: "done before", -number: "ended by the system"}.get(result.status, f"status {result.status}")


def check_ended(tool: str, result: Result, number: signal.Signals) -> None:
    """Assert that a tool said how it ended, or ended before or after it could, with nothing of Python's own."""
    if number == signal.SIGINT and result.stderr.startswith("Fatal Python error: init_import_site"):
        return  # Python's own words where Ctrl-C comes before any line of a program is run
    assert all(line.startswith((f"{tool}: ", "  ")) for line in result.stderr.splitlines()), result.stderr
    assert "error" not in result.stderr
    if result.status not in (0, -number):
        status, word = ENDINGS[number]
        assert (result.status, result.stderr.splitlines()[-1]) == (status, f"{tool}: {word}"), result.stderr
