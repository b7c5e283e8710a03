"""Figures for other programs: JSON, TSV, or one number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from kdtools.errors import DataError
from kdtools.evaluation.results import Evaluation, Row
from kdtools.reports.columns import COMPARISON, clean, find_key, has, is_end, keys_of, plain_number, value_of

LABELS = ("prediction", "subset", "normaliser")


def json_lines(evaluation: Evaluation) -> Iterator[str]:
    """A list of one object per row, without the last line's end, one row at a time: by face there may be millions.

    JSON has no infinity: a figure that is infinite or could not be measured is null, and `missing` tells them apart.
    """
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

    Figures of a comparison are those of the first row that is compared, as the baseline has none.
    Raises UsageError for a figure that is not there, DataError for one that could not be measured.
    """
    if not evaluation.rows:
        raise DataError("there is nothing to measure: no rows", "look at the truth with kd-info")
    keys = keys_of(evaluation.rows[:1]) + [key for key in COMPARISON if evaluation.baseline]
    key = find_key(keys, name, grouped=evaluation.groups is not None)
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
    n_missing = row.figures.get("missing")
    if key in ("nme_low_percent", "nme_high_percent") and n_missing:
        why = f"the NME is infinite, because {n_missing} faces have no complete prediction, and has no interval"
        return f"{place} could not be measured: {why}", "ask for nme_found, or for the interval of fr or auc"
    if key == "nme_found_percent":
        return f"{place} could not be measured: no face has a complete prediction", "ask for missing"
    if key in COMPARISON:
        why = "too few faces or groups are predicted by both, or their errors do not differ"
        return f"{place} could not be measured: {why}", "--json has the figures that could be"
    if is_end(key):
        why = "too few faces or groups for an interval"
        return f"{place} could not be measured: {why}", "ask for the figure itself"
    return f"{place} could not be measured", "--json has the figures that could be"
