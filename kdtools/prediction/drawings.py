"""Photographs with landmarks over them, one file for each, never in the place of a source image."""

from __future__ import annotations

from pathlib import Path

from kdtools.errors import DataError, FileError
from kdtools.viewing.pictures import place_picture


class Drawings:
    """Paths for drawings of photographs that come one by one."""

    def __init__(self, folder: str, force: bool) -> None:
        self._folder, self._force = Path(folder), force
        self._owner: dict[Path, str] = {}

    def claim(self, identity: str, source: str) -> Path:
        """The path for one photograph's drawing.

        Raises FileError where it is there without `force`, or the folder holds the source image; DataError where
        another drawing of this run has it.
        """
        path = place_picture(identity, self._folder)
        if self._folder.resolve() in Path(source).resolve().parents:
            raise FileError(f"{self._folder}: holds {source}, one of the source images", "give a folder of its own")
        if self._owner.setdefault(path, identity) != identity:
            raise DataError(f"the pictures of {self._owner[path]!r} and {identity!r} would have one name: {path}")
        if path.exists() and not self._force:
            raise FileError(f"{path}: exists already", "add -f to replace it, or give another folder")
        return path
