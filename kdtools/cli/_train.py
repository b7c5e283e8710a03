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

from kdtools.cli._app import Interrupted, Terminated, require, session
from kdtools.cli._progress import training_progress
from kdtools.settings import CARRIED_OUT, Settings

if TYPE_CHECKING:
    import numpy as np

    from kdtools.files import Provenance
    from kdtools.training import Epoch


@dataclass(frozen=True)
class Run:
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
    def inputs(self) -> list[str | None]:
        init = None if self.settings.init in ("none", "imagenet") else self.settings.init
        return [self.faces_path, self.val_path, self.landmarks_path, init, *self.teachers.values()]


def train_model(run: Run) -> None:
    """Train from files to a model file."""
    require(run.inputs.count("-") <= 1, "only one input can be standard input")
    with _started(run) as (device, provenance):
        if run.resume and _is_finished(run, provenance):
            session.say(f"{run.output} is finished already")
            return
        from kdtools.files import check_output

        check_output(run.output, run.force)
        with _place_of(run.output) as place:
            _train_to(run, place, run.output, device, provenance)


def cross_fit_teachers(run: Run, n_folds: int) -> None:
    """Train a teacher for each fold on all the others; write what each predicts for the faces it has not seen."""
    require("-" not in (run.output, *run.inputs), "--folds reads and writes files only", "name them")
    from kdtools.files import check_output, open_faces

    check_output(run.output, run.force)
    with _started(run) as (device, provenance), open_faces(run.faces_path) as faces:
        from kdtools.crossfit import fold_output, fold_rows, write_left_out
        from kdtools.distributed import is_first

        faces.require("image", "landmarks")
        models, left_out = [], []
        for number, (rows, rest) in enumerate(fold_rows(faces, n_folds, run.settings.seed), start=1):
            model = fold_output(Path(run.output), number)
            session.say(f"fold {number} of {n_folds}: {model.name}")
            of_fold = replace(run, output=str(model), log_dir=run.log_dir and str(Path(run.log_dir) / model.stem))
            if not (run.resume and _is_finished(of_fold, provenance)):
                check_output(str(model), run.force)
                _train_to(of_fold, model.resolve(), str(model), device, provenance, rows)
            models.append(model)
            left_out.append(rest)
        if not is_first():
            return
        with session.progress("predicting", len(faces)) as progress:
            write_left_out(
                faces,
                models,
                left_out,
                run.output,
                run.force,
                provenance,
                device=device,
                batch=run.settings.batch,
                progress=progress,
            )
    session.say(f"{run.output} holds a prediction for each of {sum(map(len, left_out))} faces")


@contextlib.contextmanager
def _started(run: Run) -> Iterator[tuple[Any, Provenance]]:
    """The torch.device of this process, joined with the others, and what will be recorded."""
    provenance = session.provenance(*run.inputs)
    from kdtools.distributed import is_first, joined_processes
    from kdtools.models import choose_device

    with joined_processes(choose_device(run.device_name)) as device:
        if not is_first():
            session.verbosity = min(session.verbosity, -1)
        yield device, provenance


@contextlib.contextmanager
def _place_of(output: str) -> Iterator[Path]:
    """Where the training's files lie: beside the output, or in a temporary folder where that is standard output."""
    if output != "-":
        yield Path(output).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "model"


def _train_to(
    run: Run,
    place: Path,
    output: str,
    device: Any,
    provenance: Provenance,
    rows: np.ndarray | None = None,
) -> None:
    """Train on `rows` of the faces (None: all), with its files beside `place`; then put the best network in place."""
    from kdtools.checkpoints import RunFiles
    from kdtools.distributed import is_first, wait_for_all
    from kdtools.events import open_events
    from kdtools.files import move_into_place
    from kdtools.tasks import load_task
    from kdtools.training import Stopped, count_steps, train

    files = RunFiles.beside(place)
    with contextlib.ExitStack() as stack:
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
            session.say(f"{files.last.name} holds all steps so far; the same command with --resume goes on")
            raise stop.cause() from None
        if is_first():
            move_into_place(files.best, output, run.force)
        wait_for_all()
    session.say(f"validation NME {best:.2f} %")


def _is_finished(run: Run, provenance: Provenance) -> bool:
    """Whether the output of just this training is there.

    Raises UsageError where it is that of another one, unless --force allows to replace it.
    """
    if run.output == "-" or not Path(run.output).exists():
        return False
    from dataclasses import asdict

    from kdtools.models import read_card

    card, fields = read_card(run.output)
    wanted = {name: value for name, value in asdict(run.settings).items() if name not in CARRIED_OUT}
    different = [name for name, value in wanted.items() if card.settings.get(name) != value]
    if json.loads(fields["inputs"]) != provenance.inputs:
        different.append("inputs")
    require(
        run.force or not different,
        f"{run.output} is there already, of a training with other {', '.join(different)}",
        "start again with -f, or name another output",
    )
    return not different


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
        if self._cause is not None:
            raise cause  # asked twice: at once, with the checkpoint as it lies there
        self._cause = cause


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Ctrl-C, SIGTERM and SIGUSR1 (a scheduler's warning) let the step end and a checkpoint be written."""
    stop = _Stop()
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])]
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
