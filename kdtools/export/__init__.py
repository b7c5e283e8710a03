"""Export of networks to ONNX in several precisions and to TensorFlow Lite, checked against the original."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["float32", "float16", "int8"]
FLOAT32, FLOAT16, INT8 = PRECISIONS = get_args(Precision)
