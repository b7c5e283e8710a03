"""DeepLabCut's tables and SLEAP's HDF5 files: as these programs write them, and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from common import examples
from format_reading import Skipped, read_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import deeplabcut, sleap
from kdtools.datasets.formats.shared.annotation import Annotation
from kdtools.errors import DataError, FileError, KdError

LABELS = """scorer,me,me,me,me
bodyparts,nose,nose,tail,tail
coords,x,y,x,y
labeled-data/walk/img001.png,10.5,20.25,30.0,40.0
labeled-data/walk/img002.png,,,31.0,41.0
labeled-data/walk/img003.png,12.0,22.0,32.0,42.0
"""
PARTS = np.array([[[10.5, 20.25], [30, 40]], [[np.nan, np.nan], [31, 41]], [[12, 22], [32, 42]]])
PREDICTED = """scorer,net,net,net,net,net,net
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,10.5,20.25,0.9,30.0,40.0,0.25
1,11.0,21.0,0.8,31.0,41.0,0.5
"""
MULTI = (
    """scorer,me,me,me,me,me,me,me,me,me,me
individuals,ann,ann,ann,ann,bob,bob,bob,bob,single,single
bodyparts,nose,nose,tail,tail,nose,nose,tail,tail,box,box
coords,x,y,x,y,x,y,x,y,x,y
labeled-data,walk,img001.png,1,2,3,4,5,6,7,8,9,9
labeled-data,walk,img002.png,,,,,5,6,7,8,9,9
labeled-data,walk,img003.png,,,,,,,,,9,9
""".replace("scorer,", "scorer,,,")
    .replace("individuals,", "individuals,,,")
    .replace("bodyparts,", "bodyparts,,,")
)
MULTI = MULTI.replace("coords,", "coords,,,")


def read(module: ModuleType, source: Path, **options: Any) -> tuple[list[Annotation], Skipped]:
    return read_all(module.FORMAT, source, **options)


def draw(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((64, 64, 3), 128, np.uint8))


def save_project(folder: Path, text: str = LABELS, name: str = "CollectedData_me.csv") -> Path:
    video = folder / "labeled-data" / "walk"
    draw(*(video / f"img{k:03d}.png" for k in (1, 2, 3)))
    (video / name).write_text(text)
    return video / name


def save_analysis(folder: Path) -> Path:
    """Two tracks in three frames; the second is absent from frame 0, both from frame 1. As SLEAP writes it."""
    tracks = np.full((2, 2, 3, 3), np.nan)
    tracks[0, :, :, 0] = [[1, 2, 3], [10, 20, 30]]
    tracks[:, :, :, 2] = [[[4, np.nan, 6], [40, np.nan, 60]], [[7, 8, 9], [70, 80, 90]]]
    draw(*(folder / "walk" / f"frame_{k:06d}.png" for k in range(3)))
    path = folder / "labels.v1.000_walk.analysis.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("tracks", data=tracks, compression="gzip", compression_opts=9)
        file.create_dataset("track_occupancy", data=np.array([[1, 0], [0, 0], [1, 1]], np.uint8), compression="gzip")
        file.create_dataset("point_scores", data=np.where(np.isnan(tracks[:, 0]), np.nan, 0.5), compression="gzip")
        file.create_dataset("instance_scores", data=[[0.75, np.nan, 0.5], [np.nan, np.nan, 0.25]], compression="gzip")
        file.create_dataset("track_names", data=np.array([b"ann", b"bob"]))
        file.create_dataset("node_names", data=np.array([b"nose", b"ear", b"tail"]))
        file.create_dataset("video_path", data="C:\\data\\walk.mp4")
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {"deeplabcut": save_project, "sleap": save_analysis}


def test_frames_of_sleap_are_not_taken_from_a_longer_video(tmp_path: Path) -> None:
    """Exported without `all frames`, the file does not say which frame of the video is its first."""
    path = save_analysis(tmp_path)
    for n_frames, is_refused in ((3, False), (12, True)):
        writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (32, 32))
        for _ in range(n_frames):
            writer.write(np.zeros((32, 32, 3), np.uint8))
        writer.release()
        if is_refused:
            with pytest.raises(DataError, match=r"holds 3 frames, but walk\.avi has 12"):
                read(sleap, path)
        else:
            assert [face.frame for face in read(sleap, path)[0]] == [0, 2, 2]


def test_labels_of_deeplabcut(tmp_path: Path) -> None:
    path = save_project(tmp_path)
    for source in (path, path.parent, path.parent.parent, tmp_path):
        assert deeplabcut.FORMAT.accepts(source)
        faces, skipped = read(deeplabcut, source)
        assert skipped == []
        assert [face.id for face in faces] == [f"labeled-data/walk/img{k:03d}.png" for k in (1, 2, 3)]
        np.testing.assert_array_equal(np.stack([face.points for face in faces]), PARTS)
        assert [face.image.name for face in faces] == ["img001.png", "img002.png", "img003.png"]
        assert all(face.image.is_file() and face.confidence is None for face in faces)
        assert deeplabcut.names_of(source) == ["nose", "tail"]
    np.testing.assert_array_equal(read(deeplabcut, path, base=1)[0][0].points, PARTS[0] - 1)


def test_a_folder_of_labels_moved_out_of_its_project(tmp_path: Path) -> None:
    path = save_project(tmp_path / "project")
    moved = path.parent.rename(tmp_path / "elsewhere")
    faces, _ = read(deeplabcut, moved)
    assert [face.image for face in faces][:1] == [moved / "img001.png"]
    assert faces[0].id == "labeled-data/walk/img001.png"


def test_missing_pictures_and_rows_without_points(tmp_path: Path) -> None:
    path = save_project(tmp_path, LABELS + "labeled-data/walk/img004.png,,,,\nlabeled-data/walk/img005.png,1,2,3,4\n")
    faces, skipped = read(deeplabcut, path)
    assert len(faces) == 3
    assert [what for what, _ in skipped] == [f"{path}:8"]
    assert len(read(deeplabcut, path, pictures=False)[0]) == 4


def test_individuals_are_faces(tmp_path: Path) -> None:
    faces, skipped = read(deeplabcut, save_project(tmp_path, MULTI))
    assert skipped == []
    first, second = "labeled-data/walk/img001.png", "labeled-data/walk/img002.png"
    assert [face.id for face in faces] == [first, f"{first}#2", f"{second}#2"]
    assert [face.points.tolist() for face in faces] == [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[5, 6], [7, 8]]]


def test_predictions_of_deeplabcut_for_a_video(tmp_path: Path) -> None:
    path = tmp_path / "runDLC_resnet50_mineshuffle1_1000.csv"
    path.write_text(PREDICTED)
    for source in (path, tmp_path):
        faces, skipped = read(deeplabcut, source, pictures=False)
        assert [face.id for face in faces] == ["run/frame_000000", "run/frame_000001"]
        np.testing.assert_array_equal(faces[0].confidence, [0.9, 0.25])
        np.testing.assert_array_equal(faces[1].points, [[11, 21], [31, 41]])
    draw(tmp_path / "frames" / "frame_000001.jpg")
    faces, skipped = read(deeplabcut, path, roots=(tmp_path / "frames",))
    assert [face.image for face in faces] == [tmp_path / "frames" / "frame_000001.jpg"]
    assert [what for what, _ in skipped] == [f"{path}:4"]


def test_body_parts_are_matched_by_name(tmp_path: Path) -> None:
    save_project(tmp_path)
    other = tmp_path / "labeled-data" / "zoo"
    draw(other / "img1.png")
    swapped = "scorer,me,me,me,me\nbodyparts,tail,tail,nose,nose\ncoords,x,y,x,y\nlabeled-data/zoo/img1.png,3,4,1,2\n"
    (other / "CollectedData_me.csv").write_text(swapped)
    faces, _ = read(deeplabcut, tmp_path)
    assert faces[3].points.tolist() == [[1, 2], [3, 4]]
    (other / "CollectedData_me.csv").write_text(swapped.replace("tail", "ear"))
    faces, skipped = read(deeplabcut, tmp_path)
    assert len(faces) == 3
    assert "its body parts are not those of" in skipped[0][1]
    (other / "CollectedData_you.csv").write_text(swapped)
    with pytest.raises(FileError, match=r"holds both CollectedData_me\.csv and CollectedData_you\.csv"):
        read(deeplabcut, tmp_path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("labeled-data/walk/img002.png,1,2,3", "4 cells, but the header has 5"),
        ("labeled-data/walk/img002.png,1,2,3,4,5", "6 cells"),
        ("labeled-data/walk/img002.png,1,two,3,4", "'two' is not a number"),
        ("labeled-data/walk/img002.png,1,1e99,3,4", "not a place in a picture"),
        ("labeled-data/walk/img001.png,1,2,3,4", "occurs twice"),
        (",1,2,3,4", "without the name of a picture"),
    ],
)
def test_a_wrong_row_is_skipped_alone(tmp_path: Path, line: str, why: str) -> None:
    path = save_project(tmp_path, LABELS.replace("labeled-data/walk/img002.png,,,31.0,41.0", line))
    faces, skipped = read(deeplabcut, path)
    assert len(faces) == 2
    assert [what for what, _ in skipped] == [f"{path}:5"]
    assert why in skipped[0][1]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("coords,x,y,x,y", "coords,x,y,x", "equally many columns"),
        ("coords,x,y,x,y", "coords,x,y,x,x", "occurs twice"),
        ("coords,x,y,x,y", "coords,x,y,x,z", "not all x and y"),
        ("scorer,me,me,me,me", "scorer,me,me,me,you", "one scorer"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(deeplabcut, save_project(tmp_path, LABELS.replace(old, new)))


@pytest.mark.parametrize("text", ["", "name,x0,y0\na.jpg,1,2\n", "scorer,a\nb,c\n"])
def test_other_tables_are_not_deeplabcuts(tmp_path: Path, text: str) -> None:
    (tmp_path / "CollectedData_x.csv").write_text(text)
    assert not deeplabcut.FORMAT.accepts(tmp_path / "CollectedData_x.csv")
    assert not deeplabcut.FORMAT.accepts(tmp_path)


def write_pandas(path: Path, text: str, n_index: int, **options: Any) -> Path:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    csv_path = path.with_suffix(".csv")
    csv_path.write_text(text)
    header = [0, 1, 2, 3] if "individuals" in text else [0, 1, 2]
    table = pandas.read_csv(csv_path, header=header, index_col=list(range(n_index)) if n_index > 1 else 0)
    csv_path.unlink()
    table.to_hdf(path, key="df_with_missing", mode="w", **options)
    return path


@pytest.mark.parametrize(
    ("text", "n_index", "layout"),
    [(LABELS, 1, "fixed"), (LABELS, 1, "table"), (MULTI, 3, "fixed"), (PREDICTED, 1, "fixed"), (PREDICTED, 1, "table")],
)
def test_hdf5_gives_what_csv_gives(tmp_path: Path, text: str, n_index: int, layout: str) -> None:
    source = write_pandas(tmp_path / "CollectedData_me.h5", text, n_index, format=layout)
    assert deeplabcut.FORMAT.accepts(source)
    assert not sleap.FORMAT.accepts(source)
    faces, skipped = read(deeplabcut, source, pictures=False)
    (tmp_path / "CollectedData_me.csv").write_text(text)
    expected, _ = read(deeplabcut, tmp_path / "CollectedData_me.csv", pictures=False)
    assert skipped == []
    assert [face.id for face in faces] == [face.id for face in expected]
    for face, other in zip(faces, expected, strict=True):
        np.testing.assert_array_equal(face.points, other.points)
        np.testing.assert_array_equal(face.confidence, other.confidence)
    assert deeplabcut.names_of(source) == deeplabcut.names_of(tmp_path / "CollectedData_me.csv")


def test_columns_of_two_types_keep_their_names(tmp_path: Path) -> None:
    """pandas stores whole numbers and others in two blocks."""
    text = LABELS.replace("31.0,41.0", "31,41").replace("30.0,40.0", "30,40").replace("32.0,42.0", "32,42")
    source = write_pandas(tmp_path / "CollectedData_me.h5", text, 1, format="fixed")
    with h5py.File(source) as file:
        assert file["df_with_missing"].attrs["nblocks"] == 2
    faces, _ = read(deeplabcut, source, pictures=False)
    by_name = dict(zip(deeplabcut.names_of(source) or [], faces[0].points.tolist(), strict=True))
    assert by_name == {"nose": [10.5, 20.25], "tail": [30, 40]}


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was loaded",)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    import pickle

    source = write_pandas(tmp_path / "CollectedData_me.h5", LABELS, 1, format="table")
    with h5py.File(source, "a") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([_Trap()], 0))
    with pytest.raises(DataError, match="pickle with") as caught:
        read(deeplabcut, source, pictures=False)
    assert ".csv" in caught.value.hint
    assert str(source) in caught.value.message


def test_analysis_of_sleap(tmp_path: Path) -> None:
    path = save_analysis(tmp_path)
    for source in (path, tmp_path):
        assert sleap.FORMAT.accepts(source)
        assert not deeplabcut.FORMAT.accepts(source)
        faces, skipped = read(sleap, source)
        assert skipped == []
        assert [face.id for face in faces] == ["walk/frame_000000", "walk/frame_000002", "walk/frame_000002#2"]
        np.testing.assert_array_equal(faces[0].points, [[1, 10], [2, 20], [3, 30]])
        np.testing.assert_array_equal(faces[1].points, [[4, 40], [np.nan, np.nan], [6, 60]])
        np.testing.assert_array_equal(faces[2].points, [[7, 70], [8, 80], [9, 90]])
        assert [face.score for face in faces] == [0.75, 0.5, 0.25]
        np.testing.assert_array_equal(faces[1].confidence, [0.5, np.nan, 0.5])
        assert faces[2].image == tmp_path / "walk" / "frame_000002.png"
        assert sleap.names_of(source) == ["nose", "ear", "tail"]
    (tmp_path / "walk" / "frame_000002.png").unlink()
    faces, skipped = read(sleap, path)
    assert [face.id for face in faces] == ["walk/frame_000000"]
    assert len(skipped) == 2


def test_wrong_analyses_are_refused(tmp_path: Path) -> None:
    def changed(name: str, data: Any) -> Path:
        path = save_analysis(tmp_path)
        with h5py.File(path, "a") as file:
            del file[name]
            file[name] = data
        return path

    with pytest.raises(DataError, match="2 node_names, but tracks of 3 nodes"):
        read(sleap, changed("node_names", [b"a", b"b"]))
    with pytest.raises(DataError, match="array of frame track node has the shape"):
        read(sleap, changed("point_scores", np.zeros((2, 3, 9))))
    with pytest.raises(DataError, match="has the shape"):
        read(sleap, changed("tracks", np.zeros((2, 3, 3))))
    with pytest.raises(DataError, match="holds no numbers"):
        read(sleap, changed("tracks", [b"x"]))
    path = changed("tracks", np.full((1, 2, 3, 1), 1e30))
    with h5py.File(path, "a") as file:
        del file["point_scores"], file["instance_scores"]
    faces, skipped = read(sleap, path)
    assert faces == []
    assert "not a place in a picture" in skipped[0][1]


def test_claims_of_gigabytes_are_refused(tmp_path: Path) -> None:
    for n_frames, why in ((10**11, "more than"), (10**7, "but only 0 are stored")):
        path = save_analysis(tmp_path)
        with h5py.File(path, "a") as file:
            del file["tracks"]
            file.create_dataset("tracks", (2, 2, 3, n_frames), np.float64, chunks=(2, 2, 3, 1000))
        with pytest.raises(DataError, match=why):
            read(sleap, path)


@pytest.fixture
def sleap_io() -> Any:
    return pytest.importorskip("sleap_io")


def labels_of(sleap_io: Any) -> Any:
    skeleton = sleap_io.Skeleton(["nose", "ear", "tail"])
    video = sleap_io.Video("videos/walk.mp4")
    predicted = sleap_io.PredictedInstance.from_numpy(
        np.array([[1.5, 10], [2, 20], [3, 30]]), skeleton=skeleton, point_scores=np.array([0.5, 0.25, 1]), score=0.75
    )
    marked = sleap_io.Instance.from_numpy(np.array([[4, 40], [np.nan, np.nan], [6, 60]]), skeleton=skeleton)
    frames = [
        sleap_io.LabeledFrame(video=video, frame_idx=0, instances=[predicted]),
        sleap_io.LabeledFrame(video=video, frame_idx=3, instances=[marked]),
    ]
    return sleap_io.Labels(frames)


@pytest.mark.parametrize("preset", ["matlab", "standard", "slp"])
def test_files_that_sleap_io_writes(tmp_path: Path, sleap_io: Any, preset: str) -> None:
    path = tmp_path / ("labels.slp" if preset == "slp" else "walk.h5")
    if preset == "slp":
        sleap_io.save_slp(labels_of(sleap_io), str(path))
    else:
        sleap_io.save_analysis_h5(labels_of(sleap_io), str(path), preset=preset)
    assert sleap.FORMAT.accepts(path)
    faces, skipped = read(sleap, path, pictures=False)
    assert skipped == []
    assert [face.id for face in faces] == ["walk/frame_000000", "walk/frame_000003"]
    np.testing.assert_array_equal(faces[0].points, [[1.5, 10], [2, 20], [3, 30]])
    np.testing.assert_array_equal(faces[1].points, [[4, 40], [np.nan, np.nan], [6, 60]])
    np.testing.assert_allclose(faces[0].confidence, [0.5, 0.25, 1])
    assert [face.score for face in faces] == [0.75, None]
    assert faces[1].confidence is None
    assert sleap.names_of(path) == ["nose", "ear", "tail"]


def test_a_project_needs_sleap_io(tmp_path: Path, sleap_io: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.slp"
    sleap_io.save_slp(labels_of(sleap_io), str(path))
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    with pytest.raises(FileError, match="needs the package sleap-io") as caught:
        read(sleap, path)
    assert "pip install sleap-io" in caught.value.hint


def damage(data: st.DataObject, content: bytes) -> bytes:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 8))
        content = content[:at] + data.draw(st.binary(min_size=length, max_size=length)) + content[at + length :]
    return content


def check_outcome(module: ModuleType, path: Path) -> None:
    if not module.FORMAT.accepts(path):
        return
    try:
        faces, _ = read(module, path, pictures=False)
        module.names_of(path)
    except KdError:
        return
    for face in faces:
        assert face.points.ndim == 2
        assert face.points.shape[1] == 2
        assert not np.isinf(face.points).any()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_end_in_skips_or_errors(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([LABELS, PREDICTED, MULTI]))
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.text(st.sampled_from(list('0123456789.-e,"\nxynai/ ')), max_size=6))
    path = tmp_path / "CollectedData_me.csv"
    path.write_text(text[:at] + new + text[at + data.draw(st.integers(0, 9)) :])
    check_outcome(deeplabcut, path)


@pytest.mark.in_child
@examples(60)
def test_damaged_hdf5_ends_in_skips_or_errors(n_examples: int, tmp_path: Path) -> None:
    contents = []
    for name in ("fixed", "table"):
        made = write_pandas(tmp_path / "CollectedData_me.h5", LABELS, 1, format=name)
        contents.append((deeplabcut, made.read_bytes()))
        made.unlink()
    contents.append((sleap, save_analysis(tmp_path).read_bytes()))
    path = tmp_path / "damaged.h5"

    @settings(max_examples=n_examples, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        module, whole = data.draw(st.sampled_from(contents))
        path.write_bytes(damage(data, whole))
        check_outcome(module, path)

    check()
