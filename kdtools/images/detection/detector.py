"""Interface of detectors, and the crop square of a detected face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kdtools.landmarks.crop_rule import BoxRelation, CropRule


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


class Detector(Protocol):
    """`find_faces` may be called from several threads; `relation` places the square of the points in its boxes."""

    name: str
    relation: BoxRelation

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        """Faces in an image (H, W, 3) RGB, largest first. Raises DataError where the image cannot be searched."""
        ...
