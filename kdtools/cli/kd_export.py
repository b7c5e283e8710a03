"""kd-export: model -> ONNX, checked against the original."""

from __future__ import annotations

from typing import Annotated

import typer

from kdtools.cli._app import require, run, session
from kdtools.cli._options import Force, Output, Quiet, Verbose, Version


def kd_export(
    model_path: Annotated[str, typer.Argument(metavar="MODEL", help="Model file of kd-teacher or kd-student.")],
    output: Output,
    faces: Annotated[
        str | None, typer.Option(metavar="FILE", help="Check on the first faces of this file, not on noise.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Write a model as ONNX, for ONNX Runtime and other programs.

    Its input `images` is (B, 3, S, S) float32, RGB from 0 to 1; the colour normalisation is inside. Its output
    `landmarks` is (B, L, 2): x and y from -0.5 to 0.5 over the crop, so that pixel = (value + 0.5) * S - 0.5. What the
    model file says of itself is in the metadata under `kdtools`. The result is compared with the original before it is
    put in place.
    """
    require(model_path != "-", "the model cannot be read from standard input", "name its file")
    from kdtools.cards import read_card
    from kdtools.export import check_inputs, compare_with_original, export_onnx
    from kdtools.files import check_output, written_aside
    from kdtools.models import choose_device, load_model

    check_output(output, force)
    network = load_model(model_path, choose_device("cpu"))
    inputs = check_inputs(network, faces)
    fields = {**read_card(model_path)[1], **session.provenance(model_path, faces).attributes()}
    with written_aside(output, force) as path:
        export_onnx(network, path, fields)
        agreement = compare_with_original(network, path, inputs)
    over = f"{agreement.n_faces} {'faces' if faces else 'random inputs'}"
    session.say(
        f"{agreement.mean_px:.2g} px from the original on average, {agreement.largest_px:.2g} px at most, over {over}"
    )


def main() -> None:
    run("kd-export", kd_export)
