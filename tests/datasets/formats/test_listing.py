"""A folder is listed once for all the formats that look into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kdtools.datasets.annotations import (
    Sources,
    mirror_of_points,
    names_of_points,
    read_annotations,
    role_of_points,
    scheme_of_points,
)
from kdtools.datasets.formats import find_format
from kdtools.datasets.formats.shared import annotation, listing

N = 7  # text files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(N):
        place = tmp_path / f"{k % 3}" / "inner"
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{k}.png"), np.zeros((8, 8, 3), np.uint8))
        (place / f"{k}.notes").write_text("no annotation")
    return tmp_path


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each walk through a folder."""
    walks: list[str] = []
    usual = listing.files_below

    def counted(folder: Path, **options: Any) -> Iterator[str]:
        walks.append(str(folder))
        return usual(folder, **options)

    for module in (listing, annotation):
        monkeypatch.setattr(module, "files_below", counted)
    return walks


def test_a_folder_of_pictures_is_listed_for_annotations_and_for_pictures(folder: Path, walks: list[str]) -> None:
    """Not once for each format that looks for its own files there."""
    assert find_format("auto", folder).name == "images"
    assert len(walks) == 2


def test_a_whole_import_lists_a_folder_once_to_recognise_it_and_once_to_read_it(folder: Path, walks: list[str]) -> None:
    """Though five questions are asked about its format, and two formats look for .pts files."""
    for k, picture in enumerate(sorted(folder.rglob("*.png"))):
        picture.with_suffix(".pts").write_text(f"version: 1\nn_points: 3\n{{\n1 2\n6 2.{k}\n3 6\n}}\n")
    sources = Sources([str(folder)])
    assert len(read_annotations(sources)) == N
    assert names_of_points(sources) == ()
    assert mirror_of_points(sources) is None
    assert scheme_of_points(sources) is None
    assert role_of_points(sources) == "hard"
    assert len(walks) == 2


def test_annotations_below_are_found_by_any_format(folder: Path) -> None:
    (folder / "2" / "inner" / "last.json").write_text(
        '{"shapes": [{"label": "a", "shape_type": "point", "points": []}]}'
    )
    assert find_format("auto", folder).name == "labelme"


@pytest.mark.parametrize("most", [0, 3, N, N + 1])
def test_the_names_are_those_of_a_walk_however_many_are_kept(
    folder: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_MOST_KEPT", most)
    expected = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.notes"))
    assert list(listing.texts_below(folder)) == expected
    with listing.listed_once():
        first, second = listing.texts_below(folder), listing.texts_below(folder)
        assert [next(first) for _ in range(4)] == expected[:4]
        assert list(second) == expected
        assert list(first) == expected[4:]
