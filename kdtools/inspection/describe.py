"""Report on a file: its contents, the meaning of its points, and its provenance."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.faces.box_origin import box_origin
from kdtools.faces.detector import detector_of
from kdtools.faces.file import FacesFile
from kdtools.faces.lineage import lineage_of_faces
from kdtools.faces.people import group_faces
from kdtools.faces.validation import plain
from kdtools.inspection.history import follow_inputs, provenance_of
from kdtools.inspection.open import Opened, Weights
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import Convention, conventions_from_json, layer_among
from kdtools.landmarks.crop_rule import CropRule
from kdtools.metrics import normalisers_of
from kdtools.model.card import TRAINING_PREFIX, layers_of_fields
from kdtools.storage.hdf5_checks import objects_in
from kdtools.storage.lineage import Lineage

BLOCK_FACES = 8192
_N_IDS = 3
# Tensors that training does not fit by gradients: statistics of batch normalisation.
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def describe_file(opened: Opened, *, follow: bool) -> dict[str, Any]:
    """Report on a file (see `FIELDS`); `follow` adds the state and history of its inputs.

    Large arrays are read in blocks, images not at all. Raises DataError or FileError for invalid contents, such as a
    scheme that contradicts itself.
    """
    content = opened.content
    provenance = provenance_of(opened.attributes, opened.name)
    try:
        if isinstance(content, FacesFile):
            about, made_from = _describe_faces(content), lineage_of_faces(content).of_report()
        else:
            about, made_from = describe_weights(content), Lineage.from_model(content.fields).of_model()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise FileError(f"{opened.name}: damaged: {error}", "make it again; --check says more") from error
    kind = about.pop("kind")
    return {
        "file": opened.name,
        "kind": kind,
        "format": int(plain(opened.attributes["kd_format"])),
        "bytes": opened.n_bytes,
        **about,
        **made_from,
        "provenance": follow_inputs(provenance, opened.folder) if follow else provenance,
    }


# ---- faces files
def blocks_of(array: Any) -> Iterator[np.ndarray]:
    """An array's rows in blocks."""
    for first in range(0, len(array), BLOCK_FACES):
        yield array[first : first + BLOCK_FACES]


def _describe_faces(faces: FacesFile) -> dict[str, Any]:
    ids = faces.ids
    grouping = group_faces(ids, None)
    sizes = Counter(grouping.names)
    largest = max(sizes, key=sizes.__getitem__, default="")
    arrays: dict[str, Any] = {}
    for item in objects_in(faces.h5):
        if isinstance(item, h5py.Dataset):
            text = h5py.check_string_dtype(item.dtype) is not None
            arrays[item.name.strip("/")] = {
                "shape": list(item.shape or ()),
                "dtype": "text" if text else str(item.dtype),
            }
    about: dict[str, Any] = {
        "kind": "faces",
        "faces": len(ids),
        "groups": {
            "count": len(sizes),
            "largest": sizes[largest],
            "largest_name": largest,
            "numbered": list(grouping.numbered),
        },
        "ids": ids[:_N_IDS],
    }
    if faces.has_images:
        height, width = faces.image_size
        stored = faces.h5["image"].compression or ("contiguous" if faces.h5["image"].chunks is None else "chunked")
        about["image"] = {"height": height, "width": width, "stored": stored}
    if "landmarks" in faces:
        about["landmarks"] = _describe_landmarks(faces)
    if "visible" in faces and faces.h5["visible"].size:
        n_occluded = sum(int((block == 0).sum()) for block in blocks_of(faces.stored("visible")))
        about["visible"] = {"occluded_share": _share(n_occluded, faces.h5["visible"].size)}
    stated = faces.conventions
    if stated.all:
        about["conventions"] = {
            one.name: {"faces": int(count), **({"origin": list(one.origin)} if one.origin else {})}
            for one, count in zip(stated.all, stated.counts, strict=True)
        }
    about["subsets"] = {name: int(member.sum()) for name, member in faces.subsets.items()}
    if faces.crop is not None:
        about["crop"] = json.loads(faces.crop.to_json())
    if "box" in faces:
        about["box"] = {"origin": box_origin(faces), **_describe_boxes(faces.stored("box"))}
    if record := detector_of(faces):
        about["detector"] = record
    for name in ("score", "confidence"):
        if name in faces:
            about[name] = _range_of(faces.stored(name))
    if "shape_model/mean" in faces:
        model = faces.shape_model
        about["shape_model"] = {"modes": len(model.modes), "align": model.align}
    about["arrays"] = arrays
    return about


def _describe_landmarks(faces: FacesFile) -> dict[str, Any]:
    n_missing = n_without = 0
    for block in blocks_of(faces.stored("landmarks")):
        known = np.isfinite(block).all(axis=2)  # (B, L)
        n_missing += int((~known).sum())
        n_without += int((~known.any(axis=1)).sum())
    return {
        "points": faces.n_points,
        "role": faces.role,
        **_describe_scheme(faces.scheme),
        "frame": "image" if faces.has_images else "source",
        "missing_share": _share(n_missing, len(faces) * faces.n_points),
        "faces_without": n_without,
        **_describe_predictions(faces),
    }


def _describe_predictions(faces: FacesFile) -> dict[str, Any]:
    """Whose places predicted points are, and whether they are means over mirror images, where that is stated."""
    convention, found = faces.put_back, dict[str, Any]()
    if convention is not None:
        found["convention"] = convention.name
        if convention.origin is not None:
            found["origin"] = list(convention.origin)
    return found | ({"flipped": True} if faces.flipped else {})


def _describe_scheme(scheme: Scheme) -> dict[str, Any]:
    return {
        "scheme": scheme.name,
        "mirror": scheme.mirror is not None,
        "normalisers": [normaliser.name for normaliser in normalisers_of(scheme)],
    }


def _describe_boxes(array: Any) -> dict[str, Any]:
    """Extremes of /box (N, 4), px; None if no box is finite."""
    low, high = np.full(5, np.inf), np.full(5, -np.inf)
    for block in blocks_of(array):
        boxes = np.asarray(block, np.float64)
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        if len(boxes):
            measures = np.column_stack([boxes, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)])  # (B, 5)
            low, high = np.minimum(low, measures.min(axis=0)), np.maximum(high, measures.max(axis=0))
    values = [low[0], low[1], high[2], high[3], low[4], high[4]]
    names = ("left", "top", "right", "bottom", "smallest_side", "largest_side")
    return {name: _rounded(float(value), 2) for name, value in zip(names, values, strict=True)}


def _range_of(array: Any) -> dict[str, Any]:
    """Least and greatest finite value; None if there is none."""
    low, high = math.inf, -math.inf
    for block in blocks_of(array):
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return {"min": _rounded(low, 4), "max": _rounded(high, 4)}


def _rounded(value: float, decimals: int) -> float | None:
    return round(value, decimals) if math.isfinite(value) else None


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def scheme_of(opened: Opened) -> Scheme:
    """The scheme of a file's points. Raises FileError where it says none, DataError where it contradicts itself."""
    content = opened.content
    if isinstance(content, FacesFile):
        content.require("landmarks")
        return content.scheme
    try:
        return Scheme.from_json(json.dumps(content.fields["scheme"]))
    except KeyError as error:
        raise FileError(f"{content.name}: its description is damaged: {error}") from error


# ---- model files
def describe_weights(weights: Weights) -> dict[str, Any]:
    """Description of a model file's network. Raises FileError if its metadata is damaged."""
    fields = weights.fields
    try:
        scheme = Scheme.from_json(json.dumps(fields["scheme"]))
        about = {
            "kind": "checkpoint" if "training" in fields else "model",
            "form": weights.form,
            "arch": str(fields["arch"]),
            "head": str(fields.get("head", "linear")),
            "parameters": sum(math.prod(shape) for name, shape in shapes_of(weights).items() if is_parameter(name)),
            "input_size": int(fields["input_size"]),
            "mean": list(fields["mean"]),
            "std": list(fields["std"]),
            "crop": json.loads(CropRule.from_json(json.dumps(fields["crop"])).to_json()),
            "landmarks": {"points": scheme.n_points, **_describe_scheme(scheme)},
            **_describe_conventions(fields),
            "settings": dict(fields["settings"]),
        }
        if "training" in fields:
            about["training"] = _describe_training(fields["training"]["history"])
        return about
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise FileError(f"{weights.name}: its description is damaged: {error}") from error


def _describe_conventions(fields: dict[str, Any]) -> dict[str, Any]:
    """The annotation conventions that a network knows, and the one that it answers by unless another is asked for."""
    conventions = conventions_from_json(json.dumps(fields.get("conventions", {})))
    layers = layers_of_fields(fields, conventions.values())
    if not conventions:
        return {}
    about, own = {}, {name: Convention(name) for name in layers} if "layers" in fields else {}
    for name, one in sorted({**own, **conventions}.items()):
        origin = {} if one.origin is None else {"origin": list(one.origin)}
        about[name] = {"layer": layer_among(name, layers), **origin}
    return {"convention": str(fields["convention"]), "conventions": about}


def shapes_of(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Shape of every array of floating-point numbers, by name."""
    tensors = weights.tensors
    if weights.form == "onnx":
        from onnx import TensorProto

        floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
        return {item.name: tuple(item.dims) for item in tensors.graph.initializer if item.data_type in floats}
    return {name: shape for name, shape in tensors.shapes.items() if "F" in tensors.dtypes[name]}


def is_parameter(name: str) -> bool:
    """Whether a tensor is fitted by training, and not a statistic or state of a checkpoint."""
    return not name.startswith(TRAINING_PREFIX) and not name.endswith(_STATISTICS)


def _describe_training(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Progress of a checkpoint's training."""
    if not history:
        return {"epochs_done": 0}
    return {
        "epochs_done": len(history),
        "nme_percent": _rounded(history[-1]["val_nme_percent"], 3),
        "best_nme_percent": _rounded(min(epoch["val_nme_percent"] for epoch in history), 3),
        "normaliser": history[-1]["normaliser"],
    }
