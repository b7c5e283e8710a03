"""Which labelled points make a face, and in which order they stand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.labelled_points import Face, Mark, MarkedPicture, Region, order_of
from kdtools.datasets.formats.shared.marked_pictures import names_of_marks, read_marked
from kdtools.errors import DataError

LEFT, RIGHT = Region((0, 0, 50, 50)), Region((60, 0, 110, 50))
A = [Mark("eye", 10, 10), Mark("nose", 20, 20), Mark("mouth", 20, 30)]
B = [Mark("eye", 70, 10), Mark("nose", 80, 20), Mark("mouth", 80, 30)]


FILE = Path("file")


def read(*pictures: MarkedPicture, base: float = 0, **options: Any) -> tuple[list[Annotation], list[str]]:
    skipped: list[str] = []
    reading = Reading(base, lambda what, why: skipped.append(why), pictures=False, **options)
    return list(read_marked(FILE, pictures, reading, Path())), skipped


def picture(marks: list[Mark], *regions: Region, name: str = "a.jpg", ordered: bool = False) -> MarkedPicture:
    return MarkedPicture("file:1", (name,), marks=list(marks), regions=list(regions), ordered=ordered)


def faces_of(picture: MarkedPicture) -> list[list[list[float]]]:
    found, skipped = read(picture)
    assert skipped == []
    return sorted(one.points.tolist() for one in found if one.points is not None)


# In the order eye, mouth, nose.
FACE_A, FACE_B = [[10, 10], [20, 30], [20, 20]], [[70, 10], [80, 30], [80, 20]]


@pytest.mark.parametrize("seed", range(5))
def test_rectangles_and_groups_make_faces_in_any_order_of_clicks(seed: int) -> None:
    marks = [*A, *B]
    random.Random(seed).shuffle(marks)
    assert faces_of(picture(marks, LEFT, RIGHT)) == [FACE_A, FACE_B]
    assert faces_of(picture(marks, LEFT)) == [FACE_A, FACE_B]  # the second face has no rectangle
    grouped = [Mark(m.label, m.x, m.y, "2" if m.x > 60 else "1") for m in marks]
    assert faces_of(picture(grouped)) == [FACE_A, FACE_B]
    assert faces_of(picture([m for m in grouped if m.group == "1"] + B)) == [FACE_A, FACE_B]


def test_one_rectangle_or_none_is_one_face() -> None:
    for regions in ([], [Region((0, 0, 50, 25))]):  # the mouth lies below the rectangle
        assert faces_of(picture(A, *regions)) == [FACE_A]
    found, _ = read(picture(A, LEFT), base=0.5)
    assert found[0].points is not None
    assert found[0].points.tolist() == [[9.5, 9.5], [19.5, 29.5], [19.5, 19.5]]
    assert found[0].box is not None
    assert found[0].box.tolist() == [-0.5, -0.5, 49.5, 49.5]


def test_rectangles_inside_each_other() -> None:
    assert faces_of(picture([*A, *B], Region((-10, -10, 55, 99)), LEFT, RIGHT)) == [FACE_A, FACE_B]


@pytest.mark.parametrize(
    ("marks", "regions", "why"),
    [
        ([*A, *B], [], "the label 'eye' stands 2 times"),
        ([*A, Mark("nose", 21, 21)], [LEFT], "the label 'nose' occurs twice"),
        ([*A, *B], [LEFT, Region((60, 0, 110, 25))], "the point 'mouth' could belong to several faces"),
        (A, [LEFT, Region((5, 5, 60, 60))], "is in 2 rectangles"),
        ([Mark("eye", 1, 1, "1"), Mark("eye", 2, 2, "1")], [], "the label 'eye' occurs twice"),
        ([Mark("eye", 1e9, 1)], [], "is not a place in a picture"),
    ],
)
def test_what_is_uncertain_is_skipped(marks: list[Mark], regions: list[Region], why: str) -> None:
    found, skipped = read(picture(marks, *regions), picture(A, name="b.jpg"))
    assert [one.id for one in found] == ["b.jpg"]
    assert len(skipped) == 1
    assert why in skipped[0]


def test_overlapping_rectangles_share_out_what_the_other_face_lacks() -> None:
    overlapping = Region((15, 0, 110, 60))  # holds nose and mouth of A too, but has its own
    b = [Mark(m.label, m.x, m.y) for m in B]
    assert faces_of(picture([*b, *A], LEFT, overlapping)) == [FACE_A, FACE_B]


def test_points_that_are_absent_hidden_or_scored() -> None:
    marks = [
        Mark("eye", 10, 10, missing=True),
        Mark("nose", 20, 20, hidden=True),
        Mark("mouth", 20, 30, confidence=0.5),
    ]
    found, skipped = read(picture(marks), picture(A[:2], name="b.jpg"), picture([marks[0]], name="c.jpg"))
    assert skipped == ["a face without points"]
    np.testing.assert_array_equal(found[0].points, [[np.nan, np.nan], [20, 30], [20, 20]])
    np.testing.assert_array_equal(found[0].visible, [False, True, False])
    np.testing.assert_array_equal(found[0].confidence, [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(found[1].points, [[10, 10], [np.nan, np.nan], [20, 20]])
    np.testing.assert_array_equal(found[1].visible, [True, False, True])
    seen, _ = read(picture(A))
    assert seen[0].visible is None  # nothing is hidden, so nothing is known


def test_points_without_labels_stand_in_their_order_and_never_shift() -> None:
    unnamed = [Mark("", m.x, m.y) for m in A]
    found, skipped = read(
        picture(unnamed, ordered=True), picture(unnamed[1:], ordered=True), picture(unnamed, ordered=True)
    )
    assert [one.points.tolist() for one in found if one.points is not None] == [[[10, 10], [20, 20], [20, 30]]] * 2
    assert skipped == ["2 points without labels, but most faces have 3"]
    assert names_of_marks(FILE, [picture(unnamed, ordered=True)]) is None


# ---- different things
FACE, HAND = Region(LEFT.corners, label="face"), Region(RIGHT.corners, label="hand")


def test_rectangles_of_different_labels_are_around_different_things() -> None:
    both = picture([*A, *B], FACE, HAND)
    with pytest.raises(DataError, match=r"different things: '(face|hand)' \(1 annotations of 3 points\)") as caught:
        read(both)
    assert "--category" in caught.value.hint
    for category, points in (("face", FACE_A), ("hand", FACE_B)):
        found, skipped = read(both, picture([*A, *B], LEFT, name="b.jpg"), categories=(category,))
        assert [one.points.tolist() for one in found if one.points is not None] == [points]
        assert skipped == []
    assert len(read(both, categories=("*",))[0]) == 2
    assert names_of_marks(FILE, [both], categories=("face",)) == ["eye", "mouth", "nose"]


def test_rectangles_without_points_and_of_one_label_change_nothing() -> None:
    person = Region((55, -5, 120, 60), label="person")
    said: list[str] = []
    found, skipped = read(picture(A, FACE, person), picture([*A, *B], FACE, name="b.jpg"), say=said.append)
    assert len(found) == 3  # the second face of b.jpg has no rectangle
    assert skipped == []
    assert said == ["file: left out 1 thing with other labels"]


def test_points_that_share_no_label_are_of_different_things() -> None:
    hand = [Mark(label, 70 + k, 10 + k) for k, label in enumerate(("thumb", "palm", "wrist"))]
    with pytest.raises(DataError, match="share no label: 'eye', 'mouth', 'nose'; 'palm', 'thumb', 'wrist'"):
        read(picture(A), picture(hand, name="b.jpg"))
    both = [picture(A, FACE), picture(hand, HAND, name="b.jpg")]
    found, _ = read(*both, categories=("hand",))
    assert [one.points.tolist() for one in found if one.points is not None] == [[[71, 11], [70, 10], [72, 12]]]
    with pytest.raises(DataError, match="different points"):
        read(*both, categories=("face", "hand"))


def test_a_label_that_hardly_any_face_has_is_mentioned() -> None:
    warned: list[str] = []
    odd = [*A[:2], Mark("muoth", 20, 30)]
    found, _ = read(*(picture(A, name=f"{k}.jpg") for k in range(11)), picture(odd, name="x.jpg"), warn=warned.append)
    assert len(found) == 12
    assert warned == [
        "file: hardly any of its 12 faces has the points 'muoth', which are missing in all others; correct these "
        "labels if they are misspelt"
    ]


def test_what_is_no_point_is_a_note_where_faces_are_read() -> None:
    said: list[str] = []
    one, other = picture(A), picture([], name="b.jpg")
    one.notes.append("a polygon is no point")
    other.notes.append("a polygon is no point")
    found, skipped = read(one, other, say=said.append)
    assert len(found) == 1
    assert skipped == ["a polygon is no point"]
    assert said == ["file:1: a polygon is no point"]


def order(*labels: str, declared: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    marks = [Mark(label, 0, 0) for label in labels]
    random.Random(len(labels)).shuffle(marks)
    return order_of([Face({mark.label: mark for mark in marks})], declared)


def test_numbers_sort_as_numbers_and_gaps_are_missing_points() -> None:
    assert order(*map(str, range(68))) == ([str(k) for k in range(68)], False)
    assert order(*(f"p{k}" for k in range(1, 69)))[0] == [f"p{k}" for k in range(1, 69)]
    assert order(*(f"kp_{k:02d}" for k in range(12)))[0] == [f"kp_{k:02d}" for k in range(12)]
    labels, named = order(*(str(k) for k in range(68) if k not in (0, 33)))
    assert (len(labels), labels[:2], labels[32], named) == (67, ["1", "2"], "no point 33", False)  # counted from 1
    assert order("17", "36", "45", "9") == (["9", "17", "36", "45"], True)  # some of 68, by their numbers
    assert order("8", "9", "10") == (["8", "9", "10"], False)
    assert order("1", "01") == (["01", "1"], True)


def test_names_take_the_order_of_a_known_scheme_or_of_the_alphabet() -> None:
    assert order("nose_tip", "mouth_right", "right_eye", "left_eye", "mouth_left") == (
        ["left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right"],
        True,
    )
    assert order("snout", "left_ear", "right_ear")[0] == ["left_ear", "right_ear", "snout"]
    assert order("brow_10", "brow_9", "nose")[0] == ["brow_9", "brow_10", "nose"]
    assert order("b", "a", declared=("b", "c", "a")) == (["b", "c", "a"], True)
    assert order("b", "x", declared=("b", "a"))[0] == ["b", "x"]
