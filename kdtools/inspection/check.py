"""Checks the contents of a file: reads all arrays and reports each fault in one line."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kdtools.errors import DataError, FileError, KdError, some_of
from kdtools.faces.detector import detector_of
from kdtools.faces.file import FacesFile
from kdtools.faces.lineage import lineage_of_faces
from kdtools.faces.schema import ROLES
from kdtools.inspection.describe import BLOCK_FACES, blocks_of, describe_weights, shapes_of
from kdtools.inspection.history import provenance_of
from kdtools.inspection.open import Opened, Weights
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import conventions_from_json
from kdtools.landmarks.geometry import has_area
from kdtools.model.card import layers_of_fields
from kdtools.onnx_session import CONFIDENCE
from kdtools.reporting import counted
from kdtools.storage.onnx_guard import check_onnx

# How far outside its crop or box a point may lie, in sides of it. Predictions may leave the crop; points in other
# units, or of another image, are farther away.
_ROOM = 1.0
_LARGEST_PX = 1e6
_END_ROWS = 64  # read at both ends of uncompressed images: any bytes are pixels, but a file may be truncated
_FLOATS = ("F64", "F32", "F16")


def check_file(opened: Opened) -> Iterator[str]:
    """Messages on every fault of a file that could be opened; none if it is valid."""
    content = opened.content
    yield from _error_of(lambda: provenance_of(opened.attributes, opened.name), opened.name)
    if isinstance(content, FacesFile):
        yield from _faces_faults(content)
        return
    damage = list(_error_of(lambda: describe_weights(content), opened.name))
    yield from damage or _weights_faults(content)


def _error_of(read: Callable[[], object], name: str) -> Iterator[str]:
    """The message of the error that reading a part of a file raises, if any."""
    try:
        read()
    except KdError as error:
        yield error.message.removeprefix(f"{name}: ").removeprefix(f"{name}:")


# ---- faces files
def _faces_faults(faces: FacesFile) -> Iterator[str]:
    try:
        ids = faces.ids
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        yield f"/id: cannot be read: {error}"
        return
    if not ids:
        yield "/id: no faces"
        return
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = list(dict.fromkeys(name for name in ids if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
        yield f"/id: {counted(len(twice), 'id occurs', 'ids occur')} more than once: {some_of(twice)}"
    if "" in ids:
        yield f"/id: row {ids.index('')} has no name"
    yield from _error_of(lambda: faces.crop, faces.name)
    yield from _error_of(lambda: faces.conventions, faces.name)
    yield from _error_of(lambda: faces.put_back, faces.name)
    yield from _error_of(lambda: lineage_of_faces(faces), faces.name)
    yield from _error_of(lambda: detector_of(faces), faces.name)
    for name, test, what in (
        ("landmarks", _half_missing, "have points that are infinite, or NaN in one coordinate alone"),
        ("box", _bad_boxes, "have a box that is not finite or has no area"),
        ("to_source", _bad_maps, "have a map that is not finite or cannot be inverted"),
        ("visible", _not_flags, "have other values than 0 and 1"),
        ("score", np.isinf, "have an infinite value"),
        ("confidence", lambda block: np.isinf(block).any(axis=1), "have an infinite value"),
    ):
        if name in faces:
            yield from _array_faults(faces.stored(name), name, test, what, ids)
    for name in faces.subsets:
        yield from _array_faults(
            faces.stored(f"subset/{name}"), f"subset/{name}", _not_flags, "are neither 0 nor 1", ids
        )
    if faces.has_images:
        yield from _image_faults(faces)
    if "landmarks" in faces:
        if faces.role not in ROLES:
            yield f"/landmarks: its role is {faces.role!r}, not one of {', '.join(ROLES)}"
        yield from _error_of(lambda: faces.scheme, faces.name)
        with contextlib.suppress(OSError, RuntimeError, FileError):  # reported above
            yield from _place_faults(faces, ids)
    if "shape_model/mean" in faces:
        yield from _error_of(lambda: faces.shape_model, faces.name)
        for part in ("mean", "modes", "variance"):
            if f"shape_model/{part}" in faces and not np.isfinite(faces.h5[f"shape_model/{part}"][...]).all():
                yield f"/shape_model/{part}: has values that are not finite"


def _array_faults(array: Any, name: str, test: Any, what: str, ids: list[str]) -> Iterator[str]:
    """A line on the faces for which `test`, applied to blocks of rows, is true; or why the array cannot be read."""
    bad: list[str] = []
    first = 0
    try:
        for block in blocks_of(array):
            bad += [ids[first + int(row)] for row in np.flatnonzero(test(block))]
            first += len(block)
    except (OSError, RuntimeError, FileError) as error:
        yield f"/{name}: cannot be read: {error}"
    if bad:
        yield f"/{name}: {len(bad)} of {len(ids)} faces {what}: {some_of(bad)}"


def _half_missing(points: np.ndarray) -> np.ndarray:
    missing = np.isnan(points)
    return (np.isinf(points).any(axis=2) | (missing[..., 0] != missing[..., 1])).any(axis=1)


def _bad_boxes(boxes: np.ndarray) -> np.ndarray:
    finite = np.isfinite(boxes).all(axis=1)
    return ~(finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def _bad_maps(maps: np.ndarray) -> np.ndarray:
    return ~has_area(maps)


def _not_flags(flags: np.ndarray) -> np.ndarray:
    wrong = (flags != 0) & (flags != 1)
    return wrong if wrong.ndim == 1 else wrong.any(axis=1)


def _image_faults(faces: FacesFile) -> Iterator[str]:
    """Reads all compressed images; of uncompressed ones both ends, which shows that the file is not truncated."""
    images = faces.images
    step = max(1, BLOCK_FACES * 1024 // math.prod(images.shape[1:]))
    if not images.is_packed:
        firsts: Any = {0, max(0, len(images) - _END_ROWS)}
        step = _END_ROWS
    else:
        firsts, images = range(0, len(images), step), faces.images
    for first in sorted(firsts):
        try:
            images[first : first + step]
        except (OSError, RuntimeError, DataError, FileError) as error:
            fault = str(error).removeprefix(f"{faces.name}:/image: ")
            yield f"/image: rows from {first} on cannot be read: {fault}"
            return


def _place_faults(faces: FacesFile, ids: list[str]) -> Iterator[str]:
    """Faces whose points lie far from their crop, or from their box if the file has no images."""
    array, far, n_known = faces.stored("landmarks"), list[str](), 0
    for first in range(0, len(ids), BLOCK_FACES):
        points = np.asarray(array[first : first + BLOCK_FACES], np.float64)
        n_known += int(np.isfinite(points).all(axis=2).sum())
        low, high = _bounds(faces, first, len(points))
        off = (points < low[:, None]) | (points > high[:, None])  # (B, L, 2); NaN is never off
        outside = (off & np.isfinite(points)).any(axis=(1, 2))  # infinite ones are reported above
        far += [ids[first + int(row)] for row in np.flatnonzero(outside)]
    if far:
        place = "crop" if faces.has_images else "box" if "box" in faces else "image"
        yield f"/landmarks: {len(far)} of {len(ids)} faces have points far from their {place}: {some_of(far)}"
    if not n_known:
        yield "/landmarks: no face has an annotated point"


def _bounds(faces: FacesFile, first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest plausible x, y of each face's points, (B, 2) each."""
    if faces.has_images:
        height, width = faces.image_size
        boxes = np.broadcast_to(np.array([0.0, 0.0, width, height]), (n, 4))
    elif "box" in faces:
        boxes = np.asarray(faces.stored("box")[first : first + n], np.float64)
    else:
        return np.full((n, 2), -_LARGEST_PX), np.full((n, 2), _LARGEST_PX)
    room = _ROOM * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    return boxes[:, :2] - room, boxes[:, 2:] + room


# ---- model files
def _weights_faults(weights: Weights) -> Iterator[str]:
    fields = weights.fields
    scheme = Scheme.from_fields(fields["scheme"])
    mean, std = np.asarray(fields["mean"], float), np.asarray(fields["std"], float)
    if not (mean.shape == std.shape == (3,) and np.isfinite([*mean, *std]).all() and (std > 0).all()):
        yield f"its normalisation is no mean and standard deviation of three colours: {fields['mean']}, {fields['std']}"
    layers: tuple[str, ...] = ()
    try:
        layers = layers_of_fields(fields, conventions_from_json(json.dumps(fields.get("conventions", {}))).values())
    except DataError as error:
        yield f"layers: {error.message}"
    if layers and fields.get("convention") not in layers:
        yield f"convention: {fields.get('convention')!r} is none of {', '.join(layers)}"
    if int(fields["input_size"]) < 1:
        yield f"its input size is {fields['input_size']}"
    if weights.form == "onnx":
        yield from _onnx_faults(weights.tensors, scheme.n_points, int(fields["input_size"]))
    else:
        yield from _tensor_faults(weights, scheme.n_points, str(fields.get("head", "linear")), max(1, len(layers)))


# Head -> its last layer, number of axes of its weights, and numbers per point.
_LAST_LAYERS = {"linear": ("head", 2, 2), "heatmap": ("head.last", 4, 3)}


def _tensor_faults(weights: Weights, n_points: int, head_name: str, n_layers: int) -> Iterator[str]:
    """The last layers, stored as one, must match the number of points, and all tensors must be finite."""
    shapes = shapes_of(weights)
    if head_name not in _LAST_LAYERS:
        yield f"head: {head_name!r} is not known"
        return
    layer, n_axes, per_point = _LAST_LAYERS[head_name]
    head = shapes.get(f"{layer}.weight", ())
    if len(head) != n_axes or head[0] != per_point * n_points * n_layers or shapes.get(f"{layer}.bias") != head[:1]:
        of_layers = f" and the network {n_layers} annotation conventions" if n_layers > 1 else ""
        yield f"head: its weights have shape {head}, but the scheme has {n_points} points{of_layers}"
    if not any(name.startswith("backbone.") for name in shapes):
        yield "it holds no tensors of a backbone"
    for name, dtype in weights.tensors.dtypes.items():
        if dtype in _FLOATS:
            tensor = weights.tensors.tensor(name)
            if not np.isfinite(tensor).all():
                yield f"{name}: {int((~np.isfinite(tensor)).sum())} of {tensor.size} values are not finite"


def _onnx_faults(model: Any, n_points: int, input_size: int) -> Iterator[str]:
    import onnx

    try:
        check_onnx(model.SerializeToString(), "model")
    except FileError as error:
        yield error.message.removeprefix("model: ")
        return
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:  # a name that is no text is a ValueError
        yield f"not a valid ONNX graph: {str(error).partition(chr(10))[0]}"
        return
    confidence = [value for value in model.graph.output if value.name == CONFIDENCE]
    for what, values, shape in (
        ("input", model.graph.input, [3, input_size, input_size]),
        ("output", model.graph.output, [n_points, 2]),
        *([("confidence", confidence, [n_points])] if confidence else []),
    ):
        shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim][1:] for value in values]
        if shape not in shapes:
            yield f"no {what} has the shape (B, {', '.join(map(str, shape))})"
    for item in model.graph.initializer:
        try:
            values = onnx.numpy_helper.to_array(item)
        except (ValueError, TypeError, KeyError) as error:
            yield f"{item.name}: not the numbers of its shape: {' '.join(str(error).split())}"
            continue
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            yield f"{item.name}: {int((~np.isfinite(values)).sum())} of {values.size} values are not finite"
