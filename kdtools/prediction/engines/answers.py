"""What a model answers: checked once before it is used, and each answer after that."""

from __future__ import annotations

import numpy as np

from kdtools.errors import FileError
from kdtools.prediction.engines.engine import Engine

_FARTHEST = 1000.0  # sides of the crop; no face lies there
_MOST_MIXED = 0.1  # of the difference between two pictures' answers; some quantisation depends a little on the batch
_ROUNDING = 1e-3  # sides of the crop

_HINT = "it is damaged, or was not made for kdtools: train or export it again"


def probe_engine(engine: Engine, name: str, *, own_graph: bool = False) -> None:
    """Raises FileError for a model whose answers cannot be those of a landmark network.

    Two pictures are predicted together, and one of them alone: points must be those of the picture, whatever its place
    in a batch, and differ between the pictures. Of a network whose graph is kdtools' `own_graph` only the latter is
    in question.
    """
    pictures = _pictures(engine.card.input_size)
    (first, second), _ = engine.predict(pictures)
    alone = second if own_graph else engine.predict(pictures[1:])[0][0]
    if np.array_equal(first, second) and np.array_equal(second, alone):
        raise FileError(f"{name}: gives the same points for different pictures", _HINT)
    difference = float(np.abs(second - alone).max())
    if difference > max(_ROUNDING, _MOST_MIXED * float(np.abs(first - alone).max())):
        raise FileError(f"{name}: its points of a picture depend on the others in the batch", _HINT)


def _pictures(size: int) -> np.ndarray:
    """Two different pictures (2, S, S, 3) uint8, the same ones each time: coarse noise, the second one darker."""
    cells = np.arange(2 * 16 * 16 * 3, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(24)
    noise = cells.astype(np.uint8).reshape(2, 16, 16, 3)
    noise[1] //= 2
    which = np.arange(size) * 16 // size
    pictures: np.ndarray = noise[:, which][:, :, which]
    return pictures


def check_answers(points: np.ndarray, confidence: np.ndarray | None, n_crops: int, n_points: int, name: str) -> None:
    """Raises FileError unless `points` are (B, L, 2) and `confidence` (B, L), of the crops, and plain numbers."""
    if points.shape != (n_crops, n_points, 2):
        raise FileError(
            f"{name}: gives points of shape {points.shape} for {n_crops} crops, not {(n_crops, n_points, 2)}", _HINT
        )
    if not np.abs(points).max(initial=0) <= _FARTHEST:  # false for NaN
        odd = int((~(np.abs(points) <= _FARTHEST)).any(axis=(1, 2)).sum())
        raise FileError(f"{name}: gives points that are not numbers, or far away, for {odd} of {n_crops} crops", _HINT)
    if confidence is None:
        return
    if confidence.shape != (n_crops, n_points):
        raise FileError(f"{name}: gives confidence of shape {confidence.shape}, not {(n_crops, n_points)}", _HINT)
    if not np.isfinite(confidence).all():
        raise FileError(f"{name}: gives confidence that is not a number", _HINT)
