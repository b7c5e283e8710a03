"""Evaluation of predictions against truth: reads the files, matches the faces, and measures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np

from kdtools.errors import DataError, UsageError, some_of
from kdtools.evaluation.choose_measures import choose_measures, choose_subsets
from kdtools.evaluation.conventions import (
    notes_on_origins,
    tell_of_unstated_origins,
    warn_of_other_conventions,
)
from kdtools.evaluation.join import check_join, join_rows
from kdtools.evaluation.mean_shape import MeanShape, put_share_of_mean_shape
from kdtools.evaluation.measure import Measurements, Plan, PointSource, measure
from kdtools.evaluation.methods import check_comparison, expand_models, grouping_of, methods_of, notes_on_methods
from kdtools.evaluation.point_sets import (
    PointSet,
    check_ids,
    ordered_like,
    photograph_of,
    text_of,
)
from kdtools.evaluation.protocols import Measures
from kdtools.evaluation.read_points import begin_to_read, read_points, read_prediction, split_name
from kdtools.evaluation.request import Request, check_inputs
from kdtools.evaluation.results import MEAN_SHAPE, Errors, Evaluation, Row, Worst
from kdtools.evaluation.same_faces import check_same_ends, warn_of_other_pictures, warn_of_own_ends
from kdtools.evaluation.table import Tables, region_points
from kdtools.evaluation.units import Frames, find_frames, find_units
from kdtools.metrics import normalise, normaliser_named, worst_rows
from kdtools.parallel import in_background
from kdtools.reporting import SILENT, Reporter, counted


def evaluate(request: Request, reporter: Reporter = SILENT) -> Evaluation:
    """Rows for every prediction, subset and normaliser, in that order; the mean shape's come last.

    Raises DataError if faces are missing or not in the truth, if numbers of points differ, or if the truth lacks a
    subset; UsageError for a normaliser or protocol that the scheme does not allow.
    """
    check_inputs([*request.predictions, request.truth, request.mean_shape or ""])
    models = expand_models(request.predictions) if request.group_models else []
    if request.group_models and request.compare:
        check_comparison(models, request.mean_shape)
    places: list[tuple[str | None, str]] = [(None, path) for _, path in models]
    places = places or [split_name(word) for word in request.predictions]
    with contextlib.ExitStack() as stack:
        begin_to_read(places[0][1])
        truth = read_points(request.truth, stack, reporter, categories=request.categories)
        if not len(truth):
            raise DataError(f"{truth.name}: holds no faces", "give the file of the true landmarks")
        check_ids(truth.ids, truth.name)
        measures, protocol = choose_measures(request, truth)
        members = choose_subsets(truth, measures.subsets, request.subsets, reporter)
        warn_of_own_ends(truth, measures.normalisers, reporter)
        # Beside what reads and measures the predictions, which takes longer.
        by_ids = request.video is None or request.group is not None
        units_by_ids = in_background(partial(find_units, truth.ids, request.group)) if by_ids else None
        joined, notes = _join_predictions(request, places, truth, measures, stack, reporter)
        frames = None if request.video is None else find_frames(truth.ids, request.video)
        plan = _plan(request, truth, measures, members, joined, frames)
        measurements = measure(plan, reporter)
        units = units_by_ids() if units_by_ids else cast(Frames, frames).units
        errors = [
            Errors(pred.name, normalise(pred.distance, measurements.lengths[0])) for pred in measurements.predictions
        ]
        worst = _find_worst(joined[0], errors[0], next(iter(members.values()))) if request.details else None
    notes += _check_complete(request, truth, joined, measurements, reporter)
    _warn_of_wrong_places(truth, measurements, reporter)
    methods = methods_of(measurements.predictions, [name for name, _ in models])
    if request.group_models:
        notes += notes_on_methods(methods, reporter)
    elif request.compare and sum(one.name != MEAN_SHAPE for one in methods) > 1:
        notes.append(
            "networks are compared, not the methods that trained them: for these give several seeds of each with "
            "--group-models"
        )
    tables = Tables(request, truth, measures, members, units.codes, measurements, methods)
    overall, regions, landmarks = tables.rows(), tables.region_rows(), tables.landmark_rows()
    if request.mean_shape is not None:
        put_share_of_mean_shape([*overall, *regions])
    unmeasured = max((int(row.values.get("unmeasured") or 0) for row in overall), default=0)
    if unmeasured:
        reporter.warn(f"faces that could not be measured: {unmeasured}; no points, or a normaliser missing or zero")
    if request.visible_only:
        notes.append("only points marked as visible are counted")
    rows_by: dict[str, Sequence[Row]] = {"subset": overall, "region": regions, "landmark": landmarks}
    return Evaluation(
        truth=truth.name,
        scheme=truth.scheme,
        n_faces=len(truth),
        normalisers=list(measures.normalisers),
        thresholds=list(measures.thresholds),
        by=request.by,
        rows=tables.face_rows() if request.by == "face" else rows_by[request.by],
        regions=regions,
        landmarks=landmarks,
        overall=overall,
        protocol=protocol.name if protocol else "",
        baseline=tables.baseline if request.compare else "",
        errors=[] if request.group_models else errors,
        ids=[text_of(identity) for identity in truth.ids] if request.details else [],
        members=members,
        groups=units.codes,
        grouping=units.description,
        models=grouping_of(methods) if request.group_models else "",
        mean_face=measurements.mean_face,
        worst=worst,
        files=[*truth.files, *(path for pred, _ in joined for path in pred.files)],
        notes=notes,
    )


def _join_predictions(
    request: Request,
    places: Sequence[tuple[str | None, str]],
    truth: PointSet,
    measures: Measures,
    stack: contextlib.ExitStack,
    reporter: Reporter,
) -> tuple[list[tuple[PointSource, np.ndarray]], list[str]]:
    """Predictions, each with the row (N,) of each face of the truth, the mean shape last; and notes on them."""
    joined: list[tuple[PointSource, np.ndarray]] = []
    notes = []
    for k, (name, place) in enumerate(places):
        if k + 1 < len(places):
            begin_to_read(places[k + 1][1])
        pred = read_prediction(name, place, request.truth, stack, reporter, request.categories)
        found = _with_points_of(truth, pred, reporter)
        if found is pred:
            check_same_ends(truth, pred, measures.normalisers)
        warn_of_other_pictures(truth, pred, reporter)
        pred = found
        warn_of_other_conventions(truth, pred, reporter)
        tell_of_unstated_origins(truth, pred, reporter)
        rows = join_rows(truth, pred, request.join, reporter)
        notes += check_join(truth, pred, rows, request)
        if len(pred) == len(truth) and np.array_equal(rows, np.arange(len(rows))):
            pred = replace(pred, ids=truth.ids)  # so that a million ids are in memory only once
        joined.append((pred, rows))
    _check_names([pred.name for pred, _ in joined])
    for note in notes:
        reporter.warn(note)
    if request.mean_shape is not None:
        joined.append((MeanShape(request.mean_shape, truth), np.arange(len(truth))))
        notes.append(f"the mean shape comes from {request.mean_shape}")
    notes += notes_on_origins(truth, _files_of(joined))
    return joined, notes


def _files_of(joined: Sequence[tuple[PointSource, np.ndarray]]) -> list[PointSet]:
    """The predictions that were read, without the mean shape."""
    return [pred for pred, _ in joined if isinstance(pred, PointSet)]


def _plan(
    request: Request,
    truth: PointSet,
    measures: Measures,
    members: dict[str, np.ndarray],
    joined: list[tuple[PointSource, np.ndarray]],
    frames: Frames | None,
) -> Plan:
    if request.visible_only and all(part.visible is None for part in truth.parts):
        raise DataError(f"{truth.name}: does not say which points are visible", "leave --visible-only out")
    regions = region_points(truth.scheme)
    needs_parts = request.details or request.by in ("region", "landmark")
    if request.by == "region" and not regions:
        raise DataError(f"the scheme {truth.scheme.name} names no regions", "describe them in a scheme of your own")
    return Plan(
        truth,
        joined,
        [normaliser_named(name, truth.scheme) for name in measures.normalisers],
        visible_only=request.visible_only,
        regions=list(regions.values()) if needs_parts else [],
        members=np.stack(list(members.values())) if needs_parts else None,
        before=frames.before if frames else None,
        at_true_places=any(one.origins is not None for one in (truth, *_files_of(joined))),
    )


def _find_worst(joined: tuple[PointSource, np.ndarray], errors: Errors, member: np.ndarray) -> Worst:
    pred, row_of = joined
    rows = worst_rows(errors.nme, member=member)
    return Worst(pred.name, dict(zip(rows.tolist(), pred.points(row_of[rows]), strict=True)))


def _with_points_of(truth: PointSet, pred: PointSet, reporter: Reporter) -> PointSet:
    """The prediction with its points in the order of the truth's. Raises DataError where they are other points."""
    if truth.n_points != pred.n_points:
        raise DataError(
            f"{truth.name}: {truth.n_points} points per face, but {pred.name} has {pred.n_points}",
            "use files of the same scheme; --convert of kd-merge and kd-import converts between schemes",
        )
    found = ordered_like(truth, pred)
    if found is not pred:
        reporter.say(f"{pred.name}: its points are reordered by name, as in {truth.name}")
    elif truth.scheme.name != pred.scheme.name and not (truth.foreign or pred.foreign):
        reporter.warn(f"{pred.name}: its points are {pred.scheme.name}, those of {truth.name} {truth.scheme.name}")
    return found


def _check_names(names: Sequence[str]) -> None:
    """Raises UsageError for a name that two predictions have, or that the mean shape has."""
    for name in names:
        if names.count(name) > 1 or name == MEAN_SHAPE:
            problem = "two predictions are called" if name != MEAN_SHAPE else "no prediction can be called"
            hint = "give each a name of its own: NAME=FILE; --group-models takes those of one name as one method"
            raise UsageError(f"{problem} {name!r}", hint)


def _check_complete(
    request: Request,
    truth: PointSet,
    joined: list[tuple[PointSource, np.ndarray]],
    measurements: Measurements,
    reporter: Reporter,
) -> list[str]:
    """Notes on predictions that lack points. Raises DataError if the request does not allow them."""
    notes = []
    for (pred, row_of), measured in zip(joined, measurements.predictions, strict=True):
        lacking = np.flatnonzero(np.isposinf(measured.distance) & (row_of >= 0))
        if len(lacking) and pred.name != MEAN_SHAPE:
            text = f"{pred.name}: {len(lacking)} of {len(truth)} faces lack predicted points"
            if not request.allow_missing:
                names = some_of([text_of(truth.ids[row]) for row in lacking[:4]])
                raise DataError(f"{text}: {names}", "--allow-missing counts such faces as failures")
            notes.append(f"{text} and are counted as failures")
        lost = 0 if measured.jitter is None else int(np.isposinf(measured.jitter).sum())
        if lost:
            notes.append(
                f"{pred.name}: jitter leaves out {counted(lost, 'frame')} without a prediction "
                f"there or in the frame before"
            )
    for note in notes:
        reporter.warn(note)
    return notes


def _warn_of_wrong_places(truth: PointSet, measurements: Measurements, reporter: Reporter) -> None:
    """Warn of predictions so far from their face that they must belong to another one."""
    shared: set[bytes] | None = None
    for pred in measurements.predictions:
        with np.errstate(invalid="ignore"):
            far = np.flatnonzero(
                np.isfinite(pred.distance) & (pred.distance > measurements.size) & (measurements.size > 0)
            )
        if not len(far) or pred.name == MEAN_SHAPE:
            continue
        if shared is None:  # photographs with a second face
            shared = {photograph_of(identity) for identity in truth.ids if b"#" in identity}
        n_shared = sum(photograph_of(truth.ids[row]) in shared for row in far)
        text = (
            f"{pred.name}: {len(far)} of {len(truth)} predictions are farther from their face than its size, "
            f"such as {text_of(truth.ids[far[0]])!r}"
        )
        if n_shared:
            text += f"; {n_shared} of them in photographs of several faces, which may be numbered in another order: "
            text += "--join place matches these by position"
        reporter.warn(text)
