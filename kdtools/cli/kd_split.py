"""kd-split: one faces file -> two, nobody in both."""

from __future__ import annotations

from pathlib import Path
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

    Ids that differ only in a last number (ann_01.jpg, ann/01.jpg), or in the #k of several faces in one image, stay
    together, so that nobody is in both files. A name that nearly a whole folder shares, such as image_0001.jpg, is
    taken for that of numbered files; what was done is said.
    """
    require(0 < share < 1, f"--share is {share}", "give a share between 0 and 1")
    require(Path(output).resolve() != Path(rest).resolve(), "-o and --rest name the same file")
    from kdtools.files import check_output, create_faces, open_faces
    from kdtools.groups import split_rows

    for path in (output, rest):
        check_output(path, force)
    with open_faces(faces_path) as faces:
        split = split_rows(faces.ids, share, seed)
        provenance = session.provenance(faces_path)
        with create_faces(output, force, provenance) as one, create_faces(rest, force, provenance) as other:
            one.copy_rows(faces, split.kept)
            other.copy_rows(faces, split.split_off)
    session.say(f"{len(split.kept)} faces to {output}, {len(split.split_off)} to {rest}; {split.told}")


def main() -> None:
    run("kd-split", kd_split)
