"""ONNX Runtime on a CPU, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdtools.model.card import read_card
from kdtools.onnx_session import CONFIDENCE, INPUT, OUTPUT, open_session, run_session

_BATCH = 16  # larger batches are no faster per crop, and their feature maps no longer fit into the CPU's caches


class OnnxEngine:
    """An exported model on `threads` cores. Raises FileError for another file."""

    def __init__(self, path: Path, threads: int) -> None:
        self.card, _ = read_card(path)
        self.threads, self.batch = threads, _BATCH
        self.name = f"ONNX Runtime, {threads} threads" if threads > 1 else "ONNX Runtime, 1 thread"
        self._session = open_session(path, threads)
        self.has_confidence = CONFIDENCE in {output.name for output in self._session.get_outputs()}

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        # numpy and ONNX Runtime both release the global interpreter lock.
        size = self.card.input_size
        images = np.empty((len(crops), 3, size, size), np.float32)
        np.multiply(crops.transpose(0, 3, 1, 2), np.float32(1 / 255), out=images)
        if not self.has_confidence:
            return run_session(self._session, images), None
        points, confidence = self._session.run([OUTPUT, CONFIDENCE], {INPUT: images})
        return points, confidence
