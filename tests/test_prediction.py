"""kd-predict's work: faces files, photographs, drawings; with a network whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdtools import inference
from kdtools.detect import CascadeDetector, Found
from kdtools.errors import DataError, FileError
from kdtools.files import Provenance, create_faces, open_faces
from kdtools.formats.csv_points import read_rows
from kdtools.geometry import BoxRelation, CropRule, box_to_source
from kdtools.images import read_image, write_image
from kdtools.importing import Sources, read_annotations
from kdtools.importing.boxes import overlap
from kdtools.inference import predict_photographs
from kdtools.models import ModelCard
from kdtools.prediction import list_photographs, predict_faces_file, predict_images
from kdtools.schemes import IBUG68, Scheme

FIXED = torch.linspace(-0.4, 0.4, 136).view(68, 2)


class FixedNet(nn.Module):
    """Answers with the same points, whatever it sees."""

    def __init__(self, scheme: Scheme = IBUG68) -> None:
        super().__init__()
        self.card = ModelCard("none", 32, scheme, CropRule(0.25), (0, 0, 0), (1, 1, 1))
        self.device = torch.device("cpu")

    def forward(self, images: Tensor) -> Tensor:
        return FIXED[: self.card.scheme.n_points].expand(len(images), -1, -1)


def write_crops(path: Path, n: int = 7) -> np.ndarray:
    """Faces file with boxes of different places and sizes; returns the boxes."""
    boxes = np.array([[10 * k, 5 * k, 10 * k + 20 + k, 5 * k + 20 + k] for k in range(n)], float)
    with create_faces(str(path), False, Provenance("test")) as writer:
        writer.create_images(n, 16, 16)[:] = 100
        writer.put_ids([f"dir/face{k}.jpg" for k in range(n)])
        writer.put("box", boxes)
        writer.put("to_source", box_to_source(boxes, 16, 16))
        writer.put("subset/some", np.arange(n) < 3)
    return boxes


def test_points_of_a_faces_file_come_back_in_source_pixels(tmp_path: Path) -> None:
    boxes = write_crops(tmp_path / "in.h5")
    n = predict_faces_file(
        FixedNet(),  # type: ignore[arg-type]
        str(tmp_path / "in.h5"),
        str(tmp_path / "out.h5"),
        False,
        Provenance("test"),
        draw=str(tmp_path / "drawn"),
        batch=3,
        warn=pytest.fail,
        progress=lambda _: None,
    )
    assert n == 7
    with open_faces(tmp_path / "out.h5") as out:
        assert out.role == "predicted"
        assert out.ids == [f"dir/face{k}.jpg" for k in range(7)]
        side = boxes[:, 2:] - boxes[:, :2]
        # boxes count from edges, points from pixel centres
        expected = boxes[:, None, :2] + (FIXED.numpy() + 0.5) * side[:, None] - 0.5
        np.testing.assert_allclose(out.landmarks_in_source(), expected, atol=1e-3)
        assert out.subsets["some"].sum() == 3
    drawn = sorted(tmp_path.glob("drawn/dir/*.jpg"))
    assert len(drawn) == 7
    assert np.ptp(read_image(drawn[0])) > 50


def test_model_of_another_scheme_is_refused(tmp_path: Path) -> None:
    with create_faces(str(tmp_path / "in.h5"), False, Provenance("test")) as writer:
        writer.create_images(1, 8, 8)[:] = 0
        writer.put_ids(["a"])
        writer.put_landmarks(np.zeros((1, 68, 2)), IBUG68, "hard")
    with pytest.raises(DataError, match="68 points per face, but the model has 5"):
        predict_faces_file(
            FixedNet(Scheme("five", 5)),  # type: ignore[arg-type]
            str(tmp_path / "in.h5"),
            str(tmp_path / "out.h5"),
            False,
            Provenance("test"),
            draw=None,
            batch=3,
            warn=pytest.fail,
            progress=lambda _: None,
        )
    assert not (tmp_path / "out.h5").exists()


def test_drawing_stays_in_its_folder(tmp_path: Path) -> None:
    with create_faces(str(tmp_path / "in.h5"), False, Provenance("test")) as writer:
        writer.create_images(2, 8, 8)[:] = 0
        writer.put_ids(["../../outside.png", "/absolute"])
    (tmp_path / "a" / "b").mkdir(parents=True)
    predict_faces_file(
        FixedNet(),  # type: ignore[arg-type]
        str(tmp_path / "in.h5"),
        str(tmp_path / "out.h5"),
        False,
        Provenance("test"),
        draw=str(tmp_path / "a" / "b"),
        batch=3,
        warn=pytest.fail,
        progress=lambda _: None,
    )
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["absolute.png", "outside.png"]


def test_photographs_are_never_drawn_over(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "a.jpg", np.full((50, 50, 3), 80, np.uint8))
    before = (folder / "a.jpg").read_bytes()
    options: dict[str, Any] = {
        "batch": 4,
        "jobs": 1,
        "refine": 0,
        "detector": CascadeDetector(),
        "skip": lambda *_: None,
        "progress": lambda _: None,
    }
    for force in (False, True):
        with pytest.raises(FileError, match="one of the source images"):
            predict_images(
                FixedNet(),  # type: ignore[arg-type]
                [str(folder)],
                str(tmp_path / "o.h5"),
                force,
                Provenance("test"),
                draw=str(folder),
                **options,
            )
    assert (folder / "a.jpg").read_bytes() == before
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "a.jpg").write_bytes(b"older")
    with pytest.raises(FileError, match="exists already"):
        predict_images(
            FixedNet(),  # type: ignore[arg-type]
            [str(folder)],
            str(tmp_path / "o.h5"),
            False,
            Provenance("test"),
            draw=str(tmp_path / "drawn"),
            **options,
        )


def test_one_absurd_box_does_not_cost_the_other_faces(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((200, 200, 3), 80, np.uint8))
    beside, good = Found(np.array([900.0, 900, 950, 950]), 0.9), Found(np.array([50.0, 50, 150, 150]), 0.8)
    groups = list(
        predict_photographs(
            FixedNet(),  # type: ignore[arg-type]
            [("a", tmp_path / "a.png")],
            FixedDetector([beside, good]),
            map,
            refine=0,
            batch=4,
            device=torch.device("cpu"),
            skip=pytest.fail,
            progress=lambda _: None,
        )
    )
    assert [(face.id, face.score) for face in groups[0]] == [("a", 0.8)]


class FixedDetector:
    """Finds the same faces in every image."""

    name, relation = "fixed", BoxRelation()

    def __init__(self, found: list[Found]) -> None:
        self.found = found

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return self.found


def test_crop_of_a_scheme_that_spans_less_than_the_face_is_taken_again(tmp_path: Path) -> None:
    """The detector frames the whole face; points that reach less far were trained on smaller crops."""
    write_image(tmp_path / "a.png", np.full((200, 200, 3), 80, np.uint8))
    net = FixedNet(Scheme("five", 5))
    framed = np.array([50.0, 50, 150, 150])
    found = list(
        predict_photographs(
            net,  # type: ignore[arg-type]
            [("a", tmp_path / "a.png")],
            FixedDetector([Found(framed, 1.0)]),
            map,
            refine=1,
            batch=4,
            device=torch.device("cpu"),
            skip=pytest.fail,
            progress=lambda _: None,
        )
    )
    first = 25 - 0.5 + 150 * (FIXED[:5].numpy() + 0.5)  # the frame's square with its margin: 25 to 175
    np.testing.assert_allclose(found[0][0].box, net.card.crop.square_around_points(first), atol=1e-4)
    side = found[0][0].box[2] - found[0][0].box[0]
    np.testing.assert_allclose(
        found[0][0].points, found[0][0].box[:2] - 0.5 + side * (FIXED[:5].numpy() + 0.5), atol=1e-4
    )


def test_photographs_and_their_ids(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/deep/b.JPG", "x/.hidden/c.png", "x/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    listed = list_photographs([str(tmp_path / "x")])
    assert [identity for identity, _ in listed] == ["a.png", "deep/b.JPG"]
    assert [i for i, _ in list_photographs([str(tmp_path / "x/deep"), str(tmp_path / "x/a.png")])] == [
        "deep/b.JPG",
        "x/a.png",
    ]
    assert [i for i, _ in list_photographs([str(tmp_path / "x/a.png")])] == ["a.png"]
    with pytest.raises(DataError, match=r"'x/a\.png'"):  # the same image twice
        list_photographs([str(tmp_path / "x"), str(tmp_path / "x/a.png")])
    with pytest.raises(FileError, match="no such"):
        list_photographs([str(tmp_path / "absent")])


def test_ids_are_those_of_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one/train/a.png", "two/train/a.png", "two/train/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path / "one" / "train")
    for sources in (["."], ["a.png"], [".", "../../two/train"], ["../../two/train/b.png", "a.png"]):
        annotations = read_annotations(Sources(sources, "images"), pytest.fail)
        listed = [identity for identity, _ in list_photographs(sources)]
        assert listed == [one.id for one in annotations]
        assert not any(identity.startswith("/") for identity in listed)
    assert listed == ["two/train/b.png", "one/train/a.png"]


@pytest.mark.parametrize("shape", [(2, 5000, 3), (20, 40000, 3), (40000, 20, 3), (1, 1, 3)])
def test_no_face_is_found_in_thin_images(shape: tuple[int, ...]) -> None:
    assert CascadeDetector().find_faces(np.full(shape, 120, np.uint8), "a") == []


def test_what_fails_in_one_photograph_does_not_end_the_run() -> None:
    """Detectors and decoders may run out of memory, and a face's square may be absurd."""
    boxes = {"good": [10.0, 10, 40, 40], "far": [1e6, 1e6, 2e6, 2e6], "huge": [-1e7, -1e7, 1e7, 1e7]}

    class Detector(FixedDetector):
        def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
            assert image_id == names[int(image[0, 0, 0])]
            if image_id == "memory":
                raise MemoryError
            return [Found(np.array(boxes[image_id]), 1.0)]

    names = ["far", "memory", "huge", "locked", "good"]

    def read(path: Path) -> np.ndarray:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return np.full((50, 60, 3), names.index(path.name), np.uint8)

    skipped: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "read_image", read)
        groups = list(
            inference.predict_photographs(
                FixedNet(),  # type: ignore[arg-type]
                [(name, Path(name)) for name in names],
                Detector([]),
                map,
                refine=1,
                batch=2,
                device=torch.device("cpu"),
                skip=skipped.__setitem__,
                progress=lambda _: None,
            )
        )
    assert [face.id for faces in groups for face in faces] == ["good"]
    assert set(skipped) == {"far", "memory", "huge", "locked"}
    assert "out of memory" in skipped["memory"]
    assert "Permission denied" in skipped["locked"]


def test_square_of_the_cascade_is_corrected_downwards() -> None:
    square = CascadeDetector.relation.points_square(np.array([100.0, 100, 200, 200]))
    assert square[2] - square[0] == pytest.approx(square[3] - square[1])
    assert (square[1] + square[3]) / 2 > 155
    assert 80 < square[2] - square[0] < 100


def test_faces_are_found_in_real_photographs(shared_dir: Path, tmp_path: Path) -> None:
    """Boxes from the cascade, brought to the crop rule, agree with those around the annotated points."""
    folder = shared_dir / "data" / "youtube68" / "val"
    truth = {row.image: row.points for row in read_rows(folder / "landmarks.csv", lambda *_: None)}
    names = sorted(truth)[:60:3]
    rule, detector = CropRule(0.25), CascadeDetector()
    overlaps = []
    for name in names:
        wanted = rule.square_around_points(truth[name])
        found = [f.crop_square(rule) for f in detector.find_faces(read_image(folder / "images" / name), name)]
        overlaps.append(max((overlap(wanted, box) for box in found), default=0.0))
    assert np.mean(np.array(overlaps) > 0.6) > 0.7
    assert np.median(overlaps) > 0.75


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
    skipped: list[str] = []
    n = predict_images(
        FixedNet(),  # type: ignore[arg-type]
        [str(folder)],
        str(tmp_path / "out.h5"),
        False,
        Provenance("test"),
        detector=CascadeDetector(),
        refine=0,
        draw=str(tmp_path / "drawn"),
        batch=64,
        jobs=2,
        skip=lambda what, why: skipped.append(what),
        progress=lambda _: None,
    )
    assert {"broken.jpg", "nobody.png"} <= set(skipped)
    with open_faces(tmp_path / "out.h5") as out:
        assert len(out) == n
        assert "zz_two.png" in out.ids
        boxes = out.h5["box"][...]
        expected = boxes[:, None, :2] + (FIXED.numpy() + 0.5) * (boxes[:, 2:] - boxes[:, :2])[:, None] - 0.5
        np.testing.assert_allclose(out.landmarks, expected, atol=0.01)
        photographs = {identity.partition("#")[0] for identity in out.ids}
    assert {p.name for p in (tmp_path / "drawn").iterdir()} == photographs
