"""The kinds of plots, which `--plot KIND=FILE` names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdtools.errors import UsageError
from kdtools.evaluation.results import Evaluation
from kdtools.faces.selection import ALL_FACES
from kdtools.reports.plots.ced import ced_drawing
from kdtools.reports.plots.landmarks import landmarks_drawing
from kdtools.reports.plots.scatter import scatter_drawing
from kdtools.reports.plots.style import (
    MOST_PANELS,
    PLOT_SUFFIXES,
    Drawing,
    error_label,
    house_style,
    save_figure,
    svg_text,
)
from kdtools.storage.outputs import check_output


@dataclass(frozen=True)
class Plot:
    """One kind of plot: the function that draws it, its title, and the name of the errors on its axes."""

    draw: Callable[[Evaluation, str], Drawing]
    title: str
    errors: str

    def title_of(self, evaluation: Evaluation, subset: str) -> str:
        return f"{self.title}, {subset}, {error_label(evaluation.normalisers[0], self.errors)}"


PLOTS = {
    "ced": Plot(ced_drawing, "Cumulative error distribution", "NME"),
    "landmarks": Plot(landmarks_drawing, "Error by landmark on the mean face", "error"),
    "scatter": Plot(scatter_drawing, "Errors of two predictions by face", "error"),
}
_PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg")
# Kind -> the suffixes that its file may have.
KINDS = {**dict.fromkeys(PLOTS, PLOT_SUFFIXES), "worst": _PHOTO_SUFFIXES}


def draw_plot(kind: str, evaluation: Evaluation, path: Path, *, subset: str = ALL_FACES) -> str:
    """Write a plot of a kind of PLOTS in the format of the suffix; returns a message on panels left out, or "".

    Raises DataError if there is nothing to draw.
    """
    plot = PLOTS[kind]
    with house_style():
        drawing = plot.draw(evaluation, subset)
        save_figure(drawing.figure, path, plot.title_of(evaluation, subset))
    n_left = drawing.n_left_out
    return f"--plot {kind} has room for {MOST_PANELS} panels, the last {n_left} are left out" if n_left else ""


def plot_svg(kind: str, evaluation: Evaluation, *, subset: str = ALL_FACES, name: str = "") -> str:
    """The plot as an <svg> element, with ids that start with `name` or else the kind."""
    plot = PLOTS[kind]
    with house_style():
        figure = plot.draw(evaluation, subset).figure
        return svg_text(figure, name or kind, plot.title_of(evaluation, subset))


def check_plots(texts: Sequence[str], force: bool, n_predictions: int) -> list[tuple[str, str]]:
    """`ced=a.svg` -> ("ced", "a.svg") for each text, before any work is done.

    Raises UsageError for an unknown kind, for one that needs more predictions, for a file without a suffix of that kind
    and for a file named twice, and as `check_output` does.
    """
    plots: list[tuple[str, str]] = []
    taken: set[Path] = set()
    for text in texts:
        kind, equals, path = text.partition("=")
        if not equals or not path or kind not in KINDS:
            hint = f"give KIND=FILE with a kind of {', '.join(KINDS)}, such as ced=curves.svg"
            raise UsageError(f"--plot is {text!r}", hint)
        if kind == "scatter" and n_predictions < 2:
            raise UsageError(f"--plot {text}: scatter needs two predictions", "give a second file of predictions")
        suffixes = KINDS[kind]
        if Path(path).suffix.lower() not in suffixes:
            why = "holds photographs, which are no drawing" if kind == "worst" else "is drawn as a picture"
            hint = f"{kind} {why}: give a name that ends in {', '.join(suffixes)}"
            raise UsageError(f"--plot {text}: not a kind of picture for {kind}", hint)
        check_output(path, force)
        place = Path(path).resolve()
        if place in taken:
            raise UsageError(f"--plot {text}: two plots would go into one file", "give each a name of its own")
        taken.add(place)
        plots.append((kind, path))
    return plots
