"""Prediction of the faces in a faces file."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from kdtools.landmarks.geometry import apply_affine, unit_to_pixels
from kdtools.landmarks.point_names import point_order
from kdtools.parallel import workers
from kdtools.prediction.batching import runs_of_groups, shard_range
from kdtools.prediction.engines import Engine
from kdtools.prediction.outcome import Outcome, Stopwatch
from kdtools.prediction.partial_output import Parts
from kdtools.prediction.pipeline import Run, collect, digest_inputs, drawn_folder, open_parts_of
from kdtools.prediction.unchanged import content_of, contents_of_rows, without_file
from kdtools.reporting import Reporter

if TYPE_CHECKING:
    from kdtools.prediction.drawn_folder import DrawnFolder

_ROWS = 2048  # of small arrays read at a time


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
        n_bytes = math.prod(faces.images.shape[1:])
        runs = runs_of_groups(parts.n_items, stop, size, workers(run.jobs), n_bytes)
        collect(run, parts, work, _read_rows(faces, runs))
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


@dataclass(frozen=True)
class _Rows:
    """Consecutive groups of rows for one worker, with all of them but their images.

    `columns` are arrays of the format, `maps` (n, 2, 3) lead from images to the source images, None where both agree.
    """

    groups: Sequence[tuple[int, int]]
    columns: dict[str, Any]
    maps: np.ndarray | None


def _read_rows(faces: FacesFile, runs: Iterable[Sequence[tuple[int, int]]]) -> Iterator[_Rows]:
    """Each run of groups with its columns, which are read many rows at a time: HDF5 takes a millisecond a call."""
    names = ["id", *(name for name in COMPANIONS if name in faces), *(f"subset/{name}" for name in faces.subsets)]
    first = stop = 0
    for groups in runs:
        begin, end = groups[0][0], groups[-1][1]
        if end > stop:
            first, stop = begin, min(max(begin + _ROWS, end), len(faces))
            columns = {name: faces.read(name, first, stop) for name in names}
            maps = faces.maps_to_source(slice(first, stop))
        rows = slice(begin - first, end - first)
        yield _Rows(groups, {n: column[rows] for n, column in columns.items()}, None if maps is None else maps[rows])


class _Work:
    """Predicts groups of rows, each by one call of the network."""

    def __init__(self, engine: Engine, faces: FacesFile, drawn: DrawnFolder | None, drawings: dict[str, Path]) -> None:
        self._engine, self._drawn, self._drawings = engine, drawn, drawings
        self._images, self._origin = faces.images, box_origin(faces)

    def __call__(self, rows: _Rows) -> Outcome:
        watch, size = Stopwatch(), self._engine.card.input_size
        first, stop = rows.groups[0][0], rows.groups[-1][1]
        began = watch.lap("read")
        images = self._images[first:stop]
        contents = [content_of(one) for one in images]
        watch.lap("read")
        crops = images if images.shape[1:3] == (size, size) else np.stack([resize_image(one, size) for one in images])
        watch.lap("crop")
        units, confidences = [], []
        latencies: list[float] = []
        for start, end in rows.groups:
            found, confidence = self._engine.predict(crops[start - first : end - first])
            units.append(found)
            if confidence is not None:
                confidences.append(confidence)
            latencies += [watch.lap("infer") - began] * (end - start)
        points = unit_to_pixels(np.concatenate(units), *images.shape[1:3])
        in_source = points if rows.maps is None else apply_affine(rows.maps, points)
        ids = rows.columns["id"]
        columns = {"id": ids, "landmarks": np.float32(in_source), **rows.columns}
        if confidences:
            columns["confidence"] = np.concatenate(confidences)
        skipped = []
        if self._drawn is not None:
            skipped = self._draw(self._drawn, ids, images, points)
            watch.lap("draw")
        stamps, seconds = list(map(without_file, ids)), watch.seconds
        return Outcome(columns, stamps, contents, skipped, seconds, latencies, self._origin)

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
