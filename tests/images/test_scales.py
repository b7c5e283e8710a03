"""Searches at several scales: which faces they keep, and that faces that fill their photograph are found whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.images.detection import FaceFinder, YuNetDetector
from kdtools.images.detection.scales import search_at_scales
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import points_square

SMALL, PART, WHOLE = (700.0, 700, 720, 720), (10.0, 10, 360, 360), (0.0, 0, 420, 420)


def search(answers: list[list[tuple[tuple[float, ...], float]]], longest: float, largest: float):
    """What is kept of these boxes with their scores, one list for each scale that is searched, and the scales."""
    scales = []

    def one(scale: float) -> tuple[np.ndarray, np.ndarray]:
        scales.append(round(1 / scale))
        rows = answers[len(scales) - 1] if len(scales) <= len(answers) else []
        return np.reshape([box for box, _ in rows], (-1, 4)), np.array([score for _, score in rows], float)

    boxes, scores = search_at_scales(one, longest, largest)
    return sorted(zip(map(tuple, boxes.tolist()), scores.tolist(), strict=True)), scales


def test_a_further_search_places_large_faces_and_keeps_the_better_score() -> None:
    first, second = [(SMALL, 0.7), (PART, 0.9)], [(SMALL, 0.99), (WHOLE, 0.6)]
    assert search([first, second], 800, 300) == ([(WHOLE, 0.9), (SMALL, 0.7)], [1, 3])
    assert search([first, []], 800, 300)[0] == [(PART, 0.9), (SMALL, 0.7)]
    assert search([[], second], 800, 300)[0] == [(WHOLE, 0.6)]  # the first search would see the small one better
    assert search([[], [], []], 800, 300)[0] == []


@pytest.mark.parametrize(("longest", "scales"), [(300, [1]), (301, [1, 3]), (900, [1, 3]), (2701, [1, 3, 9, 27])])
def test_an_image_is_searched_as_often_as_it_may_hold_larger_faces(longest: float, scales: list[int]) -> None:
    assert search([], longest, 300)[1] == scales


def test_a_part_of_a_better_face_is_dropped() -> None:
    inner = (100.0, 100, 200, 200)
    assert search([[(WHOLE, 0.8), (inner, 0.7)]], 300, 300)[0] == [(WHOLE, 0.8)]


@pytest.mark.parametrize("side", [150, 250, 320, 400, 640, 1000, 1400, 2000, 4500])
@pytest.mark.parametrize("name", ["finder", "yunet"])
def test_a_face_that_fills_the_photograph_is_found_whole(name: str, side: int, shared_dir: Path) -> None:
    """One search sees such a face too large at some sides of the photograph, and gives a part of it, or nothing."""
    data = shared_dir / "data"
    detector = FaceFinder() if name == "finder" else YuNetDetector(str(data / "models" / "yunet_n_320_320.onnx"))
    faces = list(read_annotations(Sources([str(data / "lfpw68" / "train")])))
    shares = []
    for one in faces[:: len(faces) // 20]:
        image, square = read_image(Path(one.image)), points_square(one.points)
        room = 0.1 * (square[2] - square[0])
        x0, y0 = np.maximum(square[:2] - room, 0).astype(int)
        x1, y1 = (square[2:] + room).astype(int)
        alone = image[y0:y1, x0:x1]
        scale = side / max(alone.shape[:2])
        picture = cv2.resize(alone, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = np.reshape([face.box for face in detector.find_faces(picture, "a.png")], (-1, 4))
        shares.append(overlaps(points_square((one.points - [x0, y0]) * scale)[None], boxes).max(initial=0.0))
    assert len(shares) >= 20
    assert np.mean(shares) > {"finder": 0.84, "yunet": 0.68}[name]
    assert min(shares) > 0.5
