"""Options of an evaluation, and how their texts are parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kdtools.errors import UsageError

Join = Literal["id", "place"]
Part = Literal["subset", "region", "landmark", "face"]
DEFAULT_THRESHOLDS = (0.08, 0.10)
_LEAST_THRESHOLD, _LARGEST_THRESHOLD = 1e-4, 1e6  # the largest for --norm 1, which leaves errors in pixels


@dataclass(frozen=True)
class Request:
    """All options of an evaluation.

    `norm` is `all` or comma-separated names, and `thresholds` are fractions of the normaliser; if they are None the
    protocol decides. `more_thresholds` are added. `details` adds rows of regions and landmarks. `group` is a regular
    expression, `none`, or None to group by what ids have in common; `video` is `auto` or a regular expression with
    groups for the video and the frame number. `categories` are the things to read of a truth that another program
    wrote, and of predictions in the same format. Raises UsageError for options that contradict each other.
    """

    predictions: Sequence[str]
    truth: str
    norm: str | None = None
    protocol: str | None = None
    thresholds: Sequence[float] | None = None
    more_thresholds: Sequence[float] = ()
    subsets: Sequence[str] = ()
    visible_only: bool = False
    by: Part = "subset"
    compare: bool = False
    group_models: bool = False
    group: str | None = None
    join: Join = "id"
    allow_missing: bool = False
    allow_extra: bool = False
    mean_shape: str | None = None
    video: str | None = None
    categories: Sequence[str] = ()
    details: bool = False

    def __post_init__(self) -> None:
        if self.compare and len(self.predictions) + (self.mean_shape is not None) < 2:
            raise UsageError("--compare needs two predictions", "the first is what the others are compared with")
        if self.compare and self.by == "landmark":
            raise UsageError("--compare does not compare single landmarks", "give --by region, or leave --by out")
        if self.group_models and self.by == "face":
            raise UsageError("--group-models has no rows of single faces", "leave --by face or --group-models out")
        if self.video is not None and self.by != "subset":
            raise UsageError("--video measures whole faces", "leave --by out")


def parse_thresholds(text: str) -> list[float]:
    """`0.05,0.08` -> [0.05, 0.08]. Raises UsageError for anything but numbers from 0.0001 on."""
    try:
        thresholds = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--thresholds is {text!r}", "give numbers with commas between, such as 0.08,0.10") from error
    if not all(_LEAST_THRESHOLD <= t <= _LARGEST_THRESHOLD for t in thresholds):
        hint = f"give fractions from {_LEAST_THRESHOLD} to {_LARGEST_THRESHOLD:.0f}, such as 0.08 for 8 %"
        raise UsageError(f"--thresholds is {text!r}", hint)
    return list(dict.fromkeys(thresholds))


def thresholds_in(texts: Iterable[str]) -> list[float]:
    """Thresholds in the names of values, such as auc@0.06.

    >>> thresholds_in(["nme", "auc@0.06", "fr@.1<2"])
    [0.06, 0.1]
    """
    numbers = (float(number) for text in texts for number in re.findall(r"@(\d*\.?\d+(?:[eE]-?\d+)?)", text))
    return [number for number in numbers if _LEAST_THRESHOLD <= number <= _LARGEST_THRESHOLD]


def split_norms(text: str) -> list[str]:
    """Names of a comma-separated list; the comma inside points:I,J does not separate.

    >>> split_norms("box-size,points:36,45,100")
    ['box-size', 'points:36,45', '100']
    """
    return re.findall(r"points:\d+,\d+|[^,]+", re.sub(r"\s", "", text))


def check_inputs(words: Sequence[str]) -> None:
    """Raises UsageError where standard input is asked for twice."""
    if sum(word == "-" or word.endswith("=-") for word in words) > 1:
        raise UsageError("only one input can be standard input")
