"""Limits that an evaluation must meet, such as `auc@0.08>=60`, for scripts."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdtools.errors import UsageError
from kdtools.evaluation.results import MEAN_SHAPE, Evaluation, Row
from kdtools.reports.columns import BASES, check_threshold, find_key, has, keys_of, parts_of, short_name, value_of

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9_@.]+)\s*(<=|>=|<|>)\s*(\S+)\s*")
_MOST_PARTS = 3  # that are named one by one


@dataclass(frozen=True)
class Requirement:
    """The value with this short name must be <, <=, > or >= the limit, in the value's unit."""

    name: str
    comparison: str
    limit: float

    def is_met_by(self, value: float | None) -> bool:
        """A value that could not be measured meets no requirement."""
        return value is not None and bool(_OPERATORS[self.comparison](value, self.limit))

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.limit:g}"


def parse_requirements(texts: Iterable[str]) -> list[Requirement]:
    """`auc@0.08>=60` -> name, comparison and limit. Raises UsageError for anything else."""
    return [_parse(text) for text in texts]


def _parse(text: str) -> Requirement:
    match = _REQUIREMENT.fullmatch(text)
    try:
        limit = float(match[3]) if match else math.nan
    except ValueError:
        limit = math.nan
    if match is None or not math.isfinite(limit):
        raise UsageError(
            f"--require is {text!r}", "give a value, one of < <= > >=, and a number, quoted: 'auc@0.08>=60'"
        )
    if parts_of(match[1])[0] not in BASES:
        raise UsageError(f"--require {text!r}: there is no value {match[1]!r}", "give nme, p90, fr@0.08, auc@0.08 ...")
    try:
        check_threshold(match[1])
    except UsageError as error:
        raise UsageError(f"--require {text!r}: {error.message}", error.hint) from error
    return Requirement(match[1], match[2], limit)


def unmet(evaluation: Evaluation, requirements: Sequence[Requirement]) -> list[str]:
    """One message for each row that fails a requirement; the mean shape, which is no prediction, is not judged.

    A value that could not be measured fails. Raises UsageError for a value that no row has.
    """
    keys = keys_of(row for row in evaluation.rows if row.prediction != MEAN_SHAPE)
    several = len({row.prediction for row in evaluation.overall or evaluation.rows} - {MEAN_SHAPE}) > 1
    messages: list[str] = []
    for requirement in requirements:
        key = find_key(keys, requirement.name, grouped=evaluation.groups is not None)
        # The first few of each table, and how many there are: of single faces there may be millions.
        failing: dict[tuple[str, str, str], list[Row]] = {}
        counts: Counter[tuple[str, str, str]] = Counter()
        for row in evaluation.rows:
            if row.prediction == MEAN_SHAPE or not has(row.values, key):
                continue
            if not requirement.is_met_by(value_of(row.values, key)):
                place = (row.prediction, row.subset, row.normaliser)
                counts[place] += 1
                if counts[place] <= _MOST_PARTS:
                    failing.setdefault(place, []).append(row)
        for place, failed in failing.items():
            start = "{}: {} {}".format(*place) if several else "{} {}".format(*place[1:])
            messages += [f"{start} {row.part}".rstrip() + f": {_shortfall(row, key, requirement)}" for row in failed]
            if more := counts[place] - len(failed):
                messages.append(f"{start}: {requirement} is not met {more} times more")
    return messages


def _shortfall(row: Row, key: str, requirement: Requirement) -> str:
    """`auc@0.08 is 58.21, not >= 60`, with as many digits as it takes to see it."""
    value, limit = value_of(row.values, key), f"{requirement.comparison} {requirement.limit:g}"
    if value is None:
        return f"{short_name(key)} could not be measured, so it is not {limit}"
    digits = [f"{value:.2f}", f"{value:.6f}", repr(value)] if isinstance(value, float) else [str(value)]
    shown = next((text for text in digits if not requirement.is_met_by(float(text))), digits[-1])
    return f"{short_name(key)} is {shown}, not {limit}"
