"""Point sets to compare, read block by block; read_points.py makes them of files.

A million faces of 68 points take half a gigabyte per file, so only the ids are kept in memory.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, FileError, some_of
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import are_unique
from kdtools.faces.validation import check_maps
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.geometry import IDENTITY, apply_affine
from kdtools.landmarks.point_names import point_order
from kdtools.metrics import clean_points
from kdtools.storage.stamps import changed_error, stamp_of
from kdtools.storage.systems import read_at


class Column:
    """Rows of an array on disk or in memory. Files are opened for each read, so thousands of shards are possible."""

    def __init__(self, array: np.ndarray | None, faces: FacesFile | None = None, array_name: str = "") -> None:
        self.array = array
        if faces is None:
            return
        stored, self.name = faces.stored(array_name), faces.name
        offset = stored.id.get_offset() if isinstance(stored, h5py.Dataset) else None
        if offset is None:  # compressed, not written in one piece, or in parts
            self.array = np.asarray(faces.read(array_name, 0, len(faces)))
            return
        self.path, self.offset, self.dtype, self.shape = faces.path, offset, stored.dtype, stored.shape[1:]
        self.row_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        self.stamp = faces.stamp

    def rows(self, rows: np.ndarray | slice) -> np.ndarray:
        """Rows in a new array. Raises FileError for a file that has changed."""
        if self.array is not None:
            return self.array[rows]
        with self.path.open("rb", buffering=0) as file:
            if isinstance(rows, slice):
                values = np.empty((rows.stop - rows.start, *self.shape), self.dtype)
                n_read = read_at(file.fileno(), _bytes_of(values), self.offset + rows.start * self.row_bytes)
                complete = n_read == values.nbytes
            else:  # row by row: five times as fast as through a memory map, which reads pages around each
                values = np.empty((len(rows), *self.shape), self.dtype)
                sizes = {
                    read_at(file.fileno(), _bytes_of(values[k]), self.offset + row * self.row_bytes)
                    for k, row in enumerate(rows.tolist())
                }
                complete = sizes <= {self.row_bytes}
            if stamp_of(os.fstat(file.fileno())) != self.stamp:
                raise changed_error(self.name)
        if not complete:
            raise FileError(f"{self.name}: ends within its points", "it is truncated; make it again")
        return values


def _bytes_of(values: np.ndarray) -> memoryview:
    """Buffer of a contiguous array, to read into; memoryview itself refuses some types of numbers."""
    return values.view(np.uint8).data


@dataclass(frozen=True)
class Part:
    """One file of a point set."""

    points: Column
    to_source: Column | None = None
    visible: Column | None = None
    boxes: Column | None = None
    order: np.ndarray | None = None  # of the points, where it is not that of the file

    def read(self, rows: np.ndarray | slice) -> np.ndarray:
        points = clean_points(self.points.rows(rows))
        if self.order is not None:
            points = points[:, self.order]
        return points if self.to_source is None else apply_affine(self.maps(rows), points)

    def maps(self, rows: np.ndarray | slice) -> np.ndarray:
        """Affine maps (n, 2, 3) from the crops to the source images. Raises DataError if one cannot be inverted."""
        return IDENTITY if self.to_source is None else check_maps(self.to_source.rows(rows), self.to_source.name)


@dataclass(frozen=True)
class PointSet:
    """Points of N faces. `ids` (N,) are UTF-8 bytes, as `FacesFile.id_bytes` has them; `subsets` (N,) bool by name.

    `foreign` means that another program wrote it. Ids stay bytes: a million as text take a quarter of a second and
    150 MB.
    """

    name: str
    ids: np.ndarray
    n_points: int
    scheme: Scheme
    parts: Sequence[Part]
    starts: np.ndarray  # first row of each part
    foreign: bool = False
    subsets: dict[str, np.ndarray] = field(default_factory=dict)
    files: Sequence[str] = ()  # its input files, without standard input
    image_size: tuple[int, int] | None = None  # of the crops, if the file has images
    other_boxes: str = ""  # what the file's boxes are where they are not the annotation's
    guessed: bool = False  # whether the scheme is told by nothing but the number of points
    origins: np.ndarray | None = None  # (N, 2) px, how far points lie beside the true places; None: not at all
    conventions: tuple[Convention, ...] = ()  # those of the faces, or of predictions the one that they are of

    def __len__(self) -> int:
        return len(self.ids)

    def in_order(self, order: np.ndarray, scheme: Scheme) -> PointSet:
        """The same faces with their points (L,) in another order, which is that of `scheme`."""
        parts = [replace(one, order=order if one.order is None else one.order[order]) for one in self.parts]
        return replace(self, parts=parts, scheme=scheme)

    def points(self, rows: np.ndarray | slice) -> np.ndarray:
        """Points (n, L, 2) float64 of these rows in pixels of the source images; NaN for row -1, a missing face."""
        return self._gather(rows, (self.n_points, 2), lambda part, some: part.read(some), np.nan)

    def origins_of(self, rows: np.ndarray | slice) -> np.ndarray:
        """How far the points of these rows lie beside the true places, (n, 2); 0 for row -1."""
        if self.origins is None:
            return np.zeros((1, 2))
        found = self.origins[rows]
        return found if isinstance(rows, slice) else np.where(rows[:, None] < 0, 0, found)

    def to_source(self, rows: np.ndarray | slice) -> np.ndarray:
        """Affine maps (n, 2, 3) from the crops to the source images."""
        return self._gather(rows, (2, 3), lambda part, some: part.maps(some), 0)

    def visible(self, rows: np.ndarray | slice) -> np.ndarray:
        """Whether each point is visible, (n, L) bool; all are if the file does not say."""
        return self._gather(rows, (self.n_points,), _visible_of, 1).astype(bool)

    def boxes(self, rows: np.ndarray | slice) -> np.ndarray:
        """Annotated boxes (n, 4) in pixels of the source images, NaN where there are none."""
        return self._gather(
            rows, (4,), lambda part, some: np.nan if part.boxes is None else part.boxes.rows(some), np.nan
        )

    def _gather(
        self, rows: np.ndarray | slice, shape: tuple[int, ...], read: Callable[[Part, Any], Any], fill: float
    ) -> np.ndarray:
        if isinstance(rows, slice):
            rows_read = range(*rows.indices(len(self)))
            if len(self.parts) == 1:  # usual, and without a copy
                return np.broadcast_to(read(self.parts[0], rows), (len(rows_read), *shape))
            rows = np.array(rows_read)
        values = np.full((len(rows), *shape), fill)
        part_of = np.searchsorted(self.starts, rows, side="right") - 1
        for k in np.unique(part_of[rows >= 0]):
            chosen = (part_of == k) & (rows >= 0)
            values[chosen] = read(self.parts[k], rows[chosen] - self.starts[k])
        return values


def _visible_of(part: Part, rows: np.ndarray | slice) -> Any:
    if part.visible is None:
        return True
    visible = part.visible.rows(rows)
    return visible if part.order is None else visible[:, part.order]


def describe_ids(points: PointSet) -> str:
    """An example of the ids, for messages."""
    return f"the ids of {points.name} are like {text_of(points.ids[0])!r}" if len(points) else f"{points.name} is empty"


def text_of(identity: bytes) -> str:
    return identity.decode("utf-8", "replace")


_FACE_NUMBER = re.compile(rb"#\d+$")


def photograph_of(identity: bytes) -> bytes:
    """Name of the picture: the id without its face number, such as #2."""
    return _FACE_NUMBER.sub(b"", identity)


def check_ids(ids: np.ndarray, name: str) -> None:
    """Raises DataError that names duplicate ids."""
    if not are_unique(ids):
        twice = [text_of(identity) for identity, count in Counter(ids).items() if count > 1]
        raise DataError(f"{name}: faces have the same id: {some_of(twice)}", "ids must be unique to join files by them")


def ordered_like(wanted: PointSet, given: PointSet) -> PointSet:
    """`given` with its points in the order of `wanted`, by name. Raises DataError where they are other points."""
    if wanted.guessed or given.guessed:
        return given
    order = point_order(wanted.scheme, given.scheme, wanted.name, given.name)
    return given if order is None else given.in_order(order, wanted.scheme)
