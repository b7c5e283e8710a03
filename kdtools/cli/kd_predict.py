"""kd-predict: model + faces file, photographs or videos -> landmarks."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from kdtools.cli import _predict_options as opt
from kdtools.cli._app import run, session
from kdtools.cli._options import (
    Batch,
    Detector,
    Device,
    Force,
    HelpAll,
    Jobs,
    MinScore,
    Quiet,
    Resume,
    SearchSize,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.reporting import counted
from kdtools.storage.outputs import check_no_input, check_output


def kd_predict(
    model_path: opt.Model,
    inputs: opt.Inputs = None,
    output: opt.Output = None,
    listed: opt.Listed = False,
    include: opt.Include = None,
    detector: Detector = "auto",
    min_score: MinScore = None,
    search_size: SearchSize = None,
    max_faces: opt.MaxFaces = None,
    require_face: opt.RequireFace = False,
    refine: opt.Refine = None,
    flip: opt.Flip = False,
    convention: opt.Convention = None,
    smooth: opt.Smooth = False,
    draw: opt.Draw = None,
    shard: opt.Shard = None,
    resume: Resume = False,
    bench: opt.Bench = False,
    backend: opt.Backend = "auto",
    device: Device = "auto",
    batch: Batch = None,
    jobs: Jobs = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    help_all: HelpAll = False,
) -> None:
    """Predict landmarks with a trained model.

    The faces of a faces file keep their ids. In all other inputs a detector finds the faces (auto is finder, the
    bundled detector), and they are cropped by the model's own rule. The ids of the second and further faces of an
    image end in #2, #3, ..., those of video frames in #frame=NUMBER; a face keeps its number while it is tracked.
    Unreadable images are named and skipped, and the exit status is then 4; images without a face are counted and
    named at the end. Points are always in pixels of the source images. With --convention they follow its labels,
    with its origin added. A long run keeps its results so far in FILE.partial.
    """
    require(model_path != "-", "the model cannot be read from standard input", "name its file")
    inputs = inputs or []
    require(inputs.count("-") <= 1, "only one input can be standard input")
    require(output != "-" or not resume, "standard output cannot be resumed", "name a file with -o")
    from kdtools.prediction import text_output

    text_output.check_faces_wanted(output, resume=resume, shard=shard is not None)
    form = "csv" if output is None else text_output.text_form_of(output)
    from kdtools.prediction.command_line import check_words

    check_words(model_path, inputs, listed=listed, resume=resume, detector=detector)
    from kdtools.prediction.batching import parse_shard
    from kdtools.prediction.conventions import about_convention
    from kdtools.prediction.inputs import Photographs, kind_of
    from kdtools.prediction.outcome import Timing
    from kdtools.prediction.photograph_work import Search
    from kdtools.prediction.pipeline import Run
    from kdtools.prediction.predict_faces import open_crops, predict_faces
    from kdtools.prediction.predict_photographs import predict_photographs
    from kdtools.prediction.unchanged import is_finished

    part = None if shard is None else parse_shard(shard)
    one_file = not listed and [kind_of(name) for name in inputs] == ["faces"]
    named = None if detector == "auto" else detector
    image_options = named, min_score, search_size, max_faces, refine, include, smooth or require_face or None
    require(
        not one_file or all(option is None for option in image_options),
        "--detector, --min-score, --search-size, --max-faces, --require-face, --refine, --include and --smooth are for "
        "images and videos",
    )
    photographs, search = None, None
    if not one_file:
        photographs = Photographs(inputs, listed=listed, include=include or [])
        search = Search.named(detector, max_faces, refine, min_score, search_size, reporter=session)
    provenance = session.provenance(model_path, detector if Path(detector).suffix else None)
    if search is not None:
        provenance = replace(provenance, detector=search.detector.record)
    if (
        output
        and resume
        and not force
        and is_finished(output, provenance, photographs or inputs[0], is_shard=part is not None)
    ):
        session.say(f"{output} is whole already")
        return
    from kdtools.faces.lineage import lineage_of_faces
    from kdtools.model.card import lineage_of_model
    from kdtools.parallel import workers
    from kdtools.prediction.engines import FlippedEngine, load_engine

    # Images go to workers of a core each; the frames of a video are predicted one after the other by all cores.
    threads = workers(jobs) if not listed and any(kind_of(name) in ("video", "camera") for name in inputs) else 1
    with contextlib.ExitStack() as stack:
        # Opened before the output is looked at, because then the parts of a virtual file are known.
        file = None if photographs else stack.enter_context(open_crops(inputs[0]))
        if output is not None:
            in_lists = listed and photographs is not None and not photographs.has_stream
            check_no_input([output], (one.source for one in photographs.in_files()) if in_lists and photographs else ())
            check_output(output, force, binary=form is None)
        faces_path = output or "-"
        if form is not None:
            as_table = output is None and sys.stdout.isatty()
            faces_path = stack.enter_context(
                text_output.shown_as_table() if as_table else text_output.written_as_text(output or "-", form, force)
            )
        n_faces = None if file is None else len(file)
        engine = load_engine(
            model_path,
            backend=backend,
            device=device,
            threads=threads,
            n_faces=n_faces,
            convention=convention,
            reporter=session,
        )
        of_landmarks, words = about_convention(engine.card, convention, model_path)
        if words:
            session.say(words)
        lineage = lineage_of_model(model_path).as_teacher(Path(model_path).stem)
        if file is not None:
            lineage |= lineage_of_faces(file)
        task = Run(
            engine=FlippedEngine(engine) if flip else engine,
            output=faces_path,
            force=force,
            kept=form is None,
            require_face=require_face,
            provenance=provenance.with_lineage(lineage),
            jobs=jobs,
            batch=batch or 0,
            shard=part,
            resume=resume,
            of_landmarks={**of_landmarks, **({"flipped": True} if flip else {})},
            reporter=session,
            timing=Timing(keeps_latencies=bench),
        )
        if file is not None:
            n_faces = predict_faces(task, file, inputs[0], draw=draw)
        elif photographs is not None and search is not None:
            n_faces = predict_photographs(task, photographs, search, draw=draw, smooth=smooth)
    session.say(counted(n_faces or 0, "face") + text_output.where_points_are(output))
    for line in task.timing.lines(task.engine.name) if bench else []:
        print(f"{session.tool}: {line}", file=sys.stderr)  # also with -q


def main() -> None:
    run("kd-predict", kd_predict)
