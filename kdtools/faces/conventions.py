"""The annotation conventions of a faces file's faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdtools.errors import DataError
from kdtools.landmarks.conventions import (
    MOST_CONVENTIONS,
    Convention,
    Origin,
    check_name,
    checked_origin,
    conventions_from_json,
)


@dataclass(frozen=True)
class FaceConventions:
    """`all`, sorted by name, and `of_faces` (N,) int64, each face's number among them; -1 where it states none."""

    all: tuple[Convention, ...]
    of_faces: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.all)

    @property
    def origins(self) -> np.ndarray:
        """(C, 2) float64, x and y in pixels of the source images; 0, 0 where it is not known."""
        return np.array([one.offset for one in self.all], np.float64).reshape(-1, 2)

    @property
    def counts(self) -> np.ndarray:
        """Number of faces of each, (C,)."""
        return np.bincount(self.of_faces[self.of_faces >= 0], minlength=len(self.all))

    def origins_of(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Origin of each of some faces, (n, 2); 0, 0 where it states no convention or that one has none."""
        return np.vstack([self.origins, np.zeros((1, 2))])[self.of_faces[rows]]  # -1 is the last row

    def names_of_faces(self) -> list[str]:
        """The name of each face's convention, '' where it states none."""
        names = [*self.names, ""]  # -1 is the last
        return [names[number] for number in self.of_faces]

    def with_default(self, name: str) -> FaceConventions:
        """The same, where faces that state none are of the convention `name`."""
        known = {one.name: one for one in (Convention(name), *self.all)}
        names = sorted(known)
        place = np.array([*(names.index(one) for one in self.names), names.index(name)], np.int64)
        return FaceConventions(tuple(known[one] for one in names), place[self.of_faces])

    def only(self, name: str) -> FaceConventions:
        """The convention called `name`, if it is among them, without any faces."""
        return FaceConventions(tuple(one for one in self.all if one.name == name), np.empty(0, np.int64))

    def of_rows(self, rows: slice | np.ndarray) -> FaceConventions:
        """Those of some faces, without conventions that none of them has."""
        numbers = self.of_faces[rows]
        kept = np.unique(numbers[numbers >= 0])
        return FaceConventions(
            tuple(self.all[k] for k in kept), np.where(numbers < 0, -1, np.searchsorted(kept, numbers))
        )


def read_conventions(stated: Any, names: Iterable[list[str]], n_faces: int, where: str) -> FaceConventions:
    """Conventions from the JSON that a file states and the names of its faces in blocks of rows, '' for none.

    Raises DataError, which names the file `where`, for damaged ones, a bad name, or too many.
    """
    try:
        return _join(conventions_from_json(stated), names, n_faces)
    except DataError as error:
        raise DataError(f"{where}:/convention: {error.message}", error.hint) from error


def _join(stated: dict[str, Convention], names: Iterable[list[str]], n_faces: int) -> FaceConventions:
    numbers = {"": -1}
    found, at = np.full(n_faces, -1, np.int64), 0
    for block in names:
        for name in dict.fromkeys(block):
            if name not in numbers:
                check_name(name)
                numbers[name] = len(numbers) - 1
        if max(len(numbers) - 1, len(stated)) > MOST_CONVENTIONS:
            hint = "a convention is how a whole set was annotated, not a name for each face"
            raise DataError(f"more than {MOST_CONVENTIONS} annotation conventions", hint)
        found[at : at + len(block)] = [numbers[name] for name in block]
        at += len(block)
    met = [name for name in numbers if name]
    known = sorted({*met, *stated})
    place = np.array([*(known.index(name) for name in met), -1], np.int64)  # of those in the order they were met
    return FaceConventions(tuple(stated.get(name, Convention(name)) for name in known), place[found])


def join_conventions(parts: Sequence[tuple[str, FaceConventions]]) -> FaceConventions:
    """Those of several files' faces one after the other; `parts` are the files' names and their faces' conventions.

    Raises DataError, which names both files, where one name has two origins.
    """
    met: dict[str, tuple[str, Convention]] = {}
    for file, stated in parts:
        for one in stated.all:
            other, same = met.setdefault(one.name, (file, one))
            if same != one:
                origins = [_origin_in_words(origin) for origin in (same.origin, one.origin)]
                hint = (
                    f"state it alike (kd-merge FILE --convention {one.name} --origin X,Y), or call sets with origins "
                    f"of their own {one.rule}/SET"
                )
                what = (
                    f"{other} and {file}: the convention {one.name} has {origins[0]} in one, {origins[1]} in the other"
                )
                raise DataError(what, hint)
    names = sorted(met)
    place = [np.array([*(names.index(name) for name in stated.names), -1], np.int64) for _, stated in parts]
    of_faces = [own[stated.of_faces] for own, (_, stated) in zip(place, parts, strict=True)]
    return FaceConventions(tuple(met[name][1] for name in names), np.concatenate(of_faces))


def _origin_in_words(origin: Origin | None) -> str:
    return "no origin" if origin is None else f"the origin {origin[0]:g}, {origin[1]:g}"


def convention_of_points(name: Any, origin: Any, where: str) -> Convention | None:
    """What attributes of /landmarks state: the convention of predictions, and the origin put back into them.

    Raises DataError, which names the file `where`, for other values.
    """
    if name is None and origin is None:
        return None
    try:
        if name:
            check_name(str(name))
        return Convention(str(name or ""), None if origin is None else checked_origin(origin))
    except DataError as error:
        raise DataError(f"{where}:/landmarks: {error.message}", error.hint) from error
