"""Training from kd-teacher and kd-student: signals, progress and reports."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kdtools.cli._app import session
from kdtools.cli._complete import ARCHS
from kdtools.cli._exit import Interrupted, Terminated
from kdtools.cli._progress import training_progress
from kdtools.errors import require
from kdtools.training.waiting import leave_to_training

if TYPE_CHECKING:
    from kdtools.training.run import TrainingRun
    from kdtools.training.settings import Settings
    from kdtools.training.trainer import Epoch

# PyTorch, which reads them, is not loaded yet.
leave_to_training(os.environ)

_WARNINGS = [signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []  # of a scheduler; Windows has no such signal


def check_validation(val_path: str | None, val_share: float | None) -> None:
    """Raises UsageError if --val-share would have no effect."""
    require(val_path is None or val_share is None, "--val-share has no use together with --val", "leave one out")


def check_start_weights(settings: Settings, faces_path: str, resume: bool) -> None:
    """Raises FileError, before PyTorch is loaded, if a preset's ImageNet weights are neither here nor to be fetched.

    Whether a network of another name exists, and where its weights are, only timm knows.
    """
    if settings.init == "imagenet" and settings.arch in ARCHS and not resume and Path(faces_path).is_file():
        from kdtools.faces.file import open_faces
        from kdtools.model.hub import check_reachable

        with open_faces(faces_path):  # what is wrong with the file comes first
            check_reachable(settings.arch)


def run_training(run: TrainingRun, n_folds: int | None = None) -> None:
    """Train a model or, with `n_folds`, cross-fitted teachers, with reports and handling of signals."""
    from kdtools.training.run import Callbacks, cross_fit_teachers, train_model
    from kdtools.training.trainer import Stopped

    for warning in _WARNINGS:
        signal.signal(warning, lambda number, frame: _raise(Terminated()))
    if os.environ.get("RANK", "0") != "0":  # the first process of torchrun reports
        session.verbosity = min(session.verbosity, -1)
    stop = _Stop()
    with training_progress() as (draw_step, draw_epoch):

        def end_epoch(epoch: Epoch) -> None:
            draw_epoch(epoch)
            _say_epoch(epoch)

        callbacks = Callbacks(draw_step, end_epoch, stop.asked, stop.listening)
        try:
            if n_folds is not None:
                cross_fit_teachers(run, n_folds, session, callbacks, session.provenance())
                return
            result = train_model(run, session, callbacks, session.provenance())
        except Stopped:
            raise stop.cause() from None
    if result.best_nme_percent is not None:
        session.say(f"validation NME {result.best_nme_percent:.2f} %")


def _raise(error: BaseException) -> None:
    raise error


class _Stop:
    """Whether a signal asked the training to stop, and the exception that then ends the tool."""

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
            raise cause  # second Ctrl-C: stop at once, with the last checkpoint
        # A second SIGTERM is ignored: schedulers send it to a script and its tools, and the script forwards it.

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """On Ctrl-C, SIGTERM and SIGUSR1 (a scheduler's warning) the step ends and a checkpoint is written."""
        numbers = (signal.SIGINT, signal.SIGTERM, *_WARNINGS)
        before = {number: signal.signal(number, self.receive) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _say_epoch(epoch: Epoch) -> None:
    terms = ", ".join(f"{name} {value:.4g}" for name, value in epoch.terms.items())
    session.say(
        f"epoch {epoch.epoch}/{epoch.epochs}: {terms}; validation NME {epoch.val_nme_percent:.2f} % "
        f"(mean shape {epoch.mean_shape_nme_percent:.2f} %; {epoch.normaliser}){' *' if epoch.best else ''}; "
        f"{epoch.images_per_second:.0f} images/s"
    )
