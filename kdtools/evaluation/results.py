"""What an evaluation finds: rows of figures, and the errors of each face behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kdtools.landmarks import Scheme

MEAN_SHAPE = "mean shape"

Figures = dict[str, int | float | None]


@dataclass(frozen=True)
class Row:
    """Figures of one prediction on one subset with one normaliser; None where nothing could be measured.

    `part` is the region, the landmark or the face that they are of; empty for all points of all faces of the subset.
    """

    prediction: str
    subset: str
    normaliser: str
    figures: Figures
    part: str = ""


@dataclass(frozen=True)
class Errors:
    """Errors of one prediction with the main normaliser, one per face: nme (N,), NaN and inf as in kdtools.metrics."""

    prediction: str
    nme: np.ndarray


@dataclass(frozen=True)
class Worst:
    """The faces with the largest errors of a prediction: row -> points (L, 2) in pixels of the source images."""

    prediction: str
    points: dict[int, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """All that reports and plots draw on.

    `rows` are what was asked for (`by` tells of what: subset, region, landmark or face), `overall` those by subset.
    `regions` and `landmarks` are of every prediction and subset with the main normaliser, which is the first; empty
    where they were not asked for.
    `errors` are those of the main normaliser; `members` (N,) bool by subset, `groups` (N,) int the person or photograph
    of each face (None: each by itself), `grouping` says in words what they are. `mean_face` (L, 2) is the mean of the
    truth's shapes, aligned and of unit size, for drawing. `notes` are said with every report: what was counted how.
    """

    truth: str
    scheme: Scheme
    n_faces: int
    normalisers: list[str]
    thresholds: list[float]
    by: str
    rows: Sequence[Row]
    regions: list[Row] = field(default_factory=list)
    landmarks: list[Row] = field(default_factory=list)
    overall: list[Row] = field(default_factory=list)
    protocol: str = ""  # its name, such as wflw
    baseline: str = ""  # with --compare, the prediction that the others are compared with
    errors: list[Errors] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    members: dict[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    grouping: str = ""
    mean_face: np.ndarray | None = None
    worst: Worst | None = None
    files: list[str] = field(default_factory=list)  # all that was read
    notes: list[str] = field(default_factory=list)


def judged(evaluation: Evaluation, *, every_normaliser: bool) -> Evaluation:
    """With only the rows that a verdict is about: of subsets that hold faces, and of one normaliser, the main one."""
    rows = [
        row
        for row in evaluation.rows
        if evaluation.members[row.subset].any() and (every_normaliser or row.normaliser == evaluation.normalisers[0])
    ]
    return replace(evaluation, rows=rows)
