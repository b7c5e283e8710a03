"""kd-eval: predictions against truth: NME, failure rate, AUC."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kdtools.cli._app import DONE, NEGATIVE, require, run, session
from kdtools.cli._options import Quiet, Verbose, Version


def kd_eval(
    predictions: Annotated[
        list[str], typer.Argument(metavar="PRED", help="Predictions; one row each. - is standard input.")
    ],
    truth_path: Annotated[str, typer.Option("--truth", metavar="FILE", help="Faces file with the true landmarks.")],
    norm: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="inter-ocular, inter-pupil, box-diagonal, box-size, or all the scheme allows."
        ),
    ] = "all",
    thresholds: Annotated[
        str, typer.Option(metavar="T,T,...", help="Of failure rate and AUC, as shares of the normaliser.")
    ] = "0.08,0.10",
    subset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this subset; full is all faces. Can be repeated.")
    ] = None,
    mean_shape: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Add a row for the mean landmarks of FILE, the guess without looking."),
    ] = None,
    json_form: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    tsv_form: Annotated[bool, typer.Option("--tsv", help="Print tab-separated values, as when piped.")] = False,
    value: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print one number of the first row alone, such as nme_percent.")
    ] = None,
    max_nme: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Exit with status 3 if a row's NME is above this.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> int:
    """Measure predicted landmarks against true ones: NME, failure rate (fr) and area under the CED curve (auc).

    Faces are joined by id; every face of the truth must be predicted. NME is the mean distance of the points over a
    length taken from the truth: the distance of the outer eye corners (inter-ocular) or of the eyes' centres
    (inter-pupil), the diagonal or the root of the area of the box of the points (box-diagonal, box-size). Points that
    are not annotated are left out.
    """
    require([*predictions, truth_path, mean_shape].count("-") <= 1, "only one input can be standard input")
    require(json_form + tsv_form + (value is not None) <= 1, "give one of --json, --tsv and --value")
    require(
        max_nme is None or 0 <= max_nme < float("inf"), f"--max-nme is {max_nme}", "give a share in percent, such as 5"
    )
    from kdtools.evaluation import evaluate, nme_above, parse_thresholds
    from kdtools.reports import as_json, as_tsv, find_value, print_table

    rows = evaluate(
        predictions,
        truth_path,
        normalisers=norm,
        thresholds=parse_thresholds(thresholds),
        subsets=subset,
        mean_shape_path=mean_shape,
        warn=session.warn,
    )
    if value is not None:
        print(find_value(rows, value))
    elif json_form:
        print(as_json(rows))
    elif tsv_form or not sys.stdout.isatty():
        print(as_tsv(rows))
    else:
        print_table(rows)
    too_high = max_nme is not None and any(nme_above(row, max_nme) for row in rows)
    return NEGATIVE if too_high else DONE


def main() -> None:
    run("kd-eval", kd_eval)
