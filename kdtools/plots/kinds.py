"""The plots that can be asked for by name, as `KIND=FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdtools.errors import UsageError
from kdtools.files import check_output
from kdtools.plots.style import PLOT_SUFFIXES

_PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg")
# Kind -> the suffixes that its file may have.
KINDS = {"ced": PLOT_SUFFIXES, "landmarks": PLOT_SUFFIXES, "scatter": PLOT_SUFFIXES, "worst": _PHOTO_SUFFIXES}


def check_plots(texts: Sequence[str], force: bool) -> list[tuple[str, str]]:
    """`ced=a.svg` -> ("ced", "a.svg"), for each of the texts, before any work is done.

    Raises UsageError for an unknown kind, for a file that is no picture of that kind by its name and for one that is
    named twice, and as `check_output` does.
    """
    plots: list[tuple[str, str]] = []
    taken: set[Path] = set()
    for text in texts:
        kind, equals, path = text.partition("=")
        if not equals or not path or kind not in KINDS:
            hint = f"give KIND=FILE with a kind of {', '.join(KINDS)}, such as ced=curves.svg"
            raise UsageError(f"--plot is {text!r}", hint)
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
