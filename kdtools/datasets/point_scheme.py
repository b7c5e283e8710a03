"""What the points of annotations mean: a scheme from their names, their number or the data, and its mirror map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kdtools.datasets.formats import Annotation
from kdtools.errors import UsageError, some_of
from kdtools.landmarks import SCHEMES, Scheme, scheme_for_points
from kdtools.landmarks.conversions import conversion_between, convert_mask, convert_points
from kdtools.landmarks.mirror_maps import FoundMirror, find_mirror, mirror_fits, mirror_from_names
from kdtools.landmarks.point_names import are_names, order_by_names, reordered
from kdtools.landmarks.registry import own_scheme
from kdtools.reporting import SILENT, Reporter, counted

_FEWEST_FOR_MIRROR = 5  # faces; a few may look symmetric by chance
_N_COMPARED = 300  # faces that are compared with their mirror images; more would not tell more
_N_WORST = 3  # pairs in a message

_NO_POINTS = "are these the annotations? kd-import --formats lists what is read; for pictures alone, name no scheme"


def settle_scheme(
    annotations: list[Annotation],
    declared: Scheme | None,
    target: Scheme | None,
    names: tuple[str, ...] = (),
    reporter: Reporter = SILENT,
    mirror: tuple[int, ...] | None = None,
) -> tuple[list[Annotation], Scheme | None]:
    """What the points mean, and the annotations converted to `target` where that is given.

    Without `declared` the points' own `names` decide, and without names their number, unless the points or their own
    `mirror` map contradict it. Points that a `declared` scheme names in another order are put into its order. A mirror
    map that is not known is found from the names, or from the data. None where the annotations have no points. Raises
    UsageError for a scheme of another size.
    """
    if not annotations or annotations[0].points is None:
        if declared or target:
            raise UsageError("a scheme was named, but the input has no points", _NO_POINTS)
        return annotations, None
    points = np.stack([one.points for one in annotations if one.points is not None])
    n_points = points.shape[1]
    if declared is not None and declared.n_points != n_points:
        raise UsageError(f"--scheme {declared.name} has {declared.n_points} points, but the input has {n_points}")
    mirror = mirror if mirror is not None and len(mirror) == n_points else None
    named = len(names) == n_points == len(set(names)) and are_names(names)
    if declared is None:
        scheme = _scheme_by_names(names, points, reporter) if named else _scheme_by_count(points, reporter, mirror)
    elif named and declared.names:
        scheme = declared
        order = _order_for(declared, names, reporter)
        if order is not None:
            annotations, points, mirror = _in_order(annotations, order), points[:, order], None
    else:
        scheme = replace(declared, names=names) if named and declared.name not in SCHEMES else declared
    if scheme.mirror is None and scheme.flips and mirror is not None:
        reporter.say(f"mirror map of {scheme.name} as the source has it: {_pairs(mirror)}")
        scheme = replace(scheme, mirror=mirror)
    if scheme.mirror is None and scheme.flips:
        scheme = _with_found_mirror(scheme, points, reporter)
    if target is None or target == scheme:
        return annotations, scheme
    conversion = conversion_between(scheme, target)
    reporter.say(
        f"{scheme.name} converted to {target.name}"
        + (f", approximately: {conversion.note}" if conversion.approximate else "")
    )
    converted = convert_points(points, scheme, target)
    return [
        replace(
            one,
            points=converted[k],
            visible=None if one.visible is None else convert_mask(one.visible, scheme, target),
            confidence=None if one.confidence is None else convert_mask(one.confidence, scheme, target),
        )
        for k, one in enumerate(annotations)
    ], target


def _scheme_by_count(points: np.ndarray, reporter: Reporter, mirror: tuple[int, ...] | None) -> Scheme:
    scheme = scheme_for_points(points.shape[1])
    if scheme.mirror is None:
        return scheme
    some = points[:: max(1, len(points) // _N_COMPARED)]
    if mirror in (None, scheme.mirror) and mirror_fits(scheme, some):
        reporter.say(f"{counted(scheme.n_points, 'point')}, taken for {scheme.name} (--scheme names another)")
        return scheme
    reporter.warn(
        f"{scheme.n_points} points could be {scheme.name}, but do not mirror like those; they are taken for points of "
        f"their own (give --scheme {scheme.name} if they are)"
    )
    return own_scheme(scheme.n_points)


def _scheme_by_names(names: tuple[str, ...], points: np.ndarray, reporter: Reporter) -> Scheme:
    """A known scheme with these names, or whose mirror map they tell; else a scheme of their own."""
    own = replace(own_scheme(len(names)), names=names)
    for known in (scheme for scheme in SCHEMES.values() if scheme.n_points == len(names)):
        order = order_by_names(names, known.names)
        if order is not None and np.array_equal(order, np.arange(len(order))):
            reporter.say(f"{counted(len(names), 'point')}, {known.name} by their names")
            return known
        if order is not None:
            reporter.say(f"the points of {known.name} by their names, in another order (--convert {known.name})")
            return reordered(known, order.tolist(), own.name, names)
        if known.names or known.mirror is None or mirror_from_names(names) != known.mirror:
            continue
        if mirror_fits(known, points[:: max(1, len(points) // _N_COMPARED)]):
            reporter.say(f"{counted(len(names), 'point')}, taken for {known.name} by the sides in their names")
            return replace(known, names=names)
    reporter.say(
        f"{counted(len(names), 'point')} with names of their own: {some_of(names)} (--scheme takes them for others)"
    )
    left, right = (_named_eye(names, side) for side in ("left", "right"))
    return own if left is None or right is None else replace(own, left_eye=left, right_eye=right)


def _named_eye(names: tuple[str, ...], side: str) -> tuple[int, ...] | None:
    """The point that is called an eye."""
    found = [k for k, name in enumerate(names) if order_by_names([f"{side}_eye"], [name]) is not None]
    return (found[0],) if len(found) == 1 else None


def _order_for(declared: Scheme, names: tuple[str, ...], reporter: Reporter) -> np.ndarray | None:
    """The order that brings points of these names into that of a declared scheme; None where they stay.

    Raises UsageError where the names differ.
    """
    order = order_by_names(declared.names, names)
    if order is None:
        given, wanted = set(names), set(declared.names)
        lacking, more = (some_of(sorted(one - other)) for one, other in ((wanted, given), (given, wanted)))
        raise UsageError(
            f"--scheme {declared.name} has points that the input has not: {lacking}",
            f"the input has {more}; give points that are the same one name",
        )
    if np.array_equal(order, np.arange(len(order))):
        return None
    reporter.say(f"the points are reordered by name, as in {declared.name}")
    return order


def _in_order(annotations: list[Annotation], order: np.ndarray) -> list[Annotation]:
    return [
        replace(
            one,
            points=None if one.points is None else one.points[order],
            visible=None if one.visible is None else one.visible[order],
            confidence=None if one.confidence is None else one.confidence[order],
        )
        for one in annotations
    ]


def _with_found_mirror(scheme: Scheme, points: np.ndarray, reporter: Reporter) -> Scheme:
    mirror = mirror_from_names(scheme.names)
    if mirror is not None:
        reporter.say(f"mirror map of {scheme.name} by the left and right in its points' names: {_pairs(mirror)}")
        return replace(scheme, mirror=mirror)
    found = find_mirror(points) if len(points) >= _FEWEST_FOR_MIRROR else None
    if found is None:
        reporter.warn(
            f"no mirror map is known for {scheme.name}, and the points show no symmetry: training will not flip images"
        )
        return scheme
    if found.outliers:
        reporter.warn(
            f"no mirror map is known for {scheme.name}: in the one found from its points, "
            f"{_outliers(scheme, found)} of the face's size, where the mean is {100 * found.residual:.0f} %; training "
            "will not flip images. A scheme of your own (--scheme FILE) states the pairs, mirror = [[0, 4], [1, 3]], "
            "or that there are none, mirror = false"
        )
        return scheme
    reporter.say(
        f"mirror map of {scheme.name} found from the mean shape of {len(points)} faces, "
        f"to {100 * found.residual:.1f} % of its size: {_pairs(found.mirror)}; the worst are "
        + ", ".join(f"{i}-{j}, {100 * found.misses[i]:.1f} %" for i, j in found.pairs[:_N_WORST])
    )
    return replace(scheme, mirror=found.mirror)


def _outliers(scheme: Scheme, found: FoundMirror) -> str:
    """Pairs that are none: `3 and 6 miss each other by 17 %`."""
    texts = []
    for i, j in found.outliers[:_N_WORST]:
        one, other = (f"{k} ({scheme.names[k]})" if scheme.names else str(k) for k in (i, j))
        what = f"{one} misses the middle line" if i == j else f"{one} and {other} miss each other"
        texts.append(f"{what} by {100 * found.misses[i]:.0f} %")
    return " and ".join(texts)


def _pairs(mirror: tuple[int, ...]) -> str:
    return ", ".join(f"{i}-{j}" for i, j in enumerate(mirror) if i < j)
