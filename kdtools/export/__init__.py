"""Models for other programs and for speed: ONNX (graph) in several precisions, checked against the original (check)."""

from kdtools.export.check import (
    MOST_WORSE,
    N_CALIBRATION,
    N_CHECKED,
    Agreement,
    Sample,
    compare_with_original,
    measure_speed,
    sample_faces,
)
from kdtools.export.graph import export_onnx
from kdtools.export.precision import FLOAT16, FLOAT32, INT8, PRECISIONS

__all__ = [
    "FLOAT16",
    "FLOAT32",
    "INT8",
    "MOST_WORSE",
    "N_CALIBRATION",
    "N_CHECKED",
    "PRECISIONS",
    "Agreement",
    "Sample",
    "compare_with_original",
    "export_onnx",
    "measure_speed",
    "sample_faces",
]
