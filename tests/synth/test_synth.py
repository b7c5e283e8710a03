"""The drawn faces: exact points, the same faces for any number of processes, and enough variety."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kdtools.errors import UsageError
from kdtools.landmarks import IBUG68
from kdtools.synth import Face, draw_face, draw_faces
from kdtools.synth.head import make_view, place


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    """Sixty faces of 96 px."""
    return list(draw_faces(60, 96, seed=11))


@pytest.fixture(scope="module")
def shapes() -> NDArray[np.float64]:
    """The points of 300 faces as parts of the image's side, (300, 68, 2); not drawn, for speed."""
    views = [make_view(np.random.default_rng([5, k]), 0.2, 1)[:2] for k in range(300)]
    return np.stack([place(view, xyz)[0] + 0.5 for view, xyz in views])


def upright(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Points turned so that the line between the eyes' centres is level, about their mean."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    angle = np.arctan2(*(right - left)[::-1])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((points - points.mean(0)) @ turn.T)


@pytest.mark.parametrize("size", [32, 96, 200, 300])
def test_shapes_types_and_ranges(size: int) -> None:
    image, points, visible = draw_face(np.random.default_rng(1), size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert visible.shape == (68,)
    assert visible.dtype == np.uint8
    assert set(visible.tolist()) <= {0, 1}


def test_points_lie_inside_the_image(faces: list[Face], shapes: NDArray[np.float64]) -> None:
    for _, points, _ in faces:
        assert points.min() >= 0
        assert points.max() <= 95
    assert shapes.min() > 0
    assert shapes.max() < 1
    tight = draw_face(np.random.default_rng(3), 64, margin=0.0)[1]
    assert tight.min() >= -0.5 - 1e-3
    assert tight.max() <= 63.5 + 1e-3


@pytest.mark.parametrize(("size", "margin"), [(8, 0.2), (64, -0.1), (64, float("nan"))])
def test_bad_arguments_are_refused(size: int, margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        draw_face(np.random.default_rng(0), size, margin=margin)


def test_same_faces_for_any_jobs_and_start() -> None:
    one = list(draw_faces(40, 32, seed=9))
    for other, same in ((list(draw_faces(40, 32, seed=9, jobs=2)), one),
                        (list(draw_faces(5, 32, seed=9, first=30)), one[30:35])):  # fmt: skip
        assert len(other) == len(same)
        for a, b in zip(other, same, strict=True):
            for i in range(3):
                np.testing.assert_array_equal(a[i], b[i])
    assert not np.array_equal(one[0][1], next(draw_faces(1, 32, seed=10))[1])


def test_no_faces() -> None:
    assert list(draw_faces(0, 32, seed=0)) == []
    assert list(draw_faces(0, 32, seed=0, jobs=2)) == []


def test_a_stopped_reader_ends_the_processes() -> None:
    stream = draw_faces(10_000, 32, seed=0, jobs=2)
    next(stream)
    stream.close()  # type: ignore[attr-defined]


def test_points_do_not_depend_on_the_size() -> None:
    for k in range(10):
        small, large = (draw_face(np.random.default_rng(k), size)[1] for size in (64, 128))
        np.testing.assert_allclose(large + 0.5, 2 * (small + 0.5), atol=1e-3)


def test_points_are_in_order(faces: list[Face]) -> None:
    for _, points, _ in faces:
        p = upright(points)
        x, y = p.T
        assert x[0] < x[8] < x[16]
        assert (np.diff(y[27:31]) > 0).all()
        assert (np.diff(x[[36, 39, 42, 45]]) > 0).all()
        assert (np.diff(x[31:36]) > 0).all()
        assert x[48] < x[51] < x[54]
        assert x[60] < x[62] < x[64]
        assert y[17:27].mean() < y[36:48].mean() < y[31:36].mean() < y[48:68].mean() < y[8]
        assert y[51] < y[62] < y[66] < y[57]
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            assert y[upper] < y[lower]
        # Outer lip and eyes run clockwise as seen.
        for ring in (p[36:42], p[42:48], p[48:60]):
            after = np.roll(ring, -1, 0)
            assert (ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum() > 0


def test_points_lie_on_drawn_features(faces: list[Face]) -> None:
    inner, shifted, skin = [], [], []
    rng = np.random.default_rng(0)
    for image, points, visible in faces:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        features = np.flatnonzero(visible[36:60]) + 36

        def at(places: NDArray[np.float32], slope: NDArray[np.float32] = slope) -> list[float]:
            x, y = places.round().astype(int).clip(0, 95).T
            return [float(value) for value in slope[y, x]]

        inner += at(points[features])
        for dx, dy in ((3, 0), (-3, 0), (0, 3), (0, -3)):
            shifted += at(points[features] + np.array([dx, dy], np.float32))
        weights = rng.uniform(0.3, 0.7, (20, 1)).astype(np.float32)
        cheek, eye = points[rng.integers(2, 6, 20)], points[rng.integers(40, 42, 20)]
        skin += at(weights * cheek + (1 - weights) * eye)
    assert np.mean(inner) > 1.25 * np.mean(shifted)
    assert np.mean(inner) > 2 * np.mean(skin)


def test_mean_shape_is_symmetric(shapes: NDArray[np.float64]) -> None:
    mean = shapes.mean(0)
    mirrored = mean[list(IBUG68.mirror or ())] * [-1, 1] + [1, 0]
    assert np.abs(mean - mirrored).max() < 0.04


def test_faces_vary(faces: list[Face], shapes: NDArray[np.float64]) -> None:
    jaw_left = np.linalg.norm(shapes[:, 30] - shapes[:, 2], axis=1)
    jaw_right = np.linalg.norm(shapes[:, 30] - shapes[:, 14], axis=1)
    assert np.std(np.log(jaw_left / jaw_right)) > 0.3  # yaw
    mouth_open = np.linalg.norm(shapes[:, 66] - shapes[:, 62], axis=1)
    assert np.std(mouth_open) > 0.01
    assert np.stack([image for image, _, _ in faces]).std(0).mean() > 40
    hidden = np.stack([visible for _, _, visible in faces]) == 0
    assert 0.01 < hidden.mean() < 0.3
