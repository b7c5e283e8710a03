"""Export of a network as an ONNX graph, colour normalisation included."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from kdtools.errors import DataError
from kdtools.export import FLOAT16, FLOAT32, INT8
from kdtools.export.compatible import lower_versions, simplify
from kdtools.export.quantisation import to_float16, to_int8
from kdtools.model.card import METADATA
from kdtools.model.network import LandmarkNet
from kdtools.onnx_session import CONFIDENCE, INPUT, OUTPUT

_OPSET = 18  # the lowest that the exporter writes by itself


def export_onnx(
    network: LandmarkNet,
    path: Path,
    fields: dict[str, Any],
    precision: str = FLOAT32,
    calibration: np.ndarray | None = None,
) -> None:
    """Write `path`: images (B, 3, S, S) float32 RGB in [0, 1] -> landmarks (B, L, 2) in unit coordinates, any B.

    A network with heatmaps has a second output, confidence (B, L) in 0..1. `fields`, the description in the model file,
    and the precision are stored in its metadata. int8 needs `calibration`, images like the input. Raises DataError for
    a network that cannot be expressed in ONNX.
    """
    model = _graph_of(network)
    if precision == INT8:
        assert calibration is not None  # the command asks for it
        model = to_int8(model, calibration)  # first: the quantiser does not know the shapes behind a Resize by scales
    simplify(model)
    if precision == FLOAT16:
        model = to_float16(model)
    lower_versions(model)
    described = {**fields, "precision": precision}
    onnx.helper.set_model_props(model, {METADATA: json.dumps(described, sort_keys=True)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


class Answers(nn.Module):
    """A network that returns points, and confidence if it has heatmaps."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        points, confidence = self.network.points_and_confidence(images)
        return (points,) if confidence is None else (points, confidence)


def _graph_of(network: LandmarkNet) -> onnx.ModelProto:
    answers = Answers(network.cpu().eval()).eval()
    example = torch.zeros(2, 3, network.card.input_size, network.card.input_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about internals of the exporter
        try:
            program = torch.onnx.export(
                answers,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT, CONFIDENCE][: len(answers(example))],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=_OPSET,
                verbose=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{network.card.arch} cannot be written as ONNX: {reason}", "try another --arch") from error
    assert program is not None
    model = program.model_proto
    _strip_origins(model.graph)
    for function in model.functions:
        _strip_origins(function)
    return model


def _strip_origins(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    """Remove stack traces and names of PyTorch internals, so that an export does not depend on where kdtools lies."""
    values = (*graph.input, *graph.output, *graph.initializer) if isinstance(graph, onnx.GraphProto) else ()
    for part in (graph, *graph.node, *values, *graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _strip_origins(inner)
