"""Exported graphs in fewer bits: float16, and int8 calibrated on faces.

In both the head stays in float32. It is a small share of the work, and a coordinate in so few bits would be known to a
share of a pixel at best; so do the input and the output, so that every export is called alike.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from kdtools.onnx_session import INPUT

_HEAD = "network.head."  # what the names of the head's weights begin with (LandmarkNet.head, in graph.py's wrapper)
# The layers that hold nearly all of the work. Between two of them a number stays in 8 bits only if what lies between
# works in 8 bits too; others would be brought to float and back.
_IN_8_BITS = ["Conv", "Gemm", "MatMul", "Add", "Clip", "Relu"]
_AT_ONCE = 8  # faces in a step of the calibration, which keeps all maps of a step


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weights and maps in float16, but for its head, input and output."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of each weight that is rounded to the nearest number there is
        half = convert_float_to_float16(
            copy.deepcopy(model), keep_io_types=True, node_block_list=[node.name for node in head_nodes(model)]
        )
    OnnxModel(half).topological_sort(is_deterministic=True)  # the conversions were put at the end
    return half


def to_int8(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """The same graph with the layers before its head in int8, by ranges seen on images (N, 3, S, S) in [0, 1].

    Weights are int8, with a scale for each channel; maps are uint8, which is what Intel's and AMD's instructions
    multiply with int8. Layers are marked by pairs of QuantizeLinear and DequantizeLinear, which runtimes fuse.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="kdtools-") as folder, _quiet():
        plain, prepared, quantised = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "quantised"))
        onnx.save(model, plain)
        quant_pre_process(plain, prepared)
        quantize_static(
            prepared,
            quantised,
            _Calibration(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_IN_8_BITS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=[node.name for node in head_nodes(onnx.load(prepared))],
        )
        return onnx.load(quantised)


def head_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes from the first that uses a weight of the head on; nodes stand in the order of their computation."""
    nodes = list(model.graph.node)
    uses_head = (k for k, node in enumerate(nodes) if any(name.startswith(_HEAD) for name in node.input))
    return nodes[next(uses_head, len(nodes)) :]


class _Calibration:
    """Images in steps, as ONNX Runtime's calibration asks for them."""

    def __init__(self, images: np.ndarray) -> None:
        self._steps: Iterator[dict[str, Any]] = (
            {INPUT: images[first : first + _AT_ONCE]} for first in range(0, len(images), _AT_ONCE)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._steps, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser logs to the root logger what it could do better; it has been done."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
