"""One format's reader by itself, for the tests of formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdtools.datasets.formats.shared.annotation import Annotation, Reading
from kdtools.datasets.formats.shared.format import Format

Skipped = list[tuple[str, str]]


def read_all(
    form: Format, source: Path, *, base: float | None = None, **options: Any
) -> tuple[list[Annotation], Skipped]:
    """All annotations, and what was skipped and why. The base is the format's own; `options` are those of Reading."""
    skipped: Skipped = []
    reading = Reading(form.base if base is None else base, lambda what, why: skipped.append((what, why)), **options)
    return list(form.read(source, reading)), skipped
