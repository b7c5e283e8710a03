"""Affine maps, boxes and the crop rule; above all their half pixels."""

from __future__ import annotations

import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.landmarks.crop_rule import CropRule, points_in_box
from kdtools.landmarks.geometry import (
    apply_affine,
    box_to_source,
    compose_affine,
    invert_affine,
    pixels_to_unit,
    unit_to_pixels,
)


def test_box_of_the_whole_image_is_the_identity() -> None:
    np.testing.assert_allclose(box_to_source(np.array([0, 0, 40, 30]), 30, 40), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_first_pixel_of_a_halved_crop_lies_between_two_pixels_of_the_source() -> None:
    to_source = box_to_source(np.array([10, 20, 30, 40]), 10, 10)  # 20 px onto 10
    np.testing.assert_allclose(apply_affine(to_source, np.array([[0.0, 0.0]])), [[10.5, 20.5]])
    np.testing.assert_allclose(apply_affine(to_source, np.array([[9.0, 9.0]])), [[28.5, 38.5]])


def test_unit_coordinates_reach_the_edges_of_the_image() -> None:
    edges = np.array([[-0.5, -0.5], [39.5, 29.5], [19.5, 14.5]])
    np.testing.assert_allclose(pixels_to_unit(edges, 30, 40), [[-0.5, -0.5], [0.5, 0.5], [0, 0]])
    np.testing.assert_allclose(unit_to_pixels(pixels_to_unit(edges, 30, 40), 30, 40), edges)


def test_inverse_and_composition() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 2, 3))
    points = rng.normal(size=(5, 7, 2))
    np.testing.assert_allclose(apply_affine(invert_affine(a), apply_affine(a, points)), points, atol=1e-9)
    both = apply_affine(a, apply_affine(b, points))
    np.testing.assert_allclose(apply_affine(compose_affine(a, b), points), both, atol=1e-9)
    with pytest.raises(DataError, match="singular"):
        invert_affine(np.zeros((2, 3)))


def test_crop_square_is_centred_and_has_its_margin() -> None:
    points = np.array([[10.0, 10.0], [30.0, 20.0], [np.nan, np.nan]])
    box = CropRule(margin=0.25).square_around_points(points)
    np.testing.assert_allclose(box, [5.5, 0.5, 35.5, 30.5])  # centre 20, 15 (+ 0.5), side 20 · 1.5
    crop = apply_affine(invert_affine(box_to_source(box, 60, 60)), points[:2])
    np.testing.assert_allclose(crop.mean(axis=0), [29.5, 29.5])


@pytest.mark.parametrize("points", [[[np.nan, np.nan], [1, 1]], [[2, 2], [2, 2]]])
def test_points_without_extent_are_refused(points: list[list[float]]) -> None:
    with pytest.raises(DataError):
        CropRule().square_around_points(np.array(points, float))


def test_squares_of_many_faces_have_the_bits_of_each_alone() -> None:
    rule, points = CropRule(margin=0.3), np.random.default_rng(3).normal(100, 30, (6, 9, 2))
    points[1, :4], points[2, 1:], points[3], points[4] = np.nan, np.nan, np.nan, 5  # the last three have no square
    squares = rule.squares_around_points(points)
    assert np.isfinite(squares).all(axis=1).tolist() == [True, True, False, False, False, True]
    for k in (0, 1, 5):
        assert np.array_equal(squares[k], rule.square_around_points(points[k]))
        assert np.array_equal(points_in_box(points, squares, 64)[k], points_in_box(points[k], squares[k], 64), True)


def test_rule_survives_its_text() -> None:
    assert CropRule.from_json(CropRule(0.31).to_json()) == CropRule(0.31)
