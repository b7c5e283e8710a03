"""Draws one face: its image at the size of a cell, with points, outlines and errors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kdtools.images.drawing import draw_points, draw_segments, outline_segments
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import pixels_to_unit, unit_to_pixels
from kdtools.viewing.gallery import ShownFace

# Okabe and Ito's colours, distinct for all kinds of colour vision; the truth's comes first.
COLOURS = ((86, 180, 233), (230, 159, 0), (204, 121, 167), (0, 158, 115), (240, 228, 66))
MOST_SETS = len(COLOURS)

EDGE = (25, 25, 25)  # thin dark edge of each mark, for contrast on light skin
GREY = (75, 75, 75)  # of text
_BESIDE_BARS, _BESIDE_BARS_SMALL = 0.6, 0.8  # of their usual size, points with error bars: in large cells, and others
_LARGE_PX = 400
_REFERENCE_PX = 200  # cell size of the line widths below
_SMALLEST_PX = 100  # in smaller cells marks would be too faint


@dataclass(frozen=True)
class Style:
    """Drawing options. `size` is the width of a face's picture in pixels; with 0 `columns` rows are filled evenly."""

    size: int = 200
    columns: int = 0
    lines: bool = True
    numbers: bool = False
    error_bars: bool = False
    labels: bool = True
    legend: bool = True

    @property
    def gutter(self) -> int:
        """Space between pictures and at the borders, in pixels."""
        return round(6 + 0.03 * self.size)

    @property
    def caption_px(self) -> int:
        """Height of the letters below a picture."""
        return round(7 + 0.025 * self.size)

    @property
    def caption_gap(self) -> int:
        """Space between a picture and its caption."""
        return round(1 + 0.01 * self.size)

    @property
    def legend_px(self) -> int:
        """Height of the letters of the legend."""
        return self.caption_px + 1


def darker(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """A darker shade, readable as text on white."""
    return tuple(round(0.7 * part) for part in colour)  # type: ignore[return-value]


def cell_height(image: np.ndarray, size: int) -> int:
    """Height in pixels of an image (H, W, 3) that is drawn `size` px wide."""
    return max(1, round(size * image.shape[0] / image.shape[1]))


def draw_cell(face: ShownFace, scheme: Scheme | None, style: Style) -> np.ndarray:
    """Picture (h, size, 3) of a face, drawn several times as large and averaged, for thin smooth lines.

    Sizes of marks follow the cell, not the face. Occluded points are rings. Raises DataError if OpenCV cannot scale the
    image.
    """
    times = 4 if style.size <= 1024 else 2
    width, height = times * style.size, times * cell_height(face.image, style.size)
    shrinks = face.image.shape[1] > width
    with opencv_errors(face.id):
        flags = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        canvas = np.ascontiguousarray(cv2.resize(face.image, (width, height), interpolation=flags))
        points = unit_to_pixels(pixels_to_unit(face.points, *face.image.shape[:2]), height, width)
        _draw_marks(canvas, points, face.visible, scheme, style, times * max(style.size, _SMALLEST_PX) / _REFERENCE_PX)
        return np.asarray(cv2.resize(canvas, (width // times, height // times), interpolation=cv2.INTER_AREA))


def _draw_marks(
    canvas: np.ndarray, points: np.ndarray, visible: np.ndarray, scheme: Scheme | None, style: Style, unit: float
) -> None:
    """Draw sets of points (n_sets, L, 2) on canvas (H, W, 3): outlines lowest, then error bars, then the points.

    With error bars only the truth has outlines, and points are small: else they would hide bars as short as most are.
    """
    outlined = points[:1] if style.error_bars else points
    if style.lines and scheme is not None:
        for one, colour in zip(outlined, COLOURS, strict=False):
            draw_segments(canvas, *outline_segments(one, scheme), colour, (0.4 if style.error_bars else 0.8) * unit)
    if style.error_bars:
        for one in points[1:]:
            draw_segments(canvas, points[0], one, EDGE, 1.8 * unit)
            draw_segments(canvas, points[0], one, (255, 255, 255), 0.9 * unit)
        unit *= _BESIDE_BARS if style.size >= _LARGE_PX else _BESIDE_BARS_SMALL
    for one, seen, colour in zip(points, visible, COLOURS, strict=False):
        draw_points(canvas, one[seen], EDGE, 2.1 * unit)
        draw_points(canvas, one[seen], colour, 1.7 * unit)
        draw_points(canvas, one[~seen], EDGE, 2.1 * unit, 1.6 * unit)
        draw_points(canvas, one[~seen], colour, 2.1 * unit, 0.9 * unit)
