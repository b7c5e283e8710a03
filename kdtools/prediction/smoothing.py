"""Smoothing of the points in a video by the One-Euro filter, and detection of cuts.

Source: Casiez, Roussel and Vogel, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

MIN_CUTOFF = 1.0  # Hz, for a face at rest
SPEED_CUTOFF = 1.0  # Hz, of the filter of the speed
# Hz per face size and second. At constant speed a point lags by less than 1 / (2 pi BETA) of the face size: 0.8 %.
BETA = 20.0
_USUAL_STEP = 1 / 30  # s, for frames whose times do not increase


class OneEuro:
    """Smooths the points of one face, frame after frame.

    A low-pass filter with cutoff MIN_CUTOFF + BETA * speed for each point. Speed is in face sizes per second, so it
    does not depend on the distance, and is that of the point rather than of x and y, so it does not depend on rotation.
    """

    def __init__(self) -> None:
        self._time, self._step = math.nan, _USUAL_STEP
        self._points: np.ndarray | None = None
        self._speed = np.zeros(0)

    def smooth(self, points: np.ndarray, time: float) -> np.ndarray:
        """Points (L, 2) in pixels at a time in seconds -> smoothed (L, 2). The filter restarts after NaN."""
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
    """Weight of a new value for a cutoff in Hz and a step in seconds (alpha in equation 3 of the paper)."""
    return 1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * step))


_WIDTH, _HEIGHT = 32, 18
# Mean difference from the frame before, in standard deviations of the grey levels: about 1 between two scenes, at most
# 0.3 in a fast pan.
_CUT = 0.5
_NOISE = 2.0  # grey levels; smaller differences are noise


class Cuts:
    """Detects cuts in the frames of a video."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def begins(self, image: np.ndarray) -> bool:
        """Whether a new scene begins with this frame (H, W, 3) RGB, the next in order; False for the first frame."""
        small = cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
        now = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float64)
        last, self._last = self._last, now
        if last is None:
            return False
        contrast = np.sqrt((now.var() + last.var()) / 2)
        return bool(np.abs(now - last).mean() > max(_CUT * contrast, _NOISE))
