"""Text in pictures: the font, shortened texts, numbers of points, and legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from kdtools.images.drawing import draw_points
from kdtools.metrics import measure_words
from kdtools.reporting import printable, without_middle
from kdtools.viewing.gallery import Gallery
from kdtools.viewing.overlay import COLOURS, EDGE, GREY, Style

Colour = tuple[int, int, int]
Span = tuple[str, Colour]

_WHITE, _BLACK = (255, 255, 255), (25, 25, 25)
_DIRECTIONS = np.arange(16) * np.pi / 8


@cache
def font_of(height_px: int) -> FreeTypeFont:
    """DejaVu Sans. Chinese, Japanese and Korean letters appear as boxes."""
    return ImageFont.truetype(Path(__file__).parent / "font" / "DejaVuSans.ttf", height_px)


def width_of(text: str, font: FreeTypeFont) -> int:
    """Width of a text in whole pixels."""
    return int(np.ceil(font.getlength(text)))


def line_height(font: FreeTypeFont) -> int:
    """Distance of two lines of text in pixels."""
    return round(1.35 * font.size)


def shorten(text: str, width: int, font: FreeTypeFont) -> str:
    """The text in one line, with an ellipsis in its middle if it does not fit `width` px.

    The ends of an id say more than its middle: the data set at one, the number at the other.
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
    """Write each point's index next to it, where it overlaps points (L, 2) and other numbers least."""
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
    """Area of a box (4,) covered by others (K, 4); counted twice where two overlap."""
    sides = np.minimum(others[:, 2:], box[2:]) - np.maximum(others[:, :2], box[:2])
    return float(np.maximum(sides, 0).prod(axis=1).sum())


@dataclass(frozen=True)
class Entry:
    """A text with a coloured disc or ring before it, or without a mark."""

    text: str
    width: int
    colour: Colour | None = None
    is_ring: bool = False


def short_names(names: Sequence[str]) -> list[str]:
    """File names without their folders if they remain distinct.

    >>> short_names(["a/test.h5", "b/pred.h5"]), short_names(["a/pred.h5", "b/pred.h5"])
    (['test.h5', 'pred.h5'], ['a/pred.h5', 'b/pred.h5'])
    """
    bare = [PurePath(name).name for name in names]
    return bare if len(set(bare)) == len(bare) else list(names)


@dataclass(frozen=True)
class LegendTexts:
    """Texts of a legend, each as alternatives from long to short: the point sets, the truth first, and the errors."""

    names: Sequence[Sequence[str]]
    has_occluded: bool
    errors: Sequence[str]


def legend_texts(gallery: Gallery) -> LegendTexts | None:
    """The legend of a gallery; None for fewer than two point sets."""
    if len(gallery.sets) < 2:
        return None
    truth, *others = short_names([one.name for one in gallery.sets])
    measure = measure_words(gallery.normaliser)
    return LegendTexts(
        names=[(f"{truth} (truth)", truth), *((name,) for name in others)],
        has_occluded=not all(one.visible.all() for one in gallery.sets),
        errors=(f"NME in % of the {measure}", f"NME: {measure}", "NME"),
    )


class Legend:
    """Entries broken into lines of a width."""

    def __init__(self, texts: LegendTexts, width: int, style: Style) -> None:
        self.font = font_of(style.legend_px)
        self.mark_px = round(1.2 * self.font.size)
        self.line_px = line_height(self.font)
        self.below_px = style.gutter
        self.lines = self._break_lines(self._entries(texts, width), width)

    @property
    def height(self) -> int:
        """In pixels, with the space below it."""
        return len(self.lines) * self.line_px + self.below_px

    def draw(self, sheet: Image.Image, left: int, top: int) -> None:
        """Draw it on a sheet, with its top left corner there."""
        draw = ImageDraw.Draw(sheet)
        for n, line in enumerate(self.lines):
            x, y = left, top + n * self.line_px
            for entry in line:
                if entry.colour is not None:
                    sheet.paste(Image.fromarray(self._mark(entry)), (x, y))
                draw.text((x + entry.width, y), entry.text, fill=GREY, font=self.font, anchor="ra")
                x += entry.width + self.mark_px

    def _entries(self, texts: LegendTexts, width: int) -> list[Entry]:
        entries = [
            self._entry(width, *names, colour=colour) for names, colour in zip(texts.names, COLOURS, strict=False)
        ]
        if texts.has_occluded:
            entries.append(self._entry(width, "occluded", colour=GREY, is_ring=True))
        return [*entries, self._entry(width, *texts.errors)]

    def _entry(self, width: int, *texts: str, colour: Colour | None = None, is_ring: bool = False) -> Entry:
        """An entry with the first text that fits, or else the last one shortened."""
        room = width - (self.mark_px if colour else 0)
        texts = tuple(map(printable, texts))  # Pillow cannot lay out any others
        text = next((text for text in texts if width_of(text, self.font) <= room), texts[-1])
        text = shorten(text, room, self.font)
        return Entry(text, width_of(text, self.font) + (self.mark_px if colour else 0), colour, is_ring)

    def _break_lines(self, entries: list[Entry], width: int) -> list[list[Entry]]:
        lines: list[list[Entry]] = [[]]
        for entry in entries:
            if lines[-1] and sum(one.width + self.mark_px for one in lines[-1]) + entry.width > width:
                lines.append([])
            lines[-1].append(entry)
        return lines

    def _mark(self, entry: Entry) -> np.ndarray:
        """Picture (line_px, mark_px, 3) of a disc or ring, centred on the line's lower-case letters."""
        times = 4
        canvas = np.full((times * self.line_px, times * self.mark_px, 3), 255, np.uint8)
        unit = times * self.font.size / 12
        centre = np.array([[0.4 * canvas.shape[1], 0.62 * times * self.font.size]])
        if entry.is_ring:
            draw_points(canvas, centre, GREY, 3.2 * unit, 1.3 * unit)
        else:
            draw_points(canvas, centre, EDGE, 4.0 * unit)
            draw_points(canvas, centre, entry.colour or GREY, 3.5 * unit)
        return np.asarray(cv2.resize(canvas, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA))
