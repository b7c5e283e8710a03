"""kd-student: train the student with KD-Loss, or with a plain loss to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdtools.cli import _training_options as opt
from kdtools.cli._app import run
from kdtools.cli._options import (
    Batch,
    ConventionName,
    Device,
    Force,
    HelpAll,
    ModelOutput,
    Quiet,
    Resume,
    Verbose,
    Version,
)
from kdtools.errors import FileError, require, require_packages
from kdtools.training.settings import MAIN_LOSSES, Loss, Settings, Variant, resolve_student_settings, settings_table

_NO_TEACHER = "a student learns from labels alone, or from teachers too; this command does not say which"


def kd_student(
    faces_path: opt.TrainFaces,
    output: ModelOutput,
    tough: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tough teacher: its predictions for FACES, or its model.")
    ] = None,
    tolerant: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tolerant teacher: its predictions for FACES, or its model.")
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="More faces to train on; the Tough teacher supplies their points."),
    ] = None,
    preset: opt.Preset = "default",
    show_settings: opt.ShowSettings = False,
    assignments: opt.Set = None,
    loss: Annotated[
        Loss | None,
        typer.Option(help="Loss on the points."),
    ] = None,
    variant: Annotated[
        Variant | None,
        typer.Option(
            help="Constants of kd and +assist: reference is the published code, figure the paper's figures.",
        ),
    ] = None,
    arch: opt.Arch = None,
    input_size: opt.InputSize = None,
    epochs: opt.Epochs = None,
    batch: Batch = None,
    lr: opt.LearningRate = None,
    schedule: opt.Schedule = None,
    augmentation: opt.Augment = None,
    init: opt.Init = None,
    convention: ConventionName = None,
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
    help_all: HelpAll = False,
) -> None:
    """Train a student on the hard landmarks of FACES, with two teachers (KD-Loss, arXiv 2111.07047), one or none.

    A teacher given as predictions (written once by kd-predict) costs nothing in training: its points move with the
    augmented faces. A teacher given as a model runs on every augmented batch, as in the paper.

    --loss kd is the paper's, with both teachers; l2, l1, wing and smooth need none. With one or two teachers,
    +assist adds the paper's assistive terms to one of these, and +mimic the same loss to the teachers' points.

    Faces of --unlabelled need no points: Tough's prediction replaces their labels, with any loss. The settings
    unlabelled_share, w_unlabelled, trust and trust_scale determine their weight; with unlabelled_share=1 only these
    faces are learnt, and FACES serve for validation.

    FILE is the network of the epoch with the lowest validation NME. NAME.last.safetensors (for --resume) and
    NAME.log.jsonl (one line per epoch) are written next to it.
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
    teachers = {name: path for name, path in (("tough", tough), ("tolerant", tolerant)) if path is not None}
    settings = resolve_student_settings(
        preset, options, assignments or (), teachers=teachers, unlabelled=unlabelled is not None
    )
    if show_settings:
        print(settings_table(settings), end="")
        return
    if Path(faces_path).is_dir():  # which is what to say first, not that teachers are lacking
        from kdtools.faces.validation import FOLDER_HINT

        raise FileError(f"{faces_path}: is a folder, not a faces file", FOLDER_HINT)
    _check_teachers(settings, teachers, variant, unlabelled, faces_path, output)
    require_packages("torch", "timm")
    from kdtools.cli._train import check_start_weights, check_validation, run_training

    check_validation(val, val_share)
    check_start_weights(settings, faces_path, resume)
    from kdtools.training.run import TrainingRun

    run_training(
        TrainingRun(
            settings,
            faces_path,
            output,
            val,
            device,
            resume,
            force,
            teachers=teachers,
            log_dir=log_dir,
            unlabelled_path=unlabelled,
        )
    )


def _check_teachers(
    settings: Settings,
    teachers: dict[str, str],
    variant: str | None,
    unlabelled: str | None,
    faces_path: str,
    output: str,
) -> None:
    """Raises UsageError if a loss lacks its teachers, or an option would have no effect."""
    loss = settings.loss
    if loss in MAIN_LOSSES:
        used = () if unlabelled is None else ("tough", "tolerant") if settings.trust == "agreement" else ("tough",)
        useless = [f"--{name}" for name in teachers if name not in used] + ["--variant"] * (variant is not None)
        hint = f"leave out what a teacher is for, or give --loss {loss}+{'mimic' if variant is None else 'assist'}"
        require(not useless, f"--loss {loss} has no use for {' and '.join(useless)}", hint)
    elif loss == "kd":
        two_ways = (
            f"labels alone: kd-student {faces_path} --preset best -o {output}; a teacher: kd-teacher {faces_path} "
            f"-o tough.safetensors, then kd-student {faces_path} --tough tough.safetensors --preset best -o {output}"
        )
        require(bool(teachers), _NO_TEACHER, two_ways)
        hint = "name it, or give another loss: --preset best needs one teacher or none"
        for name in ("tough", "tolerant"):
            require(name in teachers, f"KD-Loss needs --{name}", hint)
    else:
        require(bool(teachers), f"--loss {loss} needs a teacher", "give --tough, --tolerant or both")
        no_use = variant is not None and loss.endswith("+mimic")
        require(not no_use, f"--loss {loss} has no use for --variant", "leave it out")


def main() -> None:
    run("kd-student", kd_student)
