"""kd-predict: model + faces file, images or folders -> landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdtools.cli._app import require, run, session
from kdtools.cli._options import Batch, Device, Force, Jobs, Output, Quiet, Verbose, Version


def kd_predict(
    model_path: Annotated[str, typer.Argument(metavar="MODEL", help="Model file of kd-teacher or kd-student.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="One faces file (- is standard input), or images and folders."),
    ],
    output: Output,
    detector_name: Annotated[
        str | None,
        typer.Option(
            "--detector",
            metavar="NAME|FILE",
            help="In images: cascade (the default), a YuNet model (.onnx), boxes (.csv) or whole.",
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=10, help="In images: crop again N times around the points found; 1 if not said."
        ),
    ] = None,
    draw: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write each image with its landmarks into DIR.")
    ] = None,
    batch: Batch = 64,
    jobs: Jobs = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Find landmarks with a trained model.

    For a faces file: the points of its faces, under their ids. For images and folders: faces are found by a detector
    and cropped by the model's own rule; the ids of a second and further face in one image end in #2, #3, ... Images
    that cannot be read or show no face are named and skipped; the exit status is then 4. Points are always in pixels
    of the source images.
    """
    require(model_path != "-", "the model cannot be read from standard input", "name its file")
    photographs = "-" not in inputs and all(_is_image_or_folder(Path(name)) for name in inputs)
    require(photographs or len(inputs) == 1, "give one faces file, or images and folders only")
    require(photographs or (detector_name is None and refine is None), "--detector and --refine are for images")
    from kdtools.detect import find_detector
    from kdtools.files import check_output
    from kdtools.models import choose_device, load_model
    from kdtools.prediction import predict_faces_file, predict_images

    check_output(output, force)
    network = load_model(model_path, choose_device(device))
    with session.progress("predicting", None) as progress:
        if photographs:
            detector = find_detector(detector_name or "cascade")
            detector_file = detector_name if detector_name and Path(detector_name).suffix else None
            provenance = session.provenance(model_path, *inputs, detector_file)
            n_faces = predict_images(
                network,
                inputs,
                output,
                force,
                provenance,
                detector=detector,
                refine=1 if refine is None else refine,
                draw=draw,
                batch=batch,
                jobs=jobs,
                skip=session.skip,
                warn=session.warn,
                progress=progress,
            )
        else:
            provenance = session.provenance(model_path, inputs[0])
            n_faces = predict_faces_file(
                network,
                inputs[0],
                output,
                force,
                provenance,
                draw=draw,
                batch=batch,
                warn=session.warn,
                progress=progress,
            )
    session.say(f"{n_faces} faces")


def _is_image_or_folder(path: Path) -> bool:
    from kdtools.images import IMAGE_SUFFIXES

    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def main() -> None:
    run("kd-predict", kd_predict)
