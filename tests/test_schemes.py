"""Landmark schemes: mirror maps are checked against known pairs, and by a picture (docs say how to draw one)."""

from __future__ import annotations

import itertools

import pytest

from kdtools.errors import DataError
from kdtools.schemes import IBUG68, SCHEMES, WFLW98, Scheme, scheme_for_points


def test_known_pairs_of_ibug68() -> None:
    pairs = {
        0: 16,
        8: 8,
        17: 26,
        21: 22,
        27: 27,
        31: 35,
        36: 45,
        39: 42,
        37: 44,
        41: 46,
        48: 54,
        59: 55,
        60: 64,
        67: 65,
    }
    assert {a: IBUG68.mirror[a] for a in pairs} == pairs


def test_known_pairs_of_wflw98() -> None:
    pairs = {
        0: 32,
        16: 16,
        33: 46,
        37: 42,
        38: 50,
        41: 47,
        55: 59,
        60: 72,
        64: 68,
        67: 73,
        76: 82,
        87: 83,
        88: 92,
        96: 97,
    }
    assert {a: WFLW98.mirror[a] for a in pairs} == pairs


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_mirror_swaps_the_eyes_and_undoes_itself(scheme: Scheme) -> None:
    assert [scheme.mirror[i] for i in scheme.mirror] == list(range(scheme.n_points))
    assert {scheme.mirror[i] for i in scheme.left_eye} == set(scheme.right_eye)
    assert scheme.mirror[scheme.outer_corners[0]] == scheme.outer_corners[1]
    lines = {frozenset(itertools.pairwise(line)) for line in scheme.outlines}
    mirrored = {
        frozenset((scheme.mirror[a], scheme.mirror[b]) for a, b in itertools.pairwise(line)) for line in scheme.outlines
    }
    undirected = [{frozenset(edge) for line in side for edge in line} for side in (lines, mirrored)]
    assert undirected[0] == undirected[1]


def test_mirror_that_does_not_undo_itself_is_refused() -> None:
    with pytest.raises(DataError, match="undoes itself"):
        Scheme("custom", 3, mirror=(1, 2, 0))


def test_scheme_survives_its_text_and_unknown_numbers_have_none() -> None:
    assert Scheme.from_json(IBUG68.to_json()) == IBUG68
    assert scheme_for_points(68) is IBUG68
    assert scheme_for_points(5) == Scheme("points5", 5)
    with pytest.raises(DataError):
        Scheme.from_json("[]")
