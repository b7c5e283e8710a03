"""Limits that figures must keep, such as `auc@0.08>=60`: a script's verdict on an evaluation."""

from __future__ import annotations

import math
import operator
import re
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
    """`figure` (its short name) must be `comparison` (<, <=, >, >=) than `limit`, in the figure's unit."""

    figure: str
    comparison: str
    limit: float

    def is_met_by(self, value: float | None) -> bool:
        """A figure that could not be measured meets nothing."""
        return value is not None and bool(_OPERATORS[self.comparison](value, self.limit))

    def __str__(self) -> str:
        return f"{self.figure} {self.comparison} {self.limit:g}"


def parse_requirements(texts: Iterable[str]) -> list[Requirement]:
    """`auc@0.08>=60` -> a figure, a comparison and a limit. Raises UsageError for anything else."""
    return [_parse(text) for text in texts]


def _parse(text: str) -> Requirement:
    match = _REQUIREMENT.fullmatch(text)
    try:
        limit = float(match[3]) if match else math.nan
    except ValueError:
        limit = math.nan
    if match is None or not math.isfinite(limit):
        raise UsageError(
            f"--require is {text!r}", "give a figure, one of < <= > >=, and a number, quoted: 'auc@0.08>=60'"
        )
    if parts_of(match[1])[0] not in BASES:
        raise UsageError(f"--require {text!r}: there is no figure {match[1]!r}", "give nme, p90, fr@0.08, auc@0.08 ...")
    try:
        check_threshold(match[1])
    except UsageError as error:
        raise UsageError(f"--require {text!r}: {error.message}", error.hint) from error
    return Requirement(match[1], match[2], limit)


def unmet(evaluation: Evaluation, requirements: Sequence[Requirement]) -> list[str]:
    """What falls short, one message each; the mean shape, which is no prediction, may.

    A figure that could not be measured falls short. Raises UsageError for a figure that no row has.
    """
    keys = keys_of(row for row in evaluation.rows if row.prediction != MEAN_SHAPE)
    several = len({row.prediction for row in evaluation.overall or evaluation.rows} - {MEAN_SHAPE}) > 1
    messages: list[str] = []
    for requirement in requirements:
        key = find_key(keys, requirement.figure, grouped=evaluation.groups is not None)
        # The first few of each table, and how many: of single faces there may be millions.
        failing: dict[tuple[str, str, str], list[Row]] = {}
        counts: dict[tuple[str, str, str], int] = {}
        for row in evaluation.rows:
            if row.prediction == MEAN_SHAPE or not has(row.figures, key):
                continue
            if not requirement.is_met_by(value_of(row.figures, key)):
                place = (row.prediction, row.subset, row.normaliser)
                counts[place] = counts.get(place, 0) + 1
                if counts[place] <= _MOST_PARTS:
                    failing.setdefault(place, []).append(row)
        for (prediction, subset, normaliser), found in failing.items():
            start = f"{prediction}: {subset} {normaliser}" if several else f"{subset} {normaliser}"
            messages += [
                f"{start}{' ' + row.part if row.part else ''}: {_shortfall(row, key, requirement)}" for row in found
            ]
            more = counts[prediction, subset, normaliser] - len(found)
            if more:
                messages.append(f"{start}: {requirement} is not met {more} times more")
    return messages


def _shortfall(row: Row, key: str, requirement: Requirement) -> str:
    """`auc@0.08 is 58.21, not >= 60`, with as many digits as it takes to see it."""
    value = value_of(row.figures, key)
    if value is None:
        shown = "could not be measured"
        return f"{short_name(key)} {shown}, so it is not {requirement.comparison} {requirement.limit:g}"
    digits = [f"{value:.2f}", f"{value:.6f}", repr(value)] if isinstance(value, float) else [str(value)]
    shown = next((text for text in digits if not requirement.is_met_by(float(text))), digits[-1])
    return f"{short_name(key)} is {shown}, not {requirement.comparison} {requirement.limit:g}"
