"""Interface of detectors, and the crop square of a detected face."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np

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


class ReducedSearch:
    """Base of detectors that shrink large images before they search them; counts these images.

    The search takes at most `longest_side` px and finds faces from `smallest_face` px on.
    """

    def __init__(self, longest_side: int, smallest_face: int) -> None:
        self._longest, self._smallest = longest_side, smallest_face
        self._lock = threading.Lock()
        self._n_reduced, self._least_ratio = 0, 1.0

    def ratio_for(self, image: np.ndarray) -> float:
        """The scale, at most 1, at which an image (H, W, 3) is searched."""
        ratio = min(1.0, self._longest / max(1, *image.shape[:2]))
        if ratio < 1:
            with self._lock:
                self._n_reduced += 1
                self._least_ratio = min(self._least_ratio, ratio)
        return ratio

    @property
    def remark(self) -> str:
        """What a user should know after the search: how many images were reduced, and what is lost; or empty."""
        if not self._n_reduced:
            return ""
        return (
            f"faces were searched in {counted(self._n_reduced, 'image')} reduced to {self._longest} "
            f"px, so faces below about "
            f"{self._smallest / self._least_ratio:.0f} px may be missing; cut such images up, or give boxes (.csv)"
        )


class Detector(Protocol):
    """`find_faces` may be called from several threads; `relation` places the square of the points in its boxes."""

    name: str
    relation: BoxRelation

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        """Faces in an image (H, W, 3) RGB, largest first. Raises DataError where the image cannot be searched."""
        ...
