"""Plot of the modes of a shape model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdtools.landmarks import Scheme
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.reports.plots.style import COLOURS, PALE, SMALL_PT, house_style, new_figure, save_figure

_N_SHOWN = 6
_PANEL_IN = 1.8


def draw_modes(model: ShapeModel, scheme: Scheme, path: Path) -> None:
    """Plot the mean shape moved along each of the first modes by 3 standard deviations in both directions."""
    n_shown = min(_N_SHOWN, len(model.modes))
    share = model.variance / model.variance.sum()
    lines = scheme.outlines if scheme.n_points == len(model.mean) else ()
    shapes = (("-3 s.d.", -1, COLOURS[0]), ("mean", 0, PALE), ("+3 s.d.", 1, COLOURS[1]))
    with house_style():
        figure = new_figure(_PANEL_IN * n_shown, 2.1)
        grid = figure.subplots(1, n_shown, squeeze=False, sharex=True, sharey=True)
        for k, axes in enumerate(grid[0]):
            step = 3 * np.sqrt(model.variance[k]) * model.modes[k]
            for label, sign, colour in shapes:
                shape = model.mean + sign * step
                axes.plot(*shape.T, ".", color=colour, markersize=2, label=label)
                for line in lines:
                    axes.plot(*shape[list(line)].T, color=colour, linewidth=0.8)
            axes.set_title(f"mode {k + 1}: {100 * share[k]:.0f} % of those kept")
            axes.set_aspect("equal")
            axes.axis("off")
        grid[0, 0].invert_yaxis()
        handles, labels = grid[0, 0].get_legend_handles_labels()
        close: dict[str, Any] = {"markerscale": 3, "handletextpad": 0, "columnspacing": 0.8, "frameon": False}
        figure.legend(handles, labels, fontsize=SMALL_PT, loc="outside lower center", ncols=3, **close)
        save_figure(figure, path, "Modes of the shape model")
