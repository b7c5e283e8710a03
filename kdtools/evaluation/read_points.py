"""Reading the points to evaluate from faces files, shards of them, pipes, and files of other programs."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from kdtools.errors import DataError, FileError, UsageError
from kdtools.evaluation.point_sets import Column, Part, PointSet, ordered_like, text_of
from kdtools.faces.box_origin import OTHER_BOXES, box_origin
from kdtools.faces.file import FacesFile, begin_to_open, open_faces
from kdtools.faces.schema import ANNOTATION
from kdtools.landmarks import Scheme
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.file_kinds import HDF5, SAFETENSORS, form_of_start, read_start
from kdtools.storage.hdf5_checks import joined_texts
from kdtools.storage.hdf5_guard import HDF5_ERRORS
from kdtools.storage.outputs import name_of

_NAMED = re.compile(r"([^=/\\]+)=(.+)", re.DOTALL)


def read_prediction(
    name: str | None,
    place: str,
    index: str,
    stack: contextlib.ExitStack,
    reporter: Reporter,
    categories: Sequence[str] = (),
) -> PointSet:
    """One prediction: `place` is a file, a glob of shards, or - for standard input; without a name it is called so.

    `index` is the file of the truth, which may name the pictures that another program's results refer to by number. An
    existing file whose name contains * is taken literally. `categories` choose among its things where it is of the
    format of the truth. Raises FileError for a glob without matches, DataError for a face in two shards.
    """
    return _join_parts(
        name_of(name or place),
        [read_points(path, stack, reporter, index=index, categories=categories) for path in files_at(place)],
    )


def files_at(place: str) -> list[str]:
    """The files that a glob matches, sorted; anything else as it is, as an existing file whose name contains * is.

    Raises FileError for a glob without matches.
    """
    if place == "-" or os.path.exists(place) or not glob.has_magic(place):
        return [place]
    paths = sorted(glob.glob(place, recursive=True))
    if not paths:
        raise FileError(f"{place}: no file matches", "is the pattern right, and have the jobs written anything?")
    return paths


def split_name(word: str) -> tuple[str | None, str]:
    """`NAME=FILE` -> NAME and FILE; an existing file is taken literally, and has no name.

    >>> split_name("kd=pred.h5"), split_name("pred.h5")
    (('kd', 'pred.h5'), (None, 'pred.h5'))
    """
    match = None if os.path.exists(word) else _NAMED.fullmatch(word)
    return (match[1], match[2]) if match else (None, word)


def _join_parts(name: str, sets: Sequence[PointSet]) -> PointSet:
    first = sets[0]
    for k, other in enumerate(sets):
        if other.n_points != first.n_points:
            raise DataError(
                f"{other.name}: {other.n_points} points per face, but {first.name} has {first.n_points}",
                "the shards of one prediction must be of one scheme",
            )
        sets = [*sets[:k], ordered_like(first, other), *sets[k + 1 :]]
    ids = _join_ids([one.ids for one in sets])
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
    origins = None
    if any(one.origins is not None for one in sets):
        origins = np.concatenate([np.zeros((len(one), 2)) if one.origins is None else one.origins for one in sets])
    conventions = tuple(dict.fromkeys(convention for one in sets for convention in one.conventions))
    return PointSet(
        name,
        ids,
        first.n_points,
        first.scheme,
        parts,
        starts,
        foreign,
        files=files,
        guessed=guessed,
        origins=origins,
        conventions=conventions,
    )


def _join_ids(ids: list[np.ndarray]) -> np.ndarray:
    """Ids of all shards, as objects where those of one are much longer than most: each is as wide as the longest."""
    if len(ids) == 1:
        return ids[0]
    all_packed = all(some.dtype.kind == "S" for some in ids)
    packed = joined_texts(ids) if all_packed else None
    return np.concatenate([some.astype(object) for some in ids]) if packed is None else packed


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
    is_foreign = not is_pipe and _is_foreign(path)
    if categories and index is None and not is_foreign and (is_pipe or os.path.exists(path)):
        hint = "leave it out; --subset chooses faces"
        raise UsageError(f"{path}: a faces file, and --category is for annotations of other programs", hint)
    if is_pipe:
        points = _from_faces(stack.enter_context(open_faces(path, ids=True)))
        return replace(points, files=())
    if is_foreign:
        return _from_annotations(path, index, categories, reporter)
    if glob.has_magic(path) and not os.path.exists(path):
        raise FileError(f"{path}: no such file", "the truth is one file; kd-merge joins several")
    with open_faces(path, ids=True) as faces:
        return _from_faces(faces)


def begin_to_read(place: str) -> None:
    """Begin to look in the background at a faces file that `read_prediction` will read, beside the one before it."""
    if os.path.isfile(place) and not _is_foreign(place):
        begin_to_open(place)


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
        with contextlib.suppress(*HDF5_ERRORS), h5py.File(path, "r") as h5:
            return "kd_kind" not in h5.attrs and _is_of_a_format(Path(path))
        return False
    return bool(start.strip()) and kind != SAFETENSORS


def _is_of_a_format(path: Path) -> bool:
    from kdtools.datasets.formats import FORMATS  # 40 ms to load, which faces files do not need

    return any(reader.accepts(path) for reader in FORMATS.values())


def _from_faces(faces: FacesFile) -> PointSet:
    faces.require("landmarks")
    origin, of_crops = box_origin(faces), ["to_source"] if faces.has_images else []
    names = ["landmarks", *of_crops, "visible", *(["box"] if origin == ANNOTATION else [])]
    columns = {name: Column(None, faces, name) for name in names if name in faces}
    part = Part(columns["landmarks"], columns.get("to_source"), columns.get("visible"), columns.get("box"))
    origins, stated, put_back = faces.origins("source"), faces.conventions, faces.put_back
    of_faces = tuple(one for one, count in zip(stated.all, stated.counts, strict=True) if count)
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
        origins=origins if origins.any() else None,
        conventions=of_faces if put_back is None else (put_back,),
    )


class _WithoutMessages(Reporter):
    """Passes on warnings and skipped inputs only: how a file was read is of interest in an import."""

    def __init__(self, reporter: Reporter) -> None:
        self.warn, self.skip = reporter.warn, reporter.skip  # type: ignore[method-assign]


def _from_annotations(path: str, index: str | None, categories: Sequence[str], reporter: Reporter) -> PointSet:
    """With `index` the points are predictions, which need not look like faces."""
    # It loads OpenCV, which faces files do not need.
    from kdtools.datasets.annotations import Sources, names_of_points, read_annotations
    from kdtools.datasets.formats import find_format
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
    columns = [None if one is None else Column(one) for one in (visible, boxes)]
    part = Part(Column(points), None, columns[0], columns[1])
    ids = np.array([one.id.encode() for one in with_points], object)
    subsets = {name: np.array([name in one.subsets for one in with_points]) for name in sorted(names)}
    guessed = len(own_names) != points.shape[1]
    starts = np.zeros(1, np.int64)
    return PointSet(path, ids, points.shape[1], scheme, [part], starts, True, subsets, [path], guessed=guessed)
