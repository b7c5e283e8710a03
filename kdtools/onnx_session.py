"""Exported networks in ONNX Runtime: opened and run on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import FileError

INPUT, OUTPUT = "images", "landmarks"  # of an exported model
CONFIDENCE = "confidence"  # a second output, of networks with heatmaps


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
