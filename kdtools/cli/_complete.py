"""Shell completion: options, their choices, and the files that suit them. Loads no torch and reads no file.

The scripts in completions/ call a tool with the words so far and `_KDTOOLS_COMPLETE` set. It prints lines: a word, a
tab and its help; or a glob, for the shell to complete file names.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer

from kdtools.bundled import bundled_names
from kdtools.cli._tools import PURPOSES
from kdtools.training import settings

# Words and globs; a glob has a star, and ends with a slash if it stands for folders.
FACES, WEIGHTS, MODELS = ["*.h5"], ["*.safetensors"], ["*.safetensors", "*.onnx"]
IMAGES, FIGURES, ANY_FILE, FOLDERS = ["*.png", "*.jpg"], ["*.svg", "*.pdf", "*.png"], ["*"], ["*/"]
FREE: list[str] = []  # numbers, patterns, new names
TEACHERS = [*FACES, *WEIGHTS]
ARCHS = sorted({preset["arch"] for of_tool in settings.PRESETS.values() for preset in of_tool.values()})
PLOTS = ["ced=", "landmarks=", "scatter=", "worst="]
FIGURES_OF_EVAL = ["nme", "p50", "p90", "p95", "p99", "fr@0.08", "auc@0.08"]


def completions(command: Any, context: typer.Context, tool: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(word, help) and (glob, "") pairs for the last of `words`, which may be empty.

    Of a word with =, such as --loss=l1 or ced=FILE, the part after it is completed.
    """
    *before, current = words or [""]
    parameters = command.get_params(context)
    options = {name: p for p in parameters for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    waiting, n_arguments, only_arguments = None, 0, False
    for word in before:
        if waiting is not None:
            waiting = None
        elif only_arguments or word == "-" or not word.startswith("-"):
            n_arguments += 1
        elif word == "--":
            only_arguments = True
        elif word in options and not options[word].is_flag:
            waiting = options[word]
    name, equals, _ = current.partition("=")
    if waiting is None and equals and name in options and not only_arguments:
        waiting, current = options[name], current[len(name) + 1 :]
    elif waiting is None and not (current.startswith("-") and not only_arguments):
        is_endless = bool(arguments) and arguments[-1].nargs == -1
        if n_arguments < len(arguments) or is_endless:
            waiting = arguments[min(n_arguments, len(arguments) - 1)]
    if waiting is None:
        for name, option in options.items():
            if name.startswith(current):
                yield name, _beginning(option.get_help_record(context)[1])
        return
    known, equals, piece = current.rpartition("=")
    for value in values_of(command, tool, waiting)(known + equals):
        if "*" in value or value.startswith(piece):
            yield value, ""


def _beginning(text: str) -> str:
    """The start of a help text, short enough for a list of completions."""
    return textwrap.shorten(re.split(r"[.;] |\.? +\[", text)[0], 60, placeholder=" ...")


def print_completions(app: typer.Typer, tool: str, words: Sequence[str]) -> None:
    command = typer.main.get_command(app)
    context: Any = command.make_context(tool, [], resilient_parsing=True)
    for value, text in completions(command, context, tool, words):
        print(f"{value}\t{text}" if text else value)


# ---- values: functions of the part of a value up to its last =, such as `loss=` in --set loss=l1
def _fixed(values: Sequence[str]) -> Callable[[str], Sequence[str]]:
    return lambda known: values


def _formats(known: str) -> list[str]:
    from kdtools.datasets.formats import FORMATS

    return ["auto", *FORMATS]


def _written_formats(known: str) -> list[str]:
    from kdtools.datasets.formats import FORMATS

    return ["auto", *(form.name for form in FORMATS.values() if form.is_written)]


def _schemes(known: str) -> list[str]:
    from kdtools.landmarks import SCHEMES

    return [*SCHEMES, "*.toml"]


def _protocols(known: str) -> list[str]:
    from kdtools.evaluation.protocols import PROTOCOLS

    return list(PROTOCOLS)


def _normalisers(known: str) -> list[str]:
    from kdtools.metrics.normalisers import GIVEN_BOX, NORMALISERS

    return [*NORMALISERS, GIVEN_BOX]


def _fields(known: str) -> list[str]:
    from kdtools.inspection.fields import FIELDS

    return [name for name in FIELDS if "*" not in name]


def _reports(known: str) -> list[str]:
    from kdtools.reports.output import FORMS

    return [f"*{suffix}" for suffix in FORMS]


def _settings(known: str) -> Sequence[str]:
    choices = settings.choices()
    return choices.get(known.rstrip("="), FREE) if known else [f"{name}=" for name in choices]


def _bundled_or(values: Sequence[str]) -> Callable[[str], Sequence[str]]:
    """Names of the bundled networks, then `values`."""
    return lambda known: [*bundled_names(), *values]


# By parameter, with the tool before it if tools differ. Types and metavars cover the rest: choices of a Literal,
# folders for DIR, nothing for numbers and patterns.
VALUES: dict[str, Callable[[str], Sequence[str]]] = {
    **dict.fromkeys(
        ("faces_path", "paths", "calibrate", "verify", "landmarks", "val", "rest", "unlabelled"), _fixed(FACES)
    ),
    "mean_shape": _fixed(FACES),
    **dict.fromkeys(("tough", "tolerant"), _bundled_or(TEACHERS)),
    **dict.fromkeys(("predictions", "truth_path"), _fixed(FACES)),
    **dict.fromkeys(("inputs", "sources", "kd-eval.predictions", "truth"), _fixed(ANY_FILE)),
    **dict.fromkeys(("scheme_name", "convert"), _schemes),
    **dict.fromkeys(("subset", "by_subset", "convention", "origin"), _fixed(FREE)),
    "categories": _fixed(["face"]),  # names are the file's own, which completion does not read; most are this one
    "arch": _fixed(ARCHS),
    "assignments": _settings,
    "detector": _fixed(["auto", "finder", "cascade", "yunet", "whole", "*.onnx", "*.csv"]),
    "device": _fixed(["auto", "cpu", "cuda"]),
    "group": _fixed(["none"]),
    "init": _bundled_or(["none", "imagenet", *WEIGHTS]),
    "model_path": _bundled_or(MODELS),
    "norm": _normalisers,
    "output": _fixed(FACES),
    "plot": lambda known: [*FIGURES, "*.jpg"] if known else PLOTS,
    "plot_modes": _fixed(FIGURES),
    "value": _fixed(FIGURES_OF_EVAL),
    "video": _fixed(["auto"]),
    "kd-asm.model_path": _fixed(FACES),
    "kd-dump.format_name": _written_formats,
    "kd-dump.output": _fixed(ANY_FILE),
    "kd-eval.output": _reports,
    "kd-export.model_path": _bundled_or(WEIGHTS),
    "kd-export.output": _fixed(["*.onnx", "*.tflite"]),
    "format_name": _formats,
    "ids_from": _fixed(ANY_FILE),
    "kd-import.detector": _fixed(["auto", "points", "given", "finder", "cascade", "yunet", "whole", "*.onnx", "*.csv"]),
    "kd-info.value": _fields,
    "kd-info.paths": _bundled_or([*FACES, *MODELS]),
    "kd-student.output": _fixed(WEIGHTS),
    "kd-teacher.output": _fixed([*WEIGHTS, *FACES]),
    "kd-view.output": _fixed([*IMAGES, *FOLDERS]),
    "kdtools.word": _fixed(["doctor", *(tool.removeprefix("kd-") for tool in PURPOSES if tool != "kdtools")]),
}
FREE_METAVARS = (
    *("TEXT", "N", "K", "K/N", "PX", "SHARE", "RATE", "SCORE", "PERCENT", "T,...", "GLOB", "NAME=GLOB"),
    "'VALUE>=N'",
)


def values_of(command: Any, tool: str, parameter: Any) -> Callable[[str], Sequence[str]]:
    """Completions for a parameter. Raises KeyError for one that VALUES lacks, which a test checks."""
    if parameter.name in command.choices:
        return _fixed(command.choices[parameter.name])
    for key in (f"{tool}.{parameter.name}", parameter.name):
        if key in VALUES:
            return VALUES[key]
    if parameter.metavar == "DIR":
        return _fixed(FOLDERS)
    if parameter.metavar in FREE_METAVARS:
        return _fixed(FREE)
    raise KeyError(parameter.name)
