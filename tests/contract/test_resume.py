"""A run that was stopped, at whatever moment, ends with --resume as one that was not."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest
from warm import Warm

from .faults import Faults
from .running import fail, finish, left_in, run_tool, start_tool, succeed, wait_for
from .table import TINY
from .world import World, check_product

LONG = f"--epochs 12 --schedule time {TINY}"


@pytest.mark.parametrize(
    ("tool", "number", "status", "word"),
    [("kd-teacher", signal.SIGTERM, 143, "terminated"), ("kd-student", signal.SIGINT, 130, "interrupted")],
)
def test_an_interrupted_training_goes_on(
    tool: str, number: int, status: int, word: str, world: World, warm: Warm, tmp_path: Path
) -> None:
    """What is left is a usable model, and --resume ends with the very file of a run that was not interrupted."""
    output, last, log = (tmp_path / f"out{end}" for end in (".safetensors", ".last.safetensors", ".log.jsonl"))
    teachers = ["--tough", world.files["tough"], "--tolerant", world.files["tough"]] if tool == "kd-student" else []
    call = [str(word) for word in (world.files["faces"], *teachers, *LONG.split(), "-o", output)]
    process = start_tool(tool, *call, warm=warm)
    wait_for(lambda: log.exists() and log.stat().st_size > 0, process)
    process.send_signal(number)
    result = finish(process)
    assert result.status == status, result.stderr
    assert result.stderr.splitlines()[-1] == f"{tool}: {word}"
    assert "Traceback" not in result.stderr
    assert left_in(tmp_path) == ["out.best.safetensors", last.name, log.name]
    n_done = len(log.read_text().splitlines())
    assert 1 <= n_done < 12
    succeed(run_tool("kd-predict", last, world.files["test"], "--device", "cpu", "-o", tmp_path / "pred.h5"))
    # As the first part ran: sums depend on the number of threads.
    resumed = succeed(finish(start_tool(tool, *call, "--resume", warm=warm)))
    assert re.search(rf"resumed after epoch ({n_done}|{n_done + 1}) of 12", resumed.stderr)
    check_product(output)
    assert left_in(tmp_path) == [last.name, log.name, output.name, "pred.h5"]
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == list(range(1, 13))
    whole = tmp_path / "whole.safetensors"
    succeed(finish(start_tool(tool, *call[:-1], str(whole), warm=warm)))
    assert whole.read_bytes() == output.read_bytes()


def test_resume_of_a_finished_training(world: World, tmp_path: Path) -> None:
    """With its output in place there is nothing to do; else it gives the same file again, or says why it cannot."""
    output = tmp_path / "out.safetensors"
    words = world.words("kd-teacher", output)
    succeed(run_tool("kd-teacher", *words))
    before = output.read_bytes()
    succeed(run_tool("kd-teacher", *words, "--resume"))
    assert output.read_bytes() == before
    for extra in (["-f"], []):
        result = run_tool("kd-teacher", *words, "--resume", *extra)
        if result.status:
            fail(result, "kd-teacher", 1)
            assert "--resume" in result.stderr
        if result.status == 0 or extra:
            assert output.read_bytes() == before
        output.unlink(missing_ok=True)


# ---- kd-predict, killed
class Prediction:
    """A prediction of 40 faces in blocks of three, which takes half a second, in a process that can be killed."""

    def __init__(self, model: Path, folder: Path) -> None:
        faces, self.output = folder / "faces.h5", folder / "out.h5"
        self.partial = folder / "out.h5.partial"
        succeed(run_tool("kd-synth", "-n", "40", "--size", "32", "-j", "1", "-q", "-o", faces))
        self.words = [str(model), str(faces), "-j", "1", "--batch", "1", "-q"]

    def whole(self, path: Path) -> dict[str, Any]:
        """The arrays of a run that nothing stops."""
        succeed(run_tool("kd-predict", *self.words, "-o", path))
        return arrays_of(path)

    def start(self) -> subprocess.Popen[bytes]:
        """Begin, or go on."""
        code = f"""
import sys, time
from kdtools.prediction import partial_output as parts
parts.BLOCK_FACES = 3
add = parts.Parts.add
def add_slowly(self, outcome):
    add(self, outcome)
    time.sleep(0.01)
parts.Parts.add = add_slowly
sys.argv = ["kd-predict", *{self.words!r}, "--resume", "-o", {str(self.output)!r}]
from kdtools.cli.kd_predict import main
main()
"""
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def arrays_of(path: Path) -> dict[str, Any]:
    """Every array of a faces file, as lists."""
    with h5py.File(path) as h5:
        return {name: h5[name][...].tolist() for name in ("id", "landmarks", "box") if name in h5}


def test_a_killed_prediction_goes_on(tiny_onnx: Path, tmp_path: Path) -> None:
    """kill -9 in mid-run: what was done is there, and the end is that of a run that was not killed."""
    run = Prediction(tiny_onnx, tmp_path)
    process = run.start()
    wait_for(lambda: len(list(run.partial.glob("block-*.h5"))) >= 2, process)
    process.kill()
    finish(process)
    for block in run.partial.glob("block-*.h5"):
        check_product(block)
    assert not run.output.exists()
    succeed(finish(run.start()))
    assert arrays_of(run.output) == run.whole(tmp_path / "whole.h5")
    assert left_in(tmp_path) == ["faces.h5", "out.h5", "whole.h5"]


# ---- make soak
@pytest.mark.soak
def test_a_prediction_killed_many_times(tiny_onnx: Path, tmp_path: Path, faults: Faults) -> None:
    """At random moments, of a whole life or as blocks are written, again and again until it comes through."""
    run, rng = Prediction(tiny_onnx, tmp_path), random.Random(0)
    expected = run.whole(tmp_path / "whole.h5")
    n_kills = 0
    while n_kills < faults.n_of(40):
        run.output.unlink(missing_ok=True)
        for _ in range(8):
            process = run.start()
            while not (run.partial.exists() or run.output.exists()) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
            process.kill()
            status = finish(process).status
            faults.tried("SIGKILL, then --resume", "kd-predict", "done before" if status == 0 else "went on")
            n_kills += status != 0
            if status == 0:
                break
        succeed(finish(run.start()))
        assert arrays_of(run.output) == expected
        assert left_in(tmp_path) == ["faces.h5", "out.h5", "whole.h5"]
