"""kd-eval: predictions against truth: NME, failure rate, AUC, with their uncertainty."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kdtools.cli._app import DONE, NEGATIVE, SKIPPED, check_no_input, require, run, session
from kdtools.cli._options import Force, Quiet, Verbose, Version


def kd_eval(
    predictions: Annotated[
        list[str],
        typer.Argument(
            metavar="PRED",
            help="Predictions, one row each: FILE, 'GLOB' of shards, or NAME= before either. - is a faces file on "
            "standard input.",
        ),
    ],
    truth: Annotated[
        str | None,
        typer.Option("--truth", metavar="FILE", help="The true landmarks. Like PRED, all that kd-import reads."),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="inter-ocular, inter-pupil, box-diagonal, box-size, face-height, given-box, points:I,J, a number of "
            "pixels, or all the scheme allows.  [default: all]",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Measure as 300w, wflw, cofw, aflw19, spiga, star, pipnet or kdloss (docs/metrics.md)."
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="T,...", help="Of failure rate and AUC, as shares of the normaliser.  [default: 0.08,0.10]"
        ),
    ] = None,
    subset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this subset; full is all faces. Can be repeated.")
    ] = None,
    visible_only: Annotated[
        bool, typer.Option("--visible-only", help="Count only points that the truth marks as seen.")
    ] = False,
    by: Annotated[
        str, typer.Option(metavar="PART", help="A row for each subset, region, landmark or face.")
    ] = "subset",
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare the other predictions with the first, face by face.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX|none",
            help="Regular expression; what its first ( ) finds in the id names the person, whose faces count as one in "
            "intervals.  [default: told by the ids]",
        ),
    ] = None,
    join: Annotated[
        str, typer.Option(metavar="HOW", help="id, or place: the faces of one photograph by where they lie.")
    ] = "id",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count faces without a prediction as failures.")
    ] = False,
    allow_extra: Annotated[
        bool, typer.Option("--allow-extra", help="Leave out predictions that the truth does not know.")
    ] = False,
    mean_shape: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Add a row for the mean landmarks of FILE, the guess without looking."),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX|auto",
            help="Measure jitter too. Its groups are video and frame; auto takes the last number of the id.",
        ),
    ] = None,
    jitter: Annotated[
        bool, typer.Option("--jitter", help="Without truth: how much the points tremble in videos, and nothing else.")
    ] = False,
    plot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=FILE",
            help="Draw ced, landmarks, scatter (.svg, .pdf, .png) or the worst faces (.png, .jpg). Can be repeated.",
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the report there: .html with plots, .md, .tex, .json, .tsv or .txt. Can be repeated.",
        ),
    ] = None,
    force: Force = False,
    json_form: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    tsv_form: Annotated[bool, typer.Option("--tsv", help="Print tab-separated values, as when piped.")] = False,
    value: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print one number of the first row alone: nme, auc@0.08, p95.")
    ] = None,
    max_nme: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Exit with status 3 if a row's NME is above this.")
    ] = None,
    requirements: Annotated[
        list[str] | None,
        typer.Option(
            "--require", metavar="'FIGURE>=N'", help="Exit with status 3 if a row fails it: 'auc@0.08>=60', 'fr@0.1<2'."
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> int:
    """Measure predicted landmarks against true ones: NME, failure rate (fr) and area under the CED curve (auc).

    Faces are joined by id, and every face of the truth must be predicted. NME is the mean distance of the points over a
    length taken from the truth; without --norm and --protocol every normaliser has its row. Points that are not
    annotated are left out. All errors are in percent, with 95 % intervals in which the faces of one person or
    photograph count as one. With -o the report goes to files and nothing is printed unless a form is asked for.
    --max-nme and --require judge every row; without --norm and --protocol those of the first normaliser.
    --jitter in the place of --truth is the mean of |p(t) - 2 p(t - 1) + p(t - 2)|, 0 for steady motion.
    """
    require(json_form + tsv_form + (value is not None) <= 1, "give one of --json, --tsv and --value")
    require(
        max_nme is None or 0 <= max_nme < float("inf"), f"--max-nme is {max_nme}", "give a share in percent, such as 5"
    )
    require((truth is None) == jitter, "give either --truth FILE or --jitter")
    if jitter or truth is None:
        judged_by = protocol, thresholds, subset, mean_shape, plot, output, max_nme, requirements
        require(not any(judged_by), "--jitter goes with --norm, --video, --value, --json and --tsv only")
        return _print_jitter(predictions, norm, video or "auto", json_form, tsv_form, value)
    from kdtools.evaluation.evaluate import evaluate
    from kdtools.evaluation.request import Request, Told, parse_thresholds, thresholds_in
    from kdtools.evaluation.results import judged
    from kdtools.reports import (
        as_tsv,
        check_reports,
        find_value,
        json_lines,
        parse_requirements,
        print_table,
        unmet,
    )

    wanted = parse_requirements(requirements or [])
    if max_nme is not None:
        wanted += parse_requirements([f"nme<={max_nme!r}"])
    reports = check_reports(output or [], force)
    plots = []
    if plot:
        from kdtools.plots import check_plots

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
        group=group,
        join=join,
        allow_missing=allow_missing,
        allow_extra=allow_extra,
        mean_shape=mean_shape,
        video=video,
        details=bool(plots) or "html" in forms,
    )
    found = evaluate(request, Told(session.skip, session.warn, session.progress))
    check_no_input([path for _, path in (*plots, *reports)], found.files)
    failed = unmet(judged(found, every_normaliser=bool(norm or protocol)), wanted) if wanted else []
    number = find_value(found, value) if value is not None else ""
    if plots or reports:
        from kdtools.reports.write import write_files

        provenance = session.provenance(*(found.files if "html" in forms else []))
        write_files(found, plots, reports, force, provenance, session.skip, session.warn)
    if value is not None:
        print(number)
    elif json_form:
        sys.stdout.writelines(line + "\n" for line in json_lines(found))
    elif tsv_form or (not reports and not sys.stdout.isatty()):
        sys.stdout.writelines(line + "\n" for line in as_tsv(found))
    elif not reports:
        from rich.console import Console

        print_table(found, Console())
    for text in failed:
        session.say(text)
    if failed:
        return NEGATIVE
    return SKIPPED if session.n_skipped else DONE


def _print_jitter(
    predictions: list[str], norm: str | None, video: str, json_form: bool, tsv_form: bool, value: str | None
) -> int:
    from kdtools.evaluation.request import Told
    from kdtools.evaluation.steadiness import measure_steadiness
    from kdtools.reports.steadiness import print_steadiness, steadiness_json, steadiness_tsv, steadiness_value

    rows = measure_steadiness(predictions, norm, video, Told(session.skip, session.warn))
    if value is not None:
        print(steadiness_value(rows, value))
    elif json_form or tsv_form or not sys.stdout.isatty():
        lines = steadiness_json(rows) if json_form else steadiness_tsv(rows)
        sys.stdout.writelines(line + "\n" for line in lines)
    else:
        from rich.console import Console

        print_steadiness(rows, Console())
    return SKIPPED if session.n_skipped else DONE


def main() -> None:
    run("kd-eval", kd_eval)
