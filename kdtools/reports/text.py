"""Figures for other programs: JSON, TSV, or one number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from kdtools.errors import DataError
from kdtools.evaluation.results import Evaluation, Row
from kdtools.reports.figures import COMPARISON, clean, find_key, has, keys_of, parts_of, plain_number, value_of

LABELS = ("prediction", "subset", "normaliser")


def as_json(evaluation: Evaluation) -> str:
    """A list of one object per row. JSON has no infinity: a figure that is infinite or not measured is null."""
    return "\n".join(json_lines(evaluation))


def json_lines(evaluation: Evaluation) -> Iterator[str]:
    """The same, a few lines at a time without the last line's end, because by face there may be millions."""
    part = evaluation.by if evaluation.by in ("region", "landmark", "face") else ""
    before = "["
    for row in evaluation.rows:
        yield before
        text = json.dumps(_record(row, part), indent=1, allow_nan=False)
        before = " " + text.replace("\n", "\n ") + ","
    yield "[]" if before == "[" else before.removesuffix(",")
    if before != "[":
        yield "]"


def _record(row: Row, part: str) -> dict[str, Any]:
    labels = {label: getattr(row, label) for label in LABELS} | ({part: row.part} if part else {})
    return labels | {
        key: None if value is None or not math.isfinite(value) else value for key, value in row.figures.items()
    }


def as_tsv(evaluation: Evaluation) -> Iterator[str]:
    """Lines without their ends: names, then one line per row, six decimals; an empty cell could not be measured.

    Of p values, which may be tiny, there are six digits.
    One line at a time, because by face there may be millions.
    """
    keys = keys_of(evaluation.rows)
    part = evaluation.by if evaluation.by in ("region", "landmark", "face") else ""
    yield "\t".join([*LABELS, *([part] if part else []), *keys])
    for row in evaluation.rows:
        labels = [row.prediction, row.subset, row.normaliser, *([row.part] if part else [])]
        yield "\t".join([*map(clean, labels), *(plain_number(key, row.figures.get(key)) for key in keys)])


def find_value(evaluation: Evaluation, name: str) -> str:
    """One figure of the first row, with six decimals; `nme` and `fr@.08` stand for `nme_percent` and `fr@0.08_percent`.

    Surprising: figures of a comparison are those of the first row that is compared, as the baseline has none.
    Raises UsageError for a figure that is not there, DataError for one that could not be measured.
    """
    if not evaluation.rows:
        raise DataError("there is nothing to measure: no rows", "look at the truth with kd-info")
    key = find_key(keys_of(evaluation.rows[:1]) + [key for key in COMPARISON if evaluation.baseline], name)
    row = next((row for row in evaluation.rows if has(row.figures, key)), None)
    value = value_of(row.figures, key) if row else None
    if value is None:
        raise DataError(*_why_not(evaluation.rows[0] if row is None else row, key))
    return plain_number(key, value)


def _why_not(row: Row, key: str) -> tuple[str, str]:
    """What is said of a figure that could not be measured, and what to do."""
    place = f"{key} of {row.prediction} ({', '.join(filter(None, (row.subset, row.normaliser, row.part)))})"
    if row.figures.get("n") == 0:
        unmeasured = row.figures.get("unmeasured")
        if unmeasured:
            why = f"{unmeasured} faces have no annotated points, or a normaliser that is missing or zero"
            return f"{place} could not be measured: {why}", "choose another --norm, or look at the truth with kd-info"
        return f"{place} could not be measured: the subset has no faces", "choose another --subset"
    if key in COMPARISON:
        why = "too few faces are predicted by both, or their errors do not differ"
        return f"{place} could not be measured: {why}", "--json has the figures that could be"
    if parts_of(key)[0].endswith(("_low", "_high")):
        return f"{place} could not be measured: too few faces for an interval", "ask for the figure itself"
    return f"{place} could not be measured", "--json has the figures that could be"
