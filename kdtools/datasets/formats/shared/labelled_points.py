"""Points that an annotation program keeps one by one, each with a label: which of them make a face, and their order.

A face is what the program's groups say: a skeleton, a group number, a relation, a rectangle around the points. Where a
picture has none of these, all its points are one face. What could be read in two ways is refused, picture by picture:
two points of one label in a face, a point that lies in two rectangles or, where there are several faces, in none.

The order of the points never depends on the order of clicks. Labels that are numbers (`0`, `12`, `p3`, `pt_04`) sort as
numbers, and a number that no face has is a missing point. The names of a known scheme take its order, names that the
file declares (CVAT's skeletons, `kd_names`) the declared one; all others sort as text, numbers in them as numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdtools.errors import DataError
from kdtools.landmarks import SCHEMES

MOST_LABELS = 10_000  # of one source: every face has a point for each, so a wrong file could fill the memory
_NUMBERED = re.compile(r"(\D*)(\d{1,6})", re.ASCII)
_MOST_FILLED = 0.25  # of the numbers from the first to the last; where more are absent, the numbers are mere names


@dataclass(frozen=True)
class Mark:
    """One point. `group` is what ties it to a face, empty for nothing; a `missing` one is known to be absent."""

    label: str
    x: float
    y: float
    group: str = ""
    hidden: bool = False
    missing: bool = False
    confidence: float | None = None


@dataclass(frozen=True)
class Region:
    """A rectangle around a face, x0, y0, x1, y1; `group` ties it to points, and its `label` says of what it is."""

    corners: tuple[float, float, float, float]
    group: str = ""
    label: str = ""

    def holds(self, mark: Mark) -> bool:
        x0, y0, x1, y1 = self.corners
        return x0 <= mark.x <= x1 and y0 <= mark.y <= y1

    def lies_in(self, other: Region) -> bool:
        (a0, b0, a1, b1), (x0, y0, x1, y1) = self.corners, other.corners
        return x0 <= a0 and y0 <= b0 and a1 <= x1 and b1 <= y1


@dataclass
class MarkedPicture:
    """What a program holds of one picture.

    `where` is its place in the file, `names` what the picture may be called, the likeliest first; `size` its width and
    height as the program states them. Where `ordered`, points have no labels and stand in the order of their numbers,
    so a face with fewer of them cannot be used. `notes` are what of it is not read, and why.
    """

    where: str
    names: tuple[str, ...]
    size: tuple[int, int] | None = None
    marks: list[Mark] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    wrong: str = ""
    ordered: bool = False
    id: str = ""
    folder: Path | None = None
    load: Callable[[], np.ndarray] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Face:
    """Points by label, and the rectangle around them."""

    marks: dict[str, Mark] = field(default_factory=dict)
    region: Region | None = None

    def add(self, mark: Mark) -> None:
        if mark.label in self.marks:
            raise DataError(f"the label {mark.label!r} occurs twice in a face", "group the points of each face")
        self.marks[mark.label] = mark


def faces_in(picture: MarkedPicture) -> list[Face]:
    """The faces of a picture, those with groups first. Raises DataError where that is not certain."""
    if picture.wrong:
        raise DataError(picture.wrong)
    marks = picture.marks
    if picture.ordered:  # numbered within their group
        counts: Counter[str] = Counter()
        numbered = []
        for mark in marks:
            numbered.append(Mark(str(counts[mark.group]), mark.x, mark.y, mark.group, mark.hidden, mark.missing))
            counts[mark.group] += 1
        marks = numbered
    groups: dict[str, Face] = {}
    for mark in marks:
        if mark.group:
            groups.setdefault(mark.group, Face()).add(mark)
    alone = []
    for region in picture.regions:
        face = groups.get(region.group) if region.group else _face_inside(region, list(groups.values()))
        if face is None:
            alone.append(Face(region=region))
        elif face.region is not None:
            raise DataError("two rectangles belong to one face")
        else:
            face.region = region
    faces = [*groups.values(), *alone]
    free = [mark for mark in marks if not mark.group]
    if picture.ordered and free and len(faces) > 1:
        raise DataError("points without labels, and several faces", "label the points, or group them")
    _share_out(free, faces)
    with_points = [face for face in faces if face.marks]
    around = [face.region for face in with_points if face.region]
    return [
        face
        for face in faces
        if face.marks or not (face.region and any(inner.lies_in(face.region) for inner in around))
    ]


def _face_inside(region: Region, faces: Sequence[Face]) -> Face | None:
    """The only face most of whose points lie in a rectangle, and which has none yet."""
    inside = [
        face
        for face in faces
        if face.region is None and 2 * sum(map(region.holds, face.marks.values())) > len(face.marks)
    ]
    return inside[0] if len(inside) == 1 else None


def _share_out(free: Sequence[Mark], faces: list[Face]) -> None:
    """Give points without a group to the faces whose rectangles hold them, or to a new face."""
    region = faces[0].region if len(faces) == 1 and not faces[0].marks else None
    if region and len({mark.label for mark in free}) == len(free) and any(map(region.holds, free)):
        for mark in free:  # one rectangle: all points are its face's, also one on the chin below
            faces[0].add(mark)
        return
    undecided: list[tuple[Mark, list[Face]]] = []
    outside: list[Mark] = []
    for mark in free:
        holders = _innermost([face for face in faces if face.region and face.region.holds(mark)])
        if len(holders) == 1:
            holders[0].add(mark)
        elif holders:
            undecided.append((mark, holders))
        else:
            outside.append(mark)
    for mark, holders in undecided:
        lacking = [face for face in holders if mark.label not in face.marks]
        if len(lacking) != 1:
            raise DataError(f"the point {mark.label!r} is in {len(holders)} rectangles", "group the points")
        lacking[0].add(mark)
    if outside:
        with_points = [face for face in faces if face.marks]
        for mark in outside:
            if any(mark.label not in face.marks for face in with_points):
                raise DataError(f"the point {mark.label!r} could belong to several faces", "group the points")
        rest = Face()
        for mark in outside:
            if mark.label in rest.marks:
                raise DataError(
                    f"the label {mark.label!r} stands {sum(one.label == mark.label for one in outside)} times, and "
                    "nothing tells which points are of one face",
                    "group the points, or draw a rectangle around each face",
                )
            rest.add(mark)
        faces.append(rest)


def _innermost(faces: list[Face]) -> list[Face]:
    """The face whose rectangle lies in all the others' (a face in a body), or all of them."""
    for face in faces:
        if all(face.region and other.region and face.region.lies_in(other.region) for other in faces):
            return [face]
    return faces


def order_of(faces: Sequence[Face], declared: Sequence[str] = ()) -> tuple[list[str], bool]:
    """Labels in the order of their points, and whether they are names and no mere numbers.

    Raises DataError for more labels than any set of points has.
    """
    labels = list(dict.fromkeys(label for face in faces for label in face.marks))
    if len(labels) > MOST_LABELS:
        raise DataError(f"its points have more than {MOST_LABELS} labels", "points need the same ones in each face")
    if not labels:
        return [], False
    if declared and set(labels) <= set(declared):
        return list(declared), _numbers_in(declared) is None
    if (numbers := _numbers_in(labels)) is not None:
        return _by_number(dict(zip(numbers, labels, strict=True)))
    for scheme in SCHEMES.values():
        if scheme.names and set(scheme.names) == set(labels):
            return list(scheme.names), True
    return sorted(labels, key=_natural), True


def _by_number(labels: dict[int, str]) -> tuple[list[str], bool]:
    """As `order_of`, of labels by their numbers: those that no face has are put in between, unless they are many."""
    first, last = min(labels), max(labels)
    if last - first + 1 - len(labels) > _MOST_FILLED * (last - first + 1):
        return [labels[k] for k in sorted(labels)], True
    if first and first <= _MOST_FILLED * last:
        first = 1
    return [labels.get(k, f"no point {k}") for k in range(first, last + 1)], False


def _numbers_in(labels: Sequence[str]) -> list[int] | None:
    """The number in each label where they differ in nothing else; None for other labels, and where two are equal."""
    matches = [match for label in labels if (match := _NUMBERED.fullmatch(label))]
    numbers = [int(match[2]) for match in matches]
    alike = len({match[1].lower() for match in matches}) == 1
    return numbers if alike and len(numbers) == len(labels) and len(set(numbers)) == len(numbers) else None


def _natural(label: str) -> list[tuple[int, int, str]]:
    """Key that sorts eye_2 before eye_10."""
    parts = re.split(r"([0-9]{1,18})", label)
    return [(0, int(part), "") if k % 2 else (1, 0, part.lower()) for k, part in enumerate(parts)] + [(2, 0, label)]


def declared_names(entry: object) -> list[str]:
    """`kd_names` of a JSON object: the names of the points in their order, which kd-dump writes. Empty for none."""
    names = entry.get("kd_names") if isinstance(entry, dict) else None
    is_list = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    return names if is_list and isinstance(names, list) and len(set(names)) == len(names) <= MOST_LABELS else []
