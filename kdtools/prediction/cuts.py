"""Where one scene of a video ends and the next begins."""

from __future__ import annotations

import cv2
import numpy as np

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
