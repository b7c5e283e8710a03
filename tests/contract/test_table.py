"""Every console script has its row, and rows are what they say."""

from __future__ import annotations

import re

from .table import SCRIPTS, TOOLS


def test_every_tool_has_a_row() -> None:
    assert set(TOOLS) == set(SCRIPTS), "each console script of pyproject.toml needs a row in TOOLS"


def test_rows_name_inputs_of_their_words() -> None:
    for row in TOOLS.values():
        names = set(re.findall(r"\{(\w+)\}", row.words))
        assert names - {"output", "second"} == {*row.faces, *row.models, *row.sources}
        assert {*row.either, *row.joined, *row.points} <= names
        assert ("output" in names) == bool(row.suffix)
