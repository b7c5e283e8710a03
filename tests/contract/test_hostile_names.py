"""Nothing in a stranger's files is obeyed by the terminal, whichever tool shows it, and however."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdtools.reporting import printable, printable_lines

from .hostile import ALL, ESCAPES, make_hostile, obeyed
from .running import Result, run_tool
from .table import TOOLS, every_tool
from .test_terminal import Terminal
from .world import World


@pytest.fixture(scope="module")
def hostile(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_hostile(world, tmp_path_factory.mktemp("hostile"))


def at_terminal(tool: str, *words: str | Path) -> bytes:
    """What a run shows whose standard output and standard error are a terminal."""
    terminal = Terminal(80)
    try:
        run_tool(tool, *words, stdout=terminal.fd, stderr=terminal.fd)
    finally:
        shown = terminal.close()
    return shown


def check_piped(tool: str, *words: str | Path) -> Result:
    """Assert that a run, whose output is piped, says nothing that is obeyed; returns what it gave."""
    result = run_tool(tool, *words)
    assert obeyed(result.stderr.encode()) == []
    assert "bug in kdtools" not in result.stderr, result.stderr
    return result


def check_at_terminal(tool: str, *words: str | Path) -> None:
    """Assert that a run at a terminal shows nothing that is obeyed."""
    assert obeyed(at_terminal(tool, *words), allowed="\r") == []


def check_shown(tool: str, *words: str | Path) -> Result:
    """Both."""
    result = check_piped(tool, *words)
    check_at_terminal(tool, *words)
    return result


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on which the tools themselves use no escape codes, so that all there are come from the files."""
    monkeypatch.setenv("TERM", "dumb")


@every_tool
def test_a_call_that_names_are_shown_in(tool: str, hostile: World, tmp_path: Path) -> None:
    """Right calls with hostile files, piped; and at a terminal with what -v adds."""
    words = hostile.words(tool, tmp_path / f"out{TOOLS[tool].suffix}")
    check_piped(tool, *words)
    if TOOLS[tool].suffix:
        check_at_terminal(tool, *words, "-v", "-f")
    if TOOLS[tool].printed is not None:
        check_printed(tool, check_shown(tool, *hostile.words(tool, "-")))


def check_printed(tool: str, result: Result) -> None:
    assert tool == "kd-dump" or obeyed(result.stdout) == []  # which gives data as it is to a pipe


WRONG = [(tool, name) for tool, row in TOOLS.items() for name in (*row.faces, *row.models, *row.sources)]


def wrong_calls(tool: str, name: str, hostile: World, world: World, folder: Path) -> list[list[str]]:
    """With a file that is missing, damaged, or of faces that do not fit the others."""
    damaged = folder / f"{ALL.replace('/', ':')[:100]}.h5"
    damaged.write_bytes(b"no file of kdtools \x1b[2J")
    others = (Path(str(damaged) + "x"), damaged, world.files["test"], hostile.files["other"])
    more = ["-f"] if TOOLS[tool].suffix else []
    output = folder / f"out{TOOLS[tool].suffix}"
    return [[*hostile.words(tool, output, **{name: other}), *more, "-v"] for other in others]


@pytest.mark.parametrize(("tool", "name"), WRONG)
def test_errors_that_name_them(tool: str, name: str, hostile: World, world: World, tmp_path: Path) -> None:
    """All of them piped, and one of the four, in turn, at a terminal."""
    calls = wrong_calls(tool, name, hostile, world, tmp_path)
    for words in calls:
        check_piped(tool, *words)
    check_at_terminal(tool, *calls[WRONG.index((tool, name)) % len(calls)])


@pytest.mark.parametrize("name", ["faces", "pred", "student"])
def test_every_value_that_kd_info_prints(name: str, hostile: World) -> None:
    path = hostile.files[name]
    report = json.loads(run_tool("kd-info", path, "--json").stdout)
    assert report["provenance"]["argv"][0] == ALL  # JSON escapes by its own rules, so a program gets the name as it is
    for words in ([], ["--json"], ["--check"]):
        assert obeyed(check_shown("kd-info", path, *words).stdout) == []
    for value in ("file", "scheme.toml", "landmarks.scheme", "provenance", "provenance.tool", "provenance.argv"):
        result = check_shown("kd-info", path, "--value", value)
        assert (result.status, obeyed(result.stdout)) == (0, [])


@pytest.mark.parametrize("words", [["--by", "face"], ["--by", "region"], ["--by", "landmark"], ["--jitter"]])
def test_every_table_of_kd_eval(words: list[str], hostile: World, tmp_path: Path) -> None:
    pred, truth = hostile.files["pred"], hostile.files["test"]
    truth_words = [] if words == ["--jitter"] else ["--truth", truth]
    assert obeyed(check_shown("kd-eval", pred, *truth_words, *words).stdout) == []
    if truth_words:
        reports = [tmp_path / f"report{suffix}" for suffix in (".html", ".md", ".tex", ".tsv", ".txt", ".json")]
        outputs = [word for path in reports for word in ("-o", path)]
        result = run_tool("kd-eval", pred, *truth_words, *words, *outputs)
        assert result.status == 0, result.stderr
        for path in reports:
            assert obeyed(path.read_bytes()) == [], path


def test_a_legend_of_hostile_file_names(hostile: World, tmp_path: Path) -> None:
    files = [hostile.files["test"], hostile.files["pred"]]
    assert check_shown("kd-view", *files, "-o", tmp_path / "sheet.png", "-f").status == 0


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "coco", "dlib", "wflw"])
def test_data_at_a_terminal(form: str, hostile: World) -> None:
    check_shown("kd-dump", hostile.files["faces"], "--format", form)


@pytest.mark.parametrize("name", ESCAPES)
def test_one_function_for_all(name: str) -> None:
    assert obeyed(printable(name).encode()) == []
    assert obeyed(printable_lines(f"{name}\n\t{name}").encode()) == []
    assert printable("名前 été [red] ب") == "名前 été [red] ب"


# ---- make soak
@pytest.mark.soak
@every_tool
@pytest.mark.parametrize("more", [[], ["-v"]], ids=["right", "verbose"])
def test_every_call_that_names_are_shown_in(tool: str, more: list[str], hostile: World, tmp_path: Path) -> None:
    more = [*more, "-f"] if TOOLS[tool].suffix else []
    check_shown(tool, *hostile.words(tool, tmp_path / f"out{TOOLS[tool].suffix}"), *more)
    if TOOLS[tool].printed is not None:
        check_printed(tool, check_shown(tool, *hostile.words(tool, "-"), *more))


@pytest.mark.soak
@pytest.mark.parametrize(("tool", "name"), WRONG)
def test_every_error_that_names_them(tool: str, name: str, hostile: World, world: World, tmp_path: Path) -> None:
    for words in wrong_calls(tool, name, hostile, world, tmp_path):
        check_shown(tool, *words)
