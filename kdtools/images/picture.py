"""A decoded image file, of full or of reduced size, in pixels of the full one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kdtools.images.cropping import check_square, crop_image
from kdtools.images.reading import Reduction, decode_reduced
from kdtools.landmarks.geometry import box_to_source


@dataclass
class Picture:
    """An image (H, W, 3) RGB, `reduction` times smaller than the file's, which has `size` (height, width)."""

    image: np.ndarray
    reduction: int
    size: tuple[int, int]

    @staticmethod
    def of(image: np.ndarray) -> Picture:
        """Of full size."""
        return Picture(image, 1, (image.shape[0], image.shape[1]))

    @staticmethod
    def decoded(data: bytes, name: str, most: Reduction = 1, *, upright: bool = True) -> Picture:
        """A JPEG reduced as it is decoded, at most so many times; of any other file the full image.

        Raises FileError and DataError as `decode_image` does.
        """
        return Picture(*decode_reduced(data, name, most, upright=upright))

    def is_fine_for(self, squares: Iterable[np.ndarray], size: int) -> bool:
        """Whether crops of `size` px of these squares (4,) have no fewer pixels than those of the full image have."""
        return self.reduction == 1 or all(square[2] - square[0] >= size * self.reduction for square in squares)

    def crop(self, square: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Crop (size, size, 3) of a square (4,) and its map (2, 3), as `crop_image` of the full image gives.

        Raises DataError as `check_square` does.
        """
        check_square(square, *self.size)
        pixels, _ = crop_image(self.image, square / self.reduction, size)
        return pixels, box_to_source(square, size, size)

    def drop(self) -> None:
        """Frees the pixels."""
        self.image = np.empty((0, 0, 3), np.uint8)
