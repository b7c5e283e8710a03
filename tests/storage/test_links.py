"""Names that kdtools makes itself are never followed: what a link or another file in their place holds stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdtools.errors import FileError
from kdtools.storage.outputs import Outputs, check_output, claimed, written_aside
from kdtools.training.checkpoints import RunFiles, check_nothing_to_lose
from kdtools.training.log import write_log


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary.txt"
    path.write_text("dear diary")
    return path


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "pipe", "folder"])
def test_what_has_the_name_of_a_lock_stays(kind: str, diary: Path, tmp_path: Path) -> None:
    lock = tmp_path / ".out.safetensors.lock"
    if kind == "link":
        lock.symlink_to(diary)
    elif kind == "dangling":
        lock.symlink_to(tmp_path / "absent")
    elif kind == "file":
        lock.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(FileError, match=r"\.lock: is not a lock file"), claimed("out", tmp_path / "out.safetensors"):
        pass
    assert diary.read_text() == "dear diary"
    assert os.path.lexists(lock)
    assert not (tmp_path / "absent").exists()
    assert kind != "file" or lock.read_text() == "mine"


def test_a_lock_file_that_was_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").touch()
    with claimed("out", tmp_path / "out"):
        pass


def test_a_link_that_the_user_names_is_followed_and_one_beside_it_is_not(diary: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(diary)
    with pytest.raises(FileError, match="is a link"), written_aside(str(link), force=True, follow_link=False):
        pass
    assert diary.read_text() == "dear diary"
    with written_aside(str(link), force=True) as part:
        part.write_text("new")
    assert (link.is_symlink(), diary.read_text()) == (True, "new")


def test_a_link_that_appears_while_a_file_is_written_is_replaced(diary: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with written_aside(str(path), force=True, follow_link=False) as part:
        part.write_text("new")
        path.symlink_to(diary)
    assert (path.is_symlink(), path.read_text(), diary.read_text()) == (False, "new", "dear diary")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_filled_but_not_beyond_a_link(force: bool, diary: Path, tmp_path: Path) -> None:
    """Neither through a linked folder in it, nor through a linked file, which `force` replaces."""
    folder, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "set").symlink_to(elsewhere)
    with pytest.raises(FileError, match="set: is a link"), Outputs(force) as outputs:  # noqa: PT012
        part = outputs.folder(str(folder), may_hold_others=True)
        (part / "set").mkdir()
        (part / "set" / "a.png").touch()
    assert list(elsewhere.iterdir()) == []
    (folder / "set").unlink()
    (folder / "a.png").symlink_to(diary)
    if force:
        with Outputs(force) as outputs:
            (outputs.folder(str(folder)) / "a.png").write_text("new")
        assert not (folder / "a.png").is_symlink()
    else:
        with pytest.raises(FileError, match="exists already"), Outputs(force) as outputs:
            (outputs.folder(str(folder), may_hold_others=True) / "a.png").write_text("new")
    assert diary.read_text() == "dear diary"


@pytest.mark.parametrize("name", ["x/", "x/.", "x//"])
def test_a_file_is_not_called_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="names a folder") as error:
        check_output(f"{tmp_path}/{name}", False)
    assert f"give {tmp_path}/x;" in error.value.hint


@pytest.mark.parametrize("end", [".last.safetensors", ".best.safetensors", ".log.jsonl"])
def test_a_training_replaces_no_file_that_is_not_its_own(end: str, diary: Path, tmp_path: Path) -> None:
    files, path = RunFiles.for_output(tmp_path / "out.safetensors"), tmp_path / f"out{end}"
    check_nothing_to_lose(files, "out", resume=False, force=False)
    path.write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        check_nothing_to_lose(files, "out", resume=False, force=False)
    if end != ".last.safetensors":  # without a checkpoint, --resume starts from the beginning
        with pytest.raises(FileError, match="exists already"):
            check_nothing_to_lose(files, "out", resume=True, force=False)
    check_nothing_to_lose(files, "out", resume=False, force=True)
    path.unlink()
    path.symlink_to(diary)
    for force in (False, True):
        with pytest.raises(FileError, match="is a link"):
            check_nothing_to_lose(files, "out", resume=True, force=force)
    with pytest.raises(FileError, match="is a link"):
        write_log(path, [{"epoch": 1}])
    assert diary.read_text() == "dear diary"
