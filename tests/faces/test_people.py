"""Splits that keep together what belongs together, in kd-student and in kd-split."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from factories import plain_images, write_faces

from kdtools.errors import DataError
from kdtools.faces.file import open_faces
from kdtools.faces.people import find_groups, group_faces
from kdtools.faces.split import split_rows
from kdtools.faces.writer import create_faces
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.storage.provenance import Provenance


@pytest.mark.parametrize(
    "name",
    ["set/person{p}_{k:02d}.jpg", "person{p}/{k:02d}.jpg", "person{p}/person{p}_{k:02d}.jpg", "a/person{p}_1.jpg#{k}"],
)
@pytest.mark.parametrize(("n_people", "n_each"), [(20, 6), (50, 3)])
def test_people_are_not_split(name: str, n_people: int, n_each: int) -> None:
    ids = [name.format(p=p, k=k) for p in range(n_people) for k in range(n_each)]
    split = split_rows(ids, 0.2, 0)
    assert "nobody in both" in split.description
    people = [{row // n_each for row in rows} for rows in (split.kept, split.split_off)]
    assert not people[0] & people[1]
    assert 0.15 < len(split.split_off) / len(ids) <= 0.3
    assert sorted([*split.kept, *split.split_off]) == list(range(len(ids)))


def test_few_people_of_one_folder_stay_whole() -> None:
    ids = [f"person{p}_{k:03d}.jpg" for p in range(8) for k in range(100)]
    split = split_rows(ids, 0.1, 0)
    assert len(split.split_off) == 100
    assert len({row // 100 for row in split.split_off}) == 1


def test_numbered_file_names_are_no_people() -> None:
    split = split_rows([f"image_{k:04d}.jpg" for k in range(100)], 0.1, 0)
    assert (len(split.kept), len(split.split_off)) == (90, 10)
    assert "'image'" in split.description
    mixed = [f"lfpw/image_{k:04d}.jpg" for k in range(100)] + [f"yt/p{p}_{k}.jpg" for p in range(100) for k in range(3)]
    split = split_rows(mixed, 0.1, 0)
    assert "'lfpw/image'" in split.description
    people = [{(row - 100) // 3 for row in rows if row >= 100} for rows in (split.kept, split.split_off)]
    assert not people[0] & people[1]
    assert sum(row < 100 for row in split.split_off) in range(1, 30)


def test_generic_names_are_no_people_even_beside_others_in_one_folder() -> None:
    ids = [f"test/image_{k:04d}.png" for k in range(50)] + [f"test/{k}_{j}.jpg" for k in range(30) for j in (1, 2)]
    found = find_groups([identity.encode() for identity in ids])
    assert found.numbered == ["test/image"]
    assert len(set(found.codes)) == 50 + 30


def groups_in(*patterns: tuple[str, int, int]) -> int:
    """Number of groups among ids made by patterns of {p} and {k}, each with so many p and k."""
    ids = [name.format(p=p, k=k).encode() for name, n_p, n_k in patterns for p in range(n_p) for k in range(n_k)]
    return len(set(find_groups(ids).codes))


def test_few_videos_are_groups_and_numbered_files_are_not() -> None:
    assert groups_in(("clip{p}/frame_{k:04d}.jpg", 5, 100)) == 5
    assert groups_in(("clip{p}/frame_{k:04d}.jpg", 19, 10), ("long/frame_{k:04d}.jpg", 1, 50)) == 20
    assert groups_in(("{p}/{k:05d}.jpg", 4, 50)) == 4
    assert groups_in(("person{p}/img_{k}.jpg", 20, 6)) == 20
    assert groups_in(("set_{k}.jpg", 1, 50)) == 50
    assert groups_in(("train/set_{k}.jpg", 1, 50), ("test/set_{k}.jpg", 1, 30)) == 80
    parts = (
        ("lfpw/testset/image_{k:04d}.png", 1, 224),
        ("ibug/image_{k:03d}.jpg", 1, 68),
        ("lfpw/trainset/image_{k}.png", 1, 99),
    )
    people = ("many/p{p}_{k}.jpg", 1000, 3)
    assert groups_in(*parts) == 224 + 68 + 99
    assert groups_in(*parts, people) == 224 + 68 + 99 + 1000


def test_only_a_number_at_the_end_tells_faces_of_one_photograph() -> None:
    found = find_groups([b"set#2/a0x.jpg", b"set#2/b0x.jpg", b"a#0.jpg", b"a#1.jpg", b"p.jpg", b"p.jpg#2"])
    assert len(set(found.codes)) == 5


def test_events_of_wider_and_wflw_are_no_people() -> None:
    ids = [f"{e}--Event/{e}_Event_Event_{e}_{k}.jpg" for e in range(30) for k in range(5)] + [
        "0--Event/0_Event_Event_0_1.jpg#2"
    ]
    found = find_groups([identity.encode() for identity in ids])
    assert len(found.numbered) == 30
    assert len(set(found.codes)) == 150


def test_groups_of_bytes_are_those_of_single_ids() -> None:
    """All ids at once, byte by byte, must come to what a regular expression says of each."""
    rng = random.Random(0)
    ids = ["".join(rng.choices("ab_/.#01é", k=rng.randint(0, 9))) for _ in range(3000)]
    found = find_groups([identity.encode() for identity in ids])
    stems = [re.sub(r"\.[A-Za-z0-9]+$", "", re.sub(r"#[0-9]+$", "", identity)) for identity in ids]
    expected = [re.sub(r"[_/][0-9]+$", "", stem) for stem in stems]
    assert not found.numbered  # no name is common among so many
    assert [identity.encode()[:end].decode() for identity, end in zip(ids, found.ends, strict=True)] == expected
    code_of: dict[str, int] = {}
    assert all(code_of.setdefault(name, code) == code for name, code in zip(expected, found.codes, strict=True))
    assert len(set(code_of.values())) == len(code_of)


def test_a_few_ids_are_grouped_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few ids are hashed in another way. Some letters become others each time that they are lower-cased."""
    names = ["J\u030can", "ANN", "T\u0308om", "\u0130da"]
    ids = [f"{name}/{'x' * n}_{k}.jpg".encode() for name in names for n in (1, 40) for k in range(12)]
    found = []
    for few in (0, 10_000):
        monkeypatch.setattr("kdtools.faces.people._FEW", few)
        found.append(find_groups(ids))
    assert np.array_equal(found[0].codes, found[1].codes)
    assert np.array_equal(found[0].ends, found[1].ends)


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        split_rows(["a"], 0.1, 0)
    with pytest.raises(DataError, match="too few"):
        split_rows(["a.jpg", "a.jpg#2", "b.jpg"][:2], 0.1, 0)


def test_copied_rows_keep_every_array_in_step(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 40
    points = rng.uniform(0, 16, (n, 68, 2)).astype(np.float32)
    images = plain_images(n, 4) + np.arange(n, dtype=np.uint8)[:, None, None, None]
    write_faces(tmp_path / "all.h5", points, images=images, subset_odd=np.arange(n) % 2 == 1, crop=CropRule(0.3))
    rows = rng.permutation(n)[:13]
    with (
        open_faces(tmp_path / "all.h5") as faces,
        create_faces(str(tmp_path / "part.h5"), False, Provenance("test")) as writer,
    ):
        writer.copy_rows(faces, rows)
    with open_faces(tmp_path / "part.h5") as part:
        assert part.ids == [f"face{k}" for k in rows]
        assert part.images[:, 0, 0, 0].tolist() == rows.tolist()
        np.testing.assert_array_equal(part.landmarks, points[rows])
        assert part.subsets["odd"].tolist() == [bool(k % 2) for k in rows]
        assert (part.scheme, part.crop, part.role) == (IBUG68, CropRule(0.3), "hard")
        assert part.h5["landmarks"].attrs["unit"] == "pixel"


@pytest.mark.parametrize(
    "name",
    [
        "{p}.mp4#frame={k:06d}",  # as kd-predict names frames
        "{p}.mp4#frame={k:06d}#2",
        "films/{p}.mp4#frame={k:06d}",
        "{p}/frame_{k:06d}",  # as kd-import names frames
        "{p}-{k:02d}.jpg",
        "{p} ({k}).jpg",
    ],
)
def test_what_shows_one_person_is_in_one_part(name: str) -> None:
    people = ("ann", "bob", "cid", "dan")
    ids = [name.format(p=p, k=k) for p in people for k in range(25)]
    split = split_rows(ids, 0.3, 0)
    parts = [{row // 25 for row in rows} for rows in (split.kept, split.split_off)]
    assert not parts[0] & parts[1]
    assert len(set(find_groups([identity.encode() for identity in ids]).codes)) == 4


def test_frames_of_numbered_videos_stay_with_their_video() -> None:
    assert groups_in(("annot/{p:03d}/frame_{k:06d}", 2, 60)) == 2
    assert groups_in(("clip_{p}.mp4#frame={k:06d}", 2, 60)) == 2
    assert groups_in(("clip.mp4#frame={k:06d}", 1, 60)) == 1
    assert not find_groups([b"clip.mp4#frame=%06d" % k for k in range(60)]).numbered


@pytest.mark.parametrize(("name", "other"), [("ann", "ANN"), ("é", "É"), ("é", "e\u0301")])
def test_names_differ_neither_by_capitals_nor_by_how_an_accent_is_written(name: str, other: str) -> None:
    ids = [f"{who}_{k:02d}.jpg" for who in (name, other, "bob") for k in range(9)]
    assert len(set(find_groups([identity.encode() for identity in ids]).codes)) == 2
    assert len(set(group_faces(ids, None).names)) == 2
