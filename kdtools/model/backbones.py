"""Backbones: timm networks without their classifier. This is the only module that imports timm."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from typing import Any

import timm
import torch
from huggingface_hub import constants as hub
from timm.layers import convert_sync_batchnorm  # type: ignore[attr-defined]
from torch import Tensor, nn

from kdtools.errors import UsageError
from kdtools.model.hub import is_offline, no_weights


def create_backbone(arch: str, input_size: int, *, pretrained: bool = False) -> nn.Module:
    """A timm network without its classifier: (B, 3, S, S) -> pooled features (B, F).

    Raises UsageError for a name timm does not know, FileError where pretrained weights cannot be fetched.
    """
    return _create(arch, {"num_classes": 0, "pretrained": pretrained}, input_size)


_STRIDES = (8, 16, 32)  # of the feature maps that a heatmap head uses


def create_pyramid(arch: str, input_size: int, *, pretrained: bool = False) -> Any:
    """A timm network that returns feature maps: (B, 3, S, S) -> (B, C, S / k, S / k) for strides k of 8, 16 and 32.

    Raises as `create_backbone` does, and UsageError for a network without such maps.
    """
    require_known(arch)
    try:
        with torch.device("meta"):
            pyramid: Any = timm.create_model(arch, features_only=True)
            strides = pyramid.feature_info.reduction()
        levels = [max(k for k, stride in enumerate(strides) if stride == s) for s in _STRIDES]
    except (AttributeError, RuntimeError, ValueError, NotImplementedError, AssertionError, TypeError) as error:
        hint = "choose a convolutional network, or --set head=linear"
        raise UsageError(f"{arch} gives no feature maps of strides {', '.join(map(str, _STRIDES))}", hint) from error
    network = _create(arch, {"features_only": True, "out_indices": levels, "pretrained": pretrained}, input_size)
    with torch.no_grad():
        maps = network.eval()(torch.zeros(1, 3, input_size, input_size))
    if [one.shape[1] for one in maps] != list(network.feature_info.channels()):
        raise UsageError(f"the maps of {arch} do not have their channels first", "choose another --arch")
    return network.train()


def require_known(arch: str) -> None:
    """Raises UsageError for a network that timm does not know, or of which it does not know those weights (`.TAG`)."""
    if not timm.is_model(arch):
        near = difflib.get_close_matches(arch, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all"
        raise UsageError(f"timm knows no network {arch!r}", hint)
    try:
        timm.get_pretrained_cfg(arch)
    except RuntimeError as error:
        name, _, tag = arch.partition(".")
        raise UsageError(f"timm knows no weights {tag!r} of {name}", f"give {name} alone") from error


def _create(arch: str, options: dict[str, Any], input_size: int) -> Any:
    require_known(arch)
    default = timm.get_pretrained_cfg(arch)
    if default is not None and default.fixed_input_size:
        options["img_size"] = input_size  # transformers have one position embedding for each patch
    if not options["pretrained"]:
        return timm.create_model(arch, **options)
    with _cache_alone_if_offline() as offline:
        try:
            return timm.create_model(arch, **options)
        except (OSError, RuntimeError) as error:
            raise (no_weights(arch) if offline else no_weights(arch, str(error).splitlines()[0])) from error


@contextlib.contextmanager
def _cache_alone_if_offline() -> Iterator[bool]:
    """Keeps the library of the hub from trying for a minute without a connection; yields whether there is none."""
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = offline = is_offline()
    try:
        yield offline
    finally:
        hub.HF_HUB_OFFLINE = before


def colour_statistics(arch: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation with which timm normalises the RGB input of this network."""
    default = timm.get_pretrained_cfg(arch)
    if default is None:
        return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
    (r, g, b), (sr, sg, sb) = default.mean, default.std
    return (r, g, b), (sr, sg, sb)


def count_features(backbone: nn.Module, input_size: int) -> int:
    """Length of the pooled features, measured, since timm's metadata leaves out hidden layers."""
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


def synchronise_norms(network: nn.Module) -> None:
    """Batch norm over all processes, in place. PyTorch's own conversion would drop the activations in timm's norms."""
    convert_sync_batchnorm(network)


def layers_to_stride(backbone: nn.Module, input_size: int, stride: int) -> list[nn.Module]:
    """Modules with weights, in the order of their calls, before the first whose output is coarser than `stride`."""
    layers: list[nn.Module] = []
    ended = False

    def look(layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal ended
        is_map = isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1  # 1 x 1: squeeze-excitation
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
