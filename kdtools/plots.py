"""Figures, drawn with matplotlib and no screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdtools.errors import UsageError
from kdtools.files import check_output, written_aside
from kdtools.schemes import Scheme
from kdtools.shape_model import ShapeModel

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
_N_SHOWN = 6


def check_plot(path: str, force: bool) -> None:
    """Raises UsageError for a file that is no picture by its name, and as `check_output` does."""
    if Path(path).suffix.lower() not in PLOT_SUFFIXES:
        raise UsageError(f"{path}: not a kind of picture", f"give a name that ends in {', '.join(PLOT_SUFFIXES)}")
    check_output(path, force)


def draw_modes(model: ShapeModel, scheme: Scheme, path: str, force: bool) -> None:
    """The mean shape moved along each of the first modes by 3 standard deviations either way."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    n_shown = min(_N_SHOWN, len(model.modes))
    share = model.variance / model.variance.sum()
    figure, axes = plt.subplots(1, n_shown, figsize=(2.3 * n_shown, 2.9), squeeze=False, sharex=True, sharey=True)
    lines = scheme.outlines if scheme.n_points == len(model.mean) else ()
    for k, axis in enumerate(axes[0]):
        step = 3 * np.sqrt(model.variance[k]) * model.modes[k]
        shapes = (("-3 s.d.", -1, "tab:blue"), ("mean", 0, "0.6"), ("+3 s.d.", 1, "tab:red"))
        for label, sign, colour in shapes:
            shape = model.mean + sign * step
            axis.plot(*shape.T, ".", color=colour, markersize=2, label=label)
            for line in lines:
                axis.plot(*shape[list(line)].T, color=colour, linewidth=0.8)
        axis.set_title(f"mode {k + 1}: {100 * share[k]:.0f} % of those kept", fontsize=8)
        axis.set_aspect("equal")
        axis.axis("off")
    axes[0, 0].invert_yaxis()
    axes[0, 0].legend(fontsize=6, loc="lower left", frameon=False)
    figure.tight_layout()
    with written_aside(path, force) as part:
        figure.savefig(part, dpi=160, metadata=_without_date(path))
    plt.close(figure)


def _without_date(path: str) -> dict[str, None]:
    """The same data should give the same file, and these kinds would record the time."""
    return {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(Path(path).suffix.lower(), {})
