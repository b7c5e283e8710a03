"""kd-student: train the student with KD-Loss, or with a plain loss to compare."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli import _options as opt
from kdtools.cli._app import require, run


def kd_student(
    faces_path: opt.TrainFaces,
    output: opt.Output,
    tough: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tough teacher: its predictions for FACES, or its model.")
    ] = None,
    tolerant: Annotated[
        str | None, typer.Option(metavar="FILE", help="Tolerant teacher: its predictions for FACES, or its model.")
    ] = None,
    loss: Annotated[str, typer.Option(metavar="NAME", help="kd, or without teachers l2, l1 or wing.")] = "kd",
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Constants of KD-Loss: reference (published code, the default) or figure."),
    ] = None,
    arch: opt.Arch = "mobilenetv2_100",
    input_size: opt.InputSize = 224,
    epochs: opt.Epochs = 150,
    batch: opt.Batch = 32,
    lr: opt.LearningRate = 1e-3,
    schedule: opt.Schedule = "cosine",
    augment: opt.Augment = "mild",
    init: opt.Init = "none",
    val: opt.Val = None,
    val_share: opt.ValShare = 0.1,
    seed: opt.Seed = 0,
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
    OUTPUT is the network of the epoch with the lowest validation NME. Beside it stay NAME.last.safetensors (for
    --resume) and NAME.log.jsonl (one line per epoch).
    """
    require(loss in ("kd", "l2", "l1", "wing"), f"--loss is {loss!r}", "give kd, l2, l1 or wing")
    teachers = {"tough": tough, "tolerant": tolerant} if loss == "kd" else {}
    for name, path in teachers.items():
        require(path is not None, f"KD-Loss needs --{name}", "name a teacher, or train without: --loss l1")
    require(
        loss == "kd" or (tough or tolerant or variant) is None,
        f"--loss {loss} has no use for --tough, --tolerant and --variant",
        "leave them out",
    )
    from kdtools.cli._train import train_model
    from kdtools.training import Settings

    settings = Settings(
        arch=arch,
        input_size=input_size,
        loss=loss,
        variant=variant or "reference",
        epochs=epochs,
        batch=batch,
        lr=lr,
        schedule=schedule,
        augmentation=augment,
        init=init,
        seed=seed,
        val_share=val_share,
    )
    train_model(
        settings,
        faces_path,
        val,
        output,
        teachers={name: path for name, path in teachers.items() if path is not None},
        device_name=device,
        resume=resume,
        force=force,
    )


def main() -> None:
    run("kd-student", kd_student)
