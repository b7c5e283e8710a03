"""Tables whose rows are frames of a video, by numbers or by ids such as clip.mp4#frame=000012."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from reporters import Recorder
from test_format_lists import faces
from test_format_programs import write_video

from kdtools.cli.kd_import import kd_import
from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import Annotation
from kdtools.datasets.formats.shared.csv_columns import CATEGORY_NAMES, FRAME_NAMES, VIDEO_NAMES
from kdtools.errors import FileError, KdError
from kdtools.faces.file import open_faces

POINTS = faces(5, 3)


def table(path: Path, columns: list[str], cells: list[list[object]]) -> Path:
    """A CSV file with these columns before five points."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join([*columns, *(f"{axis}{k}" for k in range(5) for axis in "xy")])]
    for row, points in zip(cells, POINTS, strict=False):
        lines.append(",".join(map(str, [*row, *points.reshape(-1)])))
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, **options: bool) -> tuple[list[Annotation], Recorder]:
    recorder = Recorder()
    return read_annotations(Sources([str(path)], **options), recorder), recorder


def grey(path: Path, tmp_path: Path) -> list[int]:
    """Of each crop, which frame it was taken from: frame k is a grey of 20 + 10 k."""
    kd_import([str(path)], str(tmp_path / "faces.h5"), size=32, margin=0.0, jobs=1)
    with open_faces(tmp_path / "faces.h5") as file:
        crops = np.asarray(file.images[:])
        return [round((float(np.median(one)) - 20) / 10) for one in crops]


@pytest.mark.parametrize("column", ["frame", "frame_number", "Frame No", "frame_idx"])
@pytest.mark.parametrize("numbers", [[0, 2, 3], [1, 3, 5]])
def test_frames_by_number_beside_their_video(column: str, numbers: list[int], tmp_path: Path) -> None:
    """Five frames: a frame 0 counts from 0, a frame 5 from 1."""
    write_video(tmp_path / "clip.avi", 5)
    path = table(tmp_path / "clip.csv", [column], [[number] for number in numbers])
    frames = [number - numbers[0] for number in numbers]
    found, recorder = read(path)
    assert [one.id for one in found] == [f"clip.avi#frame={frame:06d}" for frame in frames]
    assert [one.frame for one in found] == frames
    assert recorder.warned == []
    assert grey(path, tmp_path) == frames


def test_times_tell_the_first_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", 5)
    for first in (0, 1):
        cells: list[list[object]] = [[frame + first, round(frame / 20, 3)] for frame in (1, 2, 3)]
        found, recorder = read(table(tmp_path / "clip.csv", ["frame", "time"], cells))
        assert [one.frame for one in found] == [1, 2, 3]
        assert recorder.warned == []


def test_frames_whose_first_number_is_not_known(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", 9)
    _, recorder = read(table(tmp_path / "clip.csv", ["frame"], [[1], [2], [3]]))
    assert any("begin at 1; they are taken to count from 1" in text for text in recorder.warned)
    with pytest.raises(FileError, match="begin at 4, and nothing tells") as caught:
        read(table(tmp_path / "clip.csv", ["frame"], [[4], [5], [6]]))
    assert "clip.mp4#frame=000012" in caught.value.hint


def test_videos_named_in_a_column_and_faces_of_one_frame(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.avi", 4)
    for column, suffix in (("video", ""), ("filename", ".avi")):
        cells: list[list[object]] = [[f"a{suffix}", 0, 7], [f"b{suffix}", 0, 7], [f"b{suffix}", 0, 8]]
        found, _ = read(table(tmp_path / "list.csv", [column, "frame", "face_id"], cells))
        ids = ["a.avi#frame=000000", "b.avi#frame=000000", "b.avi#frame=000000#2"]
        assert [one.id for one in found] == ids
        assert [one.image.name for one in found] == ["a.avi", "b.avi", "b.avi"]


def test_a_column_of_frames_that_are_pictures(tmp_path: Path) -> None:
    found, _ = read(table(tmp_path / "a.csv", ["frame"], [["001.png"], ["002.png"]]), pictures=False)
    assert [one.id for one in found] == ["001.png", "002.png"]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "coco"])
def test_ids_of_frames_find_their_video_in_every_format(form: str, tmp_path: Path) -> None:
    write_video(tmp_path / "clips" / "clip.avi", 5)
    ids = ["clips/clip.avi#frame=000001", "clips/clip.avi#frame=000003", "clips/clip.avi#frame=000003#2"]
    names = [*ids[:2], ids[1]]
    path = tmp_path / f"a.{'json' if form == 'coco' else form}"
    if form in ("csv", "tsv"):
        table(path, ["id"], [[id] for id in ids])
        path.write_text(path.read_text().replace(",", "\t" if form == "tsv" else ","))
    elif form == "jsonl":
        rows = [{"id": id, "points": points.tolist()} for id, points in zip(ids, POINTS, strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        images = [{"id": k, "file_name": name} for k, name in enumerate(names)]
        marks = [
            {"image_id": k, "keypoints": np.column_stack([points, [2] * 5]).reshape(-1).tolist(), "category_id": 1}
            for k, points in enumerate(POINTS)
        ]
        path.write_text(json.dumps({"images": images, "annotations": marks, "categories": []}))
    found, recorder = read(path)
    assert recorder.skipped == []
    assert [one.id for one in found] == ids
    assert [one.frame for one in found] == [1, 3, 3]
    assert grey(path, tmp_path) == [1, 3, 3]
    bare, _ = read(path, pictures=False)
    assert [(str(one.image), one.frame) for one in bare] == [("clips/clip.avi", k) for k in (1, 3, 3)]
    (tmp_path / "clips" / "clip.avi").unlink()
    with pytest.raises(KdError, match="none of its 3 images was found"):
        read(path)


# ---- what tells no frame
@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["time"], "its rows have times ('time'), but no numbers of frames"),
        (["Timestamp_ms"], "its rows have times ('Timestamp_ms')"),
        (["video", "t"], "its rows have times ('t')"),
        (["image", "seconds"], "names a video, but no frame"),
        (["image"], "names a video, but no frame"),
    ],
)
def test_times_are_no_names_of_pictures(columns: list[str], told: str, pictures: bool, tmp_path: Path) -> None:
    """They were: 0.033 became an id, and the frames of a video several faces of one picture."""
    write_video(tmp_path / "clip.avi", 5)
    cells = [["clip.avi", 0.05 * k] if len(columns) == 2 else ["clip.avi"] for k in range(3)]
    if len(columns) == 1 and columns[0] != "image":
        cells = [[0.05 * k] for k in range(3)]
    with pytest.raises(FileError, match=re.escape(told)) as caught:
        read(table(tmp_path / "clip.csv", columns, cells), pictures=pictures)
    assert "add a column frame" in str(caught.value) + caught.value.hint


def test_a_time_beside_a_picture_is_no_fault(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", ["image", "time"], [["a.jpg", 0], ["b.jpg", 0.5]])
    assert [one.id for one in read(path, pictures=False)[0]] == ["a.jpg", "b.jpg"]


def test_percent_is_warned_of_without_images_too(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", ["image"], [["a.jpg"], ["b.jpg"]])
    (large := tmp_path / "b.csv").write_text(path.read_text().replace("b.jpg,", "b.jpg,9"))
    for source, told in ((path, True), (large, False)):
        _, recorder = read(source, pictures=False)
        assert any("between 0 and 100; they are taken for pixels" in text for text in recorder.warned) == told


# ---- tables at random
ODD_FRAMES = ("", "x", "-1", "1.5", "1e3", "nan", "9" * 30, "0x2", "1,", "\u0661")


@pytest.mark.parametrize("seed", range(40))
def test_random_tables_of_frames_and_categories(seed: int, tmp_path: Path) -> None:
    """Whatever the names and the order of the columns: the right points at the right frames, or an error. A row whose
    frame is not a number is skipped alone."""
    rng = random.Random(seed)
    videos = ["first.mp4", "2nd.avi"][: rng.randint(1, 2)]
    things = rng.choice([[], ["face"], ["face", "hand"], ["face", "hand", "face of cat"]])
    start, has_video = rng.choice([0, 1]), len(videos) > 1 or rng.random() < 0.5
    names = {"frame": rng.choice(sorted(FRAME_NAMES)), "video": rng.choice(sorted(VIDEO_NAMES))}
    names["thing"] = rng.choice([name for name in CATEGORY_NAMES if not name.endswith("id")])
    places = [*(["video"] if has_video else []), "frame", *(["thing"] if things else [])]
    rng.shuffle(places)
    points = np.round(np.random.default_rng(seed).uniform(100, 900, (200, 5, 2)), 2)
    rows, n = [], rng.randint(3, 8)
    for video in videos:
        for number in range(n):
            for thing in things or [""]:
                rows.append(({"video": video, "frame": str(start + number), "thing": thing}, points[len(rows)]))
    odd = rng.choice([None, *range(len(things or [""]), len(rows))])
    if odd is not None and rows[odd][0]["frame"] == str(start):
        odd = None  # the first frame tells from which number they count
    if odd is not None:
        rows[odd][0]["frame"] = rng.choice(ODD_FRAMES)
    lines = [",".join([*(names[place] for place in places), *(f"{axis}{k}" for k in range(5) for axis in "xy")])]
    for cells, five in rows:
        texts = [f'"{cells[place]}"' for place in places]
        lines.append(",".join([*texts, *(str(value) for value in five.reshape(-1))]))
    path = tmp_path / f"{Path(videos[0]).stem}.csv"
    path.write_text("\n".join(lines) + "\n")
    chosen = rng.choice(things) if things else ""
    recorder = Recorder()
    sources = Sources([str(path)], pictures=False, categories=(chosen,) if len(things) > 1 else ())
    found = read_annotations(sources, recorder)
    expected = {}
    for k, (cells, five) in enumerate(rows):
        if k != odd and cells["thing"] == chosen:
            video = cells["video"] if has_video else Path(videos[0]).stem
            expected[f"{video}#frame={int(cells['frame']) - start:06d}"] = five
    assert {one.id: np.asarray(one.points).tolist() for one in found} == {
        identity: five.tolist() for identity, five in expected.items()
    }
    assert len(recorder.skipped) == (odd is not None and rows[odd][0]["thing"] == chosen)
