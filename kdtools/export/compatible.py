"""Graphs for old and small runtimes: plain operators, and the lowest versions of ONNX that carry them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LOWEST_OPSET = 13  # the first with int8 scales for each channel; of 2020
# Attributes of newer opsets with values that mean what older ones do without them.
_NEEDLESS: dict[str, dict[str, Any]] = {
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
    "ReduceSum": {"noop_with_empty_axes": 0},
    "ReduceMean": {"noop_with_empty_axes": 0},
    "Reshape": {"allowzero": 0},
}


def simplify(model: onnx.ModelProto) -> None:
    """Writes what newer operators do by older ones, with the same results.

    A mean over the whole map becomes GlobalAveragePool, with Flatten where it loses its axes; the sizes of a Resize
    become scales, so that nothing is computed from the shape of the batch; a product with a vector becomes one with a
    column, which OpenCV computes as ONNX means it.
    """
    graph = model.graph
    del graph.value_info[:]  # which runtimes find out, and a conversion to float16 leaves with the types before it
    shapes = _shapes_of(model)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "ReduceMean" and _is_over_the_map(node, constants):
            nodes += _pool(node)
            continue
        if node.op_type == "MatMul" and _is_times_vector(node, shapes, constants):
            nodes += _times_column(node, constants[node.input[1]], graph)
            continue
        if node.op_type == "Resize":
            _scale_by_constant(node, shapes, graph)
        if node.op_type == "Reshape" and 0 not in constants.get(node.input[1], np.zeros(1)):
            _remove_attributes(node, {"allowzero": 1})
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    _remove_unused(graph)


def lower_versions(model: onnx.ModelProto) -> None:
    """States the lowest opset and IR version that have all operators of the graph; removes unused domains."""
    for node in _nodes_of(model.graph):
        _remove_attributes(node, _NEEDLESS.get(node.op_type, {}))
    used = {node.domain for node in _nodes_of(model.graph)}
    versions = {one.domain: one.version for one in model.opset_import if one.domain in used or not one.domain}
    if not model.functions:
        stated = versions[""]
        fitting = (version for version in range(_LOWEST_OPSET, stated) if _has_all(model.graph, version, stated))
        versions[""] = next(fitting, stated)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*item) for item in versions.items())
    model.ir_version = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)


def _has_all(graph: onnx.GraphProto, opset: int, stated: int) -> bool:
    """Whether an opset has each node of a graph of opset `stated` in the form that it has there."""
    return all(_has(node, opset, stated) for node in _nodes_of(graph) if not node.domain)


def _has(node: onnx.NodeProto, opset: int, stated: int) -> bool:
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return False
    present = onnx.defs.get_schema(node.op_type, stated)
    if present.since_version == schema.since_version:
        return True
    return (
        len(node.input) <= schema.max_input
        and len(node.output) <= schema.max_output
        and all(attribute.name in schema.attributes for attribute in node.attribute)
        # An input that was an attribute before, or the other way round, such as axes.
        and [one.name for one in schema.inputs] == [one.name for one in present.inputs]
    )


def _nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, also those of graphs within."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _nodes_of(inner)


def _shapes_of(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of the values in a graph; 0 stands for a side that is not constant."""
    # Sizes that are computed from the shape of another map are known only by following the values of shapes.
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _is_over_the_map(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> bool:
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    axes = attributes.get("axes")
    if len(node.input) > 1:
        axes = constants.get(node.input[1])
    return axes is not None and sorted(np.ravel(axes).tolist()) in ([2, 3], [-2, -1])


def _pool(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The mean over height and width of a map (B, C, H, W)."""
    keeps = next((one.i for one in node.attribute if one.name == "keepdims"), 1)
    if keeps:
        return [helper.make_node("GlobalAveragePool", node.input[:1], node.output, node.name)]
    pooled = f"{node.output[0]}_pooled"
    return [
        helper.make_node("GlobalAveragePool", node.input[:1], [pooled], f"{node.name}_pool"),
        helper.make_node("Flatten", [pooled], node.output, node.name, axis=1),
    ]


def _scale_by_constant(node: onnx.NodeProto, shapes: dict[str, list[int]], graph: onnx.GraphProto) -> None:
    """Replaces the sizes of a Resize of maps (B, C, H, W) by scales, where they are known and the same for all."""
    before, after = (shapes.get(name, []) for name in (node.input[0], node.output[0]))
    if len(node.input) < 4 or len(before) != 4 or len(after) != 4 or not all((*before[2:], *after[2:])):
        return
    scales = [_scale_of(*sides) for sides in zip(before[2:], after[2:], strict=True)]
    if None in scales:
        return
    name = f"{node.output[0]}_scales"
    graph.initializer.append(numpy_helper.from_array(np.array([1, 1, *scales], np.float32), name))
    del node.input[2:]
    node.input.append(name)


def _scale_of(before: int, after: int) -> np.float32 | None:
    """The scale by which `before` cells become `after`, each that of the nearest one before it; None if there is none.

    Runtimes take floor(before * scale) cells, so a quotient that float32 rounds down, as 13 / 7, would give one too
    few: then it is the next larger number, if cells still come from the same ones.
    """
    cells = np.arange(after)
    scale = np.float32(after / before)
    for one in (scale, np.nextafter(scale, np.float32(np.inf))):
        sizes = [np.floor(before * float(one)), np.floor(np.float32(before) * one)]
        narrow = cells.astype(np.float32)
        sources = np.floor(np.stack([cells / float(one), narrow / one, narrow * (1 / one)]))
        if sizes == [after, after] and (sources == cells * before // after).all():
            return one
    return None


def _is_times_vector(node: onnx.NodeProto, shapes: dict[str, list[int]], constants: dict[str, np.ndarray]) -> bool:
    """Whether a node multiplies values (B, L, N) with a constant vector (N,)."""
    vector = constants.get(node.input[1])
    return vector is not None and vector.ndim == 1 and len(shapes.get(node.input[0], [])) == 3


def _times_column(node: onnx.NodeProto, vector: np.ndarray, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    column, product = f"{node.output[0]}_column", f"{node.output[0]}_product"
    graph.initializer.append(numpy_helper.from_array(vector[:, None], column))
    return [
        helper.make_node("MatMul", [node.input[0], column], [product], f"{node.name}_product"),
        helper.make_node("Flatten", [product], node.output, node.name, axis=1),
    ]


def _remove_attributes(node: onnx.NodeProto, needless: dict[str, Any]) -> None:
    """Removes the attributes that have these values."""
    values = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    kept = [one for one in node.attribute if one.name not in needless or needless[one.name] != values[one.name]]
    del node.attribute[:]
    node.attribute.extend(kept)


def _remove_unused(graph: onnx.GraphProto) -> None:
    """Removes nodes and constants whose results nothing reads."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):  # which are in topological order
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    needed.update(name for one in _nodes_of(inner) for name in one.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    used = [constant for constant in graph.initializer if constant.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)
