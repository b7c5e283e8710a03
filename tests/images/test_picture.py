"""Pictures that are reduced as they are decoded: their crops, and when they are fine enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.images.detection import Found, ReducedSearch
from kdtools.images.drawing import write_image
from kdtools.images.picture import Picture
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard
from kdtools.prediction.inputs import Photograph
from kdtools.prediction.photograph_work import PhotographWork, Search

SIDE, SIZE = 2400, 32


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("picture") / "a.jpg"
    coarse = np.random.default_rng(0).integers(0, 256, (SIDE // 400, SIDE // 200, 3), np.uint8)
    write_image(path, cv2.resize(coarse, (SIDE, SIDE // 2), interpolation=cv2.INTER_CUBIC))
    return path.read_bytes()


def test_crops_of_a_reduced_picture_are_those_of_the_full_one(jpeg: bytes) -> None:
    full, reduced = Picture.decoded(jpeg, "a.jpg"), Picture.decoded(jpeg, "a.jpg", 4)
    assert (full.reduction, reduced.reduction) == (1, 4)
    assert full.size == reduced.size == full.image.shape[:2]
    for square in ([400.0, 300, 1040, 940], [-90, 10, 410, 510], [701.5, 33.25, 1000, 331.75]):
        box = np.array(square)
        (crop, to_source), (expected, map_) = reduced.crop(box, SIZE), full.crop(box, SIZE)
        np.testing.assert_array_equal(to_source, map_)
        assert np.abs(crop.astype(int) - expected).mean() < 1.5
    with pytest.raises(DataError, match=f"outside the image of {full.size[1]} x {full.size[0]} px"):
        reduced.crop(np.array([9000.0, 0, 9100, 100]), SIZE)


def test_a_picture_is_fine_enough_if_its_crops_are_not_enlarged(jpeg: bytes) -> None:
    reduced = Picture.decoded(jpeg, "a.jpg", lambda height, width: max(height, width) // 1200)
    assert reduced.reduction == 2
    fine, coarse = np.array([0.0, 0, 64, 64]), np.array([0.0, 0, 63, 63])
    assert reduced.is_fine_for([fine], SIZE)
    assert reduced.is_fine_for([], SIZE)
    assert not reduced.is_fine_for([fine, coarse], SIZE)
    assert Picture.decoded(jpeg, "a.jpg").is_fine_for([coarse], SIZE)


class Finds(ReducedSearch):
    """One square in pixels of the full image, wherever it searches."""

    name = "fixed"

    def __init__(self, square: list[float]) -> None:
        super().__init__((600, 3072), None, 10, {})
        self.square, self.searched = np.array(square), (0, 0)

    def _find(self, image: np.ndarray, ratio: float) -> list[tuple[np.ndarray, float]]:
        self.searched = image.shape[:2]
        return [(self.square * image.shape[1] / SIDE, 1.0)]

    def _found(self, box: np.ndarray, score: float) -> Found:
        return Found(box, score, "crop")


class Middle:
    """Points in the middle of each crop."""

    threads, batch, name, has_confidence = 1, 4, "fixed", False
    card = ModelCard("none", SIZE, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        return np.broadcast_to(np.linspace(-0.3, 0.3, 136, dtype=np.float32).reshape(68, 2), (len(crops), 68, 2)), None


class Drawings:
    def write(self, identity: str, source: str, image: np.ndarray) -> None:
        self.image = image


@pytest.mark.parametrize(("side", "n_decoded"), [(600.0, 1), (60.0, 2)])
def test_a_photograph_is_decoded_in_full_only_for_small_faces_and_drawings(
    jpeg: bytes, side: float, n_decoded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    decode = Picture.decoded

    def counted(*arguments: Any, **options: Any) -> Picture:
        picture = decode(*arguments, **options)
        decoded.append(picture.reduction)
        return picture

    monkeypatch.setattr(Picture, "decoded", staticmethod(counted))
    square = [200.0, 300, 200 + side, 300 + side]
    points = []
    for drawings in (None, Drawings()):
        decoded.clear()
        detector = Finds(square)
        work = PhotographWork(Middle(), Search(detector, refine=1), drawings)  # type: ignore[arg-type]
        outcome = work([Photograph("a.jpg", "a.jpg", lambda: jpeg)])
        points.append(outcome.columns["landmarks"])
        assert detector.searched == (SIDE // 4, SIDE // 2)
        assert decoded[:n_decoded] == [2, 1][:n_decoded]
        assert len(decoded) == (2 if drawings else n_decoded)
    np.testing.assert_array_equal(*points)
    assert drawings is not None
    assert drawings.image.shape == cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape
