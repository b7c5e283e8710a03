"""What --help shows: groups that hold every option, a limit of those shown at first, examples that parse, defaults."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from contract.running import run_tool
from factories import drawn_faces, write_faces
from update_pages import TOOLS, command_of

from kdtools.cli._help import BY_PRESET, EXAMPLES, GROUPS, MORE, group_of
from kdtools.training.settings import PRESETS

every_tool = pytest.mark.parametrize("tool", TOOLS)


def help_of(tool: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    command, context = command_of(tool)
    return str(command.get_help(context))


@every_tool
def test_every_option_has_a_group_and_groups_have_no_others(tool: str) -> None:
    names = [p.name for p in command_of(tool)[0].params if p.param_type_name == "option"]
    assert all(group_of(tool, name) in GROUPS for name in names)
    assert set(MORE.get(tool, "").split()) <= set(names)
    assert ("help_all" in names) == (tool in MORE)


def test_no_name_of_a_group_is_left_over() -> None:
    known = {p.name for tool in TOOLS for p in command_of(tool)[0].get_params(command_of(tool)[1])}
    known |= {f"{tool}.{p.name}" for tool in TOOLS for p in command_of(tool)[0].params}
    assert set(" ".join(GROUPS.values()).split()) <= known


@every_tool
def test_tools_of_more_than_about_twenty_options_hide_some(tool: str) -> None:
    own = [p for p in command_of(tool)[0].params if p.name not in ("quiet", "verbose", "version", "force", "help_all")]
    assert (len([p for p in own if p.param_type_name == "option"]) > 18) == (tool in MORE)


@every_tool
def test_examples_are_command_lines_of_the_tool(tool: str) -> None:
    command, _ = command_of(tool)
    assert len(EXAMPLES[tool]) == 2
    for line in EXAMPLES[tool]:
        name, *words = shlex.split(line)
        assert name == tool
        command.make_context(tool, words)  # raises for an unknown option and a missing argument


@every_tool
def test_examples_fit_into_80_columns_and_the_width_is_the_terminals(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of(tool, 80, monkeypatch)
    assert all(f"  {line}\n" in f"{text}\n" for line in EXAMPLES[tool])
    wide = help_of(tool, 120, monkeypatch)
    assert 80 < max(map(len, wide.splitlines())) <= 120
    assert max(map(len, help_of(tool, 300, monkeypatch).splitlines())) <= 120


@pytest.mark.parametrize("tool", ["kd-student", "kd-teacher"])
def test_defaults_of_presets_are_called_that(tool: str) -> None:
    command, context = command_of(tool)
    for option in command.params:
        if option.name in BY_PRESET:
            assert "default: (by preset)" in option.get_help_record(context)[1], option.name
    settings = {name for preset in PRESETS[tool].values() for name in preset}
    named = {p.name for p in command.params} & settings
    assert named <= BY_PRESET | {"convention"}


def test_defaults_read_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.sub(r"\s+", " ", help_of("kd-student", 120, monkeypatch))
    assert "[default: by preset; at least 1]" in text
    assert "(by preset)" not in text


def test_the_examples_of_kd_asm_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers too: a share of 95 stood there once."""
    write_faces(tmp_path / "train.h5", drawn_faces(12, 48, 1)[1])
    monkeypatch.chdir(tmp_path)
    for line in EXAMPLES["kd-asm"]:
        result = run_tool(*line.split(), "-f")
        assert result.status == 0, result.stderr
