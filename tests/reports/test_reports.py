"""What kd-eval writes for people and programs: every figure in every form, names of any kind, verdicts."""

from __future__ import annotations

import errno
import io
import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from reporters import Recorder
from rich.console import Console

from kdtools.errors import DataError, FileError, UsageError
from kdtools.evaluation.results import MEAN_SHAPE, Errors, Evaluation, Row, Values
from kdtools.landmarks import IBUG68
from kdtools.reporting import printable
from kdtools.reports.columns import format_value
from kdtools.reports.html import as_html
from kdtools.reports.latex import as_latex
from kdtools.reports.markdown import as_markdown
from kdtools.reports.output import check_reports, write_files
from kdtools.reports.records import records_tsv
from kdtools.reports.requirements import parse_requirements, unmet
from kdtools.reports.table import best_values, is_best
from kdtools.reports.terminal import as_text, print_table
from kdtools.reports.text import as_tsv, find_value, json_lines
from kdtools.storage.provenance import Provenance


def as_json(evaluation: Evaluation) -> str:
    return "\n".join(json_lines(evaluation))


HOSTILE = 'a|b_c%<script>alert("1")</script>&\t#$~^\\{}*'


def values_with_nme(nme: float, **more: int | float | None) -> Values:
    return {
        "n": 135,
        "nme_percent": nme,
        "nme_low_percent": nme - 0.5,
        "nme_high_percent": nme + 0.75,
        "p50": nme - 0.25,
        "p90": 2 * nme,
        "p95": 3 * nme,
        "p99": 4 * nme,
        "fr@0.08_percent": nme / 2,
        "fr_low@0.08_percent": 0.0,
        "fr_high@0.08_percent": nme,
        "auc@0.08_percent": 70 - nme,
        "auc_low@0.08_percent": 69 - nme,
        "auc_high@0.08_percent": 71 - nme,
        **more,
    }


COMPARED = {
    "difference_percent": -0.31,
    "difference_low_percent": -0.4,
    "difference_high_percent": -0.22,
    "relative_percent": -8.25,
    "p_bootstrap": 0.0002,
    "p_wilcoxon": 0.0312,
    "improved_percent": 71.0,
}


def an_evaluation(
    names: tuple[str, str] = ("l2", "student"), normalisers: tuple[str, ...] = ("inter-ocular",), **fields: object
) -> Evaluation:
    """Two predictions on two subsets; the second, compared with the first, is better on all but the hard faces."""
    unclear = COMPARED | {"difference_percent": 0.05, "difference_low_percent": -0.1, "difference_high_percent": 0.2}
    rows = []
    for k, name in enumerate(names):
        for s, subset in enumerate(("full", "challenging")):
            for n, normaliser in enumerate(normalisers):
                more = {} if k == 0 else (COMPARED, unclear)[s]
                rows.append(Row(name, subset, normaliser, values_with_nme(3.77 - 0.31 * k + 2 * s + n, **more)))
    evaluation = Evaluation(
        truth="test.h5",
        scheme=IBUG68,
        n_faces=689,
        normalisers=list(normalisers),
        thresholds=[0.08],
        by="subset",
        rows=rows,
        overall=rows,
        baseline=names[0],
        grouping="each face by itself",
        notes=["7 faces are missing"],
    )
    return replace(evaluation, **fields)  # type: ignore[arg-type]


def by_region(evaluation: Evaluation) -> Evaluation:
    rows = [
        Row(name, "full", "inter-ocular", values_with_nme(4.0 + k + r, bias_x_percent=-0.5, spread_percent=1.25), part)
        for k, name in enumerate(("l2", "student"))
        for r, part in enumerate(("jaw", "nose"))
    ]
    return replace(evaluation, by="region", rows=rows, regions=rows)


def by_face(n: int) -> Evaluation:
    rows = [Row("l2", "full", "inter-ocular", {"nme_percent": float(k)}, f"face{k}.png") for k in range(n)]
    return an_evaluation(by="face", rows=rows, n_faces=n)


# --- for programs


def test_tsv_gives_every_figure_back() -> None:
    evaluation = an_evaluation(normalisers=("inter-ocular", "box-size"))
    head, *lines = [line.split("\t") for line in as_tsv(evaluation)]
    assert head[:5] == ["prediction", "subset", "normaliser", "n", "nme_percent"]
    assert head[-7:] == list(COMPARED)
    assert len(lines) == len(evaluation.rows) == 8
    for row, cells in zip(evaluation.rows, lines, strict=True):
        found = dict(zip(head, cells, strict=True))
        assert (found["prediction"], found["subset"], found["normaliser"]) == (
            row.prediction,
            row.subset,
            row.normaliser,
        )
        for key in head[3:]:
            value = row.values.get(key)
            if value is None or key in ("n", "p_bootstrap", "p_wilcoxon"):
                assert found[key] == ("" if value is None else str(value))
            else:
                assert found[key] == f"{value:.6f}"


def test_tsv_names_the_part_and_is_made_line_by_line() -> None:
    lines = as_tsv(by_face(10))
    assert next(lines) == "prediction\tsubset\tnormaliser\tface\tnme_percent"
    assert next(lines) == "l2\tfull\tinter-ocular\tface0.png\t0.000000"
    name = next(line for line in list(as_tsv(an_evaluation((HOSTILE, "b\nc"))))[1:]).split("\t")[0]
    assert name == printable(HOSTILE)


def test_figures_that_only_some_rows_have_stand_in_their_order() -> None:
    rows = [
        Row("a", "full", "box-size", {"n": 3, "nme_percent": 1.0, "p50": 1.0}),
        Row(
            "b", "full", "box-size", {"n": 3, "missing": 1, "nme_percent": np.inf, "nme_found_percent": 2.0, "p50": 1.0}
        ),
    ]
    head, first, second = (line.split("\t")[3:] for line in as_tsv(an_evaluation(rows=rows)))
    assert head == ["n", "missing", "nme_percent", "nme_found_percent", "p50"]
    assert first == ["3", "", "1.000000", "", "1.000000"]
    assert second == ["3", "1", "inf", "2.000000", "1.000000"]


def test_json_has_null_for_what_is_infinite_or_not_measured() -> None:
    rows = [Row("a", "full", "box-size", {"n": 3, "nme_percent": np.inf, "p50": None, "p90": 1.5}, "jaw")]
    found = json.loads(as_json(an_evaluation(rows=rows, by="region")))
    place = {"prediction": "a", "subset": "full", "normaliser": "box-size", "region": "jaw"}
    assert found == [place | {"n": 3, "nme_percent": None, "p50": None, "p90": 1.5}]
    records = json.loads(as_json(an_evaluation()))
    assert [record["nme_percent"] for record in records] == [3.77, 5.77, 3.46, 5.46]
    assert as_json(an_evaluation()) == json.dumps(records, indent=1)
    assert as_json(an_evaluation(rows=[])) == "[]"


def test_one_value() -> None:
    evaluation = an_evaluation()
    for name in ("nme", "nme_percent"):
        assert find_value(evaluation, name) == "3.770000"
    for name in ("fr@0.08", "fr@.08", "fr@0.080", "fr@0.08_percent"):
        assert find_value(evaluation, name) == "1.885000"
    assert find_value(evaluation, "auc@.08") == "66.230000"
    assert find_value(evaluation, "p99") == "15.080000"
    assert find_value(evaluation, "n") == "135"
    assert find_value(evaluation, "missing") == "0"
    assert find_value(evaluation, "difference") == "-0.310000"  # of the first row that is compared
    tiny = [Row("a", "full", "box-size", {"n": 3, "difference_percent": 1.0, "p_wilcoxon": 1.25e-90})]
    assert find_value(an_evaluation(rows=tiny), "p_wilcoxon") == "1.25e-90"
    with pytest.raises(UsageError, match=r"no value 'auc@0\.1'") as caught:
        find_value(evaluation, "auc@0.1")
    assert "auc@0.08" in caught.value.hint
    with pytest.raises(UsageError):
        find_value(replace(evaluation, baseline=""), "difference")


def test_one_value_that_could_not_be_measured_is_an_error() -> None:
    def only(**values: int | float | None) -> Evaluation:
        return an_evaluation(rows=[Row("a", "blur", "box-size", dict(values))], baseline="")

    assert find_value(only(n=2, nme_percent=np.inf), "nme") == "inf"
    with pytest.raises(DataError, match=r"nme_percent of a \(blur, box-size\).* no faces"):
        find_value(only(n=0, nme_percent=None), "nme")
    with pytest.raises(DataError, match="4 faces have no annotated points"):
        find_value(only(n=0, unmeasured=4, nme_percent=None), "nme")
    with pytest.raises(DataError, match="too few faces or groups for an interval"):
        find_value(only(n=1, nme_low_percent=None), "nme_low")
    with pytest.raises(DataError, match="no rows"):
        find_value(an_evaluation(rows=[]), "nme")


def test_one_value_says_what_is_meant_and_why_not() -> None:
    evaluation = an_evaluation()
    with pytest.raises(UsageError, match="which auc is meant") as caught:
        find_value(evaluation, "auc")
    assert caught.value.hint == "give auc with its threshold, such as auc@0.08"
    with pytest.raises(UsageError, match="which nme is meant"):
        find_value(evaluation, "nme@0.08")
    with pytest.raises(UsageError, match=r"no value 'roc@0\.08'"):
        find_value(evaluation, "roc@0.08")
    assert find_value(evaluation, "n_groups") == "135"  # each face is one
    rows = [replace(row, values={"n": 135, "n_groups": 32}) for row in evaluation.rows]
    assert find_value(replace(evaluation, rows=rows, groups=np.arange(135) % 32), "n_groups") == "32"
    lost = {"n": 9, "missing": 2, "nme_percent": np.inf, "nme_low_percent": None, "nme_found_percent": 4.0}
    with pytest.raises(DataError, match="2 faces have no complete prediction") as failed:
        find_value(an_evaluation(rows=[Row("a", "full", "17", lost)]), "nme_low")
    assert "nme_found" in failed.value.hint


def test_percent_figures_are_never_written_as_whole_numbers() -> None:
    rows = [Row("a", "full", "17", {"n": 3, "auc_low@0.08_percent": 0, "p50": 2, "n_compared": 3})]
    _, line = as_tsv(an_evaluation(rows=rows))
    assert line.split("\t")[3:] == ["3", "0.000000", "2.000000", "3"]


# --- verdicts


def test_requirements_are_kept_or_named() -> None:
    evaluation = an_evaluation()
    assert unmet(evaluation, parse_requirements(["nme<6", "auc@.08 >= 60", "difference<=0.1", "missing<=0"])) == []
    assert unmet(evaluation, parse_requirements(["nme<=5", "auc@0.08>=66.4"])) == [
        "l2: challenging inter-ocular: nme is 5.77, not <= 5",
        "student: challenging inter-ocular: nme is 5.46, not <= 5",
        "l2: full inter-ocular: auc@0.08 is 66.23, not >= 66.4",
        "l2: challenging inter-ocular: auc@0.08 is 64.23, not >= 66.4",
        "student: challenging inter-ocular: auc@0.08 is 64.54, not >= 66.4",
    ]


def test_requirements_look_at_the_mean_shape_never_and_at_unmeasured_figures_sternly() -> None:
    rows = [
        Row("a", "full", "box-size", {"nme_percent": 5.0000001, "p50": None, "p90": np.inf}),
        Row(MEAN_SHAPE, "full", "box-size", {"nme_percent": 20.0, "p50": 1.0, "p90": 1.0}),
    ]
    evaluation = an_evaluation(rows=rows, overall=rows)
    assert unmet(evaluation, parse_requirements(["nme<=5", "p50<9", "p90<9"])) == [
        "full box-size: nme is 5.0000001, not <= 5",
        "full box-size: p50 could not be measured, so it is not < 9",
        "full box-size: p90 is inf, not < 9",
    ]
    with pytest.raises(UsageError, match=r"no value 'auc@0\.08'"):
        unmet(evaluation, parse_requirements(["auc@0.08>1"]))


def test_requirements_of_many_faces_are_told_in_short() -> None:
    messages = unmet(by_face(1000), parse_requirements(["nme<2"]))
    assert messages[0] == "l2: full inter-ocular face2.png: nme is 2.00, not < 2"
    assert messages[3:] == ["l2: full inter-ocular: nme < 2 is not met 995 times more"]


@pytest.mark.parametrize(
    "text",
    ["", "nme", "nme=5", "nme<", "nme<five", "nme<nan", "nme<inf", "nmee<5", "auc>60", "nme@0.08<5", "<5", "a b<5"],
)
def test_requirements_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="--require"):
        parse_requirements([text])


def test_which_report_a_file_holds_is_told_by_its_suffix(tmp_path: Path) -> None:
    names = ["a.html", "a.HTM", "a.md", "a.tex", "a.json", "a.tsv", "a.txt"]
    forms = [form for form, _ in check_reports([str(tmp_path / name) for name in names], False)]
    assert forms == ["html", "html", "markdown", "latex", "json", "tsv", "text"]
    for paths in (["a.pdf"], ["report"], ["-"], [str(tmp_path / "a.md"), str(tmp_path / "." / "a.md")]):
        with pytest.raises(UsageError):
            check_reports(paths, False)
    (tmp_path / "old.md").write_text("")
    with pytest.raises(FileError, match="exists already"):
        check_reports([str(tmp_path / "old.md")], False)
    assert check_reports([str(tmp_path / "old.md")], True) == [("markdown", str(tmp_path / "old.md"))]


# --- at a terminal


def printed(evaluation: Evaluation, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_table(evaluation, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_terminal_shows_interval_comparison_and_notes() -> None:
    text = printed(an_evaluation(), 120)
    lines = text.splitlines()
    assert lines[0] == "test.h5, 135 faces, normaliser inter-ocular"
    assert re.search(
        r"^full +l2 +3\.77 \[3\.27, 4\.52\] +3\.52 +7\.54 +11\.31 +15\.08 +1\.89 +66\.23$", text, re.MULTILINE
    )
    assert re.search(r"^ +student +3\.46 \[2\.96, 4\.21\]", text, re.MULTILINE)
    assert "student compared with l2" in text
    assert re.search(r"^full +-0\.31 \[-0\.40, -0\.22\] +-8\.2 % +71\.0 % +<0\.001 +0\.031 +better", text, re.MULTILINE)
    assert re.search(r"^challenging +\+0\.05 \[-0\.10, \+0\.20\].* unclear", text, re.MULTILINE)
    assert lines[1] == "errors in % of the normaliser; in brackets 95 % intervals by face"
    assert lines[-1] == "7 faces are missing"
    narrow = " ".join(printed(an_evaluation(), 80).split())
    assert "no room for p99" in narrow


def test_terminal_says_what_counts_as_one() -> None:
    told = "32 people or photographs, by what ids have in common before their last number; names like 'x' are numbered"
    grouped = an_evaluation(groups=np.arange(135) % 32, grouping=told)
    assert printed(grouped, 120).splitlines()[1].endswith("95 % intervals by 32 people or photographs")
    none = {"nme_low_percent": None, "nme_high_percent": None}
    rows = [Row("a", "full", "box-size", {"n": 9, "n_groups": 1, "nme_percent": 3.0, **none})]
    alone = an_evaluation(rows=rows, groups=np.zeros(9, int), grouping="1 groups by --group (a)", baseline="")
    assert printed(alone, 120).splitlines()[1] == "errors in % of the normaliser; one group only: no intervals"
    assert "Intervals: none, as there is one group only" in as_markdown(alone)


def test_best_prediction_is_bold_and_the_mean_shape_never() -> None:
    rows = [
        Row("a", "full", "box-size", {"nme_percent": 3.0, "auc@0.08_percent": 60.0, "fr@0.08_percent": 0.0}),
        Row("b", "full", "box-size", {"nme_percent": 4.0, "auc@0.08_percent": 61.0, "fr@0.08_percent": 0.0}),
        Row(MEAN_SHAPE, "full", "box-size", {"nme_percent": 9.0, "auc@0.08_percent": 10.0, "fr@0.08_percent": 1.0}),
    ]
    evaluation = an_evaluation(rows=rows, overall=rows)
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    print_table(evaluation, console)
    bold = re.findall(r"\x1b\[1m *([\d.]+) *\x1b", console.file.getvalue())  # type: ignore[attr-defined]
    assert bold == ["3.00", "61.00"]
    assert re.findall(r"\*\*([\d.]+)\*\*", as_markdown(evaluation)) == ["3.00", "61.00"]
    assert re.findall(r"\\textbf\{([\d.]+)\}", as_latex(evaluation)) == ["3.00", "61.00"]
    assert re.findall(r"<td><strong>([\d.]+)</strong>", as_html(evaluation)) == ["3.00", "61.00"]


def test_nothing_worse_than_the_mean_shape_is_best() -> None:
    rows = [
        Row("a", "full", "box-size", {"nme_percent": 3.0, "auc@0.08_percent": 60.0, "fr@0.08_percent": 7.0}),
        Row("b", "full", "box-size", {"nme_percent": 4.0, "auc@0.08_percent": 61.0, "fr@0.08_percent": 8.0}),
        Row(MEAN_SHAPE, "full", "box-size", {"nme_percent": 3.5, "auc@0.08_percent": 90.0, "fr@0.08_percent": 1.0}),
    ]
    page = as_html(an_evaluation(rows=rows, overall=rows))
    assert re.findall(r"<strong>([\d.]+)</strong>", page) == ["3.00", "3.00"]  # of the card and of the table


def test_the_title_says_what_is_evaluated_on_what() -> None:
    title = re.search(r"<h1>(.*?)</h1>", as_html(an_evaluation()))
    assert title is not None
    assert title[1].replace("<wbr>", "") == "l2 and student on test"


def test_a_comparison_needs_no_scrolling_on_a_narrow_screen() -> None:
    """Each value has its heading, and the interval is as wide as the screen."""
    page = as_html(an_evaluation())
    assert '<table class="forest">' in page
    assert ' data-label="NME difference">' in page
    assert "width=" not in re.findall(r'<svg class="span"[^>]*>', page)[0]


def test_figures_without_the_missing_are_not_compared_with_those_of_all() -> None:
    """By landmark a prediction that lost the hard faces would look best."""
    lost = {"n": 9, "missing": 2, "nme_percent": np.inf, "nme_found_percent": 2.0, "spread_percent": 1.0}
    all_found = {"n": 9, "nme_percent": 3.0, "spread_percent": 2.0}
    rows = [Row("a", "full", "17", {**all_found, "p90": 2.0}, "60"), Row("b", "full", "17", {**lost, "p90": 1.0}, "60")]
    assert set(best_values(rows)) == {("full", "17", "60", "nme_percent"), ("full", "17", "60", "p90")}
    assert is_best(rows[0], "nme_percent", best_values(rows))
    fewer = [rows[0], replace(rows[1], values={"n": 7, "nme_percent": 2.0, "spread_percent": 1.0})]
    assert best_values(fewer) == {}
    dropped = [rows[0], replace(rows[1], values={"n": 9, "missing": 2, "nme_percent": 2.0})]
    assert best_values(dropped) == {}


def test_faces_compared_are_told_where_they_are_not_all() -> None:
    def comparing(n: int) -> Evaluation:
        l2, student = an_evaluation().rows[:2], an_evaluation().rows[2:]
        rows = [*l2, *(replace(row, values={**row.values, "n_compared": n}) for row in student)]
        return an_evaluation(rows=rows, overall=rows)

    few, full = comparing(130), comparing(135)
    assert table_of(as_markdown(few), 1)[0]["faces compared"] == "130"
    assert "130" in Page(as_html(few)).rows_of("verdict")["challenging"]
    assert re.search(r"0\.031 +130 +better$", printed(few, 140), re.MULTILINE)
    for text in (as_markdown(full), as_text(full)):
        assert "faces compared" not in text
    assert find_value(few, "n_compared") == "130"
    assert unmet(few, parse_requirements(["n_compared>=130"])) == []


def test_single_faces_that_are_missing_are_told_from_those_that_could_not_be_measured() -> None:
    values_by_face: list[Values] = [
        {"missing": 1, "nme_percent": np.inf},
        {"nme_percent": None},
        {"nme_percent": 2.0},
    ]
    rows = [Row("a", "full", "17", found, f"{k}.png") for k, found in enumerate(values_by_face)]
    evaluation = an_evaluation(rows=rows, by="face", n_faces=3, baseline="")
    assert [(row["missing"], row["NME"]) for row in table_of(as_markdown(evaluation))] == [
        ("1", "inf"),
        ("0", "2.00"),
        ("0", "\N{EN DASH}"),
    ]
    records = json.loads(as_json(evaluation))
    assert [(record.get("missing"), record["nme_percent"]) for record in records] == [
        (1, None),
        (None, None),
        (None, 2.0),
    ]


@pytest.mark.parametrize("width", [40, 50, 60, 72, 80, 100, 120, 200])
def test_no_terminal_is_too_narrow_for_whole_figures(width: int) -> None:
    long = "runs/2026/mobilenet_distilled_from_two_teachers/epoch_150/predictions.h5"
    evaluation = an_evaluation((long, "runs/2026/b.h5"), ("inter-ocular", "inter-pupil"))
    text = printed(evaluation, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    table = text[: text.index("compared with")]
    for value in ("3.77", "3.46", "5.77", "5.46", "4.77", "4.46", "6.77", "6.46"):
        assert re.search(rf"(?<![\d.]){re.escape(value)}(?![\d.])", table), value
    assert ("no room for" in " ".join(text.split())) == (width <= 100)


def test_the_nme_stays_where_there_is_no_room_and_no_interval() -> None:
    """As by landmark: values of equal rank must not push it out."""
    found = {"n": 9, "nme_percent": 4.5, "bias_x_percent": -1.5, "bias_y_percent": 2.0, "spread_percent": 1.0}
    rows = [
        Row(name, "full", "17", dict(found), part)
        for name in ("l2", "student")
        for part in ("left_outer_corner", "right_outer_corner")
    ]
    for width in (24, 30, 40, 50):
        text = printed(an_evaluation(rows=rows, by="landmark", baseline=""), width)
        assert text.count("4.50") == 4
        assert "no room for" in " ".join(text.split())


def test_long_names_share_their_folder_in_the_title() -> None:
    text = printed(an_evaluation(("runs/2026/first_model_of_all/a.h5", "runs/2026/b.h5")), 80)
    assert "predictions in runs/2026/" in " ".join(text.split())
    assert text.count("runs/2026") == 1


def test_a_long_absolute_path_beside_a_short_name_has_no_folder_in_common() -> None:
    text = printed(an_evaluation(("/data/runs/2026/first_model.h5", "b")), 80)
    assert "predictions in" not in text
    assert "first_model.h5" in text


def test_of_many_faces_the_worst_are_shown() -> None:
    for text in (as_text(by_face(100)), as_markdown(by_face(100)), as_latex(by_face(100)), as_html(by_face(100))):
        assert "face99.png" in text
        assert "face50.png" in text
        assert "face49.png" not in text
        assert "50 worst faces" in text
    assert as_text(by_face(100)).index("face99") < as_text(by_face(100)).index("face98")


def test_text_has_no_escapes_and_no_trailing_space() -> None:
    text = as_text(an_evaluation())
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


# --- for papers and READMEs


def table_of(markdown: str, number: int = 0) -> list[dict[str, str]]:
    """A table of a Markdown text, read back."""
    block = [part for part in markdown.split("\n\n") if part.startswith("|")][number]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
    assert len({len(line) for line in cells}) == 1
    assert set("".join(cells[1])) <= set("-:")
    return [dict(zip(cells[0], line, strict=True)) for line in cells[2:]]


def test_markdown_gives_the_figures_back() -> None:
    text = as_markdown(an_evaluation(normalisers=("inter-ocular", "box-size")))
    rows = table_of(text)
    assert [(row["subset"], row["prediction"]) for row in rows] == [
        ("full", "l2"),
        ("full", "student"),
        ("challenging", "l2"),
        ("challenging", "student"),
    ]
    assert rows[0]["NME"] == "3.77 [3.27, 4.52]"
    assert rows[1]["NME"] == "**3.46** [2.96, 4.21]"
    assert rows[1]["AUC@0.08"] == "**66.54**"
    assert table_of(text, 1)[0]["NME"] == "4.77 [4.27, 5.52]"
    compared = table_of(text, 2)[0]
    assert compared["NME difference"] == "-0.31 [-0.40, -0.22]"
    assert (compared["better on"], compared["p bootstrap"], compared["verdict"]) == ("71.0 %", "&lt;0.001", "better")
    assert "true points 36 and 45" in text
    assert "- 7 faces are missing" in text
    assert table_of(as_markdown(by_region(an_evaluation())))[0]["region"] == "jaw"


def test_markdown_keeps_hostile_names_in_their_cells() -> None:
    rows = table_of(as_markdown(an_evaluation((HOSTILE, "b"))))
    name = re.sub(r"\\(.)", r"\1", rows[0]["prediction"])
    assert name == printable(HOSTILE)
    assert "<script" not in as_markdown(an_evaluation((HOSTILE, "b"))).replace("\\<script", "")


def lines_of(latex: str, number: int = 0) -> list[list[str]]:
    """Cells of a LaTeX table below its \\midrule."""
    body = latex.split("\\midrule\n")[number + 1].split("\\bottomrule")[0]
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))] for line in body.splitlines()]


def test_latex_has_subsets_side_by_side_as_papers_do() -> None:
    text = as_latex(an_evaluation())
    assert lines_of(text) == [
        ["l2", "3.77", "{[}3.27, 4.52]", "5.77", "1.89", "66.23"],
        ["student", r"\textbf{3.46}", "{[}2.96, 4.21]", r"\textbf{5.46}", r"\textbf{1.73}", r"\textbf{66.54}"],
    ]
    assert r"\begin{tabular}{@{}lrrrrr@{}}" in text
    assert r" & full & 95\,\% interval & challenging & @0.08 & @0.08 \\" in text
    assert r"\multicolumn{3}{c}{NME} & \multicolumn{1}{c}{FR (full)} & \multicolumn{1}{c}{AUC (full)} \\" in text
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-5} \cmidrule(lr){6-6}" in text
    assert lines_of(text, 1)[0] == [
        "full",
        "student",
        "$-$0.31",
        "{[}$-$0.40, $-$0.22]",
        "71.0",
        "$<$0.001",
        "0.031",
    ]
    assert "% Normaliser: inter-ocular: distance between the outer eye corners" in text
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == text.count("\\toprule") == 2
    assert text.count("{") == text.count("}")
    region = as_latex(by_region(an_evaluation(baseline="")))
    assert lines_of(region) == [["jaw", r"\textbf{4.00}", "5.00"], ["nose", r"\textbf{5.00}", "6.00"]]


def test_latex_gives_the_nme_of_found_faces_where_some_are_missing() -> None:
    lost = {"n": 9, "missing": 2, "nme_percent": np.inf, "nme_found_percent": 4.5, "fr@0.08_percent": 22.0}
    rows = [
        Row("a", "full", "17", {"n": 9, "nme_percent": 5.0, "fr@0.08_percent": 0.0}),
        Row("b", "full", "17", {**lost, **COMPARED, "n_compared": 7}),
    ]
    text = as_latex(an_evaluation(rows=rows, overall=rows, baseline="a"))
    assert lines_of(text) == [
        ["a", r"\textbf{5.00}", "", r"\textbf{0.00}"],
        ["b", r"$\infty$", "4.50", "22.00"],
    ]
    assert r"\multicolumn{1}{c}{NME} & \multicolumn{1}{c}{NME found} & \multicolumn{1}{c}{FR}" in text
    assert lines_of(text, 1)[0][-1] == "7"
    parts = [replace(row, part="60") for row in rows]
    text = as_latex(an_evaluation(rows=parts, overall=rows, baseline="", by="landmark"))
    assert lines_of(text) == [["60", r"\textbf{5.00}", r"$\infty$", "4.50"]]
    assert "landmark & a & b & found" in text


def test_latex_escapes_names_and_marks_what_is_missing() -> None:
    rows = [
        Row(r"a_b%&#$~^\{}", "full", "box-size", {"nme_percent": None}),
        Row("[x]", "full", "box-size", {"nme_percent": np.inf}),
    ]
    first, second = lines_of(as_latex(an_evaluation(rows=rows, overall=rows, baseline="")))
    assert first == [r"a\_b\%\&\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}", "--"]
    assert second == ["{[}x]", r"$\infty$"]


# --- the page


class Page(HTMLParser):
    """Text, elements, attributes that could fetch something, and tables as lists of rows of cells."""

    VOID = ("meta", "br", "wbr", "img", "line", "circle", "rect")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        if "td" in self.open or ("th" in self.open and "tr" in self.open):
            self.tables[-1][-1][-1] += data

    def rows_of(self, caption: str) -> dict[str, list[str]]:
        """Cells by their label, of the last table whose headings hold that word."""
        table = next(table for table in self.tables if any(caption in row for row in table[:2]))
        return {row[0]: row[1:] for row in table}


def a_full_page(names: tuple[str, str] = ("l2", "student"), **more: object) -> str:
    evaluation = by_region(an_evaluation(names, ("inter-ocular", "box-size"), protocol="wflw"))
    evaluation = replace(evaluation, landmarks=[replace(row, part="60") for row in evaluation.regions[::2]])
    options = {
        "plots": {"ced": '<svg viewBox="0 0 9 9" role="img" aria-label="CED"><rect width="3%"/></svg>'},
        "worst": b"\x89PNG",
        "command": 'kd-eval a.h5 --truth "t.h5" --compare',
        "inputs": {"t.h5": "ab" * 32},
        **more,
    }
    return as_html(evaluation, **options)  # type: ignore[arg-type]


def test_page_holds_all_figures() -> None:
    page = Page(a_full_page())
    text = " ".join(page.text.split()).replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "student is better than l2 by 0.31 points of NME [0.22, 0.40]. \N{MINUS SIGN}8.2 % relative to l2; "
        "smaller error on 71.0 % of faces; paired bootstrap by face: p < 0.001; Wilcoxon: p = 0.031." in text
    )
    results = page.rows_of("p99")
    headings = results["prediction"]
    cells = dict(zip(headings, results["student"], strict=True))  # of the last subset, challenging
    assert cells["NME"] == "5.46 [4.96, 6.21]"
    assert cells["AUC@0.08"] == "64.54 [63.54, 65.54]"
    assert page.rows_of("box-size")["student"] == ["5.46", "6.46"]
    assert page.rows_of("verdict")["challenging"][0] == "+0.05 [\N{MINUS SIGN}0.10, +0.20]"
    assert page.rows_of("region")["jaw"][0] == "4.00 [3.50, 4.75]"
    assert page.rows_of("landmark")["60"] == [
        cell for nme in ("4.00", "5.00") for cell in (nme, "\N{MINUS SIGN}0.50", "1.25")
    ]
    for fact in (
        "Wu et al.",
        "7 faces are missing",
        'kd-eval a.h5 --truth "t.h5" --compare',
        "ab" * 32,
        "failure rate",
    ):
        assert fact in text


def test_page_needs_nothing_else_and_says_what_its_parts_are() -> None:
    page = Page(a_full_page())
    assert page.tags[0] == ("html", {"lang": "en"})
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action", "xlink:href"):
                assert (value or "").startswith(("data:image/png;base64,", "#"))
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("col", "row", "rowgroup", "colgroup")
    assert sum(tag == "caption" for tag, _ in page.tags) == len(page.tables)
    assert sum(tag == "svg" and a.get("aria-label") == "CED" for tag, a in page.tags) == 1
    html = a_full_page()
    assert "http:" not in html
    assert "https:" not in html


def test_page_gives_wide_plots_all_of_its_width_and_names_their_subset() -> None:
    svg = '<svg id="a" width="{}" viewBox="0 0 9 9"></svg>'
    plots = {"ced": svg.format(490), "scatter": svg.format(1008)}
    html = as_html(an_evaluation(members={"hard": np.ones(2, bool)}), plots=plots, worst=b"\x89PNG")
    classes = [attributes.get("class") for tag, attributes in Page(html).tags if tag == "figure"]
    assert classes == [None, "wide", None]
    assert ".plots .wide { grid-column: 1 / -1; }" in html
    for caption in ("Cumulative error distribution, hard set.", "Face by face, hard set.", "Worst faces, hard set."):
        assert caption in Page(html).text


def test_a_protocol_is_told_in_whole_sentences() -> None:
    text = as_markdown(an_evaluation(protocol="300w"))
    assert "300W (Sagonas et al. 2013, 2016): outer eye corners" in text
    assert ".." not in text


def test_page_is_the_same_each_time() -> None:
    assert a_full_page().encode() == a_full_page().encode()


def test_page_takes_names_for_text() -> None:
    evaluation = an_evaluation((HOSTILE, "<b>b"), truth="<img src=x onerror=alert(1)>", notes=["<script>x</script>"])
    html = as_html(replace(evaluation, grouping="<i>"), command="</pre><script>", inputs={'"><script>': "0"})
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "img", "b", "i"} == set()
    assert printable(HOSTILE) in page.text
    assert "<img src=x onerror=alert(1)>" in page.text


def test_names_that_are_no_unicode_are_written_all_the_same() -> None:
    evaluation = an_evaluation(("caf\udce9.h5", "面.h5"), truth="\udcff")
    for text in (as_html(evaluation), as_markdown(evaluation), as_latex(evaluation), as_text(evaluation)):
        assert text.encode()
        assert "面" in text
    assert "\n".join(as_tsv(evaluation)).encode()
    assert all(ord(letter) < 128 for letter in as_json(evaluation))


@pytest.mark.parametrize("write", [as_html, as_markdown, as_latex, as_text, as_json])
def test_degenerate_rows_are_reported(write: object) -> None:
    nothing = {"n": 0, "nme_percent": None, "nme_low_percent": None, "nme_high_percent": None, "p50": None}
    lost = {"n": 3, "missing": 3, "nme_percent": np.inf, "nme_found_percent": None, "fr@0.08_percent": 100.0}
    unknown = dict.fromkeys(COMPARED)
    rows = [Row("a", "full", "17", nothing), Row("b", "full", "17", {**lost, **unknown})]
    for evaluation in (an_evaluation(rows=rows, overall=rows, normalisers=("17",)), an_evaluation(rows=[], overall=[])):
        text = write(evaluation)  # type: ignore[operator]
        assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", text.lower())


# --- files


def write(
    evaluation: Evaluation, folder: Path, plots: list[str], reports: list[str], *, force: bool = False
) -> list[str]:
    """Write plots, named by their kinds, and reports; returns what was warned of."""
    recorder = Recorder()
    write_files(
        evaluation,
        [(Path(name).stem, str(folder / name)) for name in plots],
        check_reports([str(folder / name) for name in reports], force),
        force,
        Provenance("kd-eval", ["a.h5"]),
        recorder,
    )
    return recorder.warned


def with_curves(**fields: object) -> Evaluation:
    errors = [Errors("student", np.linspace(0.01, 0.09, 20))]
    return an_evaluation(errors=errors, members={"full": np.ones(20, bool)}, n_faces=20, **fields)


def test_a_change_that_rounds_to_zero_has_no_minus() -> None:
    @dataclass
    class Record:
        change: float

    assert format_value("relative_percent", -0.04) == "+0.0 %"
    assert format_value("difference_percent", -0.004) == "+0.00"
    assert format_value("difference_percent", -0.006) == "-0.01"
    assert list(records_tsv([Record(-0.00004), Record(-0.00006)])) == ["change", "0.0000", "-0.0001"]


def test_plots_and_reports_are_written_together(tmp_path: Path) -> None:
    assert write(with_curves(), tmp_path, ["ced.svg"], ["r.md", "r.html", "r.json"]) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ced.svg", "r.html", "r.json", "r.md"]
    assert (tmp_path / "ced.svg").read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "r.md").read_text() == as_markdown(with_curves())
    assert json.loads((tmp_path / "r.json").read_text())[0]["nme_percent"] == 3.77
    html = (tmp_path / "r.html").read_text()
    assert html.count('id="ced"') == 1
    assert "kd-eval a.h5" in html
    assert "Worst faces" not in html


@pytest.mark.parametrize("plots", [["ced.svg", "scatter.svg"], ["ced.svg", "landmarks.png"], ["ced.svg", "worst.png"]])
def test_a_plot_that_cannot_be_drawn_leaves_no_other_file(plots: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write(with_curves(), tmp_path, plots, ["r.md"])
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_leaves_no_plot_and_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(evaluation: Evaluation) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kdtools.reports.output.as_markdown", fill_the_disk)
    (tmp_path / "r.md").write_text("old")
    with pytest.raises(FileError, match="No space left"):
        write(with_curves(), tmp_path, ["ced.svg"], ["r.md"], force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r.md"]
    assert (tmp_path / "r.md").read_text() == "old"


def test_the_worst_faces_of_a_truth_that_was_piped_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="the truth came through standard input, so its pictures cannot be read"
    ) as failed:
        write(with_curves(truth="standard input"), tmp_path, ["worst.png"], [])
    assert failed.value.hint == "name the file"
