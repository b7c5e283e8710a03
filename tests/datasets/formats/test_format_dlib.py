"""dlib's XML: imglab's files, the two real ones, and files that are none."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from format_reading import Skipped, read_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdtools.datasets.formats import dlib_xml
from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock
from kdtools.datasets.formats.shared.naming_300w import id_in_300w
from kdtools.errors import FileError, KdError
from kdtools.landmarks import Scheme

HEAD = """<?xml version='1.0' encoding='ISO-8859-1'?>
<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>
<dataset>
<name>Training faces</name>
<comment>caf\xe9</comment>
<images>
"""
BODY = """  <image file='a.jpg' width='160' height='120'>
    <box top='20' left='10' width='50' height='60' ignore='1'/>
    <box top='20' left='10' width='50' height='60'>
      <label>face</label>
      <part name='00' x='12' y='25'/>
      <part name='01' x='50' y='30'/>
      <part name='02' x='-1' y='70'/>
    </box>
    <box top='5' left='90' width='40' height='40' occluded='1' detection_score='0.75'>
      <label>face</label><part name='00' x='92' y='6'/>
      <part name='02' x='100' y='40'/>
    </box>
  </image>
  <image file='caf\xe9/b.jpg'>
    <box top='1' left='2' width='30' height='40'>
      <part name='02' x='7' y='8'/><label>face</label>
      <part name='01' x='5' y='6'/>
      <part name='00' x='3' y='4'/>
    </box>
  </image>
"""
TAIL = """</images>
</dataset>"""


def save(folder: Path, text: str = HEAD + BODY + TAIL) -> Path:
    (folder / "caf\xe9").mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", "caf\xe9/b.jpg"):
        cv2.imwrite(str(folder / name), np.full((120, 160, 3), 128, np.uint8))
    (folder / "faces.xml").write_bytes(text.encode("latin-1"))
    return folder / "faces.xml"


SAMPLES: dict[str, Callable[[Path], Path]] = {"dlib": save}


def read(source: Path, **options: Any) -> tuple[list[Annotation], Skipped]:
    return read_all(dlib_xml.FORMAT, source, **options)


def test_points_boxes_and_ids(tmp_path: Path) -> None:
    path = save(tmp_path)
    for source in (path, tmp_path):
        assert dlib_xml.FORMAT.accepts(source)
        faces, skipped = read(source)
        assert skipped == []
        assert [face.id for face in faces] == ["a.jpg", "a.jpg#2", "caf\xe9/b.jpg"]
        assert [face.image for face in faces] == [tmp_path / name for name in ("a.jpg", "a.jpg", "caf\xe9/b.jpg")]
        np.testing.assert_array_equal(faces[0].points, [[12, 25], [50, 30], [-1, 70]])
        np.testing.assert_array_equal(faces[1].points, [[92, 6], [np.nan, np.nan], [100, 40]])
        np.testing.assert_array_equal(faces[2].points, [[3, 4], [5, 6], [7, 8]])
        np.testing.assert_array_equal(faces[0].box, [10, 20, 60, 80])
        assert [face.score for face in faces] == [None, 0.75, None]
        assert [face.subsets for face in faces] == [frozenset(), {"occlusion"}, frozenset()]


def test_base_is_subtracted_from_points_and_boxes(tmp_path: Path) -> None:
    faces, _ = read(save(tmp_path), base=1)
    np.testing.assert_array_equal(faces[0].points[0], [11, 24])
    np.testing.assert_array_equal(faces[0].box, [9, 19, 59, 79])


def test_parts_are_sorted_as_numbers_or_as_text(tmp_path: Path) -> None:
    def parts(*names: str) -> Path:
        inner = "".join(f"<part name='{name}' x='{k}' y='0'/>" for k, name in enumerate(names))
        box = f"<image file='a.jpg'><box top='1' left='2' width='3' height='4'>{inner}</box></image>"
        return save(tmp_path, HEAD + box + TAIL)

    path = parts("10", "9", "1")
    assert read(path)[0][0].points[:, 0].tolist() == [2, 1, 0]
    assert dlib_xml.names_of(path) is None
    path = parts("nose", "chin", "10")
    assert read(path)[0][0].points[:, 0].tolist() == [2, 1, 0]
    assert dlib_xml.names_of(path) == ["10", "chin", "nose"]


def test_boxes_alone_are_faces_without_points(tmp_path: Path) -> None:
    text = "<image file='a.jpg'><box top='1' left='2' width='3' height='4'/></image>"
    faces, _ = read(save(tmp_path, HEAD + text + TAIL))
    assert faces[0].points is None
    np.testing.assert_array_equal(faces[0].box, [2, 1, 5, 5])


WRONG = [
    ("<part name='01' x='5' y='6'/>", "<part name='01' x='5'/>", "a part has no x or no y"),
    ("<part name='01' x='5' y='6'/>", "<part name='01' x='5' y='six'/>", "'six' is not a number"),
    ("<part name='01' x='5' y='6'/>", "<part name='01' x='nan' y='6'/>", "an x or a y that is not a number"),
    ("<part name='01' x='5' y='6'/>", "<part name='01' x='1e300' y='6'/>", "not a place in a picture"),
    ("<part name='01' x='5' y='6'/>", "<part x='5' y='6'/>", "a part has no name"),
    ("<part name='01' x='5' y='6'/>", "<part name='00' x='5' y='6'/>", "'00' occurs twice"),
    ("<box top='1' left='2' width='30' height='40'>", "<box top='1' left='2' width='30'>", "height is missing"),
    (" file='caf\xe9/b.jpg'", "", "no file name"),
]


@pytest.mark.parametrize(("old", "new", "why"), WRONG)
def test_a_wrong_box_is_skipped_alone(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in BODY
    path = save(tmp_path, HEAD + BODY.replace(old, new) + TAIL)
    faces, skipped = read(path)
    assert [face.id for face in faces] == ["a.jpg", "a.jpg#2"]
    assert len(skipped) == 1
    assert skipped[0][0] == f"{path}:21"
    assert why in skipped[0][1]


def test_a_box_without_parts_among_others_is_skipped(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + BODY.replace(" ignore='1'", "") + TAIL)
    faces, skipped = read(path)
    assert len(faces) == 3
    assert skipped == [(f"{path}:8", "a box without parts")]


def labelled(*labels: str) -> str:
    """Boxes of three parts with these labels; an empty one is left out."""
    boxes = [
        f"<box top='1' left='{k}' width='30' height='40'>{f'<label>{label}</label>' if label else ''}"
        + "".join(f"<part name='{part}' x='{k + 3 * part}' y='{part}'/>" for part in range(3))
        + "</box>"
        for k, label in enumerate(labels)
    ]
    return HEAD + "<image file='a.jpg'>" + "".join(boxes) + "</image>" + TAIL


@pytest.mark.parametrize("labels", [("face", "hand", "face"), ("face", "", "face"), ("", "hand", "")])
def test_boxes_of_several_labels_are_different_things(tmp_path: Path, labels: tuple[str, ...]) -> None:
    path = save(tmp_path, labelled(*labels))
    with pytest.raises(KdError, match=r"different things.* annotations of 3 points") as caught:
        read(path)
    assert "--category" in caught.value.hint
    faces, skipped = read(path, categories=(labels[0] or "no label",))
    assert [one.points[0].tolist() for one in faces if one.points is not None] == [[0, 0], [2, 0]]
    assert skipped == []
    assert len(read(path, categories=("*",))[0]) == 3
    with pytest.raises(KdError, match="no points are of the category 'foot'"):
        read(path, categories=("foot",))


def test_parts_of_other_labels_are_no_missing_parts(tmp_path: Path) -> None:
    text = labelled("face", "hand").replace("name='2'", "name='thumb'").replace("name='thumb'", "name='2'", 1)
    path = save(tmp_path, text)
    with pytest.raises(KdError, match="different points"):
        read(path, categories=("face", "hand"))
    (one,) = read(path, categories=("hand",))[0]
    assert one.points is not None
    assert np.isfinite(one.points).all()
    assert dlib_xml.names_of(path, ("hand",)) == ["0", "1", "thumb"]
    assert dlib_xml.names_of(path, ("face",)) is None


def test_boxes_of_another_label_without_parts_do_not_matter(tmp_path: Path) -> None:
    path = save(tmp_path, labelled("face", "face").replace("</image>", BODYLESS + "</image>"))
    faces, skipped = read(path)
    assert len(faces) == 2
    assert skipped == []


def test_parts_that_boxes_do_not_share_and_rare_ones(tmp_path: Path) -> None:
    hand = labelled("").replace("<box", "<box ").replace("name='", "name='hand").partition("<image file='a.jpg'>")[2]
    with pytest.raises(KdError, match="share no label: '0', '1', '2'; 'hand0', 'hand1', 'hand2'"):
        read(save(tmp_path, labelled("").replace("</image>" + TAIL, hand)))
    warned: list[str] = []
    text = labelled(*[""] * 12)
    at = text.rindex("name='2'")
    read(save(tmp_path, text[:at] + "name='02x'" + text[at + 8 :]), warn=warned.append)
    assert len(warned) == 1
    assert "hardly any of its 12 faces has the points '02x'" in warned[0]


BODYLESS = "<box top='1' left='2' width='30' height='40'><label>person</label></box>"


def test_missing_pictures_are_skipped_or_not_looked_for(tmp_path: Path) -> None:
    path = save(tmp_path)
    (tmp_path / "a.jpg").unlink()
    faces, skipped = read(path)
    assert [face.id for face in faces] == ["caf\xe9/b.jpg"]
    assert len(skipped) == 2
    assert len(read(path, pictures=False)[0]) == 3


BOMB = """<?xml version="1.0"?>
<!DOCTYPE dataset [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<dataset><images><image file="&b;"></image></images></dataset>"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + BODY, "not whole XML"),
        (BOMB, "declares the XML entity 'a'"),
        (HEAD.replace("ISO-8859-1", "klingon") + TAIL, "not whole XML"),
        ("<annotation><dataset><images></images></dataset></annotation>", "starts with <annotation>"),
    ],
)
def test_files_that_are_not_whole_are_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FileError, match=why):
        read(save(tmp_path, text))


def test_more_names_than_any_face_has_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_xml, "_MOST_PARTS", 2)
    with pytest.raises(KdError, match="more than 2"):
        read(save(tmp_path, HEAD + BODY.replace("name='02'", "name='a'", 1) + TAIL))


@pytest.mark.parametrize("text", ["", "<annotation/>", "<!DOCTYPE html><html>images</html>"])
def test_other_xml_is_not_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.xml").write_text(text)
    assert not dlib_xml.FORMAT.accepts(tmp_path / "x.xml")
    assert not dlib_xml.FORMAT.accepts(tmp_path)


def write(block: FaceBlock, scheme: Scheme) -> bytes:
    stream = io.BytesIO()
    assert dlib_xml.FORMAT.write is not None
    dlib_xml.FORMAT.write(lambda: iter([block, block]), scheme, stream)
    return stream.getvalue()


def test_what_is_written_reads_back_to_half_a_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    points = (150 * rng.random((3, 101, 2)) - 5).astype(np.float32)
    points[1, 4] = np.nan
    block = FaceBlock(
        ids=["1", "2", "3"],
        images=["a.jpg", "a.jpg", "b'<&>\u4e2d.jpg"],
        points=points,
        boxes=np.array([[1, 2, 30, 40], [5.4, 6.4, 50.4, 60], [np.nan] * 4], np.float32),
        scores=np.array([0.5, np.nan, 0.123456789], np.float32),
        sizes=np.array([[160, 120], [160, 120], [0, 0]]),
    )
    path = tmp_path / "out.xml"
    path.write_bytes(write(block, Scheme("many", 101)))
    assert dlib_xml.FORMAT.accepts(path)
    assert path.read_text(encoding="utf-8").count("<image ") == 4
    assert "width='160' height='120'" in path.read_text(encoding="utf-8")
    faces, skipped = read(path, pictures=False)
    assert skipped == []
    assert [str(face.image) for face in faces] == block.images * 2
    for k, face in enumerate(faces[:3]):
        np.testing.assert_array_equal(face.points, np.rint(points[k]))
    np.testing.assert_array_equal(faces[1].box, [5, 6, 50, 60])
    np.testing.assert_array_equal(faces[2].box[:2], np.rint(points[2].min(axis=0)))
    assert [face.score for face in faces[:3]] == [0.5, None, pytest.approx(0.123456789, rel=1e-6)]


def test_real_file_of_1008_faces(shared_dir: Path) -> None:
    source = shared_dir / "data/annotations/dlib_ibug_xml"
    assert dlib_xml.FORMAT.accepts(source)
    faces, skipped = read(source, pictures=False)
    assert len(faces) == 1008
    assert skipped == []
    assert faces[0].id == "helen/trainset/146827737_1.jpg"
    np.testing.assert_array_equal(faces[0].points[0], [145, 355])
    np.testing.assert_array_equal(faces[0].box, [70, 224, 365, 519])
    assert sum("common" in face.subsets for face in faces) == 152
    assert sum("challenging" in face.subsets for face in faces) == 34


def test_base_against_pts_numbers(shared_dir: Path) -> None:
    """The 300W CSV holds the numbers of the 1-based .pts files: these are 1 larger, up to rounding."""
    faces, _ = read(shared_dir / "data/annotations/dlib_ibug_xml", pictures=False)
    table = shared_dir / "data/annotations/300w_csv/bbox_face_landmarks_300w_valid.csv"
    with table.open(newline="") as stream:
        rows = {id_in_300w(row[0]): row[-136:] for row in csv.reader(stream)}
    common = [face for face in faces if face.id in rows]
    assert len(common) == 93
    gaps = np.stack([np.array(rows[face.id], float).reshape(-1, 2) - face.points for face in common])
    assert gaps.min() >= 0.5
    assert gaps.max() <= 1.5
    assert gaps.mean() == pytest.approx(1.0, abs=0.01)


def test_real_scenes_of_18_faces(shared_dir: Path) -> None:
    faces, skipped = read(shared_dir / "data/scenes/dlib")
    assert skipped == []
    assert len(faces) == 18
    assert len({face.image for face in faces}) == 4
    assert "2007_007763.jpg#7" in {face.id for face in faces}
    for face in faces:
        assert (face.points.mean(axis=0) > face.box[:2]).all()
        assert (face.points.mean(axis=0) < face.box[2:]).all()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_end_in_skips_or_errors(tmp_path: Path, data: st.DataObject) -> None:
    text = HEAD + BODY + TAIL
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    new = data.draw(st.text(st.sampled_from(list("0123456789.-e<>/='& \xe9abxy!")), max_size=8))
    path = tmp_path / "x.xml"
    path.write_bytes((text[:at] + new + text[at + length :]).encode("latin-1"))
    try:
        faces, _ = read(path, pictures=False)
    except KdError:
        return
    for face in faces:
        assert face.points is None or face.points.shape[1] == 2
        assert face.points is None or not np.isinf(face.points).any()
        assert face.box is None or np.isfinite(face.box).all()
