"""Detectors, the boxes they give, the crop rule that follows from them, and imports that use them."""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from reporters import NoSkips, Recorder

from kdtools.bundled import finder_file
from kdtools.datasets import crop_boxes as import_boxes
from kdtools.datasets.crop_boxes import choose_boxes
from kdtools.datasets.formats import Annotation
from kdtools.datasets.import_faces import import_faces
from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.cropping import crop_image
from kdtools.images.detection import (
    BoxesFile,
    Found,
    ReducedSearch,
    WholeImage,
    YuNetDetector,
    find_detector,
)
from kdtools.images.detection.detector import largest_first
from kdtools.images.drawing import write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import Scheme
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import BoxRelation, CropRule, measure_relation, points_square
from kdtools.storage.provenance import Provenance, sha256_of

POINTS = np.array([[40.0, 30.0], [79.0, 34.0], [60.0, 62.0]])  # their square is 39.5 .. 79.5 wide, half-open + 0.5


def annotation(name: str, folder: Path, points: np.ndarray | None = POINTS, **fields: object) -> Annotation:
    if not (folder / name).exists():
        write_image(folder / name, np.full((100, 120, 3), 90, np.uint8))
    return Annotation(name, folder / name, points, **fields)  # type: ignore[arg-type]


class FixedDetector:
    name, relation, record = "fixed", BoxRelation(), MappingProxyType({"name": "fixed"})

    def __init__(self, found: dict[str, list[Found]]) -> None:
        self.found = found

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return self.found.get(image_id, [])


def choose(annotations: list[Annotation], box: str, margin: float = 0.25) -> tuple:
    recorder = Recorder()
    chosen, rule, _ = choose_boxes(annotations, box, margin, jobs=2, reporter=recorder)
    return chosen, rule, recorder.said + recorder.warned, [name for name, _ in recorder.skipped]


# ---- the rule
def test_relation_and_its_inverse() -> None:
    relation = BoxRelation(0.05, 0.15, 0.8)
    box = np.array([100.0, 50, 200, 130])  # longer side 100, centre 150, 90
    np.testing.assert_allclose(relation.points_square(box), [115, 65, 195, 145])
    np.testing.assert_allclose(relation.box_around(np.array([115.0, 65, 195, 145])), [100, 40, 200, 140])


def test_relation_is_measured_as_the_median() -> None:
    true = BoxRelation(0.0, 0.125, 0.75)
    boxes = np.array([[0.0, 0, 80, 80], [10, 10, 170, 170], [5, 5, 45, 45], [0, 0, 100, 100]])
    squares = np.array([true.points_square(box) for box in boxes])
    squares[3] += 40  # one face is far off
    assert measure_relation(boxes, squares) == true


@pytest.mark.parametrize(
    "rule", [CropRule(), CropRule(0.3, "detector"), CropRule(0.1, "given", BoxRelation(0, 0.1, 0.9))]
)
def test_crop_rule_through_json(rule: CropRule) -> None:
    assert CropRule.from_json(rule.to_json()) == rule


def test_crop_rules_of_older_and_of_foreign_files() -> None:
    assert CropRule.from_json('{"box": "points", "margin": 0.2}') == CropRule(0.2)
    for text in (
        "",
        "[]",
        '{"margin": "x"}',
        '{"margin": 0.2, "box": "ears"}',
        '{"margin": 0.1, "relation": {"side": 0}}',
        '{"margin": -0.5}',
        '{"margin": -0.4999}',
        '{"margin": NaN}',
    ):
        with pytest.raises(DataError, match="crop rule"):
            CropRule.from_json(text)


def test_a_face_found_is_cropped_as_the_given_boxes_were() -> None:
    """The photograph of a training face, found by a detector that frames the points, gets the training crop."""
    box = np.array([30.0, 10, 94, 74])
    square = points_square(POINTS)
    relation = measure_relation(box[None], square[None])
    rule = CropRule(0.25, "given", relation)
    np.testing.assert_allclose(rule.square_around_face(square), rule.square_around_box(box), atol=0.01)
    np.testing.assert_allclose(rule.square_around_box(box), [14, -6, 110, 90])
    assert np.array_equal(Found(box, 1.0, "given").crop_square(rule), rule.square_around_box(box))
    assert np.array_equal(Found(box, 1.0, "crop").crop_square(rule), box)


# ---- detectors
def test_detectors_by_name(tmp_path: Path) -> None:
    assert isinstance(find_detector("whole"), WholeImage)
    with pytest.raises(UsageError, match="retina"):
        find_detector("retina")
    with pytest.raises(FileError, match=r"absent\.onnx"):
        find_detector(str(tmp_path / "absent.onnx"))
    (tmp_path / "no.onnx").write_bytes(b"not a network")
    with pytest.raises(FileError, match="not a YuNet"):
        find_detector(str(tmp_path / "no.onnx"))
    with pytest.raises(FileError, match=r"absent\.csv"):
        find_detector(str(tmp_path / "absent.csv"))


def test_boxes_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("image,x0,y0,x1,y1,score\nset/a.jpg,1,2,11,22,0.5\nset/a.jpg,30,30,40,40,0.9\nb.jpg,0,0,5,5,1\n")
    boxes, image = BoxesFile(str(path)), np.zeros((50, 50, 3), np.uint8)
    assert [f.score for f in boxes.find_faces(image, "a.jpg")] == [0.5, 0.9]
    assert boxes.find_faces(image, "a.jpg")[0].box.tolist() == [1, 2, 11, 22]
    assert boxes.find_faces(image, "a.jpg")[0].kind == "given"
    assert boxes.unused == ["b.jpg"]
    assert len(boxes.find_faces(image, "deep/down/b.jpg")) == 1
    assert boxes.find_faces(image, "c.jpg") == []
    with pytest.raises(DataError, match=r"both 'deep/down/b\.jpg' and 'other/b\.jpg'"):
        boxes.find_faces(image, "other/b.jpg")
    assert boxes.unused == []


def test_a_search_in_a_reduced_image_is_remarked_on() -> None:
    detector = find_detector("cascade")
    assert isinstance(detector, ReducedSearch)
    detector.find_faces(np.zeros((400, 800, 3), np.uint8), "a.png")
    assert not detector.remark
    for side in (1600, 4000):
        detector.find_faces(np.zeros((100, side, 3), np.uint8), "a.png")
    assert "2 images were reduced for the search, the largest from 4000 to 800 px" in detector.remark
    assert "below about 120 px" in detector.remark  # 24 px at a fifth of the size
    assert "--search-size 4000" in detector.remark


HEADERS = {
    "name,x,y,w,h": "a.png,30,20,60,70",
    "name,bbox_x,bbox_y,bbox_width,bbox_height": "a.png,30,20,60,70",
    "image_id,x_1,y_1,width,height": "a.png,30,20,60,70",
    "image,cx,cy,w,h,score": "a.png,60,55,60,70,0.25",
    "filename,width,height,class,xmin,ymin,xmax,ymax": "a.png,200,150,face,30,20,90,90",
    "ImageID,Source,XMin,XMax,YMin,YMax,Confidence": "a.png,x,0.15,0.45,0.133333333333,0.6,0.25",
    "x1,y1,x2,y2,path": "30,20,90,90,a.png",
    "left,top,right,bottom,file": "30,20,90,90,a.png",
    "name,x,y,x1,y1": "a.png,30,20,90,90",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_says_which_numbers_are_the_box(header: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(f"{header}\n{HEADERS[header]}\n")
    boxes = BoxesFile(str(tmp_path / "boxes.csv"))
    (found,) = boxes.find_faces(np.zeros((150, 200, 3), np.uint8), "a.png")
    np.testing.assert_allclose(found.box, [30, 20, 90, 90], atol=1e-6)
    assert found.score == (0.25 if header.lower().endswith(("score", "confidence")) else 1)
    assert ("shares" in boxes.reading) == ("XMin" in header)


@pytest.mark.parametrize("header", ["name,a,b,c,d", "name,x,y", "name;x;y;w;h", "x0,y0,x1,y1"])
def test_a_header_without_a_box_is_refused(header: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(f"{header}\na.png,1,2,30,40\n")
    with pytest.raises(DataError, match=r"boxes\.csv:1: the header"):
        BoxesFile(str(tmp_path / "boxes.csv"))


def test_without_a_header_boxes_are_corners_and_this_is_said(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("a.png,0.15,0.2,0.45,0.9\n")
    boxes = BoxesFile(str(tmp_path / "boxes.csv"))
    (found,) = boxes.find_faces(np.zeros((100, 200, 3), np.uint8), "a.png")
    np.testing.assert_allclose(found.box, [30, 20, 90, 90])
    assert "x0, y0, x1, y1" in boxes.reading
    assert "shares" in boxes.reading
    (tmp_path / "boxes.csv").write_text("a.png,300,200,60,70\n")
    with pytest.raises(DataError, match="empty") as raised:
        BoxesFile(str(tmp_path / "boxes.csv"))
    assert "name,x,y,w,h" in raised.value.hint


@pytest.mark.parametrize("side", [0.5, 1, 3.9])
def test_crops_of_a_pixel_are_as_absurd_as_huge_ones(side: float) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(DataError, match="in another unit"):
        crop_image(image, np.array([10, 10, 10 + side, 10 + side]), 32)
    assert crop_image(image, np.array([10, 10, 14, 14]), 32)[0].shape == (32, 32, 3)


@pytest.mark.parametrize(
    "line", ["a.jpg,1,2,3", "a.jpg,1,2,3,x", "a.jpg,5,5,1,1", "a.jpg,1,2,3,inf", "a.jpg,1,2,3,4,5,6"]
)
def test_bad_boxes_are_refused_with_their_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "boxes.csv").write_text(f"ok.jpg,0,0,9,9\n{line}\n")
    with pytest.raises(DataError, match=r"boxes\.csv:2"):
        BoxesFile(str(tmp_path / "boxes.csv"))
    (tmp_path / "first.csv").write_text("a.jpg,10,20,3O,40\n")  # a letter O: not a header, for it has numbers
    with pytest.raises(DataError, match=r"first\.csv:1"):
        BoxesFile(str(tmp_path / "first.csv"))
    (tmp_path / "empty.csv").write_text("image,x0,y0,x1,y1\n")
    with pytest.raises(FileError, match="no boxes"):
        BoxesFile(str(tmp_path / "empty.csv"))


def test_yunet_finds_the_annotated_faces_of_real_scenes(shared_dir: Path) -> None:
    detector = YuNetDetector(str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx"))
    from kdtools.datasets.formats.pts import parse_pts

    best = []
    for path in sorted((shared_dir / "data" / "lfpw68" / "train").glob("*.jpg"))[:40]:
        square = points_square(parse_pts(path.with_suffix(".pts").read_text()) - 1)
        boxes = [face.box for face in detector.find_faces(read_image(path), path.name)]
        best.append(overlaps(square[None], np.reshape(boxes, (-1, 4))).max(initial=0.0))
    assert np.median(best) > 0.8
    assert np.mean(np.array(best) > 0.5) > 0.95
    with pytest.raises(FileError, match="dynamic shape"):
        raise_with_hint(shared_dir / "data" / "models" / "yunet_n_dynamic.onnx")


def raise_with_hint(path: Path) -> None:
    try:
        YuNetDetector(str(path))
    except FileError as error:
        raise FileError(error.hint) from error


def test_yunet_needs_a_picture_of_some_size(shared_dir: Path) -> None:
    detector = YuNetDetector(str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx"))
    for shape in ((1, 1, 3), (3, 5000, 3), (40, 40, 3), (2000, 33, 3)):
        assert detector.find_faces(np.full(shape, 120, np.uint8), "a") == []


# ---- size of the search
def test_the_search_size_is_the_users(shared_dir: Path) -> None:
    image = np.zeros((100, 4000, 3), np.uint8)
    yunet = str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx")
    for name in ("finder", "cascade", yunet):
        detector = find_detector(name, search_size=500)
        assert isinstance(detector, ReducedSearch)
        assert detector.record["search_size"] == 500
        detector.find_faces(image, "a.png")
        assert "from 4000 to 500 px" in detector.remark
        assert (detector.reduction_of(100, 4000), detector.reduction_of(400, 300)) == (8, 1)
        assert [detector.reduction_of(side, 100) for side in (998, 999, 4001)] == [1, 2, 8]
        assert "search_size" not in find_detector(name).record


def test_where_nothing_is_searched_there_is_no_search_size(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("a.png,10,10,50,50\n")
    for name in ("whole", str(tmp_path / "boxes.csv")):
        with pytest.raises(UsageError, match="--search-size is for detectors that search the image"):
            find_detector(name, search_size=500)
    for box in ("points", "given"):
        with pytest.raises(UsageError, match=f"which --detector {box} does not"):
            choose_boxes([annotation("a.png", tmp_path)], box, 0.2, search_size=500, jobs=1)
    for options in ({"search_size": 500}, {"min_score": 0.5}):  # unlike kd-predict, whose auto searches
        with pytest.raises(UsageError, match="without --detector, kd-import does not search"):
            choose_boxes([annotation("a.png", tmp_path)], "auto", 0.2, jobs=1, **options)


# ---- order and least score
def test_boxes_come_by_their_longer_sides_and_then_by_their_corners() -> None:
    boxes = np.array([[5.0, 5, 15, 9], [0, 0, 4, 12], [3, 0, 13, 1], [3, 0, 13, 1]])
    found = largest_first(boxes, np.array([0.1, 0.2, 0.4, 0.3]))
    assert [score for _, score in found] == [0.2, 0.4, 0.3, 0.1]
    assert largest_first(np.empty((0, 4)), np.empty(0)) == []


def test_only_faces_of_the_least_score_are_found(tmp_path: Path, shared_dir: Path) -> None:
    """With each detector, what a higher score threshold leaves is what had such scores before."""
    (tmp_path / "boxes.csv").write_text("name,x,y,w,h,score\n16.jpg,10,10,30,30,0.4\n16.jpg,50,50,20,20,0.8\n")
    image = read_image(shared_dir / "data" / "scenes" / "group" / "16.jpg")
    yunet = str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx")
    for name, low, high in ("finder", 0.5, 0.7), (yunet, 0.5, 0.94), ("cascade", None, 57.0), (BOXES, 0.1, 0.5):
        name = name.replace(BOXES, str(tmp_path / "boxes.csv"))
        every, sure = (
            [(one.score, one.box.tolist()) for one in find_detector(name, least).find_faces(image, "16.jpg")]
            for least in (low, high)
        )
        assert sure == [one for one in every if one[0] >= high], name
        assert 0 < len(sure) < len(every), name


BOXES = "boxes.csv"


@pytest.mark.parametrize("min_score", [-0.1, 0, 1.01, math.nan, math.inf])
@pytest.mark.parametrize("name", ["finder", "cascade"])
def test_a_least_score_is_a_score(name: str, min_score: float) -> None:
    if name == "cascade" and math.isfinite(min_score):
        assert find_detector(name, min_score).record["min_score"] == min_score
    else:
        with pytest.raises(UsageError, match="--min-score"):
            find_detector(name, min_score)


def test_where_there_are_no_scores_there_is_no_least_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which --detector whole does not give"):
        find_detector("whole", 0.5)
    path = tmp_path / "boxes.csv"
    for text in ("a.png,10,10,50,50\n", "name,x,y,w,h,score\na.png,1,1,9,9,0.5\nb.png,1,1,9,9,\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"boxes\.csv: holds no scores"):
            find_detector(str(path), 0.5)
    for box in ("points", "given", "whole"):
        with pytest.raises(UsageError, match=f"--detector {box} does not give"):
            choose_boxes([annotation("a.png", tmp_path)], box, 0.2, min_score=0.5, jobs=1)


def test_detectors_record_what_they_are(tmp_path: Path, shared_dir: Path) -> None:
    finder_path = finder_file()
    assert finder_path is not None
    assert find_detector("finder").record == {"name": "finder", "sha256": sha256_of(finder_path), "min_score": 0.55}
    cascade = find_detector("cascade").record
    assert (cascade["name"], len(cascade["sha256"]), "min_score" in cascade) == ("cascade", 64, False)
    yunet = str(shared_dir / "data" / "models" / "yunet_n_320_320.onnx")
    expected = {"name": "yunet", "file": yunet, "sha256": sha256_of(yunet), "min_score": 0.7}
    assert find_detector(yunet, 0.7).record == expected
    (tmp_path / "boxes.csv").write_text("a.png,10,10,50,50\n")
    path = str(tmp_path / "boxes.csv")
    assert find_detector(path).record == {"name": "boxes", "file": path, "sha256": sha256_of(path)}
    assert find_detector("whole").record == {"name": "whole"}


# ---- which box an import crops around
def test_boxes_given_with_the_annotation(tmp_path: Path) -> None:
    box = np.array([30.0, 10, 94, 74])
    faces = [
        annotation("a.png", tmp_path, box=box),
        annotation("b.png", tmp_path),
        annotation("c.png", tmp_path, box=box),
    ]
    chosen, rule, _, skipped = choose(faces, "given")
    assert skipped == ["b.png"]
    assert rule.box == "given"
    np.testing.assert_allclose(rule.relation.points_square(box), points_square(POINTS), atol=0.01)
    with create_faces(str(tmp_path / "out.h5"), False, Provenance("test")) as writer:
        import_faces(
            chosen,
            writer,
            crop=rule,
            size=32,
            jobs=1,
            scheme=Scheme("three", 3),
            subsets=[],
            reporter=NoSkips(),
        )
    with open_faces(tmp_path / "out.h5") as out:
        np.testing.assert_allclose(out.h5["box"][...], [[14, -6, 110, 90]] * 2)
        np.testing.assert_allclose(out.points()[0], POINTS, atol=1e-4)
        assert out.crop == rule
    with pytest.raises(UsageError, match="no boxes"):
        choose([faces[1]], "given")
    with pytest.raises(UsageError, match="retina"):
        choose([faces[1]], "retina")


def test_boxes_of_a_detector_belong_to_the_faces_they_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    square = points_square(POINTS)
    near, far = Found(square + 2, 0.9), Found(np.array([0.0, 70, 20, 90]), 0.8)
    detector = FixedDetector({"a.png": [far, near], "b.png": [far]})
    monkeypatch.setattr(import_boxes, "find_detector", lambda *_, **__: detector)
    faces = [annotation(name, tmp_path) for name in ("b.png", "a.png")]
    chosen, rule, told, skipped = choose(faces, "cascade")
    assert [one.id for one in chosen] == ["b.png", "a.png"]
    assert rule == CropRule(0.25, "detector")
    np.testing.assert_allclose(chosen[0].box, square)  # missed: cropped around its points
    np.testing.assert_allclose(chosen[1].box, square + 2)
    assert skipped == []
    assert "1 of 2" in told[0]
    assert "b.png" in told[0]


def test_images_without_points_become_the_faces_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Found(np.array([10.0, 10, 50, 50]), 0.9), Found(np.array([60.0, 20, 90, 50]), 0.8)]
    monkeypatch.setattr(import_boxes, "find_detector", lambda *_, **__: FixedDetector({"a.png": found}))
    faces = [annotation(name, tmp_path, None) for name in ("a.png", "b.png")]
    chosen, _, _, skipped = choose(faces, "cascade")
    assert [(one.id, one.score) for one in chosen] == [("a.png", 0.9), ("a.png#2", 0.8)]
    assert skipped == ["b.png"]
    with pytest.raises(UsageError, match="no points"):
        choose(faces, "points")
    assert choose(faces, "auto")[1] is None


def test_boxes_of_a_list_for_an_import(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("a.png,30,10,94,74\nz.png,0,0,9,9\n")
    chosen, rule, told, _ = choose(
        [annotation("a.png", tmp_path), annotation("b.png", tmp_path)], str(tmp_path / "boxes.csv")
    )
    assert rule.box == "given"
    assert chosen[0].box.tolist() == [30, 10, 94, 74]
    np.testing.assert_allclose(chosen[1].box, chosen[0].box, atol=0.01)  # not listed: the box its points would have
    assert any("z.png" in text for text in told)
    (tmp_path / "far.csv").write_text("a.png,1,1,5,5\n")
    with pytest.raises(DataError, match="none of the boxes"):
        choose([annotation("a.png", tmp_path)], str(tmp_path / "far.csv"))
