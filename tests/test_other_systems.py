"""Systems without Unix's modules, signals and calls: tools start there and do their work. Forged here, on Linux."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from factories import drawn_faces, write_faces
from test_structure import PACKAGE, modules

from kdtools.images.drawing import write_image
from kdtools.storage import locks
from kdtools.storage.locks import locked, release

REPOSITORY = PACKAGE.parent
_UNIX = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
_CALLS = """chown fchmod fork geteuid getgid getloadavg getuid killpg mkfifo posix_fadvise pread preadv pwrite
sched_getaffinity statvfs sync sysconf uname wait4 O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK"""
_SIGNALS = """SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGPROF SIGSTOP SIGUSR1 SIGUSR2 alarm pthread_sigmask setitimer"""

# Libraries are loaded with all they want; kdtools then finds what Windows has.
_FORGED = f"""
import builtins, importlib.util, os, runpy, shlex, shutil, signal, sys
import cv2, h5py, numpy, onnxruntime, orjson, PIL.Image, portalocker, rich.console, rich.progress, safetensors, typer
import concurrent.futures, multiprocessing, subprocess, tempfile
usual = builtins.__import__
def forged(name, globals=None, *rest, **others):
    if name.partition(".")[0] in {sorted(_UNIX)!r} and str((globals or {{}}).get("__name__")).startswith("kdtools"):
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return usual(name, globals, *rest, **others)
builtins.__import__ = forged
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {sorted(_UNIX)!r} else find(name, *rest)
shutil._use_fd_functions = False
for module, names in ((os, {_CALLS!r}), (signal, {_SIGNALS!r})):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
import kdtools.storage.systems
kdtools.storage.systems.IS_WINDOWS = True
for line in sys.stdin.read().splitlines():
    sys.argv = shlex.split(line)
    try:
        importlib.import_module("kdtools.cli." + sys.argv[0].replace("-", "_")).main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    print("\\nEND", status, flush=True)
"""


def run_forged(folder: Path, *lines: str) -> list[str]:
    """What each command line printed, after its status."""
    command = [sys.executable, "-c", _FORGED]
    text = "\n".join(lines)
    done = subprocess.run(
        command, cwd=folder, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    found = [f"{status} {text}" for text, status in re.findall(r"(.*?)\nEND (\d+)\n", done.stdout, re.DOTALL)]
    assert len(found) == len(lines), done.stdout
    return found


def test_no_module_of_unix_is_imported_at_start() -> None:
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not _UNIX & {name.partition(".")[0] for name in names}, path


def test_every_tool_starts(tmp_path: Path) -> None:
    tools = [path.stem.replace("_", "-") for path in sorted((PACKAGE / "cli").glob("kd*.py"))]
    assert len(tools) > 10
    for tool, found in zip(tools, run_forged(tmp_path, *(f"{tool} --help" for tool in tools)), strict=True):
        assert found.startswith("0 "), found
        assert f"Usage: {tool}" in found


def test_a_pipeline(tmp_path: Path, tiny_onnx: Path) -> None:
    """Faces files, models, photographs in a tar file, reports, folders, drawings, a second run and a damaged file."""
    images, points = drawn_faces(6, 64, 1)
    write_faces(tmp_path / "faces.h5", points, images=images, ids=[f"{k}.png" for k in range(6)])
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for k, image in enumerate(images[:3]):
            write_image(tmp_path / f"{k}.png", image)
            archive.add(tmp_path / f"{k}.png", f"{k}.png")
    (tmp_path / "broken.h5").write_bytes((tmp_path / "faces.h5").read_bytes()[:3000])
    lines = {
        "kd-split faces.h5 --group none --share 0.5 -o a.h5 --rest b.h5": "0",
        "kd-merge a.h5 b.h5 -o c.h5": "0",
        f"kd-predict {tiny_onnx} c.h5 -o pred.h5": "0",
        f"kd-predict {tiny_onnx} photos.tar --detector whole -o p.h5 --draw drawn": "0",
        f"kd-predict {tiny_onnx} photos.tar --detector whole -o p.h5": "1",
        "kd-eval pred.h5 --truth faces.h5 -o report.json": "0",
        "kd-asm faces.h5 -o asm.h5": "0",
        "kd-dump c.h5 --crops crops -o faces.csv": "0",
        "kd-import faces.csv --images crops --size 128 -o imported.h5": "0",
        "kd-view faces.h5 -o sheet.png": "0",
        "kd-view faces.h5 -o each/": "0",
        "kd-info faces.h5 --check": "0",
        "kd-info broken.h5": "1",
    }
    for (line, status), found in zip(lines.items(), run_forged(tmp_path, *lines), strict=True):
        assert found.startswith(f"{status} "), (line, found)
        assert "Traceback" not in found
        assert "bug in kdtools" not in found
    assert len(list((tmp_path / "drawn").iterdir())) == 3
    assert len(list((tmp_path / "crops").iterdir())) == 6
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_open_lock_file_is_removed_after_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows removes no file that is open."""
    monkeypatch.setattr(locks, "IS_WINDOWS", True)
    first = locked(tmp_path / "lock")
    assert first is not None
    assert locked(tmp_path / "lock") is None
    release(first, tmp_path / "lock")
    assert first.closed
    assert list(tmp_path.iterdir()) == []
