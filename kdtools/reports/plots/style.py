"""Common style of all figures: for a column of a two-column paper, for grey print, for all kinds of colour vision.

Figures are as wide as a column (or a page) of a paper, with text of 6 to 8 points, to be included unscaled. The
background is white and opaque, for terminals that show pictures on black.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import UsageError
from kdtools.faces.selection import check_subsets, subset_members
from kdtools.metrics.normalisers import measure_words
from kdtools.reporting import printable, without_middle
from kdtools.storage.outputs import check_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
COLUMN_IN, PAGE_IN = 3.4, 7.0  # widths of a column and of a page of a two-column paper

SMALL_PT, TEXT_PT = 6.5, 7.5
GREY, PALE = "#555555", "#b0b0b0"

# Okabe and Ito's colours without yellow, which is too light on white; the darkest and most distinct ones first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.4)), (0, (1.2, 1.1)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 1.5, 3, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that a figure is the same on every machine
    "font.size": TEXT_PT,
    "axes.labelsize": TEXT_PT,
    "axes.titlesize": TEXT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "patch.linewidth": 0.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "figure.dpi": 100,
    "text.parse_math": False,  # names may hold dollar signs
    "text.usetex": False,
    "svg.fonttype": "none",  # text that can be searched, and edited
    "svg.hashsalt": "kdtools",  # or else the ids in the file are drawn at random
    "pdf.fonttype": 42,  # publishers refuse matplotlib's own kind, Type 3
    "path.simplify": True,
}
MOST_PANELS = 6
_DPI = 300
_SCREEN = 1.5  # letters of 7 points are small on a page for the screen


@dataclass(frozen=True)
class Drawing:
    """A figure, and the number of panels left out for lack of space."""

    figure: Figure
    n_left_out: int = 0


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Context in which figures are made and saved in this style, whatever the user's matplotlib settings are."""
    # Of a home folder that cannot be written to it would tell of its cache, which is no concern of the user.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    settings: Any = matplotlib.rcParams
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        settings.update(_RC)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # Chinese names: boxes stand for them
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, laid out so that no text is cut off."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05)  # type: ignore[union-attr,call-arg]
    return figure


def check_plot(path: str, force: bool) -> None:
    """Raises UsageError for a file without a picture's suffix, and as `check_output` does."""
    if Path(path).suffix.lower() not in PLOT_SUFFIXES:
        raise UsageError(f"{path}: not a kind of picture", f"give a name that ends in {', '.join(PLOT_SUFFIXES)}")
    check_output(path, force)


def save_figure(figure: Figure, path: Path, title: str) -> None:
    """Write a figure in the format of the suffix. The same figure gives the same bytes."""
    kind = path.suffix.lower().lstrip(".")
    undated: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    figure.savefig(path, format=kind, dpi=_DPI, metadata={"Title": title, **undated.get(kind, {})})


def svg_text(figure: Figure, name: str, title: str) -> str:
    """The figure as an <svg> element for an HTML page, with ids and styles made unique by `name`.

    It is 1.5 times as large as in print. Width and height of a style sheet take precedence.
    """
    import io

    stream = io.StringIO()
    figure.savefig(stream, format="svg", dpi=_DPI, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace("*{stroke", f"#{name} *{{stroke", 1)  # matplotlib's rule would be one for the whole page
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{name}-\1"', text)
    text = text.replace("xlink:href=", "href=")
    width, height = (round(_SCREEN * 96 * inches) for inches in figure.get_size_inches())
    box = re.search(r'viewBox="[^"]*"', text)
    start = (
        f'<svg id="{name}" role="img" aria-label="{_escaped(title)}" width="{width}" height="{height}" '
        f'{box.group() if box else ""} xmlns="http://www.w3.org/2000/svg" version="1.1">'
    )
    return start + text[text.index(">") + 1 :] + "\n"


def _escaped(text: str) -> str:
    from html import escape

    return escape(printable(text), quote=True)


def shorten(text: str, most: int) -> str:
    """At most that many letters of a text, as `without_middle` gives them.

    >>> shorten("helen/testset/3035796193_1.jpg", 13), shorten("a.jpg", 13)
    ('helen/…_1.jpg', 'a.jpg')
    """
    text = printable(text)
    return text if len(text) <= most else without_middle(text, most - 1)


def short_names(names: Sequence[str], most: int) -> list[str]:
    """Short names of predictions, which may be paths: the file name alone if that is unique.

    >>> short_names(["runs/l2.h5", "runs/kd.h5"], 20), short_names(["l2/pred.h5", "kd/pred.h5"], 20)
    (['l2', 'kd'], ['l2/pred', 'kd/pred'])
    """
    bare = [name.removesuffix(".h5") for name in names]
    last = [PurePath(name).name or name for name in bare]
    chosen = next((some for some in (last, bare) if len(set(some)) == len(set(names))), list(names))
    return [shorten(name, most) for name in chosen]


def member_of(members: Mapping[str, np.ndarray], subset: str, n_faces: int) -> np.ndarray:
    """Rows of the faces of a subset of an evaluation. Raises DataError for an unknown subset."""
    check_subsets([subset], members, "the evaluation")
    return np.flatnonzero(subset_members(members, n_faces)[subset])


def error_label(normaliser: str, what: str = "NME") -> str:
    """Label of the axis of errors.

    >>> error_label("inter-ocular")
    'NME (% of inter-ocular distance)'
    """
    return f"{what} (% of {measure_words(normaliser)})"


def colour_of(number: int) -> str:
    """Colour of a prediction's curve or points, by its number."""
    return COLOURS[number % len(COLOURS)]


def line_of(number: int) -> Any:
    """Line style of a prediction, by its number: no two of 35 share both colour and line style."""
    return LINES[number % len(LINES)]


def marker_look(number: int) -> dict[str, Any]:
    """Marker of a prediction, by its number, as matplotlib's keywords."""
    marker = MARKERS[number % len(MARKERS)]
    size, edge = (4.6, 0.3) if marker in "PX*" else (3.4, 0.4)  # pointed ones must be larger to be told apart
    return {"marker": marker, "markersize": size, "markeredgecolor": "white", "markeredgewidth": edge}


def nice_below(value: float) -> float:
    """The largest round number, 1, 2 or 5 times a power of ten, that is not above a value.

    >>> nice_below(0.37), nice_below(8.0)
    (0.2, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)) * power:.3g}")
