"""Conversion of exported graphs to float16, and to int8 calibrated on faces.

The head stays in float32, since few bits would limit the precision of coordinates; so do input and output, so that all
exports have the same interface.
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

_HEAD = "network.head."  # prefix of the head's weights (LandmarkNet.head, in graph.py's wrapper)
# The layers with nearly all of the work, and those between them, which would need conversions to float and back.
_IN_8_BITS = ["Conv", "Gemm", "MatMul", "Add", "Clip", "Relu"]
_N_FIRST_IN_FLOAT = 3  # convolutions: in few bits the first block of a MobileNetV2 costs more than all others
_AT_ONCE = 8  # faces per calibration step, which keeps all its feature maps in memory


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with weights and feature maps in float16, except for its head, input and output."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about each weight that is rounded
        half = convert_float_to_float16(
            copy.deepcopy(model), keep_io_types=True, node_block_list=[node.name for node in head_nodes(model)]
        )
    OnnxModel(half).topological_sort(is_deterministic=True)  # the converter appends its casts at the end
    return half


def to_int8(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """The graph with all between its first block and its head in int8, calibrated on images (N, 3, S, S) in [0, 1].

    Weights are int8 with a scale per channel, feature maps uint8, as x86 instructions multiply them. Weights use 7 of
    the 8 bits, since processors without VNNI add two products in 16 bits, which would saturate: so points are the same
    on all. Layers are marked by QuantizeLinear and DequantizeLinear pairs, which runtimes fuse.
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
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=[node.name for node in _nodes_in_float(onnx.load(prepared))],
        )
        return onnx.load(quantised)


def _nodes_in_float(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Those up to the last of the first convolutions, and those of the head."""
    nodes = list(model.graph.node)
    convolutions = [k for k, node in enumerate(nodes) if node.op_type == "Conv"][:_N_FIRST_IN_FLOAT]
    return nodes[: max(convolutions, default=-1) + 1] + head_nodes(model)


def head_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes from the first that uses a weight of the head; nodes are in topological order."""
    nodes = list(model.graph.node)
    uses_head = (k for k, node in enumerate(nodes) if any(name.startswith(_HEAD) for name in node.input))
    return nodes[next(uses_head, len(nodes)) :]


class _Calibration:
    """Calibration data reader for ONNX Runtime."""

    def __init__(self, images: np.ndarray) -> None:
        self._steps: Iterator[dict[str, Any]] = (
            {INPUT: images[first : first + _AT_ONCE]} for first in range(0, len(images), _AT_ONCE)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._steps, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the quantiser's advice on the root logger to preprocess the model, which is done."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
