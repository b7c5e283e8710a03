"""Photographs with landmarks over them, one file for each, never in the place of a source image."""

from __future__ import annotations

import os
from pathlib import Path

from kdtools.errors import DataError, FileError
from kdtools.sources import Photographs
from kdtools.viewing.output import place_picture


class Drawings:
    """Paths for drawings of photographs that come one by one."""

    def __init__(self, folder: str, force: bool) -> None:
        self._folder, self._force = Path(folder), force
        self._owner: dict[Path, str] = {}

    def check_room(self, photographs: Photographs) -> None:
        """Raises FileError as `claim` does, before any work, as far as names can be known without reading.

        What comes as a stream, or out of a tar file beside a video, is looked at in its turn.
        """
        if self._folder.exists() and not self._folder.is_dir():
            raise FileError(f"{self._folder}: is not a folder", "give --draw another name")
        if not self._folder.exists() or not os.listdir(self._folder) or photographs.has_stream:
            return
        for one in photographs.in_files() if photographs.have_frames else photographs:
            self._place(one.id, one.source)

    def claim(self, identity: str, source: str) -> Path:
        """The path for one photograph's drawing.

        Raises FileError where it is there without `force`, or the folder holds the source image; DataError where
        another drawing of this run has it.
        """
        path = self._place(identity, source)
        if self._owner.setdefault(path, identity) != identity:
            raise DataError(f"the pictures of {self._owner[path]!r} and {identity!r} would have one name: {path}")
        return path

    def _place(self, identity: str, source: str) -> Path:
        path = place_picture(identity, self._folder)
        if self._folder.resolve() in Path(source).resolve().parents:
            raise FileError(f"{self._folder}: holds {source}, one of the source images", "give a folder of its own")
        if path.exists() and not self._force:
            raise FileError(f"{path}: exists already", "add -f to replace it, or give another folder")
        return path
