"""Figures, drawn with matplotlib and no screen."""

from kdtools.plots.ced import ced_svg, draw_ced
from kdtools.plots.kinds import KINDS, check_plots
from kdtools.plots.landmarks import draw_landmarks, landmarks_svg
from kdtools.plots.modes import draw_modes
from kdtools.plots.scatter import draw_scatter, scatter_svg
from kdtools.plots.style import check_plot, measure_words

__all__ = [
    "KINDS",
    "ced_svg",
    "check_plot",
    "check_plots",
    "draw_ced",
    "draw_landmarks",
    "draw_modes",
    "draw_scatter",
    "landmarks_svg",
    "measure_words",
    "scatter_svg",
]
