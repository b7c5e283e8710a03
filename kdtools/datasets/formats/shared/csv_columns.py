"""Which columns of a table are a face's name and the x and y of its points, found by their names.

Understood are x0, y0, x1, y1, ...; x_0 or 0_x; any words around the axis and the number (part_0_x, landmark_x0); names
of points (nose_x, nose.y, noseX); x, y, x, y, ...; in any order of columns. Columns of boxes (box_x0, center_x,
x_min) and columns without an axis (score, z0) are left aside. What could be read in two ways is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.datasets.formats.shared.annotation import as_points
from kdtools.datasets.formats.shared.tables import has_decimal_comma, is_missing, numbers_of
from kdtools.datasets.formats.shared.text_lists import is_number, most_frequent
from kdtools.errors import DataError, some_of
from kdtools.landmarks import scheme_for_points
from kdtools.landmarks.mirror_maps import mirror_fits

ID_NAMES = {"id", "face_id"}
IMAGE_NAMES = {
    *("image", "image_name", "imagename", "image_file", "image_path", "img", "img_name", "img_path", "picture"),
    *("name", "path", "file", "filename", "file_name", "filepath", "file_path"),
}
FRAME_NAMES = {
    *("frame", "frame_number", "frame_no", "frame_num", "frame_id", "frame_index", "frame_idx", "framenumber"),
    *("frameid", "frame_nr"),
}
VIDEO_NAMES = {"video", "video_name", "video_file", "video_path", "clip", "movie"}
TIME_NAMES = {"time", "timestamp", "time_s", "time_sec", "seconds"}
# What a row's thing is, where a table has points of several: at most one column decides, the first of these names.
CATEGORY_NAMES = (
    *("category", "category_name", "class", "class_name", "classname", "label", "label_name", "object", "object_class"),
    *("object_name", "thing", "species", "category_id", "class_id", "label_id"),
)
_AXIS = re.compile(r"(?<![A-Za-z])[xyXY](?![A-Za-z])|(?<=[a-z])[XY](?![A-Za-z])")
# A column whose words are all of these, one at least of the first kind, is of no point: box_x0, face_center_x, pose_x.
_OTHER_THINGS = {
    *("box", "bbox", "rect", "rectangle", "roi", "crop", "center", "centre", "min", "max", "tl", "br", "corner"),
    *("pose", "gaze", "angle", "rotation", "translation", "offset", "size", "scale", "resolution"),
}
_BESIDE_OTHER_THINGS = {"face", "head", "bounding", "image", "img", "left", "right", "top", "bottom"}
_FEWEST_OF_NUMBERED = 5  # points: the mirror images of so few say too little
_TIME = re.compile(r"(t|time|timestamp|secs?|seconds|ms)(_?(s|secs?|seconds|ms|msecs?|milliseconds|us|ns))?")
_FRAMES_HINT = "add a column frame, counted from 0: seconds times the frames per second of the video"
_HINT = "name the columns image,x0,y0,x1,y1,..."


@dataclass(frozen=True)
class Columns:
    """Positions of the cells: `image` the picture's name or None, `id` the face's id or None, `xy` (2 L,) of points.

    `category` says what the points of a row are of, where the table has such a column. `frame` is the number of a frame
    in a `video`, and `time` that in seconds.
    `names` are those of the points in a header, without their axis; empty where the header has no more than x and y.
    """

    n_cells: int
    xy: tuple[int, ...]
    image: int | None = 0
    id: int | None = None
    names: tuple[str, ...] = ()
    category: int | None = None
    frame: int | None = None
    video: int | None = None
    time: int | None = None

    def points_of(self, row: Sequence[str], base: float) -> np.ndarray:
        """Points (L, 2) with `base` subtracted. Raises DataError for a cell that is not a number."""
        return as_points(numbers_of([row[k] for k in self.xy]), base)


def is_header(row: Sequence[str]) -> bool:
    """Whether most cells after the first are words. A line of data may have a damaged cell, a header a number."""
    n_words = sum(not (is_missing(cell) or is_number(cell.strip()) or has_decimal_comma(cell)) for cell in row[1:])
    return 2 * n_words >= max(1, len(row) - 1)


def columns_of_header(header: Sequence[str]) -> Columns:
    """Raises DataError where names are missing, or could be read in two ways."""
    names = [cell.strip() for cell in header]
    lower = {name.lower() for name in names}
    axes = {k: axis for k, name in enumerate(names) if (axis := _axis_of(name)) and not _has_sides(axis, lower)}
    pairs = _pairs_of({k: (names[k][: m.start()] + "*" + names[k][m.end() :], m[0]) for k, m in axes.items()})
    plain = {k: re.sub(r"[\s-]+", "_", name.lower()) for k, name in enumerate(names) if k not in axes}
    ids = [k for k, name in plain.items() if name in ID_NAMES]
    images = [k for k, name in plain.items() if name in IMAGE_NAMES]
    if len(ids) > 1 or len(images) > 1:
        raise DataError(f"its header has several columns of names: {some_of([names[k] for k in ids + images])}", _HINT)
    frame, video, time = (
        next((k for k, name in plain.items() if name in wanted), None)
        for wanted in (FRAME_NAMES, VIDEO_NAMES, TIME_NAMES)
    )
    if frame is not None and plain.get(ids[0] if ids else -1) == "face_id":
        ids = []  # counts the faces of a frame
    if not ids and not images and frame is None:
        times = [k for k, name in plain.items() if _TIME.fullmatch(name)]
        if times and (times[0] == 0 or video is not None):
            raise DataError(f"its rows have times ({names[times[0]]!r}), but no numbers of frames", _FRAMES_HINT)
        if 0 not in plain:
            raise DataError(f"its header has no column for the image's name before {names[0]!r}", _HINT)
        images = [0]
    things = {name: k for k, name in reversed(plain.items()) if k not in (*ids, *images)}
    xy = tuple(k for pair in pairs for k in pair)
    called = tuple((names[k][: axes[k].start()] + names[k][axes[k].end() :]).strip("_.- ") for k in xy[::2])
    return Columns(
        len(names),
        xy,
        images[0] if images else None,
        ids[0] if ids else None,
        called if all(called) and len(set(called)) == len(called) else (),
        next((things[name] for name in CATEGORY_NAMES if name in things), None),
        frame,
        video,
        time,
    )


def _axis_of(name: str) -> re.Match[str] | None:
    """The x or y of a point in a column's name; None for the name of anything else."""
    found = list(_AXIS.finditer(name))
    if len(found) != 1:
        return None
    words = set(re.findall("[a-z]+", (name[: found[0].start()] + " " + name[found[0].end() :]).lower()))
    return None if words & _OTHER_THINGS and words <= _OTHER_THINGS | _BESIDE_OTHER_THINGS else found[0]


def _has_sides(axis: re.Match[str], names: set[str]) -> bool:
    """Whether the x or y is a box's, because a width of the same name stands beside it: x, y, w, h."""
    before, after = axis.string[: axis.start()].lower(), axis.string[axis.end() :].lower()
    return any(f"{before}{side}{after}" in names for side in ("w", "width"))


def _pairs_of(columns: dict[int, tuple[str, str]]) -> list[tuple[int, int]]:
    """Columns of x and y, point by point, from position -> (name with * in the axis's place, axis)."""
    if not columns:
        raise DataError("its first line, taken for a header, names no columns of x and y", _HINT)
    stems = {stem for stem, _ in columns.values()}
    if len(stems) == 1 and not re.search(r"\d", next(iter(stems))):  # x, y, x, y, ...
        order = sorted(columns)
        axes = "".join(columns[k][1] for k in order).lower()
        if axes != "xy" * (len(order) // 2):
            raise DataError(f"its header repeats {next(iter(stems))!r}, and not as x, y, x, y", _HINT)
        return list(zip(order[::2], order[1::2], strict=True))
    if "*" in stems:
        raise DataError("its header has x and y besides the points", f"leave them out, or {_HINT}")
    place: dict[tuple[str, str], int] = {}
    for k, (stem, axis) in columns.items():
        if place.setdefault((stem, axis.lower()), k) != k:
            raise DataError(f"its header has two columns {stem.replace('*', axis)!r}", _HINT)
    lone = [stem for stem in stems if not {(stem, "x"), (stem, "y")} <= place.keys()]
    if lone:
        raise DataError(f"its header has an x or a y alone: {some_of(sorted(lone))} (* is the axis)", _HINT)
    return [(place[stem, "x"], place[stem, "y"]) for stem in _in_order([s for s, axis in place if axis == "x"])]


def _in_order(stems: list[str]) -> list[str]:
    """Numbered points by their numbers, named ones as they stand."""
    families = sorted({re.sub(r"\d+", "#", stem) for stem in stems})
    if len(stems) == 1 or not any("#" in family for family in families):
        return stems
    if len(families) > 1:
        raise DataError(f"its header has several sets of points: {some_of(families)} (# is a number)", _HINT)
    numbers = np.array([[int(number) for number in re.findall(r"\d+", stem)] for stem in stems], object)
    varying = [column for column in numbers.T if len(set(column)) > 1]
    order = np.argsort(varying[0]) if len(varying) == 1 else np.arange(len(stems))
    counted = [varying[0][k] for k in order] if len(varying) == 1 else []
    if counted not in ([*range(len(stems))], [*range(1, len(stems) + 1)]):
        raise DataError(f"its header does not count the points {families[0]} from 0 or 1 without a gap", _HINT)
    return [stems[k] for k in order]


def columns_by_place(n_cells: int) -> Columns:
    """Image name, x0, y0, x1, y1, ..., for a table without a header."""
    return Columns(n_cells, tuple(range(1, n_cells)))


def numbers_of_rows(rows: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """The numbers after the name in rows of the most frequent length; rows with other text are left out."""
    usual = most_frequent([len(row) for row in rows])
    numbers = []
    for row in rows:
        if len(row) == usual:
            with contextlib.suppress(DataError):
                numbers.append(numbers_of(row[1:]))
    return numbers


def is_numbered(row: Sequence[str]) -> bool:
    """Whether a first line holds the columns' numbers, as pandas writes for a header: ,0,1,2 or image,0,1,2."""
    names = [re.sub(r"^unnamed: (?=\d+$)", "", cell.strip().lower()) for cell in row]
    numbers, first = names[1:], names[0]
    counted = [[str(k) for k in range(start, start + len(numbers))] for start in (0, 1)]
    return len(numbers) >= 2 and numbers in counted and (not first or first.isdecimal() or first in IMAGE_NAMES)


def scheme_of_numbered(rows: Sequence[np.ndarray]) -> str:
    """The known scheme whose points the numbers (n,) of these faces are, in the order x0, y0, x1, y1, ...

    Raises DataError where none has that many, or the points do not mirror like it: the order might be another.
    """
    n_numbers = len(rows[0]) if rows else 0
    scheme = scheme_for_points(n_numbers // 2)
    known = n_numbers % 2 == 0 and scheme.n_points > _FEWEST_OF_NUMBERED and scheme.mirror is not None
    if not known or not mirror_fits(scheme, np.stack(rows).reshape(len(rows), -1, 2)):
        raise DataError("its header numbers the columns, so what they mean is not known", _HINT)
    return scheme.name
