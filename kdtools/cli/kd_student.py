"""kd-student: train the student with KD-Loss, or with a plain loss to compare."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli import _options as opt
from kdtools.cli._app import run
from kdtools.errors import require
from kdtools.training.settings import MAIN_LOSSES, resolve_settings, settings_table


def kd_student(
    faces_path: opt.TrainFaces,
    output: opt.Output,
    tough: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tough teacher: its predictions for FACES, or its model.")
    ] = None,
    tolerant: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tolerant teacher: its predictions for FACES, or its model.")
    ] = None,
    preset: opt.Preset = "default",
    show_settings: opt.ShowSettings = False,
    assignments: opt.Set = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="kd (the paper's, with both teachers); l2, l1, wing or smooth (no teacher); or one of these with a "
            "teacher or two: l1+assist (the paper's assistive terms) or l1+mimic (the same loss to their points).",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Constants of kd and +assist: reference (published code) or figure."),
    ] = None,
    arch: opt.Arch = None,
    input_size: opt.InputSize = None,
    epochs: opt.Epochs = None,
    batch: opt.TrainBatch = None,
    lr: opt.LearningRate = None,
    schedule: opt.Schedule = None,
    augmentation: opt.Augment = None,
    init: opt.Init = None,
    val: opt.Val = None,
    val_share: opt.ValShare = None,
    amp: opt.Amp = None,
    log_dir: opt.LogDir = None,
    seed: opt.TrainSeed = None,
    device: opt.Device = "auto",
    resume: opt.Resume = False,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    version: opt.Version = False,
) -> None:
    """Train a student on the hard landmarks of FACES with the help of two teachers (KD-Loss, arXiv 2111.07047).

    A teacher given as predictions (written once by kd-predict) costs nothing in training: its points move with the
    augmented faces. One given as a model is run on every augmented batch, as in the paper.
    FILE is the network of the epoch with the lowest validation NME. Beside it stay NAME.last.safetensors (for
    --resume) and NAME.log.jsonl (one line per epoch).
    """
    # Options that are settings have their names.
    settings = resolve_settings("kd-student", preset, locals(), assignments or ())
    if show_settings:
        print(settings_table(settings), end="")
        return
    teachers = {name: path for name, path in (("tough", tough), ("tolerant", tolerant)) if path is not None}
    _check_teachers(settings.loss, teachers, variant)
    from kdtools.cli._train import TrainingRun, check_validation, train_model

    check_validation(val, val_share)
    train_model(
        TrainingRun(settings, faces_path, val, output, device, resume, force, teachers=teachers, log_dir=log_dir)
    )


def _check_teachers(loss: str, teachers: dict[str, str], variant: str | None) -> None:
    """Raises UsageError where a loss lacks its teachers, or where what was given would do nothing."""
    if loss in MAIN_LOSSES:
        useless = [f"--{name}" for name in teachers] + ["--variant"] * (variant is not None)
        hint = f"leave out what a teacher is for, or give --loss {loss}+{'mimic' if variant is None else 'assist'}"
        require(not useless, f"--loss {loss} has no use for {' and '.join(useless)}", hint)
    elif loss == "kd":
        for name in ("tough", "tolerant"):
            require(name in teachers, f"KD-Loss needs --{name}", "name a teacher, or train without: --loss l1")
    else:
        require(bool(teachers), f"--loss {loss} needs a teacher", "give --tough, --tolerant or both")
        no_use = variant is not None and loss.endswith("+mimic")
        require(not no_use, f"--loss {loss} has no use for --variant", "leave it out")


def main() -> None:
    run("kd-student", kd_student)
