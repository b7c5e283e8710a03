"""The origin of labels, estimated from predictions that are means over each face and its mirror image.

Labels that lie o px to the right of the true places do so in mirrored copies of the photographs, too, when these are
annotated in the same way. A network that has learnt such an offset moves its points by o in a face and, seen in the
face's own frame, by -o in its mirror image; one that was mirrored in training has learnt none. So the mean of both is
at the true place in either case, and label - prediction is the origin. Of an offset in y the mirror image says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.units import find_units
from kdtools.faces.conventions import FaceConventions
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import match_ids
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import Convention, Origin
from kdtools.metrics import mean_interval, point_bounds
from kdtools.reporting import Reporter, counted

LEAST_PEOPLE = 10  # fewer are too few for an estimate
_FAR = 0.1  # mean distance, in longer sides of a face's points, from which a prediction says nothing of a pixel
NOT_STATED = ""  # in place of the name of a convention


@dataclass(frozen=True)
class Estimate:
    """The origin in x of one annotation convention, in pixels of the source images, with its 95 % interval.

    `small` and `large` are those of the smaller and the larger half of the faces: a fault of origin does not depend on
    the size. `size_*` are the mean longer sides of their points in px. `y` is the origin in y that the file states.
    None: too few people. `left_out` faces have no points, or a prediction that is far off.
    """

    convention: str
    faces: int
    people: int
    left_out: int
    x: float | None
    low: float | None
    high: float | None
    y: float
    small: float | None
    large: float | None
    size_small: float | None
    size_large: float | None

    @property
    def is_none(self) -> bool:
        """Whether the interval holds 0."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high

    @property
    def origin(self) -> Origin | None:
        """The origin to write, in thousandths of a pixel: 0 in x where none is found."""
        return None if self.x is None else (0.0 if self.is_none else round(self.x, 3), self.y)


def estimate_origins(
    faces: FacesFile, conventions: FaceConventions, predictions: FacesFile, group: str | None, reporter: Reporter
) -> list[Estimate]:
    """Estimates for the `conventions` of `faces`, in order; those of faces that state none come first.

    `group` says who is one person: see `find_units`. Raises DataError for predictions that are not means over mirror
    images, or of other faces or points.
    """
    if faces.role == "predicted":
        raise DataError(f"{faces.name}: holds predicted landmarks, but labels are needed", "name them first")
    order = faces.order_of_points(predictions)
    rows = match_ids(faces.ids, predictions.ids, faces.name, predictions.name)
    _check_predictions(predictions)
    offsets, far = _offsets(faces, np.asarray(predictions.true_points("source")[rows][:, order], np.float64))
    units = find_units(faces.id_bytes, group)
    codes = np.arange(len(faces)) if units.codes is None else units.codes
    reporter.say(f"people: {units.description}")
    sizes = _sizes(faces)
    found = []
    for number, name in [(-1, NOT_STATED), *enumerate(conventions.names)]:
        of_all = conventions.of_faces == number
        chosen = of_all & ~far & np.isfinite(offsets)
        if of_all.any():
            y = conventions.all[number].offset[1] if number >= 0 else 0.0
            n_out = int(of_all.sum() - chosen.sum())
            found.append(_estimate(name, offsets[chosen], sizes[chosen], codes[chosen], n_out, y))
    return found


def with_origins(conventions: FaceConventions, estimates: Sequence[Estimate]) -> FaceConventions:
    """The conventions with the origins that could be estimated. Raises DataError where none could be."""
    found = {one.convention: one.origin for one in estimates if one.origin is not None}
    if not found:
        hint = f"each convention needs faces of {LEAST_PEOPLE} people or more, with predictions near their labels"
        raise DataError("no origin could be estimated, so there is nothing to write", hint)
    stated = tuple(Convention(one.name, found.get(one.name, one.origin)) for one in conventions.all)
    return FaceConventions(stated, conventions.of_faces)


def _check_predictions(predictions: FacesFile) -> None:
    predictions.require("landmarks")
    again = "find the points again with kd-predict --flip"
    if predictions.role != "predicted":
        what = f"{predictions.name}: holds {predictions.role} landmarks, but predictions are needed"
        raise DataError(what, again)
    if not predictions.flipped:
        what = f"{predictions.name}: does not say that its points are means over each face and its mirror image"
        raise DataError(what, f"a network may have learnt the origin, which cancels in such means alone: {again}")


def _offsets(faces: FacesFile, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of label - prediction in x of each face (N,), px; and whether its prediction is far off, (N,)."""
    labels = np.asarray(faces.points("source"), np.float64)
    difference = _in_pairs(labels - predicted, faces.scheme, faces.name)
    with np.errstate(invalid="ignore"):
        far = _mean(np.linalg.norm(difference, axis=2)) > _FAR * _sizes(faces)
    return _mean(difference[..., 0]), far


def _in_pairs(difference: np.ndarray, scheme: Scheme, name: str) -> np.ndarray:
    """Differences (N, L, 2), NaN for a point whose mirror image is not annotated: one side alone would not cancel."""
    if scheme.mirror is None:
        hint = "a scheme of your own (kd-import --scheme FILE) states the pairs"
        raise DataError(f"{name}: the scheme {scheme.name} does not say which points are mirror images", hint)
    return np.where(np.isnan(difference[:, list(scheme.mirror)]), np.nan, difference)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over points (N, L) of those that are known; NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(count, np.where(known, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _sizes(faces: FacesFile) -> np.ndarray:
    """Longer side (N,) of each face's points in the source image, px."""
    low, high = point_bounds(np.asarray(faces.points("source"), np.float64))
    return np.asarray((high - low).max(axis=1))


def _estimate(
    name: str, offsets: np.ndarray, sizes: np.ndarray, codes: np.ndarray, left_out: int, y: float
) -> Estimate:
    n_people = len(np.unique(codes))
    if n_people < LEAST_PEOPLE:
        return Estimate(name, len(offsets), n_people, left_out, None, None, None, y, None, None, None, None)
    interval = mean_interval(offsets, codes)
    assert interval is not None  # as there are several people, and no value is infinite
    order = np.argsort(sizes, kind="stable")
    small, large = order[: len(order) // 2], order[len(order) // 2 :]
    return Estimate(
        name,
        len(offsets),
        n_people,
        left_out,
        float(offsets.mean()),
        *interval,
        y,
        *(float(values[half].mean()) for values in (offsets, sizes) for half in (small, large)),
    )


def remarks(estimates: Sequence[Estimate]) -> Iterator[str]:
    """What is to be said of estimates, in lines."""
    for one in estimates:
        name = one.convention or "faces that state no convention"
        if one.x is None:
            people = counted(one.people, "person", "people")
            yield f"{name}: {people} with sound predictions are too few for an origin, {LEAST_PEOPLE} are needed"
        else:
            verdict = ", not different from 0" if one.is_none else ""
            yield (
                f"{name}: origin {one.x:+z.2f} px in x{verdict} (95 % interval {one.low:+z.2f} to {one.high:+z.2f}; "
                f"{counted(one.faces, 'face')}; smaller ones {one.small:+z.2f}, larger ones {one.large:+z.2f})"
            )
        if one.left_out:
            yield f"{name}: {counted(one.left_out, 'face')} left out, without points or with a prediction far off"
