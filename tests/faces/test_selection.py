"""Choosing faces: subsets, ids and globs mean the same, and fail the same, wherever faces are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from factories import write_faces

import kdtools.faces.selection as selection
from kdtools.errors import DataError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.selection import IdPatterns, check_subsets, choose_faces, subset_members, take_parts

IDS = ["a/x/1.jpg", "a/2.jpg", "A/3.jpg", "b[1].jpg", "b1.jpg"]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[FacesFile]]:
    """Two files; the second has a subset of its own, and no face of the first's."""
    with ExitStack() as stack:
        found = []
        for name, ids, subset in (("one", IDS, "first"), ("two", ["c/1.jpg"], "second")):
            members = {f"subset_{subset}": [k < 2 for k in range(len(ids))]}
            path = write_faces(tmp_path / f"{name}.h5", ids=ids, **members)
            found.append(stack.enter_context(open_faces(path)))
        yield found


def chosen(faces: FacesFile, **choice: object) -> list[int]:
    return np.flatnonzero(choose_faces(faces, **choice)).tolist()  # type: ignore[arg-type]


def test_globs() -> None:
    """`*` matches / too, case counts, and an id with brackets matches itself besides."""
    patterns = IdPatterns(["a/*", "b[1]", "c?", "b[1]"])
    matched = patterns.match(["a/x/1.jpg", "b1", "b[1]", "c", "cc", "A/x"])
    assert matched.tolist() == [True, True, True, False, True, False]
    assert patterns.unmatched == []
    assert patterns.match([]).shape == (0,)
    assert IdPatterns(["no", "n*"]).unmatched == ["no", "n*"]


def test_faces_of_one_file(files: list[FacesFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_SOME_IDS", 2)  # ids are matched some at a time
    one = files[0]
    assert chosen(one) == [0, 1, 2, 3, 4]
    assert chosen(one, subsets=["first"]) == [0, 1]
    assert chosen(one, subsets=["first", "full"]) == [0, 1, 2, 3, 4]
    assert chosen(one, ids=IdPatterns(["a/*", "b1.jpg"])) == [0, 1, 4]
    assert chosen(one, exclude=IdPatterns(["a/*"])) == [2, 3, 4]
    assert chosen(one, subsets=["first"], ids=IdPatterns(["*2*", "b1.jpg"]), exclude=IdPatterns(["b*"])) == [1]


def test_faces_of_several_files(files: list[FacesFile]) -> None:
    assert [(part.name, part.ids) for part in take_parts(files, subsets=["second"])] == [(files[1].name, ["c/1.jpg"])]
    both = take_parts(files, ids=IdPatterns(["one/*1.jpg", "two/c/*"]), prefix=True)
    assert [part.ids for part in both] == [["one/a/x/1.jpg", "one/b1.jpg"], ["two/c/1.jpg"]]


def test_an_unknown_subset_names_those_there_are(files: list[FacesFile]) -> None:
    for fail, hint in (
        (lambda: choose_faces(files[0], subsets=["full", "nose"]), "there are full, first"),
        (lambda: take_parts(files, subsets=["nose"]), "there are full, first, second"),
        (lambda: check_subsets(["nose"], ["full", "b"], "truth.h5"), "there are full, b"),
    ):
        with pytest.raises(DataError, match="no subset 'nose'") as caught:
            fail()
        assert caught.value.hint == hint


def test_no_face_left(files: list[FacesFile], tmp_path: Path) -> None:
    nothing = IdPatterns(["nobody"])
    for fail in (lambda: choose_faces(files[0], ids=nothing), lambda: take_parts(files, exclude=IdPatterns(["*"]))):
        with pytest.raises(DataError, match="no face is left") as caught:
            fail()
        assert "'a/x/1.jpg'" in caught.value.hint
    with (
        open_faces(write_faces(tmp_path / "none.h5", ids=[])) as empty,
        pytest.raises(DataError, match="no face is left") as caught,
    ):
        choose_faces(empty)
    assert caught.value.hint == "it holds none at all"


def test_full_is_every_face_whatever_a_file_says() -> None:
    members = subset_members({"full": np.array([True, False]), "b": np.array([False, True])}, 2)
    assert {name: mask.tolist() for name, mask in members.items()} == {"full": [True, True], "b": [False, True]}
