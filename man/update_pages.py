"""Fill the parts of the manual pages, and the table of options in docs/design.md, that the code knows.

`make man` does it, a test sees whether it was done.

A page is written by hand in mdoc(7), except what stands between a line `.\\" begin NAME` and the line `.\\" end NAME`:
description and options are those that `--help` prints, from the same records; tables are those of the code; synopsis,
SEE ALSO and BUGS are from page_facts.py. A page that changes gets today's date.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import typer
from page_facts import BUGS, REPORTING, SYNOPSES, WORKFLOW

from kdtools import __version__
from kdtools.cli._app import app_of
from kdtools.cli._tools import TASKS

MAN = Path(__file__).resolve().parent
DESIGN = MAN.parent / "docs" / "design.md"
OVERVIEW = "kdtools.7"  # beside kdtools.1, which is a tool's
TOOLS = sorted(tomllib.loads((MAN.parent / "pyproject.toml").read_text())["project"]["scripts"])

_STATUS = """\
.It 0
Done.
.It 1
Failed; no output was written.
The reason is on standard error.
.It 2
The command line makes no sense; nothing was done.
"""
_SIGNALS = """\
.It 130
Interrupted, as by Ctrl-C.
.It 141
Nobody reads standard output any more, as behind
.Ql head .
.It 143
Terminated, as by
.Ql kill .
"""
_TMPDIR = """\
.It Ev TMPDIR
Folder for the temporary copy of what goes through standard input or
output.
"""
_EPOCH = """\
.It Ev SOURCE_DATE_EPOCH
Seconds since 1970 that are recorded as the time of making, in place of
today\\(aqs date.
"""


def update(page: str, name: str) -> str:
    """The text of page `name` (such as kd-asm.1) with its made parts as the code has them now."""
    tool = name if name == OVERVIEW else name.partition(".")[0]
    begin = re.compile(r'^(\.\\" begin (\w+)\n)(?:.*\n)*?(\.\\" end \2\n)', re.MULTILINE)
    return begin.sub(lambda found: found[1] + PARTS[found[2]](tool) + found[3], page)


def command_of(tool: str) -> tuple[Any, Any]:
    """The Typer command of a tool and a context to ask it in."""
    name = tool.replace("-", "_")
    command: Any = typer.main.get_command(app_of(getattr(importlib.import_module(f"kdtools.cli.{name}"), name)))
    return command, command.make_context(tool, [], resilient_parsing=True)


# ---- the parts
def _head(tool: str) -> str:
    """Title, the words in the middle of the page's head, and the version for its foot.

    groff would say "BSD General Commands Manual" in the head; mandoc has words of its own.
    """
    title = f"{tool.partition('.')[0].upper()} {_section_of(tool)}"
    return f".Dt {title}\n.ds doc-volume kdtools Manual\n.Os kdtools {__version__}\n"


def _closing(tool: str) -> str:
    """SEE ALSO by workflow, AUTHORS and BUGS."""
    if tool == OVERVIEW:
        rows = {task.capitalize(): " ".join(tools) for task, tools in TASKS.items()}
    else:
        before, after, related = WORKFLOW[tool]
        rows = {"Input from": before, "Output to": after, "Related": related}
        rows = {label: pages for label, pages in rows.items() if pages}
    rows["Formats" if tool == OVERVIEW else "Overview"] = " ".join({OVERVIEW, "kd-hdf5"} - {tool})
    items = "".join(f".It {label}\n{_references(sorted(pages.split()))}" for label, pages in rows.items())
    return (
        f'.Sh SEE ALSO\n.Bl -tag -width "Input from" -compact\n{items}.El\n'
        ".Sh AUTHORS\nThe kdtools authors.\nThe method is by\n.An Ali Pourramezan Fard\nand\n.An Mohammad H. Mahoor .\n"
        f".Sh BUGS\n{prose(BUGS.get(tool, ''))}{prose(REPORTING)}"
    )


def _references(pages: list[str]) -> str:
    return " ,\n".join(f".Xr {page.partition('.')[0]} {_section_of(page)}" for page in pages) + "\n"


def _section_of(page: str) -> str:
    return {"kd-hdf5": "5", OVERVIEW: "7"}.get(page, "1")


def _usage(tool: str) -> str:
    """SYNOPSIS and the beginning of DESCRIPTION."""
    command, _ = command_of(tool)
    ways = "".join(f".Nm\n{synopsis_macros(synopsis)}" for synopsis in SYNOPSES[tool])
    paragraphs = [prose(paragraph) for paragraph in inspect.cleandoc(command.help).split("\n\n")]
    return f".Sh SYNOPSIS\n{ways}.Sh DESCRIPTION\n" + ".Pp\n".join(paragraphs)


def _options(tool: str) -> str:
    command, context = command_of(tool)
    items = []
    for parameter in sorted(command.get_params(context), key=lambda parameter: parameter.param_type_name):
        names, text = parameter.get_help_record(context)
        if parameter.param_type_name == "argument":  # typer may put a type behind its name
            names = names.split()[0] + ("..." if parameter.nargs == -1 else "")
        items.append(_option_item(names, text, is_choice=parameter.name in command.choices))
    return f".Bl -tag -width Ds\n{''.join(items)}.El\n"


def _settings(tool: str) -> str:
    """What --show-settings prints, of each preset that both tools have: a line holds no more."""
    from kdtools.training.settings import TEACHER_PRESETS, resolve_settings

    presets = [asdict(resolve_settings(tool, name, {})) for name in TEACHER_PRESETS]
    rows = [[name, *(_cell(preset[name]) for preset in presets)] for name in presets[0]]
    return _table(["setting", *TEACHER_PRESETS], rows)


def _formats(tool: str) -> str:
    from kdtools.datasets.formats import FORMATS

    return _items((form.name, form.what) for form in FORMATS.values())


def _protocols(tool: str) -> str:
    from kdtools.evaluation.protocols import PROTOCOLS

    return _items((protocol.name, f"{protocol.title}: {protocol.source}") for protocol in PROTOCOLS.values())


def _fields(tool: str) -> str:
    from kdtools.inspection.fields import FIELDS

    return _items(FIELDS.items())


def _arrays(tool: str) -> str:
    """The datasets of a faces file: path, axes, type and unit."""
    from kdtools.faces.schema import ARRAYS, SUBSET

    axes = {"face": "N", "landmark": "L", "row": "H", "column": "W", "mode": "K"}
    specs = {**{f"/{name}": spec for name, spec in ARRAYS.items()}, "/subset/NAME": SUBSET}
    rows = []
    for name, spec in specs.items():
        shape = ", ".join(axes.get(str(dim), str(dim)) for dim in spec.dims)
        rows.append([name, f"({shape}{',' if len(spec.dims) == 1 else ''})", spec.dtype])
    return _table(["path", "shape", "type"], rows)


def _schemes(tool: str) -> str:
    from kdtools.landmarks import SCHEMES

    return _table(["scheme", "points"], [[scheme.name, str(scheme.n_points)] for scheme in SCHEMES.values()])


def _tools(tool: str) -> str:
    """The tools by task, with what each is for."""
    lists = []
    for task, tools in TASKS.items():
        items = "".join(f".It Xr {name} 1\n{purpose}\n" for name, purpose in tools.items())
        lists.append(f".Pp\n{task.capitalize()}:\n.Bl -tag -width kd-predict(1) -compact\n{items}.El\n")
    return "".join(lists)


def options_table() -> str:
    """All options of all tools as a Markdown table, for docs/design.md: a name, its value, the tools, the meaning."""
    rows: dict[str, dict[str, Any]] = {}
    for tool in TOOLS:
        command, context = command_of(tool)
        for option in command.get_params(context):
            if option.param_type_name != "option":
                continue
            names = ", ".join(f"`{name}`" for name in sorted((*option.opts, *option.secondary_opts), key=len))
            words = command.choices.get(option.name, ())
            value = ", ".join(words) or (f"`{option.metavar}`" if option.metavar else "")
            row = rows.setdefault(names, {"value": value, "meaning": meaning_of(option), "tools": []})
            row["value"] = max(row["value"], value, key=len)  # kd-teacher takes some of the losses of kd-student
            row["tools"].append(tool.removeprefix("kd-"))
            if meaning_of(option) not in row["meaning"]:
                row["meaning"] += f" {tool}: {meaning_of(option)}"
    lines = ["| option | value | tools | meaning |", "|---|---|---|---|"]
    for names, row in sorted(rows.items(), key=lambda item: item[0].rpartition("`--")[2].rstrip("`")):
        tools = "all" if len(row["tools"]) == len(TOOLS) else ", ".join(row["tools"])
        cells = names, row["value"], tools, row["meaning"]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def meaning_of(option: Any) -> str:
    """The help of an option without what its type says: its choices, that it can be repeated, its default."""
    text = option.help or "Show the help and stop."
    return re.sub(r"( One of [^.]*\.)?( Can be repeated\.)?(  \[default: .*\])?$", "", text)


def update_design(page: str) -> str:
    """docs/design.md with its table of options as the code has them now."""
    marks = re.compile(r"(<!-- begin options -->\n)(?:.*\n)*?(<!-- end options -->\n)")
    return marks.sub(lambda found: found[1] + options_table() + found[2], page)


PARTS: dict[str, Callable[[str], str]] = {
    "head": _head,
    "usage": _usage,
    "closing": _closing,
    "options": _options,
    "status": lambda tool: _STATUS,
    "signals": lambda tool: _SIGNALS,
    "tmpdir": lambda tool: _TMPDIR,
    "epoch": lambda tool: _EPOCH,
    "settings": _settings,
    "formats": _formats,
    "protocols": _protocols,
    "fields": _fields,
    "arrays": _arrays,
    "schemes": _schemes,
    "tools": _tools,
}
OF_EVERY_TOOL = ("head", "usage", "options", "status", "signals", "closing")


# ---- mdoc
def synopsis_macros(synopsis: str) -> str:
    """A line of page_facts.SYNOPSES as mdoc: each word on a line of its own, and so is a bracket."""
    lines = []
    for piece in re.findall(r"\[[^]]*\]|\S+(?: \.\.\.)?", synopsis):
        words = piece.strip("[]").split()
        macros = " ".join(word if word == "..." else _word_macro(word) for word in words)
        lines.append(f".Op {macros}\n" if piece.startswith("[") else f".{macros}\n")
    return "".join(lines)


def _option_item(names: str, text: str, is_choice: bool) -> str:
    """An argument, or an option with its names and what its value is called, and what --help says of it.

    Where the value `is_choice`, its words between bars are to be typed as they are.
    """
    macros = []
    for word in re.sub(r"(?<=\w)\.\.\.", " ...", names).split():
        if word in ("/", "..."):
            macros.append("," if word == "/" else word)
        elif is_choice and "|" in word:
            macros.append(f"Cm {escape(word).replace('|', ' | ')}")
        else:
            macros.append(_word_macro(word.rstrip(",")) + (" ," if word.endswith(",") else ""))
    remarks = []
    for remark in re.findall(r"\[([^][]*)\]", text):
        found = _remark(remark)
        if found is not None:
            if " / " in names:  # of a pair such as --lines / --no-lines
                found = found.replace("default is ", "default is --")
            text = text.replace(f"[{remark}]", "")
            remarks.append(found)
    return f".It {' '.join(macros)}\n" + prose(" ".join([text, *remarks]))


def _word_macro(word: str) -> str:
    if word.startswith("-"):
        return f"Fl {escape(word[1:])}"
    return f"Cm {word}" if word.islower() and word != "options" else f"Ar {escape(word)}"


def _remark(text: str) -> str | None:
    """What typer says in a bracket, such as `default: 0.2; 0.0<=x<=2.0`, in words; None for any other bracket."""
    sentences = []
    default, _, bounds = text.rpartition("; ") if "<=x" in text or "x>=" in text else (text, "", "")
    for part in filter(None, (default, bounds)):
        limits = re.fullmatch(r"(?:([\d.]+)<=)?x(?:([<>])=([\d.]+))?", part)
        if part == "default: (by preset)":
            sentences.append("The default is that of the preset.")
        elif part.startswith("default: "):
            sentences.append(f"The default is {part.removeprefix('default: ')}.")
        elif limits and limits[1]:
            sentences.append(f"From {float(limits[1]):g} to {float(limits[3]):g}.")
        elif limits:
            sentences += [f"At least {float(limits[3]):g}."] if float(limits[3]) else []
        elif part != "required":
            return None
    return " ".join(sentences)


def _items(rows: Iterable[tuple[str, str]]) -> str:
    items = [f".It Cm {escape(name)}\n{prose(text)}" for name, text in rows]
    return f".Bl -tag -width Ds -compact\n{''.join(items)}.El\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    columns = " ".join("m" * width for width in widths)
    lines = [f".It {' Ta '.join(escape(cell) for cell in row)}\n" for row in [head, *rows]]
    return f".Bl -column {columns}\n{''.join(lines)}.El\n"


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value) or "-"


def prose(text: str) -> str:
    """Plain text as lines of mdoc; each sentence begins on one. `et al.` ends none, at a line's end neither."""
    sentences = re.split(r"(?<! al\.)(?<=[^.][.?!])\s+", " ".join(text.split()))
    lines = (
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, 72, break_long_words=False, break_on_hyphens=False)
    )
    return "".join(escape(line) + ("\\&" if line.endswith(" al.") else "") + "\n" for line in lines)


def escape(text: str) -> str:
    """Text in which roff finds nothing to obey; typed signs, such as the hyphens of options, stay as they are."""
    text = text.replace("\\", "\\e")
    for sign, name in (('"', "dq"), ("'", "aq"), ("^", "ha"), ("~", "ti"), ("`", "ga")):
        text = text.replace(sign, f"\\({name}")
    text = re.sub(r"(?<![\w-])(kd-|--?)\w[\w-]*", lambda found: found[0].replace("-", "\\-"), text)
    return re.sub(r"^(?=\.)", r"\\&", text)


if __name__ == "__main__":
    for path in sorted(MAN.glob("*.[1-9]"), key=lambda path: path.name == OVERVIEW):
        old = path.read_text()
        new = update(old, path.name)
        if new != old:
            today = f"{date.today():%B} {date.today().day}, {date.today().year}"
            path.write_text(re.sub(r"^\.Dd .*$", f".Dd {today}", new, flags=re.MULTILINE))
            print(path.relative_to(MAN.parent))
    old = DESIGN.read_text()
    new = update_design(old)
    if new != old:
        DESIGN.write_text(new)
        print(DESIGN.relative_to(MAN.parent))
