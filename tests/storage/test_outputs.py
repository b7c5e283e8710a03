"""Several outputs of one command: all new, or all as they were, whatever fails between two renames."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.cli import kd_asm, kd_dump, kd_eval, kd_split, kd_view
from kdtools.errors import FileError
from kdtools.faces.writer import create_faces
from kdtools.storage.outputs import Outputs, move_into_place, written_aside
from kdtools.storage.provenance import Provenance
from kdtools.storage.rename_together import commit

RENAMES = ("replace", "rename", "link", "mkdir")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four faces of 40 px with 68 points each, no two in a plane."""
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    rng = np.random.default_rng(0)
    points, images = rng.uniform(2, 38, (4, 68, 2)), rng.integers(0, 256, (4, 40, 40, 3), np.uint8)
    return write_faces(path, points, ids=["a.png", "b/c.png", "d.png", "b/e.png"], images=images)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every folder, as empty."""
    return {
        path.relative_to(folder).as_posix(): b"" if path.is_dir() else path.read_bytes() for path in folder.rglob("*")
    }


def fail_at(patch: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """Let one call, counted from 0, of functions of os that change names fail; says whether it came to that."""
    n_calls = 0

    def failing(usual: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == number + 1:
                raise OSError(5, "Input/output error")
            return usual(*args, **options)

        return called

    for name in RENAMES:
        patch.setattr(os, name, failing(getattr(os, name)))
    return lambda: n_calls > number


TOOLS = {
    "kd-split": (kd_split, ["{faces}", "-o", "a.h5", "--rest", "b.h5", "--share", "0.5"]),
    "kd-split --folds": (kd_split, ["{faces}", "-o", "f{{}}.h5", "--folds", "2"]),
    "kd-asm --plot-modes": (kd_asm, ["{faces}", "-o", "soft.h5", "--plot-modes", "modes.png"]),
    "kd-eval": (kd_eval, ["{faces}", "--truth", "{faces}", "-o", "a.md", "-o", "b.tex"]),
    "kd-dump pts": (kd_dump, ["{faces}", "--format", "pts", "-o", "pts"]),
    "kd-dump pts --crops": (kd_dump, ["{faces}", "--format", "pts", "-o", "pts", "--crops", "pts"]),
    "kd-dump --crops": (kd_dump, ["{faces}", "-o", "a.csv", "--crops", "crops"]),
    "kd-view": (kd_view, ["{faces}", "--width", "40", "-o", "faces/"]),
}


@pytest.fixture
def call(request: pytest.FixtureRequest, faces: Path) -> Iterator[Callable[[Path], int]]:
    """Runs a tool that writes several things into a folder; returns its exit status."""
    module, words = TOOLS[request.param]
    patch = pytest.MonkeyPatch()

    def run_in(folder: Path) -> int:
        patch.setattr("kdtools.reports.plots.draw_modes", lambda model, scheme, path: path.write_bytes(b"modes"))
        patch.chdir(folder)  # outputs record how they were named
        argv = [word.format(faces=faces) for word in words]
        patch.setattr("sys.argv", [request.param.split()[0], *argv, "-f", "-q"])
        with pytest.raises(SystemExit) as ended:
            module.main()
        return int(ended.value.code or 0)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run_in
    patch.undo()
    for number, handler in handlers.items():
        signal.signal(number, handler)


BEFORE = {
    "nothing": ["kd-dump --crops"],
    "some of it": ["kd-dump pts --crops", "kd-split"],
    "all of it and more": TOOLS,
}


@pytest.mark.parametrize(("call", "before"), [(tool, it) for it in BEFORE for tool in BEFORE[it]], indirect=["call"])
def test_a_failure_between_two_renames(call: Callable[[Path], int], before: str, tmp_path: Path) -> None:
    """At every one of them: the old files are back, with what a user had beside them, or all are new."""
    whole = tmp_path / "whole"
    whole.mkdir()
    assert call(whole) == 0
    new = content(whole)
    names = [name for name in new if (whole / name).is_file()]
    outcomes = []
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        if before != "nothing":
            for name in names if before.startswith("all") else names[::2]:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("old")
        if before.startswith("all"):
            for name in {*new, "x"}:
                ((folder / name) if (folder / name).is_dir() else folder).joinpath("users own").write_text("keep")
        old = content(folder)
        with pytest.MonkeyPatch.context() as patch:
            has_failed = fail_at(patch, number)
            status = call(folder)
        outcomes.append(status)
        assert content(folder) == (old if status else old | new), f"call {number}"
        if not has_failed():
            break
    assert outcomes[-1] == 0
    assert set(outcomes[:-1]) >= {1}  # of some a file system without links is a way round


def test_a_process_killed_between_two_renames_leaves_no_old_output_beside_a_new_one(tmp_path: Path) -> None:
    """A test part beside the training part of an earlier split would share faces with it."""
    seen = set()
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in "abc":
            (folder / name).write_text("old")
        child = os.fork()
        if not child:
            with pytest.MonkeyPatch.context() as patch, Outputs(force=True) as outputs:
                for name in "abc":
                    outputs.file(str(folder / name)).write_text("new")
                kill_at(patch, number)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        left = {(folder / name).read_text() for name in "abc" if (folder / name).exists()}
        assert len(left) <= 1, f"call {number}"
        seen |= left
        if not killed:
            break
    assert not killed
    assert left == {"new"}
    assert seen == {"old", "new"}


def kill_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process end at once before the call of that number, from 0, of functions that change names."""
    n_calls = 0

    def counted(usual: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == number + 1:
                os._exit(9)
            return usual(*args, **options)

        return called

    for name in RENAMES:
        patch.setattr(os, name, counted(getattr(os, name)))


def test_a_folder_is_filled_and_nothing_else_in_it_changes(tmp_path: Path) -> None:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "a").write_text("old")
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(FileError, match="not empty"), Outputs(force=False) as outputs:
        outputs.folder(str(tmp_path / "out"))
    for force in (True, False):
        with Outputs(force) as outputs:
            folder = outputs.folder(str(tmp_path / "out"), may_hold_others=True)
            (folder / "sub").mkdir()
            (folder / "sub" / ("a" if force else "b")).write_text("new")
    assert content(tmp_path / "out") == {"sub": b"", "sub/a": b"new", "sub/b": b"new", "mine": b"mine"}


@pytest.mark.parametrize(("there", "said"), [("a/inner", "a: is a folder"), ("b", "b: is not a folder")])
def test_files_and_folders_do_not_replace_each_other(there: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(FileError, match=said), Outputs(force=True) as outputs:  # noqa: PT012
        folder = outputs.folder(str(tmp_path / "out"))
        (folder / "0").write_text("new")
        (folder / "a").write_text("new")
        (folder / "b").mkdir()
        (folder / "b" / "c").write_text("new")
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [path]


def test_a_stranger_in_a_new_folders_place_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="out: is not a folder"), Outputs(force=True) as outputs:  # noqa: PT012
        outputs.file(str(tmp_path / "a.txt")).write_text("new")
        (outputs.folder(str(tmp_path / "out")) / "a").write_text("new")
        (tmp_path / "out").write_text("of another process")
    assert content(tmp_path) == {"out": b"of another process"}


def test_an_old_file_that_cannot_be_put_back_is_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / name).write_text(f"old {name}")
    usual, n_calls = os.replace, 0

    def replace(*args: Any) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2 or n_calls == 4:
            raise OSError(5, "Input/output error")
        usual(*args)

    with pytest.raises(FileError, match="could not be restored") as raised, Outputs(force=True) as outputs:  # noqa: PT012
        for name in "ab":
            outputs.file(str(tmp_path / name)).write_text("new")
        monkeypatch.setattr(os, "replace", replace)
    assert raised.value.hint
    assert Path(raised.value.hint.removeprefix("its old content is in ")).read_text() == "old a"
    assert (tmp_path / "b").read_text() == "old b"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_renames(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes both where it ends the program; where it is only noted, as in a training, both are put in place."""
    usual = os.replace

    def replace(*args: Any) -> None:
        usual(*args)
        signal.raise_signal(number)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    noted: list[int] = []
    for handler, text in ((stop, "old"), (lambda number, _: noted.append(number), "new")):
        for name in "ab":
            (tmp_path / name).write_text("old")
        before = signal.signal(number, handler)
        try:
            with pytest.MonkeyPatch.context() as patch, Outputs(force=True) as outputs:
                for name in "ab":
                    outputs.file(str(tmp_path / name)).write_text("new")
                patch.setattr(os, "replace", replace)
                patch.setattr("kdtools.storage.outputs.commit", lambda *args: (commit(*args), patch.undo()))
        except KeyboardInterrupt:
            assert text == "old"
        finally:
            signal.signal(number, before)
        assert content(tmp_path) == {"a": text.encode(), "b": text.encode()}
    assert noted


def test_nothing_is_written_through_a_link_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever guesses the name of a hidden folder cannot lead the output elsewhere."""
    names = iter(["guessed", "free"])
    monkeypatch.setattr("tempfile._get_candidate_names", lambda: names)
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    monkeypatch.setattr("kdtools.storage.rename_together._boot", lambda: "boot")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".a.txt.host.boot.guessed.part").symlink_to(tmp_path / "elsewhere")
    with written_aside(str(tmp_path / "a.txt"), force=False) as part:
        assert stat.S_IMODE(part.parent.stat().st_mode) == 0o700
        part.write_text("x")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "a.txt").read_text() == "x"


def test_what_a_killed_process_left_is_removed_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    monkeypatch.setattr("kdtools.storage.rename_together._boot", lambda: "boot")
    monkeypatch.setattr("kdtools.storage.rename_together._ABANDONED_AFTER", -1)
    ours, of_b, of_other = (f".{name}.boot.12345678.part" for name in ("a.txt.host", "b.txt.host", "a.txt.other"))
    for name in (ours, of_b, of_other):
        (tmp_path / name).mkdir()
        (tmp_path / name / "new.txt").write_text("half")
    with written_aside(str(tmp_path / "a.txt"), force=False) as first:
        first.write_text("1")
        with written_aside(str(tmp_path / "a.txt"), force=False) as second:  # another process, as far as locks go
            second.write_text("2")
        assert first.exists()
        with pytest.raises(FileError, match="exists already"), written_aside(str(tmp_path / "a.txt"), force=False):
            pass
        (tmp_path / "a.txt").unlink()
    assert sorted(os.listdir(tmp_path)) == [
        ".a.txt.other.boot.12345678.part",
        ".b.txt.host.boot.12345678.part",
        "a.txt",
    ]


def test_files_and_folders_are_on_the_device_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order: the file, its new name, the folder that holds the name."""
    happened: list[str] = []
    usual_sync, usual_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        happened.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        usual_sync(descriptor)

    def replace(*args: Any) -> None:
        happened.append("replace")
        usual_replace(*args)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with written_aside(str(tmp_path / "a.txt"), force=True) as part:
        part.write_text("x")
    assert happened == ["new.txt", "replace", tmp_path.name]
    happened.clear()
    (tmp_path / "best").write_text("x")
    move_into_place(tmp_path / "best", str(tmp_path / "a.txt"), force=True)
    assert happened == ["best", "replace", tmp_path.name]
    assert os.listdir(tmp_path) == ["a.txt"]


def test_modes_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with Outputs(force=False) as outputs:
            outputs.file(str(tmp_path / "a")).write_text("x")
            outputs.folder(str(tmp_path / "b"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o750]


def test_parts_of_a_faces_file_are_whole(faces: Path, tmp_path: Path) -> None:
    """Standard output and a file of one command: the pipe gets a sound file."""
    with Outputs(force=False) as outputs:
        with create_faces(str(tmp_path / "a.h5"), False, Provenance("test"), within=outputs) as writer:
            writer.put_ids(["a"])
        assert not (tmp_path / "a.h5").exists()
    with h5py.File(tmp_path / "a.h5") as h5:
        assert list(h5["id"]) == [b"a"]
