"""--help, --version and wrong command lines; what a tool loads, and how soon it answers."""

from __future__ import annotations

import importlib
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from kdtools import __version__
from kdtools.cli._help import MORE

from .running import Result, fail, left_in, run_code, run_tool, script
from .table import LIGHT, SCRIPTS, TOOLS, every_tool
from .world import World

HEAVY = ("torch", "timm", "cv2", "h5py", "numpy", "matplotlib", "onnx", "onnxruntime", "safetensors")
HELP_TIME_LIMIT = 1.5  # times `python -c "import typer"` (docs/design.md, section 3)
MOST_SHOWN = 23  # options in --help, with -q, -v, -h, --version and --help-all
LARGEST_N_OPTIONS = 26  # kd-student: settings of a training, two teachers, unlabelled faces, a convention


def options_of(tool: str) -> list[Any]:
    """The option records of a tool."""
    module = importlib.import_module(SCRIPTS[tool].partition(":")[0])
    app = typer.Typer(add_completion=False)
    app.command()(getattr(module, tool.replace("-", "_")))
    return [param for param in typer.main.get_command(app).params if param.param_type_name == "option"]


@every_tool
def test_help(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names every option, or with --help-all; as plain text, in the width of the terminal, down to 40 columns."""
    for columns in (120, 80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        result = run_tool(tool, "--help")
        whole = run_tool(tool, "--help-all") if tool in MORE else result
        assert (result.status, result.stderr) == (whole.status, whole.stderr) == (0, "")
        text, all_text = result.stdout.decode(), whole.stdout.decode()
        assert text.splitlines()[0].startswith(f"Usage: {tool} ")
        hidden = MORE.get(tool, "").split()
        for record in options_of(tool):
            assert record.help, record.name
            for name in record.opts:
                assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", all_text), name
        assert columns < 80 or len(re.findall(r"^  -", text, re.MULTILINE)) <= MOST_SHOWN
        assert (f"{len(hidden)} more options: {tool} --help-all" in text) == bool(hidden)
        text = all_text
        assert "\x1b" not in text
        longest = max(text.splitlines(), key=len)
        assert len(longest) <= columns, longest
    assert run_tool(tool, "-h") == result


@every_tool
def test_options_mean_the_same_everywhere(tool: str) -> None:
    letters = {"-o": "--output", "-f": "--force", "-q": "--quiet", "-v": "--verbose", "-j": "--jobs"}
    records = options_of(tool)
    names = [set(record.opts) for record in records]
    for letter, long in letters.items():
        assert all((letter in opts) == (long in opts) for opts in names)
    everywhere = {"--quiet", "--verbose", "--version"} | ({"--help-all"} if tool in MORE else set())
    wanted = everywhere | ({"--output", "--force"} if TOOLS[tool].suffix else set())
    assert wanted <= set().union(*names)
    assert len(records) - len(everywhere) <= LARGEST_N_OPTIONS


@every_tool
def test_version(tool: str) -> None:
    assert run_tool(tool, "--version") == Result(0, f"{tool} {__version__}\n".encode(), "")


@every_tool
def test_a_wrong_command_line(tool: str) -> None:
    fail(run_tool(tool, "--no-such-option"), tool, 2)
    if TOOLS[tool].words:
        fail(run_tool(tool), tool, 2)
    words = re.sub(r"{\w+}", "x", TOOLS[tool].words).split()
    if "-o" in words:  # as of -o "$not_set"
        fail(run_tool(tool, *words, "-o", ""), tool, 2, "--output: the word given is empty")
    else:
        fail(run_tool(tool, *words, ""), tool, 2, "the word given is empty")


@pytest.mark.parametrize("tool", sorted(name for name, row in TOOLS.items() if row.two_streams))
def test_only_one_input_can_be_standard_input(tool: str, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / f"out{TOOLS[tool].suffix}")] if TOOLS[tool].suffix else []
    fail(run_tool(tool, *TOOLS[tool].two_streams.split(), *output), tool, 2)
    assert left_in(tmp_path) == []


# ---- what is loaded, and how soon
_RUN_ALL = """
import importlib, sys
for argv in {calls!r}:
    sys.argv = argv
    module, _, name = {scripts!r}[argv[0]].partition(":")
    try:
        getattr(importlib.import_module(module), name)()
    except SystemExit as stop:
        assert not stop.code, (argv, stop.code)
    loaded = [name for name in {unwanted!r} if name in sys.modules]
    assert not loaded, (argv[0], loaded)
"""


def test_help_loads_nothing_heavy() -> None:
    run_code(_RUN_ALL.format(calls=[[tool, "--help"] for tool in SCRIPTS], scripts=SCRIPTS, unwanted=HEAVY))


def test_a_light_tool_never_loads_torch(world: World, tmp_path: Path) -> None:
    calls = [[tool, *world.words(tool, tmp_path / f"{tool}{TOOLS[tool].suffix}")] for tool in LIGHT]
    run_code(_RUN_ALL.format(calls=calls, scripts=SCRIPTS, unwanted=("torch",)))


def test_texts_and_tables_load_no_opencv(world: World, tmp_path: Path) -> None:
    """It takes longer to load than many of them take to be written."""
    calls = [[tool, *world.words(tool, tmp_path / f"{tool}{TOOLS[tool].suffix}")] for tool in ("kd-dump", "kd-eval")]
    run_code(_RUN_ALL.format(calls=calls, scripts=SCRIPTS, unwanted=("torch", "cv2")))


def seconds_of(command: list[str]) -> float:
    """Processor time of a command that says nothing: other work on the machine adds little to it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_as_fast_as_typer() -> None:
    """The least ratio of several pairs, for a processor's speed changes from one second to the next."""
    commands = {tool: [script(tool), "--help"] for tool in SCRIPTS}
    ratios = dict.fromkeys(commands, float("inf"))
    in_doubt = list(commands)
    for _ in range(12):
        for tool in in_doubt:
            ratio = seconds_of(commands[tool]) / seconds_of([sys.executable, "-c", "import typer"])
            ratios[tool] = min(ratios[tool], round(ratio, 2))
        in_doubt = [tool for tool in commands if ratios[tool] > HELP_TIME_LIMIT]
        if not in_doubt:
            break
    assert not in_doubt, f"time of --help over that of importing typer: {ratios}"
