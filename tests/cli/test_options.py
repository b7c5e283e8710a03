"""Options: each says its own choices, by its type, and means the same in every tool."""

from __future__ import annotations

import inspect
from collections import defaultdict
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest
from contract.running import run_tool
from update_pages import DESIGN, TOOLS, command_of, meaning_of, update_design

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
    name = next(name for of, name in CHOICES if of == tool)
    command, option = command_of(tool)[0], option_of(tool, name)
    inputs = ["x.h5"] * sum(p.param_type_name == "argument" for p in command.params)
    result = run_tool(tool, *inputs, option, "nonsense")
    words = ", ".join(map(repr, command.choices[name]))
    assert (result.status, result.stdout) == (2, b"")
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
        ("kd-import", "role", ("auto", *ROLES)),
        ("kd-predict", "backend", BACKENDS),
    ):
        assert command_of(tool)[0].choices[name] == tuple(words)


# ---- one meaning a name
def type_of(hint: Any) -> Any:
    """The type of one value: of `list[T] | None` it is T, of any Literal it is Literal."""
    if get_origin(hint) in (Annotated, list):
        return type_of(get_args(hint)[0])
    if get_origin(hint) is UnionType:
        return type_of(next(kind for kind in get_args(hint) if kind is not NoneType))
    return Literal if get_origin(hint) is Literal else hint


def test_a_name_has_one_meaning_one_type_and_one_help_text() -> None:
    """Docs/design.md, section 7, says which three differ, and why."""
    meanings = defaultdict(set)
    choices = defaultdict(dict)
    for tool in TOOLS:
        command, context = command_of(tool)
        hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
        for option in command.get_params(context):
            if option.param_type_name != "option" or option.name not in hints:
                continue
            words = command.choices.get(option.name)
            for name in (*option.opts, *option.secondary_opts):
                value = type_of(hints[option.name]), words or (option.metavar, option.min, option.max)
                if name not in ("-o", "--output", "--loss", "--preset"):
                    meanings[name].add((meaning_of(option), tuple(option.opts), *value))
                choices[name][tool] = words
    assert len(meanings) > 80
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
    for name in ("--loss", "--preset"):
        assert set(choices[name]["kd-teacher"]) < set(choices[name]["kd-student"])


def test_the_table_of_options_is_as_the_code_is() -> None:
    text = DESIGN.read_text()
    assert "| `-f`, `--force` |" in text
    assert update_design(text) == text, "an option was changed: make man"
