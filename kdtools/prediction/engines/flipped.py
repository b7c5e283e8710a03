"""Each crop and its mirror image: two answers of one network, whose mean errs less than either."""

from __future__ import annotations

import numpy as np

from kdtools.errors import DataError
from kdtools.prediction.engines.engine import Engine

_TURNED = np.array([-1, 1], np.float32)


class FlippedEngine:
    """Another engine asked twice, known in the field as flip test. Raises DataError where the model's scheme does not
    say which points change places in a mirror image."""

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
        """As `Engine.predict`: the means of both answers."""
        points, confidence = self._engine.predict(crops)
        flipped, flipped_confidence = self._engine.predict(crops[:, :, ::-1])
        # Unit coordinates are 0 in the middle, so a mirror changes the sign of x.
        points = (points + flipped[:, self._mirror] * _TURNED) / 2
        if confidence is not None and flipped_confidence is not None:
            confidence = (confidence + flipped_confidence[:, self._mirror]) / 2
        return points, confidence
