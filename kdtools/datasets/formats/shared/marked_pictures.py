"""Faces of pictures that an annotation program holds as points with labels: which of them are read, as annotations.

Rectangles with different labels are around different things, faces and hands, though their points may be called alike:
`Reading.categories` says which are meant. Faces that share no label with others are different things as well.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, box_from_corners
from kdtools.datasets.formats.shared.categories import NO_LABEL, Category, choose_categories
from kdtools.datasets.formats.shared.label_sets import check_labels_are_shared, warn_of_rare
from kdtools.datasets.formats.shared.labelled_points import Face, MarkedPicture, faces_in, order_of
from kdtools.datasets.formats.shared.text_lists import check_size, most_frequent
from kdtools.errors import DataError
from kdtools.reporting import counted

_Found = tuple[MarkedPicture, Face]


def read_marked(
    source: Path, pictures: Sequence[MarkedPicture], reading: Reading, folder: Path, declared: Sequence[str] = ()
) -> Iterator[Annotation]:
    """Annotations of all faces of a source, in its order; what is uncertain is skipped.

    Raises DataError where the faces are different things, and none is chosen.
    """
    found: list[_Found] = []
    for picture in pictures:
        try:
            check_size(np.array([value for mark in picture.marks for value in (mark.x, mark.y)], np.float64))
            found += [(picture, face) for face in faces_in(picture)]
        except DataError as error:
            reading.skip(picture.where, error.message + (f"; {error.hint}" if error.hint else ""))
    _mention(pictures, found, reading)
    found = _chosen(source, found, reading.categories, reading.say)
    has_points = any(face.marks for _, face in found)
    ordered = any(picture.ordered for picture, face in found if face.marks)
    n_usual = most_frequent([len(face.marks) for _, face in found if face.marks])
    order = [str(k) for k in range(n_usual)]
    if not ordered:
        faces = [face for _, face in found if face.marks]
        order, _ = order_of(faces, declared)
        warn_of_rare(source, Counter(label for face in faces for label in face.marks), len(faces), reading)
    place = {label: k for k, label in enumerate(order)}
    tells = any(mark.hidden for _, face in found for mark in face.marks.values())
    scored = any(mark.confidence is not None for _, face in found for mark in face.marks.values())
    for picture, face in found:
        if has_points and not any(not mark.missing for mark in face.marks.values()):
            reading.skip(picture.where, "a face without points")
            continue
        if ordered and len(face.marks) != n_usual:
            reading.skip(picture.where, f"{len(face.marks)} points without labels, but most faces have {n_usual}")
            continue
        image = _find(picture, reading, folder)
        if image is None:
            continue
        points, seen, scores = np.full((len(order), 2), np.nan), np.zeros(len(order), bool), np.full(len(order), np.nan)
        for label, mark in face.marks.items():
            if not mark.missing:
                points[place[label]] = mark.x - reading.base, mark.y - reading.base
                seen[place[label]] = not mark.hidden
                scores[place[label]] = np.nan if mark.confidence is None else mark.confidence
        yield Annotation(
            reading.number(picture.id or picture.names[-1]),
            image,
            points if has_points else None,
            visible=seen if tells else None,
            confidence=scores if scored else None,
            box=box_from_corners(*(np.array(face.region.corners) - reading.base)) if face.region else None,
            load=picture.load,
            size=picture.size,
        )


def _find(picture: MarkedPicture, reading: Reading, folder: Path) -> Path | None:
    """Path of the picture; its name where the annotation file holds the pixels itself. None, after a skip."""
    if picture.load:
        return Path(picture.names[0])
    return reading.find_first(picture.names, picture.folder or folder, picture.where)


def _mention(pictures: Sequence[MarkedPicture], found: Sequence[_Found], reading: Reading) -> None:
    """What is not read of a picture is a message where faces of it are read, and else a skip."""
    with_faces = {id(picture) for picture, _ in found}
    for picture in pictures:
        for note in picture.notes:
            if id(picture) in with_faces:
                reading.say(f"{picture.where}: {note}")
            elif not picture.wrong:
                reading.skip(picture.where, note)


def names_of_marks(
    source: Path,
    pictures: Iterable[MarkedPicture],
    declared: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> list[str] | None:
    """Names of the points in their order; None where they are mere numbers, or there are none."""
    found: list[_Found] = []
    for picture in pictures:
        if picture.ordered and picture.marks:
            return None
        with contextlib.suppress(DataError):
            found += [(picture, face) for face in faces_in(picture)]
    order, named = order_of([face for _, face in _chosen(source, found, categories)], declared)
    return order if named else None


def _label_of(face: Face) -> str | None:
    """What the face's rectangle says it is; None without a rectangle."""
    return None if face.region is None else face.region.label


def _chosen(
    source: Path, found: list[_Found], categories: Sequence[str], say: Callable[[str], None] | None = None
) -> list[_Found]:
    """The faces of the chosen category. Those without a rectangle are of the only category there is, or of none."""
    with_points = [face for _, face in found if face.marks] or [face for _, face in found]
    labels = {_label_of(face) for face in with_points} - {None}
    if len(labels) > 1 or categories:
        known = {}
        for label in [*labels, None]:
            faces = [face for face in with_points if _label_of(face) == label]
            names = tuple(sorted({name for face in faces for name in face.marks}))
            known[label] = Category(label or NO_LABEL, "", () if _are_ordered(found) else names)
        things = [(_label_of(face), len(known[_label_of(face)].points) or len(face.marks)) for face in with_points]
        chosen = choose_categories(source, categories, known, things)
    else:
        chosen = frozenset([*labels, None])
    kept = [(picture, face) for picture, face in found if _label_of(face) in chosen or not (face.marks or labels)]
    if say is not None and len(kept) < len(found):
        say(f"{source}: left out {counted(len(found) - len(kept), 'thing')} with other labels")
    check_labels_are_shared(source, [set(face.marks) for _, face in kept])
    return kept


def _are_ordered(found: Iterable[_Found]) -> bool:
    return any(picture.ordered for picture, face in found if face.marks)
