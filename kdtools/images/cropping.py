"""Cutting square crops out of images, and resizing images."""

from __future__ import annotations

import math

import cv2
import numpy as np

from kdtools.errors import DataError
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks.geometry import box_to_source, compose_affine, invert_affine, upright_boxes

_LARGEST_WARP = 32767  # px; OpenCV cannot warp images with a longer side
_SMALLEST_SQUARE = 4  # px; no face can be seen in less, so the numbers are of another kind
_LARGEST_SQUARE = 20  # side of a crop, in longer sides of its image; only a mistaken point makes a larger one


def crop_image(image: np.ndarray, box: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square box (4,) out of an image (H, W, 3) -> crop (size, size, 3) and its map to the image (2, 3).

    Outside the image, edge pixels are repeated. A box much larger than the crop is first shrunk by averaging, because
    bilinear sampling alone would skip pixels. Raises DataError as `check_square` does.
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


def warp_square(image: np.ndarray, to_source: np.ndarray, size: int) -> np.ndarray:
    """The square of `size` px that `to_source` (2, 3) maps into an image (H, W, 3), which may be turned.

    Outside the image it is black. A much larger part is first shrunk by averaging, as in `crop_image`. Raises DataError
    for a map with NaN, and as `check_square` does for the upright box around the square.
    """
    if not np.isfinite(to_source).all():
        raise DataError("one of its eyes, nose and corners of the mouth is missing, or they are one point")
    box = upright_boxes(to_source[None], np.array([[0, 0, size, size]]))[0]
    check_square(box, *image.shape[:2])
    shrink = int(np.hypot(to_source[0, 0], to_source[1, 0]))
    with opencv_errors("cannot be cropped"):
        part, to_part = image, to_source
        if shrink >= 2 or max(image.shape) > _LARGEST_WARP:
            found = _shrunk_part_under(image, box, shrink) if shrink >= 2 else _part_under(image, box)
            part, to_part = found[0], compose_affine(invert_affine(found[1]), to_source)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(part, to_part, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT))


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """An image (H, W, 3) uint8 -> (size, size, 3) uint8; one of that size is returned unchanged.

    The arithmetic is that of `kdtools.model.sampling.resize_images`, with which networks are validated, except that the
    result is rounded to whole grey levels. (OpenCV's warps round positions to 1/32 px: up to 4 grey levels at an edge.)
    """
    height, width = image.shape[:2]
    if height == width == size:
        return image
    shrink = min(height, width) // size
    pad_y, pad_x = (-height % shrink, -width % shrink) if shrink >= 2 else (0, 0)
    with opencv_errors("cannot be resized"):
        if pad_y or pad_x:
            image = cv2.copyMakeBorder(image, 0, pad_y, 0, pad_x, cv2.BORDER_REPLICATE)
        pixels: np.ndarray = image.astype(np.float32)
        if shrink >= 2:  # averaged over whole blocks
            blocks = (pixels.shape[1] // shrink, pixels.shape[0] // shrink)
            pixels = np.asarray(cv2.resize(pixels, blocks, interpolation=cv2.INTER_AREA))
        if pad_y or pad_x:  # the image ends within a block, which OpenCV's resize cannot do
            rows = _hat_weights(pixels.shape[0], height / shrink, size)
            columns = _hat_weights(pixels.shape[1], width / shrink, size)
            pixels = np.einsum("yi,xj,ijc->yxc", rows, columns, pixels, optimize=True)
        else:
            pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR))
    return np.rint(pixels).astype(np.uint8)


def shrunk_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width that `shrink_images` gives images of this height and width.

    >>> shrunk_shape((256, 256), 112), shrunk_shape((256, 256), 48), shrunk_shape((256, 256), 160)
    ((128, 128), (51, 51), (256, 256))
    """
    height, width = shape
    factor = max(1, min(height, width) // size)
    return height // factor, width // factor


def shrink_images(images: np.ndarray, size: int) -> np.ndarray:
    """Images (N, H, W, 3) uint8, averaged by the largest whole factor that leaves at least `size` px a side.

    Unit coordinates stay the same, also where the factor does not divide the sides. Images less than twice as large as
    `size` are returned unchanged.
    """
    shape = shrunk_shape(images.shape[1:3], size)
    if shape == images.shape[1:3]:
        return images
    small = np.empty((len(images), *shape, 3), np.uint8)
    for image, shrunk in zip(images, small, strict=True):
        shrunk[:] = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    return small


def _hat_weights(n_pixels: int, length: float, size: int) -> np.ndarray:
    """Bilinear weights (size, n_pixels) along an axis, for `size` samples over its first `length` pixels."""
    places = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0, n_pixels - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(n_pixels))).astype(np.float32)


def check_square(box: np.ndarray, height: int, width: int) -> None:
    """Raises DataError for a box (4,) outside an image, or too large or too small for it to be intended."""
    x0, y0, x1, y1 = box.tolist()
    side = x1 - x0
    if side < min(_SMALLEST_SQUARE, height, width):
        raise DataError(
            f"the crop would be {side:.3g} px wide, in an image of {width} x {height} px: are the points, or the box, "
            "in another unit?"
        )
    if not math.isfinite(x0 + y0 + x1 + y1) or side > _LARGEST_SQUARE * max(height, width):
        raise DataError(
            f"the crop would be {side:.3g} px wide, in an image of {width} x {height} px: is a point far off?"
        )
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        raise DataError(f"the crop would be outside the image of {width} x {height} px")


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
