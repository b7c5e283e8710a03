"""Text in pictures: the typeface, texts shortened to fit, and numbers beside points."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from kdtools.reporting import printable, without_middle

Colour = tuple[int, int, int]
Span = tuple[str, Colour]

_WHITE, _BLACK = (255, 255, 255), (25, 25, 25)
_DIRECTIONS = np.arange(16) * np.pi / 8


@cache
def font_of(height_px: int) -> FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along. It has no Chinese, Japanese or Korean; boxes stand for these."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", height_px)


def width_of(text: str, font: FreeTypeFont) -> int:
    """Width of a text in whole pixels."""
    return int(np.ceil(font.getlength(text)))


def line_height(font: FreeTypeFont) -> int:
    """Distance of two lines of text in pixels."""
    return round(1.35 * font.size)


def shorten(text: str, width: int, font: FreeTypeFont) -> str:
    """The text in one line if it fits `width` px, else as much of its two ends as does, with an ellipsis between.

    The ends of an id tell more than its middle: the data set at one, the number at the other.
    """
    text = printable(text)
    if len(text) <= width and width_of(text, font) <= width:  # no letter is narrower than a pixel
        return text
    kept = min(len(text) - 1, width)
    while kept > 0 and width_of(without_middle(text, kept), font) > width:
        kept -= 1
    return without_middle(text, kept)


def write_spans(draw: ImageDraw.ImageDraw, x: float, y: float, spans: Iterable[Span], font: FreeTypeFont) -> None:
    """Write texts in their colours one after the other from x on; y is the top of their line."""
    for text, colour in spans:
        draw.text((x, y), text, fill=colour, font=font)
        x += width_of(text, font)


def number_points(image: Image.Image, points: np.ndarray, font: FreeTypeFont, gap: float) -> None:
    """Write its index beside each point (L, 2) in an image, on the side where it covers least of points and numbers."""
    draw = ImageDraw.Draw(image)
    known = np.flatnonzero(((points > -gap) & (points < np.array(image.size) + gap)).all(axis=-1))  # not so for NaN
    taken = [np.concatenate([points[k] - gap, points[k] + gap]) for k in known]
    for k in known:
        half = np.array([width_of(str(k), font), 0.8 * font.size]) / 2
        centres = points[k] + np.stack([np.cos(_DIRECTIONS), np.sin(_DIRECTIONS)], axis=1) * (half + gap)
        boxes = np.concatenate([centres - half, centres + half], axis=1)
        best = int(np.argmin([_covered(box, np.array(taken)) for box in boxes]))
        taken.append(boxes[best])
        x, y = centres[best]
        draw.text((x, y), str(k), fill=_WHITE, font=font, anchor="mm", stroke_width=1, stroke_fill=_BLACK)


def _covered(box: np.ndarray, others: np.ndarray) -> float:
    """Area of a box (4,) that others (K, 4) cover, twice where two do."""
    sides = np.minimum(others[:, 2:], box[2:]) - np.maximum(others[:, :2], box[:2])
    return float(np.maximum(sides, 0).prod(axis=1).sum())
