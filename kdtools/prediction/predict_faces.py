"""Prediction of the faces in a faces file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import DataError, FileError, KdError, reason_of
from kdtools.faces.box_origin import box_origin
from kdtools.faces.detector import are_whole_images
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.schema import COMPANIONS
from kdtools.faces.validation import OTHER_KIND_HINT
from kdtools.images.cropping import resize_image
from kdtools.images.drawing import draw_landmarks
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import unit_to_pixels
from kdtools.landmarks.point_names import point_order
from kdtools.prediction.batching import group_bounds, shard_range
from kdtools.prediction.engines import Engine
from kdtools.prediction.outcome import Outcome, Stopwatch
from kdtools.prediction.partial_output import Parts
from kdtools.prediction.pipeline import Run, collect, digest_inputs, drawn_folder, open_parts_of
from kdtools.prediction.unchanged import content_of, contents_of_rows, without_file
from kdtools.reporting import Reporter

if TYPE_CHECKING:
    from kdtools.prediction.drawn_folder import DrawnFolder


@contextlib.contextmanager
def open_crops(source: str) -> Iterator[FacesFile]:
    """As `open_faces`; the error for another kind of file explains how inputs are recognised."""
    with contextlib.ExitStack() as stack:
        try:
            faces = stack.enter_context(open_faces(source))
        except FileError as error:
            hint = "images, tar files and videos are recognised by their suffixes; an image without one needs a --list"
            is_other = error.hint in ("", OTHER_KIND_HINT) and os.path.isfile(source)
            raise FileError(error.message, hint if is_other else error.hint) from error
        yield faces


def predict_faces(run: Run, faces: FacesFile, source: str, *, draw: str | None = None) -> int:
    """Predict the faces of a file opened from `source`, in pixels of the source images; returns their number.

    Raises DataError if the file has another number of points than the model.
    """
    card = run.engine.card
    faces.require("image")
    if "landmarks" in faces:
        faces.require_points(card.scheme.n_points, "the model")
        _compare_points(card.scheme, faces, run.reporter)
    elif are_whole_images(faces):
        run.reporter.warn(
            f"{faces.name}: holds whole images, in which no faces were looked for, so each is taken for one face; give "
            "the photographs themselves, or import them with --detector"
        )
    faces.compare_crop(card.crop, "the model", run.reporter)
    faces.check_unique()
    size, first, stop = run.group_size, 0, len(faces)
    if run.shard is not None:
        first, stop = shard_range(run.shard, len(faces), size)
    digests = digest_inputs(run, [source])
    drawings = {} if draw is None else _claim_drawings(faces, draw, run.force)
    with drawn_folder(run, draw) as drawn, open_parts_of(run, first, [source]) as parts:
        _check_done(faces, parts)
        run.report_taken_up(parts)
        if drawn is not None:
            drawn.begin(parts.n_items - parts.first)
        work = _Work(run.engine, faces, drawn, drawings)
        collect(run, parts, work, group_bounds(parts.n_items, stop, size))
        parts.finish(run.output, digests(), may_be_empty=run.shard is not None)
        return parts.n_faces


def _compare_points(scheme: Scheme, faces: FacesFile, reporter: Reporter) -> None:
    """Warn if the points of a file are as many as the model's, but others or in another order."""
    try:
        if point_order(scheme, faces.scheme, "the model", faces.name) is not None:
            reporter.warn(f"{faces.name}: its points are in another order than those of the model")
    except DataError as error:
        reporter.warn(f"{error.message}; what is written are the model's points")


def _check_done(faces: FacesFile, parts: Parts) -> None:
    """Raises FileError if the faces done by an earlier run have changed."""
    rows = contents_of_rows(faces, parts.first, min(parts.n_items, len(faces)))
    parts.check_inputs((without_file(identity), partial(bytes, content)) for _, identity, content in rows)


class _Work:
    """Predicts a range of rows."""

    def __init__(self, engine: Engine, faces: FacesFile, drawn: DrawnFolder | None, drawings: dict[str, Path]) -> None:
        self._engine, self._faces, self._drawn, self._drawings = engine, faces, drawn, drawings
        self._columns = [name for name in COMPANIONS if name in faces]
        self._columns += [f"subset/{name}" for name in faces.subsets]

    def __call__(self, rows: tuple[int, int]) -> Outcome:
        first, stop = rows
        faces, watch = self._faces, Stopwatch()
        began = watch.lap("read")
        images = faces.images[first:stop]
        ids = faces.read("id", first, stop)
        contents = [content_of(one) for one in images]
        columns = {"id": ids, "landmarks": None, **{name: faces.read(name, first, stop) for name in self._columns}}
        watch.lap("read")
        size = self._engine.card.input_size
        crops = images if images.shape[1:3] == (size, size) else np.stack([resize_image(one, size) for one in images])
        watch.lap("crop")
        units, confidence = self._engine.predict(crops)
        points = unit_to_pixels(units, *images.shape[1:3])
        ended = watch.lap("infer")
        columns["landmarks"] = np.float32(faces.to_frame(points, "source", slice(first, stop)))
        if confidence is not None:
            columns["confidence"] = confidence
        skipped = []
        if self._drawn is not None:
            skipped = self._draw(self._drawn, ids, images, points)
            watch.lap("draw")
        latencies = [ended - began] * len(ids)
        stamps = list(map(without_file, ids))
        seconds, origin = watch.seconds, box_origin(faces)
        return Outcome(columns, stamps, contents, skipped, seconds=seconds, latencies=latencies, box_origin=origin)

    def _draw(self, drawn: DrawnFolder, ids: Sequence[str], images: Any, points: np.ndarray) -> list[tuple[str, str]]:
        """Draw faces; returns (id, reason) of those that have no drawing."""
        undrawn = []
        for identity, image, face_points in zip(ids, images, points, strict=True):
            try:
                drawn.write(self._drawings[identity], draw_landmarks(image, face_points, self._engine.card.scheme))
            except (KdError, OSError) as error:
                undrawn.append((identity, f"not drawn: {reason_of(error)}"))
        return undrawn


def _claim_drawings(faces: FacesFile, folder: str, force: bool) -> dict[str, Path]:
    """Path of the picture of each face, by id. Raises as `claim_pictures` does."""
    from kdtools.viewing.output import claim_pictures  # its imports are needed for pictures only

    sources = faces.texts("source") if "source" in faces else []
    return claim_pictures(faces.ids, Path(folder), map(Path, sources), force)
