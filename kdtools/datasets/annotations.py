"""From sources to one list of annotations that agree: same number of points, ids that are unique, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kdtools.datasets.formats import Annotation, Reading, find_format
from kdtools.datasets.formats.shared.id_prefixes import id_prefixes
from kdtools.datasets.formats.shared.naming_300w import subsets_in_300w
from kdtools.datasets.plausibility import HeldSkips, plausible
from kdtools.errors import DataError, FileError, KdError, UsageError, some_of
from kdtools.faces.file import check_unique_ids
from kdtools.faces.schema import check_subset_name
from kdtools.landmarks import SCHEMES, Scheme, scheme_for_points
from kdtools.landmarks.conversions import convert_mask, convert_points, find_conversion
from kdtools.landmarks.mirror_maps import find_mirror, mirror_fits, mirror_from_names
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.names import NOT_STORABLE, escaped, is_storable

_FEWEST_FOR_MIRROR = 5  # faces; a few may look symmetric by chance
_N_COMPARED = 300  # faces that are compared with their mirror images; more would not tell more


@dataclass(frozen=True)
class Sources:
    """What to read and how. `base` None is each format's own; without `pictures` only annotations are read.

    `index` is the annotation file that predictions were made for, for those that name their pictures by its numbers
    (COCO's result lists); others have no use for it, and it may be any file. Not `upright` leaves pictures as they are
    stored, whatever their EXIF orientation is.
    """

    paths: Sequence[str]
    format_name: str = "auto"
    base: float | None = None
    roots: Sequence[str] = ()
    pictures: bool = True
    index: str | None = None
    upright: bool = True


def read_annotations(sources: Sources, reporter: Reporter = SILENT) -> list[Annotation]:
    """Annotations of all sources; the reporter gets a message on what each was read as.

    Ids start with the source's name where there are several sources, so that equal file names stay apart. A face that
    stands twice, with the same points in the same image, is taken once. Raises DataError for ids that are equal all
    the same, FileError for a source none of whose pictures is there.
    """
    annotations: list[Annotation] = []
    roots = tuple(Path(root) for root in sources.roots)
    index = None if sources.index is None else Path(sources.index)
    for path, prefix in zip(sources.paths, id_prefixes(sources.paths), strict=True):
        form = find_format(sources.format_name, Path(path))
        base = form.base_of(Path(path)) if sources.base is None else sources.base
        held = HeldSkips(Path(path), reporter)
        reading = Reading(base, held.skip, roots, sources.pictures, index, sources.upright, reporter.say)
        found = []
        for one in form.read(Path(path), reading):
            held.release()
            # Faces of 300W have one id in every list and folder of it, so that these can be joined.
            id = one.id if subsets_in_300w(one.id) else prefix + one.id
            found.append(replace(one, id=id, upright=sources.upright))
        if not found and reading.n_absent:
            raise FileError(
                f"{path}: none of its {reading.n_absent} images was found",
                "name their folder with --images, or import the points alone with --no-images",
            )
        if not found:
            held.check()
        reporter.say(f"{path}: read as {form.name} ({form.what}); first pixel is {base:g}; {len(found)} faces")
        if reading.n_absent:
            reporter.warn(f"{path}: {reading.n_absent} images are absent")
        if reading.n_without_points:
            reporter.say(f"{path}: {reading.n_without_points} faces without any point are left out")
        if reading.repeated:
            reporter.say(f"{path}: {len(reading.repeated)} images come with several faces: {some_of(reading.repeated)}")
        annotations += plausible(path, form, found, reading, reporter)
    annotations = _each_once(list(_storable(annotations, reporter)), reporter)
    check_unique_ids([one.id for one in annotations])
    return _with_equal_points(annotations, reporter)


def _storable(annotations: Iterable[Annotation], reporter: Reporter) -> Iterator[Annotation]:
    """Leave out faces whose names a faces file cannot hold."""
    for one in annotations:
        try:
            if not (is_storable(one.id) and is_storable(str(one.image))):
                raise DataError(NOT_STORABLE)
            for name in one.subsets:
                check_subset_name(name)
        except KdError as error:
            reporter.skip(escaped(one.id), error.message)
        else:
            yield one


def names_of_points(sources: Sources) -> tuple[str, ...]:
    """Names of the points that the sources give and agree in; empty where they do not."""
    found = set()
    for path in sources.paths:
        form = find_format(sources.format_name, Path(path))
        found.add(tuple((form.names_of and form.names_of(Path(path))) or ()))
    return found.pop() if len(found) == 1 else ()


def mirror_of_points(sources: Sources) -> tuple[int, ...] | None:
    """The mirror map of the points that the sources give and agree in; None where they do not."""
    found = set()
    for path in sources.paths:
        form = find_format(sources.format_name, Path(path))
        found.add(form.mirror_of and form.mirror_of(Path(path)))
    return found.pop() if len(found) == 1 else None


def scheme_of_points(sources: Sources) -> Scheme | None:
    """The scheme of programs that know no other, where all sources come from such a program; else None."""
    found = {find_format(sources.format_name, Path(path)).scheme for path in sources.paths}
    return SCHEMES.get(found.pop()) if len(found) == 1 else None


def role_of_points(sources: Sources, reporter: Reporter = SILENT) -> str:
    """`predicted` where all sources are of formats that programs alone write, which is then said; else `hard`."""
    if not all(find_format(sources.format_name, Path(path)).predicted for path in sources.paths):
        return "hard"
    reporter.say("points that a program predicted: their role is predicted (--role names another)")
    return "predicted"


def _each_once(annotations: list[Annotation], reporter: Reporter) -> list[Annotation]:
    """Leave out faces that stand again, with the same points in the same image; their subsets are united."""
    first: dict[tuple[str, int | None, bytes], int] = {}
    kept: list[Annotation] = []
    twice: list[str] = []
    for one in annotations:
        if one.points is None or one.load is not None:
            kept.append(one)
            continue
        row = first.setdefault((str(one.image), one.frame, one.points.tobytes()), len(kept))
        if row == len(kept):
            kept.append(one)
        else:
            twice.append(one.id)
            kept[row] = replace(kept[row], subsets=kept[row].subsets | one.subsets)
    if twice:
        reporter.warn(
            f"{len(twice)} faces stand twice, with the same points in the same image: {some_of(twice)}; taken once"
        )
    return kept


def _with_equal_points(annotations: list[Annotation], reporter: Reporter) -> list[Annotation]:
    """Leave out faces whose number of points is not that of most, or in a tie of the first: a file has one scheme."""
    sizes = [None if one.points is None else len(one.points) for one in annotations]
    usual = Counter(sizes).most_common(1)[0][0] if sizes else None
    kept = [one for one, size in zip(annotations, sizes, strict=True) if size == usual]
    for one, size in zip(annotations, sizes, strict=True):
        if size != usual:
            reporter.skip(one.id, f"{size or 'no'} points, but {kept[0].id} has {usual or 'none'}")
    return kept


def settle_scheme(
    annotations: list[Annotation],
    declared: Scheme | None,
    target: Scheme | None,
    names: tuple[str, ...] = (),
    reporter: Reporter = SILENT,
    mirror: tuple[int, ...] | None = None,
) -> tuple[list[Annotation], Scheme | None]:
    """What the points mean, and the annotations converted to `target` where that is given.

    Without `declared` the number of points decides, unless the points or their own `mirror` map contradict it; a mirror
    map that is not known is found from the points' `names`, or from the data. None where the annotations have no
    points. Raises UsageError for a scheme of another size.
    """
    if not annotations or annotations[0].points is None:
        if declared or target:
            raise UsageError("a scheme was named, but the input has no points")
        return annotations, None
    points = np.stack([one.points for one in annotations if one.points is not None])
    n_points = points.shape[1]
    if declared is not None and declared.n_points != n_points:
        raise UsageError(f"--scheme {declared.name} has {declared.n_points} points, but the input has {n_points}")
    if declared is not None and declared.names and names and names != declared.names:
        annotations = _in_order(annotations, names, declared)
        points = np.stack([one.points for one in annotations if one.points is not None])
        names, mirror = declared.names, None
    mirror = mirror if mirror is not None and len(mirror) == n_points else None
    scheme = declared or _scheme_by_count(points, reporter, mirror)
    if len(names) == n_points == len(set(names)) and scheme.name not in SCHEMES and not scheme.names:
        scheme = replace(scheme, names=names)
    if scheme.mirror is None and mirror is not None:
        reporter.say(f"mirror map of {scheme.name} as the source has it: {_pairs(mirror)}")
        scheme = replace(scheme, mirror=mirror)
    if scheme.mirror is None:
        scheme = _with_found_mirror(scheme, points, reporter)
    if target is None or target == scheme:
        return annotations, scheme
    conversion = find_conversion(scheme.name, target.name)
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


def _in_order(annotations: list[Annotation], names: tuple[str, ...], scheme: Scheme) -> list[Annotation]:
    """Put named points into the order of a scheme with the same names. Raises UsageError where the names differ."""
    given, wanted = set(names), set(scheme.names)
    if given != wanted:
        lacking, more = (some_of(sorted(a - b)) for a, b in ((wanted, given), (given, wanted)))
        raise UsageError(
            f"--scheme {scheme.name} has points that the input has not: {lacking}",
            f"the input has {more}; give points that are the same one name",
        )
    order = [names.index(name) for name in scheme.names]
    return [
        replace(
            one,
            points=None if one.points is None else one.points[order],
            visible=None if one.visible is None else one.visible[order],
            confidence=None if one.confidence is None else one.confidence[order],
        )
        for one in annotations
    ]


def _scheme_by_count(points: np.ndarray, reporter: Reporter, mirror: tuple[int, ...] | None) -> Scheme:
    scheme = scheme_for_points(points.shape[1])
    if scheme.mirror is None:
        return scheme
    some = points[:: max(1, len(points) // _N_COMPARED)]
    if mirror in (None, scheme.mirror) and mirror_fits(scheme, some):
        reporter.say(f"{scheme.n_points} points, taken for {scheme.name} (--scheme names another)")
        return scheme
    reporter.warn(
        f"{scheme.n_points} points could be {scheme.name}, but do not mirror like those; they are taken for points of "
        f"their own (give --scheme {scheme.name} if they are)"
    )
    return Scheme(f"points{scheme.n_points}", scheme.n_points)


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
    reporter.say(
        f"mirror map of {scheme.name} found from the mean shape of {len(points)} faces, "
        f"to {100 * found.residual:.1f} % of its size: {_pairs(found.mirror)}"
    )
    return replace(scheme, mirror=found.mirror)


def _pairs(mirror: tuple[int, ...]) -> str:
    return ", ".join(f"{i}-{j}" for i, j in enumerate(mirror) if i < j)
