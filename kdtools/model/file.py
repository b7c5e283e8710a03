"""The model file (safetensors): written, read, and start weights taken from one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from kdtools.errors import FileError
from kdtools.model.card import METADATA, MODEL_FORMAT, MODEL_KIND, TRAINING_PREFIX, ModelCard, card_of, open_safetensors
from kdtools.model.network import LandmarkNet, to_device
from kdtools.storage.outputs import written_aside
from kdtools.storage.provenance import Provenance


def create_network(card: ModelCard, init: str) -> tuple[LandmarkNet, str, bool]:
    """A network to train, started from nothing (`none`), timm's weights (`imagenet`) or a file.

    Also what was taken, in words, and whether the layer that answers with landmarks was among it.

    A file holds either a kdtools model or timm's own names. Weights that fit in name and shape are taken; others keep
    their random start. Raises FileError for a file that is none or from which nothing fits.
    """
    if init == "none":
        return LandmarkNet(card), "random start", False
    if init == "imagenet":
        return LandmarkNet(card, pretrained=True), f"ImageNet weights of {card.arch}", False
    network = LandmarkNet(card)
    with _open_safetensors(init) as stored:
        if METADATA in (stored.metadata() or {}):
            _card_of(stored, init)  # refuses one that is newer than this package
        given = {name: stored.get_tensor(name) for name in stored.keys() if not name.startswith(TRAINING_PREFIX)}  # noqa: SIM118
    if not any(name.startswith("backbone.") for name in given):
        given = {f"backbone.{name}": tensor for name, tensor in given.items()}
    own = network.state_dict()
    fits = {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
    # Counters of batches are numbers without a shape; they fit every network and say nothing.
    n_weights = sum(tensor.ndim > 0 for tensor in own.values())
    n_fit = sum(tensor.ndim > 0 for tensor in fits.values())
    if 2 * n_fit < n_weights:
        hint = "is it of another network?"
        raise FileError(f"{init}: only {n_fit} of the {n_weights} weights of {card.arch} are in it", hint)
    network.load_state_dict(fits, strict=False)
    return network, f"{n_fit} of {n_weights} weights from {init}", _head_names(network) <= fits.keys()


def _head_names(network: LandmarkNet) -> set[str]:
    return {f"head.{name}" for name in network.head.state_dict()}


def save_model(
    path: Path,
    network: LandmarkNet,
    provenance: Provenance,
    *,
    training_state: dict[str, Tensor] | None = None,
    training_fields: dict[str, Any] | None = None,
) -> None:
    """Write a model file in one step (see `written_aside`). A checkpoint also holds the training's state."""
    fields = {"kd_kind": MODEL_KIND, "kd_format": MODEL_FORMAT, **provenance.attributes(), **network.card.to_fields()}
    if training_fields is not None:
        fields["training"] = training_fields
    tensors = {name: _to_store(tensor) for name, tensor in network.state_dict().items()}
    for name, tensor in (training_state or {}).items():
        tensors[TRAINING_PREFIX + name] = _to_store(tensor)
    try:
        with written_aside(str(path), force=True) as part:
            # One entry: safetensors writes several in no fixed order, and the same run should give the same bytes.
            save_file(tensors, part, metadata={METADATA: json.dumps(fields, sort_keys=True)})
            part.chmod(0o666 & ~_umask())  # safetensors lets the owner alone read it
    except SafetensorError as error:
        raise FileError(f"{path}: cannot be written: {error}", "is the device full?") from error


def _to_store(tensor: Tensor) -> Tensor:
    """On the CPU, in the usual order of memory, and sharing memory with no other one, as safetensors asks for."""
    stored = tensor.detach().cpu().contiguous()
    return stored.clone() if stored.untyped_storage().nbytes() != stored.nbytes else stored


def _umask() -> int:
    """The process's mask of file permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def load_model(path: str | Path, device: torch.device) -> LandmarkNet:
    """The network of a model file, on `device`, in evaluation mode.

    Raises FileError for a file that is absent, damaged, no kdtools model, or newer than this package.
    """
    with _open_safetensors(path) as stored:
        card, _ = _card_of(stored, path)
        names = [name for name in stored.keys() if not name.startswith(TRAINING_PREFIX)]  # noqa: SIM118
        _check_shapes(card, {name: tuple(stored.get_slice(name).get_shape()) for name in names}, path)
        network = LandmarkNet(card)
        try:
            network.load_state_dict({name: stored.get_tensor(name) for name in names})
        except RuntimeError as error:
            raise FileError(f"{path}: its weights are not those of {card.arch}", "the file is damaged") from error
    return to_device(network, device).eval()


def _check_shapes(card: ModelCard, shapes: dict[str, tuple[int, ...]], path: str | Path) -> None:
    """Raises FileError where the weights are not those of the network, before memory is taken for it: a small file may
    name a network of billions."""
    try:
        with torch.device("meta"):
            wanted = {name: tuple(tensor.shape) for name, tensor in LandmarkNet(card).state_dict().items()}
    except (RuntimeError, NotImplementedError):
        return  # a network that computes as it is made; loading its weights will tell
    if wanted != shapes:
        raise FileError(f"{path}: its weights are not those of {card.arch}", "the file is damaged")


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """Tensors of the model, and tensors and fields of its training, that `save_model` stored.

    Raises FileError where the file holds no training.
    """
    with _open_safetensors(path) as stored:
        _, fields = _card_of(stored, path)
        if "training" not in fields:
            raise FileError(f"{path}: is a model, but no checkpoint of a training")
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    state = {
        name.removeprefix(TRAINING_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(TRAINING_PREFIX)
    }
    return tensors, state, fields["training"]


def _card_of(stored: Any, path: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    return card_of((stored.metadata() or {}).get(METADATA), path)


@contextlib.contextmanager
def _open_safetensors(path: str | Path) -> Iterator[Any]:
    if not Path(path).exists():
        raise FileError(f"{path}: no such file")
    if Path(path).is_dir():
        raise FileError(f"{path}: is a folder, not a model file")
    with open_safetensors(path, "pt") as stored:
        yield stored
