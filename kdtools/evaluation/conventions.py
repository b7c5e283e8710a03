"""Annotation conventions of truth and predictions: what a report says of them."""

from __future__ import annotations

from collections.abc import Sequence

from kdtools.evaluation.point_sets import PointSet
from kdtools.landmarks.conventions import Convention, are_apart
from kdtools.reporting import Reporter


def warn_of_other_conventions(truth: PointSet, pred: PointSet, reporter: Reporter) -> None:
    """Warn where predictions are places of another annotation convention than the truth's."""
    theirs, own = (sorted({one.name for one in points.conventions if one.name}) for points in (pred, truth))
    if theirs and own and (_has_none_among(own, theirs) or _has_none_among(theirs, own)):
        reporter.warn(
            f"{pred.name}: its points are those of the annotation convention {', '.join(theirs)}, but those of "
            f"{truth.name} are of {', '.join(own)}, which means other places by the same numbers"
        )


def _has_none_among(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a convention of `names` means other places than all `others`."""
    return any(all(are_apart(name, other) for other in others) for name in names)


def tell_of_unstated_origins(truth: PointSet, pred: PointSet, reporter: Reporter) -> None:
    """Say what NME at true places takes predictions for whose file cannot state an origin, as a text."""
    if truth.origins is not None and pred.foreign:
        reporter.say(
            f"{pred.name}: cannot state an origin that was added to its points, so NME at true places takes them "
            "for true pixels; a faces file of kd-predict states it"
        )


def notes_on_origins(truth: PointSet, predictions: Sequence[PointSet]) -> list[str]:
    """Which origins are in the labels and in predictions, and what both errors are; nothing where there are none."""
    texts = [
        f"{points.name} {'has' if points is truth else 'was given'} the origin {_listed(points.conventions)}"
        for points in (truth, *predictions)
        if points.origins is not None
    ]
    if not texts:
        return []
    texts += [f"{points.name} states none and is taken for true pixels" for points in predictions if points.foreign]
    return [f"NME is against the labels as annotated, NME at true places with origins taken off: {'; '.join(texts)}"]


def _listed(conventions: Sequence[Convention]) -> str:
    texts = [f"{one.offset[0]:g}, {one.offset[1]:g} px" + (f" ({one.name})" if one.name else "") for one in conventions]
    return "; ".join(texts)
