"""The options of kd-predict."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kdtools.cli._options import ConventionName

Convention = ConventionName
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Bundled network (face68), model file, or what kd-export made of it.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="One faces file; or images, folders, tar files, videos, the number of a camera. - is standard input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="File to write: .csv, .tsv or .jsonl is text, .h5 a faces file, and so is - on standard output. "
        "Without -o, a table on a terminal, else CSV.",
    ),
]
Listed = Annotated[bool, typer.Option("--list", help="Each INPUT is a list of images, one a line or separated by \\0.")]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="In folders and tar files, only paths that match, not all images."),
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
        help="In images: crop again N times around the points; by default 1, with whole 0.",
    ),
]
Flip = Annotated[
    bool, typer.Option("--flip", help="Average over each face and its mirror image: lower error, half the speed.")
]
Smooth = Annotated[
    bool, typer.Option("--smooth", help="In videos: smooth the points of a face over time, so that they do not jitter.")
]
Draw = Annotated[
    str | None,
    typer.Option("--draw", metavar="DIR", help="Draw the landmarks: write each image with faces, or video, into DIR."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/N", help="Process the K-th of N parts of the inputs; kd-merge joins them."),
]
Bench = Annotated[bool, typer.Option("--bench", help="Print the time spent in each stage.")]
Backend = Annotated[
    Literal["auto", "torch", "onnx"],
    typer.Option("--backend", help="What runs the network; auto takes ONNX Runtime on a CPU."),
]
