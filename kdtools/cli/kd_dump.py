"""kd-dump: faces file -> text for awk, spreadsheets and other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import (
    Faces,
    Force,
    FormatName,
    Formats,
    Ids,
    Images,
    Output,
    Quiet,
    SizeOfAligned,
    Subset,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.reporting import counted
from kdtools.storage.outputs import check_no_input


def kd_dump(
    faces_path: Faces,
    format_name: FormatName = "auto",
    formats: Formats = False,
    output: Output = "-",
    subset: Subset = None,
    ids: Ids = None,
    pixels: Annotated[
        Literal["source", "image"] | None,
        typer.Option(help="Coordinates in the source images, or in the file's crops.  [default: source]"),
    ] = None,
    digits: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=9, help="Number of decimals; by default full precision."),
    ] = None,
    no_header: Annotated[bool, typer.Option("--no-header", help="Omit the header of csv and tsv.")] = False,
    details: Annotated[
        bool,
        typer.Option("--details", help="Add box, detector score and mean confidence of each face to csv and tsv."),
    ] = False,
    crops: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Also write the crops to DIR as PNG; points are then in pixels of the crops."),
    ] = None,
    aligned: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Also write the faces to DIR as PNG, aligned by eyes, nose and mouth; --size is 112 by default.",
        ),
    ] = None,
    size: SizeOfAligned = None,
    head_pose: Annotated[
        bool,
        typer.Option("--head-pose", help="Add yaw, pitch and roll in degrees; csv, tsv and jsonl, 68 points."),
    ] = False,
    images: Images = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Write the landmarks of FACES as text, one face per line or per file.

    csv and tsv: id, x0, y0, x1, y1, ...; a missing point is two empty cells. jsonl: one object per line, with
    visibility, boxes and scores. For videos, these and coco also have frame, time and track (tables under their
    header). pts, coco, dlib and wflw: as in these data sets; pts writes one file per face to the folder FILE. cvat,
    labelme and labelstudio: drafts to correct in these programs; labelme writes one file per image, labelstudio
    needs the images for their sizes. auto uses the suffix of FILE, without one csv. Pixels count from the format's
    own first pixel, which is 0 in csv, tsv and jsonl. With --crops, FILE and DIR are a data set that kd-import
    reads. --aligned crops from the images in FACES, or from the photographs if it holds none, or with --pixels source
    or --images; the points in FILE stay as they are.
    """
    require(not (crops and pixels == "source"), "--crops brings the crops, so the points are in pixels of these")
    require(size is None or aligned is not None, "--size is for the images of --aligned")
    require(not (images and (crops or pixels == "image")), "--images is for points in the source images")
    check_no_input([output], [faces_path])
    from kdtools.datasets.dump import crop_names, form_named, sizes_in, write_dump
    from kdtools.datasets.dump_blocks import Selection
    from kdtools.faces.box_origin import OTHER_BOXES
    from kdtools.faces.file import open_faces
    from kdtools.faces.schema import ANNOTATION
    from kdtools.faces.selection import IdPatterns, choose_faces

    form = form_named(None if format_name == "auto" else format_name, output)
    if aligned is not None:
        folders_of_others = [Path(one).resolve() for one in (crops, output if form.in_folder else None) if one]
        require(
            all(_are_apart(Path(aligned).resolve(), one) for one in folders_of_others),
            "--aligned needs a folder of its own, outside the others",
            "name another one",
        )
    in_crops = pixels == "image" or crops is not None
    with open_faces(faces_path) as faces:
        if in_crops:
            faces.require("image")
        rows = None
        if subset or ids:
            rows = choose_faces(faces, subsets=subset or [], ids=IdPatterns(ids) if ids else None)
        needs_sizes = images and not (aligned and form.name in ("csv", "tsv", "jsonl"))
        size_of = sizes_in(images or []) if needs_sizes else None
        selection = Selection(faces, rows, in_crops, digits, size_of=size_of, with_pose=head_pose)
        folders = {}
        if aligned is not None:
            from kdtools.viewing.aligned import AlignedCrops

            chosen = range(len(faces)) if rows is None else rows.nonzero()[0].tolist()
            from_sources = pixels == "source" or bool(images)
            faces_of = AlignedCrops(
                faces, chosen, crop_names(selection), size or 112, from_sources, images or [], session
            )
            folders[aligned] = partial(faces_of.write, place=aligned)
        write_dump(selection, form, output, force, images=crops, header=not no_header, details=details, folders=folders)
        if form.box and "box" in faces and selection.box_origin != ANNOTATION:
            instead = "; the boxes of the points are written instead" if form.box == "points" else ""
            session.say(
                f"no boxes of {faces.name} are written, as they are {OTHER_BOXES[selection.box_origin]}{instead}"
            )
        if output != "-":
            session.say(f"{counted(len(selection), 'face')} to {output}")


def _are_apart(one: Path, other: Path) -> bool:
    """Whether none of two folders is the other or within it, so that no file of one can have the place of another's."""
    return one != other and one not in other.parents and other not in one.parents


def main() -> None:
    run("kd-dump", kd_dump)
