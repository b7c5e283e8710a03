"""kd-split: one faces file -> two, or folds, without common people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import Faces, FacesOutput, Folds, Force, Group, Quiet, Rest, Seed, Verbose, Version
from kdtools.errors import require
from kdtools.reporting import counted


def kd_split(
    faces_path: Faces,
    output: FacesOutput,
    rest: Rest = None,
    share: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Fraction of the faces that goes to --rest.  [default: 0.1]")
    ] = None,
    by_subset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write the faces of this subset to --rest, instead of random ones."),
    ] = None,
    folds: Folds = None,
    group: Group = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Split FACES at random into two files, such as training and test faces, or into folds.

    Ids that differ only in a final number (ann_01.jpg, ann-01.jpg, ann/01.jpg), in capitals, in the frame of a
    video or in the #k of several faces in one image stay together, so that nobody is in both files. A name shared
    by nearly a whole folder, such as image_0001.jpg, is treated as file numbering, with a message. --group
    identifies people more reliably. With --folds each fold is a file: {} in -o stands for 1 to K.
    """
    require((rest is None) == (folds is not None), "give --rest FILE for two parts, or --folds K with -o NAME{}.h5")
    require(share is None or 0 < share < 1, f"--share is {share}", "give a share between 0 and 1")
    require([share, by_subset, folds].count(None) >= 2, "give one of --share, --by-subset and --folds")
    outputs = _outputs(output, rest, folds)
    from kdtools.faces.file import open_faces
    from kdtools.faces.people import group_faces
    from kdtools.faces.split import choose_subset, draw_folds, draw_share, write_parts
    from kdtools.storage.outputs import check_output

    for path in outputs:
        check_output(path, force)
    with open_faces(faces_path) as faces:
        grouping = group_faces(faces.ids, group)
        kept = grouping.description
        if folds is not None:
            part_of = draw_folds(grouping.names, folds, seed)
        elif by_subset is not None:
            part_of, kept = (
                choose_subset(faces, by_subset, grouping, session),
                f"those of {by_subset} to {rest}",
            )
        else:
            part_of = draw_share(grouping.names, 0.1 if share is None else share, seed)
        sizes = write_parts(faces, part_of, outputs, force, session.provenance(faces_path))
    session.say(
        ", ".join(f"{counted(n, 'face')} to {path}" for n, path in zip(sizes, outputs, strict=True)) + f"; {kept}"
    )


def _outputs(output: str, rest: str | None, folds: int | None) -> list[str]:
    """The files to write, in the order of their parts."""
    if rest is not None:
        require(Path(output).resolve() != Path(rest).resolve(), "-o and --rest name the same file")
        return [output, rest]
    require(output.count("{}") == 1, f"-o is {output!r}", "with --folds, -o needs {} for the number: fold{}.h5")
    return [output.replace("{}", str(number + 1)) for number in range(folds or 0)]


def main() -> None:
    run("kd-split", kd_split)
