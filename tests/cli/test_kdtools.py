"""kdtools: the list of tools, tools called by it, and what doctor says of a machine, whole or broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from factories import write_faces
from update_pages import TOOLS

from kdtools import __version__
from kdtools.cli import kdtools as tool
from kdtools.inspection import machine
from kdtools.inspection.machine import Finding, examine, report

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kdtools", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **environment}
    )


def test_it_lists_every_tool_by_task() -> None:
    listed = call()
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.findall(r"^(\w+):$", listed.stdout, re.MULTILINE) == ["prepare", "train", "predict", "measure", "look"]
    assert sorted(re.findall(r"^  (kd\S+)  +\S", listed.stdout, re.MULTILINE)) == TOOLS
    assert max(map(len, listed.stdout.splitlines())) <= 80


def test_its_version_is_that_of_the_package() -> None:
    assert call("--version").stdout == f"kdtools {__version__}\n"


def test_tools_can_be_called_by_it(tmp_path: Path) -> None:
    """As hands know it from git; errors name the tool itself."""
    faces = write_faces(tmp_path / "a.h5", ids=["x", "y"])
    assert call("info", str(faces), "--value", "faces").stdout == "2\n"
    assert call("kd-info", str(faces), "--value", "faces").stdout == "2\n"
    assert call("merge", "absent.h5").stderr.startswith("kd-merge: error: ")


def test_help_of_a_tool_as_git_has_it() -> None:
    assert call("help", "merge").stdout.startswith("Usage: kd-merge [OPTIONS] FACES... -o FILE")
    assert call("help").stdout == call().stdout


def test_a_word_that_is_no_tool_is_answered_with_all_that_are() -> None:
    wrong = call("preditc", "photos")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    for words in (("preditc",), ("help", "preditc"), ("preditc", "--help"), ("kd-preditc", "photos", "-o", "x.csv")):
        wrong = call(*words)
        assert (wrong.returncode, wrong.stdout) == (2, ""), words
        assert re.search(r"there is no tool '(kd-)?preditc'", wrong.stderr), words
        assert "is predict meant?" in wrong.stderr
        assert "doctor, import, " in wrong.stderr
    assert "meant?" not in call("xyzzy").stderr
    for words in (("help", "doctor"), ("doctor", "--help"), ("help", "kdtools"), ("help", "--help")):
        assert call(*words).stdout.startswith("Usage: kdtools"), words


def test_the_tab_key_knows_words_and_goes_on_into_the_tools() -> None:
    complete = {"_KDTOOLS_COMPLETE": "1"}
    assert "doctor" in call("do", **complete).stdout.splitlines()
    assert call("predict", **complete).stdout == "predict\n"
    assert "face68" in call("predict", "fa", **complete).stdout.splitlines()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch takes seconds to load, and is a finding like the others."""
    monkeypatch.setitem(machine._LOADED, "PyTorch", "print('2.0')\nprint('cuda:0 a GPU, 80 GiB, CUDA 12.8')")


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.mark.usefixtures("quick")
def test_doctor_on_a_machine_that_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = by_name(examine())
    assert [name for name, finding in found.items() if finding.state == "broken"] == []
    assert found["cores"].text.startswith(f"{len(os.sched_getaffinity(0))} for this process")
    assert found["ONNX Runtime"].text.endswith("runs the face finder")
    assert "face68" in found["networks"].text
    assert "locks work" in found["cache folder"].text
    assert str(tmp_path) in found["cache folder"].text
    assert found["GPU"].text == "cuda:0 a GPU, 80 GiB, CUDA 12.8"
    for package in ("numpy", "typer", "opencv-python", "onnxruntime"):
        assert re.search(rf"\b{package} \d", found["packages"].text)
    assert re.search(r"GiB in all.*GiB free", found["memory"].text)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "code", "state", "text", "hint"),
    [
        ("OpenCV", "raise ImportError('libGL.so.1: cannot open shared object file')", "broken", "libGL", "apt-get"),
        ("ONNX Runtime", "import os; os.kill(os.getpid(), 4)", "broken", "crashes", "again"),
        ("HDF5", "raise ModuleNotFoundError('No module named h5py')", "broken", "not installed", "pip install 'h5py"),
        ("PyTorch", "raise ModuleNotFoundError('No module named torch')", "note", "no training", "pip install"),
        ("PyTorch", "raise OSError('libcudart.so: cannot open')", "broken", "does not load", "again"),
        ("HDF5", "import time; time.sleep(60)", "broken", "did not load within", "disk"),
    ],
)
def test_doctor_on_a_machine_that_is_not(
    name: str, code: str, state: str, text: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SECONDS", 20.0 if "sleep" not in code else 0.3)
    finding = machine._loaded(name, machine._start(code))[0]
    assert finding.state == state
    assert text in finding.text
    assert hint in finding.hint


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("note", 0), ("broken", 3)])
def test_its_status_is_3_where_something_needed_is_broken(
    state: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "examine", lambda: [Finding("OpenCV", "x", state)])
    assert tool.kdtools("doctor") == status
    printed = capsys.readouterr()
    assert printed.out.rstrip("\n").endswith("OpenCV  x")
    assert ("broken: OpenCV" in printed.err) == bool(status)


def test_a_folder_without_locks_and_one_that_is_not_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert machine._usable("x", tmp_path / "absent").state == "note"
    assert machine._usable("x", tmp_path).text.endswith("locks work")
    monkeypatch.setattr(machine, "locked", lambda path: path.open("w"))
    monkeypatch.setattr(machine, "release", lambda file, path: file.close())
    assert machine._usable("x", tmp_path).state == "note"
    assert "without locks" in machine._usable("x", tmp_path).text


def test_the_home_folder_and_escape_codes_are_not_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    text = report([Finding("a", "in /home/somebody/x\x1b[31m", "broken", "see /home/somebody/y")])
    assert "somebody" not in text
    assert "\x1b" not in text
    assert text.startswith("! a  in ~/x")


def test_the_issue_form_asks_for_it() -> None:
    form = yaml.safe_load((REPOSITORY / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    machine_part = next(part for part in form["body"] if part.get("id") == "machine")
    assert "`kdtools doctor`" in machine_part["attributes"]["description"]
