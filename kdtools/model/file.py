"""Model files (safetensors): writing, reading, and initial weights for training."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from kdtools.bundled import weights_file
from kdtools.errors import FileError, UsageError
from kdtools.landmarks.conversions import shared_points
from kdtools.model.card import METADATA, MODEL_FORMAT, MODEL_KIND, TRAINING_PREFIX, ModelCard, card_of
from kdtools.model.heads import HeatmapHead, LinearHead
from kdtools.model.network import LandmarkNet, to_device
from kdtools.storage.devices import optional_service
from kdtools.storage.outputs import written_aside
from kdtools.storage.pipes import seekable
from kdtools.storage.provenance import Provenance
from kdtools.storage.tensor_file import TensorFile, open_tensors


def create_network(card: ModelCard, init: str, mean_shape: Tensor) -> tuple[LandmarkNet, str]:
    """A network to train, with random weights (`none`), timm's (`imagenet`) or those of a file.

    Also returns a description of the initial weights. The file is a kdtools model or has timm's tensor names. Weights
    that match in name and shape are used; the others stay random. A head of other points begins at `mean_shape` (L, 2),
    unit coordinates; points that the model of the file finds too keep its weights. Each annotation convention begins
    as the file's of the same name, or else as that of its rule, or as its default.
    Raises FileError if less than half of the weights match.
    """
    if init in ("none", "imagenet"):
        network = LandmarkNet(card, pretrained=init == "imagenet")
        network.head.start_at(mean_shape)
        return network, "random start" if init == "none" else f"ImageNet weights of {card.arch}"
    network = LandmarkNet(card)
    source, weights = _read_start(init)
    same_head = source is not None and source.head == card.head
    remark = _take_layers(weights, network, source, init) if source is not None and same_head else ""
    if not any(name.startswith("backbone.") for name in weights):
        weights = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    own = network.state_dict()
    fits = {name: tensor for name, tensor in weights.items() if name in own and tensor.shape == own[name].shape}
    # Batch counters are scalars that fit every network, so they are not counted.
    n_weights = sum(tensor.ndim > 0 for tensor in own.values())
    n_fit = sum(tensor.ndim > 0 for tensor in fits.values())
    if 2 * n_fit < n_weights:
        hint = "is it of another network?"
        raise FileError(f"{init}: only {n_fit} of the {n_weights} weights of {card.arch} are in it", hint)
    network.load_state_dict(fits, strict=False)
    absent = {name for name in own if name.startswith("head.")} - fits.keys()
    rows = None
    if source is not None and same_head and source.scheme != card.scheme:
        rows = shared_points(source.scheme, card.scheme)
    if absent or (rows is not None and (rows >= 0).any()):
        network.head.start_at(mean_shape)
    remark = _take_points(weights, network, rows, absent) + remark
    return network, f"{n_fit} of {n_weights} weights from {init}{remark}"


def _read_start(path: str) -> tuple[ModelCard | None, dict[str, Tensor]]:
    """The card, if it is a kdtools model, and the weights of a file that a training starts from."""
    source = None
    with _open_weights(path) as stored:
        if METADATA in stored.metadata:
            source, _ = _card_of(stored, path)  # refuses one that is newer than this package
        weights = {name: stored.tensor(name) for name in stored.shapes if not name.startswith(TRAINING_PREFIX)}
    _check_finite(weights, path)
    return source, weights


def _take_points(weights: dict[str, Tensor], network: LandmarkNet, rows: np.ndarray | None, absent: set[str]) -> str:
    """Give the head the weights of points that another scheme has too; returns what to say about it.

    `rows` (L,) names these points, -1 for none; it is None where the schemes are the same or nothing is known.
    `absent` holds the head's tensors of which there are none of the same shape.
    """
    of_points = {name: f"head.{name}" for name in network.head.of_points()}
    if rows is None:
        return ""
    n_same = int((rows >= 0).sum())
    if n_same and absent <= set(of_points.values()):
        network.head.take_points({name: weights[key] for name, key in of_points.items()}, rows)
        return f", and those of {n_same} of its {len(rows)} points"
    if absent:
        return ""
    return (
        f"; its {len(rows)} points are taken for those of the new network, though neither names nor a conversion tell "
        "which are the same"
    )


def _take_layers(weights: dict[str, Tensor], network: LandmarkNet, source: ModelCard, init: str) -> str:
    """Bring the head's tensors in `weights`, of a model with the card `source`, to the last layers of `network`.

    Returns what to say about it.
    """
    layers = network.card.layers
    if layers == source.layers:
        return ""
    taken = [source.layer_of(name) for name in layers or ("",)]
    rows = [source.layers.index(name) if name else 0 for name in taken]
    for name in (f"head.{name}" for name in network.head.of_points()):
        if name in weights:
            weights[name] = _by_layer(weights[name], source, init)[rows].flatten(0, 1)
    if not layers:
        return f", by its annotation convention {source.convention}"
    changed = [f"{new} begins as its {old}" for new, old in zip(layers, taken, strict=True) if old and old != new]
    return "".join(f", {words}" for words in changed)


def _by_layer(tensor: Tensor, card: ModelCard, path: str | Path) -> Tensor:
    """A tensor of C last layers, (C * K, ...), as (C, K, ...). Raises FileError where it cannot be one."""
    n_layers = max(1, len(card.layers))
    n_rows = (HeatmapHead if card.head == "heatmap" else LinearHead).outputs_per_point * card.scheme.n_points
    if tensor.ndim == 0 or len(tensor) != n_rows * n_layers:
        raise FileError(f"{path}: its weights are not of {n_layers} annotation conventions", "the file is damaged")
    return tensor.unflatten(0, (n_layers, -1))


def save_model(
    path: Path,
    network: LandmarkNet,
    provenance: Provenance,
    *,
    training_state: dict[str, Tensor] | None = None,
    training_fields: dict[str, Any] | None = None,
) -> None:
    """Write a model file atomically, not through a link. A checkpoint also holds the state of the training."""
    fields = {"kd_kind": MODEL_KIND, "kd_format": MODEL_FORMAT, **provenance.attributes(), **network.card.to_fields()}
    fields |= provenance.lineage.of_model()
    if training_fields is not None:
        fields["training"] = training_fields
    tensors = {name: _to_store(tensor) for name, tensor in network.state_dict().items()}
    for name, tensor in (training_state or {}).items():
        tensors[TRAINING_PREFIX + name] = _to_store(tensor)
    try:
        with written_aside(str(path), force=True, follow_link=False) as part:
            # A single metadata entry, because safetensors writes several in random order.
            save_file(tensors, part, metadata={METADATA: json.dumps(fields, sort_keys=True)})
            with optional_service():
                part.chmod(0o666 & ~_umask())  # safetensors makes it readable by the owner only
    except SafetensorError as error:
        raise FileError(f"{path}: cannot be written: {error}", "is the device full?") from error


def _to_store(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, contiguous and with a storage of its own, as safetensors requires."""
    stored = tensor.detach().cpu().contiguous()
    return stored.clone() if stored.untyped_storage().nbytes() != stored.nbytes else stored


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def load_model(path: str | Path, device: torch.device, convention: str | None = None) -> LandmarkNet:
    """The network of a model file, on `device`, in evaluation mode, to answer by one annotation convention.

    Of several last layers it keeps that of `convention`, or else the default, as if it were the only one. Raises
    FileError for a file that is absent, damaged, no kdtools model, or newer than this package, UsageError for a
    convention that it does not know.
    """

    def choose(card: ModelCard) -> str | None:
        if convention is None:
            return card.convention or None
        return card.layer_of(card.find_convention(convention, path).name)

    return _load(path, device, choose)


def load_all_layers(path: str | Path, device: torch.device) -> LandmarkNet:
    """As `load_model`, with the last layers of all annotation conventions."""
    return _load(path, device, lambda card: None)


def _load(path: str | Path, device: torch.device, choose: Callable[[ModelCard], str | None]) -> LandmarkNet:
    """The network of a model file with the last layer that `choose` names; all of them for None."""
    with _open_weights(path) as stored:
        card, _ = _card_of(stored, path)
        shapes = {name: shape for name, shape in stored.shapes.items() if not name.startswith(TRAINING_PREFIX)}
        try:
            _check_shapes(card, shapes, path)
        except UsageError as error:
            raise FileError(f"{path}: {error.message}", "it was made with another timm, or is damaged") from error
        weights = {name: stored.tensor(name) for name in shapes}
        _check_finite(weights, path)
        chosen = choose(card)
        if chosen is not None:
            at, full, card = card.layers.index(chosen), card, card.with_one_layer(chosen)
        network = LandmarkNet(card)
        if chosen is not None:
            names = weights.keys() & {f"head.{name}" for name in network.head.of_points()}
            weights |= {name: _by_layer(weights[name], full, path)[at] for name in names}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise FileError(f"{path}: its weights are not those of {card.arch}", "the file is damaged") from error
    return to_device(network, device).eval()


def _check_finite(weights: dict[str, Tensor], path: str | Path) -> None:
    """Raises FileError for weights of which some are not numbers."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise FileError(f"{path}: its weights {name!r} are not all numbers", "the file is damaged: train it again")


def _check_shapes(card: ModelCard, shapes: dict[str, tuple[int, ...]], path: str | Path) -> None:
    """Raises FileError if the shapes are not those of the card's network, without allocating that network.

    A small file may name a network of billions of weights.
    """
    try:
        with torch.device("meta"):
            expected = {name: tuple(tensor.shape) for name, tensor in LandmarkNet(card).state_dict().items()}
    except (RuntimeError, NotImplementedError):
        return  # its constructor computes; loading the weights checks them
    if expected != shapes:
        raise FileError(f"{path}: its weights are not those of {card.arch}", "the file is damaged")


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """Tensors of the model, and tensors and fields of the training state. Raises FileError if there is none."""
    with _open_weights(path) as stored:
        _, fields = _card_of(stored, path)
        if "training" not in fields:
            raise FileError(f"{path}: is a model, but no checkpoint of a training")
        tensors = {name: stored.tensor(name) for name in stored.shapes}
    _check_finite(tensors, path)
    of_training = [name for name in tensors if name.startswith(TRAINING_PREFIX)]
    state = {name.removeprefix(TRAINING_PREFIX): tensors.pop(name) for name in of_training}
    return tensors, state, fields["training"]


def _card_of(stored: TensorFile, path: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    return card_of(stored.metadata.get(METADATA), path)


@contextlib.contextmanager
def _open_weights(path: str | Path) -> Iterator[TensorFile]:
    path = weights_file(path)
    if not path.exists():
        raise FileError(f"{path}: no such file")
    if path.is_dir():
        raise FileError(f"{path}: is a folder, not a model file")
    with open_tensors(seekable(path), "pt", name=str(path)) as stored:
        yield stored
