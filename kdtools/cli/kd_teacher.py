"""kd-teacher: train a Tough (hard landmarks) or Tolerant (Soft-landmarks) teacher."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli import _training_options as opt
from kdtools.cli._app import run
from kdtools.cli._options import (
    Batch,
    ConventionName,
    Device,
    Folds,
    Force,
    HelpAll,
    Output,
    Quiet,
    Resume,
    Verbose,
    Version,
)
from kdtools.errors import require, require_packages
from kdtools.storage.file_kinds import check_faces_name, check_model_name
from kdtools.training.settings import MAIN_LOSSES, MainLoss, resolve_settings, settings_table


def kd_teacher(
    faces_path: opt.TrainFaces,
    output: Output,
    landmarks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Learn the landmarks in FILE, joined by id, such as Soft-landmarks from kd-asm."
        ),
    ] = None,
    folds: Folds = None,
    preset: opt.TeacherPreset = "default",
    show_settings: opt.ShowSettings = False,
    assignments: opt.Set = None,
    arch: opt.Arch = None,
    input_size: opt.InputSize = None,
    loss: Annotated[MainLoss | None, typer.Option(help="Loss on the points.")] = None,
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
    """Train a teacher: Tough on the hard landmarks of FACES, Tolerant on the Soft-landmarks of --landmarks.

    FILE is the network of the epoch with the lowest validation NME. NAME.last.safetensors (for --resume) and
    NAME.log.jsonl (one line per epoch) are written next to it. When training on Soft-landmarks, the NME is measured
    against them.

    A teacher is nearly exact on its own training faces, and teaches a student nothing new there. With --folds, K
    teachers are trained, each without one fold, and FILE is a faces file for kd-student: each face has the
    prediction of the teacher that has not seen this person.
    """
    options = {
        "arch": arch,
        "input_size": input_size,
        "loss": loss,
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
    settings = resolve_settings("kd-teacher", preset, options, assignments or ())
    plain = settings.loss in MAIN_LOSSES
    require(plain, f"--loss is {settings.loss!r}", f"give one of {', '.join(MAIN_LOSSES)}")
    if show_settings:
        print(settings_table(settings), end="")
        return
    require_packages("torch", "timm")
    (check_model_name if folds is None else check_faces_name)(output)
    from kdtools.cli._train import check_start_weights, check_validation, run_training

    check_validation(val, val_share)
    check_start_weights(settings, faces_path, resume)
    from kdtools.training.run import TrainingRun

    run_training(
        TrainingRun(
            settings, faces_path, output, val, device, resume, force, landmarks_path=landmarks, log_dir=log_dir
        ),
        folds,
    )


def main() -> None:
    run("kd-teacher", kd_teacher)
