"""labelme, Label Studio, VGG Image Annotator and tpsDig; what is written for the first two (CVAT: test_format_cvat)."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from format_reading import draw_pictures, read_all, written_blocks

from kdtools.datasets.formats import find_format, labelme, labelstudio, tps, via
from kdtools.datasets.formats.shared.annotation import Annotation
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.point_scheme import settle_scheme
from kdtools.errors import DataError, KdError
from kdtools.landmarks import Scheme

NAMES = ["left_eye", "right_eye", "nose", "mouth_l", "mouth_r"]
ORDER = [0, 3, 4, 2, 1]  # the names above in the order of the alphabet
FIVE = np.array([[220.0, 200], [420, 201], [320, 260], [260, 330], [380, 331]])
BOX = (180.0, 150.0, 460.0, 400.0)
PICTURES = [f"face_{k:02d}.png" for k in range(3)]


def reads(
    form: Format, source: Path, points: Any, *, skipped: list[str] | None = None, **options: Any
) -> list[Annotation]:
    """The annotations, whose points must be these."""
    found, skips = read_all(form, source, **{"pictures": False, **options})
    assert [why for _, why in skips] == (skipped or [])
    np.testing.assert_allclose(np.stack([one.points for one in found]), points, rtol=0, atol=1e-9)
    return found


def put(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


# ---- labelme
def lm_shape(label: Any, points: Any, kind: str | None = "point", **more: Any) -> dict[str, Any]:
    shape = {"label": label, "points": points, "group_id": None, "description": "", "flags": {}, **more}
    return shape if kind is None else {**shape, "shape_type": kind}


def lm_face(points: np.ndarray, seed: int = 0, **more: Any) -> list[dict[str, Any]]:
    shapes = [lm_shape(name, [list(place)], **more) for name, place in zip(NAMES, points.tolist(), strict=True)]
    random.Random(seed).shuffle(shapes)
    return shapes


def lm_file(name: str, shapes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"version": "5.3.1", "flags": {}, "shapes": shapes, "imagePath": name, "imageData": None,
            "imageHeight": 480, "imageWidth": 640, **more}  # fmt: skip


def save_labelme(folder: Path) -> Path:
    draw_pictures(folder, PICTURES, 640, 480)
    for k, name in enumerate(PICTURES):
        put(folder / f"face_{k:02d}.json", lm_file(name, lm_face(FIVE + k, seed=k)))
    return folder


def test_labelme_folder(tmp_path: Path) -> None:
    source = save_labelme(tmp_path)
    found = reads(labelme.FORMAT, source, [(FIVE + k)[ORDER] for k in range(3)], pictures=True)
    assert [one.id for one in found] == PICTURES
    assert labelme.names_of(source) == [NAMES[k] for k in ORDER]


def test_labelme_groups_rectangles_flags_and_folders(tmp_path: Path) -> None:
    far = FIVE + [0, 300]
    shapes = [*lm_face(FIVE, 1, group_id=0), *lm_face(far, 2, group_id=7)]
    shapes.append(lm_shape("face", [[460, 400], [180, 150]], "rectangle", group_id=0))
    random.Random(3).shuffle(shapes)
    put(tmp_path / "a" / "one.json", lm_file("..\\images\\a.jpg", shapes, imageHeight=2000, imageWidth=2000))
    hidden = [*lm_face(FIVE), lm_shape("x", [[1, 1], [2, 2], [3, 1]], "polygon"), lm_shape("y", [[1, 1], [2, 2]], None)]
    hidden[0]["flags"] = {"occluded": True}
    put(tmp_path / "b.json", lm_file("b.jpg", hidden))
    said: list[str] = []
    found, skipped = read_all(labelme.FORMAT, tmp_path, pictures=False, say=said.append)
    assert skipped == []
    assert said == [f"{tmp_path / 'b.json'}: a shape of the kind 'polygon' is no point"] * 2
    assert sorted(one.points.tolist() for one in found[:2] if one.points is not None) == sorted(
        [FIVE[ORDER].tolist(), far[ORDER].tolist()]
    )
    assert [one.id for one in found] == ["a/a.jpg", "a/a.jpg#2", "b.jpg"]
    boxes = {tuple(one.points[0]): one.box for one in found[:2] if one.points is not None}
    assert boxes[220.0, 200.0] is not None
    assert boxes[220.0, 200.0].tolist() == list(BOX)
    assert boxes[220.0, 500.0] is None
    assert found[2].visible is not None
    assert int((~found[2].visible).sum()) == 1
    assert not found[2].visible[ORDER.index(NAMES.index(hidden[0]["label"]))]


def test_labelme_numbered_labels_missing_points_and_faults(tmp_path: Path) -> None:
    shapes = [lm_shape(f"p{k}", [[10.0 + k, 20.5]]) for k in range(12)]
    put(tmp_path / "a.json", lm_file("a.jpg", shapes[::-1]))
    put(tmp_path / "b.json", lm_file("b.jpg", shapes[:5] + shapes[6:]))
    put(tmp_path / "c.json", lm_file("c.jpg", [*shapes, shapes[3]]))
    put(tmp_path / "d.json", lm_file("d.jpg", [lm_shape("p0", [[1, None]])]))
    put(tmp_path / "e.json", lm_file("", shapes))
    expected = np.array([[[10.0 + k, 20.5] for k in range(12)]] * 2)
    expected[1, 5] = np.nan
    why = [
        "the label 'p3' stands 2 times, and nothing tells which points are of one face; "
        "group the points, or draw a rectangle around each face",
        "shape 0: points: 'None' is not a number",
        "not a file of labelme: no imagePath, or no shapes",
    ]
    reads(labelme.FORMAT, tmp_path, expected, skipped=why)
    assert labelme.names_of(tmp_path) is None


def test_labelme_with_the_picture_inside(tmp_path: Path) -> None:
    data = cv2.imencode(".png", np.full((480, 640, 3), 77, np.uint8))[1].tobytes()
    put(tmp_path / "a.json", lm_file("gone.png", lm_face(FIVE), imageData=base64.b64encode(data).decode()))
    (one,) = reads(labelme.FORMAT, tmp_path, [FIVE[ORDER]], pictures=True)
    assert one.load is not None
    assert one.load().shape == (480, 640, 3)
    assert int(one.load()[0, 0, 0]) == 77


# ---- Label Studio
def ls_point(label: Any, x: float, y: float, key: str, **more: Any) -> dict[str, Any]:
    value = {"x": x / 6.4, "y": y / 4.8, "width": 0.2, "keypointlabels": [label]}
    return {"original_width": 640, "original_height": 480, "image_rotation": 0, "value": value, "id": key,
            "from_name": "kp", "to_name": "image", "type": "keypointlabels", "origin": "manual", **more}  # fmt: skip


def ls_box(x0: float, y0: float, x1: float, y1: float, key: str, **more: Any) -> dict[str, Any]:
    value = {"x": x0 / 6.4, "y": y0 / 4.8, "width": (x1 - x0) / 6.4, "height": (y1 - y0) / 4.8, "rotation": 0,
             "rectanglelabels": ["face"], **more}  # fmt: skip
    return {"original_width": 640, "original_height": 480, "image_rotation": 0, "value": value, "id": key,
            "from_name": "box", "to_name": "image", "type": "rectanglelabels"}  # fmt: skip


def ls_face(points: np.ndarray, key: str = "p", seed: int = 0, **more: Any) -> list[dict[str, Any]]:
    items = [
        ls_point(name, x, y, f"{key}{k}", **more) for k, (name, (x, y)) in enumerate(zip(NAMES, points, strict=True))
    ]
    random.Random(seed).shuffle(items)
    return items


def ls_task(name: str, *results: list[dict[str, Any]], key: str = "annotations", **more: Any) -> dict[str, Any]:
    task = {"id": 1, "annotations": [], "predictions": [], "data": {"image": name}}
    return {**task, key: [{"result": result, "was_cancelled": False, **more} for result in results]}


def save_labelstudio(folder: Path) -> Path:
    draw_pictures(folder / "images", PICTURES, 640, 480)
    tasks = [ls_task(f"/data/upload/3/1a2b3c4{k}-{name}", ls_face(FIVE + k, seed=k)) for k, name in enumerate(PICTURES)]
    return put(folder / "project-3.json", tasks)


def test_labelstudio(tmp_path: Path) -> None:
    source = save_labelstudio(tmp_path)
    found = reads(labelstudio.FORMAT, source, [(FIVE + k)[ORDER] for k in range(3)], pictures=True)
    assert [one.id for one in found] == PICTURES
    assert [one.image.name for one in found] == PICTURES
    assert labelstudio.names_of(source) == [NAMES[k] for k in ORDER]


def test_labelstudio_names_of_pictures(tmp_path: Path) -> None:
    draw_pictures(tmp_path, ["1a2b3c4d-a.png", "set one/b.png", "c.png", "d.png"], 640, 480)
    urls = [
        "/data/upload/1/1a2b3c4d-a.png",
        "/data/local-files/?d=set%20one/b.png",
        "http://host:80/x/c.png?q=1",
        "d.png",
    ]
    source = put(tmp_path / "a.json", [ls_task(url, ls_face(FIVE)) for url in urls])
    found = reads(labelstudio.FORMAT, source, [FIVE[ORDER]] * 4, pictures=True)
    assert [one.id for one in found] == ["a.png", "set one/b.png", "x/c.png", "d.png"]
    same = [ls_task(f"/data/upload/1/{k}{k}2b3c4d-a.png", ls_face(FIVE)) for k in range(2)]
    found = reads(labelstudio.FORMAT, put(tmp_path / "b.json", same), [FIVE[ORDER]] * 2)
    assert [one.id for one in found] == ["002b3c4d-a.png", "112b3c4d-a.png"]


def test_labelstudio_ties_and_rectangles(tmp_path: Path) -> None:
    far = FIVE + [-150, 100]
    boxes = [ls_box(*BOX, "r1"), ls_box(60, 290, 300, 440, "r2")]
    parents = ls_face(FIVE, "a", parentID="r1") + ls_face(far, "b", parentID="r2") + boxes
    ties = [
        {"type": "relation", "from_id": f"{key}{k}", "to_id": f"{key}{k + 1}", "direction": "right"}
        for key in "ab"
        for k in range(4)
    ]
    related = ls_face(FIVE, "a") + ls_face(far, "b")
    labels = [
        {**one, "type": "labels", "value": {**one["value"], "labels": one["value"]["keypointlabels"]}}
        for one in related
    ]
    plain = [
        {**one, "type": "keypoint", "value": {k: v for k, v in one["value"].items() if k in "xy"}} for one in related
    ]
    for items in (parents, related, labels):
        random.Random(5).shuffle(items)
    tasks = [ls_task("a.png", parents), ls_task("b.png", related + ties), ls_task("c.png", plain + labels + ties)]
    found, skipped = read_all(labelstudio.FORMAT, put(tmp_path / "a.json", tasks), pictures=False)
    assert skipped == []
    got = [
        sorted(one.points.round(6).tolist() for one in found[k : k + 2] if one.points is not None) for k in (0, 2, 4)
    ]
    assert got == [sorted([FIVE[ORDER].tolist(), far[ORDER].tolist()])] * 3
    assert all(one.box is not None for one in found[:2])


def test_labelstudio_which_annotation_counts(tmp_path: Path) -> None:
    one, two = ls_face(FIVE), ls_face(FIVE + 1)
    cancelled = ls_task("a.png", two)
    cancelled["annotations"] = [{"result": two, "was_cancelled": True}, {"result": one, "was_cancelled": False}]
    truth = ls_task("b.png", one, two)
    truth["annotations"][0]["ground_truth"] = True
    latest = ls_task("c.png", one, two)
    latest["annotations"][0]["updated_at"], latest["annotations"][1]["updated_at"] = "2024-05-02", "2024-05-01"
    predicted = ls_task("d.png", two, key="predictions")
    source = put(tmp_path / "a.json", [cancelled, truth, latest, predicted, ls_task("e.png")])
    several = f"{source}:task 1: has 2 annotations; the ground truth, or else the last, is taken"
    said: list[str] = []
    unmarked = ["has predictions, but no annotation"]
    reads(labelstudio.FORMAT, source, [FIVE[ORDER]] * 3, skipped=unmarked, say=said.append)
    assert said == [several, several]
    reads(labelstudio.FORMAT, put(tmp_path / "b.json", [predicted]), [(FIVE + 1)[ORDER]])
    old = {"completions": [{"result": one}], "data": {"image": "a.png"}, "id": 0}
    reads(labelstudio.FORMAT, put(tmp_path / "c.json", old), [FIVE[ORDER]])


def test_labelstudio_min(tmp_path: Path) -> None:
    values = [{**one["value"], "original_width": 640, "original_height": 480} for one in ls_face(FIVE, seed=4)]
    entry = {"image": "/data/upload/1/1a2b3c4d-a.png", "id": 1, "kp": values, "annotator": 1, "annotation_id": 1}
    source = put(tmp_path / "a.json", [entry])
    assert find_format("auto", source).name == "labelstudio"
    assert reads(labelstudio.FORMAT, source, [FIVE[ORDER]])[0].id == "a.png"


def test_labelstudio_faults(tmp_path: Path) -> None:
    turned = ls_face(FIVE)
    turned[2]["image_rotation"] = 90
    unsized = ls_face(FIVE)
    del unsized[0]["original_width"]
    polygon = {
        **ls_face(FIVE)[0],
        "type": "polygonlabels",
        "id": "q",
        "value": {"points": [[1, 1]], "polygonlabels": ["x"]},
    }
    hidden = ls_face(FIVE, seed=9)
    choice = {"id": "p2", "type": "choices", "from_name": "v", "to_name": "image", "value": {"choices": ["Occluded"]}}
    tasks = [ls_task(f"{k}.png", result) for k, result in enumerate((turned, unsized, [*hidden, polygon, choice]))]
    why = [
        "its picture was turned by 90 degrees in Label Studio",
        "no original_width and original_height, of which its numbers are percent",
    ]
    (one,) = reads(labelstudio.FORMAT, put(tmp_path / "a.json", tasks), [FIVE[ORDER]], skipped=why)
    np.testing.assert_array_equal(one.visible, [True, True, True, False, True])


# ---- VGG Image Annotator
def via_point(x: float, y: float, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": {"name": "point", "cx": x, "cy": y}, "region_attributes": attributes}


def via_face(points: np.ndarray, seed: int = 0, **more: Any) -> list[dict[str, Any]]:
    regions = [via_point(int(x), int(y), part=name, **more) for name, (x, y) in zip(NAMES, points, strict=True)]
    random.Random(seed).shuffle(regions)
    return regions


def via_document(*faces: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{name}12345": {"filename": name, "size": 12345, "regions": regions, "file_attributes": {}}
        for name, regions in zip([f"face_{k:02d}.png" for k in range(len(faces))], faces, strict=True)
    }


def via_csv(document: dict[str, Any], header: str = "filename") -> str:
    stream = io.StringIO()
    stream.write(
        f"{header},file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    )
    for entry in document.values():
        for k, region in enumerate(entry["regions"]):
            cells = [json.dumps(region[key]).replace('"', '""') for key in ("shape_attributes", "region_attributes")]
            stream.write(f'{entry["filename"]},12345,"{{}}",{len(entry["regions"])},{k},"{cells[0]}","{cells[1]}"\n')
    return stream.getvalue()


def save_via(folder: Path) -> Path:
    draw_pictures(folder, PICTURES, 640, 480)
    return put(folder / "via.json", via_document(*(via_face(FIVE + k, seed=k) for k in range(3))))


def test_via_in_all_its_files(tmp_path: Path) -> None:
    document = via_document(*(via_face(FIVE + k, seed=k) for k in range(3)))
    expected = [(FIVE + k)[ORDER] for k in range(3)]
    project = {"_via_settings": {}, "_via_img_metadata": document, "_via_attributes": {}}
    first = {k: {**v, "regions": {str(n): one for n, one in enumerate(v["regions"])}} for k, v in document.items()}
    files = [("a.json", document), ("b.json", project), ("c.json", first)]
    files += [("d.csv", via_csv(document)), ("e.csv", via_csv(document, "#filename"))]
    for name, content in files:
        source = put(tmp_path / name, content)
        assert find_format("auto", source).name == "via"
        found = reads(via.FORMAT, source, expected)
        assert [one.id for one in found] == PICTURES
        assert via.names_of(source) == [NAMES[k] for k in ORDER]


def test_via_faces_boxes_and_visibility(tmp_path: Path) -> None:
    far = FIVE + [0, 300]
    grouped = via_face(FIVE, 1, face="1", occluded="no") + via_face(far, 2, face="2", occluded="no")
    next(one for one in grouped if one["region_attributes"]["part"] == "nose")["region_attributes"]["occluded"] = "yes"
    around = [
        {
            "shape_attributes": {"name": "rect", "x": 180, "y": 150, "width": 280, "height": 250},
            "region_attributes": {},
        },
        {"shape_attributes": {"name": "ellipse", "cx": 320, "cy": 575, "rx": 140, "ry": 125}, "region_attributes": {}},
        {"shape_attributes": {"name": "circle", "cx": 5, "cy": 5, "r": 3}, "region_attributes": {}},
        {"shape_attributes": {"name": "polygon", "all_points_x": [1], "all_points_y": [1]}, "region_attributes": {}},
    ]
    source = put(
        tmp_path / "a.json", via_document(grouped, via_face(FIVE) + via_face(far) + around, via_face(FIVE)[:-1])
    )
    said: list[str] = []
    found, skipped = read_all(via.FORMAT, source, pictures=False, say=said.append)
    assert skipped == []
    assert [text.rpartition(": ")[2] for text in said] == [
        "a polygon is no point",
        "a circle without points in it is no point",
    ]
    for k in (0, 2):
        got = sorted(one.points.tolist() for one in found[k : k + 2] if one.points is not None)
        assert got == sorted([FIVE[ORDER].tolist(), far[ORDER].tolist()])
    assert sorted(one.box.tolist() for one in found[2:4] if one.box is not None) == [list(BOX), [180, 450, 460, 700]]
    assert sum(int((~one.visible).sum()) for one in found[:2] if one.visible is not None) == 1
    assert found[4].points is not None
    assert int(np.isnan(found[4].points).any(axis=1).sum()) == 1


def test_via_without_labels_and_with_check_boxes(tmp_path: Path) -> None:
    bare = [via_point(*map(int, place)) for place in FIVE]
    source = put(tmp_path / "a.json", via_document(bare, bare[1:], bare))
    reads(via.FORMAT, source, [FIVE] * 2, skipped=["4 points without labels, but most faces have 5"])
    assert via.names_of(source) is None
    boxes = [via_point(int(x), int(y), kp={n: True, "z": False}) for n, (x, y) in zip(NAMES, FIVE, strict=True)]
    reads(via.FORMAT, put(tmp_path / "b.json", via_document(boxes[::-1])), [FIVE[ORDER]])
    unclear = [via_point(1, 2, a=str(k), b=str(9 - k)) for k in range(3)]
    with pytest.raises(DataError, match="the label of a point could be any of 'a', 'b'"):
        read_all(via.FORMAT, put(tmp_path / "c.json", via_document(unclear)), pictures=False)


# ---- tpsDig
def tps_text(name: str, points: np.ndarray, number: int = 0) -> str:
    rows = "".join(f"{x:.5f} {480 - y:.5f}\n" for x, y in points)
    return f"LM={len(points)}\n{rows}IMAGE={name}\nID={number}\nSCALE=0.012500\n"


def save_tps(folder: Path) -> Path:
    draw_pictures(folder, PICTURES, 640, 480)
    text = "".join(tps_text(name, FIVE + k, k) for k, name in enumerate(PICTURES))
    return put(
        folder / "faces.TPS", text.replace("IMAGE=face_01", "CURVES=1\nPOINTS=2\n1.0 2.0\n3.0 4.0\nIMAGE=face_01")
    )


def test_tps(tmp_path: Path) -> None:
    source = save_tps(tmp_path)
    found = reads(tps.FORMAT, source, [FIVE + k for k in range(3)], pictures=True)
    assert [one.id for one in found] == PICTURES
    assert find_format("auto", tmp_path).name == "tps"
    with pytest.raises(DataError, match="y count upwards"):
        read_all(tps.FORMAT, source, pictures=False)


def test_tps_missing_landmarks_and_faults(tmp_path: Path) -> None:
    draw_pictures(tmp_path, PICTURES, 640, 480)
    texts = [tps_text(name, FIVE) for name in PICTURES]
    texts[0] = texts[0].replace("320.00000 220.00000", "-1.00000 -1.00000")
    texts += [
        texts[1].replace("420.00000 279.00000\n", ""),
        texts[1].replace("279.00000", "279 3"),
        texts[1].replace("IMAGE", "X"),
    ]
    texts += [tps_text(PICTURES[0], FIVE[:4]), texts[1].replace("LM=", "LM3="), texts[1].replace("face_01", "gone")]
    expected = np.stack([FIVE] * 3)
    expected[0, 2] = np.nan
    found, skipped = read_all(tps.FORMAT, put(tmp_path / "a.tps", "\n".join(texts)))
    np.testing.assert_allclose(np.stack([one.points for one in found]), expected)
    reasons = " ".join(why for _, why in skipped)
    assert len(skipped) == 6
    for part in (
        "LM=5, but 4",
        "has not two numbers",
        "no IMAGE=",
        "4 landmarks, but most",
        "three coordinates",
        "no image",
    ):
        assert part in reasons


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "labelme": save_labelme,
    "labelstudio": save_labelstudio,
    "via": save_via,
    "tps": save_tps,
}


def test_cases_at_hand(tmp_path: Path, case_dir: Path) -> None:
    twelve = np.stack([(FIVE + k)[ORDER] for k in range(12)])
    reads(labelme.FORMAT, case_dir / "R07_labelme.json", twelve[:1])
    reads(via.FORMAT, case_dir / "R07_via.json", twelve)
    entries = json.loads((case_dir / "R07_labelstudio.json").read_text())
    expected = np.full((12, 5, 2), np.nan)
    for k, entry in enumerate(entries):
        for item in entry["annotations"][0]["result"]:
            place = sorted(NAMES).index(item["value"]["keypointlabels"][0])
            expected[k, place] = item["value"]["x"] * 6.4, item["value"]["y"] * 4.8
    reads(labelstudio.FORMAT, case_dir / "R07_labelstudio.json", expected)


# ---- faces and hands, with points of the same labels
HAND = FIVE + [0, 500]
HAND_BOX = (180.0, 650.0, 460.0, 900.0)


def labelme_things(folder: Path, second: str) -> Path:
    shapes = [*lm_face(FIVE), *lm_face(HAND, 1)]
    for label, (x0, y0, x1, y1) in (("face", BOX), (second, HAND_BOX)):
        shapes.append(lm_shape(label, [[x0, y0], [x1, y1]], "rectangle"))
    return put(folder / "a.json", lm_file("a.jpg", shapes, imageHeight=960))


def labelstudio_things(folder: Path, second: str) -> Path:
    items = [*ls_face(FIVE, "a"), *ls_face(HAND, "b"), ls_box(*BOX, "r1")]
    items.append(ls_box(*HAND_BOX, "r2", rectanglelabels=[second]))
    return put(folder / "a.json", [ls_task("a.jpg", items)])


def labelstudio_min_things(folder: Path, second: str) -> Path:
    items = [*ls_face(FIVE, "a"), *ls_face(HAND, "b"), ls_box(*BOX, "r1")]
    items.append(ls_box(*HAND_BOX, "r2", rectanglelabels=[second]))
    lists = {
        key: [
            {**one["value"], "original_width": 640, "original_height": 480}
            for one in items
            if one["type"].startswith(kind)
        ]
        for key, kind in (("kp", "keypoint"), ("box", "rectangle"))
    }
    return put(folder / "a.json", [{"image": "a.jpg", **lists}])


def via_things(folder: Path, second: str) -> Path:
    regions = [*via_face(FIVE), *via_face(HAND, 1)]
    for label, (x0, y0, x1, y1) in (("face", BOX), (second, HAND_BOX)):
        shape = {"name": "rect", "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
        regions.append({"shape_attributes": shape, "region_attributes": {"class": label}})
    return put(folder / "a.json", via_document(regions))


def cvat_things(folder: Path, second: str) -> Path:
    lines = ['<?xml version="1.0"?><annotations><version>1.1</version><image id="0" name="a.jpg">']
    for label, (x0, y0, x1, y1) in (("face", BOX), (second, HAND_BOX)):
        lines.append(f'<box label="{label}" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}"></box>')
    for name, (x, y) in [*zip(NAMES, FIVE, strict=True), *zip(NAMES, HAND, strict=True)]:
        lines.append(f'<points label="{name}" points="{x},{y}"></points>')
    return put(folder / "a.xml", "\n".join([*lines, "</image></annotations>"]))


@pytest.mark.parametrize("write", [labelme_things, labelstudio_things, labelstudio_min_things, via_things, cvat_things])
def test_rectangles_of_face_and_hand(write: Callable[[Path, str], Path], tmp_path: Path) -> None:
    source = write(tmp_path, "hand")
    form = find_format("auto", source)
    with pytest.raises(DataError, match=r"different things: .*'hand' \(1 annotations of 5 points\)") as caught:
        read_all(form, source, pictures=False)
    assert "--category" in caught.value.hint
    for category, points in (("face", FIVE), ("hand", HAND)):
        reads(form, source, [points[ORDER]], categories=(category,))
        assert form.point_names(source, (category,)) == tuple(NAMES[k] for k in ORDER)
    with pytest.raises(DataError, match="no points are of the category 'foot'"):
        read_all(form, source, pictures=False, categories=("foot",))
    assert len(read_all(form, write(tmp_path, "face"), pictures=False)[0]) == 2


# ---- written and read back
@pytest.mark.parametrize("names", [(), ("z", "b", "é", "d", '"e"')])
def test_written_and_read_back(tmp_path: Path, names: tuple[str, ...]) -> None:
    scheme = Scheme("mine", len(names) or 12, names=names)
    blocks, points, visible = written_blocks(scheme.n_points)
    faces = [(block, k) for block in blocks() for k in range(3)]
    folder, path = tmp_path / "labelme", tmp_path / "tasks.json"
    for name, some in (("a/b & c.jpg", faces[:2]), ("d.jpg", faces[2:])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).with_suffix(".json").write_bytes(labelme.write_picture(name, some, scheme))
    with path.open("wb") as stream:
        labelstudio.write(blocks, scheme, stream)
    for form, source in ((labelme.FORMAT, folder), (labelstudio.FORMAT, path)):
        found, skipped = read_all(form, source, pictures=False)
        assert skipped == []
        assert [one.id for one in found] == ["a/b & c.jpg", "a/b & c.jpg#2", "d.jpg"]
        np.testing.assert_allclose(np.stack([one.points for one in found]), points, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(np.stack([one.visible for one in found]), visible)
        np.testing.assert_allclose(np.stack([one.box for one in found]), [[1, 2, 60, 70]] * 3, atol=1e-5)
        assert form.point_names(source) == names


def test_labelstudio_needs_the_sizes_of_pictures() -> None:
    blocks, _, _ = written_blocks(5)
    block = next(iter(blocks()))
    block.sizes[:] = 0  # type: ignore[index]
    with pytest.raises(KdError, match="its width and height are not known"):
        labelstudio.write(lambda: iter([block]), Scheme("mine", 5), io.BytesIO())


def test_a_scheme_of_ones_own_orders_the_points_by_name(tmp_path: Path) -> None:
    found, _ = read_all(labelme.FORMAT, save_labelme(tmp_path), pictures=False)
    names = tuple(labelme.names_of(tmp_path) or ())
    mine = Scheme("mine", 5, mirror=(1, 0, 2, 4, 3), names=tuple(NAMES))
    ordered, scheme = settle_scheme(found, mine, None, names)
    assert scheme == mine
    np.testing.assert_array_equal(np.stack([one.points for one in ordered]), [FIVE + k for k in range(3)])
    with pytest.raises(KdError, match="has points that the input has not: 'snout'"):
        settle_scheme(found, Scheme("mine", 5, names=("snout", *NAMES[1:])), None, names)
