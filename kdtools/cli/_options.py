"""Options shared by several tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from kdtools.cli._app import session, set_quiet, set_verbose, show_help_all, show_version
from kdtools.parallel import why_fewer_workers
from kdtools.storage.file_kinds import check_export_name, check_faces_name, check_model_name


def _checked(check: Callable[[str], None]) -> Callable[[str | None], str | None]:
    """A callback that refuses a name whose suffix promises another format than the one written."""

    def checked(output: str | None) -> str | None:
        if output:  # an empty word is refused for every option
            check(output)
        return output

    return checked


def _output(check: Callable[[str], None] | None = None) -> Any:
    callback = None if check is None else _checked(check)
    return typer.Option("-o", "--output", metavar="FILE", callback=callback, help="Output file; - is standard output.")


Output = Annotated[str, _output()]
FacesOutput = Annotated[str, _output(check_faces_name)]
ModelOutput = Annotated[str, _output(check_model_name)]
ExportOutput = Annotated[str | None, _output(check_export_name)]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace an existing output.")]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", callback=set_quiet, is_eager=True, help="Print only warnings and errors.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        callback=set_verbose,
        is_eager=True,
        help="Print every message, including repeated ones, and the traceback of an error.",
    ),
]
Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
]


def _report_workers(jobs: int) -> int:
    if why := why_fewer_workers(jobs):
        session.detail(why)
    return jobs


HelpAll = Annotated[
    bool,
    typer.Option("--help-all", callback=show_help_all, is_eager=True, help="Show the rarer options too, and exit."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=0,
        callback=_report_workers,
        help="Number of workers, at most one per core; 0 is one per core.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file.")]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N. auto uses a GPU if there is one."),
]
_SIZE = typer.Option("--size", metavar="PX", min=16, max=4096, help="Side of the square images.")
Size = Annotated[int, _SIZE]
SizeOfAligned = Annotated[int | None, _SIZE]
Margin = Annotated[
    float,
    typer.Option(
        "--margin",
        metavar="SHARE",
        min=0.0,
        max=2.0,
        help="Margin on each side of the points, as a fraction of the longer side of their box.",
    ),
]
Batch = Annotated[int | None, typer.Option("--batch", metavar="N", min=1, help="Batch size: faces per step.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a stopped run; start one if there is none.")]
_N_FACES = typer.Option("-n", "--faces", metavar="N", min=1, help="Number of faces.")
NFaces = Annotated[int, _N_FACES]
MostFaces = Annotated[int | None, _N_FACES]
Detector = Annotated[
    str,
    typer.Option(
        "--detector",
        metavar="NAME|FILE",
        help="Face detector: finder, cascade, yunet (downloaded once), a YuNet model "
        "(.onnx), or a list of boxes (.csv); whole takes each image as one face. For "
        "annotated faces also points, or given for the annotated box.",
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        metavar="SCORE",
        help="Drop detections with a lower score. Default: finder 0.55, yunet 0.6; cascade and boxes (.csv) keep all.",
    ),
]

SearchSize = Annotated[
    int | None,
    typer.Option(
        "--search-size",
        metavar="PX",
        min=32,
        help="Reduce images to this longer side before searching for faces. Default: finder half the image's, from "
        "1024 to 3072; yunet 1024, cascade 800.",
    ),
]

# ---- points and faces
Rest = Annotated[
    str | None,
    typer.Option(
        "--rest", metavar="FILE", callback=_checked(check_faces_name), help="Output file for the other faces."
    ),
]
Convert = Annotated[
    str | None,
    typer.Option("--convert", metavar="NAME|FILE", help="Convert the points to this scheme, such as 98 points to 68."),
]
Subset = Annotated[
    list[str] | None, typer.Option("--subset", metavar="NAME", help="Only faces of this subset; full means all faces.")
]
Ids = Annotated[
    list[str] | None, typer.Option("--ids", metavar="GLOB", help="Only faces whose id matches, such as 'ibug/*'.")
]
AddSubset = Annotated[
    list[str] | None,
    typer.Option("--add-subset", metavar="NAME=GLOB", help="Add faces whose id matches GLOB to a subset."),
]
Categories = Annotated[
    list[str] | None,
    typer.Option("--category", metavar="NAME", help="Category to read, if the annotations hold several."),
]
Images = Annotated[
    list[str] | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if they are elsewhere.")
]
NoImages = Annotated[
    bool, typer.Option("--no-images", help="Write points only, in pixels of the source images, which need not exist.")
]
TruthFile = Annotated[
    str | None,
    typer.Option("--truth", metavar="FILE", help="Ground truth: the landmarks against which errors are measured."),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="REGEX|none",
        help=r"Regular expression whose first group, searched in the id, is the person: "
        r"'^(\w+)/'. none: every face is a different person.",
    ),
]
Folds = Annotated[int | None, typer.Option("--folds", metavar="K", min=2, help="Split the people into K folds.")]

ConventionName = Annotated[
    str | None,
    typer.Option(
        "--convention",
        metavar="NAME",
        help="Annotation convention that the points follow, such as 300w or 300w/lfpw.",
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(
        "--origin",
        metavar="X,Y",
        help="Offset of this convention's labels from the true places, in pixels of the source images.",
    ),
]

# ---- reports and formats
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Value = Annotated[str | None, typer.Option("--value", metavar="NAME", help="Print only this value.")]
FormatName = Annotated[
    str, typer.Option("--format", metavar="NAME", help="Format of the annotations: auto, or one of --formats.")
]


def _list_formats(is_set: bool) -> None:
    """Print the formats that the tool reads, or kd-dump writes, and stop."""
    if is_set:
        from kdtools.datasets.formats import FORMATS

        for form in FORMATS.values():
            if session.tool != "kd-dump" or form.is_written:
                print(f"{form.name:<12} first pixel {form.base:g}  {form.what}")
        raise typer.Exit


Formats = Annotated[
    bool, typer.Option("--formats", callback=_list_formats, is_eager=True, help="List the formats and exit.")
]
Faces = Annotated[str, typer.Argument(metavar="FACES", help="Faces file; - is standard input.")]
