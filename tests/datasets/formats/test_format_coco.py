"""COCO keypoints: MMPose's face sets, what else comes in such files, and files that are none."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from format_reading import Skipped, read_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reporters import NoSkips, Recorder

from kdtools.datasets.annotations import Sources, names_of_points, read_annotations
from kdtools.datasets.formats import coco
from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock
from kdtools.errors import DataError, FileError, KdError
from kdtools.landmarks import IBUG68, Scheme

POINTS = np.array([[10.5, 20.25], [30.0, 21.0], [20.0, 40.125]])


def read(source: Path, **options: Any) -> tuple[list[Annotation], Skipped]:
    return read_all(coco.FORMAT, source, **options)


def keypoints(points: np.ndarray, values: tuple[int, ...]) -> list[float]:
    return [number for (x, y), v in zip(points.tolist(), values, strict=True) for number in (x, y, v)]


def document(values: tuple[int, ...] = (1, 1, 1)) -> dict[str, Any]:
    """Three faces in two pictures, with the keys and the order of MMPose's files."""
    faces = [(7, 31, 0.0), (7, 32, 100.0), (9, 33, 5.0)]
    return {
        "categories": [{"supercategory": "person", "id": 1, "name": "face", "keypoints": [], "skeleton": []}],
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 120, "width": 160},
            {"id": 9, "file_name": "b.jpg", "height": 120, "width": 160},
        ],
        "annotations": [
            {
                "image_id": image,
                "id": number,
                "keypoints": keypoints(POINTS + [shift, 0], values),
                "num_keypoints": 3,
                "bbox": [5.0 + shift, 15.5, 30.0, 28.0],
                "iscrowd": 0,
                "area": 840.0,
                "category_id": 1,
            }
            for image, number, shift in faces
        ],
    }


def save(folder: Path, content: Any, name: str = "test.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(folder / picture), np.full((120, 160, 3), 128, np.uint8))
    (folder / name).write_text(json.dumps(content, indent=4))
    return folder / name


SAMPLES: dict[str, Callable[[Path], Path]] = {"coco": lambda folder: save(folder, document())}


def test_points_boxes_and_ids(tmp_path: Path) -> None:
    path = save(tmp_path, document())
    for source in (path, tmp_path):
        assert coco.FORMAT.accepts(source)
        faces, skipped = read(source)
        assert skipped == []
        assert [face.id for face in faces] == ["a.jpg", "a.jpg#2", "b.jpg"]
        np.testing.assert_array_equal(faces[1].points, POINTS + [100, 0])
        np.testing.assert_array_equal(faces[0].box, [5, 15.5, 35, 43.5])
        assert [face.image for face in faces] == [tmp_path / name for name in ("a.jpg", "a.jpg", "b.jpg")]
        assert all(face.visible is None and face.score is None for face in faces)


def test_base_is_subtracted_from_points_and_boxes(tmp_path: Path) -> None:
    faces, _ = read(save(tmp_path, document()), base=1)
    np.testing.assert_array_equal(faces[0].points, POINTS - 1)
    np.testing.assert_array_equal(faces[0].box, [4, 14.5, 34, 42.5])


def test_visibility_is_told_only_by_files_that_use_2(tmp_path: Path) -> None:
    faces, _ = read(save(tmp_path, document((2, 1, 0))))
    np.testing.assert_array_equal(faces[0].visible, [True, False, False])
    np.testing.assert_array_equal(faces[0].points, [POINTS[0], POINTS[1], [np.nan, np.nan]])
    faces, _ = read(save(tmp_path, document((1, 1, 0))))
    assert faces[0].visible is None
    np.testing.assert_array_equal(np.isnan(faces[0].points).any(axis=1), [False, False, True])


def test_folders_as_mmpose_lays_them_out(tmp_path: Path) -> None:
    path = save(tmp_path / "annotations", document())
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (path.parent / name).rename(tmp_path / "images" / name)
    for source in (path, tmp_path):
        faces, skipped = read(source)
        assert [face.image for face in faces][::2] == [tmp_path / "images" / name for name in ("a.jpg", "b.jpg")]
        assert skipped == []


def test_missing_pictures_are_skipped_or_not_looked_for(tmp_path: Path) -> None:
    path = save(tmp_path, document())
    (tmp_path / "a.jpg").unlink()
    faces, skipped = read(path)
    assert [face.id for face in faces] == ["b.jpg"]
    assert len(skipped) == 2
    assert "annotation 31" in skipped[0][0]
    assert len(read(path, pictures=False)[0]) == 3


def test_crowds_are_left_out_and_whole_bodies_give_their_face(tmp_path: Path) -> None:
    content = document((2, 2, 2))
    first, second, third = content["annotations"]
    first["iscrowd"] = 1
    second |= {"face_kpts": keypoints(POINTS + 3, (1, 1, 0)), "face_box": [1.0, 2.0, 10.0, 20.0], "face_valid": True}
    third |= {"face_kpts": [0.0] * 9, "face_box": [0.0] * 4, "face_valid": False}
    faces, skipped = read(save(tmp_path, content))
    assert skipped == []
    assert [face.id for face in faces] == ["a.jpg"]
    np.testing.assert_array_equal(faces[0].points[:2], POINTS[:2] + 3)
    np.testing.assert_array_equal(faces[0].box, [1, 2, 11, 22])
    assert faces[0].visible is None  # the 2s are those of the body


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keypoints": keypoints(POINTS, (1, 1, 1))[:-1]}, "8 numbers in its keypoints, which are not triples"),
    ({"keypoints": [*keypoints(POINTS, (1, 1, 1))[:-1], "1"]}, "is not a number"),
    ({"keypoints": [*keypoints(POINTS, (1, 1, 1))[:-1], 0.7]}, "is 0.7, which is not 0, 1 or 2"),
    ({"keypoints": [1e30, *keypoints(POINTS, (1, 1, 1))[1:]]}, "not a place in a picture"),
    ({"keypoints": {"x": 1}}, "not a list of numbers"),
    ({"keypoints": None, "bbox": None}, "neither keypoints nor a bbox"),
    ({"bbox": [1, 2, 3]}, "bbox: 3 numbers"),
    ({"image_id": 8}, "no image with its image_id 8"),
    ({"image_id": [7]}, "no image with its image_id"),
]


@pytest.mark.parametrize(("change", "why"), WRONG)
def test_a_wrong_annotation_is_skipped_alone(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    content = document()
    content["annotations"][1] |= change
    faces, skipped = read(save(tmp_path, content))
    assert [face.id for face in faces] == ["a.jpg", "b.jpg"]
    assert len(skipped) == 1
    assert "test.json: annotation 32" in skipped[0][0]
    assert why in skipped[0][1]


def test_points_must_be_as_many_as_the_category_names(tmp_path: Path) -> None:
    content = document()
    content["categories"][0]["keypoints"] = ["left eye", "right eye", "mouth"]
    content["annotations"][2]["keypoints"] = content["annotations"][2]["keypoints"][:6]
    path = save(tmp_path, content)
    faces, skipped = read(path)
    assert len(faces) == 2
    assert "2 points, but its category names 3" in skipped[0][1]
    assert coco.names_of(path) == ["left eye", "right eye", "mouth"]
    assert coco.names_of(save(tmp_path, document())) is None


def test_files_that_are_no_annotations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no list 'annotations'"):
        read(save(tmp_path / "i", {"images": [{"file_name": "a.jpg"}]}))
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(document())[:-20])
    with pytest.raises(FileError, match="not a JSON file"):
        read(path)
    content = document()
    content["images"][1]["id"] = 7
    with pytest.raises(DataError, match="image id 7 has two names"):
        read(save(tmp_path / "twice", content))
    save(tmp_path / "two", document())
    save(tmp_path / "two", document(), "other.json")
    with pytest.raises(FileError, match="holds 2 such files"):
        read(tmp_path / "two")


def results() -> list[dict[str, Any]]:
    """Of the three faces of `document`, in another order, as MMPose's CocoMetric writes them."""
    return [
        {"category_id": 1, "image_id": image, "keypoints": keypoints(POINTS + shift, (0.9, 0.0, 1.03)), "score": 0.25}
        for image, shift in ((9, 5.0), (7, 0.0), (7, 100.0))
    ]


def test_results_are_named_by_the_annotation_file(tmp_path: Path) -> None:
    index = save(tmp_path / "annotations", document())
    path = save(tmp_path / "r", results(), "results.keypoints.json")
    assert coco.FORMAT.accepts(path)
    assert coco.names_of(path) is None
    for named in (index, tmp_path):
        faces, skipped = read(path, index=named, pictures=False)
        assert skipped == []
        assert [face.id for face in faces] == ["b.jpg", "a.jpg", "a.jpg#2"]
        np.testing.assert_array_equal(faces[0].points, POINTS + 5)
        np.testing.assert_array_equal(faces[0].confidence, [0.9, 0, 1.03])  # a score of 0 does not unmake a point
        assert (faces[0].visible, faces[0].score, str(faces[0].image)) == (None, 0.25, "b.jpg")
    np.testing.assert_array_equal(read(path, index=index, pictures=False, base=1)[0][0].points, POINTS + 4)


def test_results_get_the_ids_of_what_kdtools_wrote(tmp_path: Path) -> None:
    index = tmp_path / "truth.json"
    index.write_bytes(write(block_of_faces(), IBUG68))
    path = save(tmp_path / "r", [{"image_id": k, "keypoints": [1, 2, 0.5] * 68, "score": 1} for k in (1, 1, 2)])
    faces, _ = read(path, index=index, pictures=False)
    assert [face.id for face in faces] == ["set/a.jpg", "set/a.jpg#2", "set/b é.jpg"]


def test_results_of_300w_have_its_ids_and_subsets(tmp_path: Path) -> None:
    content = document()
    content["images"][1]["file_name"] = "x/helen/testset/1_1.jpg"
    index = save(tmp_path, content)
    faces, _ = read(save(tmp_path / "r", results()), index=index, pictures=False)
    assert (faces[0].id, faces[0].subsets) == ("helen/testset/1_1.jpg", {"common"})


def test_index_goes_through_sources_and_is_of_no_use_to_annotations(tmp_path: Path) -> None:
    index, path = save(tmp_path, document()), save(tmp_path / "r", results())
    for source in (path, index):
        wanted = Sources([str(source)], pictures=False, index=str(index))
        assert sorted(face.id for face in read_annotations(wanted, NoSkips())) == ["a.jpg", "a.jpg#2", "b.jpg"]
        assert names_of_points(wanted) == ()


def test_results_without_the_annotation_file_say_what_they_lack(tmp_path: Path) -> None:
    path = save(tmp_path / "r", results())
    other = tmp_path / "truth.h5"
    other.write_bytes(b"\x89HDF\r\n")
    for index, why in (
        (None, "names its pictures by number alone$"),
        (other, "truth.h5 is not a COCO annotation file"),
        (Path("-"), "- is not a COCO annotation file"),
        (path, "a COCO result file, which names no pictures"),
    ):
        with pytest.raises(FileError, match=why) as error:
            read(path, index=index, pictures=False)
        assert "kd-eval --truth ANNOTATION.json" in error.value.hint
    foreign = document()
    for entry in foreign["images"]:
        entry["id"] += 100
    with pytest.raises(DataError, match="none of its 3 results is of an image in"):
        read(path, index=save(tmp_path / "foreign", foreign), pictures=False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"keypoints": [1.0, 2.0, 0.5, 3.0]}, "4 numbers in its keypoints, which are not triples"),
        ({"keypoints": []}, "0 numbers in its keypoints"),
        ({"keypoints": [1.0, None, 0.5]}, "is not a number"),
        ({"image_id": 8}, "no image with its image_id 8 in"),
        ({"image_id": {"id": 9}}, "no image with its image_id"),
    ],
)
def test_a_wrong_result_is_skipped_alone(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    content = results()
    content[0] |= change
    faces, skipped = read(save(tmp_path / "r", content), index=save(tmp_path, document()), pictures=False)
    assert [face.id for face in faces] == ["a.jpg", "a.jpg#2"]
    assert "result 0" in skipped[0][0]
    assert why in skipped[0][1]


@pytest.mark.parametrize(
    "text", ["{}", "[]", "", '[{"imgpath": "a.jpg", "landmarks": []}]', '{"version": 1, "labels": []}']
)
def test_other_json_is_not_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert not coco.FORMAT.accepts(tmp_path / "x.json")
    assert not coco.FORMAT.accepts(tmp_path)


def block_of_faces() -> FaceBlock:
    rng = np.random.default_rng(5)
    points = (200 * rng.random((4, 68, 2))).astype(np.float32)
    points[1, 4] = np.nan
    return FaceBlock(
        ids=["set/a.jpg", "set/a.jpg#2", "set/b é.jpg", "set/c.jpg#3"],
        images=["a.jpg", "a.jpg", 'b "é".jpg', "c.jpg"],
        points=points,
        visible=rng.random((4, 68)) < 0.7,
        confidence=rng.random((4, 68)).astype(np.float32),
        boxes=np.array([[0, 1, 100.5, 90], [3, 4, 60, 70], [0, 0, 9, 9], [np.nan] * 4], np.float32),
        scores=np.array([0.5, 0.25, np.nan, 1], np.float32),
        sizes=np.array([[640, 480], [640, 480], [0, 0], [200, 100]]),
        subsets={"common": np.array([True, False, False, True]), "test": np.array([True, True, False, False])},
    )


def write(block: FaceBlock, scheme: Scheme) -> bytes:
    stream = io.BytesIO()
    assert coco.FORMAT.write is not None
    coco.FORMAT.write(lambda: iter([block]), scheme, stream)
    return stream.getvalue()


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    block = block_of_faces()
    path = tmp_path / "out.json"
    path.write_bytes(write(block, IBUG68))
    assert coco.FORMAT.accepts(path)
    faces, skipped = read(path, pictures=False)
    assert skipped == []
    assert [face.id for face in faces] == block.ids
    assert [str(face.image) for face in faces] == block.images
    for k, face in enumerate(faces):
        np.testing.assert_array_equal(face.points.astype(np.float32), block.points[k])
        known = np.isfinite(block.points[k]).all(axis=1)
        np.testing.assert_array_equal(face.visible[known], block.visible[k][known])
        np.testing.assert_array_equal(face.confidence.astype(np.float32), block.confidence[k])
        assert face.subsets == {name for name, member in block.subsets.items() if member[k]}
    np.testing.assert_allclose(np.stack([face.box for face in faces[:3]]), block.boxes[:3], rtol=1e-6)
    expected = np.concatenate([block.points[3].min(axis=0), block.points[3].max(axis=0)])
    np.testing.assert_allclose(faces[3].box, expected, rtol=1e-6)
    assert [face.score for face in faces] == [0.5, 0.25, None, 1]


def test_unknown_visibility_stays_unknown(tmp_path: Path) -> None:
    block = FaceBlock(["a.jpg"], ["a.jpg"], POINTS[None].astype(np.float32))
    path = tmp_path / "out.json"
    path.write_bytes(write(block, Scheme("three", 3)))
    assert read(path, pictures=False)[0][0].visible is None


def test_written_file_is_as_coco_demands(tmp_path: Path) -> None:
    scheme = Scheme("three", 3, names=("left", "right", "mouth"), outlines=((0, 1), (1, 2, 0)))
    points = np.stack([POINTS, POINTS + 1]).astype(np.float32)
    content = json.loads(write(FaceBlock(["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"], points), scheme))
    assert content["categories"][0]["keypoints"] == ["left", "right", "mouth"]
    assert content["categories"][0]["skeleton"] == [[1, 2], [2, 3], [3, 1]]
    assert content["images"] == [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    first = content["annotations"][0]
    assert first["keypoints"] == [10.5, 20.25, 1, 30, 21, 1, 20, 40.125, 1]
    assert first["bbox"] == [10.5, 20.25, 19.5, 19.875]
    assert first["area"] == 19.5 * 19.875
    assert (first["id"], first["image_id"], first["num_keypoints"], first["iscrowd"]) == (1, 1, 3, 0)


def test_pycocotools_reads_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "out.json"
    path.write_bytes(write(block_of_faces(), IBUG68))
    found = pycocotools.COCO(str(path))
    assert len(found.getImgIds()) == 3
    assert [entry["kd_id"] for entry in found.loadAnns(found.getAnnIds(imgIds=[1]))] == ["set/a.jpg", "set/a.jpg#2"]


@pytest.mark.parametrize(
    ("name", "n_faces", "n_points", "n_visible"),
    [
        ("300w", 2, 68, None),
        ("300wlp", 2, 68, [68, 68]),
        ("aflw", 2, 19, None),
        ("cofw", 2, 29, [23, 20]),
        ("lapa", 2, 106, [106, 106]),
        ("wflw", 4, 98, None),
    ],
)
def test_mmpose_sets(shared_dir: Path, name: str, n_faces: int, n_points: int, n_visible: list[int] | None) -> None:
    source = shared_dir / "data/annotations/mmpose" / name
    assert coco.FORMAT.accepts(source)
    faces, skipped = read(source)
    assert skipped == []
    assert [face.points.shape for face in faces] == [(n_points, 2)] * n_faces
    assert [None if face.visible is None else face.visible.sum() for face in faces] == (n_visible or [None] * n_faces)
    for face in faces:
        height, width = cv2.imread(str(face.image)).shape[:2]
        centre = face.points.mean(axis=0)
        assert (centre > 0).all()
        assert (centre < [width, height]).all()


def test_300w_of_mmpose_holds_the_numbers_of_pts_files(shared_dir: Path) -> None:
    """Hence base 1 for it, against base 0 of the format; its COFW was brought to 0 (docstring)."""
    faces, _ = read(shared_dir / "data/annotations/mmpose/300w")
    table = shared_dir / "data/annotations/300w_csv/bbox_face_landmarks_300w_test.csv"
    with table.open(newline="") as stream:
        rows = {row[0].rsplit("/", 1)[-1]: row[-136:] for row in csv.reader(stream)}
    for face in faces:
        np.testing.assert_allclose(face.points, np.array(rows[face.id], float).reshape(-1, 2), atol=1e-9)


def instances(n_points: int = 3) -> list[dict[str, Any]]:
    """Two faces as MMPose's split_instances gives them: the box is a list in a list."""
    return [
        {
            "keypoints": (POINTS + shift)[:n_points].tolist(),
            "keypoint_scores": [0.5, 0.0, 1.03][:n_points],
            "bbox": [[1.0 + shift, 2.0, 41.0 + shift, 52.0]],
            "bbox_score": 0.75,
        }
        for shift in (0.0, 100.0)
    ]


def test_predictions_of_the_inferencer_one_file_a_picture(tmp_path: Path) -> None:
    folder = save(tmp_path / "predictions", instances(), "b c.json").parent
    save(folder, instances()[:1], "a.json")
    save(folder, [], "nobody.json")
    for pictures in (True, False):  # the pictures of `save` are a.jpg and b.jpg
        faces, skipped = read(folder, pictures=pictures)
        assert [face.id for face in faces] == ["a", "b c", "b c#2"][: 1 if pictures else 3]
        assert len(skipped) == (2 if pictures else 0)
    np.testing.assert_array_equal(faces[2].points, POINTS + 100)
    np.testing.assert_array_equal(faces[2].confidence, [0.5, 0, 1.03])
    np.testing.assert_array_equal(faces[2].box, [101, 2, 141, 52])
    assert faces[2].score == 0.75
    assert coco.names_of(folder) is None
    np.testing.assert_array_equal(read(folder / "a.json", pictures=False, base=1)[0][0].points, POINTS - 1)
    assert read(folder / "a.json")[0][0].image == folder / "a.jpg"


def test_predictions_of_the_demo_and_of_videos(tmp_path: Path) -> None:
    demo = save(tmp_path, {"meta_info": {"dataset_name": "lapa"}, "instance_info": instances()}, "results_a.json")
    assert coco.FORMAT.accepts(demo)
    assert [face.id for face in read(demo, pictures=False)[0]] == ["a", "a#2"]
    video = [{"frame_id": 1, "instances": instances()}, {"frame_id": 2, "instances": []}]
    path = save(tmp_path / "v", {"meta_info": {}, "instance_info": video}, "results_walk.json")
    assert [face.id for face in read(path, pictures=False)[0]] == ["walk/frame_000000", "walk/frame_000000#2"]
    path = save(tmp_path / "v", video, "walk.json")  # the inferencer counts from 0
    assert read(path, pictures=False)[0][0].id == "walk/frame_000001"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"keypoint_scores": [0.5]}, "3 keypoints with 1 keypoint_scores"),
        ({"keypoints": [[1, 2, 3]] * 3}, "not two numbers"),
        ({"bbox": [1, 2]}, "bbox: 2 numbers"),
    ],
)
def test_a_wrong_instance_is_skipped_alone(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    content = instances()
    content[0] |= change
    faces, skipped = read(save(tmp_path, content, "a.json"), pictures=False)
    assert [face.id for face in faces] == ["a"]
    assert "a.json:[0]" in skipped[0][0]
    assert why in skipped[0][1]


@pytest.mark.parametrize("name", ["300w", "300wlp", "aflw", "cofw", "lapa", "wflw"])
def test_results_for_mmpose_sets_stand_with_their_truth(shared_dir: Path, tmp_path: Path, name: str) -> None:
    """Results made of the annotations themselves, in MMPose's form, come out as the annotations do."""
    (source,) = (shared_dir / "data/annotations/mmpose" / name).glob("*.json")
    truth, _ = read(source, pictures=False)
    content = [
        {
            "category_id": 1,
            "image_id": entry["image_id"],
            "keypoints": [0.5 if k % 3 == 2 else number for k, number in enumerate(entry["keypoints"])],
            "score": 0.5,
        }
        for entry in json.loads(source.read_text())["annotations"]
    ]
    path = tmp_path / "results.keypoints.json"
    path.write_text(json.dumps(content, sort_keys=True, indent=4))
    faces, skipped = read(path, index=source, pictures=False)
    assert skipped == []
    assert [face.id for face in faces] == [face.id for face in truth]
    for face, expected in zip(faces, truth, strict=True):
        known = np.isfinite(expected.points).all(axis=1)
        np.testing.assert_array_equal(face.points[known], expected.points[known])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_results_end_in_skips_or_errors(tmp_path: Path, data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from([results(), instances(), {"instance_info": instances()}])))
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    new = data.draw(st.text(st.sampled_from(list('0123456789.,-eE[]{}":nulltruefals')), max_size=8))
    path, index = tmp_path / "x.json", tmp_path / "truth.json"
    path.write_text(text[:at] + new + text[at + length :])
    index.write_text(json.dumps(document()))
    try:
        faces, _ = read(path, index=index, pictures=False)
    except KdError:
        return
    for face in faces:
        assert face.points.shape[1] == 2
        assert not np.isinf(face.points).any()
        assert face.confidence.shape == face.points.shape[:1]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_end_in_skips_or_errors(tmp_path: Path, data: st.DataObject) -> None:
    text = json.dumps(document((2, 1, 0)))
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    new = data.draw(st.text(st.sampled_from(list('0123456789.,-eE[]{}":nulltruefals')), max_size=8))
    path = tmp_path / "x.json"
    path.write_text(text[:at] + new + text[at + length :])
    try:
        faces, _ = read(path, pictures=False)
        coco.names_of(path)
    except KdError:
        return
    for face in faces:
        assert face.points is None or (face.points.ndim == 2 and face.points.shape[1] == 2)
        assert face.points is None or not np.isinf(face.points).any()
        assert face.box is None or np.isfinite(face.box).all()


def test_boxes_alone_become_no_faces_without_points_in_silence(tmp_path: Path) -> None:
    entries = document()
    for entry in entries["annotations"]:
        del entry["keypoints"]
    recorder = Recorder()
    found = read_annotations(Sources([str(save(tmp_path, entries))], pictures=False), recorder)
    assert all(one.points is None for one in found)
    assert any(f"holds no points; there are only boxes, of {len(found)} face" in text for text in recorder.warned)
