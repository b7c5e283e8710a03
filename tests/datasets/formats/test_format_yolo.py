"""YOLO-pose: labels of shares with the pictures and data.yaml in the places where people keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from format_reading import read_all
from reporters import Recorder, Strict
from test_format_downloads import picture, write_text
from test_format_lists import faces

from kdtools.datasets.annotations import (
    Sources,
    mirror_of_points,
    names_of_points,
    read_annotations,
)
from kdtools.datasets.formats import find_format, yolo
from kdtools.datasets.formats.shared.yolo_yaml import read_yolo_yaml
from kdtools.datasets.point_scheme import settle_scheme
from kdtools.errors import DataError, FileError

WIDTH, HEIGHT = 200, 150
YAML = (
    "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [5, 3]\nflip_idx: [1, 0, 2, 4, 3]\nnames:\n  0: face\n"
)


def shares_of(points: np.ndarray) -> np.ndarray:
    return np.round(points / [WIDTH, HEIGHT], 6)


BOX = "0.3 0.4 0.2 0.5"


def row_of(points: np.ndarray, v: str = " 2", kind: str = "0", box: str = BOX) -> str:
    numbers = " ".join(f"{x:.6f} {y:.6f}{v}" for x, y in shares_of(points))
    return f"{kind} {box} {numbers}"


def box_around(points: np.ndarray) -> str:
    low, high = shares_of(points).min(axis=0), shares_of(points).max(axis=0)
    return " ".join(f"{number:.6f}" for number in [*(low + high) / 2, *(1.6 * (high - low))])


def write_yolo(folder: Path) -> Path:
    """Three pictures in two parts; the last has two faces."""
    all_points = faces(5, 4)
    for k in range(3):
        part = ("train", "val")[k == 2]
        picture(folder / "images" / part / f"face_{k}.jpg", WIDTH, HEIGHT)
        rows = [row_of(points) for points in (all_points[k:] if k == 2 else all_points[k : k + 1])]
        write_text(folder / "labels" / part / f"face_{k}.txt", "\n".join(rows) + "\n")
    write_text(folder / "data.yaml", YAML)
    return folder


SAMPLES: dict[str, Callable[[Path], Path]] = {"yolo": write_yolo}
TRUTH = shares_of(faces(5, 4)) * [WIDTH, HEIGHT]


def points_in(source: Path, roots: tuple[Path, ...] = ()) -> np.ndarray:
    assert find_format("auto", source).name == "yolo"
    found, skips = read_all(yolo.FORMAT, source, roots=roots)
    assert skips == []
    return np.stack([np.asarray(one.points) for one in found])


def test_reads_its_sample_from_every_place(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set")
    for source in (folder, folder / "data.yaml", folder / "labels"):
        np.testing.assert_allclose(points_in(source), TRUTH, atol=1e-9)
    np.testing.assert_allclose(points_in(folder / "labels" / "val"), TRUTH[2:], atol=1e-9)
    np.testing.assert_allclose(points_in(folder / "labels" / "train" / "face_1.txt"), TRUTH[1:2], atol=1e-9)
    found, _ = read_all(yolo.FORMAT, folder)
    assert [one.id for one in found] == [
        "train/face_0.jpg", "train/face_1.jpg", "val/face_2.jpg", "val/face_2.jpg#2"
    ]  # fmt: skip
    assert [one.subsets for one in found] == [{"train"}, {"train"}, {"val"}, {"val"}]
    np.testing.assert_allclose(np.asarray(found[0].box), [40, 22.5, 80, 97.5])
    assert np.asarray(found[0].visible).all()


def test_folders_as_roboflow_exports_them(tmp_path: Path) -> None:
    """train/images and train/labels; the paths in the YAML file begin above its folder."""
    for k in range(3):
        picture(tmp_path / "train" / "images" / f"{k}.png", WIDTH, HEIGHT)
        write_text(
            tmp_path / "train" / "labels" / f"{k}.txt",
            row_of(faces(5, 4)[k], "", box=box_around(faces(5, 4)[k])) + "  \r\n",
        )
    parts = "train: ../train/images\nval: ../valid/images\n\n"
    write_text(tmp_path / "data.yaml", parts + "kpt_shape: [5, 2]\nflip_idx: [\n 1, 0, 2,\n 4, 3]\nnames: ['face']\n")
    np.testing.assert_allclose(points_in(tmp_path), TRUTH[:3], atol=1e-9)
    (tmp_path / "data.yaml").unlink()  # ten numbers, not 15: they can only be points of two
    np.testing.assert_allclose(points_in(tmp_path), TRUTH[:3], atol=1e-9)
    for path in (tmp_path / "train" / "images").iterdir():
        path.rename(tmp_path / "train" / "labels" / path.name)  # the labels beside the pictures
    np.testing.assert_allclose(points_in(tmp_path), TRUTH[:3], atol=1e-9)


def test_marks_of_points(tmp_path: Path) -> None:
    """v 0 and 0 0 are missing; 1 is hidden where there is a 2; others than 0, 1 and 2 are confidences."""
    folder = write_yolo(tmp_path)
    path = folder / "labels" / "train" / "face_0.txt"
    cells = row_of(faces(5, 4)[0]).split()
    for k, (x, y, v) in enumerate([("0", "0", "0"), ("0.25", "0.5", "0"), ("0.25", "0.5", "1")]):
        cells[5 + 3 * k : 8 + 3 * k] = [x, y, v]
    path.write_text(" ".join(cells))
    found, skips = read_all(yolo.FORMAT, folder)
    assert skips == []
    assert np.isnan(np.asarray(found[0].points)).all(axis=1).tolist() == [True, True, False, False, False]
    assert np.asarray(found[0].visible).tolist() == [False, False, False, True, True]
    for path in folder.rglob("*.txt"):
        lines = path.read_text().replace(" 2", " 0.75").replace(" 1 ", " 0.5 ").splitlines()
        path.write_text("\n".join(f"{line} 0.9" for line in lines))
    write_text(folder / "labels" / "train" / "face_1.txt", row_of(faces(5, 4)[1], " 0.25") + " 0.875")
    found, skips = read_all(yolo.FORMAT, folder)
    assert found[1].visible is None
    assert np.asarray(found[1].confidence).tolist() == [0.25] * 5
    assert found[1].score == 0.875


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("kpt_shape: [4, 3]", "15 numbers behind the box, but kpt_shape is \\[4, 3\\]"),
        ("kpt_shape: 5", "is not \\[number of points, 2 or 3\\]"),
        ("kpt_shape: [5, 3]\nflip_idx: [1, 2, 0, 3, 4]", "flip_idx"),
        ("kpt_shape: [5, 3", "not a YAML file"),
        ("kpt_shape: !!python/object/apply:os.getcwd []", "not a YAML file"),
        ("kpt_shape: " + "[" * 5000, "not a YAML file"),
        ("- 1\nkpt_shape:", "not a YAML file"),
    ],
)
def test_a_yaml_file_that_is_wrong_is_an_error(yaml: str, reason: str, tmp_path: Path) -> None:
    folder = write_yolo(tmp_path)
    write_text(folder / "data.yaml", yaml)
    with pytest.raises(FileError, match=reason):
        read_all(yolo.FORMAT, folder)


def test_names_of_points_and_classes(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    text = f"{YAML}kpt_names:\n  0:\n" + "".join(f"    - {name}\n" for name in names)
    about = read_yolo_yaml(write_text(tmp_path / "data.yaml", text))
    assert (about.n_points, about.dims, about.mirror) == (5, 3, (1, 0, 2, 4, 3))
    assert about.names == tuple(names)
    assert about.classes == {0: "face"}
    folder = write_yolo(tmp_path)
    write_text(folder / "data.yaml", text + "# names\n")
    assert yolo.names_of(folder) == names


def test_the_mirror_map_of_the_set_is_taken(tmp_path: Path) -> None:
    """Of three faces none could be found; where it is not that of the known set, the points are not that set's."""
    picture(tmp_path / "images" / "a.png", WIDTH, HEIGHT)
    for flip in ((2, 1, 0, 3, 4, 6, 5), (0, 4, 2, 3, 1)):
        n_points = len(flip)
        rows = "\n".join(map(row_of, faces(n_points)))
        write_text(tmp_path / "labels" / "a.txt", rows)
        write_text(tmp_path / "data.yaml", f"kpt_shape: [{n_points}, 3]\nflip_idx: {list(flip)}\n")
        wanted = Sources([str(tmp_path)])
        recorder = Recorder()
        _, scheme = settle_scheme(
            read_annotations(wanted), None, None, names_of_points(wanted), recorder, mirror_of_points(wanted)
        )
        assert scheme is not None
        assert scheme.mirror == flip


def assert_refused(folder: Path, seed: int) -> None:
    """Outlines of things of any size, all with the same number of vertices, which begin anywhere."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(6):
        around = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, 13)[:-1]
        size, centre = rng.uniform(0.05, 0.3, 2), rng.uniform(0.35, 0.65, 2)
        vertices = centre + size * np.stack([np.cos(around), np.sin(around)], axis=1) * rng.uniform(0.8, 1, (12, 1))
        lines.append("0 " + " ".join(f"{x:.4f} {y:.4f}" for x, y in vertices))
    path = write_text(folder / "outlines" / "labels" / "0.txt", "\n".join(lines) + "\n")
    if yolo.accepts(path):
        with pytest.raises(FileError, match=r"outlines of segmentation|no box and points") as caught:
            read_all(yolo.FORMAT, path)
        assert "data.yaml" in caught.value.hint
    write_text(path, "\n".join([*lines, lines[0] + " 0.5 0.5"]) + "\n")
    if yolo.accepts(path):
        with pytest.raises(FileError, match=r"its lines have 25 to 27 numbers, as outlines have"):
            read_all(yolo.FORMAT, path)


def test_what_is_no_label_of_points(tmp_path: Path) -> None:
    """Boxes alone, and outlines, which have no box that their points lie in."""
    for name in ("boxes", "outlines"):
        picture(tmp_path / name / "images" / "0.png", WIDTH, HEIGHT)
    boxes = write_text(tmp_path / "boxes" / "labels" / "0.txt", "0 0.5 0.5 0.1 0.2\n0 0.2 0.5 0.1 0.2\n")
    assert not yolo.accepts(boxes)
    for seed in range(20):
        assert_refused(tmp_path, seed)
    outline = " ".join(f"{x:.4f} {y:.4f}" for x, y in np.random.default_rng(0).uniform(0.05, 0.95, (12, 2)))
    outlines = write_text(tmp_path / "outlines" / "labels" / "0.txt", f"0 {outline}\n")
    with pytest.raises(FileError, match="outlines of segmentation"):
        read_all(yolo.FORMAT, outlines)


def test_labels_of_several_classes_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path)
    write_text(folder / "labels" / "train" / "face_1.txt", row_of(faces(5, 4)[1], kind="1"))
    write_text(folder / "data.yaml", YAML + "  1: hand\n")
    with pytest.raises(DataError, match=r"different things: 'face' .*'hand' "):
        read_all(yolo.FORMAT, folder)


def test_shares_need_the_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shares of the images"):
        read_all(yolo.FORMAT, write_yolo(tmp_path), pictures=False)


def test_the_case(shared_dir: Path, tmp_path: Path) -> None:
    """The made-up set, whose pictures are drawn elsewhere."""
    case = shared_dir / "cases" / "formats" / "R11_yolo"
    labels = sorted((case / "labels" / "train").iterdir())
    for path in labels:
        picture(tmp_path / f"{path.stem}.png", 320, 240)
    annotations = read_annotations(Sources([str(case)], roots=[str(tmp_path)]), Strict())
    for one, path in zip(annotations, labels, strict=True):
        triples = np.array(path.read_text().split()[5:], float).reshape(-1, 3)
        np.testing.assert_allclose(np.asarray(one.points), triples[:, :2] * [320, 240], atol=1e-9)
