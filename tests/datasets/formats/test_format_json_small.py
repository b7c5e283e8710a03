"""JSON of SPIGA and Menpo; and the same faces of 300W in all dialects."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_format_lists import check_damaged, damage, draw, faces, read_all

from kdtools.datasets.formats import coco, csv300w, dlib_xml, hrnet, list300w, ljson, spiga, wflw
from kdtools.datasets.formats.shared.annotation import Annotation
from kdtools.datasets.formats.shared.format import Format
from kdtools.errors import FileError

NAMES = ["images/test/3151235633_1.jpg", "images/test/image_0208.png", "images/test/image_018.jpg"]
IDS = ["helen/testset/3151235633_1.jpg", "lfpw/testset/image_0208.png", "ibug/image_018.jpg"]


def spiga_entries(n_points: int = 68) -> list[dict[str, Any]]:
    return [
        {
            "imgpath": name,
            "bbox": [20.5, 30.25, 60.0, 50.0],
            "headpose": [-4.8, -2.8, 5.7, -0.2, -0.1, 2.8],
            "ids": [100 + k for k in range(n_points)],
            "landmarks": points.tolist(),
            "visible": [float(k != 3) for k in range(n_points)],
        }
        for name, points in zip(NAMES, faces(n_points), strict=True)
    ]


def write_spiga(folder: Path) -> Path:
    draw(folder, NAMES)
    path = folder / "300wpublic_truth.json"
    path.write_text(json.dumps(spiga_entries()))
    return path


def ljson_of(points: np.ndarray, version: int = 3) -> dict[str, Any]:
    """As Menpo writes it: [y, x], null for a missing number."""
    pairs = [[None if np.isnan(y) else y, None if np.isnan(x) else x] for x, y in points.tolist()]
    if version == 1:
        parts = [("jaw", pairs[:17]), ("rest", pairs[17:])]
        return {
            "groups": [
                {"connectivity": [[0, 1]], "label": label, "landmarks": [{"point": pair} for pair in part]}
                for label, part in parts
            ],
            "version": 1,
        }
    landmarks = {"connectivity": [[0, 1]], "points": pairs}
    labels = [{"label": "all", "mask": list(range(len(pairs)))}]
    if version == 2:
        return {"labels": labels, "landmarks": landmarks, "version": 2}
    return {"groups": {"LJSON": {"labels": labels, "landmarks": landmarks}}, "version": 3}


def write_ljson(folder: Path) -> Path:
    names = ["lfpw/testset/image_0208.png", "b.jpg", "c.JPG"]
    draw(folder, names[:2])
    (folder / "b.jpg").rename(folder / "b.tmp")
    draw(folder, ["b.jpg"])
    (folder / "b.tmp").rename(folder / names[2])
    for name, points in zip(names, faces(68), strict=True):
        (folder / name).with_suffix(".ljson").write_text(json.dumps(ljson_of(points), indent=4))
    return folder


SAMPLES: dict[str, Callable[[Path], Path]] = {"spiga": write_spiga, "ljson": write_ljson}
FORMATS: dict[str, Format] = {"spiga": spiga.FORMAT, "ljson": ljson.FORMAT}


def read_spiga(folder: Path, entries: Any) -> tuple[list[Annotation], list[tuple[str, str]]]:
    path = folder / "a.json"
    path.write_text(json.dumps(entries))
    return read_all(spiga.FORMAT, path, pictures=False)


@pytest.mark.parametrize("pictures", [True, False])
def test_spiga_sample(pictures: bool, tmp_path: Path) -> None:
    source = write_spiga(tmp_path)
    for place in (source, tmp_path):
        assert spiga.accepts(place)
        found, skips = read_all(spiga.FORMAT, place, pictures=pictures)
        assert skips == []
        assert [one.id for one in found] == IDS
        np.testing.assert_allclose(np.stack([one.points for one in found]), faces(68))
        assert [one.subsets for one in found] == [{"common"}, {"common"}, {"challenging"}]
        assert found[0].box is not None
        assert found[0].box.tolist() == [20.5, 30.25, 80.5, 80.25]
        assert found[0].visible is not None
        assert np.flatnonzero(~found[0].visible).tolist() == [3]
    shifted, _ = read_all(spiga.FORMAT, source, base=1)
    np.testing.assert_allclose(np.stack([one.points for one in shifted]), faces(68) - 1)
    assert shifted[0].box is not None
    assert shifted[0].box.tolist() == [19.5, 29.25, 79.5, 79.25]


def test_spiga_puts_points_into_the_usual_order(tmp_path: Path) -> None:
    entries = spiga_entries()
    for key in ("ids", "landmarks", "visible"):
        entries[1][key] = entries[1][key][::-1]
        entries[2][key] = entries[2][key][5:]
    entries[0] = copy.deepcopy(spiga_entries()[0])
    found, skips = read_spiga(tmp_path, [entries[0], entries[0], *entries])
    assert skips == []
    assert [one.id for one in found][:3] == [IDS[0], IDS[0] + "#2", IDS[0] + "#3"]
    np.testing.assert_allclose(found[3].points, faces(68)[1])
    assert found[4].points is not None
    assert np.isnan(found[4].points[:5]).all()
    np.testing.assert_allclose(found[4].points[5:], faces(68)[2, 5:])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"imgpath": None}, "imgpath"),
        ({"imgpath": 7}, "imgpath"),
        ({"landmarks": faces(68)[0].tolist()[1:]}, "67 landmarks with 68"),
        ({"landmarks": [[1, 2, 3]] * 68}, "two numbers"),
        ({"landmarks": [["1", "2"]] * 68}, "not a number"),
        ({"landmarks": [[True, 2]] * 68}, "not a number"),
        ({"landmarks": [[None, 2]] * 68}, "not a number"),
        ({"landmarks": [[1e300, 2]] * 68}, "not a place in a picture"),
        ({"landmarks": [[10**400, 2]] * 68}, "too large"),
        ({"landmarks": 5}, "not a list"),
        ({"ids": [1] * 68}, "different whole numbers"),
        ({"ids": [1.5] * 68}, "different whole numbers"),
        ({"ids": list(range(68))}, "most faces do not have"),
        ({"visible": [1.0]}, "visible"),
        ({"bbox": [1, 2, 3]}, "3 numbers in bbox"),
    ],
)
def test_spiga_bad_entry_is_skipped(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    entries = spiga_entries()
    entries[1] |= change
    found, skips = read_spiga(tmp_path, entries)
    assert [one.id for one in found] == [IDS[0], IDS[2]]
    assert len(skips) == 1
    assert skips[0][0].endswith("a.json:[1]")
    assert why in skips[0][1]


def test_spiga_without_box_and_visible(tmp_path: Path) -> None:
    entries = spiga_entries()
    entries[0] |= {"bbox": None, "visible": None, "landmarks": [[float("nan"), 1.0]] + entries[0]["landmarks"][1:]}
    found, skips = read_spiga(tmp_path, entries)
    assert skips == []
    assert found[0].box is None
    assert found[0].visible is None
    assert found[0].points is not None
    assert np.isnan(found[0].points[0]).all()
    assert not np.isnan(found[0].points[1:]).any()


def test_spiga_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ('{"imgpath": 1}', "[]", "[1, 2]", '[{"image": 1}]', ""):
        path.write_text(text)
        assert not spiga.accepts(path)
    path.write_text('[{"imgpath": "", "landmarks": 0, "ids": ')
    assert spiga.accepts(path)
    with pytest.raises(FileError, match="not a JSON file"):
        read_all(spiga.FORMAT, path)
    path.write_text('[{"imgpath": "", "landmarks": 0, "ids": ' + "[" * 100_000)
    with pytest.raises(FileError, match="not a JSON file"):
        read_all(spiga.FORMAT, path)
    write_spiga(tmp_path)
    path.write_bytes((tmp_path / "300wpublic_truth.json").read_bytes())
    with pytest.raises(FileError, match="2 such files"):
        read_all(spiga.FORMAT, tmp_path)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_ljson_versions(version: int, tmp_path: Path) -> None:
    write_ljson(tmp_path)
    truth = faces(68)
    truth[0, 4] = np.nan
    for name, points in zip(["lfpw/testset/image_0208", "b", "c"], truth, strict=True):
        (tmp_path / f"{name}.ljson").write_text(json.dumps(ljson_of(points, version)))
    for pictures in (True, False):
        found, skips = read_all(ljson.FORMAT, tmp_path, pictures=pictures)
        assert skips == []
        assert [one.id for one in found] == ["b.jpg", "c.JPG", "lfpw/testset/image_0208.png"]
        np.testing.assert_allclose(np.stack([one.points for one in found]), truth[[1, 2, 0]])
        assert found[2].subsets == {"common"}
    alone, _ = read_all(ljson.FORMAT, tmp_path / "b.ljson", base=1)
    np.testing.assert_allclose(alone[0].points, truth[1] - 1)


def test_ljson_groups_of_equal_size_are_faces(tmp_path: Path) -> None:
    draw(tmp_path, ["a.jpg"])
    groups = [ljson_of(points)["groups"]["LJSON"] for points in (faces(68)[0], faces(2)[0], faces(68)[1])]
    data = {"groups": dict(zip(["one", "pupils", "other"], groups, strict=True)), "version": 3}
    (tmp_path / "a.ljson").write_text(json.dumps(data))
    found, _ = read_all(ljson.FORMAT, tmp_path)
    assert [one.id for one in found] == ["a.jpg", "a.jpg#2"]
    np.testing.assert_allclose(np.stack([one.points for one in found]), faces(68)[:2])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"version": 4}, "version 4"),
        ({"groups": []}, "version None"),
        ([], "version None"),
        ({"version": 3, "groups": {}}, "no groups"),
        ({"version": 3, "groups": {"a": {"landmarks": {}}}}, "not a list of points"),
        ({"version": 3, "groups": {"a": 1}}, "no landmarks"),
        ({"version": 2, "landmarks": {"points": [[1, 2, 3]]}}, "two numbers"),
        ({"version": 2, "landmarks": {"points": [["1", 2]]}}, "not a number"),
        ({"version": 1, "groups": [{"landmarks": [1]}]}, "no landmarks"),
        ({"version": 1, "groups": [{"landmarks": [{"point": None}]}]}, "not a list"),
        ({"version": 1, "groups": "x"}, "not a list of points"),
    ],
)
def test_ljson_bad_file_is_skipped(data: Any, why: str, tmp_path: Path) -> None:
    write_ljson(tmp_path)
    (tmp_path / "b.ljson").write_text(json.dumps(data))
    found, skips = read_all(ljson.FORMAT, tmp_path)
    assert len(found) == 2
    assert [what for what, _ in skips] == [str(tmp_path / "b.ljson")]
    assert why in skips[0][1]


def test_ljson_without_picture_is_skipped(tmp_path: Path) -> None:
    write_ljson(tmp_path)
    (tmp_path / "b.jpg").unlink()
    found, skips = read_all(ljson.FORMAT, tmp_path)
    assert (len(found), len(skips)) == (2, 1)


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_json_gives_no_wrong_points(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = SAMPLES[name](tmp_path_factory.mktemp(name))
    source = source / "b.ljson" if name == "ljson" else source
    check_damaged(FORMATS[name], source, damage(source.read_bytes(), data))


def test_shared_spiga_and_lenna(shared_dir: Path) -> None:
    annotations = shared_dir / "data" / "annotations"
    for part in ("truth", "pred"):
        found, skips = read_all(spiga.FORMAT, annotations / "spiga_json" / f"300wpublic_{part}.json", pictures=False)
        assert (len(found), skips) == (689, [])
        assert Counter(name for one in found for name in one.subsets) == {"common": 554, "challenging": 135}
    found, skips = read_all(ljson.FORMAT, annotations / "menpo")
    assert [one.id for one in found] == ["data/lenna.png"]
    assert found[0].points is not None
    np.testing.assert_allclose(found[0].points[0], [200.534483, 268.62069])


@pytest.fixture(scope="module")
def truth_300w(shared_dir: Path) -> dict[str, np.ndarray]:
    """Points by id from HRNet's tables, which have all digits: the public and the private test set."""
    folder = shared_dir / "data" / "annotations" / "300w_hrnet_csv"
    found = [
        one
        for part in ("valid", "test")
        for one in read_all(hrnet.FORMAT, folder / f"300w_{part}.csv", pictures=False)[0]
    ]
    return {one.id: one.points for one in found if one.points is not None}


@pytest.mark.parametrize(
    ("form", "base", "source", "n", "rounding"),
    [
        (csv300w.FORMAT, 1, "300w_csv/bbox_face_landmarks_300w_valid.csv", 689, 0.0051),
        (csv300w.FORMAT, 1, "300w_csv/bbox_face_landmarks_300w_test.csv", 600, 0.0051),
        (list300w.FORMAT, 1, "300w_lists", 689, 0.0051),
        (wflw.FORMAT, 1, "wflw68_lists/300w_common_list_68pt_rect_attr_test.txt", 554, 0.00025),
        (dlib_xml.FORMAT, 0, "dlib_ibug_xml/labels_ibug_300W_test.xml", 93, 0.5),
        (spiga.FORMAT, 0, "spiga_json/300wpublic_truth.json", 689, 1e-6),
        (coco.FORMAT, 1, "mmpose/300w/test_300w.json", 2, 1e-6),
    ],
    ids=["csv", "csv-private", "list300w", "wflw", "dlib", "spiga", "mmpose"],
)
def test_same_faces_in_all_dialects(
    form: Format, base: int, source: str, n: int, rounding: float, shared_dir: Path, truth_300w: dict[str, np.ndarray]
) -> None:
    """After import the points are the same to the rounding of each dialect, so that every index base is right."""
    path = shared_dir / "data" / "annotations" / source
    if form is wflw.FORMAT:
        assert wflw.find_base(path) == base
    found, _ = read_all(form, path, base=base, pictures=False)
    by_file = {Path(name).name: points for name, points in truth_300w.items()}
    assert len(by_file) == len(truth_300w) == 1289
    by_id = by_file if form in (spiga.FORMAT, coco.FORMAT) else truth_300w  # these know the file's name alone
    pairs = [(one.points, by_id.get(Path(one.id).name if by_id is by_file else one.id)) for one in found]
    differences = [np.abs(ours - theirs).max() for ours, theirs in pairs if ours is not None and theirs is not None]
    assert len(differences) == n
    assert max(differences) <= rounding + 1e-9
