"""Landmark schemes: known ones, one's own by TOML, in files, and conversions between them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.landmarks import (
    IBUG68,
    SCHEMES,
    WFLW98,
    Scheme,
    convert_mask,
    convert_points,
    find_conversion,
    read_scheme,
    scheme_for_points,
    scheme_named,
    scheme_to_toml,
)
from kdtools.landmarks.conversions import shared_points

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my_points.toml"
ALL = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
# Pairs of points read from pictures with the numbers drawn in, apart from the tables in the code.
PAIRS = {
    "ibug68": {0: 16, 8: 8, 17: 26, 21: 22, 27: 27, 31: 35, 36: 45, 39: 42, 37: 44, 41: 46, 48: 54, 59: 55, 60: 64},
    "ibug51": {0: 9, 4: 5, 10: 10, 14: 18, 19: 28, 22: 25, 20: 27, 31: 37, 43: 47, 50: 48},
    "wflw98": {0: 32, 16: 16, 33: 46, 37: 42, 38: 50, 41: 47, 55: 59, 60: 72, 64: 68, 67: 73, 76: 82, 87: 83, 96: 97},
    "cofw29": {0: 1, 2: 3, 4: 6, 5: 7, 8: 9, 12: 14, 16: 17, 18: 19, 20: 20, 22: 23, 28: 28},
    "aflw19": {0: 5, 2: 3, 6: 11, 7: 10, 8: 9, 12: 14, 13: 13, 15: 17, 16: 16, 18: 18},
    "muct76": {0: 14, 7: 7, 21: 15, 24: 18, 27: 32, 31: 36, 37: 45, 46: 47, 67: 67, 48: 54, 59: 55, 65: 63, 69: 73},
    "imm73": {0: 8, 4: 12, 16: 24, 20: 28, 32: 33, 34: 44, 45: 45, 46: 52, 55: 53, 56: 58, 59: 61, 62: 72, 67: 67},
    "points5": {0: 1, 2: 2, 3: 4},
    "lapa106": {0: 32, 16: 16, 33: 46, 38: 50, 55: 65, 66: 79, 70: 75, 74: 83, 84: 90, 96: 100, 103: 101, 104: 105},
    "insightface106": {1: 17, 0: 0, 43: 101, 35: 93, 39: 89, 34: 88, 52: 61, 86: 86, 65: 69, 38: 92},
    "mediapipe468": {10: 10, 152: 152, 33: 263, 133: 362, 61: 291, 78: 308, 234: 454, 70: 300, 98: 327, 4: 4},
}


@ALL
def test_known_pairs(scheme: Scheme) -> None:
    pairs = PAIRS[scheme.name]
    assert {a: scheme.mirror[a] for a in pairs} == pairs


@ALL
def test_everything_mirrors(scheme: Scheme) -> None:
    """Eyes, corners, lines, regions and names of the left half become those of the right half."""
    mirror = scheme.mirror
    assert [mirror[i] for i in mirror] == list(range(scheme.n_points))
    assert {mirror[i] for i in scheme.left_eye} == set(scheme.right_eye)
    if scheme.outer_corners:
        assert mirror[scheme.outer_corners[0]] == scheme.outer_corners[1]
    edges = {frozenset(edge) for line in scheme.outlines for edge in itertools.pairwise(line)}
    assert edges == {frozenset(mirror[i] for i in edge) for edge in edges}
    regions = {name: set(points) for name, points in scheme.regions}
    for name, points in regions.items():
        assert {mirror[i] for i in points} == regions[_other_side(name)]
    for i, name in enumerate(scheme.names):
        assert scheme.names[mirror[i]] == _other_side(name)


def _other_side(name: str) -> str:
    return name.replace("left", "?").replace("right", "left").replace("?", "right")


@ALL
def test_scheme_survives_json_and_toml(scheme: Scheme, tmp_path: Path) -> None:
    assert Scheme.from_json(scheme.to_json()) == scheme
    assert hash(Scheme.from_json(scheme.to_json())) == hash(scheme)
    (tmp_path / "own.toml").write_text(scheme_to_toml(scheme))
    assert scheme_named(str(tmp_path / "own.toml")) == scheme


def test_number_of_points_chooses_a_scheme() -> None:
    assert scheme_for_points(68) is IBUG68
    assert scheme_for_points(106).name == "lapa106"
    assert scheme_for_points(7) == Scheme("points7", 7)


def test_names_and_aliases() -> None:
    assert scheme_named("jd106") is scheme_named("LaPa106")
    assert scheme_named("five").n_points == 5
    with pytest.raises(UsageError, match="'w300'") as caught:
        scheme_named("w300")
    assert all(name in caught.value.hint for name in SCHEMES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mirror": (1, 2, 0)}, "undoes itself"),
        ({"outer_corners": (0, 1, 2)}, "3 points, not two"),
        ({"left_eye": (3,)}, "outside 0..2"),
        ({"regions": (("nose", (0, -1)),)}, "outside 0..2"),
        ({"names": ("a", "b")}, "2 names for 3 points"),
        ({"names": ("a", "b", "a")}, "the name 'a' occurs twice"),
        ({"names": ("a", "", "b")}, "point 1 has an empty name"),
        ({"regions": (("nose", (0,)), ("nose", (1,)))}, "region occurs twice"),
        ({"regions": (("nose", ()),)}, "no points"),
    ],
)
def test_schemes_that_contradict_themselves(fields: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Scheme("custom", 3, **fields)


def test_json_of_older_versions_and_of_other_things() -> None:
    old = json.loads(IBUG68.to_json())
    del old["names"], old["regions"]
    assert Scheme.from_json(json.dumps(old)).mirror == IBUG68.mirror
    for text in ("[]", "{", '{"name": "x"}', '{"name": "x", "n_points": 2, "left_eye": [0.5]}'):
        with pytest.raises(DataError, match="not the description"):
            Scheme.from_json(text)


# ---- in faces files
def write_scheme(path: Path, scheme: Scheme) -> Path:
    return write_faces(path, np.zeros((1, scheme.n_points, 2)), scheme=scheme)


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), read_scheme(EXAMPLE)], ids=lambda scheme: scheme.name)
def test_file_holds_the_whole_scheme(tmp_path: Path, scheme: Scheme) -> None:
    path = write_scheme(tmp_path / "a.h5", scheme)
    with h5py.File(path, "r+") as h5:
        h5.attrs["scheme"] = "mine"  # so that the registry cannot help
    with open_faces(path) as faces:
        assert faces.scheme == Scheme("mine", scheme.n_points, **_without(scheme, "name", "n_points"))


def _without(scheme: Scheme, *keys: str) -> dict:
    return {key: value for key, value in vars(scheme).items() if key not in keys}


def test_older_file_takes_regions_from_the_registry(tmp_path: Path) -> None:
    path = write_scheme(tmp_path / "a.h5", IBUG68)
    with h5py.File(path, "r+") as h5:
        del h5["landmarks"].attrs["regions"], h5["landmarks"].attrs["names"]
    with open_faces(path) as faces:
        assert faces.scheme == IBUG68


@pytest.mark.parametrize(
    ("key", "value"), [("regions", "{"), ("names", '["a"]'), ("mirror", np.zeros(3, int)), ("outlines", "5")]
)
def test_broken_attributes_are_named(tmp_path: Path, key: str, value: object) -> None:
    path = write_scheme(tmp_path / "a.h5", Scheme("mine", 3, mirror=(1, 0, 2)))
    with h5py.File(path, "r+") as h5:
        h5["landmarks"].attrs[key] = value
    with (
        open_faces(path) as faces,
        pytest.raises(DataError, match=r"a\.h5:/landmarks: its attributes are not a scheme"),
    ):
        _ = faces.scheme


# ---- TOML
def test_example_file() -> None:
    scheme = read_scheme(EXAMPLE)
    assert scheme.n_points == 9
    assert scheme.mirror == (3, 2, 1, 0, 4, 7, 6, 5, 8)
    assert scheme.outer_corners == (0, 3)
    assert dict(scheme.regions)["mouth"] == (5, 6, 7, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not TOML"),
        ('name = "x"\nn_points = 2\neyes = [0]', "unknown key 'eyes'"),
        ("n_points = 2", "name: must be"),
        ('name = "x"', "n_points: must be"),
        ('name = "x"\nn_points = 2.0', "n_points: must be"),
        ('name = "x"\nn_points = true', "n_points: must be"),
        ('name = "x"\nn_points = 3\nnames = ["a", "b"]', "n_points: is 3, but there are 2 names"),
        ('name = "x"\nnames = ["a", "a"]', "names: 'a' occurs twice"),
        ('name = "x"\nnames = ["a", 1]', "names: must be texts"),
        ('name = "x"\nn_points = 2\nmirror = [[0, 2]]', "mirror: 2 is not a point"),
        ('name = "x"\nn_points = 3\nmirror = [[0, 1], [1, 2]]', r"mirror: \[1, 2\]: one of them is in another pair"),
        ('name = "x"\nn_points = 3\nmirror = [[0, 1, 2]]', "mirror: .* not a pair"),
        ('name = "x"\nn_points = 3\nmirror = "0-1"', "mirror: '0-1' is neither a list of pairs nor false"),
        ('name = "x"\nn_points = 2\nouter_corners = [0]', "outer_corners: must be two"),
        ('name = "x"\nn_points = 2\nleft_eye = [0]', "left_eye: the other eye is not given"),
        ('name = "x"\nn_points = 2\nleft_eye = []\nright_eye = [1]', "left_eye: an empty list"),
        ('name = "x"\nnames = ["a", "b"]\noutlines = [["a", "c"]]', "outlines: no point is called 'c'"),
        ('name = "x"\nn_points = 2\noutlines = [0, 1]', "outlines: 0 is not a list"),
        ('name = "x"\nn_points = 2\nregions = [0]', "regions: must be a table"),
        ('name = "x"\nn_points = 2\n[regions]\nnose = [-1]', "regions.nose: -1 is not a point"),
    ],
)
def test_errors_in_toml_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(DataError, match=rf"own\.toml: {message}"):
        read_scheme(tmp_path / "own.toml")


def test_toml_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        scheme_named(str(tmp_path / "absent.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(DataError, match="not TOML"):
        read_scheme(tmp_path / "bytes.toml")


def test_toml_writes_odd_names(tmp_path: Path) -> None:
    scheme = Scheme('a "b"\\\n\x7fé', 2, mirror=(1, 0), names=("x y", "]"), regions=(("a.b", (0,)),))
    (tmp_path / "own.toml").write_text(scheme_to_toml(scheme), encoding="utf-8")
    assert read_scheme(tmp_path / "own.toml") == scheme


# ---- conversions
def can_convert(source: str, target: str) -> bool:
    try:
        find_conversion(source, target)
    except UsageError:
        return False
    return True


CONVERSIONS = [
    (source, target) for source in SCHEMES for target in SCHEMES if source != target and can_convert(source, target)
]


@pytest.mark.parametrize(("source", "target"), CONVERSIONS, ids="-".join)
def test_conversion_of_the_mirror_image_is_the_mirror_image(source: str, target: str) -> None:
    conversion = find_conversion(source, target)
    here, there = SCHEMES[source], SCHEMES[target]
    assert conversion.weights.shape == (there.n_points, here.n_points)
    np.testing.assert_allclose(conversion.weights.sum(axis=1), 1)
    np.testing.assert_allclose(conversion.weights[list(there.mirror)][:, list(here.mirror)], conversion.weights)
    assert bool(conversion.note) == conversion.approximate


def test_all_faces_can_be_brought_to_five_points_and_dense_ones_to_68() -> None:
    reached = set(CONVERSIONS)
    assert all((source, "points5") in reached for source in SCHEMES if source != "points5")
    assert {source for source, target in reached if target == "ibug68"} == {
        *("wflw98", "muct76", "lapa106", "insightface106", "mediapipe468")
    }


def test_indices_of_conversions() -> None:
    """Point i lies at (i, 100 i), so converted points tell which ones they come from."""
    points = np.arange(98)[:, None] * np.array([1.0, 100.0])
    to_68 = convert_points(points, WFLW98, IBUG68)
    assert to_68[[0, 8, 16, 17, 21, 22, 27, 30, 33, 36, 37, 38, 39, 41, 45, 48, 60, 67], 0].tolist() == [
        *(0, 16, 32, 33, 37, 42, 51, 54, 57, 60, 61, 63, 64, 67, 72, 76, 88, 95)
    ]
    np.testing.assert_array_equal(to_68[:, 1], 100 * to_68[:, 0])
    five = convert_points(points[:68], IBUG68, SCHEMES["points5"])
    assert five[:, 0].tolist() == [38.5, 44.5, 30, 48, 54]
    np.testing.assert_array_equal(convert_points(points[:68], IBUG68, SCHEMES["ibug51"]), points[17:68])
    np.testing.assert_array_equal(convert_points(points[:68], IBUG68, IBUG68), points[:68])
    here, there = SCHEMES["lapa106"], SCHEMES["insightface106"]
    swapped = convert_points(np.zeros((3, 106, 2)) + np.arange(106)[:, None], here, there)
    assert swapped[0, [1, 9, 0, 72, 35, 38], 0].tolist() == [0, 1, 16, 51, 66, 104]
    np.testing.assert_array_equal(convert_points(swapped, there, here)[2, :, 1], np.arange(106))


def test_missing_and_hidden_points_are_converted_too() -> None:
    points, visible = np.ones((2, 68, 2)), np.ones((2, 68), np.uint8)
    points[1, 36], visible[1, 48], visible[0, 5] = np.nan, 0, 0  # a corner of the left eye, one of the mouth, the jaw
    five = convert_points(points, IBUG68, SCHEMES["points5"])
    assert np.isnan(five).all(axis=2).tolist() == [[False] * 5, [True, False, False, False, False]]
    mask = convert_mask(visible, IBUG68, SCHEMES["points5"])
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 1]]
    confidence = np.linspace(0, 1, 68)
    assert convert_mask(confidence, IBUG68, SCHEMES["points5"])[0] == confidence[36]


def test_shared_points_are_found_by_the_words_of_their_names() -> None:
    """As other tools compare names; mere numbers tell nothing, and no point is taken twice."""
    own = Scheme("own", 5, names=("left_eye", "nose_tip", "chin", "mouth_left", "mouth_right"))
    other = Scheme("other", 4, names=("RightMouthCorner", "EyeL", "nose", "brow"))
    assert shared_points(own, other).tolist() == [4, 0, 1, -1]
    assert shared_points(other, own).tolist() == [1, 2, -1, -1, 0]
    twice = Scheme("twice", 3, names=("mouth left corner", "mouth_l", "chin"))
    assert shared_points(own, twice).tolist() == [-1, 3, 2]
    numbers = [Scheme(f"n{n}", n, names=tuple(f"kp_{k}" for k in range(n))) for n in (5, 4)]
    assert shared_points(*numbers).tolist() == [-1] * 4
    assert shared_points(IBUG68, SCHEMES["points5"]).tolist()[2:] == [30, 48, 54]


def test_impossible_conversions_are_refused() -> None:
    with pytest.raises(UsageError, match="points of cofw29 cannot be converted to wflw98") as caught:
        find_conversion("cofw29", "wflw98")
    assert caught.value.hint == "cofw29 can be converted to: points5"
    with pytest.raises(UsageError, match="points of my_points"):
        convert_points(np.zeros((9, 2)), read_scheme(EXAMPLE), IBUG68)
    with pytest.raises(DataError, match="5 points per face, but scheme ibug68 has 68"):
        convert_points(np.zeros((5, 2)), IBUG68, SCHEMES["ibug51"])
    with pytest.raises(DataError, match="scheme ibug68 has 3 points"):
        convert_points(np.zeros((3, 2)), Scheme("ibug68", 3), SCHEMES["ibug51"])


def read_wflw(path: Path, n_numbers: int) -> dict[tuple[str, float], np.ndarray]:
    """Points by image and place, since an image holds several faces."""
    rows = [line.split() for line in path.read_text().splitlines()]
    points = [np.array(row[:n_numbers], float).reshape(-1, 2) for row in rows]
    return {(row[-1].split("/")[-1], round(float(p[0, 0]), 3)): p for row, p in zip(rows, points, strict=True)}


def test_98_to_68_against_faces_that_have_both(shared_dir: Path) -> None:
    """The published 68 points of WFLW differ on the eyelids alone."""
    folder = shared_dir / "data" / "annotations"
    with_98 = read_wflw(folder / "wflw_test_subsets_98" / "list_98pt_test_largepose.txt", 196)
    with_68 = read_wflw(folder / "wflw68_lists" / "wflw_list_68pt_rect_attr_test.txt", 136)
    both = [key for key in with_98 if key in with_68]
    assert len(both) == 326
    points = np.stack([with_98[key] for key in both])
    length = np.linalg.norm(points[:, 60] - points[:, 72], axis=1)[:, None]
    difference = np.linalg.norm(convert_points(points, WFLW98, IBUG68) - [with_68[key] for key in both], axis=2)
    lids = [37, 38, 40, 41, 43, 44, 46, 47]
    assert np.delete(difference, lids, axis=1).max() < 1e-4
    assert (difference / length).mean() < 0.003
    assert (difference / length)[:, lids].mean() < 0.03


def test_68_to_29_and_5_against_cofw(shared_dir: Path) -> None:
    from scipy.io import loadmat

    folder = shared_dir / "data" / "annotations"
    faces = loadmat(folder / "mat" / "COFW_test_507.mat")["COFW_test"][0]
    with_29, with_68 = (np.stack([face[key] for face in faces]).astype(float) for key in ("x_29", "x"))
    cofw, five = SCHEMES["cofw29"], SCHEMES["points5"]
    length = np.linalg.norm(with_68[:, 36] - with_68[:, 45], axis=1)[:, None]
    to_29 = np.linalg.norm(convert_points(with_68, IBUG68, cofw) - with_29, axis=2) / length
    assert 0.03 < to_29.mean() < 0.036
    assert to_29.mean(axis=0).max() < 0.06
    of_68, of_29 = convert_points(with_68, IBUG68, five), convert_points(with_29, cofw, five)
    assert (np.linalg.norm(of_68 - of_29, axis=2) / length).mean(axis=0).max() < 0.036


@pytest.mark.parametrize(
    "field", ["name", "names", "name of a region", "outlines", "empty outlines", "indices of a region"]
)
def test_schemes_that_take_the_time_of_all_tools_are_refused(field: str) -> None:
    """As a stranger's file may hold; the message is short."""
    long_name, many = "a" * 5_000_000, 200_000
    change: dict[str, object] = {
        "name": {"name": long_name},
        "names": {"names": [long_name, *(f"p{k}" for k in range(67))]},
        "name of a region": {"regions": {long_name: [0, 1]}},
        "outlines": {"outlines": [[0, 1]] * many},
        "empty outlines": {"outlines": [[]] * many},
        "indices of a region": {"regions": {"nose": [0] * many}},
    }[field]
    with pytest.raises(DataError) as caught:
        Scheme.from_fields({**json.loads(IBUG68.to_json()), **change})
    assert len(str(caught.value)) < 200
