"""Reports and plots as files, each whole or not at all."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.evaluation.results import Evaluation
from kdtools.files import Provenance, open_faces, written_aside
from kdtools.files.aside import STANDARD_STREAM
from kdtools.plots import ced_svg, draw_ced, draw_landmarks, draw_scatter, landmarks_svg, measure_words, scatter_svg
from kdtools.reports.latex import as_latex
from kdtools.reports.markdown import as_markdown
from kdtools.reports.page import as_html
from kdtools.reports.terminal import as_text
from kdtools.reports.text import as_tsv, json_lines
from kdtools.viewing.worst import picture_bytes, worst_sheet, write_worst

Skip = Callable[[str, str], None]

_DRAW = {"ced": draw_ced, "landmarks": draw_landmarks, "scatter": draw_scatter}
_SVG = {"ced": ced_svg, "landmarks": landmarks_svg, "scatter": scatter_svg}


def write_plots(
    evaluation: Evaluation, plots: Sequence[tuple[str, str]], force: bool, skip: Skip, warn: Callable[[str], None]
) -> None:
    """Draw each (kind, path) of the first subset. Raises DataError for one that there is nothing to draw of."""
    for kind, path in plots:
        if kind != "worst":
            for left_out in _DRAW[kind](evaluation, path, force, subset=_subset(evaluation)):
                warn(left_out)
            continue
        sheet = _worst_of(evaluation, skip)
        if sheet is None:
            hint = "its faces need images, or the paths of source images that are still there"
            raise DataError(f"{evaluation.truth}: --plot worst finds no pictures there", hint)
        write_worst(sheet, path, force)


def write_reports(
    evaluation: Evaluation,
    reports: Sequence[tuple[str, str]],
    force: bool,
    provenance: Provenance,
) -> None:
    """Write each (form, path); the page gets all plots that there is something to draw of."""
    for form, path in reports:
        with written_aside(path, force, binary=False) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
            for text in _texts(evaluation, form, provenance):
                stream.write(text)


def _texts(evaluation: Evaluation, form: str, provenance: Provenance) -> Iterable[str]:
    if form in ("tsv", "json"):
        return (line + "\n" for line in (as_tsv if form == "tsv" else json_lines)(evaluation))
    if form == "html":
        sheet = _worst_of(evaluation, lambda identity, why: None)
        picture = None if sheet is None else picture_bytes(sheet)
        command = shlex.join([provenance.tool, *provenance.command])
        return [as_html(evaluation, plots=_svgs(evaluation), worst=picture, command=command, inputs=provenance.inputs)]
    text = {"markdown": as_markdown, "latex": as_latex, "text": as_text}[form](evaluation)
    return [text.rstrip("\n") + "\n"]


def _svgs(evaluation: Evaluation) -> dict[str, str]:
    """Plots for the page; one that there is nothing to draw of is left out."""
    plots = {}
    for kind, draw in _SVG.items():
        try:
            plots[kind] = draw(evaluation, subset=_subset(evaluation))
        except DataError:
            continue
    return plots


def _subset(evaluation: Evaluation) -> str:
    return next(iter(evaluation.members))


def _worst_of(evaluation: Evaluation, skip: Skip) -> np.ndarray | None:
    """The sheet of the worst faces; None where the truth is no faces file or has no pictures."""
    if evaluation.worst is None or evaluation.truth == STANDARD_STREAM or not Path(evaluation.truth).is_file():
        return None
    try:
        with open_faces(evaluation.truth) as faces:
            return worst_sheet(
                faces,
                evaluation.worst.points,
                evaluation.errors[0].nme,
                prediction=evaluation.worst.prediction,
                measure=measure_words(evaluation.normalisers[0]),
                member=evaluation.members[_subset(evaluation)],
                skip=skip,
            )
    except FileError:  # another program's
        return None
