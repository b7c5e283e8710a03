"""Training from files to a model file, or to the predictions of cross-fitted teachers.

>>> from kdtools.training.run import TrainingRun, train_model
>>> from kdtools.training.settings import resolve_settings
>>> settings = resolve_settings("kd-student", "default", {"loss": "l1", "epochs": 60})
>>> train_model(TrainingRun(settings, "train.h5", "student.safetensors")).best_nme_percent  # doctest: +SKIP
4.06
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdtools.errors import FileError, KdError, require
from kdtools.faces.file import open_faces
from kdtools.model.card import lineage_of_model, lineage_of_weights, read_card
from kdtools.model.network import choose_device
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.lineage import Lineage
from kdtools.storage.outputs import STANDARD_STREAM, check_no_input, check_output, claimed, is_stream, move_into_place
from kdtools.storage.provenance import Provenance
from kdtools.training.checkpoints import RunFiles, check_nothing_to_lose, check_resumable
from kdtools.training.cross_fitting import fold_output, fold_rows, predict_left_out, settings_of_folds, write_left_out
from kdtools.training.distributed import is_first, joined_processes, started_by_torchrun, wait_for_all
from kdtools.training.log import open_events
from kdtools.training.settings import EXECUTION_SETTINGS, Settings, with_defaults
from kdtools.training.task import load_task
from kdtools.training.trainer import Epoch, Step, Stopped, train


@dataclass(frozen=True)
class TrainingRun:
    """Settings and files of a training run. `teachers` maps `tough` and `tolerant` to predictions or model files.

    `unlabelled_path` has more faces to train on, of which the teachers alone say where their points are.

    `output` is a model file, for `cross_fit_teachers` a faces file. `resume` continues from the checkpoint of the same
    output, `force` replaces existing files. `log_dir` is a folder for TensorBoard events.
    """

    settings: Settings
    faces_path: str
    output: str
    val_path: str | None = None
    device_name: str = "auto"
    resume: bool = False
    force: bool = False
    landmarks_path: str | None = None
    teachers: dict[str, str] = field(default_factory=dict)
    log_dir: str | None = None
    unlabelled_path: str | None = None

    @property
    def roles(self) -> dict[str, str]:
        """Input files by what they are used for."""
        paths = {
            "faces": self.faces_path,
            "val": self.val_path,
            "landmarks": self.landmarks_path,
            "unlabelled": self.unlabelled_path,
            "init": None if self.settings.init in ("none", "imagenet") else self.settings.init,
            **self.teachers,
        }
        return {role: path for role, path in paths.items() if path is not None}


@dataclass(frozen=True)
class Callbacks:
    """Functions called during training. `on_step` and `on_epoch` are called in the first process only.

    `stop_asked` is called after each step; once it returns True, a checkpoint is written and `trainer.Stopped` raised.
    `around_steps` returns a context that spans all steps, for example to install signal handlers.
    """

    on_step: Callable[[Step], None] = lambda step: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    stop_asked: Callable[[], bool] = lambda: False
    around_steps: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class TrainingResult:
    """The model file and its validation NME in percent, None if the file was finished before."""

    output: str
    best_nme_percent: float | None


_NO_CALLBACKS = Callbacks()


def train_model(
    run: TrainingRun,
    reporter: Reporter = SILENT,
    callbacks: Callbacks = _NO_CALLBACKS,
    provenance: Provenance | None = None,
) -> TrainingResult:
    """Train and write the network of the epoch with the lowest validation NME, whole or not at all.

    `provenance` names the tool and its arguments; inputs and their roles are added. Under torchrun every process calls
    this; the first one writes and reports. Raises UsageError and FileError for bad or conflicting files,
    `trainer.Stopped` if `stop_asked` returned True, TrainingError if the loss is not finite.
    """
    inputs = list(run.roles.values())
    require(inputs.count("-") <= 1, "only one input can be standard input")
    with _started(run, reporter, provenance) as (device, reporter, provenance):
        if run.resume and _is_finished(run.output, run, provenance):
            reporter.say(f"{run.output} is finished already: {run.settings.epochs} of {run.settings.epochs} epochs")
            return TrainingResult(run.output, None)
        check_output(run.output, run.force)
        with _place_of(run.output) as place:
            best = _train_to(run, place, run.output, device, provenance, reporter, callbacks)
        return TrainingResult(run.output, best)


def cross_fit_teachers(
    run: TrainingRun,
    n_folds: int,
    reporter: Reporter = SILENT,
    callbacks: Callbacks = _NO_CALLBACKS,
    provenance: Provenance | None = None,
) -> None:
    """Train one teacher per fold on all other folds; write its predictions for the fold it has not seen.

    The output is a faces file; the teachers are kept in its folder. Arguments and errors as in `train_model`.
    """
    require("-" not in (run.output, *run.roles.values()), "--folds reads and writes files only", "name them")
    with (
        _started(run, reporter, provenance) as (device, reporter, provenance),
        open_faces(run.faces_path) as faces,
    ):
        faces.require("image", "landmarks")
        folds = list(fold_rows(faces, n_folds, run.settings.seed))
        run = replace(run, settings=settings_of_folds(run.settings, faces, folds))
        models = [fold_output(Path(run.output), number, n_folds) for number in range(1, n_folds + 1)]
        check_no_input((file for model in models for file in _written_by(str(model))), run.roles.values())
        finished = [run.resume and _is_finished(str(model), run, provenance) for model in models]
        if run.resume and Path(run.output).exists() and not run.force:
            hint = "start again with -f and without --resume, or name another output"
            require(
                all(finished), f"{run.output} is there already, but not the {n_folds} teachers of this training", hint
            )
            reporter.say(f"{run.output} is there already")
            return
        check_output(run.output, run.force)
        for model, is_finished in zip(models, finished, strict=True):
            require(
                is_finished or run.force or not model.exists(),
                f"{model} exists already, from an earlier run",
                "continue with --resume, or start over with -f",
            )
        for number, (model, (rows, _)) in enumerate(zip(models, folds, strict=True)):
            reporter.say(f"fold {number + 1} of {n_folds}: {model.name}{' is finished' if finished[number] else ''}")
            if not finished[number]:
                log_dir = run.log_dir and str(Path(run.log_dir) / model.stem)
                fold = replace(run, log_dir=log_dir)
                best = _train_to(
                    *(fold, model.resolve(), str(model), device, provenance, reporter, callbacks, rows),
                    names_terms=number == 0,
                )
                reporter.say(f"validation NME {best:.2f} %")
        left_out = [rest for _, rest in folds]
        points = predict_left_out(faces, models, left_out, device=device, batch=run.settings.batch, reporter=reporter)
        if is_first():
            provenance = provenance.with_lineage(lineage_of_model(models[0]).as_teacher(Path(run.output).stem))
            write_left_out(faces, points, faces.scheme, run.output, run.force, provenance)
        wait_for_all()
        reporter.say(f"{run.output} holds a prediction for each of {len(faces)} faces")


@contextlib.contextmanager
def _started(
    run: TrainingRun, reporter: Reporter, provenance: Provenance | None
) -> Iterator[tuple[torch.device, Reporter, Provenance]]:
    """Join the other processes; yields the device and reporter of this one, and the provenance of the output."""
    if run.resume:
        check_resumable((*run.roles.values(), run.output))
    _check_unlabelled(run)
    files = [path for path in run.roles.values() if not is_stream(path)]
    if run.output != STANDARD_STREAM:
        check_no_input(_written_by(run.output), files)
    provenance = replace((provenance or Provenance("kdtools")).with_inputs(files), roles=run.roles)
    alone = not started_by_torchrun()
    require(
        alone or len(files) == len(run.roles), "several processes cannot share standard input or a pipe", "name a file"
    )
    with joined_processes(choose_device(run.device_name)) as device:
        yield device, reporter if is_first() else SILENT, provenance


def _check_unlabelled(run: TrainingRun) -> None:
    """Raises UsageError where unlabelled faces, their share and their teacher do not go together."""
    share, path = run.settings.unlabelled_share, run.unlabelled_path
    hint = "kd-student --unlabelled FILE names them"
    require(path is not None or not share, "--set unlabelled_share needs unlabelled faces", hint)
    if path is None:
        return
    require(share > 0, "of --unlabelled, --set unlabelled_share=0 takes no face", "give a share, such as 0.5")
    hint = "give --tough a model file, or kd-predict's output for these faces"
    require("tough" in run.teachers, "--unlabelled needs --tough, which says where the points are", hint)


def _written_by(output: str) -> list[str]:
    """Files that a training run with this output replaces."""
    files = RunFiles.for_output(Path(output))
    return [output, str(files.last), str(files.best)]


@contextlib.contextmanager
def _place_of(output: str) -> Iterator[Path]:
    """Path that names the run's files: the output, or one in a temporary folder if that is standard output."""
    if output != STANDARD_STREAM:
        yield Path(output).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "model"


def _train_to(
    run: TrainingRun,
    place: Path,
    output: str,
    device: torch.device,
    provenance: Provenance,
    reporter: Reporter,
    callbacks: Callbacks,
    rows: np.ndarray | None = None,
    *,
    names_terms: bool = True,
) -> float:
    """Train on `rows` of the faces (None: all), with the files of the run named after `place`; write the best network.

    Returns its validation NME in percent.
    """
    files = RunFiles.for_output(place)
    with contextlib.ExitStack() as stack:
        if is_first():
            stack.enter_context(claimed(output, place))
            check_output(output, run.force)  # again: another process may just have finished it
        check_nothing_to_lose(files, output, resume=run.resume, force=run.force)
        task = stack.enter_context(
            load_task(
                run.faces_path,
                run.val_path,
                run.landmarks_path,
                run.teachers,
                rows=rows,
                val_share=run.settings.val_share,
                convention=run.settings.convention,
                seed=run.settings.seed,
                device=device,
                unlabelled_path=run.unlabelled_path,
                teaches_labelled=run.settings.teaches_labelled,
                learns_labels=run.settings.unlabelled_share < 1,
                trust=run.settings.trust,
                reporter=reporter,
            )
        )
        provenance = provenance.with_lineage(task.lineage, _lineage_of_start(run.settings))
        if names_terms:
            reporter.say(f"the network is bound by the terms of its sources: {provenance.lineage.sentence()}")
        write_events = stack.enter_context(open_events(run.log_dir if is_first() else None))

        def end_step(step: Step) -> None:
            if is_first():
                callbacks.on_step(step)

        def end_epoch(epoch: Epoch) -> None:
            write_events(epoch)
            if is_first():
                callbacks.on_epoch(epoch)

        stack.enter_context(callbacks.around_steps())
        try:
            best = train(
                task,
                run.settings,
                files,
                device=device,
                provenance=provenance,
                resume=run.resume,
                reporter=reporter,
                on_epoch=end_epoch,
                on_step=end_step,
                stop_asked=callbacks.stop_asked,
            )
        except Stopped:
            if output != STANDARD_STREAM:
                reporter.say(f"{files.last.name} holds all steps so far; the same command with --resume continues")
            raise
        if is_first():
            move_into_place(files.best, output, run.force)
        wait_for_all()
    return best


def _lineage_of_start(settings: Settings) -> Lineage:
    """What the start weights are made from: a model says it, others are named."""
    if settings.init == "none":
        return Lineage()
    if settings.init == "imagenet":
        return Lineage().as_start(f"timm's ImageNet weights of {settings.arch}")
    return lineage_of_weights(settings.init).as_start(Path(settings.init).stem)


def _is_finished(output: str, run: TrainingRun, provenance: Provenance) -> bool:
    """Whether the output of this very training run exists.

    Raises UsageError if it belongs to another one, FileError if it is damaged, unless `run.force` allows replacing it.
    """
    if not Path(output).exists():
        return False
    try:
        card, fields = read_card(output)
        made_from = _recorded_inputs(fields, output)
    except KdError:
        if run.force:
            return False
        raise
    settings = {name: value for name, value in asdict(run.settings).items() if name not in EXECUTION_SETTINGS}
    stored = with_defaults(card.settings)
    different = [name for name, value in settings.items() if stored.get(name) != value]
    if made_from != (provenance.inputs, provenance.roles):
        different.append("inputs")
    require(
        run.force or not different,
        f"{output} is there already, of a training with other {', '.join(different)}",
        "start again with -f and without --resume, or name another output",
    )
    return not different


def _recorded_inputs(fields: dict[str, Any], path: str) -> tuple[object, object]:
    """Inputs and their roles in a model file's description; those of other programs may lack both."""
    try:
        return json.loads(fields.get("inputs", "{}")), json.loads(fields.get("roles", "{}"))
    except (ValueError, TypeError, RecursionError) as error:
        hint = "start again with -f and without --resume, or name another output"
        raise FileError(f"{path}: its provenance is damaged: {error}", hint) from error
