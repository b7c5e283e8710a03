"""Options shared by the two training tools."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.bundled import bundled_in_words
from kdtools.training import settings


def _require_nothing_else(ctx: typer.Context, is_set: bool) -> bool:
    """Make all parameters optional. Eager options are processed before missing parameters are reported."""
    if is_set:
        for parameter in ctx.command.params:
            parameter.required = False
    return is_set


TrainFaces = Annotated[str, typer.Argument(metavar="FACES", help="Faces file with images and hard landmarks.")]
_PRESET = typer.Option("--preset", help="Base settings, which other options override.")
Preset = Annotated[settings.PresetName, _PRESET]
TeacherPreset = Annotated[settings.TeacherPresetName, _PRESET]
ShowSettings = Annotated[
    bool,
    typer.Option(
        "--show-settings",
        callback=_require_nothing_else,
        is_eager=True,
        help="Print all settings, one per line, and exit.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override any setting listed by --show-settings."),
]
Arch = Annotated[str | None, typer.Option("--arch", metavar="NAME", help="Name of any timm network.")]
InputSize = Annotated[
    int | None,
    typer.Option("--input-size", metavar="PX", min=16, max=1024, help="Side of the network's input."),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", min=1, help="Number of passes over the faces."),
]
LearningRate = Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate.")]
Schedule = Annotated[
    settings.Schedule | None,
    typer.Option("--schedule", help="Learning-rate schedule; time is the paper's slow decay."),
]
Augment = Annotated[
    settings.Augmentation | None,
    typer.Option(
        "--augment",
        help="Augmentation. mild rotates, scales, shifts, flips and changes colours; strong also blurs and occludes.",
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="none|imagenet|FILE",
        help=f"Start weights: random, timm's ImageNet weights, a .safetensors file or a {bundled_in_words()}.",
    ),
]
Val = Annotated[str | None, typer.Option("--val", metavar="FILE", help="Faces file for validation.")]
ValShare = Annotated[
    float | None,
    typer.Option(
        "--val-share",
        metavar="SHARE",
        help="Without --val, the fraction of FACES used for validation; ids such as ann_01, ann_02 stay together.",
    ),
]
Amp = Annotated[
    settings.Amp | None,
    typer.Option("--amp", help="bf16 is mixed precision; auto uses it on a GPU that supports it."),
]
LogDir = Annotated[
    str | None, typer.Option("--log-dir", metavar="DIR", help="Also write TensorBoard events to this folder.")
]
TrainSeed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file."),
]
