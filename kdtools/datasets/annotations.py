"""From sources to one list of annotations that agree: same number of points, ids that are unique, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kdtools.datasets.formats import Annotation, Format, Reading, find_format, image_folder
from kdtools.datasets.formats.shared.id_prefixes import id_prefixes
from kdtools.datasets.formats.shared.naming_300w import subsets_in_300w
from kdtools.datasets.plausibility import HeldSkips, plausible
from kdtools.errors import DataError, FileError, KdError, UsageError, some_of
from kdtools.faces.ids import check_unique_ids
from kdtools.faces.schema import check_subset_name
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.landmarks.point_names import are_names, order_by_names
from kdtools.reporting import SILENT, Reporter, counted, printable
from kdtools.storage.names import NOT_STORABLE, frame_in_id, is_storable


@dataclass(frozen=True)
class Sources:
    """What to read and how. `base` None is each format's own; without `pictures` only annotations are read.

    `index` is the annotation file that predictions were made for, for those that name their pictures by its numbers
    (COCO's result lists); others have no use for it, and it may be any file. Not `upright` leaves pictures as they are
    stored, whatever their EXIF orientation is. `categories` are the names of the things to read.
    """

    paths: Sequence[str]
    format_name: str = "auto"
    base: float | None = None
    roots: Sequence[str] = ()
    pictures: bool = True
    index: str | None = None
    upright: bool = True
    categories: Sequence[str] = ()
    _formats: dict[str, Format] = field(default_factory=dict, init=False, repr=False, compare=False)

    def format_of(self, path: str) -> Format:
        """As `find_format`, which lists whole folders, once for each path."""
        if path not in self._formats:
            self._formats[path] = find_format(self.format_name, Path(path))
        return self._formats[path]


def read_annotations(sources: Sources, reporter: Reporter = SILENT) -> list[Annotation]:
    """Annotations of all sources; the reporter gets a message on what each was read as.

    Ids start with the source's name where there are several sources, so that equal file names stay apart. A face that
    occurs twice, with the same points in the same image, is taken once. Raises DataError for ids that are equal all
    the same, FileError for a source none of whose pictures is there.
    """
    annotations: list[Annotation] = []
    roots = tuple(Path(root) for root in sources.roots)
    index = None if sources.index is None else Path(sources.index)
    for path, prefix in zip(sources.paths, id_prefixes(sources.paths), strict=True):
        form = sources.format_of(path)
        if sources.categories and form.names_of_category is None:
            hint = "leave --category out, or have the program write these things alone"
            raise UsageError(f"{path}: files of the format {form.name} are not read by category", hint)
        base = form.base_of(Path(path)) if sources.base is None else sources.base
        held = HeldSkips(Path(path), reporter)
        reading = Reading(
            base,
            held.skip,
            roots,
            sources.pictures,
            index,
            sources.upright,
            reporter.say,
            tuple(sources.categories),
            reporter.warn,
            reporter,
        )
        found = []
        for one in form.read(Path(path), reading):
            held.release()
            # Faces of 300W have one id in every list and folder of it, so that these can be joined.
            id = one.id if subsets_in_300w(one.id) else prefix + one.id
            if id != one.id or one.upright != sources.upright:
                one = replace(one, id=id, upright=sources.upright)
            found.append(_in_video(one))
        if not found and reading.n_absent:
            raise FileError(
                f"{path}: none of its {reading.n_absent} images was found",
                "name their folder with --images, or import the points alone with --no-images",
            )
        if not found:
            held.check()
        reporter.say(
            f"{path}: read as {form.name} ({form.what}); first pixel is {base:g}; {counted(len(found), 'face')}"
        )
        if reading.n_absent:
            reporter.warn(f"{path}: {counted(reading.n_absent, 'image is', 'images are')} absent")
        if reading.n_without_points:
            reporter.say(f"{path}: left out {counted(reading.n_without_points, 'face')} without any point")
        if reading.repeated:
            reporter.say(
                f"{path}: {counted(len(reading.repeated), 'image comes', 'images come')} with "
                f"several faces: {some_of(reading.repeated)}"
            )
        if found and form.name != image_folder.FORMAT.name and all(one.points is None for one in found):
            reporter.warn(f"{path}: holds no points; there are only boxes, of {counted(len(found), 'face')}")
        annotations += plausible(path, form, found, reading, reporter)
    annotations = _each_once(list(_storable(annotations, reporter)), reporter)
    check_unique_ids([one.id for one in annotations])
    return _with_equal_points(annotations, reporter)


def _in_video(one: Annotation) -> Annotation:
    """The annotation with the number of its frame, where its picture is called as one: clip.mp4#frame=000012."""
    place = frame_in_id(str(one.image)) if one.frame is None and one.load is None else None
    if place is None or one.image.is_file():
        return one
    return replace(one, image=Path(place[0]), frame=place[1])


def _storable(annotations: Iterable[Annotation], reporter: Reporter) -> Iterator[Annotation]:
    """Leave out faces whose names a faces file cannot hold."""
    for one in annotations:
        try:
            if not (is_storable(one.id) and is_storable(str(one.image))):
                raise DataError(NOT_STORABLE)
            for name in one.subsets:
                check_subset_name(name)
        except KdError as error:
            reporter.skip(printable(one.id), error.message)
        else:
            yield one


def names_of_points(sources: Sources) -> tuple[str, ...]:
    """Names of the points, as the sources have them; empty where none has names, or mere numbers.

    Raises DataError where the points of two sources are called otherwise, or stand in another order.
    """
    first = ""
    names: tuple[str, ...] = ()
    for path in sources.paths:
        form = sources.format_of(path)
        found = form.point_names(Path(path), tuple(sources.categories))
        if not found or not are_names(found):
            continue
        if names and found != names and len(found) == len(names):
            if order_by_names(names, found) is None:
                what, hint = "other names than those of", "import each by itself: they are different points"
            else:
                what = "the same names, in another order than those of"
                hint = "import each by itself; kd-merge joins points by their names"
            raise DataError(f"{path}: its points have {what} {first}: {some_of(found)}; {some_of(names)}", hint)
        first, names = first or path, names or found
    return names


def mirror_of_points(sources: Sources) -> tuple[int, ...] | None:
    """The mirror map of the points that the sources give and agree in; None where they do not."""
    found = set()
    for path in sources.paths:
        form = sources.format_of(path)
        found.add(form.mirror_of and form.mirror_of(Path(path)))
    return found.pop() if len(found) == 1 else None


def scheme_of_points(sources: Sources) -> Scheme | None:
    """The scheme of programs that know no other, where all sources come from such a program; else None."""
    found = {sources.format_of(path).scheme for path in sources.paths}
    return SCHEMES.get(found.pop()) if len(found) == 1 else None


def role_of_points(sources: Sources, reporter: Reporter = SILENT) -> str:
    """`predicted` where all sources are of formats that programs alone write, which is then said; else `hard`."""
    if not all(sources.format_of(path).predicted for path in sources.paths):
        return "hard"
    reporter.say("points that a program predicted: their role is predicted (--role names another)")
    return "predicted"


def _each_once(annotations: list[Annotation], reporter: Reporter) -> list[Annotation]:
    """Leave out faces that occur again, with the same points in the same image; their subsets are united."""
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
            f"{counted(len(twice), 'face occurs', 'faces occur')} twice, with the same points in "
            f"the same image: {some_of(twice)}; taken once"
        )
    return kept


def _with_equal_points(annotations: list[Annotation], reporter: Reporter) -> list[Annotation]:
    """Leave out faces whose number of points is not that of most, or in a tie of the first: a file has one scheme."""
    sizes = [None if one.points is None else len(one.points) for one in annotations]
    usual = Counter(sizes).most_common(1)[0][0] if sizes else None
    kept = [one for one, size in zip(annotations, sizes, strict=True) if size == usual]
    for one, size in zip(annotations, sizes, strict=True):
        if size != usual:
            reporter.skip(
                one.id, f"{counted(size, 'point') if size else 'no points'}, but {kept[0].id} has {usual or 'none'}"
            )
    return kept
