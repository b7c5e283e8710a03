"""One image searched at several scales, to find faces larger than those that a detector was trained on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from kdtools.landmarks.boxes import inside, overlaps

MOST_CANDIDATES = 5000  # the best of an image, before overlaps are removed
_STEP = 1 / 3  # from one scale to the next
_FILLS = 0.77  # of the longer side; a face that takes a little more is still placed well enough
_OVERLAP = 0.35  # boxes that overlap by more are of the same face
_INSIDE = 0.75  # a box of which more lies within a better one, or the other way round, is a part of the same face
_ROWS = 256  # compared with all boxes at a time, to bound memory

Search = Callable[[float], tuple[np.ndarray, np.ndarray]]


def search_at_scales(
    search: Search, longest: float, largest: float, min_score: float, sure: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) of the faces in an image, the best first.

    `search(scale)` gives candidates with scores from the lesser of `min_score` and `sure` on, at a scale of 1, a third
    and so on. `longest` is the longer side of the image and `largest` that of the largest face that is placed
    well at scale 1, in pixels of the boxes. A detector finds a larger one too small, often with a higher score than
    where it is seen small. So a face of a further search whose score is at least `sure` replaces the one that it
    overlaps, and keeps the better of their scores. If it overlaps two sure faces, which may be two people or parts of
    one face, the best score wins. None of this depends on `min_score`, so a higher one only leaves faces out.
    """
    boxes, scores = search(1.0)
    scale = _STEP
    while _FILLS * longest * scale > largest * _STEP:
        more, more_scores = search(scale)
        is_large = _sides(more) * scale >= largest * _STEP  # the search before sees smaller ones in more detail
        more, more_scores = more[is_large], more_scores[is_large]
        is_sure = more_scores >= sure
        same = overlaps(boxes, more[is_sure]) > _OVERLAP
        same[:, same[scores >= sure].sum(axis=0) > 1] = False
        best = np.where(same, scores[:, None], 0.0).max(axis=0, initial=0.0)
        more_scores[is_sure] = np.maximum(more_scores[is_sure], best)
        kept = ~same.any(axis=1)
        boxes, scores = np.concatenate([boxes[kept], more]), np.concatenate([scores[kept], more_scores])
        scale *= _STEP
    best_first = best_of(boxes, scores)
    boxes, scores = boxes[best_first], scores[best_first]
    kept = ~_parts(boxes) & (scores >= min_score)
    return boxes[kept], scores[kept]


def best_of(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Indices of those of boxes (N, 4) that overlap no better one, the best first."""
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # OpenCV takes x, y, width, height
    return list(cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), 0.0, _OVERLAP, top_k=MOST_CANDIDATES))


def _sides(boxes: np.ndarray) -> np.ndarray:
    longer: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return longer


def _parts(boxes: np.ndarray) -> np.ndarray:
    """Which of boxes (N, 4), the best first, lie within a better one or around it, (N,) bool."""
    is_part = np.zeros(len(boxes), bool)
    for first in range(0, len(boxes), _ROWS):
        is_part |= np.triu(inside(boxes[first : first + _ROWS], boxes) > _INSIDE, first + 1).any(axis=0)
    return is_part
