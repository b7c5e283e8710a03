"""What kd-teacher and kd-student share: checks, the run, its report and its output."""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdtools.cli._app import check_no_input, session
from kdtools.cli._exit import Interrupted, Terminated
from kdtools.cli._progress import training_progress
from kdtools.errors import KdError, require
from kdtools.training.settings import CARRIED_OUT, Settings

if TYPE_CHECKING:
    import numpy as np

    from kdtools.storage.provenance import Provenance
    from kdtools.training.trainer import Epoch


@dataclass(frozen=True)
class TrainingRun:
    """What the command line asks for. `teachers` maps a loss term to a predictions file or a model file."""

    settings: Settings
    faces_path: str
    val_path: str | None
    output: str
    device_name: str
    resume: bool
    force: bool
    landmarks_path: str | None = None
    teachers: dict[str, str] = field(default_factory=dict)
    log_dir: str | None = None

    @property
    def roles(self) -> dict[str, str]:
        """What each input is used as."""
        init = None if self.settings.init in ("none", "imagenet") else self.settings.init
        given = {
            "faces": self.faces_path,
            "val": self.val_path,
            "landmarks": self.landmarks_path,
            "init": init,
            **self.teachers,
        }
        return {role: path for role, path in given.items() if path is not None}


def check_validation(val_path: str | None, val_share: float | None) -> None:
    """Raises UsageError where the share to keep apart would do nothing."""
    require(val_path is None or val_share is None, "--val-share has no use beside --val", "leave one of them out")


def train_model(run: TrainingRun) -> None:
    """Train from files to a model file."""
    inputs = list(run.roles.values())
    require(inputs.count("-") <= 1, "only one input can be standard input")
    require(not run.resume or "-" not in (*inputs, run.output), "--resume needs files", "name inputs and output")
    with _started(run) as (device, provenance):
        if run.resume and _is_finished(run.output, run, provenance):
            session.say(f"{run.output} is finished already")
            return
        from kdtools.storage.outputs import check_output

        check_output(run.output, run.force)
        with _place_of(run.output) as place:
            _train_to(run, place, run.output, device, provenance)


def cross_fit_teachers(run: TrainingRun, n_folds: int) -> None:
    """Train a teacher for each fold on all the others; write what each predicts for the faces it has not seen."""
    require("-" not in (run.output, *run.roles.values()), "--folds reads and writes files only", "name them")
    from kdtools.faces.file import open_faces
    from kdtools.storage.outputs import check_output

    with _started(run) as (device, provenance), open_faces(run.faces_path) as faces:
        from kdtools.training.cross_fitting import fold_output, fold_rows, predict_left_out, write_left_out
        from kdtools.training.distributed import is_first, wait_for_all

        faces.require("image", "landmarks")
        folds = list(fold_rows(faces, n_folds, run.settings.seed))
        models = [fold_output(Path(run.output), number, n_folds) for number in range(1, n_folds + 1)]
        check_no_input((file for model in models for file in _written_by(str(model))), run.roles.values())
        finished = [run.resume and _is_finished(str(model), run, provenance) for model in models]
        if run.resume and Path(run.output).exists() and not run.force:
            hint = "start again with -f and without --resume, or name another output"
            require(
                all(finished), f"{run.output} is there already, but not the {n_folds} teachers of this training", hint
            )
            session.say(f"{run.output} is there already")
            return
        check_output(run.output, run.force)
        for model, is_finished in zip(models, finished, strict=True):
            require(
                is_finished or run.force or not model.exists(),
                f"{model} is there already, of a run before",
                "go on with --resume, or start again with -f",
            )
        for number, (model, (rows, _)) in enumerate(zip(models, folds, strict=True)):
            session.say(f"fold {number + 1} of {n_folds}: {model.name}{' is finished' if finished[number] else ''}")
            if not finished[number]:
                log_dir = run.log_dir and str(Path(run.log_dir) / model.stem)
                _train_to(replace(run, log_dir=log_dir), model.resolve(), str(model), device, provenance, rows)
        left_out = [rest for _, rest in folds]
        with session.progress("predicting", len(faces)) as progress:
            points = predict_left_out(
                faces, models, left_out, device=device, batch=run.settings.batch, progress=progress
            )
        if is_first():
            write_left_out(faces, points, faces.scheme, run.output, run.force, provenance)
        wait_for_all()
        session.say(f"{run.output} holds a prediction for each of {len(faces)} faces")


@contextlib.contextmanager
def _started(run: TrainingRun) -> Iterator[tuple[Any, Provenance]]:
    """The torch.device of this process, joined with the others, and what will be recorded."""
    signal.signal(signal.SIGUSR1, lambda number, frame: _raise(Terminated()))
    files = [path for path in run.roles.values() if path != "-"]
    if run.output != "-":
        check_no_input(_written_by(run.output), files)
    provenance = replace(session.provenance(*files), roles=run.roles)
    from kdtools.model.network import choose_device
    from kdtools.training.distributed import is_first, joined_processes, started_by_torchrun

    alone = not started_by_torchrun()
    require(alone or len(files) == len(run.roles), "several processes cannot share standard input", "name a file")
    with joined_processes(choose_device(run.device_name)) as device:
        if not is_first():
            session.verbosity = min(session.verbosity, -1)
        yield device, provenance


def _written_by(output: str) -> list[str]:
    """Files that a training to `output` puts in place of others."""
    from kdtools.training.checkpoints import RunFiles

    beside = RunFiles.beside(Path(output))
    return [output, str(beside.last), str(beside.best)]


@contextlib.contextmanager
def _place_of(output: str) -> Iterator[Path]:
    """Where the training's files lie: beside the output, or in a temporary folder where that is standard output."""
    if output != "-":
        yield Path(output).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "model"


def _train_to(
    run: TrainingRun,
    place: Path,
    output: str,
    device: Any,
    provenance: Provenance,
    rows: np.ndarray | None = None,
) -> None:
    """Train on `rows` of the faces (None: all), with its files beside `place`; then put the best network in place."""
    from kdtools.reporting import silent
    from kdtools.storage.outputs import check_output, claimed, move_into_place
    from kdtools.training.checkpoints import RunFiles, check_nothing_to_lose
    from kdtools.training.distributed import is_first, wait_for_all
    from kdtools.training.log import open_events
    from kdtools.training.task import load_task
    from kdtools.training.trainer import Stopped, count_steps, train

    files = RunFiles.beside(place)
    with contextlib.ExitStack() as stack:
        if is_first():
            stack.enter_context(claimed(output, place))
            check_output(output, run.force)  # again: another process may just have finished it
        if not (run.resume or run.force):
            check_nothing_to_lose(files.last)
        task = stack.enter_context(
            load_task(
                run.faces_path,
                run.val_path,
                run.landmarks_path,
                run.teachers,
                rows=rows,
                val_share=run.settings.val_share,
                seed=run.settings.seed,
                device=device,
                say=session.say,
                warn=session.warn if is_first() else silent,
            )
        )
        write_events = stack.enter_context(open_events(run.log_dir if is_first() else None))
        stop = stack.enter_context(_stop_signals())
        draw_step, draw_epoch = stack.enter_context(training_progress(count_steps(task, run.settings)))

        def end_epoch(epoch: Epoch) -> None:
            write_events(epoch)
            draw_epoch(epoch)
            _say_epoch(epoch)

        try:
            best = train(
                task,
                run.settings,
                files,
                device=device,
                provenance=provenance,
                resume=run.resume,
                say=session.say,
                on_epoch=end_epoch,
                on_step=draw_step,
                stop_asked=stop.asked,
            )
        except Stopped:
            if output != "-":
                session.say(f"{files.last.name} holds all steps so far; the same command with --resume goes on")
            raise stop.cause() from None
        if is_first():
            move_into_place(files.best, output, run.force)
        wait_for_all()
    session.say(f"validation NME {best:.2f} %")


def _is_finished(output: str, run: TrainingRun, provenance: Provenance) -> bool:
    """Whether the output of just this training is there.

    Raises UsageError where it is that of another one, unless --force allows to replace it.
    """
    if not Path(output).exists():
        return False
    from dataclasses import asdict

    from kdtools.model.card import read_card

    try:
        card, fields = read_card(output)
    except KdError:
        if run.force:
            return False
        raise
    wanted = {name: value for name, value in asdict(run.settings).items() if name not in CARRIED_OUT}
    different = [name for name, value in wanted.items() if card.settings.get(name) != value]
    if json.loads(fields["inputs"]) != provenance.inputs or json.loads(fields.get("roles", "{}")) != provenance.roles:
        different.append("inputs")
    require(
        run.force or not different,
        f"{output} is there already, of a training with other {', '.join(different)}",
        "start again with -f and without --resume, or name another output",
    )
    return not different


def _raise(error: BaseException) -> None:
    raise error


class _Stop:
    """Whether a signal asked the training to stop, and which exception ends the tool then."""

    def __init__(self) -> None:
        self._cause: type[BaseException] | None = None

    def asked(self) -> bool:
        return self._cause is not None

    def cause(self) -> BaseException:
        return (self._cause or Terminated)()

    def receive(self, number: int, frame: object) -> None:
        cause = Interrupted if number == signal.SIGINT else Terminated
        if self._cause is None:
            self._cause = cause
        elif number == signal.SIGINT:
            raise cause  # Ctrl-C twice: at once, with the checkpoint as it lies there
        # A second SIGTERM changes nothing: schedulers send it to a script and its tools, and the script passes it on.


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Ctrl-C, SIGTERM and SIGUSR1 (a scheduler's warning) let the step end and a checkpoint be written."""
    stop = _Stop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, stop.receive) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_epoch(epoch: Epoch) -> None:
    terms = ", ".join(f"{name} {value:.4g}" for name, value in epoch.terms.items())
    session.say(
        f"epoch {epoch.epoch}/{epoch.epochs}: {terms}; validation NME {epoch.val_nme_percent:.2f} % "
        f"({epoch.normaliser}){' *' if epoch.best else ''}; {epoch.images_per_second:.0f} images/s"
    )
