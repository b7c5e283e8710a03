"""Several processes train the network that one would."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import drawn_faces, write_faces
from safetensors.numpy import load_file
from warm import PYTHON, Warm

TORCHRUN = ["torchrun", "--standalone", "--no-python", "--nproc-per-node"]
# A network without batch norm: its processes see the same statistics, for there are none.
CALL = "--arch test_vit --input-size 160 --loss l1 --epochs 2 --batch 8 --augment strong --lr 1e-3 --val-share 0.3"


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, truth = drawn_faces(30, 40, 11)
    truth[3, :20] = np.nan  # processes then have different numbers of known points
    truth[11] = np.nan
    return write_faces(path, truth, images=images)


@pytest.fixture(scope="module", autouse=True)
def tools(warm: Warm) -> Iterator[None]:
    """Tools and a torchrun that need not import torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", warm.path)
        yield


def run(command: list[Any], n: int, status: int = 0) -> str:
    start = [] if n == 1 else [*TORCHRUN, str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [str(word) for word in (*start, *command)]
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=240)
    assert (result.returncode == 0) == (status == 0), result.stderr
    return result.stderr


def curve(output: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in output.with_suffix(".log.jsonl").read_text().splitlines()]
    return [[line["terms"]["total"], line["val_nme_percent"]] for line in lines]


def test_two_processes_take_the_course_of_one(faces_path: Path, tmp_path: Path) -> None:
    outputs = {n: tmp_path / f"of{n}.safetensors" for n in (1, 2)}
    told = {n: run(["kd-student", faces_path, *CALL.split(), "-o", outputs[n]], n) for n in outputs}
    assert told[2].count("epoch 1/2") == 1  # one of them speaks
    np.testing.assert_allclose(curve(outputs[2]), curve(outputs[1]), rtol=2e-4)
    weights = {n: load_file(outputs[n]) for n in outputs}
    for name, value in weights[1].items():
        np.testing.assert_allclose(weights[2][name], value, atol=2e-3, err_msg=name)


def test_a_run_goes_on_with_another_number_of_processes(faces_path: Path, tmp_path: Path) -> None:
    """The first epoch by two processes, the second by one: the course is that of one, or of two."""
    whole, part = tmp_path / "whole.safetensors", tmp_path / "part.safetensors"
    call = ["kd-student", faces_path, *CALL.split(), "--set", "ema=0.9"]
    run([*call, "-o", whole], 1)
    stop_after_first_epoch = "import kdtools.training.trainer as t; from kdtools.cli import kd_student; import sys\n"
    stop_after_first_epoch += (
        "save = t.save_checkpoint\n"
        "def stop(path, trained, course, *rest):\n"
        "    save(path, trained, course, *rest)\n"
        "    if course.history: raise SystemExit(9)\n"
        "t.save_checkpoint = stop\n"
        "sys.argv[0] = 'kd-student'; kd_student.main()\n"
    )
    script = tmp_path / "stop.py"
    script.write_text(stop_after_first_epoch)
    run([PYTHON, script, *call[1:], "-o", part], 2, status=1)
    assert (tmp_path / "part.last.safetensors").exists()
    told = run([*call, "-o", part, "--resume"], 1)
    assert "resumed after epoch 1 of 2" in told
    np.testing.assert_allclose(curve(part), curve(whole), rtol=2e-4)


STOPPED = """
import sys
import kdtools.training.trainer as training
from kdtools.cli import kd_student

class Ask:
    n = 0

    def __call__(self, *_):
        Ask.n += 1
        return Ask.n == 2

training._should_stop = Ask()
sys.argv[0] = "kd-student"
kd_student.main()
"""


@pytest.mark.soak
def test_a_run_of_two_processes_stopped_inside_an_epoch_goes_on(faces_path: Path, tmp_path: Path) -> None:
    """The logged terms too: half of their sums were another process's."""
    whole, part, script = (tmp_path / name for name in ("whole.safetensors", "part.safetensors", "stop.py"))
    call = ["kd-student", faces_path, *CALL.split()]
    run([*call, "-o", whole], 2)
    script.write_text(STOPPED)
    run([PYTHON, script, *call[1:], "-o", part], 2, status=143)
    assert "and 2 steps" in run([*call, "-o", part, "--resume"], 2)
    np.testing.assert_allclose(curve(part), curve(whole), rtol=1e-5)


def test_a_batch_too_small_for_all_is_refused(faces_path: Path, tmp_path: Path) -> None:
    told = run(["kd-student", faces_path, *CALL.split(), "--batch", "4", "-o", tmp_path / "m.safetensors"], 2, status=2)
    assert "--batch 4 is too small for 2 processes" in told
    assert not list(tmp_path.iterdir())
