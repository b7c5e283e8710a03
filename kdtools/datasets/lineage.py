"""What an imported faces file is made from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kdtools.errors import require
from kdtools.storage.lineage import LONGEST_TERMS, NOT_STATED, Lineage


def lineage_of_sources(sources: Sequence[str], terms: str | None) -> Lineage:
    """The data sets, by the names of their folders or files, and the terms stated for all of them.

    Raises UsageError for terms without a word, or too long for one line.
    """
    text = NOT_STATED if terms is None else " ".join(terms.split())
    require(bool(text), "--terms is empty", f"leave it out where they are not known: that is noted as {NOT_STATED!r}")
    hint = "give the sentence that matters, and where the whole text is found"
    require(len(text) <= LONGEST_TERMS, f"--terms has {len(text)} characters, at most {LONGEST_TERMS} are kept", hint)
    return Lineage.of_data([Path(os.path.abspath(source)).name or source for source in sources], text)
