"""Options that several tools share, each defined once: the same letter means the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli._app import set_quiet, set_verbose, show_version

Output = Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="File to write; - is standard output.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace an output that exists.")]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", callback=set_quiet, is_eager=True, help="Say nothing but warnings and errors.")
]
Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", callback=set_verbose, is_eager=True, help="With an error, print its traceback."),
]
Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and stop.")
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", metavar="N", min=0, help="Workers; 0 is one for each core.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file.")]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N. auto takes a GPU where there is one."),
]
Size = Annotated[int, typer.Option("--size", metavar="PX", min=16, max=4096, help="Side of the square images.")]
Margin = Annotated[
    float,
    typer.Option(
        "--margin",
        metavar="SHARE",
        min=0.0,
        max=2.0,
        help="Room on each side of the points, as a share of the longer side of their box.",
    ),
]
Faces = Annotated[str, typer.Argument(metavar="FACES", help="Faces file; - is standard input.")]


# ---- of the two training tools
def _let_rest_be_absent(ctx: typer.Context, wanted: bool) -> bool:
    """With --show-settings nothing else is needed. Eager options are read first, before absent ones are missed."""
    if wanted:
        for parameter in ctx.command.params:
            parameter.required = False
    return wanted


TrainFaces = Annotated[str, typer.Argument(metavar="FACES", help="Faces file with images and hard landmarks.")]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Settings to start from: default, paper or best. The options below override it.",
    ),
]
ShowSettings = Annotated[
    bool,
    typer.Option(
        "--show-settings",
        callback=_let_rest_be_absent,
        is_eager=True,
        help="Print all settings, one per line, and stop.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any line of --show-settings; may be given several times."),
]
Arch = Annotated[str | None, typer.Option("--arch", metavar="NAME", help="Any timm network by its name.")]
InputSize = Annotated[
    int | None, typer.Option("--input-size", metavar="PX", min=16, max=1024, help="Side of its input.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", min=1, help="Passes over the faces.")]
TrainBatch = Annotated[
    int | None, typer.Option("--batch", metavar="N", min=2, help="Faces per step, of all processes together.")
]
LearningRate = Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate.")]
Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule", metavar="NAME", help="Of the learning rate: cosine, time (the paper's slow decay) or constant."
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        "--augment",
        metavar="NAME",
        help="none, light, mild (turn, scale, shift, flip, colour), strong (also blur, occlusion) or paper.",
    ),
]
Init = Annotated[
    str | None,
    typer.Option("--init", metavar="none|imagenet|FILE", help="Start weights: random, timm's, or a .safetensors file."),
]
Val = Annotated[str | None, typer.Option("--val", metavar="FILE", help="Faces file to validate with.")]
ValShare = Annotated[
    float | None,
    typer.Option(
        "--val-share",
        metavar="SHARE",
        help="Without --val, share of FACES that is kept apart; ids such as ann_01, ann_02 stay together.",
    ),
]
Amp = Annotated[
    str | None,
    typer.Option(
        "--amp", metavar="NAME", help="off, bf16 (mixed precision) or auto: on a GPU the faster one, measured."
    ),
]
LogDir = Annotated[
    str | None, typer.Option("--log-dir", metavar="DIR", help="Write TensorBoard events into this folder as well.")
]
TrainSeed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the last checkpoint beside FILE; start if there is none.")
]
