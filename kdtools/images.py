"""Reading images, cutting crops out of them, and drawing landmarks on them."""

from __future__ import annotations

import contextlib
import math
import stat
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import IDENTITY, box_to_source, compose_affine, invert_affine

_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_MOST_BYTES = 2**30
_LARGEST_WARP = 32767  # px; OpenCV cannot warp images with a longer side
_LARGEST_SQUARE = 20  # side of a crop, in longer sides of its image; only a mistaken point makes a larger one

# One image is one task of a pool; OpenCV's own threads would fight with the pool for the cores.
cv2.setNumThreads(1)
# What goes wrong is said by us, in a line that names the file; OpenCV would say it again in its own way.
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # the older name and the newer
_set_log_level(0)


@contextlib.contextmanager
def opencv_errors(what: str) -> Iterator[None]:
    """OpenCV's errors become a DataError in one line that starts with `what`, so that callers need not know OpenCV."""
    try:
        yield
    except cv2.error as error:
        raise DataError(f"{what}: {getattr(error, 'err', '') or ' '.join(str(error).split())}") from error


def read_image(path: Path) -> np.ndarray:
    """Decode an image file -> (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Raises FileError where it is absent or cannot be read, and as `decode_image` does.
    """
    return decode_image(read_bytes(path), path)


def decode_image(data: bytes, name: str | Path) -> np.ndarray:
    """As `read_image`, of the bytes of the file `name`.

    Raises FileError where they are no image, or cut off: decoders fill the rest of a truncated JPEG with grey and say
    nothing, so its end marker is looked for. Raises DataError where OpenCV cannot hold it.
    """
    return _decode(name, data, cv2.IMREAD_COLOR_RGB)


def read_reduced(path: Path, most: int) -> tuple[np.ndarray, int, tuple[int, int]]:
    """As `read_image`, but a JPEG 2, 4 or 8 times smaller where `most` allows: pixels, that number, full (H, W).

    Pixel i of the smaller image covers whole pixels k * i to k * i + k - 1 of the full one. The decoder makes it as it
    goes, by averaging, in less time than the full image takes.
    """
    data = read_bytes(path)
    reduction = max((k for k in _REDUCED if k <= most), default=1)
    frame = _jpeg_frame(data) if reduction > 1 else None
    # Blocks are counted from the top left as stored: turned by EXIF, a last one that is not whole comes first.
    if frame is None or (frame[2] and (frame[0] % reduction or frame[1] % reduction)):
        image = _decode(path, data, cv2.IMREAD_COLOR_RGB)
        return image, 1, (image.shape[0], image.shape[1])
    image = cv2.cvtColor(_decode(path, data, _REDUCED[reduction]), cv2.COLOR_BGR2RGB)
    height, width, _ = frame
    if image.shape[0] != -(-height // reduction):  # turned by EXIF
        height, width = width, height
    return np.asarray(image), reduction, (height, width)


def read_bytes(path: Path) -> bytes:
    """A file as it is. Raises FileError where it is absent or cannot be read, is no file or far too large for an image.

    A pipe or a device would be read for ever.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is no file")
        check_image_bytes(status.st_size, path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # a name with \0 in it
        raise FileError(f"{str(path)!r}: no such file") from error


def check_image_bytes(n_bytes: int, name: str | Path) -> None:
    """Raises FileError for a file that is too large to be one image."""
    if n_bytes > _MOST_BYTES:
        raise FileError(f"{name}: {n_bytes} bytes, which are too many for an image")


def _decode(name: str | Path, data: bytes, flags: int) -> np.ndarray:
    if not data:
        raise FileError(f"{name}: is empty")
    if data.startswith(b"\xff\xd8") and not _jpeg_has_end(data):
        raise FileError(f"{name}: JPEG is cut off")
    with opencv_errors(f"{name}: cannot be decoded"):  # for example sizes past OpenCV's limit
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise FileError(f"{name}: not an image that can be decoded")
    return np.asarray(image)


def _jpeg_has_end(data: bytes) -> bool:
    """Whether an end marker follows the start of the scan.

    What follows the end does not matter: phones append a film. Within a scan, ff d9 can be nothing but the marker.
    """
    if data.endswith(b"\xff\xd9"):
        return True  # nearly all; one cut off just behind its thumbnail would have to be very unlucky
    return any(marker == 0xDA and data.find(b"\xff\xd9", at + 2) >= 0 for marker, at in _jpeg_segments(data))


def _jpeg_frame(data: bytes) -> tuple[int, int, bool] | None:
    """Height, width and whether there is EXIF data; None where it is no JPEG, or says none."""
    if not data.startswith(b"\xff\xd8"):
        return None
    has_exif = False
    for marker, at in _jpeg_segments(data):
        has_exif |= marker == 0xE1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(data) >= at + 9:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big"), has_exif
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment up to the start of the scan; a thumbnail within one has markers of its own."""
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        yield marker, at
        if marker == 0xDA:  # start of scan
            return
        # A filling ff, a stuffed 00 and the markers 01 and d0 to d9 stand alone; others state their length.
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9
        at += 1 if marker == 0xFF else 2 if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def crop_image(image: np.ndarray, box: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square box (4,) out of an image (H, W, 3) -> crop (size, size, 3) and its map to the image (2, 3).

    Where the box leaves the image, the nearest pixel is repeated. A box much larger than the crop is first shrunk by
    averaging, because bilinear sampling alone would skip pixels. Raises DataError for a box beside the image, or so
    large against it that it must be a mistake.
    """
    check_square(box, *image.shape[:2])
    to_source = box_to_source(box, size, size)
    shrink = int((box[2] - box[0]) // size)
    with opencv_errors("cannot be cropped"):
        part, crop_to_part = image, to_source
        if shrink >= 2:
            part, part_to_source = _shrunk_part_under(image, box, shrink)
            crop_to_part = compose_affine(invert_affine(part_to_source), to_source)
        elif max(image.shape) > _LARGEST_WARP:
            part, part_to_source = _part_under(image, box)
            crop_to_part = compose_affine(invert_affine(part_to_source), to_source)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(part, crop_to_part, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop), to_source


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """An image (H, W, 3) -> (size, size, 3), sampled as `crop_image` does; one of that size is returned as it is."""
    height, width = image.shape[:2]
    if height == width == size:
        return image
    shrink = min(height, width) // size
    whole, image_to_part = np.array([0, 0, width, height]), IDENTITY
    with opencv_errors("cannot be resized"):
        if shrink >= 2:
            image, part_to_image = _shrunk_part_under(image, whole, shrink)
            image_to_part = invert_affine(part_to_image)
        to_part = compose_affine(image_to_part, box_to_source(whole, size, size))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        resized = cv2.warpAffine(image, to_part, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(resized)


def check_square(box: np.ndarray, height: int, width: int) -> None:
    """Raises DataError for a box (4,) beside an image, or so large against it that it must be a mistake."""
    x0, y0, x1, y1 = box.tolist()
    side = x1 - x0
    if not math.isfinite(x0 + y0 + x1 + y1) or side > _LARGEST_SQUARE * max(height, width):
        raise DataError(
            f"the crop would be {side:.3g} px wide, in an image of {width} x {height} px: is a point far off?"
        )
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        raise DataError(f"the crop would lie beside the image of {width} x {height} px")


def _part_under(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image under a box (4,), with the neighbours that bilinear sampling needs, and its map (2, 3)."""
    (x0, x1), (y0, y1) = (_pixels_under(box[k], box[k + 2], image.shape[1 - k], 2) for k in (0, 1))
    return image[y0:y1, x0:x1], np.array([[1.0, 0, x0], [0, 1, y0]])


def _shrunk_part_under(image: np.ndarray, box: np.ndarray, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image under a box (4,), shrunk by averaging blocks of `shrink` px a side, and its map (2, 3)."""
    (x0, x1), (y0, y1) = (_pixels_under(box[k], box[k + 2], image.shape[1 - k], 0) for k in (0, 1))
    # The part becomes a multiple of the block so that pixels map exactly; a part thinner than a block is one block.
    block_x, block_y = min(shrink, x1 - x0), min(shrink, y1 - y0)
    n_x, n_y = -(-(x1 - x0) // block_x), -(-(y1 - y0) // block_y)
    part = image[y0:y1, x0:x1]
    pad_y, pad_x = n_y * block_y - part.shape[0], n_x * block_x - part.shape[1]
    if pad_y or pad_x:
        part = cv2.copyMakeBorder(part, 0, pad_y, 0, pad_x, cv2.BORDER_REPLICATE)
    small = cv2.resize(part, (n_x, n_y), interpolation=cv2.INTER_AREA)
    return small, box_to_source(np.array([x0, y0, x0 + n_x * block_x, y0 + n_y * block_y]), n_y, n_x)


def _pixels_under(low: float, high: float, length: int, border: int) -> tuple[int, int]:
    """First and past-the-last of the `length` pixels of an axis from `low` to `high`, and `border` px on each side."""
    first = int(np.clip(np.floor(low) - border, 0, length - 1))
    return first, int(np.clip(np.ceil(high) + border, first + 1, length))


def draw_landmarks(
    image: np.ndarray,
    points: np.ndarray,
    scheme: Scheme,
    colour: tuple[int, int, int] = (60, 255, 60),
) -> np.ndarray:
    """Copy of an image (H, W, 3) with points (L, 2) and the scheme's outlines over it; NaN points are left out.

    Thickness follows the spread of the points, so that a face of any size stays visible under them.
    """
    image = np.ascontiguousarray(image).copy()
    known = points[np.isfinite(points).all(axis=-1)]
    if len(known):
        spread = float(np.ptp(known, axis=0).max())
        darker = tuple(int(0.65 * c) for c in colour)
        draw_segments(image, *outline_segments(points, scheme), darker, spread / 160)
        draw_points(image, points, colour, max(0.6, spread / 130))
    return image


def outline_segments(points: np.ndarray, scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (K, 2) of the lines that join points (L, 2) to the scheme's outlines."""
    pairs = np.array([pair for outline in scheme.outlines for pair in pairwise(outline)], int).reshape(-1, 2)
    return points[pairs[:, 0]], points[pairs[:, 1]]


def draw_segments(
    canvas: np.ndarray, starts: np.ndarray, ends: np.ndarray, colour: Sequence[int], width: float
) -> None:
    """Draw lines from starts (K, 2) to ends (K, 2) into canvas (H, W, 3); those with an end that is NaN are left out.

    They are first cut off outside the canvas: OpenCV's integers cannot hold points that are very far away.
    """
    thickness = max(1, round(width))
    known = np.isfinite(starts).all(axis=-1) & np.isfinite(ends).all(axis=-1)
    starts, ends = np.asarray(starts[known], np.float64), np.asarray(ends[known], np.float64)
    low, high = -2.0 - thickness, np.array(canvas.shape[1::-1]) + 2.0 + thickness
    with np.errstate(divide="ignore", invalid="ignore"):  # lines along an axis
        shares = np.stack([low - starts, high - starts]) / (ends - starts)
    # Where each line enters and leaves, as shares of its way (Liang and Barsky); 0 / 0 is NaN and says nothing.
    enter = np.maximum(np.fmin(*shares).max(axis=-1, initial=0), 0)
    leave = np.minimum(np.fmax(*shares).min(axis=-1, initial=1), 1)
    for start, end, first, last in zip(starts, ends, enter, leave, strict=True):
        if first <= last:
            ends_px = (start + first * (end - start), start + last * (end - start))
            a, b = (tuple(map(int, np.round(16 * point))) for point in ends_px)
            cv2.line(canvas, a, b, colour, thickness, cv2.LINE_AA, shift=4)


def draw_points(
    canvas: np.ndarray, points: np.ndarray, colour: Sequence[int], radius: float, ring: float | None = None
) -> None:
    """Draw discs, or rings of that width, at points (L, 2) into canvas (H, W, 3); NaN points are left out."""
    thickness = cv2.FILLED if ring is None else max(1, round(ring))
    reach = radius + max(thickness, 0) + 1
    inside = (points > -reach).all(axis=-1) & (points < np.array(canvas.shape[1::-1]) + reach).all(axis=-1)
    for x, y in points[inside]:  # NaN is not inside
        at = round(16 * float(x)), round(16 * float(y))
        cv2.circle(canvas, at, round(16 * radius), colour, thickness, cv2.LINE_AA, shift=4)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB; the format follows the suffix. Raises FileError where that cannot be done."""
    done, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise FileError(f"{path}: cannot encode an image of this kind", "use .png or .jpg")
    path.write_bytes(data.tobytes())


def write_image_at(path: Path, image: np.ndarray) -> None:
    """As `write_image`; makes the folders that lead there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
