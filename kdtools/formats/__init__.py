"""Data-set formats: one small module each, found by name or by a look at the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kdtools.errors import FileError, UsageError
from kdtools.formats import csv_points, image_folder, pts
from kdtools.formats.annotation import Annotation, Skip


@dataclass(frozen=True)
class Format:
    """`base` is the index of the first pixel's centre in the format's own files; readers subtract it.

    `accepts(source)` looks at an input; `read(source, base, skip)` yields its annotations in a fixed order and calls
    `skip(what, why)` for what it cannot use.
    """

    name: str
    base: int
    accepts: Callable[[Path], bool]
    read: Callable[[Path, int, Skip], Iterator[Annotation]]


FORMATS = {
    form.name: form
    for form in (
        Format("pts", 1, pts.accepts, pts.read),
        Format("csv", 0, csv_points.accepts, csv_points.read),
        Format("images", 0, image_folder.accepts, image_folder.read),
    )
}


def find_format(name: str, source: Path) -> Format:
    """The format of that name, or with `auto` the first that accepts the source.

    Raises UsageError for an unknown name, FileError for a source that is absent or that no format accepts.
    """
    if name != "auto" and name not in FORMATS:
        raise UsageError(f"there is no format {name!r}", f"give auto or one of {', '.join(FORMATS)}")
    if not source.exists():
        raise FileError(f"{source}: no such file or directory")
    candidates = FORMATS.values() if name == "auto" else [FORMATS[name]]
    for form in candidates:
        if form.accepts(source):
            return form
    wanted = "no format knows it" if name == "auto" else f"not what the format {name} reads"
    raise FileError(
        f"{source}: {wanted}",
        "pts: a folder of images with a .pts file beside each; csv: a .csv file; images: a folder of images",
    )


__all__ = ["FORMATS", "Annotation", "Format", "Skip", "find_format"]
