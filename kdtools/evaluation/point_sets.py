"""Point sets to compare, read block by block from faces files, shards of them and files of other programs.

A million faces of 68 points take half a gigabyte per file, so only the ids are kept in memory.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.datasets.formats import FORMATS, find_format
from kdtools.errors import DataError, FileError, UsageError, some_of
from kdtools.faces.box_origin import OTHER_BOXES, box_origin
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.schema import ANNOTATION
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import IDENTITY, apply_affine
from kdtools.landmarks.point_names import point_order
from kdtools.metrics import clean_points
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.file_kinds import HDF5, SAFETENSORS, form_of_start, read_start
from kdtools.storage.outputs import name_of
from kdtools.storage.stamps import changed_error, stamp_of


class _Column:
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
                n_read = os.preadv(file.fileno(), [_bytes_of(values)], self.offset + rows.start * self.row_bytes)
                complete = n_read == values.nbytes
            else:  # row by row: five times as fast as through a memory map, which reads pages around each
                values = np.empty((len(rows), *self.shape), self.dtype)
                sizes = {
                    os.preadv(file.fileno(), [_bytes_of(values[k])], self.offset + row * self.row_bytes)
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
class _Part:
    """One file of a point set."""

    points: _Column
    to_source: _Column | None = None
    visible: _Column | None = None
    boxes: _Column | None = None
    order: np.ndarray | None = None  # of the points, where it is not that of the file

    def read(self, rows: np.ndarray | slice) -> np.ndarray:
        points = clean_points(self.points.rows(rows))
        if self.order is not None:
            points = points[:, self.order]
        return points if self.to_source is None else apply_affine(self.to_source.rows(rows), points)


@dataclass(frozen=True)
class PointSet:
    """Points of N faces. `ids` (N,) are UTF-8 bytes in an object array; `subsets` (N,) bool by name.

    `foreign` means that another program wrote it. Ids stay bytes: a million as text take a quarter of a second and
    150 MB.
    """

    name: str
    ids: np.ndarray
    n_points: int
    scheme: Scheme
    parts: Sequence[_Part]
    starts: np.ndarray  # first row of each part
    foreign: bool = False
    subsets: dict[str, np.ndarray] = field(default_factory=dict)
    files: Sequence[str] = ()  # its input files, without standard input
    image_size: tuple[int, int] | None = None  # of the crops, if the file has images
    other_boxes: str = ""  # what the file's boxes are where they are not the annotation's
    guessed: bool = False  # whether the scheme is told by nothing but the number of points

    def __len__(self) -> int:
        return len(self.ids)

    def in_order(self, order: np.ndarray, scheme: Scheme) -> PointSet:
        """The same faces with their points (L,) in another order, which is that of `scheme`."""
        parts = [replace(one, order=order if one.order is None else one.order[order]) for one in self.parts]
        return replace(self, parts=parts, scheme=scheme)

    def points(self, rows: np.ndarray | slice) -> np.ndarray:
        """Points (n, L, 2) float64 of these rows in pixels of the source images; NaN for row -1, a missing face."""
        return self._gather(rows, (self.n_points, 2), lambda part, some: part.read(some), np.nan)

    def to_source(self, rows: np.ndarray | slice) -> np.ndarray:
        """Affine maps (n, 2, 3) from the crops to the source images."""
        return self._gather(
            rows, (2, 3), lambda part, some: IDENTITY if part.to_source is None else part.to_source.rows(some), 0
        )

    def visible(self, rows: np.ndarray | slice) -> np.ndarray:
        """Whether each point is visible, (n, L) bool; all are if the file does not say."""
        return self._gather(rows, (self.n_points,), _visible_of, 1).astype(bool)

    def boxes(self, rows: np.ndarray | slice) -> np.ndarray:
        """Annotated boxes (n, 4) in pixels of the source images, NaN where there are none."""
        return self._gather(
            rows, (4,), lambda part, some: np.nan if part.boxes is None else part.boxes.rows(some), np.nan
        )

    def _gather(
        self, rows: np.ndarray | slice, shape: tuple[int, ...], read: Callable[[_Part, Any], Any], fill: float
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


def _visible_of(part: _Part, rows: np.ndarray | slice) -> Any:
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


_NAMED = re.compile(r"([^=/\\]+)=(.+)", re.DOTALL)


def read_prediction(
    word: str, index: str, stack: contextlib.ExitStack, reporter: Reporter, categories: Sequence[str] = ()
) -> PointSet:
    """One prediction of the command line: FILE or a glob of shards, either with a NAME= prefix; - is standard input.

    `index` is the file of the truth, which may name the pictures that another program's results refer to by number. An
    existing file whose name contains = or * is taken literally. `categories` choose among its things where it is of the
    format of the truth. Raises FileError for a glob without matches, DataError
    for a face in two shards.
    """
    name, place = word, word
    if not os.path.exists(word) and (match := _NAMED.fullmatch(word)):
        name, place = match[1], match[2]
    paths = [place]
    if place != "-" and not os.path.exists(place) and glob.has_magic(place):
        paths = sorted(glob.glob(place, recursive=True))
        if not paths:
            raise FileError(f"{place}: no file matches", "is the pattern right, and have the jobs written anything?")
    return _join_parts(
        name_of(name), [read_points(path, stack, reporter, index=index, categories=categories) for path in paths]
    )


def _join_parts(name: str, sets: Sequence[PointSet]) -> PointSet:
    first = sets[0]
    for k, other in enumerate(sets):
        if other.n_points != first.n_points:
            raise DataError(
                f"{other.name}: {other.n_points} points per face, but {first.name} has {first.n_points}",
                "the shards of one prediction must be of one scheme",
            )
        sets = [*sets[:k], same_points(first, other), *sets[k + 1 :]]
    ids = np.concatenate([one.ids for one in sets])
    if len(sets) > 1:
        owner: dict[bytes, int] = {}
        for k, one in enumerate(sets):
            for identity in one.ids:
                if owner.setdefault(identity, k) != k:
                    raise DataError(
                        f"{one.name}: has face {text_of(identity)!r}, and so has {sets[owner[identity]].name}",
                        "each face must be in one shard: remove what an earlier run left behind, or leave out the "
                        "quotes where these are several predictions",
                    )
    parts = [part for one in sets for part in one.parts]
    starts = np.cumsum([0] + [len(one) for one in sets[:-1]])
    files = [path for one in sets for path in one.files]
    foreign = any(one.foreign for one in sets)
    guessed = all(one.guessed for one in sets)
    return PointSet(name, ids, first.n_points, first.scheme, parts, starts, foreign, files=files, guessed=guessed)


def same_points(wanted: PointSet, given: PointSet) -> PointSet:
    """`given` with its points in the order of `wanted`, by name. Raises DataError where they are other points."""
    if wanted.guessed or given.guessed:
        return given
    order = point_order(wanted.scheme, given.scheme, wanted.name, given.name)
    return given if order is None else given.in_order(order, wanted.scheme)


def read_points(
    path: str,
    stack: contextlib.ExitStack,
    reporter: Reporter,
    *,
    index: str | None = None,
    categories: Sequence[str] = (),
) -> PointSet:
    """Points of a faces file, or of another program's file in any format that kd-import reads.

    Standard input and pipes are spooled and must be faces files. With `index` the points are predictions: see
    `read_prediction`. `categories` are the things to read of another program's truth. Raises as `open_faces` and the
    readers do, and UsageError for categories of a faces file.
    """
    is_pipe = path == "-" or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))
    if categories and index is None and (is_pipe or (os.path.exists(path) and not _is_foreign(path))):
        hint = "leave it out; --subset chooses faces"
        raise UsageError(f"{path}: a faces file, and --category is for annotations of other programs", hint)
    if is_pipe:
        place = path
        if path != "-":
            place = str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kdtools-"))) / "spool")
            with open(path, "rb") as pipe, open(place, "wb") as spool:
                shutil.copyfileobj(pipe, spool, 1 << 20)
        points = _from_faces(stack.enter_context(open_faces(place)))
        return replace(points, name=name_of(path), files=())
    if _is_foreign(path):
        return _from_annotations(path, index, categories, reporter)
    if glob.has_magic(path) and not os.path.exists(path):
        raise FileError(f"{path}: no such file", "the truth is one file; kd-merge joins several")
    with open_faces(path) as faces:
        return _from_faces(faces)


def _is_foreign(path: str) -> bool:
    """Whether another program wrote it: a folder, text, or HDF5 that is no faces file (such as DeepLabCut's)."""
    if not os.path.exists(path):
        return False  # open_faces reports it
    if os.path.isdir(path):
        return True
    try:
        with open(path, "rb") as stream:
            start = read_start(stream)
    except OSError:
        return False
    kind = form_of_start(start)
    if kind == HDF5:
        with contextlib.suppress(OSError, RuntimeError), h5py.File(path, "r") as h5:
            return "kd_kind" not in h5.attrs and any(reader.accepts(Path(path)) for reader in FORMATS.values())
        return False
    return bool(start.strip()) and kind != SAFETENSORS


def _from_faces(faces: FacesFile) -> PointSet:
    faces.require("landmarks")
    origin, of_crops = box_origin(faces), ["to_source"] if faces.has_images else []
    names = ["landmarks", *of_crops, "visible", *(["box"] if origin == ANNOTATION else [])]
    columns = {name: _Column(None, faces, name) for name in names if name in faces}
    part = _Part(columns["landmarks"], columns.get("to_source"), columns.get("visible"), columns.get("box"))
    return PointSet(
        faces.name,
        faces.id_bytes,
        faces.n_points,
        faces.scheme,
        [part],
        np.zeros(1, np.int64),
        subsets=faces.subsets,
        files=[faces.name],
        image_size=faces.image_size if faces.has_images else None,
        other_boxes=OTHER_BOXES[origin] if "box" in faces and origin != ANNOTATION else "",
    )


def check_ids(ids: np.ndarray, name: str) -> None:
    """Raises DataError that names duplicate ids."""
    if len(set(ids)) != len(ids):
        twice = [text_of(identity) for identity, count in Counter(ids).items() if count > 1]
        raise DataError(f"{name}: faces have the same id: {some_of(twice)}", "ids must be unique to join files by them")


class _WithoutMessages(Reporter):
    """Passes on warnings and skipped inputs only: how a file was read is of interest in an import."""

    def __init__(self, reporter: Reporter) -> None:
        self.warn, self.skip = reporter.warn, reporter.skip  # type: ignore[method-assign]


def _from_annotations(path: str, index: str | None, categories: Sequence[str], reporter: Reporter) -> PointSet:
    """With `index` the points are predictions, which need not look like faces."""
    # It loads OpenCV, which faces files do not need.
    from kdtools.datasets.annotations import Sources, names_of_points, read_annotations
    from kdtools.datasets.point_scheme import settle_scheme

    if index and categories and find_format("auto", Path(path)) is not find_format("auto", Path(index)):
        categories = ()
    sources = Sources([path], pictures=False, index=index, categories=categories)
    annotations = read_annotations(sources, _WithoutMessages(reporter))
    with_points = [one for one in annotations if one.points is not None]
    if not with_points:
        raise DataError(f"{path}: holds no landmarks", "name the file of the points, not the pictures")
    scheme_reporter = SILENT if index else _WithoutMessages(reporter)
    own_names = names_of_points(sources)
    _, scheme = settle_scheme(with_points, None, None, own_names, scheme_reporter)
    points = np.stack([one.points for one in with_points if one.points is not None])
    if scheme is None:
        scheme = Scheme(f"points{points.shape[1]}", points.shape[1])
    names = frozenset().union(*(one.subsets for one in with_points))
    visible = boxes = None
    if any(one.visible is not None for one in with_points):
        everything = np.ones(points.shape[1], bool)
        visible = np.stack([everything if one.visible is None else one.visible for one in with_points])
    if any(one.box is not None for one in with_points):
        boxes = np.stack([np.full(4, np.nan) if one.box is None else one.box for one in with_points])
    columns = [None if one is None else _Column(one) for one in (visible, boxes)]
    part = _Part(_Column(points), None, columns[0], columns[1])
    ids = np.array([one.id.encode() for one in with_points], object)
    subsets = {name: np.array([name in one.subsets for one in with_points]) for name in sorted(names)}
    guessed = len(own_names) != points.shape[1]
    starts = np.zeros(1, np.int64)
    return PointSet(path, ids, points.shape[1], scheme, [part], starts, True, subsets, [path], guessed=guessed)
