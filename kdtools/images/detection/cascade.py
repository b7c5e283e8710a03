"""OpenCV's cascade of Haar features, which comes with OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images.detection.detector import ReducedSearch, check_min_score, largest_first
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks.boxes import corners_of
from kdtools.landmarks.crop_rule import BoxRelation
from kdtools.storage.provenance import sha256_of

_SIDE = 800  # px; larger photographs are reduced first, as the time grows with the area
_MIN_NEIGHBOURS = 4  # hits that must agree; fewer find more faces, and more false ones
_SMALLEST_FACE = 24  # px, the side on which the cascade was trained


class CascadeDetector(ReducedSearch):
    """Finds upright faces seen from the front."""

    name = "cascade"
    # Medians over annotated photographs; benchmarks/detectors.py measures them again.
    relation = BoxRelation(0.0, 0.165, 0.89)

    def __init__(self, min_score: float | None = None, search_size: int | None = None) -> None:
        """Raises UsageError for a `min_score` that is none; by default every find counts, whatever its score."""
        if min_score is not None:
            check_min_score(min_score, self.name)
        self._min_score, self._local = min_score, threading.local()
        self._file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined]
        if not self._file.is_file():
            raise FileError(f"{self._file}: OpenCV's face cascade is missing", "install opencv-python 4.11 to 4.x")
        record = {"sha256": sha256_of(self._file)} | ({} if min_score is None else {"min_score": min_score})
        super().__init__((_SIDE, _SIDE), search_size, _SMALLEST_FACE, record)

    def _find(self, image: np.ndarray, ratio: float) -> list[tuple[np.ndarray, float]]:
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
        boxes = corners_of(np.reshape(squares, (-1, 4)), "x y width height") / ratio
        found = largest_first(boxes, np.ravel(scores))
        return [one for one in found if self._min_score is None or one[1] >= self._min_score]

    def _cascade(self) -> cv2.CascadeClassifier:
        """A classifier holds the state of its search, so each thread has its own."""
        if not hasattr(self._local, "cascade"):
            self._local.cascade = cv2.CascadeClassifier(str(self._file))
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade
