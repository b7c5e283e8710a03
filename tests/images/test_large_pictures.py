"""Memory for large pictures: one thread at a time works on one, and what is computed of one is computed in strips."""

from __future__ import annotations

import io
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from contract.running import run_tool, succeed
from PIL import Image

from kdtools.datasets import crop_boxes, import_faces
from kdtools.datasets.formats import Annotation
from kdtools.images import large_pictures, picture
from kdtools.images.detection import Found
from kdtools.images.large_pictures import large_pictures_in_turn
from kdtools.images.reading import read_image, read_reduced
from kdtools.images.unusual import stretched
from kdtools.reporting import SILENT

SIZE = 64
LARGE = 3 * SIZE * SIZE  # bytes
SUFFIXES = (".png", ".jpg", ".bmp", ".webp", ".tiff", ".jp2", ".ppm")


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pictures, "_LARGE", LARGE)


class Counted:
    """How many threads were within it at once, at most."""

    def __init__(self) -> None:
        self._lock, self._now, self.most = threading.Lock(), 0, 0

    def stay(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._lock:
            self._now -= 1


def write(path: Path, side: int, depth: type = np.uint8) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(side).integers(0, 255, (side, side, 3)).astype(depth))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_large_pictures_are_in_one_thread_at_a_time(suffix: str, tmp_path: Path) -> None:
    """Each thread holds two of them; others than large ones do not wait."""
    for side, most in ((SIZE, 4), (SIZE + 1, 1)):
        path, counted = write(tmp_path / f"{side}{suffix}", side), Counted()

        def work(_: int, path: Path = path, counted: Counted = counted) -> None:
            with large_pictures_in_turn():
                read_image(path)
                read_image(path)
                counted.stay()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert counted.most == most


@pytest.mark.parametrize(("progressive", "most"), [(0, 4), (1, 1)])
def test_a_picture_that_is_reduced_is_as_large_as_what_is_left(progressive: int, most: int, tmp_path: Path) -> None:
    """Of a progressive one, the decoder keeps all coefficients."""
    path, counted = write(tmp_path / "a.jpg", 2 * SIZE), Counted()
    cv2.imwrite(str(path), cv2.imread(str(path)), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])

    def work(_: int) -> None:
        with large_pictures_in_turn():
            assert read_reduced(path, 2)[1] == 2
            counted.stay()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert counted.most == most


def test_a_picture_that_cannot_be_decoded_blocks_no_others(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff" * 40)
    for _ in range(2):
        with pytest.raises(Exception, match=r"a\.png"), large_pictures_in_turn():
            read_image(tmp_path / "a.png")

    def others_may() -> bool:
        may = large_pictures._turn.acquire(timeout=5)
        if may:
            large_pictures._turn.release()
        return may

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(others_may).result()


def counted_calls(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> Counted:
    """Count how many threads call a function of a module at once."""
    counted, function = Counted(), getattr(module, name)

    def call(*arguments: object, **options: object) -> object:
        counted.stay()
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, call)
    return counted


@pytest.fixture(params=[(SIZE, False), (SIZE + 1, True)], ids=["small", "large"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """Annotated pictures, and whether they are large."""
    side, is_large = request.param
    (tmp_path / "in").mkdir()
    for k in range(8):
        write(tmp_path / "in" / f"{k}.png", side)
        (tmp_path / "in" / f"{k}.pts").write_text("version: 1\nn_points: 3\n{\n9 9\n50 9\n30 50\n}\n")
    return tmp_path / "in", is_large


def test_tools_work_on_one_large_picture_at_a_time(
    folder: tuple[Path, bool], tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, is_large = folder
    monkeypatch.setattr(import_faces, "_CHUNK", 1)
    importing = counted_calls(monkeypatch, import_faces, "crop_image")
    predicting = counted_calls(monkeypatch, picture, "crop_image")
    succeed(run_tool("kd-import", path, "-j", "4", "-q", "-o", tmp_path / "a.h5"))
    words = ("--detector", "whole", "-j", "4", "--batch", "1", "-q", "-o", tmp_path / "b.h5")
    succeed(run_tool("kd-predict", tiny_onnx, path, *words))
    detecting = Counted()

    class Detector:
        name = "counted"

        def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
            detecting.stay()
            return [Found(np.array([5.0, 5, 45, 45]), 0.9)]

    annotations = [Annotation(one.name, one) for one in sorted(path.glob("*.png"))]
    crop_boxes._detected_boxes(annotations, Detector(), 0.25, jobs=4, reporter=SILENT)  # type: ignore[arg-type]
    assert [counted.most == 1 for counted in (importing, predicting, detecting)] == [is_large] * 3


def test_16_bits_are_stretched_in_little_memory() -> None:
    """Floats of all values at once took ten times the picture."""
    image = np.random.default_rng(0).integers(1000, 3000, (3000, 1500, 3)).astype(np.uint16)
    tracemalloc.start()
    pixels = stretched(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels is not None
    assert peak < 3 * image.nbytes
    low, high = np.percentile(image[::3, ::3], (0.1, 99.9))
    expected = np.clip((image[1234].astype(float) - low) * 255 / (high - low), 0, 255)
    assert np.abs(pixels[1234] - expected).max() <= 0.51


def test_what_is_transparent_is_white_in_every_strip(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (1500, 1000, 4)).astype(np.uint8)
    image[..., 3] = np.arange(1500)[:, None] % 256
    cv2.imwrite(str(tmp_path / "a.png"), image)
    colours, share = image[..., 2::-1].astype(float), image[..., 3:] / 255
    assert np.abs(read_image(tmp_path / "a.png") - (colours * share + 255 * (1 - share))).max() <= 1.01


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"])
def test_the_size_is_known_from_the_header(suffix: str) -> None:
    mode = "L" if suffix == ".pgm" else "RGB"
    stream = io.BytesIO()
    try:
        Image.new(mode, (40, 30)).save(stream, Image.registered_extensions()[suffix])
    except (KeyError, OSError) as error:  # as the libraries were built
        pytest.skip(f"Pillow cannot write it: {error}")
    assert large_pictures.stated_pixels(stream.getvalue()) == 40 * 30


def test_pillow_does_not_guess_at_unknown_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)  # any import fails
    for data in (b"", b"broken", b"#?RADIANCE\n"):
        assert large_pictures.stated_pixels(data) is None
