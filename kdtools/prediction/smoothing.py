"""Points that tremble from frame to frame made steady, without lagging behind what moves: the One-Euro filter.

Source: Casiez, Roussel and Vogel, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

MIN_CUTOFF = 1.0  # Hz, of a face that does not move: what trembles faster is smoothed away
SPEED_CUTOFF = 1.0  # Hz, of the filter of the speed
# Hz per face's size and second. A point at any steady speed lags by less than 1 / (2 pi BETA) of a face: 0.8 %.
BETA = 20.0
_USUAL_STEP = 1 / 30  # s, for frames whose times do not grow


class OneEuro:
    """Smooths the points of one face, frame after frame.

    A low-pass filter whose cutoff grows with the speed of each point: MIN_CUTOFF + BETA * speed. Speed is counted in
    sizes of the face, so a face is smoothed alike from near and from far, and it is that of the point, not of x and y
    each, so the result turns with the face.
    """

    def __init__(self) -> None:
        self._time, self._step = math.nan, _USUAL_STEP
        self._points: np.ndarray | None = None
        self._speed = np.zeros(0)

    def smooth(self, points: np.ndarray, time: float) -> np.ndarray:
        """Points (L, 2) in pixels at a time in seconds -> smoothed (L, 2). The first, or lost ones (NaN), come back."""
        if self._points is None or not (np.isfinite(points).all() and np.isfinite(self._points).all()):
            self._points, self._speed = points, np.zeros_like(points)
        else:
            step = time - self._time
            self._step = step if step > 0 else self._step
            size = max(float(np.ptp(points, axis=0).max()), 1e-9)
            speed = (points - self._points) / (size * self._step)  # (L, 2), faces per second
            self._speed = self._speed + _share(SPEED_CUTOFF, self._step) * (speed - self._speed)
            cutoff = MIN_CUTOFF + BETA * np.linalg.norm(self._speed, axis=1, keepdims=True)
            self._points = self._points + _share(cutoff, self._step) * (points - self._points)
        self._time = time
        return self._points


def _share(cutoff: np.ndarray | float, step: float) -> np.ndarray:
    """How much of a new value counts, for a cutoff in Hz and a step in seconds (alpha in the paper's equation 3)."""
    return 1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * step))


_WIDTH, _HEIGHT = 32, 18
# Mean difference to the frame before, in standard deviations of the grey levels: between two scenes it is about 1, a
# camera that is swung round reaches 0.3.
_CUT = 0.5
_NOISE = 2.0  # grey levels; what differs by less is a plain frame's noise


class Cuts:
    """Tells for each frame of a video, in order, whether a new scene begins with it."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def begins(self, image: np.ndarray) -> bool:
        """Whether the scene of this frame (H, W, 3) RGB is another than that of the frame before; the first is none."""
        small = cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
        now = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float64)
        last, self._last = self._last, now
        if last is None:
            return False
        contrast = np.sqrt((now.var() + last.var()) / 2)
        return bool(np.abs(now - last).mean() > max(_CUT * contrast, _NOISE))
