"""Images that OpenCV alone would show wrongly, or not at all: transparent ones, 16 bits a channel, GIF and AVIF."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdtools.errors import FileError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_PNG, _JPEG, _GIF, _RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8", b"RIFF"
_TIFF = (b"II*\0", b"MM\0*")
_PNG_WITH_ALPHA = (b"\4", b"\6")  # types of colour
_FORMATS = ("PNG", "WEBP", "GIF", "AVIF", "TIFF")  # that Pillow may be asked to read
_MOST_PIXELS = 2**28
_STRIP = 2**20  # pixels
_WIDE = 2**14  # a quarter of 16 bits
_N_SAMPLED = 1_000_000  # values, of which percentiles are taken
_ENDS = (0.1, 99.9)  # percentiles that become black and white


def is_transparent(data: bytes) -> bool:
    """Whether an image file can hold transparent pixels, by its header."""
    if data.startswith(_PNG):
        return data[25:26] in _PNG_WITH_ALPHA or b"tRNS" in data[: max(0, data.find(b"IDAT"))]
    if data.startswith(_RIFF):  # WebP: a flag of its extended header, or of a lossless image
        flags = {b"VP8X": data[20:21], b"VP8L": data[24:25]}.get(data[12:16], b"")
        return any(flag & 0x10 for flag in flags)
    if data.startswith((_GIF, *_TIFF)) or is_avif(data):
        try:
            with _opened(data) as image:
                return image.has_transparency_data
        except Exception:  # damaged headers raise errors of all kinds; decoding says what is wrong
            return False
    return False


def is_avif(data: bytes) -> bool:
    return data[4:12] in (b"ftypavif", b"ftypavis")


def is_heic(data: bytes) -> bool:
    """Whether it is an iPhone's format, for which no free decoder is among the libraries."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def decode_on_white(data: bytes, name: str | Path, upright: bool) -> np.ndarray:
    """Decode by Pillow -> (H, W, 3) uint8 RGB, transparent pixels over white; of an animation the first picture.

    Raises FileError if it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with _opened(data) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise FileError(f"{name}: {image.width} x {image.height} px, which are too many")
            turned = ImageOps.exif_transpose(image) if upright else image
            pixels = np.empty((turned.height, turned.width, 3), np.uint8)
            for top, bottom in _strips(turned.height, turned.width):
                strip = turned.crop((0, top, turned.width, bottom)).convert("RGBA")
                white = Image.new("RGBA", strip.size, "white")
                pixels[top:bottom] = np.asarray(Image.alpha_composite(white, strip).convert("RGB"))
            return pixels
    except FileError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of all kinds
        raise FileError(f"{name}: not an image that can be decoded: {error}") from error


def _opened(data: bytes) -> ImageFile:
    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")  # of large images and odd tags, which decoding reports
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def may_have_16_bits(data: bytes) -> bool:
    """Whether an image file can hold 16 bits a channel, of which the upper ones may say little."""
    return (data.startswith(_PNG) and data[24:25] == b"\x10") or data.startswith((b"P5", b"P6", *_TIFF))


def stretched(image: np.ndarray) -> np.ndarray | None:
    """An image (H, W, C) uint16 -> uint8, stretched to the whole range; None where its upper 8 bits are better.

    It is stretched where nearly all values lie within a quarter of the range, as in thermal images or those of 12-bit
    cameras: the upper bits would be nearly black, or of one grey.
    """
    step = max(1, int((image.size / _N_SAMPLED) ** 0.5))
    low, high = np.percentile(image[::step, ::step], _ENDS)
    if not 0 < high - low < _WIDE:
        return None
    pixels = np.empty(image.shape, np.uint8)
    for top, bottom in _strips(*image.shape[:2]):
        scaled = (image[top:bottom].astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
        pixels[top:bottom] = np.rint(np.clip(scaled, 0, 255))
    return pixels


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row and end of each part of an image: what is computed of it takes several times its own memory."""
    n_rows = max(1, _STRIP // max(1, width))
    for top in range(0, height, n_rows):
        yield top, min(height, top + n_rows)
