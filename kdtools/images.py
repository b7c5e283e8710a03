"""Reading images, cutting crops out of them, and drawing landmarks on them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.geometry import box_to_source, compose_affine, invert_affine
from kdtools.schemes import Scheme

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}

# One image is one task of a pool; OpenCV's own threads would fight with the pool for the cores.
cv2.setNumThreads(1)


def read_image(path: Path) -> np.ndarray:
    """Decode an image file -> (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Raises FileError where it is absent, no image, or cut off: decoders fill the rest of a truncated JPEG with grey and
    say nothing, so its end marker is looked for.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    if not data:
        raise FileError(f"{path}: is empty")
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-4096:]:
        raise FileError(f"{path}: JPEG is cut off")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # sizes past OpenCV's limit
        raise FileError(f"{path}: cannot be decoded: {error.err}") from error
    if image is None:
        raise FileError(f"{path}: not an image that can be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def crop_image(image: np.ndarray, box: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square box (4,) out of an image (H, W, 3) -> crop (size, size, 3) and its map to the image (2, 3).

    Where the box leaves the image, the nearest pixel is repeated. A box much larger than the crop is first shrunk by
    averaging, because bilinear sampling alone would skip pixels.
    """
    to_source = box_to_source(box, size, size)
    shrink = int((box[2] - box[0]) // size)
    if shrink < 2:
        return _warp(image, to_source, size), to_source
    # Only the part of the image under the box, its size a multiple of `shrink` so that pixels map exactly.
    height, width = image.shape[:2]
    x0, y0 = int(np.clip(np.floor(box[0]), 0, width - 1)), int(np.clip(np.floor(box[1]), 0, height - 1))
    x1, y1 = int(np.clip(np.ceil(box[2]), x0 + 1, width)), int(np.clip(np.ceil(box[3]), y0 + 1, height))
    n_x, n_y = -(-(x1 - x0) // shrink), -(-(y1 - y0) // shrink)
    part = image[y0:y1, x0:x1]
    pad_y, pad_x = n_y * shrink - part.shape[0], n_x * shrink - part.shape[1]
    if pad_y or pad_x:
        part = cv2.copyMakeBorder(part, 0, pad_y, 0, pad_x, cv2.BORDER_REPLICATE)
    small = cv2.resize(part, (n_x, n_y), interpolation=cv2.INTER_AREA)
    small_to_source = box_to_source(np.array([x0, y0, x0 + n_x * shrink, y0 + n_y * shrink]), n_y, n_x)
    return _warp(small, compose_affine(invert_affine(small_to_source), to_source), size), to_source


def _warp(image: np.ndarray, crop_to_image: np.ndarray, size: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, crop_to_image, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE))


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
    known = np.isfinite(points).all(axis=-1)
    if not known.any():
        return image
    spread = float(np.ptp(points[known], axis=0).max())
    width = max(1, round(spread / 160))
    at = np.round(np.where(known[:, None], points, 0) * 16).astype(np.int64).clip(-(2**20), 2**20).astype(np.int32)
    line_colour = tuple(int(0.65 * c) for c in colour)
    for outline in scheme.outlines:
        for a, b in pairwise(outline):
            if known[a] and known[b]:
                start, end = tuple(map(int, at[a])), tuple(map(int, at[b]))
                cv2.line(image, start, end, line_colour, width, cv2.LINE_AA, shift=4)
    for x, y in at[known]:
        radius = round(16 * max(0.6, spread / 130))
        cv2.circle(image, (int(x), int(y)), radius, colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    return image


def write_image(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB; the format follows the suffix. Raises FileError where that cannot be done."""
    done, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise FileError(f"{path}: cannot encode an image of this kind", "use .png or .jpg")
    path.write_bytes(data.tobytes())
