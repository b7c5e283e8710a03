"""Scatter plots of the errors of two predictions by face: which faces get better, and which worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation
from kdtools.faces.selection import ALL_FACES
from kdtools.reports.plots.style import (
    COLOURS,
    COLUMN_IN,
    GREY,
    MOST_PANELS,
    PAGE_IN,
    Drawing,
    error_label,
    member_of,
    new_figure,
    short_names,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 20_000  # above, cells of a histogram
_MOST_VECTORS = 1_500  # above, points are pixels in an SVG or PDF, or else these would be slow and large
_N_LABELLED = 5
_BETTER, _WORSE = COLOURS[0], COLOURS[1]
_LABEL_PT = 6.0
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0.6, 1), (-0.6, 1), (0.6, -1), (-0.6, -1), (0, 1), (0, -1)])  # of labels


@dataclass(frozen=True)
class Pair:
    """Errors in percent of the faces measured with both: baseline (n,), other (n,); inf is missing."""

    name: str
    baseline: np.ndarray
    other: np.ndarray
    ids: Sequence[str]
    rows: np.ndarray  # of the faces in ids, (n,)

    @property
    def n_better(self) -> int:
        """Faces on which the other has the smaller error."""
        return int((self.other < self.baseline).sum())

    @property
    def n_worse(self) -> int:
        """Faces on which the other has the larger error."""
        return int((self.other > self.baseline).sum())


def pairs_of(evaluation: Evaluation, subset: str = ALL_FACES) -> tuple[str, list[Pair]]:
    """Name of the baseline, and its pair with each other prediction. Raises DataError if there is no pair."""
    chosen = member_of(evaluation.members, subset, evaluation.n_faces)
    every = [errors for errors in evaluation.errors if errors.prediction != MEAN_SHAPE]
    named = [errors.prediction for errors in every]
    if len(every) < 2:
        raise DataError("a scatter plot needs two predictions", "give a second file of predictions")
    names = short_names(named, 24)
    first = named.index(evaluation.baseline) if evaluation.baseline in named else 0
    pairs = []
    for k, errors in enumerate(every):
        if k != first:
            baseline, other = 100 * every[first].nme[chosen], 100 * errors.nme[chosen]
            known = ~(np.isnan(baseline) | np.isnan(other))
            if known.any():
                pairs.append(Pair(names[k], baseline[known], other[known], evaluation.ids, chosen[known]))
    if not pairs:
        raise DataError(f"no face of {subset} could be measured with two predictions, so there is nothing to draw")
    return names[first], pairs


def scatter_drawing(evaluation: Evaluation, subset: str = ALL_FACES) -> Drawing:
    """Each face's error of the baseline (or else the first prediction) against that of each other prediction.

    Raises DataError without two predictions of the same faces.
    """
    from matplotlib.ticker import FuncFormatter

    baseline, every_pair = pairs_of(evaluation, subset)
    pairs = every_pair[:MOST_PANELS]
    n_columns = min(len(pairs), 4) if len(pairs) not in (5, 6) else 3
    n_rows = -(-len(pairs) // n_columns)
    width = COLUMN_IN if len(pairs) == 1 else PAGE_IN
    side = min(width / n_columns, COLUMN_IN)
    is_histogram = len(pairs[0].rows) > MOST_POINTS
    figure = new_figure(width, n_rows * (side - 0.05) + (0.3 if is_histogram else 0))
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    low, high = _limits(pairs)
    for axes in grid.flat[len(pairs) :]:
        axes.axis("off")
    cells = None
    for number, (axes, pair) in enumerate(zip(grid.flat, pairs, strict=False)):
        cells = _draw_pair(axes, pair, low, high, is_histogram)
        _set_axes(axes, low, high)
        axes.set_ylabel(error_label(evaluation.normalisers[0], f"{pair.name}: error") if len(pairs) == 1 else pair.name)
        if number + n_columns >= len(pairs):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(
                baseline if len(pairs) > 1 else error_label(evaluation.normalisers[0], f"{baseline}: error")
            )
    if len(pairs) > 1:
        figure.supxlabel(error_label(evaluation.normalisers[0], "Error by face"), fontsize=_LABEL_PT + 1)
    if cells is not None:
        bar = figure.colorbar(cells, ax=grid, location="bottom", aspect=40, shrink=0.7, pad=0.02)
        bar.outline.set_linewidth(0.4)
        bar.set_label("Faces per cell")
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    figure.draw_without_rendering()  # the labels below need to know how large the axes are
    for axes, pair in zip(grid.flat, pairs, strict=False):
        _label_farthest(axes, pair, low, high)
    return Drawing(figure, len(every_pair) - len(pairs))


def _limits(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Limits of both axes: all errors except those near 0, which would be far out on a logarithmic axis."""
    every = np.concatenate([errors for pair in pairs for errors in (pair.baseline, pair.other)])
    every = every[np.isfinite(every) & (every > 0)]
    if not len(every):
        return 0.1, 10.0
    low = max(float(every.min()), 0.02 * float(np.median(every)))
    return 0.85 * low, 1.3 * max(float(every.max()), 1.5 * low)


def _set_axes(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set_aspect("equal")
    ticks = (1,) if high > 300 * low else (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 4, 6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=ticks) if high > 2.5 * low else MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(True)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=4)


def _draw_pair(axes: Axes, pair: Pair, low: float, high: float, is_histogram: bool) -> Any:
    """Points, or else cells, which are returned for their colour bar; and how many faces are on either side."""
    both = np.isfinite(pair.baseline) & np.isfinite(pair.other)
    x, y = pair.baseline[both].clip(low, high), pair.other[both].clip(low, high)
    cells = None
    if is_histogram:
        extent = (math.log10(low), math.log10(high)) * 2
        place: dict[str, Any] = {"gridsize": 55, "xscale": "log", "yscale": "log", "extent": extent, "mincnt": 1}
        cells = axes.hexbin(x, y, bins="log", cmap="viridis_r", linewidths=0.1, zorder=3, rasterized=True, **place)
    else:
        size = float(np.clip(50 / np.sqrt(max(len(x), 1)), 1.1, 3))
        pixels = len(x) > _MOST_VECTORS
        look: dict[str, Any] = {"markersize": size, "markeredgewidth": 0, "alpha": 0.55, "zorder": 3}
        for chosen, colour in ((y < x, _BETTER), (y > x, _WORSE), (y == x, GREY)):
            axes.plot(x[chosen], y[chosen], "o", color=colour, rasterized=pixels, **look)
    lost = pair.baseline[np.isinf(pair.other) & np.isfinite(pair.baseline)]
    gained = pair.other[np.isinf(pair.baseline) & np.isfinite(pair.other)]
    far: dict[str, Any] = {"markersize": 3, "markeredgewidth": 0, "alpha": 0.7, "clip_on": False, "in_layout": False}
    at_top, at_right = _thinned(lost, low, high), _thinned(gained, low, high)
    axes.plot(at_top, np.full(len(at_top), high / 1.03), "^", color=_WORSE, **far)
    axes.plot(np.full(len(at_right), high / 1.03), at_right, ">", color=_BETTER, **far)
    _write_count(axes, (0.03, 0.97), _count_text("worse", pair.n_worse, len(lost), len(pair.rows)), _WORSE)
    _write_count(axes, (0.97, 0.03), _count_text("better", pair.n_better, len(gained), len(pair.rows)), _BETTER)
    return cells


def _thinned(errors: np.ndarray, low: float, high: float) -> np.ndarray:
    """Errors of faces that one prediction lacks; no two so near each other that their triangles would be one."""
    ticks = np.geomspace(low, high, 300)
    return np.unique(ticks[np.searchsorted(ticks, errors).clip(0, len(ticks) - 1)])


def _count_text(word: str, n: int, n_missing: int, n_all: int) -> str:
    return f"{word}: {n:,} ({100 * n / n_all:.1f} %)" + (f"\nof these {n_missing:,} missing" if n_missing else "")


def _write_count(axes: Axes, at: tuple[float, float], text: str, colour: str) -> None:
    """Write into the corner, given in fractions of the axes."""
    where: dict[str, Any] = {"va": "top", "ha": "left"} if at[0] < 0.5 else {"va": "bottom", "ha": "right"}
    size = _LABEL_PT + 0.5
    axes.text(*at, text, transform=axes.transAxes, color=colour, size=size, zorder=7, in_layout=False, **where)


def farthest(pair: Pair) -> list[int]:
    """Places in the pair of a few faces whose two errors have the largest ratio, the largest first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(np.log(pair.other) - np.log(pair.baseline))
    ratio[~np.isfinite(ratio) | (ratio == 0)] = -1
    return [int(k) for k in np.argsort(-ratio, kind="stable")[:_N_LABELLED] if ratio[k] > 0]


def _label_farthest(axes: Axes, pair: Pair, low: float, high: float) -> None:
    """Ids next to the faces farthest off the diagonal, where they cover no other text and the fewest points."""
    ground = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.4}  # a halo would make paths of the letters
    chosen = farthest(pair)
    area, unit = axes.get_window_extent(), axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    points = axes.transData.transform(np.stack([pair.baseline, pair.other], axis=1).clip(low, high)[:MOST_POINTS])
    taken: list[np.ndarray] = [np.array(text.get_window_extent().extents) for text in axes.texts]
    rings = axes.transData.transform(np.stack([pair.baseline[chosen], pair.other[chosen]], axis=1).clip(low, high))
    taken += [np.concatenate([ring - 2 * unit, ring + 2 * unit]) for ring in rings]
    for k, text in zip(chosen, _short_ids([pair.ids[int(pair.rows[k])] for k in chosen], area.width), strict=True):
        at = (pair.baseline[k].clip(low, high), pair.other[k].clip(low, high))
        x, y = axes.transData.transform(at)
        half = np.array([0.3 * len(text) + 0.2, 0.58]) * _LABEL_PT * unit
        centres = np.array([x, y]) + _DIRECTIONS * (half + 2.5 * unit)
        boxes = np.concatenate([centres - half, centres + half], axis=1)
        inside = (boxes[:, :2] > area.p0).all(axis=1) & (boxes[:, 2:] < area.p1).all(axis=1)
        free = [
            bool(ok) and not any(_overlap(box, other) for other in taken) for ok, box in zip(inside, boxes, strict=True)
        ]
        covered = [((points > box[:2]) & (points < box[2:])).all(axis=1).sum() for box in boxes]
        if any(free):
            best = int(np.argmin(np.where(free, covered, np.inf)))
            taken.append(boxes[best])
            axes.plot(*at, "o", markersize=3, fillstyle="none", color="black", markeredgewidth=0.5, zorder=6)
            left, top = axes.transData.inverted().transform(centres[best])
            look: dict[str, Any] = {"ha": "center", "va": "center", "size": _LABEL_PT, "zorder": 6, "in_layout": False}
            axes.text(float(left), float(top), text, bbox=ground, **look)


def _short_ids(ids: Sequence[str], width: float) -> list[str]:
    """Ids without the folders that all of them are in, in as many letters as a panel so wide has room for."""
    parts = [identity.split("/") for identity in ids]
    n_common = 0
    while parts and all(
        len(words) > n_common + 1 and words[: n_common + 1] == parts[0][: n_common + 1] for words in parts
    ):
        n_common += 1
    return [shorten("/".join(words[n_common:]), 14 if width < 180 else 20) for words in parts]


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])
