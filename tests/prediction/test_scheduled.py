"""examples/scheduled: a script for cron and systemd, run as they would run it."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from warm import Warm

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "scheduled"


@pytest.fixture
def call(tmp_path: Path, tiny_onnx: Path, warm: Warm):  # type: ignore[no-untyped-def]
    """Runs predict.sh on two photographs, each taken as one face."""
    (tmp_path / "photos").mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), np.full((40, 40, 3), 90 * number + 40, np.uint8))
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "kd-predict"
    stand_in.write_text(f'#!/bin/sh\nexec {warm.script("kd-predict")} "$@" --detector whole\n')
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}

    def run(model: object = tiny_onnx) -> subprocess.CompletedProcess[str]:
        command = [FOLDER / "predict.sh", str(model), "photos", "points.h5"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_runs_every_night(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A second run changes nothing, a new photograph is found, and one that is broken is named, with status 0."""
    first = call()
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    before = (tmp_path / "points.h5").stat()
    assert call().returncode == 0
    assert (tmp_path / "points.h5").stat().st_mtime_ns == before.st_mtime_ns
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG broken")
    third = call()
    assert third.returncode == 0, third.stderr
    assert "exists already" not in third.stderr
    assert "skipped broken.png" in third.stderr
    assert (tmp_path / "points.h5").stat().st_mtime_ns != before.st_mtime_ns


def test_a_new_photograph_is_no_news(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert call().stderr == ""
    cv2.imwrite(str(tmp_path / "photos" / "2.png"), np.full((40, 40, 3), 200, np.uint8))
    again = call()
    assert (again.returncode, again.stderr) == (0, "")


def test_a_failure_is_one(call) -> None:  # type: ignore[no-untyped-def]
    failed = call("absent.onnx")
    assert failed.returncode == 1
    assert "absent.onnx" in failed.stderr


def test_units_and_crontab_call_the_script() -> None:
    units = {name: configparser.ConfigParser(strict=False) for name in ("service", "timer")}
    for name, unit in units.items():
        unit.read(FOLDER / f"kd-predict.{name}")
    words = units["service"]["Service"]["ExecStart"].split()
    assert words[0].endswith("/examples/scheduled/predict.sh")
    assert len(words) == 4
    assert "OnCalendar" in units["timer"]["Timer"]
    assert re.search(
        r"^0 3 \* \* \* .*/examples/scheduled/predict\.sh( \S+){3}$", (FOLDER / "crontab").read_text(), re.M
    )
