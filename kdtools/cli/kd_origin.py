"""kd-origin: where the coordinates of labels start, from predictions -> table, or faces file that states it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import ConventionName, Faces, Force, Group, Json, Quiet, Verbose, Version
from kdtools.errors import require
from kdtools.storage.file_kinds import check_faces_name
from kdtools.storage.outputs import check_output


def kd_origin(
    faces_path: Faces,
    predictions: Annotated[
        str, typer.Argument(metavar="PRED", help="Predictions for FACES by kd-predict --flip; - is standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write FACES with their origins to FILE; - is standard output."
        ),
    ] = None,
    convention: ConventionName = None,
    group: Group = None,
    json_form: Json = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Estimate the origin of each annotation convention: the offset of its labels from the true places, in x.

    The labels of a whole data set can be about a pixel too far to the right, equally in small and large faces.
    Predictions averaged over each face and its mirror image are not, so the mean of label - prediction is the
    origin. Use faces that the network was not trained on: it knows the labels of its training faces, and the
    estimate is then too small. The 95 % intervals count the faces of one person or photograph as one. The origin in
    y cannot be estimated in this way, and stays as stated. With -o only messages are printed, unless --json is
    given.
    """
    require([faces_path, predictions].count("-") <= 1, "only one input can be standard input")
    require(output != "-" or not json_form, "--json and -o - both go to standard output", "name a file with -o")
    import numpy as np

    if output is not None:
        check_faces_name(output)
    from kdtools.evaluation.origin import estimate_origins, remarks, with_origins
    from kdtools.faces import create_faces, open_faces
    from kdtools.landmarks.conventions import stated_convention
    from kdtools.reports.output import show_records

    stated_convention(convention, None)
    with open_faces(faces_path) as faces, open_faces(predictions) as found:
        faces.require("landmarks")
        if output is not None:
            check_output(output, force)
        n_unnamed = int((faces.conventions.of_faces < 0).sum())
        what = f"--convention is for faces that state none, and all of {faces.name} state theirs"
        require(convention is None or n_unnamed > 0, what, "leave it out; kd-merge --convention states another one")
        stated = faces.conventions if convention is None else faces.conventions.with_default(convention)
        estimates = estimate_origins(faces, stated, found, group, session)
        for line in remarks(estimates):
            session.say(line)
        if output is not None:
            what = f"{faces.name}: {n_unnamed} of {len(faces)} faces state no convention that an origin could belong to"
            require(convention is not None or not n_unnamed, what, "name it: --convention NAME")
            with create_faces(output, force, session.provenance(faces_path, predictions)) as writer:
                writer.copy_rows(faces, np.arange(len(faces)), with_origins(stated, estimates))
                if "shape_model/mean" in faces:
                    writer.put_shape_model(faces.shape_model)
    if output is None or json_form:
        show_records(estimates, "json" if json_form else "table" if sys.stdout.isatty() else "tsv")


def main() -> None:
    run("kd-origin", kd_origin)
