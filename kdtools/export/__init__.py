"""Models for other programs and for speed: ONNX, checked against the original."""

from kdtools.export.check import Agreement, check_inputs, compare_with_original
from kdtools.export.graph import export_onnx

__all__ = ["Agreement", "check_inputs", "compare_with_original", "export_onnx"]
