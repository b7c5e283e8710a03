"""What every engine answers to."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kdtools.cards import ModelCard


class Engine(Protocol):
    """Turns crops into points. `predict` may be called from several threads at a time.

    `threads` is how many cores one call keeps busy; `batch` a number of crops at which a call is about as fast, per
    crop, as it gets; `name` says in words what runs.
    """

    card: ModelCard
    threads: int
    batch: int
    name: str

    def predict(self, crops: np.ndarray) -> np.ndarray:
        """Crops (B, S, S, 3) uint8 RGB of the model's input size -> points (B, L, 2) float32, unit coordinates."""
        ...
