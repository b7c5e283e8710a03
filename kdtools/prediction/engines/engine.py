"""The interface of engines."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kdtools.model.card import ModelCard


class Engine(Protocol):
    """Predicts points from crops. `predict` may be called from several threads at a time.

    `threads` is the number of cores that one call uses, `batch` a number of crops that is efficient per call, `name` a
    description. `has_confidence` says whether `predict` returns confidence.
    """

    card: ModelCard
    threads: int
    batch: int
    name: str
    has_confidence: bool

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Crops (B, S, S, 3) uint8 RGB -> points (B, L, 2) in unit coordinates and confidence (B, L) in 0..1 or None.

        S is the model's input size; results are float32.
        """
        ...
