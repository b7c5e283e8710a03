"""Error and bias of each landmark, drawn on the mean face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.faces.selection import ALL_FACES
from kdtools.reports.plots.style import (
    COLUMN_IN,
    GREY,
    MOST_PANELS,
    PAGE_IN,
    PALE,
    SMALL_PT,
    Drawing,
    error_label,
    new_figure,
    nice_below,
    short_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_ARROW, _SHORTEST_ARROW = 0.13, 0.025  # of the width of the face; shorter ones would be heads without tails
_MOST_VECTORS = 1_000  # discs; more are pixels in an SVG or PDF
_COLOURS = "viridis_r"  # large errors are dark, on white and in grey print


@dataclass(frozen=True)
class LandmarkErrors:
    """One prediction's error (L,) and bias (L, 2) by landmark, in percent; NaN where they could not be measured.

    Both leave out faces without a prediction.
    """

    prediction: str
    missing: int  # faces, of the landmark with the most
    error: np.ndarray
    bias: np.ndarray


def landmark_errors(evaluation: Evaluation, subset: str = ALL_FACES) -> list[LandmarkErrors]:
    """Errors by landmark of every prediction that has them, in the order of its landmarks.

    The mean shape is left out: next to its errors all others would have one colour.
    """
    n_points = evaluation.scheme.n_points
    names = evaluation.scheme.names or tuple(map(str, range(n_points)))
    place = {name: k for k, name in enumerate(names)}
    rows_of: dict[str, list[Row]] = {}
    for row in evaluation.landmarks:
        if row.prediction == MEAN_SHAPE:
            continue
        if row.subset == subset and row.normaliser == evaluation.normalisers[0] and row.part in place:
            rows_of.setdefault(row.prediction, []).append(row)
    results = []
    for prediction, rows in rows_of.items():
        error, bias = np.full(n_points, np.nan), np.full((n_points, 2), np.nan)
        for row in rows:
            nme = "nme_found_percent" if "nme_found_percent" in row.values else "nme_percent"
            error[place[row.part]] = _value_of(row, nme)
            bias[place[row.part]] = _value_of(row, "bias_x_percent"), _value_of(row, "bias_y_percent")
        missing = max(int(row.values.get("missing") or 0) for row in rows)
        results.append(LandmarkErrors(prediction, missing, error, bias))
    return [one for one in results if np.isfinite(one.error).any()]


def _value_of(row: Row, name: str) -> float:
    """The value, or NaN if it could not be measured or is infinite and cannot be drawn."""
    value = row.values.get(name)
    return float(value) if value is not None and np.isfinite(value) else np.nan


def landmarks_drawing(evaluation: Evaluation, subset: str = ALL_FACES) -> Drawing:
    """The mean face with a disc per landmark, one panel per prediction.

    A disc's area and colour are the landmark's mean error, an arrow is its mean offset, much enlarged.
    Raises DataError where the evaluation holds no errors by landmark.
    """
    every_panel = landmark_errors(evaluation, subset)
    if not every_panel or evaluation.mean_face is None:
        hint = "they need the points of some faces whose prediction is complete"
        raise DataError(f"there are no errors by landmark of {subset} to draw", hint)
    names = short_names([panel.prediction for panel in every_panel], 24)[:MOST_PANELS]
    panels = every_panel[:MOST_PANELS]
    n_columns = {1: 1, 2: 2, 3: 3, 4: 4}.get(len(panels), 3)
    n_rows = -(-len(panels) // n_columns)
    width = COLUMN_IN if len(panels) <= 2 else PAGE_IN
    face = np.asarray(evaluation.mean_face)
    span = np.ptp(face, axis=0)
    across = width / n_columns if len(panels) > 1 else 0.8 * width
    figure = new_figure(width, n_rows * (0.9 * across * span[1] / span[0] + 0.3) + 0.4)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    pixels = len(panels) * len(face) > _MOST_VECTORS
    every = np.concatenate([panel.error[np.isfinite(panel.error)] for panel in panels])
    limits = float(every.min()), float(max(every.max(), every.min() + 1e-6))
    biases = np.concatenate([np.hypot(*panel.bias.T) for panel in panels])
    longest = float(np.nanmax(biases)) if np.isfinite(biases).any() else 0.0
    enlarged = _LONGEST_ARROW * span[0] / longest if longest > 0 else 0.0
    for axes, panel, name in zip(grid.flat, panels, names, strict=False):
        discs = _draw_face(axes, face, panel, evaluation, limits, enlarged, across, pixels)
        name += f" ({panel.missing:,} missing)" if panel.missing else ""
        axes.text(0.5, 1, name, ha="center", va="top", transform=axes.transAxes, in_layout=False)
    for axes in grid.flat:
        axes.axis("off")
    margin = 0.09 * span.max()
    room = 0.2 * span[0] / across  # for the name above the face, and for the key below it
    grid[0, 0].set_xlim(face[:, 0].min() - margin, face[:, 0].max() + margin)
    grid[0, 0].set_ylim(face[:, 1].max() + margin + (room if enlarged else 0), face[:, 1].min() - margin - room)
    bar = figure.colorbar(
        discs, ax=grid, location="bottom", aspect=35 if len(panels) <= 2 else 70, shrink=0.75, pad=0.02
    )
    bar.outline.set_linewidth(0.4)
    bar.set_label(error_label(evaluation.normalisers[0], "Mean error"))
    if enlarged:
        percent = nice_below(longest)
        _add_key(grid.flat[len(panels) - 1], percent, enlarged * percent, room)
    return Drawing(figure, len(every_panel) - len(panels))


def _draw_face(
    axes: Axes,
    face: np.ndarray,
    panel: LandmarkErrors,
    evaluation: Evaluation,
    limits: tuple[float, float],
    enlarged: float,
    across: float,
    pixels: bool,
) -> Any:
    """Outlines lowest, then the discs, the arrows on them, and the names of the worst landmarks."""
    for line in evaluation.scheme.outlines:
        axes.plot(*face[list(line)].T, color=PALE, linewidth=0.7, zorder=1)
    known = np.isfinite(panel.error)
    axes.scatter(face[~known, 0], face[~known, 1], s=6, facecolor="white", edgecolor=GREY, linewidth=0.4, zorder=2)
    area = 20 * across * panel.error[known] / limits[1] * min(1, (68 / len(face)) ** 0.7)
    look: dict[str, Any] = {
        "cmap": _COLOURS,
        "vmin": limits[0],
        "vmax": limits[1],
        "edgecolor": GREY,
        "rasterized": pixels,
    }
    discs = axes.scatter(face[known, 0], face[known, 1], s=area, c=panel.error[known], linewidth=0.25, zorder=3, **look)
    length = enlarged * np.hypot(*panel.bias.T)
    moved = length > _SHORTEST_ARROW * np.ptp(face[:, 0])  # not so for NaN
    if moved.any():
        _draw_arrows(axes, face[moved], enlarged * panel.bias[moved], pixels=pixels)
    axes.set_aspect("equal")
    return discs


def _draw_arrows(axes: Axes, start: np.ndarray, span: np.ndarray, *, pixels: bool = False) -> None:
    """Black with a white edge, to be visible on discs of any colour."""
    from matplotlib.patheffects import withStroke

    place: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "inches", "zorder": 4}
    head: dict[str, Any] = {"headwidth": 4.2, "headlength": 4.2, "headaxislength": 3.8, "width": 0.0075}
    rim = [withStroke(linewidth=0.6, foreground="white")]
    axes.quiver(*start.T, *span.T, color="black", path_effects=rim, rasterized=pixels, **place, **head)


def _add_key(axes: Axes, percent: float, length: float, room: float) -> None:
    """The scale of the arrows, below the face."""
    right, height = axes.get_xlim()[1], axes.get_ylim()[0] - 0.5 * room
    _draw_arrows(axes, np.array([[right - length, height]]), np.array([[length, 0.0]]))
    look: dict[str, Any] = {"ha": "right", "va": "center_baseline", "size": SMALL_PT - 0.5, "in_layout": False}
    axes.text(right - length - 0.3 * room, height, f"mean offset of {percent:g} %", **look)
