"""kd-student: train the student with KD-Loss, or with a plain loss to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdtools.cli import _training_options as opt
from kdtools.cli._app import run
from kdtools.cli._options import Batch, Device, Force, ModelOutput, Quiet, Resume, Verbose, Version
from kdtools.errors import FileError, require, require_packages
from kdtools.training.settings import MAIN_LOSSES, Loss, Variant, resolve_settings, settings_table


def kd_student(
    faces_path: opt.TrainFaces,
    output: ModelOutput,
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
        Loss | None,
        typer.Option(help="Loss of the points."),
    ] = None,
    variant: Annotated[
        Variant | None,
        typer.Option(help="Constants of kd and +assist: reference is the published code, figure the paper's drawings."),
    ] = None,
    arch: opt.Arch = None,
    input_size: opt.InputSize = None,
    epochs: opt.Epochs = None,
    batch: Batch = None,
    lr: opt.LearningRate = None,
    schedule: opt.Schedule = None,
    augmentation: opt.Augment = None,
    init: opt.Init = None,
    convention: opt.Convention = None,
    val: opt.Val = None,
    val_share: opt.ValShare = None,
    amp: opt.Amp = None,
    log_dir: opt.LogDir = None,
    seed: opt.TrainSeed = None,
    device: Device = "auto",
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Train a student on the hard landmarks of FACES with the help of two teachers (KD-Loss, arXiv 2111.07047).

    A teacher given as predictions (written once by kd-predict) costs nothing in training: its points move with the
    augmented faces. One given as a model is run on every augmented batch, as in the paper.

    --loss kd is the paper's, with both teachers; l2, l1, wing and smooth need none. With one or two teachers, +assist
    adds the paper's assistive terms to one of these, and +mimic the same loss to the teachers' points.

    FILE is the network of the epoch with the lowest validation NME. Beside it stay NAME.last.safetensors (for
    --resume) and NAME.log.jsonl (one line per epoch).
    """
    options = {
        "arch": arch,
        "input_size": input_size,
        "loss": loss,
        "variant": variant,
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "schedule": schedule,
        "augmentation": augmentation,
        "init": init,
        "convention": convention,
        "val_share": val_share,
        "amp": amp,
        "seed": seed,
    }
    settings = resolve_settings("kd-student", preset, options, assignments or ())
    if show_settings:
        print(settings_table(settings), end="")
        return
    if Path(faces_path).is_dir():  # which is what to say first, not that teachers are lacking
        from kdtools.faces.validation import FOLDER_HINT

        raise FileError(f"{faces_path}: is a folder, not a faces file", FOLDER_HINT)
    require_packages("torch", "timm")
    teachers = {name: path for name, path in (("tough", tough), ("tolerant", tolerant)) if path is not None}
    _check_teachers(settings.loss, teachers, variant)
    from kdtools.cli._train import check_validation, run_training

    check_validation(val, val_share)
    from kdtools.training.run import TrainingRun

    run_training(
        TrainingRun(settings, faces_path, output, val, device, resume, force, teachers=teachers, log_dir=log_dir)
    )


def _check_teachers(loss: str, teachers: dict[str, str], variant: str | None) -> None:
    """Raises UsageError if a loss lacks its teachers, or an option would have no effect."""
    if loss in MAIN_LOSSES:
        useless = [f"--{name}" for name in teachers] + ["--variant"] * (variant is not None)
        hint = f"leave out what a teacher is for, or give --loss {loss}+{'mimic' if variant is None else 'assist'}"
        require(not useless, f"--loss {loss} has no use for {' and '.join(useless)}", hint)
    elif loss == "kd":
        hint = "without teachers: --loss l1 --preset best; kd-teacher trains teachers"
        require(bool(teachers), "the default loss, KD-Loss, learns from two teachers, and none was named", hint)
        for name in ("tough", "tolerant"):
            require(name in teachers, f"KD-Loss needs --{name}", "name a teacher, or train without: --loss l1")
    else:
        require(bool(teachers), f"--loss {loss} needs a teacher", "give --tough, --tolerant or both")
        no_use = variant is not None and loss.endswith("+mimic")
        require(not no_use, f"--loss {loss} has no use for --variant", "leave it out")


def main() -> None:
    run("kd-student", kd_student)
