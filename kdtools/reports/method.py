"""How an evaluation was measured, in words that stand under every report."""

from __future__ import annotations

from kdtools.errors import UsageError
from kdtools.evaluation.protocols import PROTOCOLS
from kdtools.evaluation.results import Evaluation
from kdtools.metrics.normalisers import normaliser_named
from kdtools.metrics.summary import threshold_label
from kdtools.reports.figures import clean, compared, interval_of
from kdtools.schemes import Scheme

_LENGTHS = {
    "inter-ocular": "distance between the outer eye corners",
    "inter-pupil": "distance between the centres of the eyes",
    "box-diagonal": "diagonal of the box of the true points",
    "box-size": "root of width times height of the box of the true points",
    "face-height": "height of the box of the true points",
    "given-box": "root of width times height of the box that came with the annotation",
}


def normaliser_meaning(name: str, scheme: Scheme) -> str:
    """What a normaliser's length is, with its points; nothing for a name that is unknown."""
    try:
        normaliser = normaliser_named(name, scheme)
    except UsageError:
        return _LENGTHS.get(name, "")
    if normaliser.pixels is not None:
        return f"{normaliser.pixels:g} pixels for every face"
    length = _LENGTHS.get(name, "distance between two points")
    if normaliser.ends:
        first, second = ("+".join(map(str, points)) for points in normaliser.ends)
        length += f", true points {first} and {second}, counted from 0"
    return length


def facts_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Name and text of what a reader must know to measure the same again."""
    scheme = evaluation.scheme
    facts = [
        (
            "Truth",
            f"{clean(evaluation.truth)}: {evaluation.n_faces} faces, {scheme.n_points} points ({clean(scheme.name)})",
        )
    ]
    if evaluation.protocol:
        protocol = PROTOCOLS.get(evaluation.protocol)
        said = [protocol.title, protocol.source, protocol.note] if protocol else [clean(evaluation.protocol)]
        facts.append(("Protocol", ". ".join(text.rstrip(".") for text in said)))
    for name in evaluation.normalisers:
        meaning = normaliser_meaning(name, scheme)
        facts.append(("Normaliser", f"{clean(name)}" + (f": {meaning}" if meaning else "")))
    if evaluation.thresholds:
        shares = ", ".join(map(threshold_label, evaluation.thresholds))
        binned = any("binned" in key for row in evaluation.rows[:1] for key in row.figures)
        kind = "exact, binned: Simpson's rule over sampled errors" if binned else "exact"
        facts.append(("FR and AUC", f"at errors of {shares} of the normaliser; AUC is {kind}"))
    with_intervals = any(interval_of(row.figures, "nme_percent") for row in evaluation.rows)
    if with_intervals:
        facts.append(("Intervals", f"95 %: bootstrap-t by {unit_of(evaluation)}{_units(evaluation)}, of FR Wilson's"))
    if compared(evaluation.rows):
        facts.append(
            (
                "Comparison",
                f"with {clean(evaluation.baseline)} on the faces that both predict; bootstrap-t of the differences by "
                f"{unit_of(evaluation)}, Wilcoxon's signed-rank test{'' if with_intervals else _units(evaluation)}",
            )
        )
    return facts


def unit_of(evaluation: Evaluation) -> str:
    """What counts as one when chance is estimated, to stand after "by"."""
    return "face" if evaluation.groups is None else "group of faces"


def _units(evaluation: Evaluation) -> str:
    return f" ({clean(evaluation.grouping)})" if evaluation.grouping else ""
