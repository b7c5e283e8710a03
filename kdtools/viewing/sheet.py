"""Contact sheets: faces in rows and columns, with ids and errors below them and a legend above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from kdtools.errors import DataError
from kdtools.landmarks import Scheme
from kdtools.landmarks.geometry import pixels_to_unit, unit_to_pixels
from kdtools.viewing.gallery import ShownFace
from kdtools.viewing.lettering import (
    Legend,
    LegendTexts,
    Span,
    font_of,
    line_height,
    number_points,
    shorten,
    width_of,
    write_spans,
)
from kdtools.viewing.overlay import COLOURS, GREY, Style, darker, draw_cell

_MOST_COLUMNS = 8
_LEAST_NUMBER_PX = 11  # smaller digits cannot be read
_LONGEST_SIDE = 16384  # of a sheet, in pixels: 800 MB of memory


@dataclass(frozen=True)
class Cell:
    """A face's picture (h, size, 3) and its caption's lines."""

    picture: np.ndarray
    caption: list[list[Span]]


def make_cell(face: ShownFace, scheme: Scheme | None, style: Style) -> Cell:
    """Draw a face and its caption. Raises DataError if its image cannot be scaled."""
    picture = draw_cell(face, scheme, style)
    if style.numbers and len(face.points):
        image = Image.fromarray(picture)
        points = unit_to_pixels(pixels_to_unit(face.points[0], *face.image.shape[:2]), *picture.shape[:2])
        number_points(image, points, font_of(max(_LEAST_NUMBER_PX, style.size // 60)), style.size / 110)
        picture = np.asarray(image)
    return Cell(picture, _caption(face, style) if style.labels else [])


def _caption(face: ShownFace, style: Style) -> list[list[Span]]:
    """The id and, below it, the errors of all sets or else the detector's score; as many lines for every face."""
    font, width = font_of(style.caption_px), style.size
    lines: list[list[Span]] = [[(shorten(face.id, width, font), GREY)]]
    if len(face.errors) == 1:
        text = f"NME {_percent(face.errors[0])}"
        lines.append([(text if width_of("NME 100.0 %", font) <= width else text[4:], GREY)])
    elif len(face.errors):
        per_line = max(1, width // width_of("100.0 %  ", font))
        spans = [(_percent(error), darker(colour)) for error, colour in zip(face.errors, COLOURS[1:], strict=False)]
        for first in range(0, len(spans), per_line):
            line = [span for one in spans[first : first + per_line] for span in (("  ", GREY), one)]
            lines.append(line[1:])
    elif face.score is not None:
        lines.append([(shorten(f"score {face.score:.3g}", width, font), GREY)])
    return lines


def _percent(error: float) -> str:
    """A short NME, such as 3.42 %, or why there is none: the truth or the prediction lacks points."""
    if np.isnan(error):
        return "not measured"
    if np.isinf(error):
        return "incomplete"
    return f"{100 * error:.{2 if error < 0.1 else 1 if error < 1 else 0}f} %" if error < 10 else "> 999 %"


def compose_sheet(cells: Sequence[Cell], texts: LegendTexts | None, style: Style) -> np.ndarray:
    """Arrange cells on a white sheet (H, W, 3), row by row. Raises DataError if it would be too large."""
    n_columns, n_rows = _grid(len(cells), style)
    gutter, font = style.gutter, font_of(style.caption_px)
    picture_height, n_lines = len(cells[0].picture), len(cells[0].caption)
    caption_height = n_lines * line_height(font) + style.caption_gap if n_lines else 0
    pitch_x, pitch_y = style.size + gutter, picture_height + caption_height + gutter
    width = gutter + n_columns * pitch_x
    legend = Legend(texts, width - 2 * gutter, style) if style.legend and texts else None
    top = gutter + (legend.height if legend else 0)
    height = top + n_rows * pitch_y
    _check_sides(width, height)
    sheet = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    if legend:
        legend.draw(sheet, gutter, gutter)
    for k, cell in enumerate(cells):
        x, y = gutter + k % n_columns * pitch_x, top + k // n_columns * pitch_y
        sheet.paste(Image.fromarray(cell.picture), (x, y))
        for n, spans in enumerate(cell.caption):
            start = x + (style.size - sum(width_of(text, font) for text, _ in spans)) // 2
            line_y = y + picture_height + style.caption_gap + n * line_height(font)
            write_spans(draw, start, line_y, spans, font)
    return np.asarray(sheet)


def check_room(n_cells: int, style: Style) -> None:
    """Raises DataError if the pictures alone of so many cells would make the sheet too large."""
    n_columns, n_rows = _grid(n_cells, style)
    _check_sides(n_columns * style.size, n_rows * style.size)


def _grid(n_cells: int, style: Style) -> tuple[int, int]:
    """Columns and rows. By default as few rows as possible, filled evenly: 9 cells are 5 and 4, not 8 and 1."""
    least_rows = -(-n_cells // _MOST_COLUMNS)
    n_columns = min(style.columns or -(-n_cells // least_rows), n_cells)
    return n_columns, -(-n_cells // n_columns)


def _check_sides(width: int, height: int) -> None:
    if max(width, height) > _LONGEST_SIDE:
        raise DataError(
            f"the sheet would be over {_LONGEST_SIDE} px a side, with {width} x {height} px",
            "show fewer faces (-n) or smaller ones (--width), or write --each into a folder",
        )
