"""The bundled face finder: what it finds, where, how turned, how large, and what it needs."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from reporters import Recorder

from kdtools import bundled
from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.errors import FileError
from kdtools.images.detection import CascadeDetector, FaceFinder, find_detector
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import points_square
from kdtools.synth import draw_faces


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def drawn() -> list[tuple[np.ndarray, np.ndarray]]:
    """Drawn photographs of 240 px, and the points of the face in each."""
    return [(image, points) for image, points, _ in draw_faces(8, 240, seed=0, margin=0.75)]


def best_overlap(finder: FaceFinder, image: np.ndarray, points: np.ndarray) -> float:
    boxes = np.reshape([face.box for face in finder.find_faces(image, "a.png")], (-1, 4))
    return float(overlaps(points_square(points)[None], boxes).max(initial=0.0))


def turned(image: np.ndarray, points: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, 1.0)
    picture = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return picture, points @ turn[:, :2].T + turn[:, 2]


# ---- what it finds
@pytest.mark.parametrize("degrees", [-40, 0, 40])
def test_squares_lie_around_the_points_of_turned_faces(
    finder: FaceFinder, drawn: list[tuple[np.ndarray, np.ndarray]], degrees: float
) -> None:
    best = [best_overlap(finder, *turned(image, points, degrees)) for image, points in drawn]
    assert np.median(best) > 0.7
    assert np.mean(np.array(best) > 0.5) >= 0.75


@pytest.mark.parametrize("side", [120, 700, 1000, 3000, 6000])
def test_faces_of_any_size_are_found_in_pixels_of_the_photograph(
    finder: FaceFinder, drawn: list[tuple[np.ndarray, np.ndarray]], side: int
) -> None:
    scale = side / 240
    best = [
        best_overlap(
            finder, cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), (points + 0.5) * scale - 0.5
        )
        for image, points in drawn[:4]
    ]
    assert np.median(best) > 0.65


def test_the_largest_comes_first_and_nothing_is_found_twice(
    finder: FaceFinder, drawn: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    large, small = drawn[0][0], cv2.resize(drawn[1][0], (120, 120), interpolation=cv2.INTER_AREA)
    picture = np.full((240, 520, 3), 127, np.uint8)
    picture[60:180, 10:130], picture[:, 260:500] = small, large
    found = finder.find_faces(picture, "a.png")
    assert [face.box[0] > 250 for face in found] == [True, False]
    assert all(0.55 <= face.score <= 1 for face in found)
    assert all(face.kind == "face" for face in found)


def test_no_face_is_found_in_what_shows_none(finder: FaceFinder) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    waves = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    for image in (noise, waves, np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 255, np.uint8)):
        assert finder.find_faces(image, "a.png") == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5000, 3), (5000, 3, 3), (40, 40, 3), (2000, 33, 3), (8, 330, 3)])
def test_a_picture_may_have_any_shape(finder: FaceFinder, shape: tuple[int, int, int]) -> None:
    assert finder.find_faces(np.full(shape, 120, np.uint8), "a.png") == []


def test_real_faces_are_found(finder: FaceFinder, shared_dir: Path) -> None:
    """18 faces of photographs that it was not trained on; nine of ten is what is promised."""
    source = shared_dir / "data" / "scenes" / "dlib" / "training_with_face_landmarks.xml"
    best = [
        best_overlap(finder, read_image(Path(one.image)), one.points)
        for one in read_annotations(Sources([str(source)]))
    ]
    assert np.mean(np.array(best) > 0.4) >= 0.9


# ---- how it is used
def test_several_threads_find_what_one_finds(finder: FaceFinder, drawn: list[tuple[np.ndarray, np.ndarray]]) -> None:
    images = [image for image, _ in drawn]
    alone = [finder.find_boxes(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(finder.find_boxes, images * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert [(box.tolist(), score) for box, score in one] == [(box.tolist(), score) for box, score in other]


def test_a_search_in_a_reduced_image_is_remarked_on() -> None:
    finder = FaceFinder()
    finder.find_faces(np.zeros((100, 1000, 3), np.uint8), "a.png")
    assert not finder.remark
    finder.find_faces(np.zeros((100, 4096, 3), np.uint8), "a.png")
    assert "1 image was reduced for the search, from 4096 to 2048 px" in finder.remark
    assert "below about 24 px" in finder.remark
    finder.find_faces(np.zeros((100, 12288, 3), np.uint8), "a.png")
    assert "from 12288 to 3072 px" in finder.remark


def test_small_faces_in_large_photographs_are_found_as_in_halved_ones(
    drawn: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    """24 megapixels with faces of 100 px, on which a search of 1024 px would see 17 px of each."""
    image = np.full((4000, 6000, 3), 127, np.uint8)
    squares = []
    for number, (face, points) in enumerate(drawn):
        scale = 100 / (points_square(points)[2] - points_square(points)[0])
        small = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x, y = 300 + 1400 * (number % 4), 900 + 1800 * (number // 4)
        image[y : y + small.shape[0], x : x + small.shape[1]] = small
        squares.append(points_square(points) * scale + np.array([x, y, x, y]))
    halved = cv2.resize(image, (3000, 2000), interpolation=cv2.INTER_AREA)

    def n_found(picture: np.ndarray, scale: float, search_size: int | None) -> int:
        found = FaceFinder(search_size=search_size).find_faces(picture, "a.png")
        boxes = np.reshape([face.box for face in found], (-1, 4)) * scale
        return int((overlaps(np.stack(squares), boxes).max(axis=1, initial=0.0) > 0.4).sum())

    by_default = n_found(image, 1, None)
    assert by_default >= n_found(halved, 2, 3000)
    assert by_default >= 7
    assert n_found(image, 1, 1024) < by_default


def test_it_is_the_default_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    assert isinstance(find_detector("auto", reporter=recorder), FaceFinder)
    assert isinstance(find_detector("finder"), FaceFinder)
    monkeypatch.setattr(bundled, "_FOLDER", tmp_path)
    assert recorder.warned == []
    detector = find_detector("auto", reporter=recorder)
    assert isinstance(detector, CascadeDetector)
    assert detector.record["name"] == "cascade"
    assert "the face finder is missing from kdtools/pretrained, so OpenCV's cascade is used" in recorder.warned[0]
    with pytest.raises(FileError, match="face finder is missing") as error:
        find_detector("finder")
    assert "--detector cascade" in error.value.hint


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; from kdtools.images.detection import FaceFinder;"
        "print(len(FaceFinder().find_faces(np.zeros((90, 90, 3), np.uint8), 'a')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "0\n"


def test_its_file_is_small_and_says_where_it_comes_from() -> None:
    path = bundled.finder_file()
    assert path is not None
    assert path.stat().st_size <= 1_000_000
    model = onnx.load(path)
    fields = {entry.key: entry.value for entry in model.metadata_props}
    assert {"edition", "terms", "trained_on", "teachers"} <= fields.keys()
    assert not any("/" in value for value in fields.values())
    assert "face_finder" in (path.parent / "LICENSE-WEIGHTS").read_text()
    assert fields["edition"] in (path.parent / "face_finder.md").read_text()
