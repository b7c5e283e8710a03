"""Data sets as people download them: LaPa, HELEN, CatFLW, FFHQ, 300W-LP, MTFL, PFLD, WIDER with points, CelebA."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from format_reading import read_all
from reporters import Recorder, Strict
from test_format_lists import draw, faces, words

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import (
    aflw2000,
    catflw,
    celeba,
    ffhq,
    find_format,
    helen,
    lapa,
    mtfl,
    pfld,
    retinaface,
    w300lp,
)
from kdtools.datasets.formats.shared.annotation import Annotation
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.point_scheme import settle_scheme
from kdtools.errors import DataError, FileError
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68, WFLW98
from kdtools.landmarks.dense_schemes import LAPA106

WIDTH, HEIGHT = 200, 140  # pixels of pictures whose points are shares of them


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((height, width, 3), 90, np.uint8))


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def write_lapa(folder: Path) -> Path:
    for k, points in enumerate(faces(106)):
        picture(folder / "images" / f"{1000 + k}_0.jpg")
        rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points)
        write_text(folder / "landmarks" / f"{1000 + k}_0.txt", f"106\n{rows}")
    return folder


def write_helen(folder: Path) -> Path:
    """CRLF, and a space before each line's end, as in the files that HELEN's authors published."""
    for k, points in enumerate(faces(194)):
        picture(folder / ("train", "test")[k == 2] / f"22368148{k}_1.jpg")
        rows = "".join(f"{x:.6f} , {y:.6f} \r\n" for x, y in points)
        write_text(folder / "annotation" / f"{k + 1}.txt", f"22368148{k}_1\r\n{rows}")
    return folder / "annotation"


def write_catflw(folder: Path) -> Path:
    for k, points in enumerate(faces(48)):
        picture(folder / "images" / f"0000000{k}_000.png")
        entry = {"labels": points.tolist(), "bounding_boxes": [20.5, 21.0, 90.0, 95.5]}
        write_text(folder / "labels" / f"0000000{k}_000.json", json.dumps(entry))
    return folder


def ffhq_entry(k: int, points: np.ndarray) -> dict[str, Any]:
    name = f"{k:05d}.png"
    return {
        "category": "validation" if k == 2 else "training",
        "metadata": {"author": "somebody", "license": "CC0"},
        "image": {
            "file_url": "https://example.org/" + name,
            "file_path": f"images1024x1024/00000/{name}",
            "pixel_size": [WIDTH, HEIGHT],
            "face_landmarks": points.tolist(),
        },
        "thumbnail": {"file_path": f"thumbnails128x128/00000/{name}", "pixel_size": [WIDTH // 2, HEIGHT // 2]},
        "in_the_wild": {
            "file_path": f"in-the-wild-images/00000/{name}",
            "pixel_size": [3 * WIDTH, 3 * HEIGHT],
            "face_rect": [20, 21, 190, 195],
            "face_landmarks": (points + 100).tolist(),
            "face_quad": [[1.5, 2.5]] * 4,
        },
    }


def write_ffhq(folder: Path) -> Path:
    for k in range(3):
        picture(folder / "images1024x1024" / "00000" / f"{k:05d}.png")
    entries = {str(k): ffhq_entry(k, points) for k, points in enumerate(faces(68))}
    return write_text(folder / "ffhq-dataset-v2.json", json.dumps(entries))


def write_300wlp(folder: Path) -> Path:
    for k, points in enumerate(faces(68)):
        picture(folder / "AFW" / f"AFW_1342_{k}.jpg")
        values = {"pt2d": points.T + 1, "Pose_Para": np.zeros((1, 7)), "roi": np.array([[1, 2, 3, 4]])}
        scipy.io.savemat(folder / "AFW" / f"AFW_1342_{k}.mat", values)
    return folder


MTFL_TAILS = ["1 1 2 3", "2 2 1 5", "1 2 2 1"]


def write_mtfl(folder: Path) -> Path:
    names = [rf"lfw_5590\Person_000{k}.jpg" for k in range(3)]
    draw(folder, [name.replace("\\", "/") for name in names])
    lines = [f" {name} {words(p.T)} {tail}" for name, p, tail in zip(names, faces(5), MTFL_TAILS, strict=True)]
    return write_text(folder / "training.txt", "\n".join(lines) + "\n \n")


PFLD_TAILS = ["0 0 0 0 0 0 -3.25 4.5 0.75", "1 0 0 0 1 0 12.5 -40.25 3.0", "0 0 0 0 0 1 1.0 2.0 -3.0"]


def write_pfld(folder: Path) -> Path:
    for k in range(3):
        picture(folder / "imgs" / f"{k}_face_0.png")
    lines = [
        f"/data/train/imgs/{k}_face_0.png {words(points / 120)} {tail}"
        for k, (points, tail) in enumerate(zip(faces(98), PFLD_TAILS, strict=True))
    ]
    return write_text(folder / "list.txt", "\n".join(lines) + "\n")


def write_retinaface(folder: Path) -> Path:
    """Two pictures; the second has a face without points, and one with a hidden and a missing point."""
    names = ["0--Parade/0_Parade_marchingband_1_849.jpg", "1--Handshaking/1_Handshaking_2.jpg"]
    draw(folder / "images", names)
    first, second, third = (np.hstack([points, np.zeros((5, 1))]) for points in faces(5))
    second[1, 2], second[3] = 1, -1
    rows = [f"20 30 60 50 {words(face)} 0.82" for face in (first, second, third)]
    small = "78 21 7 8 " + "-1.0 " * 15 + "0.2"
    text = "\n".join([f"# {names[0]}", rows[0], f"# {names[1]}", small, rows[1], rows[2]])
    return write_text(folder / "label.txt", text + "\n")


CELEBA_HEADER = (
    "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
)


def write_celeba(folder: Path) -> Path:
    lines = []
    for k, points in enumerate(faces(5)):
        picture(folder / "Img" / "img_celeba" / f"00000{k + 1}.jpg", 178, 218 + k)
        lines.append(f"00000{k + 1}.jpg    " + "  ".join(f"{number:.6f}" for number in points.reshape(-1)))
    text = "\n".join(["3", CELEBA_HEADER + " ", *lines])
    return write_text(folder / "Anno" / "list_landmarks_celeba.txt", text + "\n")


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "lapa": write_lapa,
    "helen": write_helen,
    "catflw": write_catflw,
    "ffhq": write_ffhq,
    "300wlp": write_300wlp,
    "mtfl": write_mtfl,
    "pfld": write_pfld,
    "retinaface": write_retinaface,
    "celeba": write_celeba,
}
FORMS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT for module in (lapa, helen, catflw, ffhq, w300lp, mtfl, pfld, retinaface, celeba)
}
IDS = {
    "lapa": [f"{1000 + k}_0.jpg" for k in range(3)],
    "helen": [f"22368148{k}_1.jpg" for k in range(3)],
    "catflw": [f"0000000{k}_000.png" for k in range(3)],
    "ffhq": [f"images1024x1024/00000/{k:05d}.png" for k in range(3)],
    "300wlp": [f"AFW/AFW_1342_{k}.jpg" for k in range(3)],
    "mtfl": [f"lfw_5590/Person_000{k}.jpg" for k in range(3)],
    "pfld": [f"data/train/imgs/{k}_face_0.png" for k in range(3)],
    "retinaface": [
        "0--Parade/0_Parade_marchingband_1_849.jpg",
        "1--Handshaking/1_Handshaking_2.jpg",
        "1--Handshaking/1_Handshaking_2.jpg#2",
    ],
    "celeba": [f"00000{k}.jpg" for k in (1, 2, 3)],
}


def as_written(points: np.ndarray) -> np.ndarray:
    """The numbers that `words` leaves of these."""
    return np.array(words(points).split(), float).reshape(points.shape)


def truth_of(name: str) -> np.ndarray:
    """Points (3, L, 2) that the sample of a format must give, in pixels from 0."""
    n_points = {"lapa": 106, "helen": 194, "catflw": 48, "ffhq": 68, "300wlp": 68, "pfld": 98}.get(name, 5)
    points = faces(n_points)
    if name == "pfld":
        points = as_written(points / 120) * [WIDTH, HEIGHT]
    if name == "retinaface":
        points[1, 3] = np.nan
    return points


def check(found: list[Annotation], name: str) -> None:
    assert [one.id for one in found] == IDS[name]
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), truth_of(name), atol=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_reads_its_sample(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    assert find_format("auto", source).name == name
    found, skips = read_all(FORMS[name], source)
    assert skips == []
    check(found, name)
    assert all(one.image.is_file() for one in found)
    moved = tmp_path / "pictures"  # all pictures in a folder of their own, named with --images
    for path in sorted((tmp_path / "set").rglob("*")):
        if path.suffix in (".jpg", ".png"):
            at = moved / (path.name if name != "retinaface" else f"{path.parent.name}/{path.name}")
            at.parent.mkdir(parents=True, exist_ok=True)
            path.rename(at)
    found, skips = read_all(FORMS[name], source, roots=(moved,))
    assert skips == []
    check(found, name)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"pfld"}))
def test_reads_points_alone(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    check(read_all(FORMS[name], source, pictures=False)[0], name)


@pytest.mark.parametrize("name", ["helen", "lapa", "celeba", "mtfl", "pfld", "retinaface"])
def test_other_line_ends_and_spaces_change_nothing(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    for path in (tmp_path / "set").rglob("*.txt"):
        lines = path.read_text().splitlines()
        path.write_bytes(b"\xef\xbb\xbf" + "".join(f"{line} \t\r\n" for line in lines).encode())
    assert find_format("auto", source).name == name
    found, skips = read_all(FORMS[name], source)
    assert skips == []
    check(found, name)


def test_shares_need_the_pictures(tmp_path: Path) -> None:
    source = write_pfld(tmp_path)
    with pytest.raises(DataError, match="shares of the images' width and height") as error:
        read_all(pfld.FORMAT, source, pictures=False)
    assert error.value.hint == "leave out --no-images"


def test_pfld_with_other_numbers_of_points_and_without_attributes(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png")
    for n_points, tail in ((68, "0 1 0 0 0 0 1.5 2.5 3.5"), (68, "1.5 2.5 3.5"), (98, "1.5 2.5 3.5")):
        lines = [f"{k}.png {words(points / 120)} {tail}\n" for k, points in enumerate(faces(n_points))]
        found, skips = read_all(pfld.FORMAT, write_text(tmp_path / "list.txt", "".join(lines)))
        assert skips == []
        truth = as_written(faces(n_points) / 120) * [WIDTH, HEIGHT]
        np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), truth, atol=1e-9)
        assert found[0].subsets == ({"expression"} if " 0 " in tail else set())


def test_attributes_become_subsets(tmp_path: Path) -> None:
    found, _ = read_all(mtfl.FORMAT, write_mtfl(tmp_path / "mtfl"))
    assert [one.subsets for one in found] == [
        {"male", "smiling", "frontal", "training"},
        {"female", "glasses", "right_profile", "training"},
        {"male", "left_profile", "training"},
    ]
    found, _ = read_all(pfld.FORMAT, write_pfld(tmp_path / "pfld"))
    assert [one.subsets for one in found] == [set(), {"largepose", "occlusion"}, {"blur"}]


def test_a_hidden_and_a_missing_point_of_wider(tmp_path: Path) -> None:
    found, _ = read_all(retinaface.FORMAT, write_retinaface(tmp_path))
    assert [np.asarray(one.visible).tolist() for one in found] == [
        [True] * 5,
        [True, False, True, False, True],
        [True] * 5,
    ]
    assert all(np.asarray(one.box).tolist() == [20, 30, 80, 80] for one in found)


def test_faces_without_points_are_counted(tmp_path: Path) -> None:
    source = write_retinaface(tmp_path)
    recorder = Recorder()
    assert len(read_annotations(Sources([str(source)]), recorder)) == 3
    assert f"{source}: left out 1 face without any point" in recorder.said
    assert recorder.skipped == []


def test_a_list_of_boxes_alone_gives_boxes(tmp_path: Path) -> None:
    draw(tmp_path / "images", ["a/b.jpg"])
    source = write_text(tmp_path / "label.txt", "# a/b.jpg\n10 20 30 40\n50 60 7 8 \n")
    found, skips = read_all(retinaface.FORMAT, source)
    assert skips == []
    assert [np.asarray(one.box).tolist() for one in found] == [[10, 20, 40, 60], [50, 60, 57, 68]]
    assert [one.points for one in found] == [None, None]


def test_wider_as_a_folder_of_its_parts(tmp_path: Path) -> None:
    write_retinaface(tmp_path / "train")
    write_text(tmp_path / "val" / "label.txt", "# 2--Demo/x.jpg\n10 20 30 40\n")
    assert find_format("auto", tmp_path).name == "retinaface"
    check(read_all(retinaface.FORMAT, tmp_path)[0], "retinaface")


def test_jd_landmark_names_and_folders(tmp_path: Path) -> None:
    for k, points in enumerate(faces(106)):
        picture(tmp_path / "AFW" / "picture" / f"AFW_{k}.jpg")
        rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points)
        write_text(tmp_path / "AFW" / "landmark" / f"AFW_{k}.jpg.txt", f"106\n{rows}")
    for source, prefix in ((tmp_path, "AFW/"), (tmp_path / "AFW", ""), (tmp_path / "AFW" / "landmark", "")):
        found, skips = read_all(lapa.FORMAT, source)
        assert skips == []
        assert [one.id for one in found] == [f"{prefix}AFW_{k}.jpg" for k in range(3)]
        np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(106), atol=1e-9)
        assert [one.image.name for one in found] == [f"AFW_{k}.jpg" for k in range(3)]


def test_a_text_file_beside_its_picture(tmp_path: Path) -> None:
    for k, points in enumerate(faces(68)):
        picture(tmp_path / f"{k}.png")
        write_text(tmp_path / f"{k}.txt", "68\r\n" + "".join(f"{x:.6f}, {y:.6f}\r\n" for x, y in points))
    write_text(tmp_path / "README.txt", "Points of faces.\n")
    found, skips = read_all(lapa.FORMAT, tmp_path)
    assert skips == []
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68), atol=1e-9)


def test_a_file_that_lost_a_line_is_skipped(tmp_path: Path) -> None:
    source = write_lapa(tmp_path)
    path = source / "landmarks" / "1001_0.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    found, skips = read_all(lapa.FORMAT, source)
    assert [one.id for one in found] == ["1000_0.jpg", "1002_0.jpg"]
    assert skips == [(str(path), "says 106 points, but holds 105")]


def test_cases_of_lapa_mtfl_and_pfld(shared_dir: Path, tmp_path: Path) -> None:
    """The small made-up inputs, read here without kdtools as well; pictures of any size are drawn beside them."""
    cases = tmp_path / "cases"
    shutil.copytree(shared_dir / "cases" / "formats", cases, copy_function=shutil.copyfile)
    for folder in (cases, *cases.iterdir()):
        if folder.is_dir():
            folder.chmod(0o755)
    annotations = read_annotations(Sources([str(cases / "R11_lapa")], pictures=False), Strict())
    for one, path in zip(annotations, sorted((cases / "R11_lapa").glob("*.txt")), strict=True):
        np.testing.assert_allclose(np.asarray(one.points), np.loadtxt(path, skiprows=1), atol=1e-9)
    annotations = read_annotations(Sources([str(cases / "R02_mtfl.txt")], pictures=False), Strict())
    lines = [line.split() for line in (cases / "R02_mtfl.txt").read_text().splitlines() if line.strip()]
    for one, cells in zip(annotations, lines, strict=True):
        np.testing.assert_allclose(np.asarray(one.points), np.array(cells[1:11], float).reshape(2, 5).T, atol=1e-9)
    lines = [line.split() for line in (cases / "R11_pfld.txt").read_text().splitlines()]
    for cells in lines:
        picture(cases / "imgs" / Path(cells[0]).name, 160, 112)
    annotations = read_annotations(Sources([str(cases / "R11_pfld.txt")]), Strict())
    for one, cells in zip(annotations, lines, strict=True):
        shares = np.array(cells[1:-9], float).reshape(-1, 2)
        np.testing.assert_allclose(np.asarray(one.points), shares * [160, 112], atol=1e-9)
        assert len(shares) in (IBUG68.n_points, WFLW98.n_points)


@pytest.mark.parametrize("comma", [True, False])
def test_celeba_of_kaggle_and_in_any_order_of_columns(comma: bool, tmp_path: Path) -> None:
    order = [2, 3, 0, 1, 4, 5, 6, 7, 8, 9]
    header = [CELEBA_HEADER.split()[k] for k in order]
    rows = [["image_id", *header] if comma else header]
    for k, points in enumerate(faces(5)):
        picture(tmp_path / "img_align_celeba" / "img_align_celeba" / f"{k}.jpg", 178, 218)
        rows.append([f"{k}.jpg", *(f"{points.reshape(-1)[c]:.6f}" for c in order)])
    text = "\n".join((",," if comma else " ")[:1].join(row) for row in rows)
    name = "list_landmarks_align_celeba" + (".csv" if comma else ".txt")
    source = write_text(tmp_path / name, text if comma else f"3\n{text}")
    assert find_format("auto", source).name == "celeba"
    found, skips = read_all(celeba.FORMAT, source)
    assert skips == []
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(5), atol=1e-9)


def test_celeba_beside_the_pictures_of_the_other_list(tmp_path: Path) -> None:
    source = write_celeba(tmp_path)
    for k in range(3):
        picture(tmp_path / "aligned" / f"00000{k + 1}.jpg", 178, 218)
    text = source.read_text().splitlines()
    text[2] = "000001.jpg " + " ".join(["300.0"] * 10)
    source.write_text("\n".join(text))
    with pytest.raises(FileError, match="points are of the photographs"):
        read_all(celeba.FORMAT, source, roots=(tmp_path / "aligned",))
    other = source.rename(source.with_name("list_landmarks_align_celeba.txt"))
    with pytest.raises(FileError, match="points are of the aligned images"):
        read_all(celeba.FORMAT, other, roots=(tmp_path / "Img" / "img_celeba",))


def test_ffhq_takes_the_pictures_that_are_there(tmp_path: Path) -> None:
    """Of half the size: pixels' corners keep their place. In the wild: its own points and box."""
    source = write_ffhq(tmp_path)
    shutil.rmtree(tmp_path / "images1024x1024")
    for k in range(3):
        picture(tmp_path / "in-the-wild-images" / f"{k:05d}.png", 3 * WIDTH, 3 * HEIGHT)
    found, skips = read_all(ffhq.FORMAT, source)
    assert skips == []
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68) + 100, atol=1e-9)
    assert np.asarray(found[0].box).tolist() == [20, 21, 190, 195]
    assert [one.subsets for one in found] == [{"training"}, {"training"}, {"validation"}]
    for k in range(3):
        picture(tmp_path / "thumbnails128x128" / "00000" / f"{k:05d}.png", WIDTH // 2, HEIGHT // 2)
    found, skips = read_all(ffhq.FORMAT, source)
    np.testing.assert_allclose(np.asarray(found[1].points), (faces(68)[1] + 0.5) / 2 - 0.5, atol=1e-9)
    picture(tmp_path / "thumbnails128x128" / "00000" / "00001.png", WIDTH // 2, HEIGHT)
    found, skips = read_all(ffhq.FORMAT, source)
    assert len(found) == 2
    assert "the image has 100 x 140 pixels, the points are for 200 x 140" in skips[0][1]


def test_300wlp_of_the_folder_landmarks(tmp_path: Path) -> None:
    """With pts_2d; where there is pt2d as well, that is read, once."""
    write_300wlp(tmp_path)
    for k, points in enumerate(faces(68)):
        path = tmp_path / "landmarks" / "AFW" / f"AFW_1342_{k}_pts.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"pts_2d": points + 1.25, "pts_3d": points + 7})
    check(read_all(w300lp.FORMAT, tmp_path)[0], "300wlp")
    for path in (tmp_path / "AFW").glob("*.mat"):
        path.unlink()
    for source in (tmp_path, tmp_path / "landmarks"):
        found, skips = read_all(w300lp.FORMAT, source)
        assert skips == []
        assert [one.id for one in found] == IDS["300wlp"]
        np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), faces(68) + 0.25, atol=1e-9)


def test_aflw2000_is_not_300wlp(shared_dir: Path) -> None:
    source = shared_dir / "data" / "annotations" / "aflw2000"
    assert not w300lp.FORMAT.accepts(source)
    assert aflw2000.FORMAT.accepts(source)


def test_real_points_of_lapa_are_those_of_its_scheme(shared_dir: Path, tmp_path: Path) -> None:
    """MMPose's excerpt holds the numbers of LaPa's own files; written as these, they mirror as lapa106 says."""
    folder = shared_dir / "data" / "annotations" / "mmpose" / "lapa"
    document = json.loads((folder / "test_lapa.json").read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    truth = {}
    for entry in document["annotations"]:
        name = Path(names[entry["image_id"]]).name
        if (folder / name).is_file():
            (tmp_path / "images").mkdir(exist_ok=True)
            shutil.copyfile(folder / name, tmp_path / "images" / name)
            truth[name] = np.array(entry["keypoints"], float).reshape(-1, 3)[:, :2]
            rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in truth[name])
            write_text(tmp_path / "landmarks" / f"{Path(name).stem}.txt", f"106\n{rows}")
    found = read_annotations(Sources([str(tmp_path)]))
    assert [one.id for one in found] == sorted(truth)
    for one in found:
        np.testing.assert_allclose(np.asarray(one.points), truth[one.id], atol=1e-6)
    _, scheme = settle_scheme(found, None, None)
    assert scheme == LAPA106
