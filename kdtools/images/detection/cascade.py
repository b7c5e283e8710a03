"""OpenCV's cascade of Haar features, which comes with OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images.detection.detector import Found, ReducedSearch
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks.crop_rule import BoxRelation

_LARGEST_SIDE = 800  # px; larger photographs are shrunk first, as the time grows with the area
_MIN_NEIGHBOURS = 4  # hits that must agree; fewer find more faces, and more false ones
_SMALLEST_FACE = 24  # px, the side on which the cascade was trained


class CascadeDetector(ReducedSearch):
    """Finds upright faces seen from the front."""

    name = "cascade"
    # Medians over annotated photographs; benchmarks/detectors.py measures them again.
    relation = BoxRelation(0.0, 0.165, 0.89)

    def __init__(self) -> None:
        super().__init__(_LARGEST_SIDE, _SMALLEST_FACE)
        self._local = threading.local()
        self._file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined]
        if not self._file.is_file():
            raise FileError(f"{self._file}: OpenCV's face cascade is missing", "install opencv-python 4.11 to 4.x")

    def find_boxes(self, image: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The cascade's own squares (4,) in an image (H, W, 3) RGB with their scores, largest first."""
        ratio = self.ratio_for(image)
        if round(min(image.shape[:2]) * ratio) < _SMALLEST_FACE:
            return []  # a strip too thin for a face, of which no row might remain when shrunk
        with opencv_errors("faces cannot be searched"):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            if ratio < 1:
                grey = cv2.resize(grey, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
            squares, _, scores = self._cascade().detectMultiScale3(
                cv2.equalizeHist(grey),
                scaleFactor=1.1,
                minNeighbors=_MIN_NEIGHBOURS,
                minSize=(_SMALLEST_FACE, _SMALLEST_FACE),
                outputRejectLevels=True,
            )
        boxes = [
            (np.array([x, y, x + w, y + h], np.float64) / ratio, float(score))
            for (x, y, w, h), score in zip(squares, np.ravel(scores), strict=True)
        ]
        return sorted(boxes, key=lambda item: (item[0][0] - item[0][2], item[0].tolist()))

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return [Found(self.relation.points_square(box), score) for box, score in self.find_boxes(image)]

    def _cascade(self) -> cv2.CascadeClassifier:
        """A classifier holds the state of its search, so each thread has its own."""
        if not hasattr(self._local, "cascade"):
            self._local.cascade = cv2.CascadeClassifier(str(self._file))
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade
