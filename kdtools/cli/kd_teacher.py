"""kd-teacher: train a Tough (hard landmarks) or Tolerant (Soft-landmarks) teacher."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli import _options as opt
from kdtools.cli._app import require, run


def kd_teacher(
    faces_path: opt.TrainFaces,
    output: opt.Output,
    landmarks: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Learn the landmarks in FILE, joined by id, such as those of kd-asm."),
    ] = None,
    arch: opt.Arch = "efficientnet_b3",
    input_size: opt.InputSize = 224,
    loss: Annotated[str, typer.Option(metavar="NAME", help="l2, l1 or wing.")] = "l2",
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
    """Train a teacher: Tough on the hard landmarks of FACES, Tolerant on the Soft-landmarks that --landmarks names.

    OUTPUT is the network of the epoch with the lowest validation NME. Beside it stay NAME.last.safetensors (for
    --resume) and NAME.log.jsonl (one line per epoch). Against Soft-landmarks the NME is that to Soft-landmarks.
    """
    require(loss in ("l2", "l1", "wing"), f"--loss is {loss!r}", "give l2, l1 or wing")
    from kdtools.cli._train import train_model
    from kdtools.training import Settings

    settings = Settings(
        arch=arch,
        input_size=input_size,
        loss=loss,
        variant="reference",
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
        landmarks_path=landmarks,
        device_name=device,
        resume=resume,
        force=force,
    )


def main() -> None:
    run("kd-teacher", kd_teacher)
