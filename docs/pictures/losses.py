"""Draw the picture of docs/method.md from the code of the losses: python docs/pictures/losses.py [FOLDER]."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import torch
from matplotlib import pyplot as plt

from kdtools.training.losses import KD_VARIANTS, PAPER_WEIGHTS, kd_loss

TOUGH, TOLERANT = 0.02, 0.05  # errors of the two teachers, as shares of the input's side
WIDEST, N_ERRORS = 0.08, 640  # an even number of them meets neither 0 nor a teacher, where slopes jump
COLOURS = {"main": "#0072B2", "tough": "#D55E00", "tolerant": "#009E73", "total": "black"}


def curves(variant: str) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Errors e of one coordinate (N,), and at each of them the weighted terms and their total, and their slopes.

    The truth is 0 and the teachers lie at TOUGH and TOLERANT.
    """
    weights = {**asdict(PAPER_WEIGHTS), "total": 1.0}
    errors = np.linspace(-WIDEST, WIDEST, N_ERRORS)
    truth = torch.tensor([[[0.0, float("nan")]]], dtype=torch.float64)  # the other coordinate is not known
    tough, tolerant = truth + TOUGH, truth + TOLERANT
    values: dict[str, list[float]] = {name: [] for name in weights}
    slopes: dict[str, list[float]] = {name: [] for name in weights}
    for error in errors:
        pred = (truth.nan_to_num() + error).requires_grad_()
        for name, term in kd_loss(pred, truth, tough, tolerant, variant).items():
            values[name].append(weights[name] * term.item())
            slope = torch.autograd.grad(term, pred, retain_graph=True, allow_unused=True)[0]
            slopes[name].append(0.0 if slope is None else weights[name] * slope[0, 0, 0].item())
    return errors, {n: np.array(v) for n, v in values.items()}, {n: np.array(v) for n, v in slopes.items()}


def draw_losses(folder: Path) -> None:
    """One column for each variant: above the terms as they stand in the total, below their slopes."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharex=True, sharey="row")
    for column, variant in zip(axes.T, KD_VARIANTS, strict=True):
        errors, values, slopes = curves(variant)
        for axis, lines in zip(column, (values, slopes), strict=True):
            for name, line in lines.items():
                breaks = (
                    np.flatnonzero(np.abs(np.diff(line)) > 0.05 * np.ptp(lines["total"])) + 1
                )  # no line across a jump
                x, y = np.insert(errors, breaks, np.nan), np.insert(line, breaks, np.nan)
                axis.plot(x, y, color=COLOURS[name], linewidth=2.2 if name == "total" else 1.3, label=name)
            for t, name in ((TOUGH, "tough"), (TOLERANT, "tolerant")):
                for side in (-1, 1):
                    axis.axvline(side * t, color=COLOURS[name], linewidth=0.8, linestyle=":")
            axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        column[0].set_title(f"{variant}: value", fontsize=10)
        column[1].set_title(f"{variant}: slope", fontsize=10)
        column[1].set_xlabel("e, the student's error, as a share of the input's side")
    axes[0, 0].legend(fontsize=9, loc="upper center")
    figure.tight_layout()
    figure.savefig(folder / "losses.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw_losses(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures"))
