"""Results of an evaluation: rows of values, and the errors of each face from which they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kdtools.landmarks import Scheme

MEAN_SHAPE = "mean shape"

Values = dict[str, int | float | None]


@dataclass(frozen=True)
class Row:
    """Values of one prediction on one subset with one normaliser; None where nothing could be measured.

    `part` names their region, landmark or face; it is empty for all points of all faces of the subset.
    """

    prediction: str
    subset: str
    normaliser: str
    values: Values
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
    """The input of all reports and plots.

    `rows` are those requested, one per `by` (subset, region, landmark or face); `overall` those per subset. `regions`
    and `landmarks` have a row for every prediction and subset with the main (first) normaliser, if requested.
    `errors` use the main normaliser. `members` (N,) bool by subset. `groups` (N,) int numbers the person or photograph
    of each face (None: each face is its own group), and `grouping` describes them. With --group-models predictions are
    methods, whose values are means over models, and there are no `errors`. `mean_face` (L, 2) is the mean of
    the truth's shapes, aligned and of unit size. Every report prints `notes`: what was counted, and how.
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
    models: str = ""  # with --group-models, the number of models of each method, in words
    mean_face: np.ndarray | None = None
    worst: Worst | None = None
    files: list[str] = field(default_factory=list)  # all input files
    notes: list[str] = field(default_factory=list)


def rows_to_check(evaluation: Evaluation, *, every_normaliser: bool) -> Evaluation:
    """The evaluation with the rows that requirements apply to: of subsets with faces, and of the main normaliser."""
    rows = [
        row
        for row in evaluation.rows
        if evaluation.members[row.subset].any() and (every_normaliser or row.normaliser == evaluation.normalisers[0])
    ]
    return replace(evaluation, rows=rows)
