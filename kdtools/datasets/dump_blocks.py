"""Which faces of a faces file are written, and their blocks: what the formats' writers take, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from kdtools.datasets.formats.shared.annotation import FaceBlock
from kdtools.datasets.formats.shared.tables import picture_of
from kdtools.errors import DataError
from kdtools.faces.box_origin import box_origin
from kdtools.faces.file import FacesFile
from kdtools.images.head_pose import head_poses
from kdtools.landmarks.conventions import Convention

_DECIMALS = 2  # of an angle in degrees
BLOCK = 4096  # faces in memory at a time


@dataclass(frozen=True)
class Selection:
    """The faces of a file that are written: `rows` (N,) bool, or None for all; in pixels of the crops or the sources.

    `digits` decimals of points and boxes, or all there are. `picture(id)` is the name to write for a face's picture.
    `size_of(name)` gives the width and height of a source image, where these are wanted; `with_pose` asks for the
    angles of the heads.
    """

    faces: FacesFile
    rows: np.ndarray | None = None
    in_crops: bool = False
    digits: int | None = None
    picture: Callable[[str], str] = picture_of
    size_of: Callable[[str], tuple[int, int]] | None = None
    with_pose: bool = False

    def __len__(self) -> int:
        return len(self.faces) if self.rows is None else int(self.rows.sum())

    @cached_property
    def subsets(self) -> dict[str, np.ndarray]:
        return self.faces.subsets

    @cached_property
    def box_origin(self) -> str:
        return box_origin(self.faces)

    def slices(self) -> Iterator[tuple[slice, np.ndarray | slice]]:
        """Runs of rows of the file, and which of each run are wanted; runs without any are left out."""
        for first in range(0, len(self.faces), BLOCK):
            run = slice(first, first + BLOCK)
            if self.rows is None:
                yield run, slice(None)
            elif self.rows[run].any():
                yield run, self.rows[run]

    def ids(self) -> Iterator[str]:
        for run, wanted in self.slices():
            yield from self._read("id", run, wanted)

    def blocks(self) -> Iterator[FaceBlock]:
        """Raises DataError for a face whose id is blank or a point of which is infinite."""
        for run, wanted in self.slices():
            yield self._block(run, wanted)

    def _read(self, name: str, run: slice, wanted: np.ndarray | slice) -> np.ndarray:
        values = self.faces.read(name, run.start, run.stop)
        return np.array(values, object if name == "id" else None)[wanted]

    def _block(self, run: slice, wanted: np.ndarray | slice) -> FaceBlock:
        def read(name: str) -> np.ndarray | None:
            return self._read(name, run, wanted) if name in self.faces else None

        frame: Literal["source", "image"] = "image" if self.in_crops else "source"
        ids, visible = list(self._read("id", run, wanted)), read("visible")
        stored = self.faces.read("landmarks", run.start, run.stop)
        self._refuse(ids, np.array([not id.strip() for id in ids]), "its id is blank, so no reader could name it")
        self._refuse(ids, np.isinf(stored[wanted]).any(axis=(1, 2)), "a point is infinite")
        with np.errstate(invalid="ignore"):  # infinite points of faces that are not wanted
            points = self.faces.to_frame(stored, frame, run)[wanted]
        boxes = self.faces.boxes(frame, run)[wanted] if "box" in self.faces else None
        sizes = np.tile(self.faces.image_size[::-1], (len(ids), 1)) if self.in_crops else None
        if self.size_of is not None and not self.in_crops:
            sizes = np.array([self.size_of(self.picture(id)) for id in ids])
        points = self._rounded(points)
        self._refuse(ids, np.isinf(points).any(axis=(1, 2)), "its points are too far away in the source image")
        points[np.isnan(points).any(axis=-1)] = np.nan
        poses = np.round(head_poses(points, self.faces.scheme), _DECIMALS) if self.with_pose else None
        return FaceBlock(
            ids,
            [self.picture(id) for id in ids],
            points,
            visible=None if visible is None else visible.astype(bool),
            confidence=read("confidence"),
            boxes=None if boxes is None else self._rounded(boxes),
            box_origin=self.box_origin,
            scores=read("score"),
            sizes=sizes,
            frames=read("frame"),
            times=read("time"),
            tracks=read("track"),
            poses=poses,
            conventions=self._conventions(run, wanted),
            subsets={name: member[run][wanted] for name, member in self.subsets.items()},
        )

    def _conventions(self, run: slice, wanted: np.ndarray | slice) -> list[Convention | None] | None:
        """Those of the points of some rows; None where the file states none."""
        stated = self.faces.conventions
        numbers = stated.of_faces[run][wanted]
        if self.faces.put_back is not None:
            return [self.faces.put_back] * len(numbers)
        return [None if number < 0 else stated.all[number] for number in numbers] if stated.all else None

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        if self.digits is not None:
            values = np.round(values.astype(np.float64), self.digits)
        with np.errstate(over="ignore"):  # infinite ones are refused
            return values.astype(np.float32)

    def _refuse(self, ids: Sequence[str], wrong: np.ndarray, why: str) -> None:
        if wrong.any():
            raise DataError(f"{self.faces.name}: face {ids[int(wrong.argmax())]!r}: {why}", "leave it out with --ids")
