"""Which report a file is to hold, by its suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdtools.errors import UsageError
from kdtools.storage.outputs import STANDARD_STREAM, check_output

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
    """(form, path) of every report that was asked for, before any work is done.

    Raises UsageError for a suffix that tells no form, for standard output and for a file that is named twice, FileError
    for one that cannot be written or exists already, unless by `force`.
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
