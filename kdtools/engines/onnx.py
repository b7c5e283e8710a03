"""ONNX Runtime on a CPU: runs whatever kd-export writes, and starts without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import FileError
from kdtools.model.card import CONFIDENCE, INPUT, OUTPUT, read_card

# The network of a crop keeps a core busy by itself: beyond some crops a call is only larger, not faster, and the maps
# of a large batch no longer fit into the caches.
_BATCH = 16


class OnnxEngine:
    """An exported model, on `threads` cores. Raises FileError for a file that is none."""

    def __init__(self, path: Path, threads: int) -> None:
        self.card, _ = read_card(path)
        self.threads, self.batch = threads, _BATCH
        self.name = f"ONNX Runtime, {threads} threads" if threads > 1 else "ONNX Runtime, 1 thread"
        self._session = open_session(path, threads)
        self.has_confidence = CONFIDENCE in {output.name for output in self._session.get_outputs()}

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """As `Engine.predict`; numpy and ONNX Runtime both work outside Python's lock."""
        size = self.card.input_size
        images = np.empty((len(crops), 3, size, size), np.float32)
        np.multiply(crops.transpose(0, 3, 1, 2), np.float32(1 / 255), out=images)
        if not self.has_confidence:
            return run_session(self._session, images), None
        points, confidence = self._session.run([OUTPUT, CONFIDENCE], {INPUT: images})
        return points, confidence


def open_session(path: Path, threads: int) -> Any:
    """A session of ONNX Runtime on so many cores; 0 is all. Raises FileError where the file cannot be run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; they are raised as well
    # Its threads wait for the next call by spinning, on cores that others could use to decode the next images.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    model: Any = str(path)
    try:
        model.encode()
    except UnicodeEncodeError:  # a name that ONNX Runtime does not take, on Unix any bytes but 0 and /
        model = path.read_bytes()
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own but Exception
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: ONNX Runtime cannot run it: {reason}", "make it again with kd-export") from error


def run_session(session: Any, images: np.ndarray, output: str = OUTPUT) -> np.ndarray:
    """Images (B, 3, S, S) float32 RGB in [0, 1] -> points (B, L, 2) float32, or another output."""
    (answer,) = session.run([output], {INPUT: images})
    return answer
