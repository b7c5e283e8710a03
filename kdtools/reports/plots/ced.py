"""Cumulative error distributions (CED): the share of faces up to each error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation
from kdtools.faces.selection import ALL_FACES
from kdtools.metrics import area_under_ced, threshold_label
from kdtools.metrics.intervals import ced_band
from kdtools.reports.plots.style import (
    COLUMN_IN,
    GREY,
    PALE,
    SMALL_PT,
    Drawing,
    colour_of,
    error_label,
    line_of,
    marker_look,
    member_of,
    new_figure,
    short_names,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_STEPS = 400  # of a curve: finer ones cannot be told apart in a column of a paper
_BAND_POINTS = 160
_MOST_INSIDE = 5  # curves whose legend has room below them
_NAME_LETTERS = 24
_HEIGHT_IN, _LINE_IN, _GAP_PT = 2.35, 0.135, 2.2  # of the axes, of a line of the legend, and between its lines
_EN_SPACE = "\u2002"  # as wide as an asterisk
_NICE = np.array([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])


@dataclass(frozen=True)
class Curve:
    """One prediction's curve: share (K,) of the n faces with an error of at most error_percent (K,), and its band."""

    name: str
    n: int
    missing: int
    error_percent: np.ndarray
    share_percent: np.ndarray
    band: tuple[np.ndarray, np.ndarray, np.ndarray] | None  # error, low, high in percent; None for one face, mean shape
    nme_percent: float | None  # of the faces predicted
    auc_percent: float | None


def ced_drawing(evaluation: Evaluation, subset: str = ALL_FACES) -> Drawing:
    """CED curves of all predictions with their 95 % bands, and of the mean shape without one.

    Faces that were not predicted keep a curve below 100 %. Raises DataError where no face could be measured.
    """
    # The legend stands in the corner below the curves if none of them crosses it, or else below the axes.
    curves, limit, threshold = curves_of(evaluation, subset)
    table, n_lines = _table(curves, threshold)
    figure, axes = _draw_axes(evaluation, subset, curves, limit, 0)
    if len(curves) <= _MOST_INSIDE:
        box = _anchored(axes, table, "lower right", framed=True)
        figure.draw_without_rendering()
        corners = axes.transAxes.inverted().transform(box.get_window_extent().get_points())
        left, top = corners[0, 0], corners[1, 1]
        if all(_height_at(curve, 100 * limit * left) > 100 * top for curve in curves):
            return Drawing(figure)
        table, _ = _table(curves, threshold)  # an artist cannot move to another figure
    figure, axes = _draw_axes(evaluation, subset, curves, limit, n_lines)
    _anchored(figure.axes[1], table, "upper center", framed=False)
    return Drawing(figure)


def curves_of(evaluation: Evaluation, subset: str = ALL_FACES) -> tuple[list[Curve], float, float | None]:
    """The curves, the end of the error axis and the threshold of the AUC; both are fractions of the normaliser.

    The axis ends at the largest threshold, earlier if all curves end earlier, later if none rises before it. Raises
    DataError if no face of the subset could be measured.
    """
    chosen = member_of(evaluation.members, subset, evaluation.n_faces)
    measured = []
    for errors in evaluation.errors:
        nme = errors.nme[chosen]
        known = ~np.isnan(nme)
        if known.any():
            groups = None if evaluation.groups is None else evaluation.groups[chosen][known]
            measured.append((errors.prediction, nme[known], groups))
    if not measured:
        raise DataError(f"no face of {subset} could be measured, so there is no curve to draw")
    limit = _limit([nme for _, nme, _ in measured], evaluation.thresholds)
    threshold = max(evaluation.thresholds, default=None)
    names = short_names([name for name, _, _ in measured], _NAME_LETTERS)
    curves = [
        _curve(name, nme, groups, limit, threshold, with_band=own != MEAN_SHAPE)
        for name, (own, nme, groups) in zip(names, measured, strict=True)
    ]
    return curves, limit, threshold


def _limit(every: Sequence[np.ndarray], thresholds: Sequence[float]) -> float:
    """The error at which the axis ends."""
    finite = [nme[np.isfinite(nme)] for nme in every]
    finite = [nme for nme in finite if len(nme)]
    top = max(thresholds, default=0.0)
    if not finite:
        return top or 0.1
    most = max(float(np.quantile(nme, 0.99)) for nme in finite)
    best = min(float(np.median(nme)) for nme in finite)
    if best > top:  # no curve would reach half its height; without thresholds this is so as well
        return _nice_above(max(top, min(most, 3 * best)))
    return top if most > 0.6 * top else max(_nice_above(1.05 * most), 0.02 * top)


def _nice_above(value: float) -> float:
    """The next round number: 0.07 -> 0.08."""
    if value <= 0:
        return 0.01
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * _NICE[_NICE * power >= value * (1 - 1e-9)][0])


def _curve(
    name: str,
    nme: np.ndarray,
    groups: np.ndarray | None,
    limit: float,
    threshold: float | None,
    *,
    with_band: bool = True,
) -> Curve:
    ordered = np.sort(nme)
    n, finite = len(ordered), ordered[np.isfinite(ordered)]
    steps = np.unique(finite[finite < limit])
    if len(steps) > _MOST_STEPS:  # where the curve is known exactly; in between it is drawn straight
        at = np.linspace(0, limit, _MOST_STEPS)
        shares = np.searchsorted(ordered, at, side="right") / n
    else:
        ends = np.searchsorted(ordered, steps, side="right") / n
        at = np.concatenate([[0], np.repeat(steps, 2), [limit]])
        shares = np.concatenate([[0, 0], np.repeat(ends, 2)])
    grid = np.linspace(0, limit, _BAND_POINTS)
    band = ced_band(nme, groups, grid) if with_band else None
    return Curve(
        name,
        n,
        n - len(finite),
        100 * at,
        100 * shares,
        None if band is None else (100 * grid, 100 * band[0], 100 * band[1]),
        100 * float(finite.mean()) if len(finite) else None,
        100 * area_under_ced(nme, threshold) if threshold else None,
    )


def _draw_axes(
    evaluation: Evaluation, subset: str, curves: Sequence[Curve], limit: float, n_lines: int
) -> tuple[Figure, Axes]:
    """Axes with curves, and further axes below them for a legend of `n_lines` lines."""
    below = n_lines * _LINE_IN
    figure = new_figure(COLUMN_IN, _HEIGHT_IN + below)
    if n_lines:
        axes, legend = figure.subplots(2, height_ratios=[_HEIGHT_IN, below])
        legend.axis("off")
    else:
        axes = figure.add_subplot()
    axes.grid(True)
    for number, curve in enumerate(curves):
        _draw_curve(axes, curve, number, len(curves))
    for t in evaluation.thresholds:
        if t < 1.001 * limit:
            axes.axvline(100 * t, color=GREY, linestyle=(0, (1, 1.5)), linewidth=0.8, zorder=1.5, clip_on=False)
    axes.set_xlim(0, 100 * limit)
    axes.set_ylim(0, 100)
    axes.set_xlabel(error_label(evaluation.normalisers[0]))
    which = "" if subset == ALL_FACES else f" of {shorten(subset, 16)}"
    n = max(curve.n for curve in curves)
    axes.set_ylabel(f"Share of {n:,} {'face' if n == 1 else 'faces'}{which} (%)")
    return figure, axes


def _draw_curve(axes: Axes, curve: Curve, number: int, n_curves: int) -> None:
    """The band lowest, then the curve, then a few markers on it, which distinguish curves in grey print."""
    colour, above = colour_of(number), 3 + 0.01 * (n_curves - number)
    if curve.band is not None:
        # Several bands overlap, so each has edges in its colour and hardly any filling, which would mix to grey.
        filling, edge = (0.22, 0.0) if n_curves <= 2 else (0.04, 0.6)
        look: dict[str, Any] = {"facecolor": (colour, filling), "edgecolor": (colour, edge), "linewidth": 0.45}
        axes.fill_between(*curve.band, zorder=2, **look)
    axes.plot(curve.error_percent, curve.share_percent, color=colour, linestyle=line_of(number), zorder=above)
    if n_curves > 1:
        heights = (np.arange(4) + (number + 0.5) / n_curves) / 4 * curve.share_percent[-1]
        places = np.searchsorted(curve.share_percent, heights).clip(0, len(curve.share_percent) - 1)
        axes.plot(
            curve.error_percent[places],
            curve.share_percent[places],
            color=colour,
            linestyle="",
            zorder=above + 0.005,
            **marker_look(number),
        )


def _height_at(curve: Curve, error_percent: float) -> float:
    """Height of the curve or, if it has one, of its band's lower limit."""
    x, y = (curve.error_percent, curve.share_percent) if curve.band is None else curve.band[:2]
    return float(np.interp(error_percent, x, y))


def _table(curves: Sequence[Curve], threshold: float | None) -> tuple[Any, int]:
    """The legend, a table of each curve's line, name, NME and AUC; and its number of lines."""
    from matplotlib.offsetbox import HPacker, VPacker

    samples = [_sample(None, 1), *(_sample(k, len(curves)) for k in range(len(curves)))]
    some_missing = any(curve.missing for curve in curves)
    stars = [("*" if curve.missing else _EN_SPACE) if some_missing else "" for curve in curves]
    numbers = [_number(curve.nme_percent) + star for curve, star in zip(curves, stars, strict=True)]
    columns = [
        VPacker(children=samples, pad=0, sep=_GAP_PT),
        _column(["", *(_name(curve) for curve in curves)], "left"),
        _column(["NME %" + (_EN_SPACE if some_missing else ""), *numbers], "right"),
    ]
    if threshold:
        heading = f"AUC@{threshold_label(threshold)} %"
        columns.append(_column([heading, *(_number(curve.auc_percent) for curve in curves)], "right"))
    table: Any = HPacker(children=columns, pad=0, sep=5, align="top")
    if not some_missing:
        return table, len(curves) + 1
    remark = _text("* of the faces predicted", GREY, 6)
    return VPacker(children=[table, remark], pad=0, sep=_GAP_PT, align="right"), len(curves) + 2


def _anchored(axes: Axes, table: Any, place: str, *, framed: bool) -> Any:
    from matplotlib.offsetbox import AnchoredOffsetbox

    box = AnchoredOffsetbox(place, child=table, frameon=framed, pad=0.35, borderpad=0.5)
    box.patch.set(facecolor="white", edgecolor=PALE, linewidth=0.4, boxstyle="square,pad=0")
    box.set_zorder(6)
    return axes.add_artist(box)


def _name(curve: Curve) -> str:
    return curve.name + (f" ({curve.missing:,} missing)" if curve.missing else "")


def _number(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.2f}"


def _column(texts: Sequence[str], align: Any) -> Any:
    from matplotlib.offsetbox import VPacker

    return VPacker(
        children=[_text(text, GREY if k == 0 else "black") for k, text in enumerate(texts)],
        pad=0,
        sep=_GAP_PT,
        align=align,
    )


def _text(text: str, colour: str, size: float = SMALL_PT) -> Any:
    from matplotlib.offsetbox import TextArea

    return TextArea(text, textprops={"size": size, "color": colour})


def _sample(number: int | None, n_curves: int) -> Any:
    """A short sample of a curve, as high as a line of text; empty without a number."""
    from matplotlib.lines import Line2D
    from matplotlib.offsetbox import DrawingArea

    area = DrawingArea(27, SMALL_PT, 0, 0)
    if number is not None:
        look: dict[str, Any] = {"color": colour_of(number), "linestyle": line_of(number)}
        if n_curves > 1:
            look |= {"markevery": [1], **marker_look(number)}
        area.add_artist(Line2D([0, 13.5, 27], [SMALL_PT / 2] * 3, **look))
    return area
