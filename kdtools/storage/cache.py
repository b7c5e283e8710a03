"""The user's cache folder, and files in it that nobody else can have put there."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from kdtools.errors import FileError
from kdtools.storage.systems import is_own, open_unfollowed, others_may

_HINT = "set XDG_CACHE_HOME to a folder for what is kept from run to run"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/kdtools`, by default `~/.cache/kdtools`. Raises FileError for a user without a home folder."""
    if stated := os.environ.get("XDG_CACHE_HOME"):
        return Path(stated) / "kdtools"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileError("this user has no home folder", _HINT) from error
    if not home.is_dir():  # the superuser could make it, for a user who is to have none
        raise FileError(f"this user's home folder {home} does not exist", _HINT)
    return home / ".cache" / "kdtools"


def private_folder() -> Path:
    """The cache folder, made if it is absent. Raises FileError if others can write there, OSError if nobody can."""
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise FileError(f"{folder} is not a folder")
    if not is_private(status):
        raise FileError(f"others can write to {folder}", "chmod 700 it, or delete it")
    return folder


def is_private(status: os.stat_result) -> bool:
    return is_own(status) and not others_may(status, stat.S_IWGRP | stat.S_IWOTH)


def read_private(path: Path) -> bytes:
    """The content of a file of this user. Raises OSError for any other, and for a link or a pipe."""
    descriptor = open_unfollowed(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) and is_private(status)):
            raise OSError(f"{path}: not a file of this user alone")
        return stream.read()
