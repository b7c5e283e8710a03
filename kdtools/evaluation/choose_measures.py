"""Choice of normalisers, thresholds and subsets: the protocol's, unless the request overrides it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.evaluation.point_sets import PointSet
from kdtools.evaluation.protocols import Measures, Protocol, protocol_named, resolve
from kdtools.evaluation.request import DEFAULT_THRESHOLDS, Request, split_norms
from kdtools.faces.box_origin import OTHER_BOXES
from kdtools.faces.selection import ALL_FACES, check_subsets, subset_members
from kdtools.metrics import GIVEN_BOX, normaliser_named, normalisers_of
from kdtools.reporting import Reporter


def choose_measures(request: Request, truth: PointSet) -> tuple[Measures, Protocol | None]:
    """What the request overrides of the protocol's measures, and the rest from the protocol."""
    protocol = protocol_named(request.protocol) if request.protocol else None
    if protocol:
        measures = resolve(protocol, truth.scheme, has_boxes=_has_own_boxes(truth))
    else:
        measures = Measures(_names_of("all", truth), DEFAULT_THRESHOLDS, subsets=())
    names = measures.normalisers
    if request.norm is not None:
        names = _names_of(request.norm, truth)
    if GIVEN_BOX in names:
        _check_boxes(truth)
    thresholds = tuple(dict.fromkeys([*(request.thresholds or measures.thresholds), *request.more_thresholds]))
    in_pixels = all(normaliser_named(name, truth.scheme).pixels for name in names)
    if max(thresholds) >= 1 and not in_pixels:
        raise UsageError(
            f"the threshold {max(thresholds):g} would be {max(thresholds):.0%} of the normaliser",
            "give fractions below 1, such as 0.08 for 8 %",
        )
    return Measures(names, thresholds, measures.subsets, measures.binned_step), protocol


def _names_of(text: str, truth: PointSet) -> tuple[str, ...]:
    """Names from a comma-separated list that may contain `all`; each length once."""
    names: dict[object, str] = {}
    for word in split_norms(text):
        if word == "all":
            normalisers = normalisers_of(truth.scheme)
            normalisers += [normaliser_named(GIVEN_BOX, truth.scheme)] if _has_own_boxes(truth) else []
        else:
            normalisers = [normaliser_named(word, truth.scheme)]
        for normaliser in normalisers:
            names.setdefault(normaliser.pixels or normaliser.name, normaliser.name)
    if not names:
        raise UsageError(f"--norm is {text!r}", "name a normaliser, such as inter-ocular")
    return tuple(names.values())


def _has_own_boxes(truth: PointSet) -> bool:
    return any(part.boxes is not None for part in truth.parts)


def _check_boxes(truth: PointSet) -> None:
    """Raises DataError where a file has no boxes of the annotation to divide by."""
    if _has_own_boxes(truth):
        return
    what = f"its boxes are {truth.other_boxes}" if truth.other_boxes else "it holds no boxes"
    hint = "give the annotation itself as --truth, or import it with --no-images, which keeps its boxes"
    if truth.other_boxes == OTHER_BOXES[""]:
        hint += "; docs/format.md says how to state that boxes are the annotation's (attribute origin of /box)"
    raise DataError(f"{truth.name}: {GIVEN_BOX} divides by the annotation's boxes, but {what}", hint)


def choose_subsets(
    truth: PointSet, protocol_subsets: Sequence[str], requested: Sequence[str], reporter: Reporter
) -> dict[str, np.ndarray]:
    """Name -> member (N,) bool; `full` is every face and comes first unless other subsets are requested."""
    if ALL_FACES in truth.subsets and not truth.subsets[ALL_FACES].all():
        reporter.warn(f"{truth.name}: its own subset {ALL_FACES!r} is left out; here that name means every face")
    members = subset_members(truth.subsets, len(truth))
    check_subsets(requested, members, truth.name)
    chosen = requested or [name for name in protocol_subsets if name in members] or members
    return {name: members[name] for name in dict.fromkeys(chosen)}
