"""kd-split: one faces file -> two, nobody in both."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli._app import require, run, session
from kdtools.cli._options import Faces, Force, Output, Quiet, Seed, Verbose, Version


def kd_split(
    faces_path: Faces,
    output: Output,
    rest: Annotated[str, typer.Option("--rest", metavar="FILE", help="File for the faces that are split off.")],
    share: Annotated[float, typer.Option(metavar="SHARE", help="Share of the faces that goes to --rest.")] = 0.1,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Split FACES at random into two files, such as one to train on and one to test with.

    Ids that differ only in a last _NUMBER, or in the #k of several faces in one image, stay together, so that nobody is
    in both files; a group of more than a tenth of all faces is taken for a habit of naming and is not kept together.
    """
    require(0 < share < 1, f"--share is {share}", "give a share between 0 and 1")
    require(output != rest, "-o and --rest name the same file")
    import numpy as np

    from kdtools.files import check_output, create_faces, open_faces
    from kdtools.groups import split_rows

    for path in (output, rest):
        check_output(path, force)
    with open_faces(faces_path) as faces:
        kept, split_off, grouped = split_rows(faces.ids, share, seed)
        provenance = session.provenance(faces_path)
        with create_faces(output, force, provenance) as one, create_faces(rest, force, provenance) as other:
            one.copy_rows(faces, np.sort(kept))
            other.copy_rows(faces, np.sort(split_off))
    groups = ", in groups that the ids tell" if grouped else ""
    session.say(f"{len(kept)} faces to {output}, {len(split_off)} to {rest}{groups}")


def main() -> None:
    run("kd-split", kd_split)
