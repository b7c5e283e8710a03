"""What every engine answers to."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kdtools.model.card import ModelCard


class Engine(Protocol):
    """Turns crops into points. `predict` may be called from several threads at a time.

    `threads` is how many cores one call keeps busy; `batch` a number of crops at which a call is about as fast, per
    crop, as it gets; `name` says in words what runs; `has_confidence` whether it says how sure it is of each point.
    """

    card: ModelCard
    threads: int
    batch: int
    name: str
    has_confidence: bool

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Crops (B, S, S, 3) uint8 RGB of the model's input size -> points (B, L, 2) float32, unit coordinates, and
        confidence (B, L) float32 in 0..1, None where there is none."""
        ...
