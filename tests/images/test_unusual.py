"""Images that are easily shown wrongly: transparent, of 16 bits a channel, and in rarer formats."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from kdtools.errors import FileError
from kdtools.images.reading import decode_image

COLOURS = np.uint8(np.stack(np.meshgrid(np.arange(40) * 5, np.arange(30) * 8), axis=-1)[..., [0, 1, 0]])


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("form", "error"), [("GIF", 8), ("AVIF", 6), ("WEBP", 12), ("JPEG2000", 1), ("TIFF", 0)])
def test_rarer_formats_are_read(form: str, error: float) -> None:
    image = decode_image(saved(Image.fromarray(COLOURS), form), "a")
    assert image.shape == COLOURS.shape
    assert np.abs(image.astype(int) - COLOURS).mean() <= error


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_what_is_transparent_is_white(form: str) -> None:
    alpha = np.where(np.arange(40) < 20, 0, 255)[None, :, None].repeat(30, 0)
    pixels = np.concatenate([np.full((30, 40, 3), 60), alpha], axis=-1).astype(np.uint8)
    image = decode_image(saved(Image.fromarray(pixels), form, lossless=True), "a")
    assert image[:, :18].min() >= 250
    assert np.abs(image[:, 22:].astype(int) - 60).max() <= 6


def test_half_transparent_grey_and_palettes() -> None:
    pixels = np.dstack([np.full((9, 9), 100, np.uint8), np.full((9, 9), 51, np.uint8)])
    assert set(decode_image(saved(Image.fromarray(pixels, "LA"), "PNG"), "a").ravel()) == {255 - 31}
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 50, 60, 70])
    assert decode_image(saved(palette, "PNG", transparency=1), "a").min() == 255
    assert decode_image(saved(palette, "PNG"), "a")[0, 0].tolist() == [50, 60, 70]


def test_an_opaque_channel_changes_nothing() -> None:
    opaque = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(opaque), "PNG"), "a"), COLOURS)


def test_transparent_images_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.dstack([COLOURS, np.full(COLOURS.shape[:2], 255, np.uint8)]))
    np.testing.assert_array_equal(decode_image(saved(image, "PNG", exif=exif), "a"), np.rot90(COLOURS, -1))


@pytest.mark.parametrize(("scale", "offset"), [(10, 28000), (16, 0), (1, 0), (60, 100)])
def test_little_of_16_bits_is_stretched(scale: int, offset: int) -> None:
    """A thermal image in hundredths of a kelvin; 12 bits of a camera."""
    grey = COLOURS[..., 0].astype(np.uint16)
    data = cv2.imencode(".png", grey * scale + offset)[1].tobytes()
    image = decode_image(data, "a")
    assert image.dtype == np.uint8
    assert (image.min(), image.max()) == (0, 255)
    assert np.corrcoef(image[..., 1].ravel(), grey.ravel())[0, 1] > 0.9999


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_upper_bits_of_a_full_range_are_taken_as_ever(suffix: str) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), np.uint16)
    image = decode_image(cv2.imencode(suffix, wide[..., ::-1])[1].tobytes(), "a")
    np.testing.assert_allclose(image, wide >> 8, atol=1)  # TIFF's reader rounds
    flat = np.full((30, 40), 0x6400, np.uint16)
    assert set(decode_image(cv2.imencode(suffix, flat)[1].tobytes(), "a").ravel()) == {0x64}


def test_what_cannot_be_decoded_is_named_as_what_it_is() -> None:
    with pytest.raises(FileError, match="a: HEIC"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(200), "a")
    with pytest.raises(FileError, match="a: not an image"):
        decode_image(b"\0\0\0\x18ftypavif" + bytes(200), "a")
    data = saved(Image.fromarray(np.dstack([COLOURS, COLOURS[..., :1]])), "PNG")
    with pytest.raises(FileError, match="a: not an image"):
        decode_image(data[: len(data) // 2], "a")


def test_truncated_files_of_all_kinds_end_in_an_error_or_an_image(tmp_path: Path) -> None:
    for form in ("PNG", "WEBP", "GIF", "TIFF", "AVIF"):
        data = saved(Image.fromarray(np.dstack([COLOURS, COLOURS[..., :1]])), form)
        for n in range(1, len(data), max(1, len(data) // 25)):
            try:
                image = decode_image(data[:n], "a")
            except FileError as error:
                message = error.message
            else:
                message = "a: " if image.dtype == np.uint8 else ""
            assert message.startswith("a: ")
