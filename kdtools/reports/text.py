"""Results for other programs: JSON, TSV, or one number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from kdtools.errors import DataError
from kdtools.evaluation.results import Evaluation, Row
from kdtools.reporting import counted, printable
from kdtools.reports.columns import COMPARISON, find_key, format_plain, has, is_interval_end, keys_of, value_of

LABELS = ("prediction", "subset", "normaliser")


def json_lines(evaluation: Evaluation) -> Iterator[str]:
    """Lines of a list of one object per row, one row at a time: by face there may be millions.

    JSON has no infinity: a value that is infinite or could not be measured is null; `missing` tells them apart.
    """
    part = _part(evaluation)
    before = "["
    for row in evaluation.rows:
        yield before
        text = json.dumps(_record(row, part), indent=1, allow_nan=False)
        before = " " + text.replace("\n", "\n ") + ","
    yield "[]" if before == "[" else before.removesuffix(",")
    if before != "[":
        yield "]"


def _part(evaluation: Evaluation) -> str:
    """Name of the column of parts; empty where rows are of whole faces."""
    return "" if evaluation.by == "subset" else evaluation.by


def _record(row: Row, part: str) -> dict[str, Any]:
    labels = {label: getattr(row, label) for label in LABELS} | ({part: row.part} if part else {})
    return labels | {
        key: None if value is None or not math.isfinite(value) else value for key, value in row.values.items()
    }


def as_tsv(evaluation: Evaluation) -> Iterator[str]:
    """Lines without their ends: names, then one line per row, six decimals; an empty cell could not be measured.

    Of p values, which may be tiny, there are six digits.
    One line at a time, because by face there may be millions.
    """
    keys = keys_of(evaluation.rows)
    part = _part(evaluation)
    yield "\t".join([*LABELS, *([part] if part else []), *keys])
    for row in evaluation.rows:
        labels = [row.prediction, row.subset, row.normaliser, *([row.part] if part else [])]
        yield "\t".join([*map(printable, labels), *(format_plain(key, row.values.get(key)) for key in keys)])


def find_value(evaluation: Evaluation, name: str) -> str:
    """One value of the first row, with six decimals; `nme` and `fr@.08` stand for `nme_percent` and `fr@0.08_percent`.

    Values of a comparison are those of the first row that is compared, as the baseline has none.
    Raises UsageError for an unknown value, DataError for one that could not be measured.
    """
    if not evaluation.rows:
        raise DataError("there is nothing to measure: no rows", "look at the truth with kd-info")
    keys = keys_of(evaluation.rows[:1]) + [key for key in COMPARISON if evaluation.baseline]
    key = find_key(keys, name, grouped=evaluation.groups is not None)
    row = next((row for row in evaluation.rows if has(row.values, key)), None)
    value = value_of(row.values, key) if row else None
    if value is None:
        raise DataError(*_why_not(evaluation.rows[0] if row is None else row, key))
    return format_plain(key, value)


def _why_not(row: Row, key: str) -> tuple[str, str]:
    """Why a value could not be measured, and what to do."""
    n_missing, n_unmeasured = row.values.get("missing"), row.values.get("unmeasured")
    why, hint = "", "--json has the values that could be"
    if row.values.get("n") == 0 and n_unmeasured:
        why = (
            f"{counted(int(n_unmeasured), 'face has', 'faces have')} no annotated points, or a "
            f"normaliser that is missing or zero"
        )
        hint = "choose another --norm, or look at the truth with kd-info"
    elif row.values.get("n") == 0:
        why, hint = "the subset has no faces", "choose another --subset"
    elif key in ("nme_low_percent", "nme_high_percent") and n_missing:
        why = (
            f"the NME is infinite, because {counted(int(n_missing), 'face has', 'faces have')} no "
            f"complete prediction, and has no interval"
        )
        hint = "ask for nme_found, or for the interval of fr or auc"
    elif key == "nme_found_percent":
        why, hint = "no face has a complete prediction", "ask for missing"
    elif key == "p_wilcoxon" and "n_models" in row.values:
        why, hint = "Wilcoxon's test compares networks, not methods", "ask for p_bootstrap"
    elif key in COMPARISON:
        why = "too few faces or groups are predicted by both, or their errors do not differ"
    elif is_interval_end(key):
        why, hint = "too few faces or groups for an interval", "ask for the value itself"
    place = f"{key} of {row.prediction} ({', '.join(filter(None, (row.subset, row.normaliser, row.part)))})"
    return ": ".join(filter(None, (f"{place} could not be measured", why))), hint
