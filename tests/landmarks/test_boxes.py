"""Boxes of one frame and of the next: how much they overlap, and which belong together."""

from __future__ import annotations

import numpy as np
import pytest

from kdtools.landmarks.boxes import inside, overlaps
from kdtools.prediction.video_work import associate


def test_overlap_is_the_shared_area_over_both() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(overlaps(boxes, others), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))) == 0  # no area at all


def test_what_lies_within_another_is_wholly_inside() -> None:
    boxes = np.array([[0.0, 0, 10, 10]])
    others = np.array([[2.0, 2, 5, 5], [-10, -10, 20, 20], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]])
    np.testing.assert_allclose(inside(boxes, others), [[1, 1, 0.5, 0, 0]])


def test_the_best_pairs_are_taken_first_and_each_box_once() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]])
    others = np.array([[3.0, 0, 13, 10], [50, 0, 60, 10], [-5, 0, 5, 10]])
    assert associate(boxes, others, 0.3) == [(1, 0), (0, 2)]  # both overlap the first most; the second does so more
    assert associate(boxes, others, 0.5) == [(1, 0)]
    assert associate(np.concatenate([boxes[:1], boxes[:1]]), boxes[:1], 0.3) == [(0, 0)]  # equals in their order


@pytest.mark.parametrize(("n_boxes", "n_others"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_goes_with_nothing(n_boxes: int, n_others: int) -> None:
    assert associate(np.ones((n_boxes, 4)), np.ones((n_others, 4)), 0.1) == []
