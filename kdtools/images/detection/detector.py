"""What a detector gives, and how it becomes a crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kdtools.landmarks.crops import BoxRelation, CropRule


@dataclass(frozen=True)
class Found:
    """A face in a photograph.

    `box` (4,) holds, by `kind`: for `face` the tight square around the points, for `given` a box that somebody else
    made, for `crop` the crop square itself.
    """

    box: np.ndarray
    score: float
    kind: str = "face"

    def crop_square(self, rule: CropRule) -> np.ndarray:
        """Crop square (4,) by a model's rule. A given box is taken for one of the kind the rule speaks of."""
        if self.kind == "crop":
            return self.box
        if self.kind == "given":
            return rule.square_around_box(self.box)
        return rule.square_around_face(self.box)


class Detector(Protocol):
    """`find_faces` may be called from several threads; `relation` is how the points lie in its own boxes."""

    name: str
    relation: BoxRelation

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        """Faces in an image (H, W, 3) RGB, largest first. Raises DataError where the image cannot be searched."""
        ...
