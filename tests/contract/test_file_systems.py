"""File systems as they are: without locks, links, permissions or syncs of folders; over quota, broken, read-only.

The system's answers are forged by strace, which can let a system call of a process fail with any error.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from .faults import Faults
from .running import Result, fail, finish, left_in, script
from .table import TOOLS, WRITERS, every_tool, every_writer
from .world import World, check_product, check_unfinished

# What a file system may lack, and what it says then.
SERVICES = [
    ("flock", "ENOLCK"),
    ("flock", "EOPNOTSUPP"),
    ("link,linkat", "EPERM"),
    ("chmod,fchmod,fchmodat", "EPERM"),
    ("fsync,fdatasync", "EINVAL"),
    ("utime,utimes,utimensat,futimesat", "EOPNOTSUPP"),
    ("fallocate,copy_file_range,sendfile", "EOPNOTSUPP"),
]
# Faults of the disk, met by the call of that number and, with +, by all later ones.
FAULTS = [
    ("pwrite64", "EDQUOT", "2+"),
    ("pwrite64", "EIO", "1"),
    ("pwrite64", "EIO", "2"),
    ("pwrite64", "EIO", "9"),
    ("pwrite64", "ESTALE", "3+"),
    ("fsync", "EIO", "1"),
    ("rename,renameat,renameat2", "EIO", "1+"),
    ("rename,renameat,renameat2", "EXDEV", "1+"),
    ("mkdir,mkdirat", "EROFS", "1+"),
]


@cache
def why_no_strace() -> str:
    """Why system calls cannot be made to fail here; empty if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-o", os.devnull, "-e", "trace=getcwd", "-e", "inject=getcwd:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"strace may not trace: {done.stderr.strip()}" if done.returncode else ""


def run_with(
    fault: tuple[str, str, str], tool: str, words: Sequence[str | Path], within: Path | None = None, follow: bool = True
) -> Result:
    """Run a tool, and with `follow` its processes and threads, whose calls, to the file `within` if named, fail so."""
    if why_no_strace():
        pytest.skip(why_no_strace())
    calls, error, when = fault
    options = ["-f", "--seccomp-bpf"] if follow else []  # which stops at these calls alone
    options += [] if within is None else ["-P", str(within.resolve())]
    options += ["-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]
    command = ["strace", *options, script(tool), *map(str, words)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return finish(subprocess.Popen(command, start_new_session=True, **streams))  # type: ignore[call-overload]


def check_service(tool: str, service: tuple[str, str], world: World, folder: Path, more: Sequence[str] = ()) -> None:
    """A product is written without it; with `-f`, in the place of another file."""
    output = folder / f"out{TOOLS[tool].suffix}"
    if "-f" in more:
        output.write_bytes(b"old")
    result = run_with((*service, "1+"), tool, [*world.words(tool, output), *more])
    assert result.status == 0, result.stderr
    check_product(output)


def check_fault(tool: str, fault: tuple[str, str, str], world: World, folder: Path) -> str:
    """The run ends well, because it has no such call, or says which file which fault of the disk has met."""
    output = folder / f"out{TOOLS[tool].suffix}"
    output.write_bytes(b"old")
    result = run_with(fault, tool, [*world.words(tool, output), "-f", "-q"])
    if result.status == 0:
        check_product(output)
        return "done"
    fail(result, tool, 1, folder / "out", os.strerror(getattr(errno, fault[1])))
    assert output.read_bytes() == b"old"
    check_unfinished(folder, output)
    return "refused"


@pytest.mark.parametrize("service", SERVICES, ids=str)
def test_a_file_system_without_a_service(service: tuple[str, str], world: World, tmp_path: Path) -> None:
    """A new file where one is put in place by a link, else one that replaces another; make soak tries both."""
    check_service("kd-merge", service, world, tmp_path, [] if service[0].startswith(("link", "flock")) else ["-f"])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_the_disk(fault: tuple[str, str, str], world: World, tmp_path: Path) -> None:
    """Never status 139, a bug in kdtools, or a half-written file."""
    assert check_fault("kd-merge", fault, world, tmp_path) == "refused"


@pytest.mark.parametrize("when", ["1", "4", "9+"])
def test_an_input_that_the_disk_does_not_give(when: str, world: World, tmp_path: Path) -> None:
    """It is not called damaged."""
    faces = tmp_path / "faces.h5"
    shutil.copy(world.files["faces"], faces)
    words = [faces, "-o", tmp_path / "out.h5", "-q"]
    result = run_with(("read,pread64", "EIO", when), "kd-merge", words, within=faces)
    fail(result, "kd-merge", 1, faces, os.strerror(errno.EIO))
    assert "damaged" not in result.stderr
    assert left_in(tmp_path) == ["faces.h5"]


READING = "read,pread64,preadv,preadv2"


def check_unread(tool: str, name: str, when: str, world: World, folder: Path) -> str:
    """A faces file or a model that the disk does not give is named, and not called damaged."""
    path, output = folder / world.files[name].name, folder / "out" / f"out{TOOLS[tool].suffix}"
    output.parent.mkdir()
    shutil.copy(world.files[name], path)
    result = run_with((READING, "EIO", when), tool, world.words(tool, output, **{name: path}), within=path)
    if result.status == 0:  # it has fewer reads
        return "done"
    fail(result, tool, 1, path, os.strerror(errno.EIO))
    assert "damaged" not in result.stderr
    return "refused"


@pytest.mark.parametrize("when", ["1", "3", "9+"])
def test_a_model_that_the_disk_does_not_give(when: str, world: World, tmp_path: Path) -> None:
    assert check_unread("kd-export", "student", when, world, tmp_path) == "refused"


@pytest.mark.parametrize("kind", ["photograph", "tar"])
def test_pictures_that_the_disk_does_not_give(kind: str, world: World, tiny_onnx: Path, tmp_path: Path) -> None:
    """The others are done."""
    photographs, archive = tmp_path / "photographs", tmp_path / "all.tar"
    shutil.copytree(world.files["folder"], photographs)
    with tarfile.open(archive, "w") as tar:
        tar.add(photographs, "p")
    read, path = (photographs / "0.png", photographs) if kind == "photograph" else (archive, archive)
    words = [tiny_onnx, path, "--detector", "whole", "--device", "cpu", "-j", "1", "-o", tmp_path / "o.h5"]
    when = "1+" if kind == "photograph" else "5+"
    result = run_with((READING, "EIO", when), "kd-predict", words, within=read)
    assert result.status in (1, 4)
    assert f"skipped {read.name}: " in result.stderr or f"{read}: " in result.stderr
    assert os.strerror(errno.EIO) in result.stderr
    assert "damaged" not in result.stderr


# Video formats by suffix: AVI and MP4 state how many frames they have, WebM only how long it is.
VIDEOS = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80"}


def write_video(path: Path, n_frames: int = 40) -> Path:
    """Noise, which takes many reads."""
    size, rng = (320, 240), np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*VIDEOS[path.suffix]), 20, size)
    for image in rng.integers(0, 255, (n_frames, *size[::-1], 3)):
        writer.write(image.astype(np.uint8))
    writer.release()
    return path


def check_video(suffix: str, when: str, model: Path, folder: Path) -> str:
    """The frames before the fault are predicted; it is named, and never taken for the end of the video."""
    video, output = write_video(folder / f"clip{suffix}"), folder / "out.h5"
    words = [model, video, "--detector", "whole", "--device", "cpu", "-j", "1", "-o", output]
    result = run_with((READING, "EIO", when), "kd-predict", words, within=video)
    if result.status == 0:  # it has fewer reads
        with h5py.File(output) as h5:
            assert len(h5["id"]) == 40
        return "done"
    assert result.status in (1, 4), result.stderr
    assert f"skipped {video.name}: {os.strerror(errno.EIO)}" in result.stderr
    assert "Traceback" not in result.stderr
    return "refused"


def test_a_video_that_the_disk_does_not_give(tiny_onnx: Path, tmp_path: Path) -> None:
    """FFmpeg takes the fault for the end."""
    assert check_video(".webm", "8+", tiny_onnx, tmp_path) == "refused"


def check_annotated(name: str, when: str, world: World, folder: Path) -> str:
    """A photograph or an annotation that cannot be read is skipped by name, or the import refused; the others are
    done."""
    source, output = folder / "photographs", folder / "out.h5"
    shutil.copytree(world.files["folder"], source)
    result = run_with((READING, "EIO", when), "kd-import", [source, "-o", output], within=source / name)
    if result.status == 0:
        check_product(output)
        return "done"
    assert result.status in (1, 4), result.stderr
    assert name in result.stderr
    assert os.strerror(errno.EIO) in result.stderr
    assert "Traceback" not in result.stderr
    assert output.exists() == (result.status == 4)
    if result.status == 4:
        with h5py.File(output) as h5:
            assert len(h5["id"]) == 7
    return "refused"


@pytest.mark.parametrize("when", ["1", "3"])
def test_a_photograph_to_import_that_the_disk_does_not_give(when: str, world: World, tmp_path: Path) -> None:
    """Its header is read first, of which a fault was taken for an image that is not turned."""
    assert check_annotated("3.png", when, world, tmp_path) == "refused"


# ---- a container's user: a number without a name, a home or a cache
@cache
def why_no_namespace() -> str:
    """Why no other user can be had here; empty if one can."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    done = subprocess.run(["unshare", "--user", "--map-user=54321", "true"], capture_output=True, check=False)
    return "namespaces of users are not permitted" if done.returncode else ""


def check_homeless(tool: str, home: dict[str, str], world: World, folder: Path) -> None:
    """A tool does its work for such a user."""
    if why_no_namespace():
        pytest.skip(why_no_namespace())
    output = folder / f"out{TOOLS[tool].suffix}"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command = ["unshare", "--user", "--map-user=54321", "--map-group=54321", script(tool)]
    done = subprocess.run(
        [*command, *world.words(tool, output)], env=kept | home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if TOOLS[tool].suffix:
        check_product(output)


HOMES = [{}, {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/proc/none"}]


@pytest.mark.parametrize("home", HOMES, ids=["none", "not there"])
def test_a_user_without_a_home(home: dict[str, str], world: World, tmp_path: Path) -> None:
    check_homeless("kd-view", home, world, tmp_path)  # which loads matplotlib, for its font


@pytest.mark.soak
@every_tool
def test_every_tool_for_a_user_without_a_home(tool: str, world: World, tmp_path: Path, faults: Faults) -> None:
    for home in HOMES:
        (folder := tmp_path / str(len(home))).mkdir()
        check_homeless(tool, home, world, folder)
        faults.tried("users without a home or a name", tool, "done")


# ---- make soak
@pytest.mark.soak
@every_writer
def test_every_service_that_a_file_system_may_lack(tool: str, world: World, tmp_path: Path, faults: Faults) -> None:
    for number, service in enumerate(SERVICES):
        folder = tmp_path / str(number)
        folder.mkdir()
        for more in ([], ["-f"]):
            (place := folder / f"with{''.join(more)}").mkdir()
            check_service(tool, service, world, place, more)
        faults.tried("file systems without locks, links, …", tool, "done")


@pytest.mark.soak
@pytest.mark.parametrize("tool", WRITERS)
def test_every_fault_of_the_disk(tool: str, world: World, tmp_path: Path, faults: Faults) -> None:
    for number, fault in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        faults.tried("faults of the disk", tool, check_fault(tool, fault, world, folder))


@pytest.mark.soak
@pytest.mark.parametrize("tool", [tool for tool in sorted(TOOLS) if TOOLS[tool].faces])
def test_every_input_that_the_disk_does_not_give(tool: str, world: World, tmp_path: Path, faults: Faults) -> None:
    for name in (*TOOLS[tool].faces, *TOOLS[tool].models):
        for when in ("1", "2", "5+"):
            folder = tmp_path / f"{name} {when}"
            folder.mkdir()
            faults.tried("inputs that cannot be read", tool, check_unread(tool, name, when, world, folder))


@pytest.mark.soak
@pytest.mark.parametrize("suffix", VIDEOS)
def test_every_video_that_the_disk_does_not_give(suffix: str, tiny_onnx: Path, tmp_path: Path, faults: Faults) -> None:
    for when in ("1+", "3+", "8+", "20+"):
        (folder := tmp_path / when).mkdir()
        outcome = check_video(suffix, when, tiny_onnx, folder)
        faults.tried("inputs that cannot be read", "kd-predict", outcome)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["3.png", "3.pts"])
def test_everything_to_import_that_the_disk_does_not_give(
    name: str, world: World, tmp_path: Path, faults: Faults
) -> None:
    for when in ("1", "2", "3", "1+", "2+"):
        (folder := tmp_path / when).mkdir()
        outcome = check_annotated(name, when, world, folder)
        faults.tried("inputs that cannot be read", "kd-import", outcome)


@pytest.mark.soak
def test_frames_and_photographs_to_view_that_the_disk_does_not_give(
    world: World, tmp_path: Path, faults: Faults
) -> None:
    """Points whose pixels are elsewhere: in a video, in photographs."""
    video = write_video(tmp_path / "clip.webm")
    words = [world.files["student"], "--detector", "whole", "--device", "cpu"]
    for source, read in ((video, video), (world.files["folder"], world.files["folder"] / "3.png")):
        points = tmp_path / f"{source.stem}.h5"
        assert run_with(("getcwd", "EIO", "1000"), "kd-predict", [*words, source, "-o", points]).status == 0
        for when in ("1+", "2+", "6+"):
            view = [points, "--images", source.parent if source is video else source, "-n", "40"]
            result = run_with((READING, "EIO", when), "kd-view", [*view, "-o", tmp_path / "o.png", "-f"], within=read)
            assert result.status == 0 or os.strerror(errno.EIO) in result.stderr
            assert result.status in (0, 1, 4), result.stderr
            assert "not a" not in result.stderr
            faults.tried("inputs that cannot be read", "kd-view", "refused" if result.status else "done")
