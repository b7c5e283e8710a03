"""Landmark networks: any timm backbone and a head that answers with points; and the model file that holds one."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kdtools.errors import DataError, FileError, UsageError
from kdtools.files import Provenance
from kdtools.files.schema import MODEL_FORMAT, MODEL_KIND, TRAINING_PREFIX
from kdtools.geometry import CropRule
from kdtools.heads import HeatmapHead, LinearHead
from kdtools.schemes import Scheme
from kdtools.settings import HEADS


@dataclass(frozen=True)
class ModelCard:
    """All that is needed to use a network's weights. `input_size` in px; `mean`, `std` of RGB in [0, 1].

    `head` is `linear` (on pooled features) or `heatmap` (kdtools/heads.py).
    """

    arch: str
    input_size: int
    scheme: Scheme
    crop: CropRule
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    settings: dict[str, Any] = field(default_factory=dict)
    head: str = "linear"

    def to_fields(self) -> dict[str, Any]:
        return {
            "arch": self.arch,
            "head": self.head,
            "input_size": self.input_size,
            "scheme": json.loads(self.scheme.to_json()),
            "crop": json.loads(self.crop.to_json()),
            "mean": self.mean,
            "std": self.std,
            "settings": self.settings,
        }

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> ModelCard:
        return ModelCard(
            arch=str(fields["arch"]),
            input_size=int(fields["input_size"]),
            scheme=Scheme.from_json(json.dumps(fields["scheme"])),
            crop=CropRule.from_json(json.dumps(fields["crop"])),
            mean=tuple(fields["mean"]),
            std=tuple(fields["std"]),
            settings=dict(fields["settings"]),
            head=_known_head(str(fields.get("head", "linear"))),
        )


class LandmarkNet(nn.Module):
    """RGB images (B, 3, S, S) in [0, 1] -> landmarks (B, L, 2) in unit coordinates.

    The normalisation of the colours is inside, so a teacher keeps its own wherever it runs.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, card: ModelCard, *, pretrained: bool = False) -> None:
        super().__init__()
        self.card = card
        n_points = card.scheme.n_points
        self._frozen: list[nn.Module] = []
        self.head: LinearHead | HeatmapHead
        if card.head == "heatmap":
            pyramid: Any = create_pyramid(card.arch, card.input_size, pretrained=pretrained)
            self.backbone = pyramid
            self.head = HeatmapHead(pyramid.feature_info.channels(), n_points)
        else:
            self.backbone = create_backbone(card.arch, card.input_size, pretrained=pretrained)
            self.head = LinearHead(_count_features(self.backbone, card.input_size), n_points)
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        points: Tensor = self.head(self.backbone((images - self.mean) / self.std))  # (B, L, 2)
        return points

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def freeze(self, stride: int) -> None:
        """Keep the first layers, all those before maps become coarser than `stride`, as they are, in training too.

        That costs no gradient through the finest and so most expensive maps. Batch norm there keeps its statistics.
        """
        self._frozen = _layers_to_stride(self.backbone, self.card.input_size, stride)
        for layer in self._frozen:
            layer.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> LandmarkNet:
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self


def create_backbone(arch: str, input_size: int, *, pretrained: bool = False) -> nn.Module:
    """A timm network without its classifier: (B, 3, S, S) -> pooled features (B, F).

    Raises UsageError for a name timm does not know, FileError where pretrained weights cannot be fetched.
    """
    return _create(arch, {"num_classes": 0, "pretrained": pretrained}, input_size)


_FINEST, _COARSEST = 16, 32  # strides of the feature maps that a heatmap head joins


def create_pyramid(arch: str, input_size: int, *, pretrained: bool = False) -> nn.Module:
    """A timm network that gives feature maps: (B, 3, S, S) -> [(B, C, S / 16, S / 16), (B, C', S / 32, S / 32)].

    Raises as `create_backbone` does, and UsageError for a network that has no such maps.
    """
    require_known(arch)
    try:
        with torch.device("meta"):
            pyramid: Any = timm.create_model(arch, features_only=True)
            strides = pyramid.feature_info.reduction()
        wanted = [max(k for k, stride in enumerate(strides) if stride == s) for s in (_FINEST, _COARSEST)]
    except (AttributeError, RuntimeError, ValueError, NotImplementedError, AssertionError, TypeError) as error:
        hint = "choose a convolutional network, or --set head=linear"
        raise UsageError(f"{arch} gives no feature maps of strides {_FINEST} and {_COARSEST}", hint) from error
    return _create(arch, {"features_only": True, "out_indices": wanted, "pretrained": pretrained}, input_size)


def require_known(arch: str) -> None:
    """Raises UsageError for a network that timm does not know."""
    if not timm.is_model(arch):
        near = difflib.get_close_matches(arch, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all"
        raise UsageError(f"timm knows no network {arch!r}", hint)


def _create(arch: str, options: dict[str, Any], input_size: int) -> nn.Module:
    require_known(arch)
    default = timm.get_pretrained_cfg(arch)
    if default is not None and default.fixed_input_size:
        options["img_size"] = input_size  # transformers have one position embedding for each patch
    try:
        network: nn.Module = timm.create_model(arch, **options)
    except (OSError, RuntimeError) as error:
        if not options["pretrained"]:
            raise
        raise FileError(
            f"the ImageNet weights of {arch} cannot be fetched: {str(error).splitlines()[0]}",
            "without a network connection, give --init a local .safetensors file",
        ) from error
    return network


def _known_head(name: str) -> str:
    if name not in HEADS:
        raise DataError(f"a head {name!r} is not known", "upgrade kdtools")
    return name


def colour_statistics(arch: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of RGB by which timm normalises the input of this network."""
    default = timm.get_pretrained_cfg(arch)
    if default is None:
        return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
    (r, g, b), (sr, sg, sb) = default.mean, default.std
    return (r, g, b), (sr, sg, sb)


def _count_features(backbone: nn.Module, input_size: int) -> int:
    """Length of the pooled features; asked of the network itself, since timm's records leave out hidden layers."""
    training = backbone.training
    backbone.eval()
    with torch.no_grad():
        try:
            features = backbone(torch.zeros(1, 3, input_size, input_size))
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"the network does not take images of {input_size} px: {str(error).splitlines()[0]}",
                "give another --input-size, a multiple of 32 suits nearly all",
            ) from error
    backbone.train(training)
    if features.ndim != 2:
        raise UsageError("the network does not give pooled features", "choose another --arch")
    return int(features.shape[1])


def _layers_to_stride(backbone: nn.Module, input_size: int, stride: int) -> list[nn.Module]:
    """Modules with weights of their own in the order of their calls, up to the first whose map is coarser."""
    layers: list[nn.Module] = []
    ended = False

    def look(layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal ended
        is_map = isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1  # a squeeze gives 1 x 1
        ended = ended or (is_map and output.shape[-1] * stride < input_size)
        if not ended:
            layers.append(layer)

    own = [module for module in backbone.modules() if any(True for _ in module.parameters(recurse=False))]
    hooks = [module.register_forward_hook(look) for module in own]
    training = backbone.training
    backbone.eval()
    with torch.no_grad():
        backbone(torch.zeros(1, 3, input_size, input_size, device=next(backbone.parameters()).device))
    backbone.train(training)
    for hook in hooks:
        hook.remove()
    return layers


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
        if "kdtools" in (stored.metadata() or {}):
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
    """Write a model file in one step: aside, then renamed over `path`. A checkpoint also holds the training's state."""
    fields = {"kd_kind": MODEL_KIND, "kd_format": MODEL_FORMAT, **provenance.attributes(), **network.card.to_fields()}
    if training_fields is not None:
        fields["training"] = training_fields
    tensors = {name: _to_store(tensor) for name, tensor in network.state_dict().items()}
    for name, tensor in (training_state or {}).items():
        tensors[TRAINING_PREFIX + name] = _to_store(tensor)
    part = path.with_name(f".{path.name}.part")
    try:
        # One entry, because safetensors writes several in no fixed order, and the same run should give the same bytes.
        save_file(tensors, part, metadata={"kdtools": json.dumps(fields, sort_keys=True)})
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())  # a rename may outlive the bytes when the machine is lost
        part.chmod(0o666 & ~_umask())  # safetensors lets the owner alone read it
        os.replace(part, path)
    except SafetensorError as error:
        raise FileError(f"{path}: cannot be written: {error}", "is the device full?") from error
    finally:
        part.unlink(missing_ok=True)


def _to_store(tensor: Tensor) -> Tensor:
    """On the CPU, in the usual order of memory, and sharing memory with no other one, as safetensors asks for."""
    stored = tensor.detach().cpu().contiguous()
    return stored.clone() if stored.untyped_storage().nbytes() != stored.nbytes else stored


def _umask() -> int:
    """The process's mask of file permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def read_card(path: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    """What a model file says of itself: its card, and all fields of its metadata."""
    with _open_safetensors(path) as stored:
        return _card_of(stored, path)


def load_model(path: str | Path, device: torch.device) -> LandmarkNet:
    """The network of a model file, on `device`, in evaluation mode.

    Raises FileError for a file that is absent, damaged, no kdtools model, or newer than this package.
    """
    with _open_safetensors(path) as stored:
        card, _ = _card_of(stored, path)
        network = LandmarkNet(card)
        names = [name for name in stored.keys() if not name.startswith(TRAINING_PREFIX)]  # noqa: SIM118
        try:
            network.load_state_dict({name: stored.get_tensor(name) for name in names})
        except RuntimeError as error:
            raise FileError(f"{path}: its weights are not those of {card.arch}", "the file is damaged") from error
    return to_device(network, device).eval()


def to_device(network: LandmarkNet, device: torch.device) -> LandmarkNet:
    """Move a network, its filters in the order of memory that convolutions run fastest in."""
    return network.to(device).to(memory_format=torch.channels_last)


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
    text = (stored.metadata() or {}).get("kdtools")
    if text is None:
        raise FileError(f"{path}: holds weights, but is no kdtools model", "kd-teacher and kd-student write models")
    try:
        fields = json.loads(text)
        if fields["kd_kind"] != MODEL_KIND:
            raise FileError(f"{path}: kd_kind is {fields['kd_kind']!r}, not {MODEL_KIND!r}")
        if fields["kd_format"] > MODEL_FORMAT:
            hint = "upgrade kdtools"
            raise FileError(
                f"{path}: model format {fields['kd_format']}, this kdtools reads up to {MODEL_FORMAT}", hint
            )
        return ModelCard.from_fields(fields), fields
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise FileError(f"{path}: its description is damaged: {error}") from error


@contextlib.contextmanager
def _open_safetensors(path: str | Path) -> Iterator[Any]:
    if not Path(path).exists():
        raise FileError(f"{path}: no such file")
    if Path(path).is_dir():
        raise FileError(f"{path}: is a directory, not a model file")
    try:
        with safe_open(path, framework="pt") as stored:
            yield stored
    except SafetensorError as error:
        raise FileError(f"{path}: not a model file (safetensors), or damaged: {error}") from error


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU where there is one. Raises UsageError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device is {name!r}", "give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"there is no device {name}", "give auto or cpu")
    return device
