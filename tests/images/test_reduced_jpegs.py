"""JPEGs that are decoded at a reduced size for the search, in kd-predict and in kd-import."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.running import run_tool

from kdtools.faces import open_faces
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
