"""Two processes that write the same output at once: it is the whole output of one of them."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from warm import Warm

from .faults import Faults
from .running import fail, finish, start_tool
from .table import TOOLS, every_writer
from .world import World, check_leftovers, check_product


def race(tool: str, world: World, folder: Path, *, force: bool, delay: float = 0.0, warm: Warm | None = None) -> str:
    """Let two processes write one output, the second a little later, and look at what is there; who came through."""
    output = folder / f"out{TOOLS[tool].suffix}"
    words = [*world.words(tool, output), *(["-f"] if force else [])]
    first = start_tool(tool, *words, warm=warm)
    time.sleep(delay)
    results = [finish(process) for process in (start_tool(tool, *words, warm=warm), first)]
    for result in results:
        if result.status:
            fail(result, tool, 1, folder / "out")
    n_done = [result.status for result in results].count(0)
    assert n_done >= 1
    assert force or n_done == 1
    check_product(output)
    check_leftovers(folder, output)
    return "both done" if n_done == 2 else "one done, one refused"


@pytest.mark.parametrize("tool", ["kd-synth", "kd-teacher"])
def test_two_writers(tool: str, world: World, warm: Warm, tmp_path: Path) -> None:
    race(tool, world, tmp_path, force=False, warm=warm)


# ---- make soak
@pytest.mark.soak
@every_writer
def test_two_writers_many_times(tool: str, world: World, tmp_path: Path, faults: Faults) -> None:
    rng = random.Random(tool)
    for attempt in range(faults.n_of(8)):
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        force = attempt % 2 == 1
        outcome = race(tool, world, folder, force=force, delay=rng.uniform(0, 0.3))
        faults.tried(f"two writers{', -f' if force else ''}", tool, outcome)
