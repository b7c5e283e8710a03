"""The wheel, built offline from the files that the containers copy: what it holds, and what it must not hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from conftest import REPOSITORY

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "man", "completions", "kdtools")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, beside which lie tests and data that are not part of the package."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "kdtools"
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy)
    for name in ("tests/test_x.py", "benchmarks/x.py", "shared/data/face.jpg", "kdtools.egg-info/x", "faces.h5"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    words = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, copy]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_it_holds_the_package_its_networks_and_its_pages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    inner = (path.relative_to(REPOSITORY) for path in (REPOSITORY / "kdtools").rglob("*") if path.is_file())
    package = {path.as_posix() for path in inner if path.suffix != ".pyc"}
    pages = {f"share/man/man{path.suffix[1:]}/{path.name}" for path in (REPOSITORY / "man").glob("*.[157]")}
    shells = {
        "share/bash-completion/completions/kdtools",
        "share/zsh/site-functions/_kdtools",
        "share/fish/vendor_conf.d/kdtools.fish",
    }
    names = {re.sub(r"^kdtools-[^/]*\.data/data/", "", name) for name in wheel.namelist() if not name.endswith("/")}
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == package | pages | shells
    assert len(pages) == 17
    networks = [f"{name}.{end}" for name in ("face68", "face68-tiny") for end in ("onnx", "safetensors", "md")]
    for name in (*networks, "face_finder.onnx", "face_finder.md"):
        assert f"kdtools/pretrained/{name}" in names


def test_its_networks_are_those_of_the_repository_and_small(wheel: zipfile.ZipFile) -> None:
    networks = [name for name in wheel.namelist() if name.startswith("kdtools/pretrained/")]
    assert all(wheel.read(name) == (REPOSITORY / name).read_bytes() for name in networks)
    assert sum(wheel.getinfo(name).file_size for name in networks) < 17e6


def test_it_names_all_licences_and_all_tools(wheel: zipfile.ZipFile) -> None:
    about = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
    metadata = wheel.read(about["METADATA"]).decode()
    assert "License-Expression: MIT AND LicenseRef-research-only AND Bitstream-Vera\n" in metadata
    for licence in ("LICENSE", "kdtools/pretrained/LICENSE-WEIGHTS", "kdtools/viewing/font/LICENSE-DEJAVU"):
        assert f"License-File: {licence}\n" in metadata
        assert f"licenses/{licence}" in about
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    entries = wheel.read(about["entry_points.txt"]).decode()
    assert len(scripts) == 15
    assert all(f"{name} = {entry}\n" in entries for name, entry in scripts.items())
