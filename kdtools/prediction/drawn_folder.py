"""The folder of `--draw`: filled with all drawings of a run, or not at all, and without any risk for the points.

Drawings are collected in `DIR.partial/`, beside the folder, and moved into place at the end. A run that is stopped and
keeps its blocks (see partial_output.py) keeps them too, for --resume.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from kdtools.errors import FileError, KdError, reason_of, require
from kdtools.images.drawing import write_image_at
from kdtools.reporting import Reporter, counted
from kdtools.storage.locks import locked, release
from kdtools.storage.outputs import STANDARD_STREAM, check_no_link, place_of
from kdtools.storage.rename_together import Move, Room, commit
from kdtools.storage.systems import is_own, others_may

_INSIDE, _LOCK = ".kdtools-drawings", ".lock"  # in DIR.partial: the folder that becomes DIR, and the lock
_OF_A_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.ELOOP)


def check_not_read(folder: str, inputs: Iterable[str]) -> None:
    """Raises UsageError if a folder of drawings is, or lies in, a folder that is an input.

    The next run would take its drawings for photographs. Hidden folders are not searched, so they may lie there.
    """
    place = place_of(folder)
    for name in inputs:
        read = Path(name).resolve()
        if not (read.is_dir() and place.is_relative_to(read)):
            continue
        is_hidden = any(part.startswith(".") for part in place.relative_to(read).parts)
        require(
            is_hidden,
            f"--draw {folder}: is inside {name}, an input, so the next run would read the drawings as photographs",
            "use a folder outside it, or one whose name begins with a dot, which is not searched",
        )


class DrawnFolder:
    """Collects the drawings of a run; a context that puts them in place at its end, or removes them after an error.

    If one cannot be written, all are given up and `failure` says why: the points of the run do not depend on them. This
    is reported as a skipped input. `output` is that of the run, and `keeps` says whether it keeps blocks if stopped.
    Raises FileError for a folder that cannot be, UsageError if it is the output itself.
    """

    def __init__(self, folder: str, output: str, force: bool, keeps: bool, reporter: Reporter) -> None:
        self.folder, self.failure = Path(folder), ""
        self._name, self._force, self._reporter = folder, force, reporter
        self._place = place_of(folder)
        self._partial = self._place.with_name(f"{self._place.name}.partial")
        if self._place.is_dir() and not _same_device(self._place):
            self._partial = self._place / ".drawn.partial"
        blocks = None if output == STANDARD_STREAM else place_of(f"{output}.partial")
        others = [] if blocks is None else [place_of(output), blocks]
        is_free = not {self._place, self._partial} & set(others)
        require(is_free, f"--draw {folder}: is where the points go", "give a folder of its own")
        self._blocks = blocks if keeps else None
        self._lock: IO[str] | None = None
        self._made: list[Path] = []  # parents of the folder
        if self._place.exists() and not self._place.is_dir():
            raise FileError(f"{folder}: is not a folder", "give --draw another name")

    def begin(self, n_done: int) -> None:
        """Make the folder to draw into; or take up that of an earlier run, which has drawn `n_done` inputs.

        Raises FileError if that is not there, or if what is there is another's.
        """
        for parent in reversed([one for one in self._place.parents if not one.exists()]):
            parent.mkdir(exist_ok=True)
            self._made.append(parent)
        check_no_link(self._partial)
        is_there = os.path.lexists(self._partial)
        if n_done and not is_there:
            what = (
                f"{self._partial}: the drawings of {counted(n_done, 'input')} that this run has "
                f"done are no longer there"
            )
            raise FileError(what, "start over with -f, without --resume")
        if is_there:
            self._lock = _lock_own(self._partial)
        if is_there and not n_done:  # of a run that was killed before it kept anything
            shutil.rmtree(self._partial / _INSIDE, ignore_errors=True)
        if not is_there:
            self._partial.mkdir(mode=0o700)
            self._lock = _lock_own(self._partial)
        (self._partial / _INSIDE).mkdir(exist_ok=True)

    def path(self, drawing: Path) -> Path:
        """Where to write what becomes `drawing`, a path in the folder."""
        return self._partial / _INSIDE / drawing.relative_to(self.folder)

    def write(self, drawing: Path, image: np.ndarray) -> None:
        """Write an image (H, W, 3) RGB. Raises FileError and OSError for a drawing that can have no such name or form.

        After any other error, all drawings are given up.
        """
        if self.failure:
            return
        try:
            write_image_at(self.path(drawing), image)
        except OSError as error:
            if error.errno in _OF_A_NAME:
                raise
            self.give_up(reason_of(error))

    def give_up(self, reason: str) -> None:
        self.failure = self.failure or reason

    def __enter__(self) -> DrawnFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and not self.failure:
                self._put_in_place()
        finally:
            is_kept = error is not None and not self.failure and self._blocks is not None and self._blocks.is_dir()
            if self._lock is not None:
                if not is_kept:
                    shutil.rmtree(self._partial / _INSIDE, ignore_errors=True)
                release(self._lock, self._partial / _LOCK)
                with contextlib.suppress(OSError):  # it is kept, or the next process has locked it
                    self._partial.rmdir()
            for parent in reversed(self._made):
                with contextlib.suppress(OSError):  # it is in use
                    parent.rmdir()
        if error is None and self.failure:
            self._reporter.skip(self._name, f"nothing was drawn: {self.failure}; all points are written")

    def _put_in_place(self) -> None:
        drawn = self._partial / _INSIDE
        if not drawn.is_dir() or not any(drawn.iterdir()):
            return
        try:
            # As a whole where nothing is there; else file by file.
            with Room(self._place / self._place.name if self._place.is_dir() else self._place) as room:
                commit([Move(drawn, self._place, self._name, room)], self._force)
        except (KdError, OSError) as error:
            self.give_up(reason_of(error))


def _same_device(place: Path) -> bool:
    """Whether files can be moved into a folder from beside it."""
    return os.access(place.parent, os.W_OK) and place.stat().st_dev == place.parent.stat().st_dev


def _lock_own(folder: Path) -> IO[str]:
    """The locked file in a folder of drawings. Raises FileError for any other folder, and one that is in use."""
    status = folder.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and is_own(status) and not others_may(status, 0o077)
    if not is_private or not set(os.listdir(folder)) <= {_INSIDE, _LOCK}:
        raise FileError(
            f"{folder}: is no folder of unfinished drawings", "look at it, and remove it, or give --draw another folder"
        )
    lock = locked(folder / _LOCK)
    if lock is None:
        raise FileError(f"{folder}: another process draws there", "wait for it, or give another folder")
    return lock
