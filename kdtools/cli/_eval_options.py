"""The options of kd-eval."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kdtools.evaluation.request import Join, Part

Predictions = Annotated[
    list[str],
    typer.Argument(
        metavar="PRED",
        help="Predictions, one row each: FILE, 'GLOB' of shards, or NAME= before either. - is a faces file on "
        "standard input.",
    ),
]
Norm = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="inter-ocular, inter-pupil, box-diagonal, box-size, face-height, given-box, points:I,J, a number of "
        "pixels, or all the scheme allows.  [default: all]",
    ),
]
ProtocolName = Annotated[
    Literal["300w", "wflw", "cofw", "aflw19", "spiga", "star", "pipnet", "kdloss"] | None,
    typer.Option(case_sensitive=False, help="Measure as in a data set or paper: see man kd-eval."),
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        metavar="T,...",
        help="Thresholds of failure rate and AUC, as fractions of the normaliser.  [default: 0.08,0.10]",
    ),
]
VisibleOnly = Annotated[
    bool, typer.Option("--visible-only", help="Count only points that are visible in the ground truth.")
]
By = Annotated[Part, typer.Option(help="What each row of the table is.")]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Compare the other predictions with the first, face by face: networks, or methods with --group-models.",
    ),
]
GroupModels = Annotated[
    bool,
    typer.Option(
        "--group-models",
        help="Take predictions with the same NAME=, and the files of a GLOB, as models of one method, such as "
        "several seeds.",
    ),
]
JoinBy = Annotated[
    Join,
    typer.Option(help="How predictions are matched to the ground truth: by id, or within a photograph by position."),
]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Count faces without a prediction as failures.")]
AllowExtra = Annotated[
    bool, typer.Option("--allow-extra", help="Leave out predictions for faces that are not in the ground truth.")
]
MeanShape = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Add the mean-shape baseline: always predict the mean landmarks of FILE."),
]
Video = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX|auto",
        help="Also measure jitter. The groups are video and frame; auto uses the last number of the id.",
    ),
]
Jitter = Annotated[bool, typer.Option("--jitter", help="Measure only jitter in videos, without ground truth.")]
Plot = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=FILE",
        help="Plot ced, landmarks, scatter (.svg, .pdf, .png) or the worst faces (.png, .jpg).",
    ),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Report file: .html with plots, .md, .tex, .json, .tsv or .txt.",
    ),
]
Tsv = Annotated[bool, typer.Option("--tsv", help="Print tab-separated values, as when piped.")]
MaxNme = Annotated[
    float | None, typer.Option(metavar="PERCENT", help="Exit with status 3 if the NME of a row is above this.")
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require", metavar="'VALUE>=N'", help="Exit with status 3 if a row fails this: 'auc@0.08>=60', 'fr@0.1<2'."
    ),
]
