"""How much each point of an unlabelled face counts: weights in 0..1 from what the teachers answer.

`none`        1 for every point.
`confidence`  that of Tough's heatmaps: the variance of the target heatmap over that of Tough's (`heatmap_confidence`).
`agreement`   exp(-(d / s)²), d the distance between Tough's point and Tolerant's. Tolerant knows likely shapes only
              (arXiv 2111.07047), so a point that is far from its place there is doubtful.
`views`       exp(-(d / s)²), d the distance between Tough's point and the one it finds in the mirrored image. Source of
              the idea: several views of unlabelled data, Radosavovic et al., "Data Distillation", CVPR 2018.

d and s (`trust_scale`) are shares of the side of the crop. With s = 0.02 and crops of 256 px, a point that is 5 px off
counts 0.37, one that is 10 px off 0.02.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kdtools.errors import UsageError


def agreement_trust(points: Tensor, others: Tensor, scale: float) -> Tensor:
    """exp(-(d / scale)²) of the distance d between two answers (B, L, 2), in unit coordinates: (B, L).

    Where one of them is unknown it is 0.

    >>> zero = torch.zeros(1, 1, 2)
    >>> round(float(agreement_trust(zero, zero + torch.tensor([0.012, 0.016]), 0.02)), 4)
    0.3679
    """
    distance = (points - others).norm(dim=2)
    return torch.exp(-((distance / scale) ** 2)).nan_to_num(0.0)


def mirrored_points(points: Tensor, mirror: Tensor) -> Tensor:
    """Points (B, L, 2) of mirrored images, unit coordinates, as points of the images themselves."""
    return (points * points.new_tensor([-1.0, 1.0]))[:, mirror]


def check_trust(trust: str, *, confidence: bool, tolerant: bool, views: bool) -> None:
    """Raises UsageError if a kind of trust lacks what it is computed from."""
    if trust == "confidence" and not confidence:
        hint = "train it with --set head=heatmap, or choose another --set trust"
        raise UsageError("trust=confidence needs a Tough teacher that states its confidence: one with heatmaps", hint)
    if trust == "agreement" and not tolerant:
        raise UsageError("trust=agreement compares two teachers", "give --tolerant too")
    if trust == "views" and not views:
        hint = "give --tough a .safetensors file, and faces whose scheme has a mirror map"
        raise UsageError("trust=views needs a Tough teacher that can look at the mirrored image: a model file", hint)
