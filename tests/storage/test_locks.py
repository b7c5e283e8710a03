"""Locks of long runs and of hidden folders: one holder at a time, whoever comes and goes meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import portalocker.portalocker
import pytest

from kdtools.errors import FileError
from kdtools.storage.locks import locked, release
from kdtools.storage.outputs import claimed, written_aside


def before_locking(patch: pytest.MonkeyPatch, what: Callable[[], None]) -> None:
    """Call `what` once, between the next opening of a lock file and its locking."""
    usual, waiting = portalocker.portalocker.LOCKER, [what]

    def flock(file: Any, operation: int) -> None:
        if waiting:
            waiting.pop()()
        usual(file, operation)

    patch.setattr(portalocker.portalocker, "LOCKER", flock)


def end(context: AbstractContextManager[None]) -> None:
    context.__exit__(None, None, None)


def test_a_lock_that_was_removed_before_it_was_got_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first holder ends between the second's opening and locking; a third must not come in beside the second."""
    place = tmp_path / "x.safetensors"
    first = claimed("x", place)
    first.__enter__()
    before_locking(monkeypatch, lambda: end(first))
    with claimed("x", place), pytest.raises(FileError, match="another process"), claimed("x", place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_is_not_removed(tmp_path: Path) -> None:
    """Somebody cleans up lock files; the next process makes a new one, which the end of the first leaves alone."""
    path = tmp_path / ".lock"
    first = locked(path)
    path.unlink()
    second = locked(path)
    assert first is not None
    assert second is not None
    release(first, path)
    assert locked(path) is None
    release(second, path)
    assert not path.exists()


def rooms_of(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


def test_containers_of_one_host_name_write_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host name, process number and output may be the same on two machines; the names of hidden folders are not.

    Where the file system passes no locks on from one machine to another, theirs are not removed.
    """
    monkeypatch.setattr("socket.gethostname", lambda: "container")
    monkeypatch.setattr(os, "getpid", lambda: 7)
    output = str(tmp_path / "a.txt")
    with written_aside(output, force=True) as theirs:
        theirs.write_text("theirs")
        old = time.time() - 3600
        for path in (theirs, theirs.parent):
            os.utime(path, (old, old))
        with monkeypatch.context() as patch:
            patch.setattr("kdtools.storage.rename_together._boot", lambda: "another")
            patch.setattr(portalocker.portalocker, "LOCKER", lambda *args: None)
            with written_aside(output, force=True) as ours:
                assert ours.parent != theirs.parent
                assert theirs.exists()
                ours.write_text("ours")
    assert (tmp_path / "a.txt").read_text() == "theirs"


def test_what_was_left_before_a_restart_is_removed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    for name, hours in (("old", 25), ("new", 1)):
        room = tmp_path / f".a.txt.host.before.{name}.part"
        room.mkdir()
        (room / "new.txt").touch()
        for path in (room / "new.txt", room):
            os.utime(path, (time.time() - hours * 3600,) * 2)
    with written_aside(str(tmp_path / "a.txt"), force=False) as part:
        part.touch()
    assert [path.name for path in rooms_of(tmp_path)] == [".a.txt.host.before.new.part"]
