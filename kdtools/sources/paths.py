"""Images by their paths: single files, and folders with the folders in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kdtools.errors import FileError
from kdtools.images.reading import read_bytes
from kdtools.sources.photograph import Photograph, failing
from kdtools.storage.names import files_below

Wanted = Callable[[str], bool]


def photograph_at(path: Path, identity: str) -> Photograph:
    """The image file at a path."""
    return Photograph(identity, str(path), partial(read_bytes, path))


def photographs_below(folder: str, prefix: str, wanted: Wanted) -> Iterator[Photograph]:
    """The images in a folder that are `wanted` by their path in it, sorted; their ids are `prefix` and that path."""
    for name in files_below(Path(folder)):
        path = Path(folder, name)
        if name.endswith("/"):
            error = FileError(f"{path}: is a folder that cannot be listed")
            yield Photograph(prefix + name, str(path), failing(error))
        elif wanted(name):
            yield photograph_at(path, prefix + name)
