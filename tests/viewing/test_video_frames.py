"""Faces of videos are carried on: dumped with frame, time and track, and shown from the frames themselves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from contract.running import run_tool, succeed
from factories import write_faces
from reporters import NoSkips, Recorder

from kdtools.faces.file import open_faces
from kdtools.images.reading import read_image
from kdtools.viewing.gallery import gather, read_shown

N_FRAMES, SIDE = 6, 64


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    """Predictions of a video, whose frame k has the grey 30 k + 30, and of a white photograph."""
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (SIDE, SIDE))
    for k in range(N_FRAMES):
        writer.write(np.full((SIDE, SIDE, 3), 30 * k + 30, np.uint8))
    writer.release()
    cv2.imwrite(str(tmp_path / "a.png"), np.full((SIDE, SIDE, 3), 255, np.uint8))
    order = [4, 0, 2, -1, 5]
    video = str(tmp_path / "v.avi")
    points = np.random.default_rng(0).uniform(10, 50, (5, 68, 2)).astype(np.float32)
    return write_faces(
        tmp_path / "p.h5",
        points,
        ids=[f"v.avi#frame={k:06d}" if k >= 0 else "a.png" for k in order],
        role="predicted",
        source=[video if k >= 0 else str(tmp_path / "a.png") for k in order],
        frame=np.array(order),
        time=np.where(np.array(order) >= 0, np.array(order) / 20, np.nan),
        track=np.array([0, 0, 1, -1, 0]),
    )


def dumped(faces: Path, *words: str) -> str:
    result = run_tool("kd-dump", faces, *words)
    assert result.status == 0, result.stderr
    return result.stdout.decode()


def test_frames_are_shown_in_whatever_order(predicted: Path) -> None:
    with open_faces(predicted) as faces:
        shown = list(read_shown(gather(faces, [], None), range(5), 32, NoSkips()))
    assert [face.image.mean() for face in shown] == pytest.approx([150, 30, 90, 255, 180], abs=4)


def test_a_frame_that_is_gone_is_skipped_alone(predicted: Path, tmp_path: Path) -> None:
    (tmp_path / "v.avi").unlink()
    skipped = Recorder()
    with open_faces(predicted) as faces:
        shown = list(read_shown(gather(faces, [], None), range(5), 32, skipped))
    assert [face.id for face in shown] == ["a.png"]
    assert len(skipped.skipped) == 4


def test_kd_view_draws_frames(predicted: Path, tmp_path: Path) -> None:
    succeed(run_tool("kd-view", predicted, "-o", tmp_path / "sheet.png"))
    assert read_image(tmp_path / "sheet.png").size
    (tmp_path / "v.avi").write_bytes(b"none")
    (tmp_path / "a.png").write_bytes(b"none")
    result = run_tool("kd-view", predicted, "-o", tmp_path / "none.png")
    assert result.status == 1
    assert "v.avi: not a video that can be decoded" in result.stderr


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_tables_name_frame_time_and_track(form: str, predicted: Path, tmp_path: Path) -> None:
    delimiter = "," if form == "csv" else "\t"
    text = dumped(predicted, "--format", form)
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    assert header[-3:] == ["frame", "time", "track"]
    assert [row[-3:] for row in rows] == [
        ["4", "0.2", "0"],
        ["0", "0.0", "0"],
        ["2", "0.1", "1"],
        ["", "", ""],
        ["5", "0.25", "0"],
    ]
    plain = dumped(predicted, "--format", form, "--no-header")
    assert {len(row) for row in csv.reader(io.StringIO(plain), delimiter=delimiter)} == {1 + 2 * 68}
    (tmp_path / f"d.{form}").write_text(text)
    succeed(run_tool("kd-import", tmp_path / f"d.{form}", "--no-images", "-o", tmp_path / "back.h5"))
    with open_faces(predicted) as faces, open_faces(tmp_path / "back.h5") as back:
        np.testing.assert_array_equal(faces.landmarks, back.landmarks)


def test_json_names_frame_time_and_track(predicted: Path) -> None:
    lines = dumped(predicted, "--format", "jsonl").splitlines()
    faces = [json.loads(line) for line in lines]
    assert [(face["frame"], face["time"], face["track"]) for face in faces[2:4]] == [(2, 0.1, 1), (None, None, None)]
    coco = json.loads(dumped(predicted, "--format", "coco"))
    assert [(image["frame"], image["time"]) for image in coco["images"]][2:4] == [(2, 0.1), (None, None)]
    assert [face["track"] for face in coco["annotations"]] == [0, 0, 1, None, 0]
