"""kd-predict's work: faces files, photographs, drawings; with an engine whose answers are known."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import plain_images, write_faces
from reporters import Recorder, Strict

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.detection import CascadeDetector, Detector, Found, find_detector
from kdtools.images.drawing import write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import IBUG68, Scheme
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import BoxRelation, CropRule
from kdtools.landmarks.geometry import box_to_source
from kdtools.model.card import ModelCard
from kdtools.prediction.inputs import Photograph, Photographs
from kdtools.prediction.photograph_work import PhotographWork, Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_faces import predict_faces
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.storage.provenance import Provenance

FIXED = np.linspace(-0.4, 0.4, 136, dtype=np.float32).reshape(68, 2)
SURE = np.linspace(0, 1, 68, dtype=np.float32)


def predict_file(run: Run, path: Path, draw: str | None = None) -> int:
    with open_faces(path) as faces:
        return predict_faces(run, faces, str(path), draw=draw)


class FixedEngine:
    """Answers with the same points, whatever it sees, and notes how many crops it was given at a time."""

    threads, batch, name, has_confidence = 1, 4, "fixed", True

    def __init__(self, scheme: Scheme = IBUG68) -> None:
        self.card = ModelCard("none", 32, scheme, CropRule(0.25), (0, 0, 0), (1, 1, 1))
        self.batches: list[int] = []

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert crops.shape[1:] == (32, 32, 3)
        assert crops.dtype == np.uint8
        self.batches.append(len(crops))
        n_points = self.card.scheme.n_points
        points = np.broadcast_to(FIXED[:n_points], (len(crops), n_points, 2))
        return points, np.broadcast_to(SURE[:n_points], (len(crops), n_points))


class FixedDetector:
    """Finds the same faces in every image."""

    name, relation = "fixed", BoxRelation()

    def __init__(self, found: list[Found]) -> None:
        self.found = found

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return self.found


def run_to(output: Path, engine: FixedEngine | None = None, **options: Any) -> Run:
    return Run(engine or FixedEngine(), str(output), options.pop("force", False), Provenance("test"), **options)


def predict_group(
    detector: Detector, images: dict[str, np.ndarray], engine: FixedEngine | None = None, **search: Any
) -> Any:
    """The outcome of a group of images that are at hand."""
    work = PhotographWork(engine or FixedEngine(), Search(detector, **search), None)
    return work([Photograph(name, name, lambda image=image: image) for name, image in images.items()])


def write_crops(path: Path, n: int = 7, size: int = 16) -> np.ndarray:
    """Faces file with boxes of different places and sizes; returns the boxes."""
    boxes = np.array([[10 * k, 5 * k, 10 * k + 20 + k, 5 * k + 20 + k] for k in range(n)], float)
    write_faces(
        path,
        ids=[f"dir/face{k}.jpg" for k in range(n)],
        images=plain_images(n, size, 100),
        box=boxes,
        to_source=box_to_source(boxes, size, size),
        subset_some=np.arange(n) < 3,
    )
    return boxes


# ---- faces files
@pytest.mark.parametrize("size", [16, 32, 100])
def test_points_of_a_faces_file_come_back_in_source_pixels(size: int, tmp_path: Path) -> None:
    boxes = write_crops(tmp_path / "in.h5", size=size)
    run = run_to(tmp_path / "out.h5", reporter=Strict())
    assert predict_file(run, tmp_path / "in.h5", draw=str(tmp_path / "drawn")) == 7
    with open_faces(tmp_path / "out.h5") as out:
        assert out.role == "predicted"
        assert out.ids == [f"dir/face{k}.jpg" for k in range(7)]
        side = boxes[:, 2:] - boxes[:, :2]
        # boxes count from edges, points from pixel centres
        expected = boxes[:, None, :2] + (FIXED + 0.5) * side[:, None] - 0.5
        np.testing.assert_allclose(out.points(), expected, atol=1e-3)
        np.testing.assert_array_equal(out.h5["confidence"], np.tile(SURE, (7, 1)))
        np.testing.assert_allclose(out.h5["box"], boxes)
        assert out.subsets["some"].sum() == 3
        assert str(tmp_path / "in.h5") in out.h5.attrs["inputs"]
    drawn = sorted(tmp_path.glob("drawn/dir/*.jpg"))
    assert len(drawn) == 7
    assert np.ptp(read_image(drawn[0])) > 50


def test_model_of_another_scheme_is_refused(tmp_path: Path) -> None:
    write_faces(tmp_path / "in.h5", np.zeros((1, 68, 2)), images=plain_images(1, 8))
    with pytest.raises(DataError, match="68 points per face, but the model has 5"):
        predict_file(run_to(tmp_path / "out.h5", FixedEngine(Scheme("five", 5))), tmp_path / "in.h5")
    assert not (tmp_path / "out.h5").exists()


def test_ids_that_stand_twice_are_refused(tmp_path: Path) -> None:
    with create_faces(str(tmp_path / "in.h5"), False, Provenance("test")) as writer:
        writer.create_images(3, 8, 8)[:] = np.full((3, 8, 8, 3), 0, np.uint8)
        writer.put("id", ["a", "b", "a"])
    with pytest.raises(DataError, match="the same id: 'a'"):
        predict_file(run_to(tmp_path / "out.h5"), tmp_path / "in.h5")


def test_drawing_stays_in_its_folder(tmp_path: Path) -> None:
    write_faces(tmp_path / "in.h5", ids=["../../outside.png", "/absolute"], images=plain_images(2, 8))
    (tmp_path / "a" / "b").mkdir(parents=True)
    predict_file(run_to(tmp_path / "out.h5"), tmp_path / "in.h5", draw=str(tmp_path / "a" / "b"))
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["absolute.png", "outside.png"]


def test_batches_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    write_crops(tmp_path / "in.h5", n=45)
    sizes = []
    for jobs in (1, 3):
        engine = FixedEngine()
        predict_file(run_to(tmp_path / f"out{jobs}.h5", engine, jobs=jobs), tmp_path / "in.h5")
        sizes.append(sorted(engine.batches))
    assert sizes[0] == sizes[1] == [1] * 9 + [2] * 8 + [4] * 5  # 8 of one, 8 of two, then fours, and one is left
    assert (tmp_path / "out1.h5").read_bytes() == (tmp_path / "out3.h5").read_bytes()


# ---- photographs
def test_photographs_are_never_drawn_over(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "a.jpg", np.full((50, 50, 3), 80, np.uint8))
    before = (folder / "a.jpg").read_bytes()
    search = Search.named("whole", None, None)
    for force in (False, True):
        with pytest.raises(UsageError, match="an input, so the next run"):
            predict_photographs(
                run_to(tmp_path / "o.h5", force=force), Photographs([str(folder)]), search, draw=str(folder)
            )
        photograph = Photographs([str(folder / "a.jpg")])  # whose folder is none of the inputs
        with pytest.raises(FileError, match="one of the source images"):
            predict_photographs(run_to(tmp_path / "o.h5", force=force), photograph, search, draw=str(folder))
    assert (folder / "a.jpg").read_bytes() == before
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "a.jpg").write_bytes(b"older")
    with pytest.raises(FileError, match="exists already"):
        predict_photographs(run_to(tmp_path / "o.h5"), Photographs([str(folder)]), search, draw=str(drawn))
    assert not (tmp_path / "o.h5").exists()
    predict_photographs(run_to(tmp_path / "o.h5", force=True), Photographs([str(folder)]), search, draw=str(drawn))
    assert np.ptp(read_image(drawn / "a.jpg")) > 50


def test_a_drawing_that_cannot_be_written_costs_no_points(tmp_path: Path) -> None:
    """A stream's names are not known before their turn."""
    paths = [tmp_path / "in" / f"{name}.png" for name in "abc"]
    paths[0].parent.mkdir()
    for path in paths:
        write_image(path, np.full((50, 50, 3), 80, np.uint8))
    drawn = tmp_path / "drawn" / str(paths[1]).lstrip("/")
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"older")
    recorder = Recorder()
    run = run_to(tmp_path / "o.h5", reporter=recorder)
    with pytest.MonkeyPatch.context() as patch:
        names = "\n".join(map(str, paths)).encode()
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(names))))  # type: ignore[arg-type]
        inputs = Photographs(["-"], listed=True)
        predict_photographs(run, inputs, Search.named("whole", None, None), draw=str(tmp_path / "drawn"))
    assert [Path(name).name for name, _ in recorder.skipped] == ["b.png"]
    assert "not drawn: " in recorder.skipped[0][1]
    assert "exists already" in recorder.skipped[0][1]
    assert drawn.read_bytes() == b"older"
    assert sorted(path.name for path in drawn.parent.iterdir()) == ["a.png", "b.png", "c.png"]
    with open_faces(tmp_path / "o.h5") as out:
        assert len(out) == 3


def test_an_input_whose_digest_cannot_be_taken_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not keep root from reading, so what takes the digest is told to fail."""

    def fails(name: str) -> str:
        if name.endswith("b.png"):
            raise PermissionError(13, "Permission denied", name)
        return "12"

    monkeypatch.setattr("kdtools.prediction.pipeline.sha256_of", fails)
    names = [str(tmp_path / f"{name}.png") for name in "ab"]
    for name in names:
        write_image(Path(name), np.full((50, 50, 3), 80, np.uint8))
    recorder = Recorder()
    run = run_to(tmp_path / "o.h5", reporter=recorder)
    assert predict_photographs(run, Photographs(names), Search.named("whole", None, None)) == 2
    assert recorder.warned == [f"{names[1]}: its SHA-256 cannot be taken: Permission denied"]
    with open_faces(tmp_path / "o.h5") as out:
        assert json.loads(out.h5.attrs["inputs"]) == {names[0]: "12"}


def test_one_absurd_box_does_not_cost_the_other_faces() -> None:
    beside, good = Found(np.array([900.0, 900, 950, 950]), 0.9), Found(np.array([50.0, 50, 150, 150]), 0.8)
    outcome = predict_group(FixedDetector([beside, good]), {"a": np.full((200, 200, 3), 80, np.uint8)}, refine=0)
    assert outcome.columns["id"] == ["a"]
    assert outcome.columns["score"].tolist() == [np.float32(0.8)]
    assert outcome.skipped == []


def test_crop_of_a_scheme_that_spans_less_than_the_face_is_taken_again() -> None:
    """The detector frames the whole face; points that reach less far were trained on smaller crops."""
    engine = FixedEngine(Scheme("five", 5))
    framed = Found(np.array([50.0, 50, 150, 150]), 1.0)
    found = predict_group(FixedDetector([framed]), {"a": np.full((200, 200, 3), 80, np.uint8)}, engine).columns
    first = 25 - 0.5 + 150 * (FIXED[:5] + 0.5)  # the frame's square with its margin: 25 to 175
    box = found["box"][0]
    np.testing.assert_allclose(box, engine.card.crop.square_around_points(first), atol=1e-4)
    expected = box[:2] - 0.5 + (box[2] - box[0]) * (FIXED[:5] + 0.5)
    np.testing.assert_allclose(found["landmarks"][0], expected, atol=1e-4)


def test_faces_of_several_photographs_share_a_batch_and_keep_their_places() -> None:
    boxes = [Found(np.array([10.0 * k, 10, 10 * k + 40, 50]), 1.0 - k / 10) for k in range(3)]
    images = {name: np.full((100, 100, 3), 80, np.uint8) for name in ("a", "b", "c")}
    engine = FixedEngine()
    outcome = predict_group(FixedDetector(boxes), images, engine, refine=0)
    assert engine.batches == [4, 4, 1]
    assert outcome.columns["id"] == ["a", "a#2", "a#3", "b", "b#2", "b#3", "c", "c#2", "c#3"]
    np.testing.assert_allclose(outcome.columns["landmarks"][:3], outcome.columns["landmarks"][3:6])
    assert outcome.columns["score"].tolist() == pytest.approx([1.0, 0.9, 0.8] * 3)
    np.testing.assert_array_equal(outcome.columns["confidence"], np.tile(SURE, (9, 1)))
    nobody = predict_group(FixedDetector([]), images, engine)
    assert nobody.columns["confidence"].shape == (0, 68)


@pytest.mark.parametrize(("most", "n"), [(None, 3), (1, 1), (2, 2), (9, 3)])
def test_the_largest_faces_are_taken(most: int | None, n: int, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((200, 200, 3), 80, np.uint8))
    (tmp_path / "boxes.csv").write_text("".join(f"a.png,{k},0,{k + 100 - k},{90 - k}\n" for k in range(3)))
    search = Search.named(str(tmp_path / "boxes.csv"), most, 0)
    assert predict_photographs(run_to(tmp_path / "o.h5"), Photographs([str(tmp_path / "a.png")]), search) == n


@pytest.mark.parametrize("detector", ["points", "given"])
def test_boxes_of_annotations_are_refused(detector: str) -> None:
    with pytest.raises(UsageError, match=f"--detector {detector} needs annotations"):
        Search.named(detector, None, None)


def test_whole_images_are_not_cropped_again() -> None:
    assert (Search.named("whole", None, None).refine, Search.named("whole", None, 2).refine) == (0, 2)
    assert Search.named("auto", None, None).refine == 1


def test_a_worker_holds_few_large_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network runs before the group is over where its photographs take much room."""
    monkeypatch.setattr("kdtools.prediction.photograph_work._HELD_BYTES", 60_000)
    images = {name: np.full((100, 100, 3), 80, np.uint8) for name in "abcdefg"}  # 30,000 bytes each
    engine = FixedEngine()
    outcome = predict_group(FixedDetector([Found(np.array([10.0, 10, 90, 90]), 1.0)]), images, engine, refine=0)
    assert engine.batches == [3, 3, 1]
    assert outcome.columns["id"] == list("abcdefg")
    assert len(outcome.latencies) == 7


@pytest.mark.parametrize("shape", [(2, 5000, 3), (20, 40000, 3), (40000, 20, 3), (1, 1, 3)])
def test_no_face_is_found_in_thin_images(shape: tuple[int, ...]) -> None:
    assert CascadeDetector().find_faces(np.full(shape, 120, np.uint8), "a") == []


def test_what_fails_in_one_photograph_does_not_end_the_run() -> None:
    """Detectors and decoders may run out of memory, and a face's square may be absurd."""
    boxes = {"good": [10.0, 10, 40, 40], "far": [1e6, 1e6, 2e6, 2e6], "huge": [-1e7, -1e7, 1e7, 1e7]}

    class Failing(FixedDetector):
        def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
            if image_id == "memory":
                raise MemoryError
            return [Found(np.array(boxes[image_id]), 1.0)]

    def locked() -> bytes:
        raise PermissionError(13, "Permission denied", "locked")

    image = np.full((50, 60, 3), 80, np.uint8)
    group = [Photograph(name, name, lambda: image) for name in ("far", "memory", "huge")]
    group += [Photograph("locked", "locked", locked), Photograph("cut", "cut", lambda: b"\xff\xd8 cut off")]
    group += [Photograph("good", "good", lambda: image)]
    outcome = PhotographWork(FixedEngine(), Search(Failing([])), None)(group)
    assert outcome.columns["id"] == ["good"]
    assert outcome.stamps == [(name, -1, -1, -1, -1) for name in ("far", "memory", "huge", "locked", "cut", "good")]
    skipped = dict(outcome.skipped)
    assert set(skipped) == {"far", "memory", "huge", "locked", "cut"}
    assert "out of memory" in skipped["memory"]
    assert "Permission denied" in skipped["locked"]
    assert "cut off" in skipped["cut"]


def test_square_of_the_cascade_is_corrected_downwards() -> None:
    square = CascadeDetector.relation.points_square(np.array([100.0, 100, 200, 200]))
    assert square[2] - square[0] == pytest.approx(square[3] - square[1])
    assert (square[1] + square[3]) / 2 > 155
    assert 80 < square[2] - square[0] < 100


def test_faces_are_found_in_real_photographs(shared_dir: Path, tmp_path: Path) -> None:
    """Boxes from the cascade, brought to the crop rule, agree with those around the annotated points."""
    folder = shared_dir / "data" / "youtube68" / "val"
    annotations = read_annotations(Sources([str(folder / "landmarks.csv")], "csv", pictures=False), Strict())
    truth = {annotation.id: annotation.points for annotation in annotations if "#" not in annotation.id}
    names = sorted(truth)[:60:3]
    rule, detector = CropRule(0.25), CascadeDetector()
    best = []
    for name in names:
        wanted = rule.square_around_points(truth[name])
        found = [f.crop_square(rule) for f in detector.find_faces(read_image(folder / "images" / name), name)]
        best.append(overlaps(wanted[None], np.reshape(found, (-1, 4))).max(initial=0.0))
    assert np.mean(np.array(best) > 0.6) > 0.7
    assert np.median(best) > 0.75


def test_folder_of_photographs_with_a_broken_and_an_empty_one(shared_dir: Path, tmp_path: Path) -> None:
    source = shared_dir / "data" / "youtube68" / "val" / "images"
    folder = tmp_path / "photos"
    folder.mkdir()
    names = sorted(p.name for p in source.iterdir())[:6]
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
    two = [read_image(source / name) for name in names[:2]]
    height = min(image.shape[0] for image in two)
    write_image(folder / "zz_two.png", np.concatenate([image[:height] for image in two], axis=1))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 cut")
    write_image(folder / "nobody.png", np.full((100, 100, 3), 120, np.uint8))
    recorder = Recorder()
    n = predict_photographs(
        run_to(tmp_path / "out.h5", jobs=2, reporter=recorder),
        Photographs([str(folder)]),
        Search(CascadeDetector(), refine=0),
        draw=str(tmp_path / "drawn"),
    )
    assert "broken.jpg" in {name for name, _ in recorder.skipped}
    assert any("no face found in" in text and "nobody.png" in text for text in recorder.said)
    with open_faces(tmp_path / "out.h5") as out:
        assert len(out) == n
        assert "zz_two.png" in out.ids
        check_points(out)
        photographs = {identity.partition("#")[0] for identity in out.ids}
    assert {p.name for p in (tmp_path / "drawn").iterdir()} == photographs


def check_points(out: FacesFile) -> None:
    boxes = out.h5["box"][...]
    expected = boxes[:, None, :2] + (FIXED + 0.5) * (boxes[:, 2:] - boxes[:, :2])[:, None] - 0.5
    np.testing.assert_allclose(out.landmarks, expected, atol=0.01)


def test_a_photograph_without_a_face_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for k in range(25):
        write_image(tmp_path / "in" / f"{k:02d}.png", np.full((50, 50, 3), 80, np.uint8))
    reporter = Recorder()
    run = run_to(tmp_path / "o.h5", reporter=reporter)
    photographs = Photographs([str(tmp_path / "in")])
    assert predict_photographs(run, photographs, Search(FixedDetector([]))) == 0
    names = ", ".join(f"{k:02d}.png" for k in range(20))
    assert f"no face found in 25 of 25 photographs: {names}, ..." in reporter.said
    assert reporter.skipped == []
    with open_faces(tmp_path / "o.h5") as out:
        assert len(out) == 0
        assert out.n_points == FixedEngine().card.scheme.n_points


def test_nobody_in_any_image_is_an_error_and_no_image_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", np.full((50, 50, 3), 80, np.uint8))
    with pytest.raises(DataError, match="no face found in 1 image"):
        predict_photographs(
            run_to(tmp_path / "o.h5", require_face=True), Photographs([str(tmp_path / "in")]), Search(FixedDetector([]))
        )
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(FileError, match="no images in there"):
        predict_photographs(run_to(tmp_path / "o.h5"), Photographs([str(tmp_path / "in")]), Search(FixedDetector([])))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_list_that_comes_through_a_pipe_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `--list <(find ...)`: nothing but the work itself may take names out of it."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", np.full((32, 32, 3), 90, np.uint8))
    os.mkfifo("names")
    writer = threading.Thread(target=Path("names").write_text, args=("a.png\n",), daemon=True)
    writer.start()
    photographs = Photographs(["names"], listed=True)
    assert predict_photographs(run_to(tmp_path / "out.h5"), photographs, Search(find_detector("whole"))) == 1
    with pytest.raises(UsageError, match="the pipe names can be read only once"):
        photographs.count()
