"""Put finished files in place, all or none.

Every output is first written into a hidden folder next to its place, on the same file system, and then renamed, which
is atomic. Several renames are not; so all files to be replaced are first moved into the hidden folder, from which they
are restored if a later rename fails. A process that is killed in between leaves outputs missing, never an old one
beside a new one.
"""

from __future__ import annotations

import contextlib
import errno
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
from typing import IO, Any

from kdtools.errors import FileError
from kdtools.storage.devices import optional_service
from kdtools.storage.locks import locked, release
from kdtools.storage.stamps import forget, is_input
from kdtools.storage.systems import IS_WINDOWS, folder_descriptor

_SUFFIX, _LOCK = ".part", "lock"  # of a hidden folder, and of the file in it that is locked
_ABANDONED_AFTER = 60  # seconds, because a hidden folder is locked shortly after it is made
_ABANDONED_ELSEWHERE_AFTER = 24 * 3600  # seconds without a change, where the lock may not be seen
_MOST_SYNCED_ONE_BY_ONE = 500  # files; beyond that one sync of everything is faster


class Room:
    """A hidden folder next to `place` to write in; a context that removes it at the end, unless it is `kept`.

    It is private to its owner and empty, so nothing written there follows a link. It is locked while in use; folders
    that killed processes on this machine left for the same output are removed.
    """

    def __init__(self, place: Path) -> None:
        host = f".{place.name[:30]}.{socket.gethostname()[:40]}."
        prefix = f"{host}{_boot()}."
        _remove_abandoned(place.parent, host, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=place.parent))
        self.kept = False
        self._lock = _locked_folder(self.path)

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._lock is not None:
            release(self._lock, self.path / _LOCK)
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True)
class Move:
    """Move `part`, written into a room, to `place`; `output` is its name in messages."""

    part: Path
    place: Path
    output: str
    room: Room


def is_room(path: Path) -> bool:
    """Whether `path` is such a hidden folder, by its name."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX) and path.is_dir() and not path.is_symlink()


def _locked_folder(path: Path) -> IO[str] | None:
    """The locked file in a hidden folder; None if another process holds the lock or the folder cannot be locked."""
    try:
        return locked(path / _LOCK, surely=True)
    except (OSError, FileError):
        return None


def _boot() -> str:
    """Identifies the running kernel, which machines and containers of one host name do not share; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    except OSError:
        return ""


def _remove_abandoned(folder: Path, host: str, prefix: str) -> None:
    """Remove hidden folders that no process holds: those of this kernel (`prefix`), and old ones of this `host`.

    A lock is only sure to be seen by the kernel that it was made with: on some network file systems others do not see
    it. So a folder from before a restart, or of another machine with this host name, has to be unchanged for a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(host) and is_room(Path(entry.path))):
                continue
            least = _ABANDONED_AFTER if entry.name.startswith(prefix) else _ABANDONED_ELSEWHERE_AFTER
            if time.time() - _last_change(Path(entry.path)) < least:
                continue
            lock = _locked_folder(Path(entry.path))
            if lock is not None:
                release(lock, Path(entry.path) / _LOCK)
                shutil.rmtree(entry.path, ignore_errors=True)


def _last_change(room: Path) -> float:
    """Time of the last change of a hidden folder or anything in it."""
    return max(path.stat(follow_symlinks=False).st_mtime for path in (room, *room.rglob("*")))


def commit(moves: Sequence[Move], force: bool) -> None:
    """Carry out all moves, or none: if one fails, all are undone and its error is raised.

    A folder is moved as a whole if its place is free; otherwise its files are moved one by one, and other files there
    stay. Signals are held back meanwhile. Raises FileError for a file that exists, without `force`; and for an old file
    that cannot be restored, with the path of its content.
    """
    for move in moves:
        _put_on_device(move.part)
    single = [one for move in moves for one in _single_moves(move)]
    for one in single:
        if one.place.is_file() and is_input(one.place):
            raise FileError(f"{one.output}: is an input itself", "give the output another name")
    folders = {one.place.parent for one in single}
    if len(single) == 1 and single[0].place.parent.is_dir() and not single[0].part.is_dir():
        _rename(single[0], force)  # one step by itself
    else:
        with _signals_held() as deliver, contextlib.ExitStack() as undo:
            for number, one in enumerate(single):
                if force and os.path.lexists(one.place):
                    _set_aside(one, one.room.path / f"old{number}", undo)
            for one in single:
                folders |= {folder.parent for folder in _make_folders(one, undo)}
                _rename(one, force)
                undo.callback(_take_back, one)
            deliver()
            undo.pop_all()
    for one in single:
        forget(one.place)
    for folder in folders:
        _sync_folder(folder)


def _single_moves(move: Move) -> list[Move]:
    """The renames of a move. Raises FileError if a file would replace a folder, or lie in a file or beyond a link."""
    if not (move.part.is_dir() and move.place.exists()):
        return [move]
    moves = []
    for part in sorted(path for path in move.part.rglob("*") if not path.is_dir()):
        place = move.place / part.relative_to(move.part)
        if place.is_dir():
            raise FileError(f"{place}: is a folder", "a file of that name is to be written: give another folder")
        for folder in place.relative_to(move.place).parents:
            inner = move.place / folder
            if inner != move.place and inner.is_symlink():
                raise FileError(
                    f"{inner}: is a link, which is not followed", "files would go there: give another folder"
                )
            if os.path.lexists(inner) and not inner.is_dir():
                raise FileError(f"{inner}: is not a folder", "it is to hold files: give another folder")
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


def _set_aside(move: Move, backup: Path, undo: contextlib.ExitStack) -> None:
    os.rename(move.place, backup)
    undo.callback(_restore, backup, move)


def _restore(backup: Path, move: Move) -> None:
    try:
        os.replace(backup, move.place)
    except OSError as error:
        move.room.kept = True
        raise FileError(
            f"{move.output}: could not be restored: {error.strerror}", f"its old content is in {backup}"
        ) from error


def _take_back(move: Move) -> None:
    if move.place.is_dir() and not move.place.is_symlink():
        os.rename(move.place, move.room.path / "taken back")
    else:
        move.place.unlink(missing_ok=True)


def _rename(move: Move, force: bool) -> None:
    """Rename a part to its place; without `force` never over an existing file. The old name may remain."""
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
    """Holds back SIGINT and SIGTERM; yields a function that delivers those received, which may raise.

    Later ones are delivered when the block ends.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}

    def deliver() -> None:
        waiting, came[:] = came[:], []
        for number in waiting:
            handlers[number](number, None)

    if threading.current_thread() is not threading.main_thread():  # only that one receives signals
        yield deliver
        return
    for one in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(one)
        if callable(handler):  # ignored signals stay ignored
            handlers[one] = handler
            signal.signal(one, lambda number, frame: came.append(number))
    try:
        yield deliver
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        deliver()


def _put_on_device(path: Path) -> None:
    """Sync a file, or all files in a folder; after a crash a rename might otherwise be there without the content."""
    if not path.is_dir():
        _sync_file(path)
        return
    inside = list(path.rglob("*"))
    if len(inside) > _MOST_SYNCED_ONE_BY_ONE and hasattr(os, "sync"):
        os.sync()
        return
    for one in inside:
        (_sync_folder if one.is_dir() else _sync_file)(one)
    _sync_folder(path)


def _sync_file(path: Path) -> None:
    with path.open("r+b" if IS_WINDOWS else "rb") as stream, optional_service():
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    """Sync the names in a folder. Does nothing on a file system that does not support it."""
    descriptor = folder_descriptor(path)
    if descriptor is None:
        return
    try:
        with optional_service():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
