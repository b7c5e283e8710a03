"""Augmentation on the device: random affine warps of images and points, changed colours, noise, blur and occlusion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kdtools.model.sampling import warp_images


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes: `rotation` in degrees, `scale` (min, max), `shift` as a fraction of the image side.

    `colour` is the strength of brightness, contrast and colour casts. `noise` is the largest standard deviation, for
    pixels in [0, 1]. `blur` and `occlusion` are the fractions of faces that are blurred or partly covered.
    """

    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    flip: bool = False
    colour: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    occlusion: float = 0.0

    def without_flip(self) -> Augmentation:
        return replace(self, flip=False)


_MILD = Augmentation(rotation=20, scale=(0.85, 1.15), shift=0.04, flip=True, colour=0.3, noise=0.02)
AUGMENTATIONS = {
    "none": Augmentation(),
    "light": replace(_MILD, rotation=8, scale=(0.95, 1.05), shift=0.02),
    "mild": _MILD,
    "strong": replace(_MILD, rotation=25, scale=(0.8, 1.2), shift=0.05, blur=0.3, occlusion=0.4),
    # arXiv 2111.07047, section 4, which mentions no flip
    "paper": Augmentation(rotation=31.5, scale=(0.7, 1.3), colour=0.4, noise=0.04),
}
_N_NOISES = 16  # noise images shared by the faces of a batch; each face scales one of them
_OCCLUDER = (0.15, 0.45)  # sides of the covering rectangle, as fractions of the image side


def random_warps(n: int, augmentation: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Affine maps (B, 2, 3) from output to input in unit coordinates, and which of them mirror the image, (B,) bool."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle = uniform(-1, 1) * math.radians(augmentation.rotation)
    # Log-uniform, so that halving is as likely as doubling.
    scale = torch.exp(uniform(math.log(augmentation.scale[0]), math.log(augmentation.scale[1])))
    flip = (torch.rand(n, generator=generator) < 0.5) & augmentation.flip
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    side = torch.where(flip, -1.0, 1.0)
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * augmentation.shift
    rows = torch.stack([cos * side, -sin, shift[:, 0], sin * side, cos, shift[:, 1]], dim=1)
    return rows.view(n, 2, 3), flip


def warp_points(points: Tensor, warps: Tensor, flip: Tensor, mirror: Tensor | None) -> Tensor:
    """Points (B, L, 2), unit coordinates of the input -> of the output; `mirror` reorders those of mirrored faces."""
    inverse = torch.linalg.inv_ex(warps[:, :, :2]).inverse  # never singular; `inv` would synchronise to check that
    moved = (points - warps[:, None, :, 2]) @ inverse.transpose(1, 2)
    if mirror is not None:
        moved = torch.where(flip[:, None, None], moved[:, mirror], moved)
    return moved


@dataclass(frozen=True)
class Changes:
    """Augmentation parameters of B faces, drawn before any image is processed.

    `warps` (B, 2, 3) and `flip` (B,): see `random_warps`. Colours become `mix` (B, 3, 3) times RGB plus `base` (B, 3)
    plus `from_mean` (B, 3) times the mean grey of the image. `noise` (B,) is the strength of the noise, `field` (B,)
    its index in `draw_noise`. `blur` (B,) is the weight of the blurred image. `occluder` (B, 7) is a rectangle x0, y0,
    x1, y1 in unit coordinates and its RGB. None means that no face is changed in this way.
    """

    warps: Tensor
    flip: Tensor
    mix: Tensor | None = None
    base: Tensor | None = None
    from_mean: Tensor | None = None
    noise: Tensor | None = None
    field: Tensor | None = None
    blur: Tensor | None = None
    occluder: Tensor | None = None

    def part(self, faces: slice, device: torch.device) -> Changes:
        """The parameters of some of the faces, on `device`."""
        parameters = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value[faces].to(device) for name, value in parameters.items()})

    def without_flip_of(self, faces: Tensor) -> Changes:
        """The same, except that none of `faces`, (B,) bool, is mirrored."""
        undone = (self.flip & faces)[:, None, None]
        warps = torch.where(undone, self.warps * self.warps.new_tensor([-1.0, 1.0, 1.0]), self.warps)
        return replace(self, warps=warps, flip=self.flip & ~faces)


def draw_changes(n: int, augmentation: Augmentation, generator: torch.Generator) -> Changes:
    """One random change for each of `n` faces."""
    warps, flip = random_warps(n, augmentation, generator)
    changes = Changes(warps, flip)

    def spread(*shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator) * 2 - 1) * augmentation.colour

    def chosen(share: float) -> Tensor:
        return torch.rand(n, generator=generator) < share

    if augmentation.colour > 0:
        is_grey = chosen(0.1)[:, None, None]
        gain = (1 + spread(1)) * (1 + 0.3 * spread(3))  # (B, 3)
        own = torch.where(is_grey, torch.full((3, 3), 1 / 3), torch.eye(3))
        # (grey or colour - middle) * gain + middle * cast + brightness
        from_mean = 1 + 0.5 * spread(3) - gain
        changes = replace(changes, mix=gain[:, :, None] * own, from_mean=from_mean, base=0.3 * spread(1).expand(n, 3))
    if augmentation.noise > 0:
        strength = torch.rand(n, generator=generator) * augmentation.noise
        field = torch.randint(_N_NOISES, (n,), generator=generator)
        changes = replace(changes, noise=strength, field=field)
    if augmentation.blur > 0:
        share = torch.rand(n, generator=generator) * 0.5 + 0.5
        changes = replace(changes, blur=torch.where(chosen(augmentation.blur), share, 0.0))
    if augmentation.occlusion > 0:
        low, high = _OCCLUDER
        centre = torch.rand(n, 2, generator=generator) - 0.5
        half = (torch.rand(n, 2, generator=generator) * (high - low) + low) / 2
        half *= chosen(augmentation.occlusion)[:, None]  # 0 for the others, so nothing is hidden
        colour = torch.rand(n, 3, generator=generator)
        changes = replace(changes, occluder=torch.cat([centre - half, centre + half, colour], dim=1))
    return changes


def draw_noise(size: int, generator: torch.Generator) -> Tensor:
    """Noise images (K, 3, S, S) of standard deviation 1 for `augment`; drawing one for each face would be slow."""
    return torch.randn(_N_NOISES, 3, size, size, generator=generator)


def change_colours(images: Tensor, changes: Changes, noise: Tensor | None) -> Tensor:
    """Blur, colours, noise and occlusion of images (B, 3, S, S) in [0, 1]; may work in place. `noise`: (K, 3, S, S)."""
    if changes.blur is not None:
        blurred = F.avg_pool2d(images, 5, stride=1, padding=2, count_include_pad=False)
        images = torch.lerp(images, blurred, changes.blur[:, None, None, None])
    if changes.mix is not None and changes.base is not None and changes.from_mean is not None:
        base = changes.base + changes.from_mean * images.mean(dim=(1, 2, 3))[:, None]  # (B, 3)
        flat = torch.baddbmm(base[:, :, None], changes.mix, images.flatten(2))  # (B, 3, S * S)
        images = flat.view_as(images)
    if changes.noise is not None and changes.field is not None and noise is not None:
        images = images.addcmul_(noise.index_select(0, changes.field), changes.noise[:, None, None, None])
    if changes.occluder is not None:
        at = (torch.arange(images.shape[-1], device=images.device) + 0.5) / images.shape[-1] - 0.5
        x0, y0, x1, y1 = changes.occluder[:, :4, None].unbind(1)  # (B, 1) each
        in_x, in_y = (at > x0) & (at < x1), (at > y0) & (at < y1)  # (B, S)
        hidden = (in_y[:, :, None] & in_x[:, None, :])[:, None]  # (B, 1, S, S)
        images = torch.where(hidden, changes.occluder[:, 4:, None, None], images)
    return images.clamp_(0, 1)


def augment(
    images: Tensor,
    points: dict[str, Tensor],
    size: int,
    changes: Changes,
    mirror: Tensor | None,
    noise: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply `changes` to images (B, H, W, 3) and to every set of points (B, L, 2) in unit coordinates.

    Returns images (B, 3, size, size) in [0, 1] and points in their unit coordinates. `mirror` (L,) reorders the points
    of mirrored faces; it may be None only if no face is mirrored.
    """
    warped = warp_images(images, changes.warps, size)
    moved = {name: warp_points(p, changes.warps, changes.flip, mirror) for name, p in points.items()}
    return change_colours(warped, changes, noise), moved
