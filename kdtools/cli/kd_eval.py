"""kd-eval: NME, failure rate and AUC of predictions, with their uncertainty."""

from __future__ import annotations

import sys

from kdtools.cli import _eval_options as opt
from kdtools.cli._app import run, session
from kdtools.cli._exit import DONE, NEGATIVE, SKIPPED
from kdtools.cli._options import (
    Categories,
    Force,
    Group,
    HelpAll,
    Json,
    Quiet,
    Subset,
    TruthFile,
    Value,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.storage.outputs import check_no_input


def kd_eval(
    predictions: opt.Predictions,
    truth: TruthFile = None,
    norm: opt.Norm = None,
    protocol: opt.ProtocolName = None,
    thresholds: opt.Thresholds = None,
    subset: Subset = None,
    visible_only: opt.VisibleOnly = False,
    by: opt.By = "subset",
    compare: opt.Compare = False,
    group_models: opt.GroupModels = False,
    group: Group = None,
    join: opt.JoinBy = "id",
    allow_missing: opt.AllowMissing = False,
    allow_extra: opt.AllowExtra = False,
    mean_shape: opt.MeanShape = None,
    video: opt.Video = None,
    categories: Categories = None,
    jitter: opt.Jitter = False,
    plot: opt.Plot = None,
    output: opt.Output = None,
    force: Force = False,
    json_form: Json = False,
    tsv_form: opt.Tsv = False,
    value: Value = None,
    max_nme: opt.MaxNme = None,
    requirements: opt.Require = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    help_all: HelpAll = False,
) -> int:
    """Measure predicted landmarks against ground truth: NME, failure rate (fr) and area under the CED curve (auc).

    Faces are joined by id, and every face of the ground truth must be predicted. --truth FILE, like PRED, is
    anything that kd-import reads. NME is the mean distance of the points divided by a length in the ground truth;
    without --norm and --protocol every normaliser has its row. Points that are not annotated are left out. All
    errors are in percent, with 95 % intervals in which the faces of one person or photograph count as one. With -o
    the report is written to files, and printed only if a form is requested; --value prints one number of the first
    row, such as nme, auc@0.08 or p95. --max-nme and --require test every row; without --norm and --protocol, those
    of the first normaliser. --jitter, in place of --truth, is the mean of |p(t) - 2 p(t - 1) + p(t - 2)|, 0 for
    steady motion.
    """
    require(json_form + tsv_form + (value is not None) <= 1, "give one of --json, --tsv and --value")
    require(
        max_nme is None or 0 <= max_nme < float("inf"), f"--max-nme is {max_nme}", "give a share in percent, such as 5"
    )
    require((truth is None) == jitter, "give either --truth FILE or --jitter")
    if jitter or truth is None:
        of_truth = protocol, thresholds, subset, mean_shape, plot, output, max_nme, requirements, categories
        require(
            not any((*of_truth, compare, group_models)),
            "--jitter goes with --norm, --video, --value, --json and --tsv only",
        )
        return _print_jitter(predictions, norm, video or "auto", _form(json_form, tsv_form), value)
    from kdtools.evaluation.evaluate import evaluate
    from kdtools.evaluation.request import Request, parse_thresholds, thresholds_in
    from kdtools.evaluation.results import rows_to_check
    from kdtools.reports.output import check_reports, show_evaluation
    from kdtools.reports.requirements import parse_requirements, unmet
    from kdtools.reports.text import find_value

    require(not (group_models and plot), "--plot is of single predictions", "leave it or --group-models out")
    wanted = parse_requirements(requirements or [])
    if max_nme is not None:
        wanted += parse_requirements([f"nme<={max_nme!r}"])
    reports = check_reports(output or [], force)
    plots = []
    if plot:
        from kdtools.reports.plots import check_plots

        plots = check_plots(plot, force, len(predictions))
    forms = {form for form, _ in reports}
    request = Request(
        predictions=predictions,
        truth=truth,
        norm=norm,
        protocol=protocol,
        thresholds=parse_thresholds(thresholds) if thresholds is not None else None,
        more_thresholds=thresholds_in([value or "", *(requirements or [])]),
        subsets=subset or [],
        visible_only=visible_only,
        by=by,
        compare=compare,
        group_models=group_models,
        group=group,
        join=join,
        allow_missing=allow_missing,
        allow_extra=allow_extra,
        mean_shape=mean_shape,
        video=video,
        categories=categories or [],
        details=not group_models and (bool(plots) or "html" in forms),
    )
    found = evaluate(request, session)
    check_no_input([path for _, path in (*plots, *reports)], found.files)
    failed = unmet(rows_to_check(found, every_normaliser=bool(norm or protocol)), wanted) if wanted else []
    number = find_value(found, value) if value is not None else ""
    if plots or reports:
        from kdtools.reports.output import write_files

        provenance = session.provenance(*(found.files if "html" in forms else []))
        write_files(found, plots, reports, force, provenance, session)
    if value is not None:
        print(number)
    elif json_form or tsv_form or not reports:
        show_evaluation(found, _form(json_form, tsv_form))
    for text in failed:
        session.say(text)
    if failed:
        return NEGATIVE
    return SKIPPED if session.n_skipped else DONE


def _form(json_form: bool, tsv_form: bool) -> str:
    """Form of the printed report; by default a table on a terminal, else TSV."""
    return "json" if json_form else "tsv" if tsv_form or not sys.stdout.isatty() else "table"


def _print_jitter(predictions: list[str], norm: str | None, video: str, form: str, value: str | None) -> int:
    from kdtools.evaluation.jitter import measure_jitter
    from kdtools.reports.output import show_records
    from kdtools.reports.records import record_value

    rows = measure_jitter(predictions, norm, video, session)
    if value is not None:
        print(record_value(rows, value, "with --jitter"))
    else:
        show_records(rows, form)
    return SKIPPED if session.n_skipped else DONE


def main() -> None:
    run("kd-eval", kd_eval)
