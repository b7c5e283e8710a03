"""Finding faces in photographs with OpenCV's cascade of Haar features, which needs no file but OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images import opencv_errors

_LARGEST_SIDE = 800  # px; larger photographs are shrunk before the search, which costs time by area
_MIN_NEIGHBOURS = 4  # hits that must agree; fewer find more faces, and more that are none
_SMALLEST_FACE = 24  # px, the side on which the cascade was trained

# From the cascade's square to the square around the 68 points: shift of the centre and side, as shares of its side.
# Medians over annotated photographs; benchmarks/detector_correction.py measures them again.
_SHIFT_X, _SHIFT_Y, _SIDE = 0.0, 0.165, 0.89


class CascadeDetector:
    """`detect(image)` may be called from several threads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined]
        if not self._file.is_file():
            raise FileError(f"{self._file}: OpenCV's face cascade is missing", "install opencv-python 4.10 to 4.x")

    def find_squares(self, image: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The cascade's own squares (x0, y0, x1, y1) in an image (H, W, 3) RGB with their scores, largest first.

        Raises DataError where OpenCV cannot search the image.
        """
        ratio = min(1.0, _LARGEST_SIDE / max(image.shape[:2]))
        if round(min(image.shape[:2]) * ratio) < _SMALLEST_FACE:
            return []  # a strip too thin for a face, and perhaps for any row to be left of it when it is shrunk
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
        found = [
            (np.array([x, y, x + w, y + h], np.float64) / ratio, float(score))
            for (x, y, w, h), score in zip(squares, np.ravel(scores), strict=True)
        ]
        return sorted(found, key=lambda item: (item[0][0] - item[0][2], item[0].tolist()))

    def __call__(self, image: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Squares around the points of each face, with scores, largest first."""
        return [(correct_square(square), score) for square, score in self.find_squares(image)]

    def _cascade(self) -> cv2.CascadeClassifier:
        """A classifier holds the state of its search, so each thread has its own."""
        if not hasattr(self._local, "cascade"):
            self._local.cascade = cv2.CascadeClassifier(str(self._file))
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade


def correct_square(square: np.ndarray) -> np.ndarray:
    """The cascade's square (4,) -> the square (4,) that tightly holds the 68 points of such a face."""
    side = square[2] - square[0]
    centre = (square[:2] + square[2:]) / 2 + side * np.array([_SHIFT_X, _SHIFT_Y])
    half = side * _SIDE / 2
    return np.concatenate([centre - half, centre + half])
