"""Drawing landmarks on images, and writing images to files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.landmarks import Scheme

_SMALL_FACE = 48  # px, spread of points whose discs would hide the face


def draw_landmarks(
    image: np.ndarray,
    points: np.ndarray,
    scheme: Scheme,
    colour: tuple[int, int, int] = (60, 255, 60),
) -> np.ndarray:
    """Copy of an image (H, W, 3) with points (L, 2) and the scheme's outlines; NaN points are left out.

    Line widths scale with the spread of the points, and of small faces only the outlines are drawn, and points on none
    of them, so that the face stays visible under them.
    """
    image = np.ascontiguousarray(image).copy()
    known = points[np.isfinite(points).all(axis=-1)]
    if len(known):
        spread = float(np.ptp(known, axis=0).max())
        darker = tuple(int(0.65 * c) for c in colour)
        draw_segments(image, *outline_segments(points, scheme), darker, spread / 160)
        shown = points if spread >= _SMALL_FACE else np.where(_on_lines(points, scheme)[:, None], np.nan, points)
        draw_points(image, shown, colour, max(0.6, spread / 130))
    return image


_FONT, _FONT_HEIGHT = cv2.FONT_HERSHEY_SIMPLEX, 21  # px of a digit at scale 1
_LEAST_DIGIT, _LARGEST_DIGIT = 10, 60  # px


def number_face(image: np.ndarray, points: np.ndarray, number: int, colour: Sequence[int] = (255, 255, 60)) -> None:
    """Write the number of a face with these points (L, 2) above them, inside image (H, W, 3), which is changed."""
    known = points[np.isfinite(points).all(axis=-1)]
    if not len(known):
        return
    low, high = (np.clip(edge, 0, image.shape[1::-1]) for edge in (known.min(axis=0), known.max(axis=0)))
    digit = float(np.clip((high - low).max() / 5, _LEAST_DIGIT, _LARGEST_DIGIT))
    scale, thickness = digit / _FONT_HEIGHT, max(1, round(digit / 8))
    (width, height), _ = cv2.getTextSize(str(number), _FONT, scale, thickness)
    edge = 3 * thickness  # of its dark outline
    x = min(max(edge, (low[0] + high[0] - width) / 2), image.shape[1] - width - edge)
    y = max(low[1] - digit / 2, height + edge)
    at = round(float(x)), round(float(y))
    for tint, width_px in ((25, 25, 25), 3 * thickness), (colour, thickness):
        cv2.putText(image, str(number), at, _FONT, scale, tint, width_px, cv2.LINE_AA)


def _on_lines(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Whether each point (L, 2) is an end of a line that is drawn, (L,) bool."""
    known = np.isfinite(points).all(axis=-1)
    ends = {k for outline in scheme.outlines for pair in pairwise(outline) if known[list(pair)].all() for k in pair}
    return np.isin(np.arange(len(points)), list(ends))


def outline_segments(points: np.ndarray, scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (K, 2) of the lines that join points (L, 2) to the scheme's outlines."""
    pairs = np.array([pair for outline in scheme.outlines for pair in pairwise(outline)], int).reshape(-1, 2)
    return points[pairs[:, 0]], points[pairs[:, 1]]


def draw_segments(
    canvas: np.ndarray, starts: np.ndarray, ends: np.ndarray, colour: Sequence[int], width: float
) -> None:
    """Draw lines from starts (K, 2) to ends (K, 2) on canvas (H, W, 3), without those that have a NaN end.

    Lines are clipped to the canvas first, as OpenCV's integers cannot hold very distant points.
    """
    thickness = max(1, round(width))
    known = np.isfinite(starts).all(axis=-1) & np.isfinite(ends).all(axis=-1)
    starts, ends = np.asarray(starts[known], np.float64), np.asarray(ends[known], np.float64)
    low, high = -2.0 - thickness, np.array(canvas.shape[1::-1]) + 2.0 + thickness
    with np.errstate(divide="ignore", invalid="ignore"):  # lines along an axis
        shares = np.stack([low - starts, high - starts]) / (ends - starts)
    # Where each line enters and leaves, as fractions of its length (Liang and Barsky); fmin and fmax ignore 0 / 0, NaN.
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
    """Draw discs, or rings `ring` px wide, at points (L, 2) on canvas (H, W, 3); NaN points are left out."""
    thickness = cv2.FILLED if ring is None else max(1, round(ring))
    reach = radius + max(thickness, 0) + 1
    inside = (points > -reach).all(axis=-1) & (points < np.array(canvas.shape[1::-1]) + reach).all(axis=-1)
    for x, y in points[inside]:  # NaN is not inside
        at = round(16 * float(x)), round(16 * float(y))
        cv2.circle(canvas, at, round(16 * radius), colour, thickness, cv2.LINE_AA, shift=4)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB in the format of the suffix. Raises FileError if the image cannot be encoded."""
    done, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise FileError(f"{path}: cannot encode an image of this kind", "use .png or .jpg")
    path.write_bytes(data.tobytes())


def write_image_at(path: Path, image: np.ndarray) -> None:
    """As `write_image`, and creates missing folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
