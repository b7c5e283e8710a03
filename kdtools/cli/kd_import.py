"""kd-import: annotated data sets -> faces file."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli._app import require, run, session
from kdtools.cli._options import Force, Jobs, Margin, Output, Quiet, Size, Verbose, Version


def kd_import(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Folders or files to read.")],
    output: Output,
    format_name: Annotated[str, typer.Option("--format", metavar="NAME", help="auto, pts, csv or images.")] = "auto",
    base: Annotated[
        int | None,
        typer.Option(
            min=0, max=1, metavar="0|1", help="Coordinate of the first pixel's centre; else the format's own."
        ),
    ] = None,
    size: Size = 256,
    margin: Margin = 0.2,
    subset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=GLOB", help="Put faces whose id matches GLOB in a subset. Can be repeated."),
    ] = None,
    jobs: Jobs = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Read annotated images and write one faces file: square crops and their landmarks.

    pts: image and .pts file side by side, as 300W comes (1-based). csv: image name, x0, y0, x1, y1, ... with or without
    a header (0-based). images: a folder without annotation; each image is one face, padded to a square.
    What cannot be used is named and skipped; the exit status is then 4.
    """
    require("-" not in sources, "images cannot be read from standard input", "name a folder or a .csv file")
    from kdtools.files import check_output, create_faces
    from kdtools.geometry import CropRule
    from kdtools.importing import import_faces, parse_subsets, read_annotations

    check_output(output, force)
    subsets = parse_subsets(subset or [])
    annotations = read_annotations(
        sources, format_name, base, session.skip, lambda source, form: session.say(f"{source}: read as {form}")
    )
    provenance = session.provenance(*sources)
    with (
        create_faces(output, force, provenance) as writer,
        session.progress("importing", len(annotations)) as progress,
    ):
        n_faces = import_faces(
            annotations,
            writer,
            crop=CropRule(margin),
            size=size,
            jobs=jobs,
            subsets=subsets,
            skip=session.skip,
            progress=progress,
            warn=session.warn,
        )
    session.say(f"{n_faces} faces, {session.n_skipped} skipped")


def main() -> None:
    run("kd-import", kd_import)
