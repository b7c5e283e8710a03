"""Exports for old and small runtimes: plain operators, the lowest versions, the same answers."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from kdtools import bundled
from kdtools.export.compatible import lower_versions, simplify

MAPS = ["batch", 4, 6, 6]


def model_of(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list[int | str]) -> onnx.ModelProto:
    """A graph of maps (B, 4, 6, 6) in the newest form: opset 20, IR version 10, and a domain that nothing uses."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, MAPS)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("pkg.unused", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def answer_of(model: onnx.ModelProto) -> np.ndarray:
    maps = np.random.default_rng(0).normal(size=(3, 4, 6, 6)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"maps": maps})
    return answer


AXES = np.array([2, 3])
CASES = {
    "mean": (
        [helper.make_node("ReduceMean", ["maps", "axes"], ["answer"], keepdims=0)],
        {"axes": AXES},
        ["batch", 4],
        ["GlobalAveragePool", "Flatten"],
    ),
    "mean that keeps its axes": (
        [helper.make_node("ReduceMean", ["maps", "axes"], ["answer"], noop_with_empty_axes=0)],
        {"axes": AXES - 4},
        ["batch", 4, 1, 1],
        ["GlobalAveragePool"],
    ),
    "sizes": (
        [
            helper.make_node("Shape", ["maps"], ["front"], start=0, end=2),
            helper.make_node("Concat", ["front", "twice"], ["sizes"], axis=0),
            helper.make_node("Resize", ["maps", "", "", "sizes"], ["answer"], antialias=0, mode="nearest"),
        ],
        {"twice": np.array([12, 12])},
        ["batch", 4, 12, 12],
        ["Resize"],
    ),
    "vector": (
        [
            helper.make_node("Reshape", ["maps", "rows"], ["flat"], allowzero=1),
            helper.make_node("MatMul", ["flat", "vector"], ["answer"]),
        ],
        {"rows": np.array([-1, 4, 36]), "vector": np.linspace(-1, 1, 36, dtype=np.float32)},
        ["batch", 4],
        ["Reshape", "MatMul", "Flatten"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_newer_operators_become_older_ones(case: str) -> None:
    nodes, constants, shape, plain = CASES[case]
    model = model_of(nodes, constants, shape)
    before = answer_of(model)
    simplify(model)
    lower_versions(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == plain
    assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (7, [("", 13)])
    np.testing.assert_allclose(answer_of(model), before, atol=1e-6)


@pytest.mark.parametrize(
    ("node", "opset"),
    [
        (helper.make_node("Gelu", ["maps"], ["answer"]), 20),
        (helper.make_node("ReduceMax", ["maps", "axes"], ["answer"], keepdims=1), 18),  # axes were an attribute
        (helper.make_node("HardSwish", ["maps"], ["answer"]), 14),
    ],
)
def test_what_needs_a_newer_opset_keeps_it(node: onnx.NodeProto, opset: int) -> None:
    shape = ["batch", 4, 6, 1] if node.op_type == "ReduceMax" else MAPS
    model = model_of([node], {"axes": np.array([3])}, shape)
    before = answer_of(model)
    lower_versions(model)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", opset)]
    np.testing.assert_array_equal(answer_of(model), before)


def test_bundled_networks_run_in_old_and_small_runtimes() -> None:
    """ONNX Runtime 1.17 reads IR version 9, and OpenCV runs the landmarks of one face at a time."""
    for name in bundled.bundled_names():
        path = str(bundled.export_file(name))
        model = onnx.load(path)
        assert model.ir_version <= 9
        assert {one.domain for one in model.opset_import} == {""}
        size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
        images = np.random.default_rng(0).random((1, 3, size, size), np.float32)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        network = cv2.dnn.readNetFromONNX(path)
        network.setInput(images)
        for ours, theirs in zip(session.run(names, {"images": images}), network.forward(names), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
