"""kd-info: describe and check files."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from kdtools.bundled import bundled_names, finder_edition, finder_file, named_finder
from kdtools.cli._app import run, session
from kdtools.cli._exit import DONE, NEGATIVE
from kdtools.cli._options import Json, Quiet, Value, Verbose, Version
from kdtools.errors import DataError, FileError, require
from kdtools.reporting import printable


def list_bundled(is_set: bool) -> None:
    if is_set:
        from kdtools.model.card import read_card

        for name in bundled_names():
            card, fields = read_card(name)
            points = f"{card.scheme.n_points} points ({card.scheme.name})"
            print(f"{name:<12} {points}, {card.input_size} px, {card.arch}; {fields.get('edition', '')}")
        if finder_file() is not None:
            print(f"{'finder':<12} faces in photographs, for --detector finder; {finder_edition()}")
        raise typer.Exit


def kd_info(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Faces files, model files, exported models. - is standard input."),
    ],
    json_form: Json = False,
    value: Value = None,
    bundled: Annotated[
        bool,
        typer.Option("--bundled", callback=list_bundled, is_eager=True, help="List the bundled networks and exit."),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Read each file completely and print its faults; status 3 if there are any."),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--inputs/--no-inputs", help="Check whether the inputs of a file still exist, unchanged.")
    ] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> int:
    """Describe each FILE: arrays, points, subsets and sizes, or the network; and the command and inputs that made it.

    On a terminal the output is a page; in a pipe, lines of name, tab and value. --value NAME prints one value only,
    such as faces, landmarks.role or subsets.common, behind the file's name if there are several files. Inputs are
    recognised by their SHA-256, which takes time for large ones; unchanged inputs are described with their own
    inputs. --check prints a line `file<TAB>fault` for each fault, and nothing for a valid file; with --json, a list
    for each file.
    """
    require(paths.count("-") <= 1, "only one input can be standard input")
    require(json_form + (value is not None) <= 1, "give one of --json and --value")
    require(not (check and value is not None), "--check prints faults; give --value without it")
    unreadable: list[FileError | DataError] = []
    faulty = False
    page = sys.stdout.isatty() and not (json_form or value is not None or check)
    for number, path in enumerate(paths):
        if number and page:
            print()
        try:
            faulty |= _inspect(path, json_form, value, check, follow, named=len(paths) > 1)
        except (FileError, DataError) as error:
            unreadable.append(error)
            if len(paths) > 1:
                session.skip(path, error.message.removeprefix(f"{path}: "))
    if len(unreadable) == len(paths):
        raise FileError("no file could be read") if len(paths) > 1 else unreadable[0]
    return NEGATIVE if faulty else DONE


def _inspect(path: str, json_form: bool, value: str | None, check: bool, follow: bool, *, named: bool) -> bool:
    """Describe or check one file; returns whether it has faults. With `named` its name stands before each value."""
    from kdtools.inspection import SCHEME_TOML, describe_file, describe_finder, open_any, scheme_of

    if (finder := named_finder(path)) is not None:
        if check:
            from kdtools.inspection import check_finder

            return _show_faults(path, check_finder(finder), json_form)
        _show(describe_finder(path, finder), path, json_form, value, named=named)
        return False
    with open_any(path) as opened:
        if check:
            from kdtools.inspection import check_file

            return _show_faults(opened.name, list(check_file(opened)), json_form)
        if value == SCHEME_TOML:
            from kdtools.landmarks import scheme_to_toml

            print(scheme_to_toml(scheme_of(opened)), end="")
            return False
        shows_inputs = value is None or value.startswith("provenance.inputs")
        report = describe_file(opened, follow=follow and shows_inputs)
    _show(report, path, json_form, value, named=named)
    return False


def _show(report: dict[str, Any], path: str, json_form: bool, value: str | None, *, named: bool) -> None:
    from kdtools.inspection import field_lines, print_report, to_lines

    if value is not None:
        for line in field_lines(report, value).split("\n"):
            print(f"{printable(path)}\t{line}" if named else line)
    elif json_form:
        print(_as_json(report))
    elif sys.stdout.isatty():
        print_report(report)
    else:
        print(to_lines(report))


def _show_faults(name: str, faults: list[str], json_form: bool) -> bool:
    if json_form:
        print(_as_json({"file": name, "faults": faults}))
    else:
        for fault in faults:
            print(f"{printable(name)}\t{printable(fault)}")
    session.say(f"{name}: {'not sound' if faults else 'sound'}")
    return bool(faults)


def _as_json(tree: dict[str, Any]) -> str:
    import json

    return json.dumps(tree, indent=1)


def main() -> None:
    run("kd-info", kd_info)
