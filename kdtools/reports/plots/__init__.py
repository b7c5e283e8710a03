"""Plots, drawn with matplotlib without a display: a module for each kind, and their common style."""

from kdtools.reports.plots.kinds import PLOTS, check_plots, draw_plot, plot_svg
from kdtools.reports.plots.modes import draw_modes
from kdtools.reports.plots.style import check_plot

__all__ = [
    "PLOTS",
    "check_plot",
    "check_plots",
    "draw_modes",
    "draw_plot",
    "plot_svg",
]
