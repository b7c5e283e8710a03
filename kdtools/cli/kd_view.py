"""kd-view: pictures of faces with points over them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Literal

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import (
    Faces,
    Force,
    HelpAll,
    Ids,
    Images,
    MostFaces,
    Output,
    Quiet,
    Seed,
    Subset,
    TruthFile,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.storage.outputs import check_no_input


def kd_view(
    faces_path: Faces,
    output: Output,
    predictions: Annotated[
        list[str] | None, typer.Argument(metavar="PREDICTIONS", help="Faces files with other points of the same faces.")
    ] = None,
    truth_path: TruthFile = None,
    each: Annotated[
        bool, typer.Option("--each", help="Write one image per face to a folder, as does -o with a trailing /.")
    ] = False,
    subset: Subset = None,
    ids: Ids = None,
    n_faces: MostFaces = None,
    random: Annotated[bool, typer.Option("--random", help="Select faces at random instead of the first ones.")] = False,
    seed: Seed = 0,
    sort: Annotated[
        Literal["error", "score", "id"] | None,
        typer.Option(help="Order: largest error or lowest score first.  [default: as in FACES]"),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    worst: Annotated[int | None, typer.Option(metavar="N", min=1, help="The same as --sort error -n N.")] = None,
    width: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            min=32,
            max=2048,
            help="Width of each face's image.  [default: 200; 480 with --each or --error-bars, 800 with --numbers]",
        ),
    ] = None,
    columns: Annotated[
        int, typer.Option(metavar="N", min=0, help="Images per row; 0 fills the rows evenly, with at most 8.")
    ] = 0,
    lines: Annotated[bool, typer.Option(help="Draw outlines through the points.")] = True,
    error_bars: Annotated[
        bool, typer.Option("--error-bars", help="Draw a line from each true point to the predicted one.")
    ] = False,
    numbers: Annotated[bool, typer.Option("--numbers", help="Print the index of each true point next to it.")] = False,
    labels: Annotated[bool, typer.Option(help="Print id and NME, or the detector's score, below each image.")] = True,
    legend: Annotated[
        bool, typer.Option(help="Print files and colours at the top, if there is more than one file of points.")
    ] = True,
    images: Images = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    help_all: HelpAll = False,
) -> None:
    """Draw faces with their points, and with those of PREDICTIONS, on a contact sheet or one by one.

    FILE is a .png or .jpg with up to 40 faces unless -n is given; with a trailing /, or with --each, it is a folder
    with one image per face. FACES holds images, or names source images, which must exist or be under the folder
    --images. All files are joined by id. The first file with points, or --truth, is the ground truth. NME is the
    mean distance to it divided by the distance of the outer eye corners; if the scheme has none, by that of the eye
    centres, or the diagonal of the box of the points. Occluded points are drawn as rings, missing ones are left
    out. Faces whose image cannot be read are named and skipped, and the exit status is then 4.
    """
    others = predictions or []
    if truth_path is not None and truth_path not in (faces_path, *others):
        others = [*others, truth_path]
    require([faces_path, *others].count("-") <= 1, "only one input can be standard input")
    require(worst is None or (n_faces is None and sort in (None, "error")), "--worst brings its own --sort and -n")
    require(worst is None or not random, "give --worst or --random, not both")
    one_by_one = each or output.endswith("/")
    require(not (one_by_one and output == "-"), "--each writes a folder, not standard output", "name it with -o")
    require(not (one_by_one and columns), "--columns is for a sheet, not for one picture per face")
    from kdtools.faces.file import open_faces
    from kdtools.storage.outputs import check_folder
    from kdtools.viewing import (
        MOST_SETS,
        Style,
        check_picture,
        choose_rows,
        gather,
        write_each,
        write_sheet,
    )

    sort, n_max = ("error", worst) if worst else (sort, n_faces or 40)
    if one_by_one:
        check_folder(output)
    else:
        check_no_input([output], [faces_path, *others])
        check_picture(output, force)
    width = width or (800 if numbers else 480 if one_by_one or error_bars else 200)
    style = Style(width, columns, lines, numbers, error_bars, labels, legend)
    with ExitStack() as stack:
        opened = {path: stack.enter_context(open_faces(path)) for path in dict.fromkeys([faces_path, *others])}
        has_images = opened[faces_path].has_images
        require(not (images and has_images), f"{faces_path} holds its images, so --images has nothing to do")
        sets = [opened[path] for path in others]
        gallery = gather(opened[faces_path], sets, opened.get(truth_path or ""), images or [])
        n_sets = len(gallery.sets)
        require(n_sets <= MOST_SETS, f"{n_sets} files of points are too many for one picture", f"give {MOST_SETS}")
        for option, used in (("--sort error", sort == "error"), ("--error-bars", error_bars)):
            require(n_sets > 1 or not used, f"{option} needs points to compare", "give a file of predictions as well")
        rows, n_found = choose_rows(
            gallery,
            subsets=subset or [],
            globs=ids or [],
            sort=sort,
            reverse=reverse,
            seed=seed if random else None,
            n_max=n_max,
        )
        write = write_each if one_by_one else write_sheet
        n_drawn = write(gallery, rows, style, output, force, session)
    session.say(f"{n_drawn} of {n_found} faces" + (", -n shows more" if n_found > len(rows) else ""))


def main() -> None:
    run("kd-view", kd_view)
