"""Losses on landmark coordinates. Tensors are (B, L, 2) in unit coordinates ([-0.5, 0.5] over the input image).

NaN in the truth, or in a teacher, means that the coordinate is not known: it adds nothing to the terms that want it,
and is not counted there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kdtools.errors import UsageError
from kdtools.model.heads import HEAT_WIDTH, cell_centres
from kdtools.training.distributed import n_processes, sum_over_processes


@dataclass(frozen=True)
class KDConstants:
    """Constants of KD-Loss; see docs/design.md, section 4, for what each does.

    `alpha_tough` and `alpha_tolerant` are (α⁺, α⁻); `ramp` says whether the weight runs linearly from 0 to α⁻ inside
    βt (the paper's drawings) or is 0 there (the authors' code).
    """

    alpha_tough: tuple[float, float]
    alpha_tolerant: tuple[float, float]
    beta: float
    c: float
    ramp: bool
    w_main: float = 2.0
    w_tough: float = 1.0
    w_tolerant: float = 1.0


KD_VARIANTS = {
    "reference": KDConstants((1.9, -0.45), (1.8, -0.4), beta=0.15, c=3.0, ramp=False),
    "figure": KDConstants((1.0, -0.5), (1.0, -0.5), beta=0.4, c=1.0, ramp=True),
}


def mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """Mean of `values` where `known`; 0 where nothing is. Both of one shape.

    `values` must be finite everywhere: 0 times NaN would still be NaN, in the gradient too. Where several processes
    train, the count is that of all of them, per process: the mean of their losses is then that of the whole batch.
    """
    return (values * known).sum() / sum_over_processes(known.sum()).clamp(min=1) * n_processes()


def signed_error(pred: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """e = prediction − truth and where the truth is known; e is 0 where it is not."""
    known = truth.isfinite()
    return torch.where(known, pred - truth.nan_to_num(), torch.zeros_like(pred)), known


def l1_loss(pred: Tensor, truth: Tensor) -> Tensor:
    """Mean of |e| over known coordinates.

    >>> float(l1_loss(torch.tensor([[[0.1, -0.3]]]), torch.zeros(1, 1, 2)))  # doctest: +ELLIPSIS
    0.2...
    """
    error, known = signed_error(pred, truth)
    return mean_of_known(error.abs(), known)


def l2_loss(pred: Tensor, truth: Tensor) -> Tensor:
    """Mean of e² over known coordinates.

    >>> float(l2_loss(torch.tensor([[[0.5, -0.5]]]), torch.zeros(1, 1, 2)))
    0.25
    """
    error, known = signed_error(pred, truth)
    return mean_of_known(error.square(), known)


def wing_loss(pred: Tensor, truth: Tensor, *, width: float = 10 / 256, curvature: float = 2 / 256) -> Tensor:
    """Mean over known coordinates of w·ln(1 + |e|/ε) where |e| < w, else |e| − C, with C making the two meet.

    Source: Feng et al., "Wing Loss", CVPR 2018, whose w = 10 and ε = 2 are pixels of a 256 px image.
    """
    error, known = signed_error(pred, truth)
    size = error.abs()
    offset = width - width * torch.log1p(torch.tensor(width / curvature, dtype=pred.dtype, device=pred.device))
    return mean_of_known(torch.where(size < width, width * torch.log1p(size / curvature), size - offset), known)


def smooth_loss(pred: Tensor, truth: Tensor, *, width: float = 2 / 256) -> Tensor:
    """Mean over known coordinates of e²/2w where |e| < w, else |e| − w/2: L1 whose gradient does not jump at 0.

    Source: Girshick, "Fast R-CNN", ICCV 2015, with w = 2 pixels of a 256 px image in the place of 1.

    >>> round(256 * float(smooth_loss(torch.tensor([[[1 / 256, -4 / 256]]]), torch.zeros(1, 1, 2))), 4)
    1.625
    """
    error, known = signed_error(pred, truth)
    size = error.abs()
    return mean_of_known(torch.where(size < width, size.square() / (2 * width), size - width / 2), known)


def heatmap_loss(heatmaps: Tensor, truth: Tensor) -> Tensor:
    """Mean over known points of the cross-entropy between a heatmap's softmax and a Gaussian around the point.

    heatmaps: (B, L, h, w) before softmax; truth: (B, L, 2) in unit coordinates. A point outside the image has its
    Gaussian at the border. Source: the regularisation of Nibali et al., "Numerical Coordinate Regression with
    Convolutional Neural Networks", 2018, by its Kullback-Leibler form.

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
    return mean_of_known(entropy, known)


PLAIN_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": l2_loss,
    "l1": l1_loss,
    "wing": wing_loss,
    "smooth": smooth_loss,
}


def assistive_loss(
    error: Tensor, known: Tensor, t: Tensor, alpha: tuple[float, float], constants: KDConstants
) -> Tensor:
    """ALoss of one teacher: mean of ω·|t − |e||; ω depends on which of them is nearer the truth, as a constant.

    `error` is the student's signed error and `t` the size of the teacher's, both (B, L, 2); the teacher's point counts
    as if it lay on the student's side of the truth. Where the student is further off (|e| > t) ω is α⁺ and draws it
    in; where it is nearer (βt ≤ |e| ≤ t) ω is α⁻ < 0 and still draws it in, away from the teacher's point.
    Source: arXiv 2111.07047, section 3.4.
    """
    size = error.abs()
    with torch.no_grad():
        inner = constants.beta * t
        # t = 0 leaves no inside, so the quotient is never used there; the guard keeps it finite.
        ramp = (
            alpha[1] * size / inner.clamp(min=torch.finfo(t.dtype).tiny) if constants.ramp else torch.zeros_like(size)
        )
        weight = torch.where(size > t, alpha[0], torch.where(size >= inner, torch.full_like(size, alpha[1]), ramp))
    return mean_of_known(weight * (t - size).abs(), known)


def main_loss(error: Tensor, known: Tensor, t_tolerant: Tensor, c: float) -> Tensor:
    """Mean of c|e| where |e| ≤ d, else e² + c·d − d², with d the tolerant teacher's error: L1 near, L2 far.

    Where that teacher is not known d is 0, so the square is left.
    """
    size, d = error.abs(), t_tolerant
    return mean_of_known(torch.where(size <= d, c * size, size.square() + c * d - d.square()), known)


@dataclass(frozen=True)
class LossWeights:
    """What the terms of a loss with teachers count in its total; the paper's are 2, 1, 1."""

    main: float = 2.0
    tough: float = 1.0
    tolerant: float = 1.0


def kd_loss(
    pred: Tensor,
    truth: Tensor,
    tough: Tensor,
    tolerant: Tensor,
    variant: str = "reference",
    *,
    constants: KDConstants | None = None,
) -> dict[str, Tensor]:
    """KD-Loss with its named terms: `main`, `tough`, `tolerant` before their weights, and their weighted `total`.

    pred, truth, tough, tolerant: (B, L, 2), unit coordinates; the last two are the teachers' predictions.
    `variant` names the constants (`reference`: the authors' code, `figure`: the paper's drawings) unless `constants`
    gives them. Raises UsageError for an unknown variant. Source: arXiv 2111.07047.

    >>> zero = torch.zeros(1, 1, 2)
    >>> terms = kd_loss(torch.tensor([[[0.2, 0.0]]]), zero, zero, zero)
    >>> [round(float(terms[name]), 3) for name in ("main", "tough", "tolerant", "total")]
    [0.02, 0.19, 0.18, 0.41]
    """
    if constants is None:
        constants = _constants_of(variant)
    error, known = signed_error(pred, truth)
    t_tough, known_tough = _teacher_error(tough, truth)
    t_tolerant, known_tolerant = _teacher_error(tolerant, truth)
    terms = {
        "main": main_loss(error, known, t_tolerant, constants.c),
        "tough": assistive_loss(error, known & known_tough, t_tough, constants.alpha_tough, constants),
        "tolerant": assistive_loss(error, known & known_tolerant, t_tolerant, constants.alpha_tolerant, constants),
    }
    total = (
        constants.w_main * terms["main"] + constants.w_tough * terms["tough"] + constants.w_tolerant * terms["tolerant"]
    )
    return {**terms, "total": total}


def _constants_of(variant: str) -> KDConstants:
    if variant not in KD_VARIANTS:
        raise UsageError(f"there is no KD-Loss variant {variant!r}", f"give one of {', '.join(KD_VARIANTS)}")
    return KD_VARIANTS[variant]


def _teacher_error(teacher: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """t = |teacher − truth| and where it is known; 0 where it is not."""
    error, known = signed_error(teacher, truth)
    return torch.where(teacher.isfinite(), error, torch.zeros_like(error)).abs(), known & teacher.isfinite()


def loss_terms(
    loss: str,
    pred: Tensor,
    truth: Tensor,
    teachers: dict[str, Tensor],
    variant: str = "reference",
    weights: LossWeights | None = None,
) -> dict[str, Tensor]:
    """Named terms of any loss in LOSSES of settings.py, with their `total`.

    pred, truth and each of `teachers` (tough, tolerant): (B, L, 2). `l1`, `l2`, `wing` and `smooth` need no teacher;
    `kd` is the paper's loss and needs both. MAIN+assist puts the paper's assistive terms on another main loss;
    MAIN+mimic adds the same loss to each teacher's points. Both take the teachers that are given. With weights 1, 1, 1
    `l1+mimic` draws every coordinate to the median of truth, Tough and Tolerant teacher.
    """
    weights = weights or LossWeights()
    if loss == "kd":
        constants = replace(
            _constants_of(variant), w_main=weights.main, w_tough=weights.tough, w_tolerant=weights.tolerant
        )
        return kd_loss(pred, truth, teachers["tough"], teachers["tolerant"], variant, constants=constants)
    name, _, form = loss.partition("+")
    main = PLAIN_LOSSES[name]
    if not form:
        return {"total": main(pred, truth)}
    terms = {"main": main(pred, truth)}
    total = weights.main * terms["main"]
    for role, teacher in teachers.items():
        if form == "mimic":
            terms[role] = main(pred, teacher)
        else:
            error, known = signed_error(pred, truth)
            t, known_teacher = _teacher_error(teacher, truth)
            constants = _constants_of(variant)
            alpha = constants.alpha_tough if role == "tough" else constants.alpha_tolerant
            terms[role] = assistive_loss(error, known & known_teacher, t, alpha, constants)
        total = total + getattr(weights, role) * terms[role]
    return {**terms, "total": total}


def heat_term(
    heatmaps: Tensor, truth: Tensor, teachers: dict[str, Tensor], loss: str, weights: LossWeights | None = None
) -> Tensor:
    """`heatmap_loss` to the truth; for losses that mimic, the weighted mean of those to the truth and to each teacher.

    heatmaps: (B, L, h, w) before softmax; truth and each of `teachers` (tough, tolerant): (B, L, 2). The weights are
    those of the terms on points, so that both draw to the same places.
    """
    if not loss.endswith("+mimic"):
        return heatmap_loss(heatmaps, truth)
    weights = weights or LossWeights()
    total, term = 0.0, heatmaps.new_zeros(())
    for name, points in {"main": truth, **teachers}.items():
        weight = getattr(weights, name)
        total, term = total + weight, term + weight * heatmap_loss(heatmaps, points)
    return term / (total or 1.0)
