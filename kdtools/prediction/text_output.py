"""Predictions as a text or a table on the terminal, in place of a faces file."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from kdtools.datasets.dump import form_named, text_writer
from kdtools.datasets.dump_blocks import Selection
from kdtools.errors import UsageError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.reporting import one_line
from kdtools.storage.file_kinds import check_faces_name
from kdtools.storage.outputs import STANDARD_STREAM, Outputs

TEXTS = ("csv", "tsv", "jsonl")
_MOST_SHOWN = 100  # faces of the table


def text_form_of(output: str) -> str | None:
    """`csv`, `tsv` or `jsonl` by the suffix of the output; None where it is a faces file.

    Raises UsageError for a suffix that promises any other format.
    """
    suffix = PurePosixPath(output).suffix.lower().removeprefix(".")
    if suffix in TEXTS:
        return suffix
    check_faces_name(output)
    return None


def check_faces_wanted(output: str | None, *, resume: bool, shard: bool) -> None:
    """Raises UsageError where the points shall be a text, but --resume or --shard needs a faces file."""
    for option, is_set in (("--resume", resume), ("--shard", shard)):
        if is_set and (output is None or text_form_of(output) is not None):
            name = "points.h5" if output is None else f"{PurePosixPath(output).with_suffix('')}.h5"
            hint = f"give -o {name}; afterwards: kd-dump {name} --details -o {output or 'points.csv'}"
            raise UsageError(f"{option} needs a faces file (.h5) as its output", hint)


@contextlib.contextmanager
def written_as_text(output: str, form: str, force: bool) -> Iterator[str]:
    """Yields the name of a temporary faces file; its faces are then written as a text, whole or not at all.

    The faces file lies beside the output, since it may be large; for `-` among the temporary files.
    """
    with Outputs(force) as outputs:
        text = outputs.file(output, binary=False)
        faces_path = str(text.with_name("faces.h5"))
        yield faces_path
        write = text_writer(form_named(form, STANDARD_STREAM), details=True)
        with open_faces(faces_path) as faces, text.open("wb") as stream:
            write(Selection(faces).blocks, faces.scheme, stream)


@contextlib.contextmanager
def shown_as_table() -> Iterator[str]:
    """Yields the name of a temporary faces file; its faces are then printed as a table on the terminal."""
    with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
        faces_path = f"{folder}/faces.h5"
        yield faces_path
        with open_faces(faces_path) as faces:
            print_faces(faces)


def print_faces(faces: FacesFile) -> None:
    """A line for each of the first faces: its id, its box in whole pixels, and the mean confidence of its points."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("face", overflow="fold")
    for heading in ("left", "top", "width", "height", "confidence"):
        table.add_column(heading, justify="right")
    n_shown = min(len(faces), _MOST_SHOWN)
    boxes = np.rint(faces.boxes("source", slice(0, n_shown))) if "box" in faces else None
    confidence = faces.read("confidence", 0, n_shown) if "confidence" in faces else None
    for k, id in enumerate(faces.read("id", 0, n_shown)):
        box = [""] * 4
        if boxes is not None and np.isfinite(boxes[k]).all():
            x0, y0, x1, y1 = boxes[k]
            box = [f"{value:.0f}" for value in (x0, y0, x1 - x0, y1 - y0)]
        sure = "" if confidence is None else f"{np.mean(confidence[k]):.2f}"
        table.add_row(Text(one_line(id)), *box, sure)
    console = Console(highlight=False)
    console.print(table)
    if len(faces) > n_shown:
        console.print(f"... and {len(faces) - n_shown} more")


def where_points_are(output: str | None) -> str:
    """The rest of the last message: where the points are, or how to write them."""
    if output is None:
        return "; -o points.csv writes their points"
    if output == "-":
        return ""
    return f" to {output}" + (
        "" if PurePosixPath(output).suffix else ", a faces file (HDF5); -o points.csv writes text"
    )
