"""How an evaluation was measured: the facts at the end of every report."""

from __future__ import annotations

from kdtools.evaluation.protocols import PROTOCOLS
from kdtools.evaluation.results import Evaluation
from kdtools.landmarks import Scheme
from kdtools.metrics.normalisers import normaliser_named
from kdtools.metrics.summary import threshold_label
from kdtools.reporting import counted, printable
from kdtools.reports.columns import is_interval_end
from kdtools.reports.table import compared

_LENGTHS = {
    "inter-ocular": "distance between the outer eye corners",
    "inter-pupil": "distance between the centres of the eyes",
    "box-diagonal": "diagonal of the box of the true points",
    "box-size": "root of width times height of the box of the true points",
    "face-height": "height of the box of the true points",
    "given-box": "root of width times height of the box that came with the annotation",
}


def normaliser_meaning(name: str, scheme: Scheme) -> str:
    """What length a normaliser is, and between which points."""
    normaliser = normaliser_named(name, scheme)
    if normaliser.pixels is not None:
        return f"{normaliser.pixels:g} pixels for every face"
    length = _LENGTHS.get(name, "distance between two points")
    if normaliser.ends:
        first, second = ("+".join(map(str, points)) for points in normaliser.ends)
        length += f", true points {first} and {second}, counted from 0"
    return length


def facts_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Names and texts of what a reader must know to repeat the measurement."""
    scheme = evaluation.scheme
    facts = [
        (
            "Truth",
            f"{printable(evaluation.truth)}: {counted(evaluation.n_faces, 'face')}, "
            f"{counted(scheme.n_points, 'point')} "
            f"({printable(scheme.name)})",
        )
    ]
    if evaluation.protocol:
        protocol = PROTOCOLS[evaluation.protocol]
        facts.append(("Protocol", f"{protocol.title}: {protocol.source}. {protocol.note}".rstrip(". ")))
    facts += [("Normaliser", f"{name}: {normaliser_meaning(name, scheme)}") for name in evaluation.normalisers]
    if evaluation.thresholds:
        shares = ", ".join(map(threshold_label, evaluation.thresholds))
        binned = any("binned" in key for row in evaluation.rows[:1] for key in row.values)
        kind = "exact, binned: Simpson's rule over sampled errors" if binned else "exact"
        facts.append(("FR and AUC", f"at errors of {shares} of the normaliser; AUC is {kind}"))
    values = (item for row in evaluation.rows for item in row.values.items())
    with_intervals = any(value is not None for key, value in values if is_interval_end(key))
    if with_intervals:
        models = f"; wider by the spread between models ({printable(evaluation.models)})" if evaluation.models else ""
        by = f"{unit_of(evaluation)}{_units(evaluation)}"
        facts.append(("Intervals", f"95 %: bootstrap-t by {by}, of FR Wilson's{models}"))
    elif has_one_group(evaluation):
        facts.append(("Intervals", f"none, as there is one group only{_units(evaluation)}"))
    if compared(evaluation.rows):
        tests = "the spread between models" if evaluation.models else "Wilcoxon's signed-rank test"
        facts.append(
            (
                "Comparison",
                f"with {printable(evaluation.baseline)}, the differences on the faces that both predict: bootstrap-t "
                f"by {unit_of(evaluation)}, {tests}{'' if with_intervals else _units(evaluation)}; "
                "better on: of all faces measured in both, a missing prediction being the worst",
            )
        )
    return facts


def unit_of(evaluation: Evaluation) -> str:
    """The units of intervals and tests, as a word to follow "by"."""
    return "face" if evaluation.groups is None else "group of faces"


def _units(evaluation: Evaluation) -> str:
    return f" ({printable(evaluation.grouping)})" if evaluation.grouping else ""


def has_one_group(evaluation: Evaluation) -> bool:
    """Whether all faces are of one person or video, which allows no interval."""
    return evaluation.groups is not None and bool((evaluation.groups == evaluation.groups[0]).all())
