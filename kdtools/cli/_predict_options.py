"""The options of kd-predict."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kdtools.bundled import bundled_in_words
from kdtools.cli._options import ConventionName

Convention = ConventionName
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help=f"{bundled_in_words().capitalize()}, model file, or exported model (.onnx)."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="One faces file; or images, folders, tar files, videos, a camera number. - is standard input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Output file: .csv, .tsv and .jsonl are text; .h5 and - (standard output) are a "
        "faces file. Without -o: a table on a terminal, else CSV.",
    ),
]
Listed = Annotated[
    bool, typer.Option("--list", help="Each INPUT is a list of images, one per line or separated by \\0.")
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="GLOB", help="In folders and tar files, read only matching paths instead of all images."
    ),
]
MaxFaces = Annotated[
    int | None, typer.Option("--max-faces", metavar="N", min=1, help="Only the N largest faces of each image.")
]
RequireFace = Annotated[
    bool,
    typer.Option(
        "--require-face", help="Skip photographs without a face, like unreadable ones: the exit status is then 4."
    ),
]
Refine = Annotated[
    int | None,
    typer.Option(
        "--refine",
        metavar="N",
        min=0,
        max=10,
        help="In images: crop again N times around the predicted points. Default: 1, with --detector whole 0.",
    ),
]
Flip = Annotated[
    bool, typer.Option("--flip", help="Average over each face and its mirror image: lower error, half the speed.")
]
Smooth = Annotated[
    bool, typer.Option("--smooth", help="In videos: smooth the points of each face over time to reduce jitter.")
]
Draw = Annotated[
    str | None,
    typer.Option("--draw", metavar="DIR", help="Draw the landmarks: write every image with faces, or video, to DIR."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/N", help="Process the K-th of N parts of the inputs; kd-merge joins them."),
]
Bench = Annotated[bool, typer.Option("--bench", help="Print the time spent in each stage.")]
Backend = Annotated[
    Literal["auto", "torch", "onnx"],
    typer.Option("--backend", help="Runtime of the network; auto uses ONNX Runtime on a CPU."),
]
