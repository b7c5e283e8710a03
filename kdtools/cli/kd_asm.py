"""kd-asm: fit an active shape model and write Soft-landmarks."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import Faces, FacesOutput, Force, Quiet, Verbose, Version
from kdtools.errors import require
from kdtools.reporting import counted


def kd_asm(
    faces_path: Faces,
    output: FacesOutput,
    variance: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Fraction of the variance that the modes explain.  [default: 0.9]"),
    ] = None,
    clip: Annotated[float, typer.Option(metavar="K", help="Clip coefficients to K standard deviations.")] = 3.0,
    align: Annotated[
        Literal["procrustes", "none"] | None,
        typer.Option(help="Alignment of the shapes; the published code uses none.  [default: procrustes]"),
    ] = None,
    model_path: Annotated[
        str | None,
        typer.Option("--shape-model", metavar="FILE", help="Apply the shape model in FILE instead of fitting one."),
    ] = None,
    plot_modes: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the modes (.png, .pdf or .svg).")] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Fit an active shape model to the hard landmarks of FACES and write Soft-landmarks.

    Shapes are aligned, a principal component analysis keeps most of their variance, each coefficient is clipped,
    and the reconstructed shape is mapped back to its face. The output also holds the shape model, for
    --shape-model.
    """
    require(model_path is None or (variance or align) is None, "--shape-model brings its own --variance and --align")
    variance, align = 0.9 if variance is None else variance, align or "procrustes"
    require(0 < variance <= 1, f"--variance is {variance}", "give a share above 0 and up to 1")
    require(clip > 0, f"--clip is {clip}", "give a number above 0")
    require(model_path is None or faces_path != "-" or model_path != "-", "only one input can be -")
    from kdtools.faces.file import open_faces
    from kdtools.faces.lineage import lineage_of_faces
    from kdtools.faces.merge import attributes_of_answers
    from kdtools.faces.soft_landmarks import fit_faces, soften_faces
    from kdtools.faces.writer import create_faces
    from kdtools.reports.plots import check_plot, draw_modes
    from kdtools.storage.outputs import Outputs, check_output

    check_output(output, force)
    if plot_modes:
        check_plot(plot_modes, force)
    with open_faces(faces_path) as faces:
        if model_path is None:
            model_lineage = lineage_of_faces(faces)
            model = fit_faces(faces, variance=variance, align=align)
        else:
            with open_faces(model_path) as fitted:
                model, model_lineage = fitted.shape_model, lineage_of_faces(fitted)
                faces.require_scheme(fitted.scheme, model_path)
        soft = faces.to_frame(soften_faces(faces, model, clip=clip), "source")
        provenance = session.provenance(faces_path, model_path).with_lineage(model_lineage)
        with Outputs(force) as together:
            with create_faces(output, force, provenance, within=together) as writer:
                writer.put_ids(faces.ids)
                writer.put("landmarks", soft)
                # Of predictions: still points that a network found, and not made from labels.
                role = "predicted" if faces.role == "predicted" else "soft"
                writer.describe_landmarks(faces.scheme, role, attributes_of_answers(faces))
                writer.put_shape_model(model)
                writer.copy_companions(faces)
                writer.copy_conventions(faces.conventions)
            if plot_modes:
                draw_modes(model, faces.scheme, together.file(plot_modes))
    session.say(f"{counted(len(soft), 'face')}, {counted(len(model.modes), 'mode')}")


def main() -> None:
    run("kd-asm", kd_asm)
