"""JPEGs that are decoded at a reduced size for the search, in kd-predict and in kd-import."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from contract.running import run_tool, succeed
from PIL import Image

from kdtools.faces import open_faces
from kdtools.images.detection import FaceFinder, decode_for, find_in
from kdtools.images.drawing import write_image
from kdtools.synth import draw_faces


def with_size(jpeg: bytes, height: int, width: int) -> bytes:
    """The same file with another size in its frame header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]


@pytest.mark.parametrize(("height", "width"), [(0, 0), (0, 240), (240, 0)])
def test_a_damaged_size_costs_only_its_own_file(height: int, width: int, tmp_path: Path, tiny_onnx: Path) -> None:
    ((image, _, _),) = draw_faces(1, 240, seed=0, margin=0.75)
    photos = tmp_path / "photos"
    photos.mkdir()
    write_image(photos / "good.jpg", image)
    (photos / "bad.jpg").write_bytes(with_size((photos / "good.jpg").read_bytes(), height, width))
    for tool, words in (("kd-predict", (tiny_onnx, photos)), ("kd-import", (photos, "--detector", "finder"))):
        result = run_tool(tool, *words, "-o", tmp_path / "out.h5", "-f")
        assert result.status == 4, result.stderr
        assert "skipped bad.jpg: " in result.stderr
        with open_faces(tmp_path / "out.h5") as faces:
            assert list(faces.ids) == ["good.jpg"]


SIDES = {"even": (960, 640), "odd": (959, 639)}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces side by side, large enough for reduced crops: as PNG, and as JPEGs of all kinds, even and odd."""
    folder = tmp_path_factory.mktemp("kinds") / "photos"
    folder.mkdir()
    scene = Image.new("RGB", SIDES["even"], (120, 130, 140))
    for (face, _, _), (side, place) in zip(
        draw_faces(2, 480, seed=5, margin=0.5), [(480, (20, 80)), (400, (530, 120))], strict=True
    ):
        scene.paste(Image.fromarray(face).resize((side, side)), place)
    scene.convert("L").save(folder / "grey.png")
    for parity, (width, height) in SIDES.items():
        image = scene.crop((0, 0, width, height))
        image.save(folder / f"{parity}.png")
        image.save(folder / f"{parity}.jpg", quality=95)
        image.save(folder / f"{parity}_progressive.jpg", quality=95, progressive=True)
        image.convert("CMYK").save(folder / f"{parity}_cmyk.jpg", quality=95)
        image.convert("L").save(folder / f"{parity}_grey.jpg", quality=95)
        for orientation, turn in TURNS.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            image.transpose(turn).save(folder / f"{parity}_exif{orientation}.jpg", quality=95, exif=exif)
    return folder


@pytest.mark.parametrize("tool", ["kd-predict", "kd-import"])
def test_every_kind_of_jpeg_gives_the_faces_of_the_full_image(
    tool: str, photos: Path, tmp_path: Path, tiny_onnx: Path
) -> None:
    """Searched at 480 px, so nearly all are decoded at half; a turn or a size taken wrongly would move the faces."""
    inputs = (tiny_onnx, photos, "--refine", "0") if tool == "kd-predict" else (photos, "--size", "48")
    words = ("--detector", "finder", "--search-size", "480", "-o", tmp_path / "out.h5")
    result = succeed(run_tool(tool, *inputs, *words))
    assert "19 images were reduced for the search, the largest from 960 to 480 px" in result.stderr
    with open_faces(tmp_path / "out.h5") as faces:
        boxes = dict(zip(faces.ids, np.asarray(faces.boxes()), strict=True))
    names = [path.name for path in photos.iterdir()]
    for face in ("", "#2"):
        for name in names:
            kind = (
                "grey" if "grey" in name else "odd" if "odd_exif" in name or name == "odd.png" else "even"
            )  # the others are reduced
            assert np.abs(boxes[name + face] - boxes[f"{kind}.png{face}"]).max() < 0.7, name
    assert len(boxes) == 2 * len(names)


@pytest.mark.parametrize(("longer", "reduction"), [(4000, 2), (4001, 2), (6001, 2), (1025, 1), (6145, 2), (12289, 4)])
def test_odd_sides_are_decoded_at_half_too(longer: int, reduction: int) -> None:
    """And the remark has the size of the file, not that of the reduced image multiplied."""
    finder = FaceFinder()
    image = np.full((40, longer), 120, np.uint8)
    picture = decode_for(finder, cv2.imencode(".jpg", image)[1].tobytes(), "a.jpg")
    assert picture.reduction == reduction
    assert picture.size == (40, longer)
    find_in(finder, picture, "a.jpg")
    if longer > 1024:
        assert f"from {longer} to " in finder.remark
        assert finder.remark.count(f"--search-size {longer} ") == 1
