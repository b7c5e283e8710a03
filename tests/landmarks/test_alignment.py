"""The five-point template: which schemes name the five, and the transform that brings faces to it."""

from __future__ import annotations

import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.landmarks.alignment import (
    TEMPLATE,
    aligned_to_source,
    fit_similarity,
    five_point_weights,
    five_points,
)
from kdtools.landmarks.geometry import apply_affine, invert_affine


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * points @ np.array([[cos, sin], [-sin, cos]]) + shift


@pytest.mark.parametrize("name", SCHEMES)
def test_every_known_scheme_names_the_five(name: str) -> None:
    weights = five_point_weights(SCHEMES[name])
    assert weights.shape == (5, SCHEMES[name].n_points)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_a_scheme_of_ones_own_names_the_five_or_is_refused() -> None:
    names = ("mouth_l", "ear", "EyeLeft", "right eye", "nose", "mouth_right")
    five = five_point_weights(Scheme("mine", 6, names=names))
    assert five.argmax(axis=1).tolist() == [2, 3, 4, 0, 5]
    by_eyes = Scheme("mine", 7, left_eye=(0, 1), right_eye=(2, 3), names=("a", "b", "c", "d", "nose_tip", "e", "f"))
    with pytest.raises(DataError, match="which of its points are mouth_left, mouth_right"):
        five_point_weights(by_eyes)
    with pytest.raises(DataError, match="left_eye, right_eye, nose_tip, mouth_left, mouth_right"):
        five_point_weights(Scheme("points21", 21))


@pytest.mark.parametrize("size", [112, 224, 96])
def test_a_face_comes_to_the_template_from_anywhere(size: int) -> None:
    faces = np.stack([turned(TEMPLATE, d, s, (300, 40)) for d, s in ((0, 1), (35, 2.5), (-170, 0.3))])
    maps = aligned_to_source(faces, size)
    aligned = apply_affine(invert_affine(maps), faces)
    np.testing.assert_allclose(aligned, np.broadcast_to(TEMPLATE * size / 112, aligned.shape), atol=1e-9)


def test_the_best_similarity_mirrors_nothing() -> None:
    """Against a search over turns and scales, for a face that no transform fits exactly, and its mirror image."""
    rng = np.random.default_rng(0)
    for face in (TEMPLATE + rng.normal(0, 5, (5, 2)), TEMPLATE * (-1, 1)):
        found = fit_similarity(face[None], TEMPLATE)[0]
        assert np.linalg.det(found[:, :2]) > 0
        error = ((apply_affine(found, face) - TEMPLATE) ** 2).sum()
        centred, target = face - face.mean(axis=0), TEMPLATE - TEMPLATE.mean(axis=0)
        tried = [
            ((turned(centred, d, s, (0, 0)) - target) ** 2).sum() for d in range(360) for s in np.linspace(0.1, 1.5, 57)
        ]
        assert error <= min(tried) + 1e-9
        assert error > min(tried) - 20


def test_faces_with_missing_points_have_no_map() -> None:
    weights = five_point_weights(SCHEMES["ibug68"])
    points = np.random.default_rng(0).normal(0, 10, (4, 68, 2))
    points[1, 37] = np.nan  # of an eye's mean
    points[2, 0] = np.nan  # of no use here
    points[3] = 5.0
    usable = np.isfinite(aligned_to_source(five_points(points, weights), 112)).all(axis=(1, 2))
    assert usable.tolist() == [True, False, True, False]
