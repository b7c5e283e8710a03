"""Which box of a frame is which box of the frame before, by how much they overlap."""

from __future__ import annotations

import numpy as np

from kdtools.landmarks.boxes import overlaps


def associate(boxes: np.ndarray, others: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs (index in boxes, index in others) that overlap by `least` or more, each at most once, the best first.

    Equal overlaps go in the order of the boxes, so that the same frames give the same pairs.
    """
    if not (len(boxes) and len(others)):
        return []
    shares = overlaps(boxes, others)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-shares, axis=None, kind="stable"):
        box, other = divmod(int(flat), len(others))
        if shares[box, other] < least:
            break
        if all(box != a and other != b for a, b in pairs):
            pairs.append((box, other))
    return pairs
