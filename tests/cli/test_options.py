"""Options: each says its own choices, by its type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from update_pages import TOOLS, command_of

from kdtools.cli import _complete

CHOICES = [(tool, name) for tool in TOOLS for name in command_of(tool)[0].choices]


def option_of(tool: str, name: str) -> str:
    return next(p.opts[-1] for p in command_of(tool)[0].params if p.name == name)


@pytest.mark.parametrize(("tool", "name"), CHOICES)
def test_choices_are_in_the_help_and_completed(tool: str, name: str) -> None:
    command, context = command_of(tool)
    option = next(p for p in command.params if p.name == name)
    words = command.choices[name]
    record = " ".join(option.get_help_record(context))
    assert "|".join(words) in record or ", ".join(words) in record
    answers = [word for word, _ in _complete.completions(command, context, tool, [option.opts[-1], ""])]
    assert answers == list(words)


@pytest.mark.parametrize("tool", sorted({tool for tool, _ in CHOICES}))
def test_a_word_that_is_no_choice_is_refused_with_the_choices(tool: str) -> None:
    program = str(Path(sys.executable).parent / tool)
    name = next(name for of, name in CHOICES if of == tool)
    command, option = command_of(tool)[0], option_of(tool, name)
    inputs = ["x.h5"] * sum(p.param_type_name == "argument" for p in command.params)
    result = subprocess.run([program, *inputs, option, "nonsense"], capture_output=True, text=True, check=False)
    words = ", ".join(map(repr, command.choices[name]))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"{tool}: error: Invalid value for '{option}': 'nonsense' is not one of {words}\n  see {tool} --help\n"
    )


def test_choices_are_those_of_the_library() -> None:
    """Where the library's table loads numpy, the words stand in the option's type, too."""
    from kdtools.evaluation.protocols import PROTOCOLS
    from kdtools.faces.schema import ROLES
    from kdtools.landmarks.shape_model import ALIGNMENTS
    from kdtools.prediction.engines import BACKENDS

    for tool, name, words in (
        ("kd-asm", "align", ALIGNMENTS),
        ("kd-eval", "protocol", PROTOCOLS),
        ("kd-import", "role", ROLES),
        ("kd-predict", "backend", BACKENDS),
    ):
        assert command_of(tool)[0].choices[name] == tuple(words)
