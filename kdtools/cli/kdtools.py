"""kdtools: the list of the tools, and what works on this machine."""

from __future__ import annotations

import difflib
import importlib
import os
import shutil
import sys
import textwrap
from typing import Annotated

import typer

from kdtools.cli._app import COMPLETE, run, session
from kdtools.cli._exit import DONE, NEGATIVE
from kdtools.cli._options import Quiet, Verbose, Version
from kdtools.cli._tools import PURPOSES, TASKS
from kdtools.errors import UsageError

_DOCTOR = "doctor"


def kdtools(
    word: Annotated[
        str | None, typer.Argument(metavar="COMMAND", help="doctor, or a tool without its kd-, such as predict.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> int:
    """List the tools by task; or, as `kdtools doctor`, say what works on this machine.

    doctor prints versions, processor cores and memory as this process may use them, the GPU, whether OpenCV and
    ONNX Runtime load, the bundled networks, the cache folder and locks of files: paste it into a bug report. It takes
    some seconds, because it loads the libraries. The exit status is 3 if something that all tools need is broken.

    `kdtools predict ...` is another way to call kd-predict, and so for every tool; `kdtools help predict` is its help.
    """
    if word is None:
        print(_listing())
        return DONE
    if word != _DOCTOR:
        names = [_DOCTOR, *_by_short_name()]
        near = difflib.get_close_matches(word.removeprefix("kd-"), names, n=1)
        hint = f"is {near[0]} meant? " if near else ""
        raise UsageError(f"there is no tool {word!r}", f"{hint}There are {', '.join(names)}")
    from kdtools.inspection.machine import examine, is_broken, report

    findings = examine()
    print(report(findings, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    broken = [finding.name for finding in findings if is_broken(finding)]
    if broken:
        session.say(f"broken: {', '.join(broken)}")
    return NEGATIVE if broken else DONE


def _listing() -> str:
    """The tools by task, and what to type first, within the width of the terminal."""
    indent = max(map(len, PURPOSES)) + 4
    lines = []
    for task, tools in TASKS.items():
        lines.append(f"{task}:")
        lines += [_wrapped(f"  {tool}".ljust(indent) + purpose, indent) for tool, purpose in tools.items()]
    return "\n".join([*lines, "", _wrapped(_MORE, 2), _wrapped(_FIRST, 2)])


_MORE = "kd-TOOL --help lists its options, man kd-TOOL explains more."
_FIRST = "To begin: kd-predict face68 photos/ -o points.csv"


def _wrapped(line: str, indent: int) -> str:
    return textwrap.fill(
        line, shutil.get_terminal_size().columns, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def _by_short_name() -> dict[str, str]:
    """Tools by what follows kd- in their name."""
    return {tool.removeprefix("kd-"): tool for tool in PURPOSES if tool.startswith("kd-")}


def main() -> None:
    first, *rest = sys.argv[1:] or [""]
    if first == "help":  # as git help commit
        first, rest = (rest[0], ["--help"]) if rest else ("", [])
        sys.argv[1:] = [first, *rest] if first else []
    tool = _by_short_name().get(first.removeprefix("kd-"))
    is_word = first not in ("", _DOCTOR, "kdtools") and not first.startswith("-")
    if tool is None and is_word and COMPLETE not in os.environ:
        sys.argv[1:] = [first]  # else --help would answer a misspelt name with the help of kdtools
    if tool is None or (COMPLETE in os.environ and not rest):  # the tab key asks for the word itself
        run("kdtools", kdtools)
    # As if that tool had been called, also for the tab key.
    sys.argv = [tool, *rest]
    importlib.import_module(f"kdtools.cli.{tool.replace('-', '_')}").main()
