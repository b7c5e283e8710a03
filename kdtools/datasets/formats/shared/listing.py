"""Names of files that may be annotations. While formats are asked in turn, a folder is listed once for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import count, islice
from pathlib import Path

from kdtools.storage.file_kinds import IMAGE_SUFFIXES
from kdtools.storage.names import files_below

_MOST_KEPT = 100_000  # names, some 10 MB
_OF_PICTURES = tuple(IMAGE_SUFFIXES)


@contextlib.contextmanager
def listed_once() -> Iterator[None]:
    """Within the block `texts_below` lists no folder twice, unless it has very many files."""
    token = _listings.set({})
    try:
        yield
    finally:
        _listings.reset(token)


def texts_below(folder: Path) -> Iterator[str]:
    """As `files_below`, without pictures, which are most files of a data set."""
    listings = _listings.get()
    if listings is None:
        return _walk(folder)
    if folder not in listings:
        listings[folder] = _Listing(folder)
    return iter(listings[folder])


class _Listing:
    """The names below a folder, kept as far as somebody has asked for them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._names, self._rest = folder, list[str](), _walk(folder)

    def __iter__(self) -> Iterator[str]:
        for k in count():
            if k == len(self._names):
                if k == _MOST_KEPT:
                    yield from islice(_walk(self._folder), k, None)
                    return
                name = next(self._rest, None)
                if name is None:
                    return
                self._names.append(name)
            yield self._names[k]


def _walk(folder: Path) -> Iterator[str]:
    return (name for name in files_below(folder) if not name.lower().endswith(_OF_PICTURES))


_listings: ContextVar[dict[Path, _Listing] | None] = ContextVar("listings", default=None)
