"""Losses on landmark coordinates. Tensors are (B, L, 2) in unit coordinates ([-0.5, 0.5] over the input image).

A NaN in the truth or in a teacher's prediction marks an unknown coordinate; terms that need it leave it out. `trust`
(B, L) in all of them is the weight of each point in the mean; None counts all points alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kdtools.errors import UsageError
from kdtools.model.heads import HEAT_WIDTH, cell_centres
from kdtools.training.distributed import n_processes, sum_over_processes


@dataclass(frozen=True)
class KDConstants:
    """Constants of KD-Loss, explained in docs/design.md, section 4.

    `alpha_tough` and `alpha_tolerant` are (α⁺, α⁻). Within βt the weight rises linearly from 0 to α⁻ with `ramp` (the
    paper's drawings) and is 0 without (the authors' code).
    """

    alpha_tough: tuple[float, float]
    alpha_tolerant: tuple[float, float]
    beta: float
    c: float
    ramp: bool


KD_VARIANTS = {
    "reference": KDConstants((1.9, -0.45), (1.8, -0.4), beta=0.15, c=3.0, ramp=False),
    "figure": KDConstants((1.0, -0.5), (1.0, -0.5), beta=0.4, c=1.0, ramp=True),
}


def mean_of_known(values: Tensor, known: Tensor, trust: Tensor | None = None) -> Tensor:
    """Mean of `values` where `known`, a mask of the same shape; 0 if nothing is known.

    `values` and `known` are (B, L, 2), or (B, L).

    `values` must be finite everywhere: 0 times NaN is NaN, in the gradient too. The divisor is the mean count over all
    processes, so that the mean of their losses is that of the whole batch.
    """
    if trust is not None:
        known = known * (trust if known.ndim == trust.ndim else trust[..., None])
    return (values * known).sum() / sum_over_processes(known.sum()).clamp(min=1) * n_processes()


def signed_error(pred: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """e = prediction − truth, 0 where the truth is unknown, and the mask of known coordinates."""
    known = truth.isfinite()
    return torch.where(known, pred - truth.nan_to_num(), torch.zeros_like(pred)), known


def l1_loss(pred: Tensor, truth: Tensor, trust: Tensor | None = None) -> Tensor:
    """Mean of |e| over known coordinates.

    >>> float(l1_loss(torch.tensor([[[0.1, -0.3]]]), torch.zeros(1, 1, 2)))  # doctest: +ELLIPSIS
    0.2...
    """
    error, known = signed_error(pred, truth)
    return mean_of_known(error.abs(), known, trust)


def l2_loss(pred: Tensor, truth: Tensor, trust: Tensor | None = None) -> Tensor:
    """Mean of e² over known coordinates.

    >>> float(l2_loss(torch.tensor([[[0.5, -0.5]]]), torch.zeros(1, 1, 2)))
    0.25
    """
    error, known = signed_error(pred, truth)
    return mean_of_known(error.square(), known, trust)


def wing_loss(
    pred: Tensor,
    truth: Tensor,
    trust: Tensor | None = None,
    *,
    width: float = 10 / 256,
    curvature: float = 2 / 256,
) -> Tensor:
    """Mean over known coordinates of w·ln(1 + |e|/ε) where |e| < w, else |e| − C, with C = w − w·ln(1 + w/ε).

    Source: Feng et al., "Wing Loss", CVPR 2018, whose w = 10 and ε = 2 are pixels of a 256 px image.
    """
    error, known = signed_error(pred, truth)
    size = error.abs()
    offset = width - width * torch.log1p(torch.tensor(width / curvature, dtype=pred.dtype, device=pred.device))
    return mean_of_known(torch.where(size < width, width * torch.log1p(size / curvature), size - offset), known, trust)


def smooth_loss(pred: Tensor, truth: Tensor, trust: Tensor | None = None, *, width: float = 2 / 256) -> Tensor:
    """Mean over known coordinates of e²/2w where |e| < w, else |e| − w/2: L1 with a continuous gradient at 0.

    Source: Girshick, "Fast R-CNN", ICCV 2015, with w = 2 pixels of a 256 px image instead of 1.

    >>> round(256 * float(smooth_loss(torch.tensor([[[1 / 256, -4 / 256]]]), torch.zeros(1, 1, 2))), 4)
    1.625
    """
    error, known = signed_error(pred, truth)
    size = error.abs()
    return mean_of_known(torch.where(size < width, size.square() / (2 * width), size - width / 2), known, trust)


def heatmap_loss(heatmaps: Tensor, truth: Tensor, trust: Tensor | None = None) -> Tensor:
    """Mean over known points of the cross-entropy between a heatmap's softmax and a Gaussian around the point.

    heatmaps: (B, L, h, w) before softmax; truth: (B, L, 2) in unit coordinates. Points outside the image are moved to
    its border. Source: the Kullback-Leibler regularisation of Nibali et al., "Numerical Coordinate Regression with
    Convolutional Neural Networks", 2018.

    >>> round(float(heatmap_loss(torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2)).exp()), 4)  # all cells alike
    9.0
    """
    known = truth.isfinite().all(dim=2)
    inside = truth.nan_to_num().clamp(-0.5, 0.5)
    centre = cell_centres(heatmaps)  # (2, h * w)
    cells = torch.tensor([heatmaps.shape[3], heatmaps.shape[2]], device=truth.device)
    distance = (inside[..., None] - centre) * cells[:, None]  # (B, L, 2, h * w), cells
    target = (-distance.square().sum(dim=2) / (2 * HEAT_WIDTH**2)).softmax(dim=2)
    entropy = -(target * heatmaps.flatten(2).log_softmax(dim=2)).sum(dim=2)  # (B, L)
    return mean_of_known(entropy, known, trust)


PLAIN_LOSSES: dict[str, Callable[..., Tensor]] = {
    "l2": l2_loss,
    "l1": l1_loss,
    "wing": wing_loss,
    "smooth": smooth_loss,
}


def assistive_loss(
    error: Tensor,
    known: Tensor,
    t: Tensor,
    alpha: tuple[float, float],
    constants: KDConstants,
    trust: Tensor | None = None,
) -> Tensor:
    """ALoss of one teacher: mean of ω·|t − |e||, with no gradient through the weight ω.

    `error` is the student's signed error, `t` the teacher's absolute error, both (B, L, 2). ω is α⁺ where the student
    is farther from the truth (|e| > t) and α⁻ < 0 where it is nearer (βt ≤ |e| ≤ t); both draw the student towards the
    truth. Source: arXiv 2111.07047, section 3.4.
    """
    size = error.abs()
    with torch.no_grad():
        inner = constants.beta * t
        ramp = torch.zeros_like(size)
        if constants.ramp:  # not used where t = 0; `clamp` keeps it finite there
            ramp = alpha[1] * size / inner.clamp(min=torch.finfo(t.dtype).tiny)
        weight = torch.where(size > t, alpha[0], torch.where(size >= inner, torch.full_like(size, alpha[1]), ramp))
    return mean_of_known(weight * (t - size).abs(), known, trust)


def main_loss(error: Tensor, known: Tensor, t_tolerant: Tensor, c: float, trust: Tensor | None = None) -> Tensor:
    """Mean of c|e| where |e| ≤ d, else e² + c·d − d², with d the tolerant teacher's error, 0 where it is unknown."""
    size, d = error.abs(), t_tolerant
    return mean_of_known(torch.where(size <= d, c * size, size.square() + c * d - d.square()), known, trust)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of a loss with teachers; the defaults are the paper's."""

    main: float = 2.0
    tough: float = 1.0
    tolerant: float = 1.0


PAPER_WEIGHTS = LossWeights()


def kd_loss(
    pred: Tensor,
    truth: Tensor,
    tough: Tensor,
    tolerant: Tensor,
    variant: str = "reference",
    weights: LossWeights = PAPER_WEIGHTS,
    trust: Tensor | None = None,
) -> dict[str, Tensor]:
    """KD-Loss: its unweighted terms `main`, `tough` and `tolerant`, and their weighted `total`.

    pred, truth, tough, tolerant: (B, L, 2), unit coordinates; the last two are the teachers' predictions.
    `variant` selects the constants: `reference` (the authors' code) or `figure` (the paper's drawings).
    Raises UsageError for an unknown variant. Source: arXiv 2111.07047.

    >>> zero = torch.zeros(1, 1, 2)
    >>> terms = kd_loss(torch.tensor([[[0.2, 0.0]]]), zero, zero, zero)
    >>> [round(float(terms[name]), 3) for name in ("main", "tough", "tolerant", "total")]
    [0.02, 0.19, 0.18, 0.41]
    """
    error, known = signed_error(pred, truth)
    t_tolerant, _ = _teacher_error(tolerant, truth)
    terms = {"main": main_loss(error, known, t_tolerant, _constants_of(variant).c, trust)}
    for role, teacher in {"tough": tough, "tolerant": tolerant}.items():
        terms[role] = _assistive_term(role, pred, truth, teacher, variant, trust)
    return _with_total(terms, weights)


def _constants_of(variant: str) -> KDConstants:
    if variant not in KD_VARIANTS:
        raise UsageError(f"there is no KD-Loss variant {variant!r}", f"give one of {', '.join(KD_VARIANTS)}")
    return KD_VARIANTS[variant]


def _teacher_error(teacher: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """t = |teacher − truth|, 0 where either is unknown, and the mask of known coordinates."""
    error, known = signed_error(teacher, truth)
    return torch.where(teacher.isfinite(), error, torch.zeros_like(error)).abs(), known & teacher.isfinite()


def _assistive_term(
    role: str, pred: Tensor, truth: Tensor, teacher: Tensor, variant: str, trust: Tensor | None
) -> Tensor:
    """`assistive_loss` of the teacher in `role`, `tough` or `tolerant`."""
    constants = _constants_of(variant)
    error, known = signed_error(pred, truth)
    t, known_teacher = _teacher_error(teacher, truth)
    alpha = constants.alpha_tough if role == "tough" else constants.alpha_tolerant
    return assistive_loss(error, known & known_teacher, t, alpha, constants, trust)


def _with_total(terms: dict[str, Tensor], weights: LossWeights) -> dict[str, Tensor]:
    first, *rest = (getattr(weights, name) * term for name, term in terms.items())
    return {**terms, "total": sum(rest, start=first)}


def loss_terms(
    loss: str,
    pred: Tensor,
    truth: Tensor,
    teachers: dict[str, Tensor],
    variant: str = "reference",
    weights: LossWeights = PAPER_WEIGHTS,
    trust: Tensor | None = None,
) -> dict[str, Tensor]:
    """Named terms of any loss in settings.py, with their `total`.

    pred, truth and each of `teachers` (`tough`, `tolerant`): (B, L, 2). `l1`, `l2`, `wing` and `smooth` need no
    teacher; `kd` needs both. MAIN+assist adds the paper's assistive term for each teacher, MAIN+mimic the main loss
    against each teacher's points. With weights 1, 1, 1 and two teachers, `l1+mimic` is least at the median of the
    truth and both predictions.
    """
    if loss == "kd":
        return kd_loss(pred, truth, teachers["tough"], teachers["tolerant"], variant, weights, trust)
    name, _, form = loss.partition("+")
    main = PLAIN_LOSSES[name]
    if not form:
        return {"total": main(pred, truth, trust)}
    terms = {"main": main(pred, truth, trust)}
    for role, teacher in teachers.items():
        if form == "mimic":
            terms[role] = main(pred, teacher, trust)
        else:
            terms[role] = _assistive_term(role, pred, truth, teacher, variant, trust)
    return _with_total(terms, weights)


def heat_term(
    heatmaps: Tensor,
    truth: Tensor,
    teachers: dict[str, Tensor],
    loss: str,
    weights: LossWeights = PAPER_WEIGHTS,
    trust: Tensor | None = None,
) -> Tensor:
    """`heatmap_loss` against the truth; with +mimic, its mean over truth and teachers weighted by `weights`.

    heatmaps: (B, L, h, w) before softmax; truth and each of `teachers` (`tough`, `tolerant`): (B, L, 2).
    """
    if not loss.endswith("+mimic"):
        return heatmap_loss(heatmaps, truth, trust)
    total, term = 0.0, heatmaps.new_zeros(())
    for name, points in {"main": truth, **teachers}.items():
        weight = getattr(weights, name)
        total, term = total + weight, term + weight * heatmap_loss(heatmaps, points, trust)
    return term / (total or 1.0)
