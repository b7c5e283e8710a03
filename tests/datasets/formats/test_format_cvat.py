"""CVAT's XML: skeletons, points, groups and boxes; and what is written for it."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
from format_reading import draw_pictures, read_all, written_blocks

from kdtools.datasets.formats import cvat, find_format
from kdtools.errors import DataError, KdError
from kdtools.landmarks import IBUG68, Scheme

NAMES = ["left_eye", "right_eye", "nose", "mouth_l", "mouth_r"]
ORDER = [0, 3, 4, 2, 1]  # the names above in the order of the alphabet
FIVE = np.array([[220.0, 200], [420, 201], [320, 260], [260, 330], [380, 331]])


def skeleton(points: np.ndarray, *, hidden: int = -1, missing: int = -1, seed: int = 0, label: str = "face") -> str:
    rows = [
        f'<points label="{name}" source="manual" outside="{int(k == missing)}" occluded="{int(k == hidden)}" '
        f'points="{x:.2f},{y:.2f}"></points>\n'
        for k, (name, (x, y)) in enumerate(zip(NAMES, points, strict=True))
    ]
    random.Random(seed).shuffle(rows)
    return f'<skeleton label="{label}" source="manual" z_order="0">\n{"".join(rows)}</skeleton>\n'


def shape(text: str, *, label: str = "face", more: str = "", tag: str = "points") -> str:
    return f'<{tag} label="{label}" source="manual" occluded="0" points="{text}" z_order="0"{more}>\n</{tag}>\n'


def singles(points: np.ndarray, more: str = "") -> list[str]:
    return [shape(f"{x:.2f},{y:.2f}", label=name, more=more) for name, (x, y) in zip(NAMES, points, strict=True)]


def box(x0: float, y0: float, x1: float, y1: float, more: str = "") -> str:
    return (
        f'<box label="face" source="manual" occluded="0" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" z_order="0"{more}>'
        "</box>\n"
    )


def document(*images: str, meta: str = "<meta/>", names: list[str] | None = None) -> str:
    names = names or [f"folder/face_{k:02d}.png" for k in range(len(images))]
    inner = "".join(
        f'<image id="{k}" name="{name}" width="640" height="480">\n{image}</image>\n'
        for k, (name, image) in enumerate(zip(names, images, strict=True))
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>'
    return f"{head}\n{meta}\n{inner}</annotations>\n"


def save(folder: Path, text: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if text is None:
        text = document(skeleton(FIVE), skeleton(FIVE + 1, hidden=1, seed=3), skeleton(FIVE + 2, missing=2))
        draw_pictures(folder / "images", [f"folder/face_{k:02d}.png" for k in range(3)], 640, 480)
    path = folder / "annotations.xml"
    path.write_text(text)
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {"cvat": save}


def points_in(folder: Path, text: str) -> tuple[list[Any], list[tuple[str, str]]]:
    found, skipped = read_all(cvat.FORMAT, save(folder, text), pictures=False)
    return [one.points for one in found], skipped


def test_skeletons(tmp_path: Path) -> None:
    source = save(tmp_path)
    assert find_format("auto", tmp_path).name == "cvat"
    found, skipped = read_all(cvat.FORMAT, source)
    assert skipped == []
    assert [one.id for one in found] == [f"folder/face_{k:02d}.png" for k in range(3)]
    assert cvat.names_of(source) == [NAMES[k] for k in ORDER]
    for k, one in enumerate(found):
        expected = (FIVE + k)[ORDER]
        expected[3 if k == 2 else 5 :][:1] = np.nan
        np.testing.assert_array_equal(one.points, expected)
    np.testing.assert_array_equal(found[1].visible, [True, True, True, True, False])
    np.testing.assert_array_equal(found[2].visible, [True, True, True, False, True])


def test_cases_at_hand(case_dir: Path) -> None:
    found, skipped = read_all(cvat.FORMAT, case_dir / "R07_cvat_points.xml", pictures=False)
    assert skipped == []
    np.testing.assert_array_equal(np.stack([one.points for one in found]), [FIVE + k for k in range(12)])
    found, skipped = read_all(cvat.FORMAT, case_dir / "R07_cvat_skeleton.xml", pictures=False)
    assert skipped == []
    expected = np.stack([(FIVE + k)[ORDER] for k in range(12)])
    expected[3::4, 3] = np.nan  # outside="1"
    np.testing.assert_array_equal(np.stack([one.points for one in found]), expected)
    assert all(one.visible is not None and not one.visible[4] and one.visible[0] for one in found)


def test_the_order_that_the_task_declares(tmp_path: Path) -> None:
    names = ["nose", "ear", *NAMES[:2], *NAMES[3:]]
    labels = "".join(f"<label><name>{n}</name><type>points</type><parent>face</parent></label>" for n in names)
    meta = f"<meta><task><labels><label><name>face</name><type>skeleton</type></label>{labels}</labels></task></meta>"
    source = save(tmp_path, document(skeleton(FIVE, seed=1), skeleton(FIVE, seed=2), meta=meta))
    assert cvat.names_of(source) == names
    found, _ = read_all(cvat.FORMAT, source, pictures=False)
    for one in found:
        np.testing.assert_array_equal(one.points, [FIVE[2], [np.nan, np.nan], *FIVE[:2], *FIVE[3:]])


def test_shapes_of_several_points_are_faces_in_their_order(tmp_path: Path) -> None:
    text = ";".join(f"{x},{y}" for x, y in FIVE)
    other = ";".join(f"{x},{y}" for x, y in FIVE[1:])
    far = ";".join(f"{x + 200},{y}" for x, y in FIVE)
    found, skipped = points_in(
        tmp_path, document(shape(text) + shape(far), shape(other), shape(text) + box(200, 190, 430, 340))
    )
    np.testing.assert_array_equal(found, [FIVE, FIVE + [200, 0], FIVE])
    assert [why for _, why in skipped] == ["4 points without labels, but most faces have 5"]
    assert cvat.names_of(tmp_path) is None
    boxes = [one.box for one in read_all(cvat.FORMAT, tmp_path, pictures=False)[0]]
    assert boxes[0] is None
    assert boxes[2] is not None
    assert boxes[2].tolist() == [200, 190, 430, 340]


def test_single_points_in_groups_and_boxes(tmp_path: Path) -> None:
    far = FIVE + [0, 300]
    mixed = singles(FIVE, ' group_id="1"') + singles(far, ' group_id="2"')
    boxed = singles(FIVE) + singles(far) + [box(200, 190, 430, 340), box(200, 490, 430, 640)]
    alone = singles(FIVE, ' group_id="0"')
    for shapes in (mixed, boxed, alone):
        random.Random(7).shuffle(shapes)
    found, skipped = points_in(tmp_path, document("".join(mixed), "".join(boxed), "".join(alone)))
    assert skipped == []
    expected = [FIVE[ORDER], far[ORDER]] * 2 + [FIVE[ORDER]]
    assert sorted(p.tolist() for p in found) == sorted(p.tolist() for p in expected)


def test_turned_boxes_and_numbered_labels(tmp_path: Path) -> None:
    shapes = "".join(shape(f"{x},{y}", label=f"{k + 1}") for k, (x, y) in reversed(list(enumerate(FIVE))))
    source = save(tmp_path, document(shapes + box(200, 100, 400, 500, ' rotation="90.0"')))
    found, _ = read_all(cvat.FORMAT, source, pictures=False)
    np.testing.assert_array_equal(found[0].points, FIVE)
    assert found[0].box is not None
    np.testing.assert_allclose(found[0].box, [100, 200, 500, 400])
    assert cvat.names_of(source) is None


def test_what_is_no_point_is_a_note_beside_faces_and_else_a_skip(tmp_path: Path) -> None:
    outline = shape("1,1;2,2;3,1", tag="polygon") + shape("1,1;2,2", tag="polyline")
    said: list[str] = []
    source = save(
        tmp_path, document(skeleton(FIVE) + outline, skeleton(FIVE).replace("220.00", "x"), outline, skeleton(FIVE))
    )
    found, skipped = read_all(cvat.FORMAT, source, pictures=False, say=said.append)
    np.testing.assert_array_equal([one.points for one in found], [FIVE[ORDER]] * 2)
    notes = ["a polygon is no point", "a polyline is no point"]
    assert [text.rpartition(": ")[2] for text in said] == notes
    assert "is not a list of x,y" in skipped[0][1]
    assert [why for _, why in skipped[1:]] == notes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (document(skeleton(FIVE) + skeleton(FIVE, label="hand")), "'face', 'hand', which are different things"),
        (document(shape("1,1;2,2") + shape("1,1;2,2", label="hand")), "'face', 'hand', which are different things"),
        (document(shape("1,1;2,2") + shape("1,1", label="nose")), "and the single points 'nose'"),
        (document(skeleton(FIVE))[:-40], "not whole XML"),
        (document().replace("<annotations>", '<!DOCTYPE a [<!ENTITY e "x">]><annotations>'), "declares the XML entity"),
    ],
)
def test_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(KdError, match=why):
        points_in(tmp_path, text)


def test_a_picture_of_another_size_is_skipped(tmp_path: Path) -> None:
    from kdtools.datasets.import_faces import crop_annotated
    from kdtools.landmarks.crop_rule import CropRule

    source = save(tmp_path)
    draw_pictures(tmp_path / "images", ["folder/face_01.png"], 480, 640)
    found, _ = read_all(cvat.FORMAT, source)
    crop_annotated(found[0], CropRule(), 64)
    with pytest.raises(DataError, match="on a picture of 640 x 480 px, but the picture has 480 x 640, turned"):
        crop_annotated(found[1], CropRule(), 64)


@pytest.mark.parametrize("scheme", [IBUG68, Scheme("mine", 5, names=("b", "a & <c>", "é", "d", '"e"'))])
def test_written_and_read_back(tmp_path: Path, scheme: Scheme) -> None:
    blocks, points, visible = written_blocks(scheme.n_points)
    stream = io.BytesIO()
    cvat.write(blocks, scheme, stream)
    document = minidom.parseString(stream.getvalue())  # another parser
    assert len(document.getElementsByTagName("image")) == 2
    assert len(document.getElementsByTagName("skeleton")) == 3
    path = tmp_path / "out.xml"
    path.write_bytes(stream.getvalue())
    found, skipped = read_all(cvat.FORMAT, path, pictures=False)
    assert skipped == []
    assert [one.id for one in found] == ["a/b & c.jpg", "a/b & c.jpg#2", "d.jpg"]
    np.testing.assert_array_equal(np.stack([one.points for one in found]), points)
    np.testing.assert_array_equal(np.stack([one.visible for one in found]), visible)
    assert cvat.names_of(path) == (list(scheme.names) or None)
