"""Photographs that are named but not yet read, from files, folders and lists."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np

from kdtools.datasets.formats.shared.annotation import clean_path
from kdtools.errors import DataError, FileError, KdError
from kdtools.images.reading import read_bytes
from kdtools.storage.names import files_below, plain_path, split_records
from kdtools.storage.passed_over import PassedOver


@dataclass(slots=True)  # which is made in a third of the time of a frozen one, of millions of names
class Photograph:
    """An image to predict. `fetch` returns the bytes of its file, or its pixels (H, W, 3) RGB if it is a video frame.

    `id` names its faces, `source` is its path. In videos `frame` counts from 0 and `time` is in seconds. `fetch` may be
    called from any thread; it raises KdError or OSError if the image cannot be read.
    """

    id: str
    source: str
    fetch: Callable[[], bytes | np.ndarray]
    frame: int | None = None
    time: float | None = None


def failing(error: KdError) -> Callable[[], bytes | np.ndarray]:
    """A `fetch` that raises, so that the input is reported in order."""

    def fetch() -> bytes | np.ndarray:
        raise error

    return fetch


Wanted = Callable[[str], bool]


def photograph_at(path: str, identity: str) -> Photograph:
    """The image at a path, which should be spelt as `plain_path` does."""
    return Photograph(identity, path, partial(_read_path, path))


def _read_path(path: str) -> bytes:
    return read_bytes(Path(path))  # made where it is needed, since there may be millions


def photographs_below(folder: str, prefix: str, wanted: Wanted, passed: PassedOver) -> Iterator[Photograph]:
    """The images in a folder whose path in it is `wanted`, sorted; their ids are `prefix` and that path.

    All other files are added to `passed`.
    """
    for name in files_below(Path(folder), passed_over=lambda link: passed.add_link(f"{folder}/{link}")):
        path = plain_path(os.path.join(folder, name))
        if name.endswith("/"):
            error = FileError(f"{path}: is a folder that cannot be listed")
            yield Photograph(prefix + name, path, failing(error))
        elif wanted(name):
            yield photograph_at(path, prefix + name)
        else:
            passed.add_file(path)


_LOOK_AT = 4096  # bytes searched for a \0 between names; no path is longer


def photographs_listed(source: str) -> Iterator[Photograph]:
    """The images named in a list, one per line or separated by \\0 as from `find -print0`; ids are the names.

    Raises FileError for a list that cannot be read.
    """
    return map(_photograph_named, _names_listed(source))


def count_listed(source: str) -> int:
    """Number of images in a list. Raises FileError as `photographs_listed` does."""
    return sum(1 for _ in _names_listed(source))


def _names_listed(source: str) -> Iterator[str]:
    if source == "-":
        yield from _names_in(cast(BufferedReader, sys.stdin.buffer))
        return
    try:
        with open(source, "rb") as stream:
            yield from _names_in(stream)
    except OSError as error:
        raise FileError(f"{source}: {error.strerror}", "give a file with the name of an image on each line") from error


def _names_in(stream: BufferedReader) -> Iterator[str]:
    separator = b"\0" if b"\0" in stream.peek(_LOOK_AT)[:_LOOK_AT] else b"\n"
    for record in split_records(stream, separator):
        if len(record) > _LOOK_AT:
            raise FileError("a list of images: a name of over 4096 bytes, which no file has", "is it a list?")
        name = os.fsdecode(record.removesuffix(b"\r") if separator == b"\n" else record)
        if name:
            yield name


def _photograph_named(name: str) -> Photograph:
    """An image in a list. A `..` behind a link to a folder leads elsewhere than the plain path, which is its id."""
    if ".." in name and ".." in name.split("/"):
        plain = os.path.normpath(name)
        if os.path.exists(name) and not (os.path.exists(plain) and os.path.samefile(name, plain)):
            what = "its '..' follows a link to a folder, so it is not the file of its id; name it without '..'"
            return Photograph(clean_path(name) or name, name, failing(DataError(what)))
    return photograph_at(plain_path(name), clean_path(name) or name)
