"""Reading and decoding image files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images.large_pictures import stated_pixels, wait_for_turn
from kdtools.images.opencv import opencv_errors
from kdtools.images.unusual import decode_on_white, is_avif, is_heic, is_transparent, may_have_16_bits, stretched
from kdtools.storage.devices import read_fault
from kdtools.storage.stamps import changed_error, stamp_of

# Not Pillow, whose `draft` gives the same pixels but mostly takes longer (benchmarks/jpeg_decoding.py).
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
REDUCTIONS = (1, *_REDUCED)
_MOST_BYTES = 2**30
_MOST_SCANS, _MOST_SCANNED = (
    100,
    2**32,
)  # passes over a JPEG, and pixels in all of them; programs write about ten passes
_ORIENTATION = 0x0112  # EXIF tag


def read_image(path: Path, *, upright: bool = True) -> np.ndarray:
    """Decode an image file -> (H, W, 3) uint8 RGB, turned upright by its EXIF orientation or else as stored.

    What is transparent becomes white. 16 bits a channel become 8, stretched where they use little of the range.
    Raises FileError if it is missing or cannot be read, and as `decode_image` does.
    """
    return _decode(path, read_bytes(path), cv2.IMREAD_COLOR_RGB, upright)


def decode_image(data: bytes, name: str | Path) -> np.ndarray:
    """As `read_image`, from the bytes of the file `name`.

    Raises FileError if they are no image or truncated: decoders silently fill the rest of a truncated JPEG with grey,
    so its end marker is checked. Raises DataError for an image too large for OpenCV.
    """
    return _decode(name, data, cv2.IMREAD_COLOR_RGB)


Reduction = int | Callable[[int, int], int]  # at most; or a function of height and width, either of which may be first


def read_reduced(path: Path, most: Reduction, *, upright: bool = True) -> tuple[np.ndarray, int, tuple[int, int]]:
    """As `read_image`, but a JPEG reduced 2, 4 or 8 times, at most `most` -> image, reduction, full (H, W).

    Pixel i of the reduced image covers pixels k * i to k * i + k - 1 of the full one, for reduction k. The decoder
    averages as it decodes, faster than it decodes the full image.
    """
    return decode_reduced(read_bytes(path), path, most, upright=upright)


def decode_reduced(
    data: bytes, name: str | Path, most: Reduction, *, upright: bool = True
) -> tuple[np.ndarray, int, tuple[int, int]]:
    """As `read_reduced`, from the bytes of the file `name`."""
    frame = None if most == 1 else _jpeg_frame(data)
    if frame is not None and not (frame.height and frame.width):
        frame = None  # damaged; decoding says what is wrong
    if frame is not None and not isinstance(most, int):
        most = most(frame.height, frame.width)
    reduction = max((k for k in _REDUCED if frame is not None and isinstance(most, int) and k <= most), default=1)
    # Blocks are counted from the top left as stored; if EXIF turns the image, an incomplete last block comes first.
    turns = frame is not None and upright and frame.has_exif
    if frame is None or reduction == 1 or (turns and (frame.height % reduction or frame.width % reduction)):
        image = _decode(name, data, cv2.IMREAD_COLOR_RGB, upright)
        return image, 1, (image.shape[0], image.shape[1])
    image = cv2.cvtColor(_decode(name, data, _REDUCED[reduction], upright), cv2.COLOR_BGR2RGB)
    height, width = frame.height, frame.width
    if image.shape[0] != -(-height // reduction):  # turned by EXIF
        height, width = width, height
    return np.asarray(image), reduction, (height, width)


def read_bytes(path: Path) -> bytes:
    """Contents of a file. Raises FileError if it is missing, unreadable, too large for an image, or no regular file,
    and if it changes meanwhile.

    A pipe or a device might never end.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is not a file")
        check_image_bytes(status.st_size, path)
        with open(path, "rb", buffering=0) as stream:
            before = stamp_of(os.fstat(stream.fileno()))
            data = stream.read()
            if stamp_of(os.fstat(stream.fileno())) != before:
                raise changed_error(str(path))
        return data
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # a name with \0 in it
        raise FileError(f"{str(path)!r}: no such file") from error


def check_image_bytes(n_bytes: int, name: str | Path, most: int = _MOST_BYTES) -> None:
    """Raises FileError for a file too large for an image."""
    if n_bytes > most:
        raise FileError(f"{name}: {n_bytes} bytes, which are too many for an image")


def is_turned(path: Path) -> bool:
    """Whether an image file has an EXIF orientation other than upright. Raises FileError where the disk fails."""
    return _header_of(path)[1] in range(2, 9)


def may_be_turned(data: bytes) -> bool:
    """Whether an image file of these bytes can have an EXIF orientation: False for a JPEG without EXIF data.

    Takes a tenth of the time of `is_turned`, which asks for the file again.
    """
    if not data.startswith(b"\xff\xd8"):
        return True
    return bytes((0xFF, _EXIF)) in data and any(marker == _EXIF for marker, _ in _jpeg_segments(data))


def stored_size(path: Path) -> tuple[int, int] | None:
    """Height and width of the stored image, from the file's header; None if it cannot be read."""
    return _header_of(path)[0]


def _header_of(path: Path) -> tuple[tuple[int, int] | None, int]:
    """Height and width as stored, None if they cannot be read, and the EXIF orientation, 1 if there is none.

    Raises FileError where the disk does not give them.
    """
    import warnings

    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")  # of large images and odd EXIF data, which OpenCV decodes
    try:
        with Image.open(path) as image:
            return (image.height, image.width), image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # damaged headers raise errors of all kinds; decoding says what is wrong
        if fault := read_fault(str(path), error):
            raise fault from error
        return None, 1


def _decode(name: str | Path, data: bytes, flags: int, upright: bool = True) -> np.ndarray:
    if not data:
        raise FileError(f"{name}: is empty")
    if data.startswith(b"\xff\xd8") and not _jpeg_has_end(data):
        raise FileError(f"{name}: JPEG is cut off")
    frame = _jpeg_frame(data)
    _check_scans(data, frame, name)
    wait_for_turn(_held_bytes(data, frame, flags))
    if frame is None and is_transparent(data):
        return decode_on_white(data, name, upright)
    turning = 0 if upright else cv2.IMREAD_IGNORE_ORIENTATION
    if frame is None and may_have_16_bits(data):
        deep = _imdecode(name, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | turning)
        if deep is not None and deep.dtype == np.uint16 and (image := stretched(deep[..., ::-1])) is not None:
            return image
    image = _imdecode(name, data, flags | turning)
    if image is None and is_avif(data):  # OpenCV may be built without
        return decode_on_white(data, name, upright)
    if image is None and is_heic(data):
        raise FileError(f"{name}: HEIC, which cannot be decoded; convert it to JPEG")
    if image is None:
        raise FileError(f"{name}: not an image that can be decoded")
    return image


def _held_bytes(data: bytes, frame: _Frame | None, flags: int) -> int | None:
    """Of the decoded image, in full if the decoder keeps all of it meanwhile; None where the header does not tell."""
    n_pixels = stated_pixels(data) if frame is None else frame.height * frame.width
    reduction = next((k for k, flag in _REDUCED.items() if flag == flags), 1)
    if frame is not None and not frame.has_one_scan:
        reduction = 1
    return None if n_pixels is None else 3 * n_pixels // reduction**2


def _imdecode(name: str | Path, data: bytes, flags: int) -> np.ndarray | None:
    with opencv_errors(f"{name}: cannot be decoded"):  # for example sizes past OpenCV's limit
        image: np.ndarray | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return image


def _jpeg_has_end(data: bytes) -> bool:
    """Whether an end marker follows the start of the scan.

    Data after the end does not matter: phones append a video. Within a scan, ff d9 can only be the marker.
    """
    if data.endswith(b"\xff\xd9"):
        return True  # nearly all files; truncation exactly after the thumbnail is unlikely
    return any(marker == _SCAN and data.find(b"\xff\xd9", at + 2) >= 0 for marker, at in _jpeg_segments(data))


_SCAN = 0xDA  # marker of its start
_EXIF = 0xE1  # marker of EXIF data, and of XMP
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # none of those that stand within a scan


def _check_scans(data: bytes, frame: _Frame | None, name: str | Path) -> None:
    """Raises FileError for a JPEG that would be decoded hundreds of times over: each scan refines the whole image.

    Nearly all have one scan, of all colours, and are not searched for others.
    """
    if frame is None or frame.first_scan is None or frame.has_one_scan:
        return
    n_scans, at = 0, frame.first_scan
    most = min(_MOST_SCANS, _MOST_SCANNED // max(1, frame.height * frame.width))
    while at + 4 <= len(data) and data[at + 1] != 0xD9:
        n_scans += data[at + 1] == _SCAN
        if n_scans > most:
            size = f"{frame.width} x {frame.height} pixels"
            raise FileError(f"{name}: a JPEG of more than {most} scans of {size}, which no camera or program writes")
        found = _MARKER.search(data, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"))
        at = found.start() if found else len(data)


@dataclass(frozen=True)
class _Frame:
    """What the header of a JPEG says, up to its first scan, which is None where there is none.

    If the first scan does not have all colours, the decoder keeps the coefficients of the full image.
    """

    height: int
    width: int
    has_exif: bool
    first_scan: int | None
    has_one_scan: bool


def _jpeg_frame(data: bytes) -> _Frame | None:
    """None if it is no JPEG or has no frame header."""
    if not data.startswith(b"\xff\xd8"):
        return None
    frame: tuple[int, int] | None = None
    first_scan, has_exif = None, False
    for marker, at in _jpeg_segments(data):
        if marker == _SCAN:
            first_scan = at
        elif frame is None:
            has_exif |= marker == _EXIF
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(data) >= at + 10:
                frame = marker, at
    if frame is None:
        return None
    marker, at = frame
    height, width = (int.from_bytes(data[k : k + 2], "big") for k in (at + 5, at + 7))
    has_one_scan = (
        first_scan is not None and marker & 3 != 2 and data[first_scan + 4 : first_scan + 5] == data[at + 9 : at + 10]
    )
    return _Frame(height, width, has_exif, first_scan, has_one_scan)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and offset of each segment up to the start of the scan, without those of an embedded thumbnail."""
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        yield marker, at
        if marker == _SCAN:
            return
        # A fill byte ff, a stuffed 00 and the markers 01 and d0 to d9 have no length; other segments state theirs.
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9
        at += 1 if marker == 0xFF else 2 if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
