"""kd-import: annotated data sets -> faces file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import (
    AddSubset,
    Categories,
    ConventionName,
    Convert,
    Detector,
    FacesOutput,
    Force,
    FormatName,
    Formats,
    HelpAll,
    Images,
    Jobs,
    Margin,
    MinScore,
    NoImages,
    Origin,
    Quiet,
    SearchSize,
    Size,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.reporting import counted
from kdtools.storage.outputs import check_no_input, check_output


def kd_import(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Folders or files to read.")],
    output: FacesOutput,
    format_name: FormatName = "auto",
    formats: Formats = False,
    base: Annotated[
        Literal["0", "0.5", "1"] | None,
        typer.Option(help="Coordinate of the centre of the first pixel; by default that of the format."),
    ] = None,
    categories: Categories = None,
    images: Images = None,
    no_images: NoImages = False,
    exif: Annotated[
        Literal["keep", "apply"],
        typer.Option(help="Turn images and points upright by the EXIF orientation, or keep both as stored."),
    ] = "apply",
    size: Size = 256,
    detector: Detector = "auto",
    min_score: MinScore = None,
    search_size: SearchSize = None,
    margin: Margin = 0.2,
    scheme_name: Annotated[
        str | None,
        typer.Option(
            "--scheme", metavar="NAME|FILE", help="Scheme of the points; by default determined by their number."
        ),
    ] = None,
    convert: Convert = None,
    role: Annotated[
        Literal["auto", "hard", "soft", "predicted"],
        typer.Option(help="Role of the points; auto is predicted for formats that only programs write, else hard."),
    ] = "auto",
    convention: ConventionName = None,
    origin: Origin = None,
    terms: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Terms of use of the data set, in its owner's words."),
    ] = None,
    add_subset: AddSubset = None,
    jobs: Jobs = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    help_all: HelpAll = False,
) -> None:
    """Read annotated images and write one faces file: square crops and their landmarks.

    The format is recognised from SOURCE and reported; --formats lists all. Unusable entries are named and skipped,
    and the exit status is then 4. Crops are squares around the boxes of --detector; auto uses the points, or the
    whole image if there are none.
    """
    require("-" not in sources, "images cannot be read from standard input", "name a folder or a file")
    check_no_input([output], filter(os.path.isfile, sources))
    require(not (no_images and detector != "auto"), "--no-images makes no crops, so --detector has nothing to do")
    require(not (no_images and min_score is not None), "--no-images makes no crops, so --min-score has nothing to do")
    require(not (no_images and search_size), "--no-images makes no crops, so --search-size has nothing to do")
    require(not (no_images and exif == "keep"), "--no-images reads no images, so --exif has nothing to do")
    from kdtools.datasets.annotations import (
        Sources,
        mirror_of_points,
        names_of_points,
        read_annotations,
        role_of_points,
        scheme_of_points,
    )
    from kdtools.datasets.crop_boxes import choose_boxes
    from kdtools.datasets.import_faces import import_faces, import_points
    from kdtools.datasets.lineage import lineage_of_sources
    from kdtools.datasets.point_scheme import settle_scheme
    from kdtools.faces.selection import parse_subsets
    from kdtools.faces.writer import create_faces
    from kdtools.landmarks import scheme_named
    from kdtools.landmarks.conventions import stated_convention

    check_output(output, force)
    stated = stated_convention(convention, origin)
    subsets = parse_subsets("--add-subset", add_subset or [])
    declared, target = (scheme_named(name) if name else None for name in (scheme_name, convert))
    wanted = Sources(
        sources,
        format_name,
        None if base is None else float(base),
        images or [],
        not no_images,
        upright=exif == "apply",
        categories=categories or [],
    )
    annotations = read_annotations(wanted, session)
    annotations, scheme = settle_scheme(
        annotations,
        declared or scheme_of_points(wanted),
        target,
        names_of_points(wanted),
        session,
        mirror_of_points(wanted),
    )
    role_of = role_of_points(wanted, session) if role == "auto" and scheme else role
    files = [name for name in (detector, scheme_name, convert) if name and Path(name).is_file()]
    provenance = session.provenance(*sources, *files).with_lineage(lineage_of_sources(sources, terms))
    require(stated is None or scheme is not None, "--convention is that of points, and the input has none")
    crop = None
    if not no_images:
        annotations, crop, record = choose_boxes(
            annotations,
            detector,
            margin,
            min_score=min_score,
            search_size=search_size,
            jobs=jobs,
            reporter=session,
        )
        provenance = replace(provenance, detector=record)
    about: dict[str, Any] = {"scheme": scheme, "role": role_of, "subsets": subsets, "reporter": session}
    with create_faces(output, force, provenance) as writer:
        if no_images:
            n_faces = import_points(annotations, writer, **about)
        else:
            n_faces = import_faces(annotations, writer, crop=crop, size=size, jobs=jobs, **about)
        if stated is not None:
            writer.put_conventions([stated], [stated.name] * n_faces)
    session.say(f"{counted(n_faces, 'face')}, {session.n_skipped} skipped")


def main() -> None:
    run("kd-import", kd_import)
