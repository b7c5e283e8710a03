"""What a tool tells on standard error: each line short and on one line, many alike counted, none lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from contract.running import run_tool

from kdtools.cli._reporter import StderrReporter
from kdtools.reporting import kind_of, one_line


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_after_ten_skips_of_one_kind_the_others_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter("kd-x")
    for k in range(300):
        reporter.skip(f"list.txt:{k}", f"{k % 7 + 3} numbers where 137 were expected")
    reporter.skip("a.png", "no face found")
    reporter.finish()
    told = lines(capsys)
    assert told[:2] == [f"kd-x: skipped list.txt:{k}: {k + 3} numbers where 137 were expected" for k in (0, 1)]
    assert told[10:] == [
        "kd-x: skipped a.png: no face found",
        "kd-x: 290 more were skipped for the same reason: 3 numbers where 137 were expected",
    ]
    assert reporter.n_skipped == 301
    reporter.finish()
    assert lines(capsys) == []  # once is enough


def test_warnings_collapse_by_kind_but_messages_only_where_they_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter("kd-x")
    for k in range(11):
        reporter.warn(f"--exclude 'a{k}': no id fits")
        reporter.say(f"epoch {k + 1}/11: NME {k}")
        reporter.say("still here")
    reporter.finish()
    told = lines(capsys)
    assert sum("warning" in line for line in told) == 11
    assert "kd-x: warning: 1 more of this kind: --exclude 'a0': no id fits" in told
    assert sum("epoch" in line for line in told) == 11
    assert told.count("kd-x: still here") == 10
    assert told[-1] == "kd-x: 1 more of this kind: still here"


def test_verbose_prints_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter("kd-x")
    reporter.verbosity = 1
    for k in range(30):
        reporter.skip(f"{k}.png", "no face found")
    reporter.finish()
    assert len(lines(capsys)) == 30


def test_quiet_leaves_out_messages_but_neither_warnings_nor_skips(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter("kd-x")
    reporter.verbosity = -1
    reporter.say("a message")
    reporter.warn("a warning")
    for _ in range(12):
        reporter.skip("a", "b")
    reporter.finish()
    told = lines(capsys)
    assert told[0] == "kd-x: warning: a warning"
    assert told[1:] == ["kd-x: skipped a: b"] * 10 + ["kd-x: 2 more were skipped for the same reason: b"]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("there is no image 'a.jpg' in /x or /y", "there is no image 'it is b' in /other/z or /y", True),
        ("5 points, but b.png has 3", "68 points, but helen/c.png has 98", True),
        ("would be 1.6e+06 px", "would be 12 px", True),
        ('"it\'s" is not a number', "'x' is not a number", True),
        ("5 points, but b.png has 3", "5 points, but b.png has none", False),
        ("the image's end is cut off", "the image's middle is cut off", False),
        ("out of memory", "no face found", False),
    ],
)
def test_messages_are_alike_apart_from_names_and_numbers(one: str, other: str, alike: bool) -> None:
    assert (kind_of(one) == kind_of(other)) == alike


def test_text_from_outside_becomes_one_short_line() -> None:
    pixels = " ".join(str(k) for k in range(9000))
    assert one_line("a\nb\x1b[31m\u2028c") == r"a\nb\x1b[31m\u2028c"
    told = one_line(f"{pixels!r} is not a number; the rest of {'x' * 3000}.png stays")
    assert len(told) < 500
    assert told.startswith("'0 1 2 3")
    assert "8999' is not a number; the rest of xxx" in told
    assert told.endswith("x.png stays")
    assert len(one_line(pixels)) == 2000
    plain = "its 68 points don't fit 'helen/trainset/a name of usual length.jpg', which has 98"
    assert one_line(plain) == plain


def test_a_table_of_pixels_gives_ten_short_lines_and_an_exact_count(tmp_path: Path) -> None:
    """A column of pixels where coordinates should be, as in the CSV files of a contest: 34 kB a cell."""
    pixels = " ".join(map(str, np.arange(9000)))
    rows = [f"a{k}.png,1,2,3,{pixels}" for k in range(40)]
    rows += [f"b{k}.png,{k},2,3,{40 + k}" for k in range(20)]
    (tmp_path / "faces.csv").write_text("\n".join(["image,x0,y0,x1,y1", *rows]) + "\n")
    result = run_tool("kd-import", tmp_path / "faces.csv", "--format", "csv", "--no-images", "-o", tmp_path / "o.h5")
    assert (result.status, result.stderr.count("kd-import: skipped ")) == (4, 10)
    assert "kd-import: 20 faces, 40 skipped\n" in result.stderr
    assert len(result.stderr) < 20_000
    assert max(map(len, result.stderr.splitlines())) < 1000


def test_a_column_slip_is_told_once_counted_and_reported_before_the_end(tmp_path: Path) -> None:
    faces = [{"image": f"a{k}.png", "points": [[1, 2], [3, 4], [5, k]][: 2 if k % 2 else 3]} for k in range(61)]
    (tmp_path / "faces.jsonl").write_text("".join(json.dumps(one) + "\n" for one in faces))
    words = [tmp_path / "faces.jsonl", "--no-images", "-o", tmp_path / "o.h5"]
    result = run_tool("kd-import", *words)
    skipped = [line for line in result.stderr.splitlines() if line.startswith("kd-import: skipped ")]
    assert (result.status, len(skipped)) == (4, 10), result.stderr
    assert "kd-import: 20 more were skipped for the same reason: 2 points, but a0.png has 3" in result.stderr
    assert "31 faces, 30 skipped" in result.stderr
    every = run_tool("kd-import", *words, "-f", "-v")
    assert sum(line.startswith("kd-import: skipped ") for line in every.stderr.splitlines()) == 30
