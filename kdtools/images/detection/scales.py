"""One image searched at several scales, to find faces larger than those that a detector was trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kdtools.landmarks.boxes import inside, overlaps

_STEP = 1 / 3  # from one scale to the next
_OVERLAP = 0.35  # a large face of a further search is the same as those that it overlaps by more
_INSIDE = 0.75  # a box of which more lies within a better one, or the other way round, is a part of the same face


def search_at_scales(
    search: Callable[[float], tuple[np.ndarray, np.ndarray]], longest: float, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) that `search` gives at scale 1, and larger faces that it gives at a third and so on.

    `longest` is the longer side of the image and `largest` that of the largest face that is placed well at scale 1, in
    pixels of the boxes. A detector finds larger ones too small or in parts, often with a higher score, so a face of a
    further search replaces those that it overlaps, and keeps the best of their scores.
    """
    boxes, scores = search(1.0)
    scale = _STEP
    while longest * scale > largest * _STEP:
        more, more_scores = search(scale)
        is_large = _sides(more) * scale >= largest * _STEP  # the search before sees smaller ones in more detail
        more, more_scores = more[is_large], more_scores[is_large]
        same = overlaps(boxes, more) > _OVERLAP
        best = np.where(same, scores[:, None], 0.0).max(axis=0, initial=0.0)
        kept = ~same.any(axis=1)
        boxes = np.concatenate([boxes[kept], more])
        scores = np.concatenate([scores[kept], np.maximum(more_scores, best)])
        scale *= _STEP
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    is_part = np.triu(inside(boxes, boxes) > _INSIDE, 1).any(axis=0)  # of a better one
    return boxes[~is_part], scores[~is_part]


def _sides(boxes: np.ndarray) -> np.ndarray:
    longer: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return longer
