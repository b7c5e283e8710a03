"""Output of an evaluation: JSON, TSV or a table on standard output, and files of reports and plots.

`check_reports` refuses names before any work is done. `write_files` writes all files or none.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kdtools.errors import DataError, FileError, UsageError
from kdtools.evaluation.results import Evaluation
from kdtools.faces.file import open_faces
from kdtools.metrics import measure_words
from kdtools.reporting import SILENT, Reporter
from kdtools.reports.html import as_html
from kdtools.reports.latex import as_latex
from kdtools.reports.markdown import as_markdown
from kdtools.reports.plots import PLOTS, draw_plot, plot_svg
from kdtools.reports.records import print_records, records_json, records_tsv
from kdtools.reports.terminal import as_text, print_table
from kdtools.reports.text import as_tsv, json_lines
from kdtools.storage.outputs import STANDARD_INPUT, STANDARD_STREAM, check_output, is_stream, written_aside_together
from kdtools.storage.provenance import Provenance

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

# Suffix of a file's name -> form of report.
FORMS = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".tex": "latex",
    ".json": "json",
    ".tsv": "tsv",
    ".txt": "text",
}


def check_reports(paths: Sequence[str], force: bool) -> list[tuple[str, str]]:
    """(form, path) of every report, checked before any work is done.

    Raises UsageError for an unknown suffix, for standard output and for a file named twice; FileError for a file that
    cannot be written, or that exists already unless `force` is set.
    """
    reports: list[tuple[str, str]] = []
    places: set[Path] = set()
    for path in paths:
        if path == STANDARD_STREAM:
            raise UsageError("-o is -", "standard output has the table: --json and --tsv set its form, -o names files")
        form = FORMS.get(Path(path).suffix.lower())
        if form is None:
            raise UsageError(f"{path}: which form of report?", f"end its name in one of {' '.join(FORMS)}")
        place = Path(path).resolve()
        if place in places:
            raise UsageError(f"{path}: is named twice", "give every report a file of its own")
        places.add(place)
        check_output(path, force, binary=False)
        reports.append((form, path))
    return reports


def show_evaluation(evaluation: Evaluation, form: str) -> None:
    """Print it; `form` is json, tsv or table."""
    _show(evaluation, form, json_lines, as_tsv, print_table)


def show_records(rows: Sequence[Any], form: str) -> None:
    """Print dataclasses, at least one; `form` is json, tsv or table."""
    _show(rows, form, records_json, records_tsv, print_records)


def _show(
    results: T,
    form: str,
    to_json: Callable[[T], Iterable[str]],
    to_tsv: Callable[[T], Iterable[str]],
    to_table: Callable[[T, Console], None],
) -> None:
    if form == "table":
        from rich.console import Console

        to_table(results, Console())
    else:  # one line at a time: by face there may be millions
        sys.stdout.writelines(line + "\n" for line in (to_json if form == "json" else to_tsv)(results))


def write_files(
    evaluation: Evaluation,
    plots: Sequence[tuple[str, str]],
    reports: Sequence[tuple[str, str]],
    force: bool,
    provenance: Provenance,
    reporter: Reporter,
) -> None:
    """Write each (kind, path) of the plots, of the first subset, and each (form, path) of the reports: all, or none.

    The HTML page gets all plots that can be drawn; faces without a picture are skipped. Raises DataError for a plot
    with nothing to draw, FileError as `written_aside_together` does.
    """
    with written_aside_together([path for _, path in (*plots, *reports)], force) as parts:
        for (kind, _), part in zip(plots, parts, strict=False):
            if kind == "worst":
                part.write_bytes(_worst_picture(evaluation, reporter, part.suffix))
            elif left_out := draw_plot(kind, evaluation, part, subset=_subset(evaluation)):
                reporter.warn(left_out)
        for (form, _), part in zip(reports, parts[len(plots) :], strict=True):
            with part.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(_texts(evaluation, form, provenance))


def _texts(evaluation: Evaluation, form: str, provenance: Provenance) -> Iterable[str]:
    if form in ("tsv", "json"):
        return (line + "\n" for line in (as_tsv if form == "tsv" else json_lines)(evaluation))
    if form == "html":
        plots, worst = {}, None
        for kind in PLOTS:
            with contextlib.suppress(DataError):  # of which there is nothing to draw
                plots[kind] = plot_svg(kind, evaluation, subset=_subset(evaluation))
        with contextlib.suppress(DataError):
            worst = _worst_picture(evaluation, SILENT, small=True)
        command = shlex.join([provenance.tool, *provenance.command])
        return [as_html(evaluation, plots=plots, worst=worst, command=command, inputs=provenance.inputs)]
    text = {"markdown": as_markdown, "latex": as_latex, "text": as_text}[form](evaluation)
    return [text.rstrip("\n") + "\n"]


def _subset(evaluation: Evaluation) -> str:
    return next(iter(evaluation.members))


def _worst_picture(evaluation: Evaluation, reporter: Reporter, suffix: str = ".png", *, small: bool = False) -> bytes:
    """The sheet of the worst faces; `suffix` and `small` are those of `picture_bytes`.

    Raises DataError if no pictures of the truth can be read.
    """
    from kdtools.viewing.output import picture_bytes  # loads OpenCV, which tables do not need
    from kdtools.viewing.worst import worst_sheet

    worst, truth = evaluation.worst, evaluation.truth
    if truth == STANDARD_INPUT or is_stream(truth):
        raise DataError(f"the truth came through {truth}, so its pictures cannot be read again", "name the file")
    sheet = None
    if worst is not None and Path(truth).is_file():
        with contextlib.suppress(FileError), open_faces(truth) as faces:  # not so another program's file
            sheet = worst_sheet(
                faces,
                worst.points,
                evaluation.errors[0].nme,
                prediction=worst.prediction,
                measure=measure_words(evaluation.normalisers[0]),
                member=evaluation.members[_subset(evaluation)],
                reporter=reporter,
            )
    if sheet is None:
        hint = "it takes a faces file with images, or with the paths of source images that are still there"
        raise DataError(f"{truth}: there are no pictures of the worst faces in it", hint)
    return picture_bytes(sheet, suffix, small=small)
