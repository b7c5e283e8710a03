"""Normalisers: lengths against plain numpy, names on the command line, what a scheme lacks, missing points."""

from __future__ import annotations

import numpy as np
import pytest

from kdtools.errors import DataError, UsageError
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.metrics import GIVEN_BOX, NORMALISERS, clean_points, normaliser_named, normalisers_of, point_bounds

EYES = Scheme("eyes", 6, outer_corners=(0, 5), left_eye=(0, 1), right_eye=(3, 4, 5))
BARE = Scheme("bare", 6)


def faces(n: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 100, (n, 6, 2))


def test_lengths() -> None:
    gt = faces()
    side = gt.max(axis=1) - gt.min(axis=1)
    expected = {
        "inter-ocular": np.linalg.norm(gt[:, 0] - gt[:, 5], axis=1),
        "inter-pupil": np.linalg.norm(gt[:, :2].mean(axis=1) - gt[:, 3:].mean(axis=1), axis=1),
        "box-diagonal": np.linalg.norm(side, axis=1),
        "box-size": np.sqrt(side[:, 0] * side[:, 1]),
        "face-height": side[:, 1],
        "points:4,2": np.linalg.norm(gt[:, 4] - gt[:, 2], axis=1),
        "100": np.full(len(gt), 100.0),
    }
    assert tuple(expected)[:5] == NORMALISERS == tuple(one.name for one in normalisers_of(EYES))
    for name, values in expected.items():
        normaliser = normaliser_named(name, EYES)
        assert normaliser.name == name
        assert not normaliser.needs_boxes
        np.testing.assert_allclose(normaliser.lengths(gt), values)
        np.testing.assert_array_equal(normaliser.lengths(gt, bounds=point_bounds(gt)), normaliser.lengths(gt))


def test_given_boxes() -> None:
    normaliser = normaliser_named(GIVEN_BOX, BARE)
    assert normaliser.needs_boxes
    boxes = np.array([[0, 0, 4, 9], [5, 5, 5, 9], [9, 9, 0, 0], [0, 0, np.nan, 1], [0, 0, np.inf, 1]], dtype=np.float32)
    # A box turned inside out frames nothing, though its width times its height is above 0.
    np.testing.assert_array_equal(normaliser.lengths(faces(5), boxes), [6, 0, 0, np.nan, np.nan])
    with pytest.raises(DataError, match="needs annotated boxes") as error:
        normaliser.lengths(faces(5))
    assert "box-size" in error.value.hint
    with pytest.raises(DataError, match=r"boxes of shape \(4, 4\)"):
        normaliser.lengths(faces(5), boxes[:4])


@pytest.mark.filterwarnings("error")
def test_missing_points() -> None:
    gt = faces(4)
    gt[0, 5], gt[1], gt[2, 2] = np.nan, np.nan, np.nan
    missing = {one.name: np.isnan(one.lengths(gt)).tolist() for one in normalisers_of(EYES)}
    eyes, box = [True, True, False, False], [False, True, False, False]
    assert missing == {"inter-ocular": eyes, "inter-pupil": eyes} | dict.fromkeys(NORMALISERS[2:], box)
    diagonal = normaliser_named("box-diagonal", EYES).lengths(gt)
    assert diagonal[0] == pytest.approx(np.linalg.norm(np.ptp(gt[0, :5], axis=0)))
    assert normaliser_named("inter-ocular", EYES).lengths(gt[:0]).shape == (0,)


def test_lengths_of_nothing_are_zero_and_not_invented() -> None:
    gt = np.full((2, 6, 2), 7.0)
    gt[1, 1:] = np.nan  # one point
    assert np.nan_to_num([one.lengths(gt) for one in normalisers_of(EYES)]).tolist() == [[0, 0]] * 5


def test_what_a_scheme_allows() -> None:
    assert [one.name for one in normalisers_of(BARE)] == ["box-diagonal", "box-size", "face-height"]
    for scheme in SCHEMES.values():
        possible = normalisers_of(scheme)
        shapes = clean_points(np.random.default_rng(1).uniform(0, 1, (3, scheme.n_points, 2)))
        assert all((one.lengths(shapes) > 0).all() for one in possible)
        assert [normaliser_named(one.name, scheme) for one in possible] == possible
    with pytest.raises(UsageError, match="inter-ocular needs points of the eyes") as error:
        normaliser_named("inter-ocular", BARE)
    assert (
        error.value.hint
        == "for bare give box-diagonal, box-size, face-height, given-box, points:I,J or a number of pixels"
    )


@pytest.mark.parametrize(
    "text", ["", "eyes", "all", "0", "-1", "nan", "inf", "1e999", "points", "points:1", "points:1,2,3"]
)
def test_unknown_names(text: str) -> None:
    with pytest.raises(UsageError, match="no normaliser is") as error:
        normaliser_named(text, EYES)
    assert "inter-ocular, inter-pupil, box-diagonal" in error.value.hint


@pytest.mark.parametrize("text", ["points:0,6", "points:3,3", "points:999999999,0"])
def test_points_outside(text: str) -> None:
    with pytest.raises(UsageError, match="no normaliser is") as error:
        normaliser_named(text, EYES)
    assert error.value.hint == "give two different points of eyes, from 0 to 5, such as points:0,1"


def test_too_few_points() -> None:
    with pytest.raises(DataError, match="inter-ocular needs point 5 of 4"):
        normaliser_named("inter-ocular", EYES).lengths(faces()[:, :4])


def test_a_face_alone_has_the_length_that_it_has_among_others() -> None:
    """To the last digit: a block of faces may hold one."""
    wide = Scheme("wide", 32, left_eye=tuple(range(16)), right_eye=tuple(range(16, 32)))
    gt = np.random.default_rng(0).normal(size=(100, 32, 2))
    normaliser = normaliser_named("inter-pupil", wide)
    alone = np.concatenate([normaliser.lengths(face[None]) for face in gt])
    np.testing.assert_array_equal(alone, normaliser.lengths(gt))
