"""A small world for the tools to work on, and places that refuse what is written to them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from common import one_at_a_time

from .faults import Faults
from .table import REPOSITORY
from .world import World, make_world


@pytest.fixture(scope="module")
def world(common_folder: Path, graphs: None) -> World:
    """Twenty-four faces of 48 px, eight to test with, and what each tool makes of them. Tests change none of it."""
    folder = common_folder / "contract"
    names = folder / "world.json"
    with one_at_a_time(folder):
        if not names.exists():
            made = make_world(folder)
            names.write_text(json.dumps({name: str(path) for name, path in made.files.items()}))
    files = {name: Path(path) for name, path in json.loads(names.read_text()).items()}
    return World(files["faces"].parent, files)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller's terminal says of itself, and unbuffered streams, must not change what a tool writes.

    What torch caches is no temporary file of a tool.
    """
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(REPOSITORY / ".pytest_cache" / "home" / "torch"))
    for name in ("PYTHONUNBUFFERED", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def spool_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, to see whether they go away again."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@contextlib.contextmanager
def mounting(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a disk in memory on a folder, with options; skips where that is not permitted."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no mount: {error}")
        if done.returncode:
            pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many bytes, or remounts it with as many; it is empty then."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounting(folder) as mount:

        def make(n_bytes: int) -> Path:
            if folder.is_mount():
                subprocess.run(["umount", "-l", str(folder)], check=True)
            mount(f"size={n_bytes}")
            return folder

        yield make


@pytest.fixture(scope="module")
def read_only_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on a disk that nobody may write to, root no more than others."""
    folder = tmp_path_factory.mktemp("read-only")
    with mounting(folder) as mount:
        mount("ro")
        yield folder


@pytest.fixture(scope="session")
def faults() -> Iterator[Faults]:
    """Counts what the soak tests try; `make soak` prints it from the file that it goes to."""
    counted = Faults()
    yield counted
    counted.write(REPOSITORY / ".pytest_cache" / "soak.md")
