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
