"""The face finder that comes with kdtools: a small network in ONNX Runtime (benchmarks/face_finder/ trains it)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from kdtools.bundled import finder_file
from kdtools.errors import FileError
from kdtools.images.detection.detector import Found, ReducedSearch, check_min_score, largest_first
from kdtools.images.detection.scales import best_of, search_at_scales
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks.boxes import corners_of
from kdtools.onnx_session import Session, open_session
from kdtools.storage.provenance import sha256_of

_SIDES = (1024, 3072)  # px; a photograph is searched at half its size within these (docs/experiments/face-finder.md)
_SMALLEST_FACE = 12  # px, side of the square around the points, on which the network was trained
_SMALLEST_SIDE = 8  # px of an image in which a face could be found
_MULTIPLE = 32  # px; the sides of the network's input are multiples of its coarsest stride
_STRIDES = (8, 16, 32)
_GREY = (127, 127, 127)  # of the padding, as in the training
MIN_SCORE = 0.55  # by default
_LARGEST_FACE = 168  # px; larger ones are placed worse, and too small (docs/experiments/face-finder.md)


class FaceFinder(ReducedSearch):
    """Finds small, covered and turned faces too, best up to about 30 degrees; its boxes are the points' squares."""

    name = "finder"

    def __init__(self, path: Path | None = None, min_score: float = MIN_SCORE, search_size: int | None = None) -> None:
        """`path` is another network of this kind than the bundled one.

        Raises FileError if there is none, UsageError for a `min_score` that is none.
        """
        check_min_score(min_score, self.name, 1.0)
        path = path or finder_file()
        if path is None:
            raise FileError(
                "the face finder is missing from kdtools/pretrained",
                "install kdtools with it, or use --detector cascade, yunet, or a YuNet model (.onnx)",
            )
        super().__init__(_SIDES, search_size, _SMALLEST_FACE, {"sha256": sha256_of(path), "min_score": min_score})
        self._min_score, self._least = min_score, min(min_score, MIN_SCORE)
        # One core for each photograph: several are searched at a time.
        self._session: Session = open_session(path, threads=1, sizes_vary=True)

    def _find(self, image: np.ndarray, ratio: float) -> list[tuple[np.ndarray, float]]:
        longest, largest = max(image.shape[:2]), _LARGEST_FACE / ratio
        with opencv_errors("faces cannot be searched"):
            squares, scores = search_at_scales(
                lambda scale: self._search(image, ratio * scale), longest, largest, self._min_score, MIN_SCORE
            )
        return largest_first(squares, scores)

    def _found(self, box: np.ndarray, score: float) -> Found:
        return Found(box, score)

    def _search(self, image: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
        """Squares (N, 4), in pixels of the image, and scores (N,) of the faces in the image when scaled."""
        if min(image.shape[:2]) * ratio < _SMALLEST_SIDE:
            return np.empty((0, 4)), np.empty(0)
        height, width = (max(1, round(side * ratio)) for side in image.shape[:2])
        small = image
        if (height, width) != image.shape[:2]:
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        small = cv2.copyMakeBorder(
            small, 0, -height % _MULTIPLE, 0, -width % _MULTIPLE, cv2.BORDER_CONSTANT, value=_GREY
        )
        answers = self._session.run([f"faces{stride}" for stride in _STRIDES], {"image": small[None]})
        rows = np.concatenate(
            [_decode(answer[0], stride, self._least) for answer, stride in zip(answers, _STRIDES, strict=True)]
        )
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        rows[:, :4] *= np.tile(scale, 2)
        squares = corners_of(rows[:, :4], "x y width height")
        kept = best_of(squares, rows[:, 4])
        return squares[kept], rows[kept, 4]


def _decode(cells: np.ndarray, stride: int, min_score: float) -> np.ndarray:
    """Cells (4, h, w) of score, offset of the centre, log of the side -> rows (N, 5) of x, y, width, height, score."""
    y, x = np.nonzero(cells[0] >= min_score)
    score, dx, dy, log_side = cells[:, y, x].astype(np.float64)
    side = np.exp(log_side) * stride
    centre_x, centre_y = (x + 0.5 + dx) * stride, (y + 0.5 + dy) * stride
    return np.stack([centre_x - side / 2, centre_y - side / 2, side, side, score], axis=1)
