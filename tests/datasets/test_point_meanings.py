"""Categories, names of points and mirror maps: what points mean is read or refused, never guessed against the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reporters import Recorder

from kdtools.datasets.annotations import Sources, names_of_points, read_annotations
from kdtools.datasets.point_scheme import settle_scheme
from kdtools.errors import DataError
from kdtools.evaluation.evaluate import evaluate
from kdtools.evaluation.request import Request
from kdtools.faces.file import open_faces
from kdtools.faces.file_pool import OpenFaces
from kdtools.faces.merge import check_joinable, write_merged
from kdtools.faces.selection import take_parts
from kdtools.faces.writer import create_faces
from kdtools.landmarks import SCHEMES, Scheme, read_scheme, scheme_to_toml
from kdtools.landmarks.mirror_maps import find_mirror, mirror_from_names
from kdtools.landmarks.point_names import are_names, order_by_names
from kdtools.reporting import SILENT
from kdtools.storage.provenance import Provenance

FACE = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]
HAND = ["wrist", "thumb", "index", "middle", "ring"]
FIVE = np.array([[220.0, 200], [420, 201], [320, 260], [260, 330], [380, 331]])
RNG = np.random.default_rng(7)
SHAPES = [FIVE * (1 + 0.1 * k) + RNG.normal(scale=3, size=(5, 2)) for k in range(6)]


def coco(folder: Path, categories: list[tuple[str, list[str], str]], used: list[int]) -> Path:
    """A face of `SHAPES` for each category index in `used`; categories are name, points and supercategory."""
    document = {
        "categories": [
            {"id": k, "name": name, "keypoints": points, "supercategory": above}
            for k, (name, points, above) in enumerate(categories)
        ],
        "images": [{"id": k, "file_name": f"{k}.jpg"} for k in range(len(used))],
        "annotations": [
            {"id": k, "image_id": k, "category_id": kind, "keypoints": np.c_[SHAPES[k], [2] * 5].ravel().tolist()}
            for k, kind in enumerate(used)
        ],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    return folder / "coco.json"


def dlib(folder: Path, names: list[str], name: str = "parts.xml") -> Path:
    """All `SHAPES`, with their parts called `names`."""
    images = "".join(
        f"<image file='{k}.jpg'><box top='0' left='0' width='700' height='500'>"
        + "".join(f"<part name='{n}' x='{x}' y='{y}'/>" for n, (x, y) in zip(names, points, strict=True))
        + "</box></image>"
        for k, points in enumerate(SHAPES)
    )
    (folder / name).write_text(f"<dataset><images>{images}</images></dataset>")
    return folder / name


def scheme_of(path: Path, declared: Scheme | None = None, **options: object) -> tuple[np.ndarray, Scheme, Recorder]:
    sources, recorder = Sources([str(path)], pictures=False, **options), Recorder()  # type: ignore[arg-type]
    annotations = read_annotations(sources, recorder)
    annotations, scheme = settle_scheme(annotations, declared, None, names_of_points(sources), recorder)
    assert scheme is not None
    return np.stack([one.points for one in annotations if one.points is not None]), scheme, recorder


def test_categories_of_different_names_are_different_things(tmp_path: Path) -> None:
    path = coco(tmp_path, [("face", FACE, ""), ("hand", HAND, "")], [0, 1, 1, 0, 0, 1])
    with pytest.raises(DataError, match=r"'face' \(3 annotations of 5 points\), 'hand' \(3 annotations of 5 points\)"):
        scheme_of(path)
    with pytest.raises(DataError, match=r"'foot'") as error:
        scheme_of(path, categories=("foot",))
    assert "'hand' (3 annotations" in error.value.hint
    with pytest.raises(DataError, match="have different points"):
        scheme_of(path, categories=("face", "hand"))
    points, scheme, _ = scheme_of(path, categories=("face",))
    np.testing.assert_allclose(points, [SHAPES[k] for k in (0, 3, 4)])
    assert scheme == SCHEMES["points5"]
    points, scheme, _ = scheme_of(path, categories=("hand",))
    np.testing.assert_allclose(points, [SHAPES[k] for k in (1, 2, 5)])
    assert (scheme.names, scheme.name) == (tuple(HAND), "custom5")


def test_an_unused_category_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    alone = scheme_of(coco(tmp_path / "a", [("hand", HAND, "")], [0] * 6))
    both = scheme_of(coco(tmp_path, [("hand", HAND, ""), ("face", FACE, ""), ("thing", [], "")], [0] * 6))
    np.testing.assert_array_equal(alone[0], both[0])
    assert alone[1] == both[1]


def test_categories_of_the_same_points_can_be_read_together(tmp_path: Path) -> None:
    path = coco(tmp_path, [("cat", FACE, "pet"), ("dog", FACE, "pet"), ("hand", HAND, "body")], [0, 1, 2, 0])
    for wanted in (("cat", "dog"), ("pet",)):
        points, scheme, _ = scheme_of(path, categories=wanted)
        np.testing.assert_allclose(points, [SHAPES[k] for k in (0, 1, 3)])
        assert scheme == SCHEMES["points5"]
    with pytest.raises(DataError, match=r"'cat'.*'dog'.*'hand'"):
        scheme_of(path)


def test_own_names_win_over_a_scheme_of_as_many_points(tmp_path: Path) -> None:
    _, scheme, recorder = scheme_of(dlib(tmp_path, ["left_ear", "right_ear", "snout", "left_paw", "right_paw"]))
    assert scheme.names == ("left_ear", "left_paw", "right_ear", "right_paw", "snout")  # dlib's order is the alphabet's
    assert scheme.mirror == (2, 3, 0, 1, 4)
    assert scheme.name not in SCHEMES
    assert any("names of their own" in text for text in recorder.said)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_names_in_the_header_of_a_table_are_names_of_points(tmp_path: Path, suffix: str) -> None:
    names = ["left_ear", "right_ear", "snout", "left_paw", "right_paw"]
    between = "," if suffix == ".csv" else "\t"
    rows = [["image", *(f"{name}_{axis}" for name in names for axis in "xy")]]
    rows += [[f"{k}.jpg", *map(str, points.ravel())] for k, points in enumerate(SHAPES)]
    path = tmp_path / f"points{suffix}"
    path.write_text("".join(between.join(row) + "\n" for row in rows))
    points, scheme, _ = scheme_of(path)
    np.testing.assert_allclose(points, SHAPES)
    assert scheme.names == tuple(names)
    assert scheme.name not in SCHEMES
    path.write_text(path.read_text().replace("left_paw", "p3").replace("right_paw", "p4"))
    path.write_text(path.read_text().replace("left_ear", "p0").replace("right_ear", "p1").replace("snout", "p2"))
    assert scheme_of(path)[1] == SCHEMES["points5"]  # numbers are no names


def test_points_of_a_known_scheme_in_another_order_keep_what_is_known_of_them(tmp_path: Path) -> None:
    path = dlib(tmp_path, ["left_eye", "right_eye", "nose", "mouth_l", "mouth_r"])
    _, scheme, _ = scheme_of(path)
    assert scheme.names == ("left_eye", "mouth_l", "mouth_r", "nose", "right_eye")
    assert scheme.mirror == (4, 2, 1, 3, 0)
    assert (scheme.left_eye, scheme.right_eye) == ((0,), (4,))
    points, scheme, _ = scheme_of(path, SCHEMES["points5"])  # --scheme puts them into its order
    np.testing.assert_allclose(points, SHAPES)
    assert scheme == SCHEMES["points5"]


def test_kd_eval_compares_points_by_name(tmp_path: Path) -> None:
    truth = coco(tmp_path, [("face", FACE, ""), ("person", ["a"] * 17, "")], [0] * 6)
    renamed = dlib(tmp_path, ["left_eye", "right_eye", "nose", "mouth_l", "mouth_r"])
    found = evaluate(Request(predictions=[str(renamed)], truth=str(truth)), SILENT)
    assert all(float(row.values["nme_percent"]) == pytest.approx(0, abs=1e-9) for row in found.rows)
    other = dlib(tmp_path, ["left_ear", "right_ear", "snout", "left_paw", "right_paw"], "other.xml")
    with pytest.raises(DataError, match=r"'left_ear', .*, those of .* 'left_eye', ") as error:
        evaluate(Request(predictions=[str(other)], truth=str(truth)), SILENT)
    assert "--scheme" in error.value.hint
    assert "--convert" in error.value.hint


def faces_file(path: Path, order: list[int], scheme: Scheme, prefix: str = "") -> str:
    """A faces file of `SHAPES` with their points in this order, the first hidden in the first face."""
    with create_faces(str(path), True, Provenance("test")) as writer:
        writer.put_ids([f"{prefix}{k}" for k in range(len(SHAPES))])
        writer.put_landmarks(np.stack(SHAPES)[:, order], scheme, "hard")
        visible = np.ones((len(SHAPES), 5), bool)
        visible[0, order.index(0)] = False
        writer.put("visible", visible)
    return str(path)


ORDER = [3, 1, 0, 4, 2]
MINE = Scheme("mine", 5, names=tuple(FACE))
SHUFFLED = Scheme("theirs", 5, names=tuple(FACE[k] for k in ORDER))


def test_faces_files_meet_by_the_names_of_their_points(tmp_path: Path) -> None:
    one = faces_file(tmp_path / "a.h5", [0, 1, 2, 3, 4], MINE)
    two = faces_file(tmp_path / "b.h5", ORDER, SHUFFLED)
    hands = faces_file(tmp_path / "c.h5", [0, 1, 2, 3, 4], Scheme("mine", 5, names=tuple(HAND)))
    turned = faces_file(tmp_path / "d.h5", [0, 1, 2, 3, 4], Scheme("mine", 5, mirror=(1, 0, 2, 4, 3)))
    other = faces_file(tmp_path / "e.h5", [0, 1, 2, 3, 4], Scheme("mine", 5, mirror=(4, 3, 2, 1, 0)))
    with open_faces(one) as first, open_faces(two) as second, open_faces(hands) as third:
        np.testing.assert_array_equal(first.landmarks_from(second), first.landmarks)
        with pytest.raises(DataError, match=r"'wrist'.*'left_eye'"):
            first.landmarks_from(third)
        with pytest.raises(DataError, match="another order"):
            first.require_scheme(second.scheme, "the model")
    with open_faces(turned) as first, open_faces(other) as second, pytest.raises(DataError, match="mirror map"):
        first.landmarks_from(second)


def test_merging_puts_points_into_the_order_of_the_first_file(tmp_path: Path) -> None:
    one = faces_file(tmp_path / "a.h5", [0, 1, 2, 3, 4], MINE, "a/")
    two = faces_file(tmp_path / "b.h5", ORDER, SHUFFLED, "b/")
    output = str(tmp_path / "all.h5")
    with OpenFaces([one, two]) as files:
        parts = take_parts(files)
        check_joinable(parts, with_images=True, any_scheme=False)
        with pytest.raises(DataError, match="another order"):
            check_joinable(parts, with_images=True, any_scheme=False, may_reorder=False)
        with create_faces(output, False, Provenance("test")) as writer:
            write_merged(writer, parts, with_images=True, target=None, added={}, reporter=SILENT)
    with open_faces(output) as merged:
        np.testing.assert_allclose(merged.landmarks, np.stack(SHAPES * 2), rtol=1e-6)
        assert merged.scheme.names == tuple(FACE)
        np.testing.assert_array_equal(np.argwhere(np.asarray(merged.h5["visible"]) == 0), [[0, 0], [6, 0]])


def test_sources_whose_points_are_called_otherwise_are_not_mixed(tmp_path: Path) -> None:
    paths = [str(dlib(tmp_path, FACE, "a.xml")), str(dlib(tmp_path, HAND, "b.xml"))]
    with pytest.raises(DataError, match="other names than those of"):
        names_of_points(Sources(paths, pictures=False))


@pytest.mark.parametrize(
    ("wanted", "given", "order"),
    [
        (["left_eye", "right_eye"], ["EyeRight", "eye.l"], [1, 0]),
        (["nose_tip", "mouth_left_corner"], ["mouth_l", "nose"], [1, 0]),
        (["brow_1", "brow_10", "chin"], ["chin", "brow10", "brow1"], [2, 1, 0]),
        (["left_eye", "left_eye_center"], ["left_eye", "left_pupil"], None),
        (["a", "b"], ["a", "b", "c"], None),
    ],
)
def test_names_that_mean_the_same(wanted: list[str], given: list[str], order: list[int] | None) -> None:
    found = order_by_names(wanted, given)
    assert (None if found is None else found.tolist()) == order


def test_numbers_are_no_names() -> None:
    assert not are_names(["kp_0", "kp_1"])
    assert not are_names(["12", "13"])
    assert are_names(["brow_1", "jaw_1"])


def test_sides_by_words_and_by_letters_in_one_set() -> None:
    assert mirror_from_names(["left_eye", "mouth_l", "mouth_r", "nose", "right_eye"]) == (4, 2, 1, 3, 0)


def lopsided() -> np.ndarray:
    """Faces (N, 21, 2) of ten pairs but one, whose ends 3 and 6 have no partner, as ibug's 40 and 43."""
    right = np.array(
        [[1, 0], [1.2, 1], [0.9, 2], [0.5, -1], [0.3, 1.6], [0.7, 0.8], [0.2, -2], [0.6, -1.7], [1.5, 0.4]]
    )
    pairs = np.concatenate([right, right * [-1, 1]])
    points = np.concatenate([pairs, [[0, 0.5]], [[0.55, 0.55], [-0.45, 0.15]]])
    places = [k for k in range(21) if k not in (3, 6)] + [3, 6]
    mean = np.empty((21, 2))
    mean[places] = points
    return mean + np.random.default_rng(3).normal(scale=0.02, size=(40, 21, 2))


def test_a_pair_that_misses_by_far_is_refused() -> None:
    faces = lopsided()
    found = find_mirror(faces)
    assert found is not None
    assert found.outliers == [(3, 6)]
    z = faces.mean(axis=0) - faces.mean(axis=(0, 1))
    size = np.sqrt((z**2).sum(axis=1).mean())
    by_hand = np.linalg.norm(z[3] * [-1, 1] - z[6]) / size  # the axis is upright, to the noise and the two points
    assert found.misses[3] == pytest.approx(by_hand, rel=0.25)
    recorder = Recorder()
    annotations = [type("One", (), {"points": face})() for face in faces]
    _, scheme = settle_scheme(annotations, None, None, (), recorder)
    assert scheme is not None
    assert scheme.mirror is None
    assert any("3 and 6 miss each other by" in text and "mirror = false" in text for text in recorder.warned)


def test_pairs_that_fit_are_taken_and_the_worst_are_told() -> None:
    recorder = Recorder()
    annotations = [type("One", (), {"points": face})() for face in np.delete(lopsided(), [3, 6], axis=1)]
    _, scheme = settle_scheme(annotations, Scheme("own", 19), None, (), recorder)
    assert scheme is not None
    assert scheme.mirror is not None
    assert any("the worst are" in text for text in recorder.said)


def test_a_scheme_can_say_that_it_is_never_flipped(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('name = "points5"\nn_points = 5\nmirror = false\n')
    scheme = read_scheme(path)
    assert (scheme.mirror, scheme.flips) == (None, False)
    path.write_text(scheme_to_toml(scheme))
    assert read_scheme(path) == scheme == Scheme.from_json(scheme.to_json())
    _, settled, recorder = scheme_of(dlib(tmp_path, [f"{k}" for k in range(5)]), scheme)
    assert settled == scheme
    assert recorder.warned == []
    with open_faces(faces_file(tmp_path / "a.h5", [0, 1, 2, 3, 4], scheme)) as faces:
        assert (faces.scheme.mirror, faces.scheme.flips) == (None, False)  # not that of the known points5
    with pytest.raises(DataError, match="never to be flipped"):
        Scheme("own", 2, mirror=(1, 0), flips=False)
