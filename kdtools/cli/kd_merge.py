"""kd-merge: faces files -> one, or a part of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kdtools.cli._app import run, session
from kdtools.cli._options import (
    AddSubset,
    ConventionName,
    Convert,
    FacesOutput,
    Force,
    Ids,
    NoImages,
    Origin,
    Quiet,
    Subset,
    Verbose,
    Version,
)
from kdtools.errors import require
from kdtools.reporting import counted
from kdtools.storage.outputs import check_output, is_stream

if TYPE_CHECKING:
    from kdtools.faces.selection import IdPatterns


def kd_merge(
    paths: Annotated[list[str], typer.Argument(metavar="FACES", help="Faces files; - is standard input.")],
    output: FacesOutput,
    subset: Subset = None,
    ids: Ids = None,
    ids_from: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Only faces with these ids or globs, one per line; - is standard input."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave out faces whose id matches.")] = None,
    add_subset: AddSubset = None,
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Prefix the ids of each file with its name, without suffix, and /.")
    ] = False,
    no_images: NoImages = False,
    convert: Convert = None,
    convention: ConventionName = None,
    origin: Origin = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Copy nothing: the output refers to the input files, which must stay.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Merge faces files into one, in their order, or extract a part of one file.

    Files must agree in scheme, role (hard, soft, predicted) and image size, and ids must be unique. If only some
    files have an array: a subset contains none of the other faces, a score or confidence is NaN for them, and any
    other array is left out, with a warning. --convention sets one convention for all faces; otherwise each keeps
    its own. Globs are matched against the ids of the output; * also matches /.
    """
    require([*paths, ids_from].count("-") <= 1, "only one input can be standard input")
    changes = subset, ids, ids_from, exclude, add_subset, prefix, no_images, convert, convention
    require(not virtual or not any(changes), "--virtual refers to whole files", "leave the other options out")
    has_stream = any(map(is_stream, (*paths, output)))
    require(not virtual or not has_stream, "--virtual refers to files, not to streams or pipes", "name files")
    from kdtools.faces.file_pool import OpenFaces
    from kdtools.faces.merge import check_joinable, check_labels, write_merged
    from kdtools.faces.selection import IdPatterns, parse_subsets, patterns_by_subset, read_patterns, take_parts
    from kdtools.faces.writer import create_faces
    from kdtools.landmarks.conventions import stated_convention

    check_output(output, force)
    stated = stated_convention(convention, origin)
    if virtual:
        session.say(
            f"{counted(_refer_to(paths, output, force), 'face')} to {output}, which refers to "
            f"{counted(len(paths), 'file')}"
        )
        return
    require(not (ids and ids_from), "--ids and --ids-from both choose by id", "give one of them")
    chosen_ids = read_patterns(ids_from) if ids_from else IdPatterns(ids) if ids else None
    excluded = IdPatterns(exclude or [])
    added = patterns_by_subset(parse_subsets("--add-subset", add_subset or []))
    target = None
    if convert is not None:
        from kdtools.landmarks import scheme_named

        target = scheme_named(convert)
    recipe = convert if convert is not None and convert.lower().endswith(".toml") else None
    with OpenFaces(paths) as files:
        parts = take_parts(files, subsets=subset or [], ids=chosen_ids, exclude=excluded, prefix=prefix)
        chosen = {part.file for part in parts}
        left_out = [files[k].name for k in range(len(files)) if k not in chosen]
        check_joinable(parts, with_images=not no_images, any_scheme=target is not None)
        if stated is not None:
            check_labels(parts)
        with create_faces(output, force, session.provenance(*paths, ids_from, recipe)) as writer:
            write_merged(
                writer,
                parts,
                with_images=not no_images,
                target=target,
                added=added,
                reporter=session,
                convention=stated,
            )
    _report_unmatched(chosen_ids, excluded, added)
    for name in left_out:
        session.warn(f"{name}: no face of it was chosen")
    session.say(f"{counted(sum(len(part.rows) for part in parts), 'face')} to {output}")


def _refer_to(paths: list[str], output: str, force: bool) -> int:
    """Write a virtual file; returns its number of faces."""
    from kdtools.faces.file_pool import OpenFaces
    from kdtools.faces.virtual import check_referable, write_virtual
    from kdtools.faces.writer import create_faces

    with OpenFaces(paths) as files:
        files.try_together()
        check_referable(files)
        with create_faces(output, force, session.provenance(*paths)) as writer:
            write_virtual(writer, files, output, session)
        return sum(map(len, files))


def _report_unmatched(chosen: IdPatterns | None, excluded: IdPatterns, added: dict[str, IdPatterns]) -> None:
    """Unmatched patterns of faces to choose are reported as skipped inputs, others as warnings."""
    for pattern in chosen.unmatched if chosen else []:
        session.skip(pattern, "no face has this id")
    for pattern in excluded.unmatched:
        session.warn(f"--exclude {pattern}: no id fits")
    for name, patterns in added.items():
        for pattern in patterns.unmatched:
            session.warn(f"--add-subset {name}={pattern}: no id fits")


def main() -> None:
    run("kd-merge", kd_merge)
