"""Images named one by one, on standard input or in a file: `find … | kd-predict MODEL - --list`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from kdtools.datasets.formats.shared.annotation import clean_path
from kdtools.errors import FileError
from kdtools.sources.paths import photograph_at
from kdtools.sources.photograph import Photograph
from kdtools.storage.names import split_records

_LOOK_AT = 4096  # bytes in which a \0 would stand if names were separated by it: no path is longer


def photographs_listed(source: str) -> Iterator[Photograph]:
    """The images that a list names, one a line, or separated by \\0 as `find -print0` does; ids are the names.

    Raises FileError for a list that cannot be read.
    """
    if source == "-":
        yield from _named_in(cast(BufferedReader, sys.stdin.buffer))
        return
    try:
        with open(source, "rb") as stream:
            yield from _named_in(stream)
    except OSError as error:
        raise FileError(f"{source}: {error.strerror}", "give a file with the name of an image on each line") from error


def _named_in(stream: BufferedReader) -> Iterator[Photograph]:
    separator = b"\0" if b"\0" in stream.peek(_LOOK_AT)[:_LOOK_AT] else b"\n"
    for record in split_records(stream, separator):
        if len(record) > _LOOK_AT:
            raise FileError("a list of images: a name of over 4096 bytes, which no file has", "is it a list?")
        name = os.fsdecode(record.removesuffix(b"\r") if separator == b"\n" else record)
        if name:
            yield photograph_at(Path(name), clean_path(name) or name)
