"""Predictions of programs: OpenFace, with frames of videos; every number is computed here from the text written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from format_reading import read_all
from test_format_downloads import picture, write_text
from test_format_lists import faces

from kdtools.cli.kd_import import kd_import
from kdtools.datasets.formats import find_format, openface, openpose
from kdtools.errors import FileError
from kdtools.faces.file import open_faces

SIDE = 128


def write_video(path: Path, n_frames: int) -> None:
    """Frame k is a plain grey of 20 + 10 k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (SIDE, SIDE))
    for k in range(n_frames):
        writer.write(np.full((SIDE, SIDE, 3), 20 + 10 * k, np.uint8))
    writer.release()


def openface_table(rows: list[tuple[dict[str, str], np.ndarray]], spaces: bool = True) -> str:
    """As FeatureExtraction writes it: spaces behind commas, other points before and after those in the image."""
    first = list(rows[0][0])
    others = [f"eye_lmk_{axis}_{k}" for axis in "xy" for k in range(3)] + ["gaze_0_x", "pose_Tx"]
    names = [*first, *others, *(f"{axis}_{k}" for axis in "xy" for k in range(68))]
    names += [f"{axis}_{k}" for axis in "XYZ" for k in range(68)]
    lines = [names]
    for cells, points in rows:
        numbers = [f"{value:.6f}" for value in points.T.reshape(-1)]
        lines.append([*cells.values(), *["1.0"] * len(others), *numbers, *["2.0"] * 3 * 68])
    return "\n".join((", " if spaces else ",").join(line) for line in lines) + "\n"


def in_frames(frames: list[int], success: list[int] | None = None) -> list[tuple[dict[str, str], np.ndarray]]:
    good = success or [1] * len(frames)
    points = faces(68, len(frames))
    return [
        ({"frame": str(f), "face_id": "0", "timestamp": "0.1", "confidence": f"0.{5 + k}", "success": str(good[k])}, p)
        for k, (f, p) in enumerate(zip(frames, points, strict=True))
    ]


def write_openface(folder: Path) -> Path:
    write_video(folder / "clip.avi", 5)
    return write_text(folder / "processed" / "clip.csv", openface_table(in_frames([1, 2, 4])))


def openpose_person(points: np.ndarray) -> dict[str, object]:
    triples = np.column_stack([points, np.linspace(0.25, 0.875, len(points))])
    return {"person_id": [-1], "pose_keypoints_2d": [1.5] * 75, "face_keypoints_2d": triples.reshape(-1).tolist()}


def write_openpose(folder: Path) -> Path:
    """A frame with a face, one with nobody, one with a person without a face and two with one."""
    write_video(folder / "clip.avi", 4)
    first, second, third = (openpose_person(points) for points in faces(70))
    nobody = {"face_keypoints_2d": [0.0] * 210}
    for k, people in enumerate(([first], [], [nobody, second, third])):
        name = f"clip_{k:012d}_keypoints.json"
        write_text(folder / "json" / name, json.dumps({"version": 1.3, "people": people}))
    return folder / "json"


SAMPLES: dict[str, Callable[[Path], Path]] = {"openface": write_openface, "openpose": write_openpose}


def points_in(found: list) -> np.ndarray:  # type: ignore[type-arg]
    return np.stack([np.asarray(one.points) for one in found])


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("pictures", [True, False])
def test_openface_of_a_video(spaces: bool, pictures: bool, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4.avi", 5)
    rows = in_frames([1, 2, 4, 5], [1, 1, 0, 1])
    source = write_text(tmp_path / "clip.mp4.csv", openface_table(rows, spaces))
    assert find_format("auto", source).name == "openface"
    found, skips = read_all(openface.FORMAT, source, pictures=pictures)
    assert skips == []
    assert [one.id for one in found] == [f"clip.mp4.avi#frame={k:06d}" for k in (0, 1, 4)]
    assert [one.frame for one in found] == [0, 1, 4]
    np.testing.assert_allclose(points_in(found), faces(68, 4)[[0, 1, 3]], atol=1e-9)
    assert [one.score for one in found] == [0.5, 0.6, 0.8]
    np.testing.assert_array_equal(np.asarray(found[1].confidence), np.full(68, 0.6))


def test_frames_that_count_from_0_and_several_faces(tmp_path: Path) -> None:
    rows = in_frames([0, 0, 7])
    rows[1][0]["face_id"] = "2"
    found, skips = read_all(openface.FORMAT, write_text(tmp_path / "a.csv", openface_table(rows)), pictures=False)
    assert skips == []
    assert [one.id for one in found] == ["a#frame=000000", "a#frame=000000#3", "a#frame=000007"]


def test_openface_of_an_image_and_of_joined_tables(tmp_path: Path) -> None:
    picture(tmp_path / "portrait.png")
    points = faces(68, 2)
    rows = [({"face": str(k), "confidence": "0.9"}, points[k]) for k in range(2)]
    source = write_text(tmp_path / "processed" / "portrait.csv", openface_table(rows))
    found, skips = read_all(openface.FORMAT, source)
    assert skips == []
    assert [one.id for one in found] == ["portrait.png", "portrait.png#2"]
    np.testing.assert_allclose(points_in(found), points, atol=1e-9)
    joined = [({"file": f"{name}.png", "confidence": "0.9", "success": "1"}, points[0]) for name in "ab"]
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    found, skips = read_all(openface.FORMAT, write_text(tmp_path / "all.csv", openface_table(joined)))
    assert skips == []
    assert [(one.id, one.image.name) for one in found] == [("a.png", "a.png"), ("b.png", "b.png")]


def write_processed(folder: Path, names: list[str], photographs: str) -> Path:
    """As FaceLandmarkImg -fdir leaves it: beside each table its details, a drawing, and crops."""
    points = faces(68, len(names))
    for k, name in enumerate(names):
        rows = [({"face": "0", "confidence": "0.9"}, points[k])]
        write_text(folder / f"{name}.csv", openface_table(rows))
        details = f"Input:{photographs}/{name}.png\nCamera parameters:1,1,1,1\nOutput csv:{name}.csv\n"
        write_text(folder / f"{name}_of_details.txt", f"{details}Output image:{name}.jpg\n")
        picture(folder / f"{name}.jpg")
        picture(folder / f"{name}_aligned" / "face_det_000000.bmp")
    return folder


def test_drawings_of_openface_are_not_taken_for_photographs(tmp_path: Path) -> None:
    """They have the points on the face, as no other picture has."""
    photographs = tmp_path / "photographs"
    source = write_processed(tmp_path / "processed", ["a", "b"], str(photographs))
    found, skips = read_all(openface.FORMAT, source)
    assert (found, [why.split(" in ")[0] for _, why in skips]) == (
        [],
        ["there is no image 'a'", "there is no image 'b'"],
    )
    for name in ("a.png", "b.png"):
        picture(photographs / name)
    for options in ({}, {"roots": (photographs,)}):
        found, skips = read_all(openface.FORMAT, source, **options)
        assert skips == []
        assert [(one.id, one.image) for one in found] == [(n, photographs / n) for n in ("a.png", "b.png")]
    elsewhere = write_processed(tmp_path / "other" / "processed", ["a", "b"], "C:\\photos")  # on another machine
    found, skips = read_all(openface.FORMAT, elsewhere, roots=(photographs,))
    assert [(one.id, one.image) for one in found] == [(n, photographs / n) for n in ("a.png", "b.png")]
    found, skips = read_all(openface.FORMAT, elsewhere, pictures=False)
    assert [one.id for one in found] == ["a.png", "b.png"]


def test_the_drawn_video_of_openface_is_not_taken_for_its_input(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 5)
    source = write_text(tmp_path / "processed" / "clip.csv", openface_table(in_frames([1, 2])))
    write_text(tmp_path / "processed" / "clip_of_details.txt", "Input:/elsewhere/clip.mp4\nOutput video:clip.avi\n")
    write_video(tmp_path / "processed" / "clip.avi", 5)
    found, skips = read_all(openface.FORMAT, source)
    assert skips == []
    assert {one.image.resolve() for one in found} == {tmp_path / "clip.mp4"}


@pytest.mark.parametrize("with_details", [False, True])
def test_frames_of_a_folder_that_openface_read(with_details: bool, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    for name in ("x10.png", "x11.png", "x9.png", "y.jpg"):
        picture(frames / name)
    write_text(frames / "notes.txt", "no picture")
    folder = tmp_path / "out" / "processed"
    source = write_text(folder / "frames.csv", openface_table(in_frames([1, 2, 4], [1, 1, 1])))
    if with_details:
        write_text(folder / "frames_of_details.txt", f"Input:{frames}/\n")
    options = {} if with_details else {"roots": (frames,)}
    found, skips = read_all(openface.FORMAT, source, **options)
    assert skips == []
    names = ["frames/x10.png", "frames/x11.png", "frames/y.jpg"]
    assert [(one.id, one.image, one.frame) for one in found] == [(n, tmp_path / n, None) for n in names]
    (frames / "y.jpg").unlink()
    with pytest.raises(FileError, match=r"has 4 frames, but the folder .* 3 images"):
        read_all(openface.FORMAT, source, **options)


def test_rows_of_openface_that_make_no_sense(tmp_path: Path) -> None:
    rows = in_frames([1, 1, 2, 3, 4])
    rows[2][0]["frame"], rows[3][0]["success"] = "2.5", "0.5"
    text = openface_table(rows).splitlines()
    text[5] = text[5].rpartition(",")[0]
    found, skips = read_all(openface.FORMAT, write_text(tmp_path / "a.csv", "\n".join(text)), pictures=False)
    assert [one.id for one in found] == ["a#frame=000000"]
    reasons = " | ".join(reason for _, reason in skips)
    for part in ("a second row of 'a#frame=000000'", "'2.5', not a whole number", "success is 0.5", "cells, but"):
        assert part in reasons


def test_points_in_space_alone_are_not_taken_for_those_of_the_image(tmp_path: Path) -> None:
    names = ["frame", "confidence", "success", *(f"{axis}_{k}" for axis in "XYZ" for k in range(68))]
    source = write_text(tmp_path / "a.csv", ",".join(names) + "\n1,0.9,1," + ",".join(["1.5"] * 204) + "\n")
    assert not openface.accepts(source)


def test_cases_of_openface(shared_dir: Path) -> None:
    for name in ("2dfp", "full"):
        source = shared_dir / "cases" / "formats" / f"R06_openface_{name}.csv"
        assert find_format("auto", source).name == "openface"
        found, skips = read_all(openface.FORMAT, source, pictures=False)
        assert skips == []
        header, *rows = [line.split(", ") for line in source.read_text().splitlines()]
        xy = [header.index(f"{axis}_{k}") for k in range(68) for axis in "xy"]
        good = [row for row in rows if row[header.index("success")] == "1"]
        assert len(good) == len(rows) - 1
        truth = np.array([[float(row[k]) for k in xy] for row in good]).reshape(-1, 68, 2)
        np.testing.assert_allclose(points_in(found), truth, atol=1e-9)
        frames = [int(row[header.index("frame")]) - 1 for row in good]
        assert [one.id for one in found] == [f"R06_openface_{name}#frame={k:06d}" for k in frames]


@pytest.mark.parametrize("pictures", [True, False])
def test_openpose_of_a_video(pictures: bool, tmp_path: Path) -> None:
    source = write_openpose(tmp_path)
    assert find_format("auto", source).name == "openpose"
    found, skips = read_all(openpose.FORMAT, source, pictures=pictures)
    assert skips == []
    assert [one.id for one in found] == [f"clip.avi#frame=00000{end}" for end in ("0", "2", "2#2")]
    np.testing.assert_allclose(points_in(found), faces(70), atol=1e-9)
    np.testing.assert_allclose(np.asarray(found[2].confidence), np.linspace(0.25, 0.875, 70), atol=1e-9)


def test_openpose_of_an_image_with_missing_points(tmp_path: Path) -> None:
    picture(tmp_path / "group.png")
    person = openpose_person(faces(70)[0])
    person["face_keypoints_2d"][9:12] = [0, 0, 0]  # type: ignore[index]
    short = {"face_keypoints_2d": [1.0] * 207}
    source = write_text(tmp_path / "group_keypoints.json", json.dumps({"people": [person, short]}))
    (one,), skips = read_all(openpose.FORMAT, source)
    assert one.id == "group.png"
    assert np.flatnonzero(np.isnan(np.asarray(one.points)).any(axis=1)).tolist() == [3]
    assert "has 69 points, not 70" in skips[0][1]


# ---- frames of videos in a faces file
def imported(source: Path, output: Path, **options: object) -> Path:
    kd_import([str(source)], str(output), **options)  # type: ignore[arg-type]
    return output


def test_frames_are_taken_out_of_the_video(tmp_path: Path) -> None:
    """Each crop shows the grey of its frame; scheme and role are known from the format."""
    source = write_openface(tmp_path)
    with open_faces(imported(source, tmp_path / "a.h5", size=32, jobs=2)) as file:
        assert file.ids == [f"clip.avi#frame={k:06d}" for k in (0, 1, 3)]
        np.testing.assert_allclose(file.h5["image"][:].mean(axis=(1, 2, 3)), [20, 30, 50], atol=2)
        np.testing.assert_allclose(file.points("source"), faces(68), atol=1e-4)
        assert file.h5["frame"][:].tolist() == [0, 1, 3]
        assert file.role == "predicted"
        assert file.scheme.name == "ibug68"


def test_a_frame_that_the_video_has_not_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_openface(tmp_path)
    source.write_text(openface_table(in_frames([1, 2, 9])))
    with open_faces(imported(source, tmp_path / "a.h5", size=32)) as file:
        assert len(file.ids) == 2
    assert "has only 5 frames that can be decoded" in capsys.readouterr().err
    (tmp_path / "clip.avi").write_bytes(b"no video")
    with pytest.raises(Exception, match="no face could be imported"):
        imported(source, tmp_path / "b.h5")
    (tmp_path / "clip.avi").unlink()
    with pytest.raises(FileError, match="none of its 3 images was found"):
        imported(source, tmp_path / "c.h5")


def test_deeplabcut_beside_its_video(tmp_path: Path) -> None:
    write_video(tmp_path / "walk.avi", 4)
    lines = ["scorer,net,net,net,net,net,net", "bodyparts,a,a,a,b,b,b", "coords,x,y,likelihood,x,y,likelihood"]
    lines += [f"{k},{10 + k},20,0.9,{50 + k},60,0.8" for k in range(4)]
    write_text(tmp_path / "walkDLC_resnet50_x.csv", "\n".join(lines) + "\n")
    with open_faces(imported(tmp_path, tmp_path / "a.h5", size=16)) as file:
        assert file.ids == [f"walk.avi#frame={k:06d}" for k in range(4)]
        np.testing.assert_allclose(file.h5["image"][:].mean(axis=(1, 2, 3)), [20, 30, 40, 50], atol=2)
