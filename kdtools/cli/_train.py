"""What kd-teacher and kd-student share: checks, the run, its report and its output."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kdtools.cli._app import require, session

if TYPE_CHECKING:
    from kdtools.files import Provenance
    from kdtools.training import Epoch, Settings


def train_model(
    settings: Settings,
    faces_path: str,
    val_path: str | None,
    output: str,
    *,
    landmarks_path: str | None = None,
    teachers: dict[str, str] | None = None,
    device_name: str,
    resume: bool,
    force: bool,
) -> None:
    """Train from files to a model file; `teachers` maps a loss term to a predictions file or a model file."""
    check_settings(settings, [faces_path, val_path, landmarks_path, *(teachers or {}).values()])
    from kdtools.files import check_output, move_into_place
    from kdtools.models import choose_device
    from kdtools.tasks import load_task
    from kdtools.training import RunFiles, count_steps, train

    init = None if settings.init in ("none", "imagenet") else settings.init
    provenance = session.provenance(faces_path, val_path, landmarks_path, init, *(teachers or {}).values())
    if resume and _is_finished(output, settings, provenance, force):
        session.say(f"{output} is finished already")
        return
    check_output(output, force)
    device = choose_device(device_name)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model" if output == "-" else Path(output)
        files = RunFiles.beside(place.resolve())
        task = stack.enter_context(
            load_task(
                faces_path,
                val_path,
                landmarks_path,
                teachers or {},
                val_share=settings.val_share,
                seed=settings.seed,
                device=device,
                say=session.say,
            )
        )
        n_steps = count_steps(task, settings)
        progress = stack.enter_context(session.progress("training", settings.epochs * n_steps))
        report = _Report(progress, n_steps)
        best = train(
            task,
            settings,
            files,
            device=device,
            provenance=provenance,
            resume=resume,
            say=session.say,
            on_epoch=report.end_epoch,
            on_step=report.end_step,
        )
        move_into_place(files.best, output, force)
    session.say(f"validation NME {best:.2f} %")


def _is_finished(output: str, settings: Settings, provenance: Provenance, force: bool) -> bool:
    """Whether the output of just this training is there.

    Raises UsageError where it is that of another one, unless `force` allows to replace it.
    """
    if output == "-" or not Path(output).exists():
        return False
    from dataclasses import asdict

    from kdtools.models import read_card

    card, fields = read_card(output)
    different = [name for name, value in asdict(settings).items() if card.settings.get(name) != value]
    if json.loads(fields["inputs"]) != provenance.inputs:
        different.append("inputs")
    require(
        force or not different,
        f"{output} is there already, of a training with other {', '.join(different)}",
        "start again with -f, or name another output",
    )
    return not different


def check_settings(settings: Settings, inputs: list[str | None]) -> None:
    from kdtools.batches import AUGMENTATIONS
    from kdtools.losses import KD_VARIANTS
    from kdtools.training import SCHEDULES

    require(inputs.count("-") <= 1, "only one input can be standard input")
    require(settings.lr > 0 and math.isfinite(settings.lr), f"--lr is {settings.lr}", "give a number above 0")
    require(0 < settings.val_share < 1, f"--val-share is {settings.val_share}", "give a share between 0 and 1")
    for option, value, known in (
        ("--schedule", settings.schedule, SCHEDULES),
        ("--augment", settings.augmentation, AUGMENTATIONS),
        ("--variant", settings.variant, KD_VARIANTS),
    ):
        require(value in known, f"{option} is {value!r}", f"give one of {', '.join(known)}")


class _Report:
    """One line per epoch on standard error, and a bar over its steps on a terminal."""

    def __init__(self, progress: Callable[[int], None], n_steps: int) -> None:
        self._progress, self._n_steps, self._done = progress, n_steps, 0

    def end_step(self, step: int) -> None:
        self._done += 1
        self._progress(self._done)

    def end_epoch(self, epoch: Epoch) -> None:
        self._done = epoch.epoch * self._n_steps
        self._progress(self._done)
        terms = ", ".join(f"{name} {value:.4g}" for name, value in epoch.terms.items())
        session.say(
            f"epoch {epoch.epoch}/{epoch.epochs}: {terms}; validation NME {epoch.val_nme_percent:.2f} % "
            f"({epoch.normaliser}){' *' if epoch.best else ''}; {epoch.images_per_second:.0f} images/s"
        )
