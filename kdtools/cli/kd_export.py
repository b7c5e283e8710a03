"""kd-export: model -> ONNX or TensorFlow Lite, checked against the original."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdtools.bundled import bundled_in_words
from kdtools.cli._app import run, session
from kdtools.cli._options import ConventionName, ExportOutput, Force, Quiet, Verbose, Version
from kdtools.errors import require, require_packages
from kdtools.export import INT8, Precision
from kdtools.storage.file_kinds import ONNX, is_tflite_name
from kdtools.storage.outputs import check_no_input, check_output, written_aside

if TYPE_CHECKING:
    import numpy as np

    from kdtools.export.check import Sample
    from kdtools.model.network import LandmarkNet


def kd_export(
    model_path: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=f"Model file, or a {bundled_in_words()}."),
    ],
    output: ExportOutput = None,
    precision: Annotated[
        Precision,
        typer.Option(help="float16 halves the size, for phones; int8 is for CPUs and needs --calibrate."),
    ] = "float32",
    calibrate: Annotated[
        str | None, typer.Option(metavar="FILE", help="For int8: faces file whose images determine the value ranges.")
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Check on the faces of this file instead of those of --calibrate or a few drawn ones."
        ),
    ] = None,
    compare_precisions: Annotated[
        bool,
        typer.Option(
            "--compare-precisions",
            help="Write nothing: measure each precision here, on the faces of --verify, and recommend one.",
        ),
    ] = False,
    convention: ConventionName = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Write a model as ONNX, for ONNX Runtime and other programs, or as TensorFlow Lite.

    Its input `images` is (B, 3, S, S) float32, RGB from 0 to 1; colours are normalised inside. Its output
    `landmarks` is (B, L, 2): x and y from -0.5 to 0.5 over the crop, so that pixel = (value + 0.5) * S - 0.5. Both
    are the same in every precision. If the model has several annotation conventions, the export predicts one, in
    true pixels. The description in the model file is in the metadata under `kdtools`. The export is compared with
    the original before it is written, and its size and speed are reported, with the NME of both for faces with
    points. A warning says if int8 makes the NME more than 2 % larger. --compare-precisions recommends the fastest
    precision whose NME is at most 1 % larger; without --calibrate a third of the faces of --verify calibrate int8.

    A name that ends in .tflite is written as TensorFlow Lite by litert-torch (the extra `tflite`): in float32, for one
    face a call, without a description. It is compared with the original through litert-torch's own interpreter.
    """
    require(model_path != "-", "the model cannot be read from standard input", "name its file")
    require(calibrate != "-", "--calibrate is read more than once, so not from standard input", "name a file")
    tflite = output is not None and is_tflite_name(output)
    if compare_precisions:
        hint = "leave -o and -f out, then export in the one you want"
        require(output is None and not force, "--compare-precisions writes no file", hint)
        require(precision == "float32", "--compare-precisions tries all precisions", "leave --precision out")
        require(verify is not None, "--compare-precisions needs faces with landmarks", "name them: --verify FILE")
    else:
        require(output is not None, "no output is named", "give -o FILE, or --compare-precisions")
        if tflite:
            hint = "leave --precision and --calibrate out, or give a name that ends in .onnx"
            require(precision == "float32" and calibrate is None, f"{output}: .tflite is written in float32 only", hint)
        require((calibrate is not None) == (precision == "int8"), "--calibrate FILE and --precision int8 go together")
    require_packages("torch", "timm", *(("litert_torch", "ai_edge_litert") if tflite else ("onnxscript",)))
    from kdtools.faces.file import open_faces
    from kdtools.model.card import form_of, read_card

    if output is not None:
        check_no_input([output], [path for path in (model_path, calibrate, verify) if path])
        check_output(output, force)
    hint = "give the model file (.safetensors) that it was exported from"
    require(form_of(model_path) != ONNX, f"{model_path}: is an exported model already (ONNX)", hint)
    card, description = read_card(model_path)
    if convention is not None:
        card.find_convention(convention, model_path)
    for path in (calibrate, verify):  # checked before torch is loaded, which takes seconds
        if path is None or path == "-":
            continue
        with open_faces(path) as file:
            file.require("image")
            if "landmarks" in file:
                file.require_scheme(card.scheme, "the model")
    from kdtools.export.check import (
        MOST_WORSE,
        N_CALIBRATION,
        N_CHECKED,
        compare_answers,
        measure_speed,
        onnx_run,
        sample_faces,
    )
    from kdtools.export.graph import export_onnx
    from kdtools.model.file import load_model
    from kdtools.model.network import choose_device
    from kdtools.storage.provenance import hold_same_bytes

    network = load_model(model_path, choose_device("cpu"), convention)
    n_faces = N_CHECKED if calibrate or not compare_precisions else N_CHECKED + N_CALIBRATION
    sample = sample_faces(verify or calibrate, network, n_faces)
    calibration = sample_faces(calibrate, network, N_CALIBRATION).images if calibrate else None
    if calibrate and verify and hold_same_bytes(calibrate, verify):
        session.warn(
            "--calibrate and --verify hold the same faces: int8 looks better on those that it was calibrated on; "
            "verify on others"
        )
    description |= network.card.convention_fields()
    if output is None:
        _compare(network, description, sample, calibration)
        return
    fields = {**description, **session.provenance(model_path, calibrate, verify).attributes()}
    with written_aside(output, force) as part:
        if tflite:
            from kdtools.export.tflite import export_tflite, tflite_run

            session.say("converting, which takes a minute or more")
            export_tflite(network, part)
            exported, runtime = tflite_run(part), "LiteRT"
        else:
            export_onnx(network, part, fields, precision, calibration)
            exported, runtime = onnx_run(part), "ONNX Runtime"
        agreement = compare_answers(network, exported, sample, precision)
        n_bytes, speed = part.stat().st_size, measure_speed(network, exported, sample.images)
    session.say(
        f"{agreement.mean_px:.2g} px from the original on average, {agreement.largest_px:.2g} px at most, "
        f"over {agreement.n_faces} {sample.name}"
    )
    if agreement.nme:
        original, now = (100 * nme for nme in agreement.nme)
        worse = 100 * agreement.worse
        session.say(f"NME {now:.3f} %, {worse:+z.1f} % relative to the original ({original:.3f} %)")
    session.say(f"{n_bytes / 1e6:.1f} MB; {speed[1]:.0f} faces/s by {runtime}, {speed[0]:.0f} by PyTorch, all cores")
    if precision == INT8 and agreement.worse > MOST_WORSE:
        session.warn(
            f"int8 makes the NME {100 * agreement.worse:.1f} % larger, more than {100 * MOST_WORSE:.0f} %: "
            "calibrate on more faces like those it will see, or stay with float32"
        )


def _compare(network: LandmarkNet, description: dict[str, Any], sample: Sample, calibration: np.ndarray | None) -> None:
    """Print a table of all precisions and recommend one."""
    from kdtools.export.precisions import measure_precisions, split_for_calibration, why_recommended
    from kdtools.reports.output import show_records

    if calibration is None:
        sample, calibration = split_for_calibration(sample)
    rows = measure_precisions(network, description, sample, calibration, session)
    show_records(rows, "table" if sys.stdout.isatty() else "tsv")
    best = next(row for row in rows if row.recommended)
    n_faces = f"{len(sample.images)} {sample.name}"
    session.say(f"{best.precision} is recommended on this machine: {why_recommended(rows)}, over {n_faces}")


def main() -> None:
    run("kd-export", kd_export)
