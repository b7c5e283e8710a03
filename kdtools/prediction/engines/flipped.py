"""Average over each crop and its mirror image (flip test): lower error, half the speed."""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError
from kdtools.prediction.engines.engine import Engine

_MIRROR_X = np.array([-1, 1], np.float32)  # unit coordinates are 0 in the middle


class FlippedEngine:
    """Averages the predictions of another engine. Raises DataError if the model's scheme has no mirror map."""

    def __init__(self, engine: Engine) -> None:
        scheme = engine.card.scheme
        if scheme.mirror is None:
            raise DataError(
                f"the points of the model, {scheme.name}, have no mirror map, which --flip needs", "leave --flip out"
            )
        self.card, self.threads, self.batch = engine.card, engine.threads, engine.batch
        self.name, self.has_confidence = f"{engine.name}, flipped too", engine.has_confidence
        self._engine, self._mirror = engine, np.array(scheme.mirror)

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        points, confidence = self._engine.predict(crops)
        flipped, flipped_confidence = self._engine.predict(crops[:, :, ::-1])
        points = (points + flipped[:, self._mirror] * _MIRROR_X) / 2
        if confidence is not None and flipped_confidence is not None:
            confidence = (confidence + flipped_confidence[:, self._mirror]) / 2
        return points, confidence
