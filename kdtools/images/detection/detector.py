"""Interface of detectors, and the crop square of a detected face."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kdtools.errors import UsageError
from kdtools.images.picture import Picture
from kdtools.images.reading import REDUCTIONS
from kdtools.landmarks.crop_rule import BoxRelation, CropRule
from kdtools.reporting import counted


@dataclass(frozen=True)
class Found:
    """A face in a photograph.

    `kind` says what `box` (4,) is: `face` the tight square around the points, `given` a box from elsewhere, `crop` the
    crop square itself.
    """

    box: np.ndarray
    score: float
    kind: str = "face"

    def crop_square(self, rule: CropRule) -> np.ndarray:
        """Crop square (4,) by a model's rule. A given box is assumed to be of the kind that the rule uses."""
        if self.kind == "crop":
            return self.box
        if self.kind == "given":
            return rule.square_around_box(self.box)
        return rule.square_around_face(self.box)


class ReducedSearch(ABC):
    """Base of detectors that search images, and shrink large ones first; counts these.

    An image is searched at half its longer side, but at `sides` px, least and most; or at `search_size` px. It is never
    enlarged. Faces are found from `smallest_face` px on. `relation` places the square of the points in the boxes of
    `find_boxes`.
    """

    name: str
    relation = BoxRelation()

    def __init__(
        self, sides: tuple[int, int], search_size: int | None, smallest_face: int, record: Mapping[str, Any]
    ) -> None:
        self._sides, self._smallest = (search_size, search_size) if search_size else sides, smallest_face
        self.record = {"name": self.name, **record, **({"search_size": search_size} if search_size else {})}
        self._lock = threading.Lock()
        self._n_reduced, self._most_reduced = 0, (1, 1)

    @abstractmethod
    def _find(self, image: np.ndarray, ratio: float) -> list[tuple[np.ndarray, float]]:
        """Boxes (4,) in an image (H, W, 3) RGB, searched at this scale, with their scores, largest first."""

    def find_boxes(self, image: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The detector's own boxes (4,) in an image (H, W, 3) RGB with their scores, largest first."""
        return self._boxes_in(Picture.of(image))

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return self.find_in(Picture.of(image))

    def find_in(self, picture: Picture) -> list[Found]:
        """Faces in a picture that may already be reduced as `reduction_of` says, in pixels of the full one."""
        return [self._found(box, score) for box, score in self._boxes_in(picture)]

    def _found(self, box: np.ndarray, score: float) -> Found:
        return Found(self.relation.points_square(box), score)

    def _boxes_in(self, picture: Picture) -> list[tuple[np.ndarray, float]]:
        longest, full = max(1, *picture.image.shape[:2]), max(1, *picture.size)
        side = self._side_for(full)
        if side < full:
            with self._lock:
                self._n_reduced += 1
                self._most_reduced = max(self._most_reduced, (full, side), key=lambda sides: sides[0] / sides[1])
        found = self._find(picture.image, min(1.0, side / longest))
        return [(box * picture.reduction, score) for box, score in found]

    def reduction_of(self, height: int, width: int) -> int:
        """How many times at most an image may be reduced in advance: half of 4001 px are 2001, with a partial block."""
        longest = max(height, width)
        side = self._side_for(longest)
        return max((k for k in REDUCTIONS if -(-longest // k) >= side), default=1)

    def _side_for(self, longest: int) -> int:
        """The longer side at which an image is searched."""
        least, most = self._sides
        return min(longest, most, max(least, -(-longest // 2)))

    @property
    def remark(self) -> str:
        """What a user should know after the search: how many images were reduced, and what is lost; or empty."""
        if not self._n_reduced:
            return ""
        full, side = self._most_reduced
        largest = "the largest " if self._n_reduced > 1 else ""
        return (
            f"{counted(self._n_reduced, 'image was', 'images were')} reduced for the search, {largest}from {full} to "
            f"{side} px, so faces below about {self._smallest * full / side:.0f} px may be missing; --search-size "
            f"{full} misses fewer and takes longer"
        )


def largest_first(boxes: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Boxes (N, 4) with their scores (N,), by their longer sides; those of equal sides by their corners."""
    found = [(box, float(score)) for box, score in zip(boxes, scores, strict=True)]
    return sorted(found, key=lambda item: (-(item[0][2:] - item[0][:2]).max(), item[0].tolist()))


def check_min_score(min_score: float, detector: str, greatest: float = math.inf) -> None:
    """Raises UsageError for a score threshold that is not a number, or that would keep no candidate or every one."""
    if not math.isfinite(min_score):
        raise UsageError(f"--min-score {min_score:g}: not a finite number")
    if greatest < math.inf and not 0 < min_score <= greatest:
        raise UsageError(f"--min-score {min_score:g}: scores of {detector} are above 0 and at most {greatest:g}")


class Detector(Protocol):
    """`find_faces` may be called from several threads; `relation` places the square of the points in its boxes.

    `record` says in a product what found its faces: `name`; of a detector that reads a file the `sha256` of this, and
    its path as `file` if the user named it; and `min_score`, the least score of a face, if there is one.
    """

    name: str
    relation: BoxRelation

    @property
    def record(self) -> Mapping[str, Any]: ...

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        """Faces in an image (H, W, 3) RGB, largest first. Raises DataError where the image cannot be searched."""
        ...


def decode_for(detector: Detector, data: bytes, name: str, *, upright: bool = True) -> Picture:
    """A picture from the bytes of the file `name`, no larger than the search needs it.

    Raises FileError and DataError as `decode_image` does.
    """
    most = detector.reduction_of if isinstance(detector, ReducedSearch) else 1
    return Picture.decoded(data, name, most, upright=upright)


def find_in(detector: Detector, picture: Picture, image_id: str) -> list[Found]:
    """Faces in pixels of the full picture, largest first. Raises DataError where it cannot be searched."""
    if isinstance(detector, ReducedSearch):
        return detector.find_in(picture)
    return detector.find_faces(picture.image, image_id)
