"""A training called from Python, without the command line: its result, its callbacks, how it is stopped and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import drawn_faces, write_faces
from reporters import Recorder
from safetensors import safe_open
from safetensors.torch import save_file

from kdtools.errors import FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.model.card import lineage_of_weights, read_card
from kdtools.model.file import load_model
from kdtools.storage.lineage import NOT_STATED
from kdtools.training.run import Callbacks, TrainingRun, cross_fit_teachers, train_model
from kdtools.training.settings import Settings, resolve_settings
from kdtools.training.trainer import Epoch, Step, Stopped

N, SIZE = 24, 40


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points = drawn_faces(N, SIZE, 5)
    return str(write_faces(path, points, images=images, ids=[f"person{k // 2}_{k % 2}" for k in range(N)]))


def settings(**options: object) -> Settings:
    small = {"arch": "test_resnet", "input_size": 32, "epochs": 2, "batch": 6, "loss": "l1", "seed": 2}
    return resolve_settings("kd-student", "default", {**small, **options})


def test_a_model_is_trained_and_its_result_is_that_of_the_best_epoch(faces_path: str, tmp_path: Path) -> None:
    epochs: list[Epoch] = []
    steps: list[Step] = []
    inside: list[bool] = []

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        inside.append(True)
        yield
        inside.append(False)

    output = str(tmp_path / "model.safetensors")
    recorder = Recorder()
    run = TrainingRun(settings(), faces_path, output, device_name="cpu")
    result = train_model(run, recorder, Callbacks(steps.append, epochs.append, around_steps=around))
    assert result.output == output
    assert result.best_nme_percent == min(epoch.val_nme_percent for epoch in epochs)
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert [(step.epoch, step.step) for step in steps] == [
        (epoch, step) for epoch in (1, 2) for step in range(1, steps[0].n_steps + 1)
    ]
    assert inside == [True, False]
    assert any("faces to train on" in text for text in recorder.said)
    # Two epochs are too few to beat the mean shape, on some machines.
    assert [text for text in recorder.warned if "always predicting the mean shape" not in text] == []
    assert recorder.skipped == []
    fields = read_card(output)[1]
    assert fields["tool"] == "kdtools"
    assert faces_path in fields["inputs"]
    with torch.inference_mode():
        assert load_model(Path(output), torch.device("cpu"))(torch.zeros(1, 3, 32, 32)).shape == (1, 68, 2)
    again = train_model(TrainingRun(settings(), faces_path, output, device_name="cpu", resume=True), recorder)
    assert again.best_nme_percent is None
    assert recorder.said[-1] == f"{output} is finished already: 2 of 2 epochs"
    with pytest.raises(UsageError, match="with other lr"):
        train_model(TrainingRun(settings(lr=0.5), faces_path, output, device_name="cpu", resume=True))
    model = Path(output).read_bytes()
    Path(output).unlink()  # it was moved away, and the same command is given again
    with pytest.raises(FileError, match="this training is finished already: 2 of 2 epochs"):
        train_model(TrainingRun(settings(), faces_path, output, device_name="cpu"))
    train_model(TrainingRun(settings(), faces_path, output, device_name="cpu", resume=True))
    assert Path(output).read_bytes() == model


def test_a_training_that_was_stopped_goes_on_to_the_same_model(faces_path: str, tmp_path: Path) -> None:
    whole, parts = str(tmp_path / "whole.safetensors"), str(tmp_path / "parts.safetensors")
    train_model(TrainingRun(settings(), faces_path, whole, device_name="cpu"))
    steps: list[Step] = []
    recorder = Recorder()
    run = TrainingRun(settings(), faces_path, parts, device_name="cpu")
    with pytest.raises(Stopped):
        train_model(run, recorder, Callbacks(steps.append, stop_asked=lambda: len(steps) == 5))
    assert not Path(parts).exists()
    assert "holds all steps so far" in recorder.said[-1]
    train_model(TrainingRun(settings(), faces_path, parts, device_name="cpu", resume=True))
    assert Path(parts).read_bytes() == Path(whole).read_bytes()


def test_cross_fitted_teachers_predict_every_face_and_report_it(faces_path: str, tmp_path: Path) -> None:
    recorder = Recorder()
    run = TrainingRun(settings(epochs=1), faces_path, str(tmp_path / "tough.h5"), device_name="cpu")
    cross_fit_teachers(run, 2, recorder)
    with open_faces(tmp_path / "tough.h5") as found:
        assert len(found) == N
        assert np.isfinite(found.landmarks).all()
    assert ("predicting", N) in recorder.tasks
    assert recorder.done == [N // 2, N]
    assert sum(text.startswith("validation NME ") for text in recorder.said) == 2


@pytest.mark.parametrize(
    "role", ["faces_path", "val_path", "unlabelled_path", "landmarks_path", "init", "tough", "output"]
)
def test_resume_takes_no_other_content_of_a_pipe_for_the_same(faces_path: str, tmp_path: Path, role: str) -> None:
    """A pipe has the same name each time, and its content is not recorded."""
    pipe, more = str(tmp_path / "pipe"), {}
    os.mkfifo(pipe)
    if role not in ("init", "tough"):
        more = {role: pipe}
    run = TrainingRun(settings(), faces_path, str(tmp_path / "m.safetensors"), device_name="cpu", resume=True)
    if role == "init":
        run = replace(run, settings=settings(init=pipe))
    run = replace(run, teachers={"tough": pipe} if role == "tough" else {}, **more)
    for start in (train_model, partial(cross_fit_teachers, n_folds=2)):
        with pytest.raises(UsageError, match=f"--resume needs files, and {pipe} is"):
            start(run)
    assert os.listdir(tmp_path) == ["pipe"]


def test_nothing_of_the_command_line_is_loaded(faces_path: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from kdtools.training.run import TrainingRun, train_model\n"
        "from kdtools.training.settings import resolve_settings\n"
        "small = {'arch': 'test_resnet', 'input_size': 32, 'epochs': 1, 'batch': 6, 'loss': 'l1'}\n"
        f"run = TrainingRun(resolve_settings('kd-student', 'default', small), {faces_path!r}, "
        f"{str(tmp_path / 'm.safetensors')!r}, device_name='cpu')\n"
        "print(train_model(run).best_nme_percent)\n"
        "sys.exit(any(name == 'typer' or name.startswith('kdtools.cli') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) > 0


def changed(source: str, path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> str:
    """A copy of a model file whose description and tensors were changed."""
    with safe_open(source, "pt") as stored:
        fields = json.loads(stored.metadata()["kdtools"])
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    change(fields, tensors)
    save_file(tensors, path, metadata={"kdtools": json.dumps(fields)})
    return str(path)


def put(fields: dict[str, Any], _: dict[str, torch.Tensor], *, values: dict[str, object]) -> None:
    fields.update(values)


DAMAGED_TRAININGS: list[Callable[[dict[str, Any], dict[str, torch.Tensor]], object]] = [
    lambda fields, _: fields.update(training=3),
    lambda fields, _: fields["training"].update(settings=3),
    lambda fields, _: fields["training"].pop("data"),
    lambda fields, _: fields["training"].update(history=7),
    lambda fields, _: fields["training"].update(history=[{}]),
    lambda fields, _: fields["training"].update(history=[1]),
    lambda fields, _: fields["training"].update(step="x"),
    lambda fields, _: fields["training"].update(step=-1),
    lambda _, tensors: tensors.update({"training.optimiser.x.exp_avg": torch.zeros(1)}),
    lambda _, tensors: tensors.update({"training.optimiser.999.exp_avg": torch.zeros(1)}),
    lambda _, tensors: tensors.update({"head.other": torch.zeros(1)}),
]


def test_damaged_descriptions_are_refused_and_never_taken_for_silence(faces_path: str, tmp_path: Path) -> None:
    """Terms of start weights, inputs of a finished model, the state of a training."""
    output = str(tmp_path / "model.safetensors")
    train_model(TrainingRun(settings(epochs=1), faces_path, output, device_name="cpu"))
    for number, terms in enumerate(({"terms": 3}, {"terms": ["free"]}, {"terms": {"a": 1}})):
        start = changed(output, tmp_path / f"start{number}.safetensors", partial(put, values=terms))
        run = TrainingRun(settings(init=start), faces_path, str(tmp_path / "next.safetensors"), device_name="cpu")
        with pytest.raises(FileError, match=rf"start{number}\.safetensors: what it says of .* terms"):
            train_model(run)
    with safe_open(output, "pt") as stored:
        names = [name for name in stored.keys() if name.startswith("backbone.")]  # noqa: SIM118
        save_file({name: stored.get_tensor(name) for name in names}, tmp_path / "plain.safetensors")
    for weights, start_weights in (("plain", "plain"), ("model", "model")):
        lineage = lineage_of_weights(tmp_path / f"{weights}.safetensors").as_start(start_weights)
        assert (lineage.terms == {"plain": NOT_STATED}) == (weights == "plain")
    again = TrainingRun(settings(epochs=1), faces_path, output, device_name="cpu", resume=True)
    for inputs in ({"inputs": "{"}, {"inputs": 3}):
        changed(output, tmp_path / "m", partial(put, values=inputs))
        shutil.move(tmp_path / "m", output)
        with pytest.raises(FileError, match=r"model\.safetensors: its provenance is damaged"):
            train_model(again)
    Path(output).unlink()
    last = tmp_path / "model.last.safetensors"
    sound = shutil.copy(last, tmp_path / "sound.safetensors")
    for number, change in enumerate(DAMAGED_TRAININGS):
        changed(str(sound), last, change)
        with pytest.raises(FileError, match=r"model\.last\.safetensors: the state of its training is damaged"):
            train_model(again)
        assert not Path(output).exists(), number
