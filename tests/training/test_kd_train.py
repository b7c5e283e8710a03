"""The command lines of kd-teacher and kd-student: settings shown, senseless ones refused, progress, events, signals."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from contract.running import run_tool
from factories import drawn_faces, write_faces
from rich.console import Console
from warm import Warm

from kdtools.cli._progress import training_progress
from kdtools.faces.file import open_faces
from kdtools.training.trainer import Epoch, Step

TINY = ["--arch", "test_resnet", "--input-size", "32", "--batch", "8", "--device", "cpu", "--loss", "l1"]


def call(tool: str, *words: object, scripts: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool in this process, or one of `scripts`."""
    if scripts is None:
        result = run_tool(tool, *map(str, words))
        return subprocess.CompletedProcess([], result.status, result.stdout.decode(), result.stderr)
    command = [str(scripts / tool), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points = drawn_faces(24, 40, 5)
    return write_faces(path, points, images=images)


def test_settings_are_shown_without_faces_and_output() -> None:
    result = call("kd-student", "--show-settings", "--preset", "paper", "--lr", "0.5", "--set", "ema=0.9")
    assert (result.returncode, result.stderr) == (0, "")
    table = dict(line.split("\t") for line in result.stdout.splitlines())
    assert (table["batch"], table["lr"], table["ema"], table["schedule"]) == ("70", "0.5", "0.9", "time")


def test_without_show_settings_faces_and_output_are_needed() -> None:
    result = call("kd-teacher", "--preset", "paper")
    assert result.returncode == 2
    assert "Missing argument" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--loss", "kd", "--tough", "t.h5"], "KD-Loss needs --tolerant"),
        (["--loss", "l1", "--tough", "t.h5"], "--loss l1 has no use for --tough"),
        (
            ["--loss", "l1", "--variant", "figure"],
            "has no use for --variant\n  leave out what a teacher is for, or give --loss l1+assist",
        ),
        (["--loss", "l1+mimic"], "--loss l1+mimic needs a teacher"),
        (["--loss", "l1+mimic", "--tough", "t.h5", "--variant", "figure"], "has no use for --variant"),
        (["--loss", "l1", "--val", "v.h5", "--val-share", "0.2"], "--val-share has no use together with --val"),
        (["--loss", "l1+admire"], "'--loss': 'l1+admire' is not one of 'l2', "),
        (["--preset", "worst"], "'--preset': 'worst' is not one of 'default', "),
        (["--set", "ema"], "has no value"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], message: str) -> None:
    result = call("kd-student", "none.h5", "-o", "none.safetensors", *words)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.soak
def test_a_finished_run_with_exchanged_teachers_is_another_run(faces_path: Path, warm: Warm, tmp_path: Path) -> None:
    teachers = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for k, teacher in enumerate(teachers):
        with open_faces(faces_path) as faces:
            write_faces(teacher, faces.landmarks + k, ids=faces.ids, role="predicted")
    output = tmp_path / "m.safetensors"
    words = ["kd-student", faces_path, *TINY[:-2], "--epochs", "1", "-o", output, "--resume"]
    a, b = teachers
    assert call(*words, "--tough", a, "--tolerant", b, scripts=warm.scripts).returncode == 0
    assert "is finished already" in call(*words, "--tough", a, "--tolerant", b, scripts=warm.scripts).stderr
    told = call(*words, "--tough", b, "--tolerant", a, scripts=warm.scripts)
    assert (told.returncode, "of a training with other inputs" in told.stderr) == (2, True)


def test_a_teacher_takes_no_loss_with_teachers() -> None:
    for words, message in (
        (["--loss", "kd"], "'--loss': 'kd' is not one of"),
        (["--set", "loss=kd"], "--loss is 'kd'"),
    ):
        result = call("kd-teacher", "none.h5", "-o", "none.safetensors", *words)
        assert (result.returncode, message in result.stderr) == (2, True)


def test_events_are_those_of_the_log(faces_path: Path, warm: Warm, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path / "m.safetensors"
    words = [faces_path, *TINY, "--epochs", "2", "--log-dir", tmp_path / "events", "-o", output]
    result = call("kd-student", *words, scripts=warm.scripts)
    assert result.returncode == 0, result.stderr
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    log = [json.loads(line) for line in (tmp_path / "m.log.jsonl").read_text().splitlines()]
    for tag, values in (
        ("loss/total", [line["terms"]["total"] for line in log]),
        ("nme_percent/inter-ocular", [line["val_nme_percent"] for line in log]),
        ("learning_rate", [line["lr"] for line in log]),
    ):
        found = events.Scalars(tag)
        assert [event.step for event in found] == [1, 2]
        assert [event.value for event in found] == pytest.approx(values, rel=1e-6)


def test_a_terminal_shows_epoch_speed_terms_error_and_time_left() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with training_progress(console) as (end_step, end_epoch):
        end_step(Step(1, 3, 10, 10, 50.0, {"main": 0.125, "tough": 0.25, "total": 0.5}))
        end_epoch(Epoch(1, 3, {"total": 0.5}, 12.345, 20.5, "inter-ocular", 1e-3, 1.0, 50.0, True))
        end_step(Step(2, 3, 1, 10, 61.0, None))
        time.sleep(0.3)
    shown = screen.getvalue()
    for text in ("epoch 2/3", "50 images/s", "main 0.125 tough 0.25 total 0.5", "NME 12.35 %"):
        assert text in shown, text


@pytest.mark.parametrize(
    ("number", "times", "status", "word"),
    [
        pytest.param(signal.SIGUSR1, 1, 143, "terminated", marks=pytest.mark.soak),
        (signal.SIGTERM, 1, 143, "terminated"),
        pytest.param(signal.SIGINT, 2, 130, "interrupted", marks=pytest.mark.soak),
    ],
)
def test_a_signal_leaves_a_checkpoint_of_the_very_step(
    number: int, times: int, status: int, word: str, faces_path: Path, warm: Warm, tmp_path: Path
) -> None:
    """The second Ctrl-C ends it at once; the checkpoint then is the last whole one. Both go on to the same file."""
    output = tmp_path / "part.safetensors"
    words = [str(faces_path), *TINY, "--epochs", "15", "--schedule", "time"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [warm.script("kd-student"), *words, "-o", str(output)], stderr=subprocess.PIPE, text=True, env=environment
    )
    log = tmp_path / "part.log.jsonl"
    until = time.monotonic() + 300
    while not (log.exists() and log.stat().st_size) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    for _ in range(times):
        process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == status, told
    assert told.splitlines()[-1] == f"kd-student: {word}"
    if times == 1:
        assert "with --resume continues" in told
    assert call("kd-info", "--check", tmp_path / "part.last.safetensors").returncode == 0
    refused = call("kd-student", *words, "-o", output, scripts=warm.scripts)
    assert refused.returncode == 1
    assert "epochs of a run that was stopped" in refused.stderr
    for more in (["-o", output, "--resume"], ["-o", tmp_path / "whole.safetensors"]):
        assert call("kd-student", *words, *more, scripts=warm.scripts).returncode == 0
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
