"""Searches at several scales: which faces they keep, and that faces that fill their photograph are found whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.images.detection import FaceFinder, YuNetDetector, scales
from kdtools.images.detection.scales import search_at_scales
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import points_square

SMALL, PART, WHOLE = (700.0, 700, 720, 720), (10.0, 10, 360, 360), (0.0, 0, 420, 420)
SURE = 0.5
Faces = list[tuple[tuple[float, ...], float]]


def search(answers: list[Faces], longest: float, largest: float, min_score: float = SURE) -> tuple[Faces, list[int]]:
    """What is kept of these boxes with their scores, one list for each scale that is searched, and the scales."""
    scales = []

    def one(scale: float) -> tuple[np.ndarray, np.ndarray]:
        scales.append(round(1 / scale))
        rows = answers[len(scales) - 1] if len(scales) <= len(answers) else []
        return np.reshape([box for box, _ in rows], (-1, 4)), np.array([score for _, score in rows], float)

    boxes, scores = search_at_scales(one, longest, largest, min_score, SURE)
    return sorted(zip(map(tuple, boxes.tolist()), scores.tolist(), strict=True)), scales


def test_a_further_search_places_large_faces_and_keeps_the_better_score() -> None:
    first, second = [(SMALL, 0.7), (PART, 0.9)], [(SMALL, 0.99), (WHOLE, 0.6)]
    assert search([first, second], 1100, 300) == ([(WHOLE, 0.9), (SMALL, 0.7)], [1, 3])
    assert search([first, []], 1100, 300)[0] == [(PART, 0.9), (SMALL, 0.7)]
    assert search([[], second], 1100, 300)[0] == [(WHOLE, 0.6)]  # the first search would see the small one better
    assert search([[], [], []], 1100, 300)[0] == []


def test_each_further_search_may_place_a_face_again() -> None:
    larger = (0.0, 0, 1000, 1000)
    second, third = [((100.0, 100, 800, 800), 0.95)], [(larger, 0.6)]
    assert search([[((100.0, 100, 700, 700), 0.7)], second, third], 2000, 300) == ([(larger, 0.95)], [1, 3, 9])


def test_the_longer_side_of_a_box_says_whether_it_is_large() -> None:
    tall = (0.0, 0, 200, 301)
    assert search([[], [(tall, 0.6)]], 1100, 300)[0] == [(tall, 0.6)]
    assert search([[], [((0.0, 0, 200, 299), 0.6)]], 1100, 300)[0] == []


def test_of_two_faces_and_one_around_both_the_best_score_wins() -> None:
    two, both = [((0.0, 0, 300, 300), 0.8), ((200.0, 0, 500, 300), 0.9)], (30.0, -50, 470, 350)
    assert search([two, [(both, 0.6)]], 1100, 300)[0] == two
    assert search([two, [(both, 0.95)]], 1100, 300)[0] == [(both, 0.95)]


def test_many_candidates_are_compared_in_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 3000, (8_000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(500, 900, (8_000, 1))], axis=1)
    tracemalloc.start()
    search_at_scales(lambda scale: (boxes, rng.uniform(0, 0.4, 8_000)), 3900, 300, 1e-6, SURE)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1.2e9


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5, 0.55, 0.65, 0.8, 0.95])
def test_a_higher_least_score_only_leaves_faces_out(least: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.uniform(0, 800, (3, 12, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(100, 600, (3, 12, 1))], axis=2)
        answers = [
            [(tuple(box), score) for box, score in zip(some, rng.uniform(0, 1, 12), strict=True)]
            for some in boxes.tolist()
        ]
        every = search(answers, 1400, 300, 0.0)[0]
        from_least = [[one for one in some if one[1] >= min(least, SURE)] for some in answers]
        assert search(from_least, 1400, 300, least)[0] == [one for one in every if one[1] >= least]


@pytest.mark.parametrize(("longest", "scales"), [(389, [1]), (390, [1, 3]), (1168, [1, 3]), (3507, [1, 3, 9, 27])])
def test_an_image_is_searched_as_often_as_it_may_hold_larger_faces(longest: float, scales: list[int]) -> None:
    assert search([], longest, 300)[1] == scales


def test_a_part_of_a_better_face_is_dropped() -> None:
    inner = (100.0, 100, 200, 200)
    assert search([[(WHOLE, 0.8), (inner, 0.7)]], 300, 300)[0] == [(WHOLE, 0.8)]


def detector_named(name: str, shared_dir: Path, min_score: float | None) -> FaceFinder | YuNetDetector:
    least = {} if min_score is None else {"min_score": min_score}
    if name == "finder":
        return FaceFinder(**least)
    return YuNetDetector(str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx"), **least)


def faces_alone(shared_dir: Path, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs of this longer side that a face of LFPW fills, and the squares around its points."""
    faces = list(read_annotations(Sources([str(shared_dir / "data" / "lfpw68" / "train")])))
    for one in faces[:: len(faces) // 20]:
        image, square = read_image(Path(one.image)), points_square(one.points)
        room = 0.1 * (square[2] - square[0])
        x0, y0 = np.maximum(square[:2] - room, 0).astype(int)
        x1, y1 = (square[2:] + room).astype(int)
        alone = image[y0:y1, x0:x1]
        scale = side / max(alone.shape[:2])
        picture = cv2.resize(alone, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield picture, points_square((one.points - [x0, y0]) * scale)


@pytest.mark.parametrize("side", [150, 250, 320, 400, 640, 1000, 1400, 2000, 4500])
@pytest.mark.parametrize("name", ["finder", "yunet"])
def test_a_face_that_fills_the_photograph_is_found_whole(name: str, side: int, shared_dir: Path) -> None:
    """One search sees such a face too large at some sides of the photograph, and gives a part of it, or nothing."""
    detector, shares = detector_named(name, shared_dir, None), []
    for picture, square in faces_alone(shared_dir, side):
        boxes = np.reshape([face.box for face in detector.find_faces(picture, "a.png")], (-1, 4))
        shares.append(overlaps(square[None], boxes).max(initial=0.0))
    assert len(shares) >= 20
    assert np.mean(shares) > {"finder": 0.84, "yunet": 0.68}[name]
    assert min(shares) > 0.5


@pytest.mark.parametrize("least", [0.7, 0.85])
@pytest.mark.parametrize("name", ["finder", "yunet"])
def test_a_higher_least_score_leaves_large_faces_where_they_are(name: str, least: float, shared_dir: Path) -> None:
    found = {}
    for min_score in (None, least):
        detector = detector_named(name, shared_dir, min_score)
        found[min_score] = [detector.find_boxes(picture) for picture, _ in faces_alone(shared_dir, 640)]
    assert sum(map(len, found[least])) > 0
    for some, every in zip(found[least], found[None], strict=True):
        assert [box.tolist() for box, _ in some] == [box.tolist() for box, score in every if score >= least]


@pytest.mark.parametrize("name", ["finder", "yunet"])
def test_any_least_score_is_searched_in_bounded_memory(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All cells of the network become candidates, at several scales; only the best are compared with each other."""
    if name == "finder":  # needs no shared data
        detector: FaceFinder | YuNetDetector = FaceFinder(min_score=1e-6)
    else:
        detector = detector_named(name, request.getfixturevalue("shared_dir"), 1e-6)
    monkeypatch.setattr(scales, "MOST_CANDIDATES", 50)
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    assert 0 < len(detector.find_boxes(noise)) <= 50
