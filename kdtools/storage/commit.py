"""Put finished files in place, all of them or none: hidden folders to write in, the renames, and how they are undone.

Every output is first written into a hidden folder beside its place, so on the same file system. Committing it is a
rename, which a file system does in one step. Several renames are not one step; so before the first of them, each file
that one will replace gets a second name in the hidden folder, by which it comes back if a later one fails.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdtools.errors import FileError

_SUFFIX = ".part"
_ABANDONED_AFTER = 60  # seconds: a hidden folder is made first and locked then
_MOST_SYNCED_ONE_BY_ONE = 500  # files; beyond that it is faster to let the system write everything it holds back


class Room:
    """A hidden folder beside a place, to write in; a context that ends with its removal, unless it is to be `kept`.

    Only its owner may look into it, and no name in it exists before, so nothing written there follows a link. It is
    locked while it is used: what a killed process left of the same output on the same machine is removed.
    """

    def __init__(self, place: Path) -> None:
        prefix = f".{place.name[:30]}.{socket.gethostname()[:40]}."
        _remove_abandoned(place.parent, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=place.parent))
        self.kept = False
        self._descriptor = _locked_folder(self.path)

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *error: Any) -> None:
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)


@dataclass(frozen=True)
class Move:
    """`part`, written into a room, is to be at `place`, which messages call `output`."""

    part: Path
    place: Path
    output: str
    room: Room


def is_room(path: Path) -> bool:
    """Whether it is such a hidden folder, by its name."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX) and path.is_dir() and not path.is_symlink()


def _locked_folder(path: Path) -> int | None:
    """A descriptor that holds a lock on the folder; None where another process has it, or it cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(folder: Path, prefix: str) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and is_room(Path(entry.path))):
                continue
            if time.time() - entry.stat().st_mtime < _ABANDONED_AFTER:
                continue
            descriptor = _locked_folder(Path(entry.path))
            if descriptor is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(descriptor)


def commit(moves: Sequence[Move], force: bool) -> None:
    """Carry out all moves, or none: where one fails, all are undone and its error is raised.

    A folder moves whole where its place is free; into a folder that exists its files move one by one, and what else is
    there stays. Signals wait meanwhile. Raises FileError for a file that exists already without `force`; where an old
    file cannot be put back, for that file, with the name under which it is kept.
    """
    for move in moves:
        _put_on_device(move.part)
    single = [one for move in moves for one in _single_moves(move)]
    folders = {one.place.parent for one in single}
    if len(single) == 1 and single[0].place.parent.is_dir() and not single[0].part.is_dir():
        _rename(single[0], force)  # one step by itself
    else:
        with _signals_held() as deliver, contextlib.ExitStack() as undo:
            for number, one in enumerate(single):
                folders |= {folder.parent for folder in _make_folders(one, undo)}
                _rename_undoably(one, force, one.room.path / f"old{number}", undo)
            deliver()
            undo.pop_all()
    for folder in folders:
        _sync_folder(folder)


def _single_moves(move: Move) -> list[Move]:
    """What is one rename each. Raises FileError where a file would take the place of a folder, or lie in a file."""
    if not (move.part.is_dir() and move.place.exists()):
        return [move]
    moves = []
    for part in sorted(path for path in move.part.rglob("*") if not path.is_dir()):
        place = move.place / part.relative_to(move.part)
        if place.is_dir():
            raise FileError(f"{place}: is a folder", "a file of that name is to be written: give another folder")
        for folder in place.relative_to(move.place).parents:
            if os.path.lexists(move.place / folder) and not (move.place / folder).is_dir():
                raise FileError(f"{move.place / folder}: is not a folder", "it is to hold files: give another folder")
        moves.append(Move(part, place, str(place), move.room))
    return moves


def _make_folders(move: Move, undo: contextlib.ExitStack) -> list[Path]:
    missing: list[Path] = []
    folder = move.place.parent
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        undo.callback(_remove_empty, folder)
    return missing


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process has put something there
        folder.rmdir()


def _rename_undoably(move: Move, force: bool, backup: Path, undo: contextlib.ExitStack) -> None:
    if force and os.path.lexists(move.place):
        try:
            os.link(move.place, backup, follow_symlinks=False)  # unlike a rename, leaves no moment without the file
        except OSError:
            os.rename(move.place, backup)
        undo.callback(_restore, backup, move)
        os.replace(move.part, move.place)
    else:
        _rename(move, force)
        undo.callback(_take_back, move)


def _restore(backup: Path, move: Move) -> None:
    try:
        os.replace(backup, move.place)
    except OSError as error:
        move.room.kept = True
        raise FileError(
            f"{move.output}: could not be put back: {error.strerror}", f"its old content is in {backup}"
        ) from error


def _take_back(move: Move) -> None:
    if move.place.is_dir() and not move.place.is_symlink():
        os.rename(move.place, move.room.path / "taken back")
    else:
        move.place.unlink(missing_ok=True)


def _rename(move: Move, force: bool) -> None:
    """Give a part its name; without `force` never over an existing file. Its old name may stay."""
    exists = f"{move.output}: exists already", "add -f to replace it"
    if move.part.is_dir():
        try:
            os.rename(move.part, move.place)  # fails where another process has put something there
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise FileError(*exists) from error
            raise
        return
    if force:
        os.replace(move.part, move.place)
        return
    try:
        os.link(move.part, move.place)  # unlike a rename, fails where another process was quicker
    except FileExistsError as error:
        raise FileError(*exists) from error
    except OSError:  # a file system without hard links
        if os.path.lexists(move.place):
            raise FileError(*exists) from None
        os.replace(move.part, move.place)


@contextlib.contextmanager
def _signals_held() -> Iterator[Any]:
    """Holds SIGINT and SIGTERM back; yields a function that hands on those that came, and may raise what they raise.

    Those that come later are handed on when the block ends.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}

    def deliver() -> None:
        waiting, came[:] = came[:], []
        for number in waiting:
            handlers[number](number, None)

    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield deliver
        return
    for one in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(one)
        if callable(handler):  # one that is ignored stays so
            handlers[one] = handler
            signal.signal(one, lambda number, frame: came.append(number))
    try:
        yield deliver
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        deliver()


def _put_on_device(path: Path) -> None:
    """Wait until a file, or all that a folder holds, is on the device: a rename may outlive the bytes of what it
    names when the machine is lost."""
    if not path.is_dir():
        _sync_file(path)
        return
    inside = list(path.rglob("*"))
    if len(inside) > _MOST_SYNCED_ONE_BY_ONE:
        os.sync()
        return
    for one in inside:
        (_sync_folder if one.is_dir() else _sync_file)(one)
    _sync_folder(path)


def _sync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    """So that its names are on the device. Does nothing on a file system that knows no such thing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # a folder that may be written but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
