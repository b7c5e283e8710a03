"""The environment without torch: requirements/predict.txt is what its tools import, and they work with nothing else.

.ci/run builds it. Here, packages that are not in it cannot be imported.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from factories import drawn_faces, write_faces
from test_structure import PACKAGE, imports_of, modules, name_of

REPOSITORY = PACKAGE.parent
CONTAINERS = REPOSITORY / "examples" / "containers"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
TOOLS = ("kd_predict", "kd_eval", "kd_dump", "kd_info", "kd_view", "kd_merge", "kdtools")
MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml"}  # where it is not the package's name
# What those tools import for a part of what they do, which names the package that it needs; huggingface_hub is timm's.
LEFT_OUT = {"torch", "timm", "huggingface_hub", "scipy", "matplotlib", "onnxscript", "tensorboard", "sleap_io"}
WITH_OTHERS = {"google", "markupsafe", "requests"}  # protobuf, which onnx brings; of jinja2; of pooch


def required() -> dict[str, str]:
    """Versions in requirements/predict.txt, by name."""
    lines = (REPOSITORY / "requirements" / "predict.txt").read_text().splitlines()
    matches = [re.fullmatch(r"([\w-]+)(.*)", line) for line in lines if not line.startswith("#")]
    return {match[1]: match[2] for match in matches if match}


def test_versions_are_those_of_the_package() -> None:
    lines = [re.match(r"([\w-]+)(.*)", line) for line in PROJECT["project"]["dependencies"]]
    of_package = {match[1]: match[2] for match in lines if match}
    of_package["opencv-python-headless"] = of_package["opencv-python"]
    assert required().items() <= of_package.items()


def test_requirements_are_what_the_tools_import() -> None:
    """Modules reached from the tools' own, functions included; what is imported for types alone is not reached."""
    paths = {f"kdtools.{name_of(path)}": path for path in modules()}
    reached: set[str] = set()
    others: set[str] = set()
    waiting = [f"kdtools.cli.{tool}" for tool in TOOLS]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [name.rpartition(".")[0]] * (name.count(".") > 1)
        for imported in imports_of(paths[name]):
            if imported in paths:
                waiting.append(imported)
            elif not imported.startswith("kdtools"):
                others.add(imported.partition(".")[0])
    others -= set(sys.stdlib_module_names)
    expected = {MODULES.get(name, name) for name in required()}
    assert expected <= others
    assert others - expected - WITH_OTHERS <= LEFT_OUT


_BLOCKED = f"""
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {sorted(LEFT_OUT)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
import kdtools.errors
find = kdtools.errors.is_installed
kdtools.errors.is_installed = lambda name: name not in {sorted(LEFT_OUT)!r} and find(name)
sys.path.insert(0, "tests")
from contract.running import run_tool
import shlex
for line in sys.stdin.read().splitlines():
    result = run_tool(*shlex.split(line))
    print(result.status, " ".join(result.stderr.split()))
"""


def run_blocked(folder: Path, *lines: str) -> list[tuple[int, str]]:
    """Status and messages of each tool, run in a process in which what is LEFT_OUT cannot be imported."""
    code = _BLOCKED.replace('"tests"', repr(str(REPOSITORY / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(lines), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pairs = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(pairs) == len(lines)
    return [(int(status), said) for status, said in pairs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, points = drawn_faces(5, 96, seed=1)
    folder = tmp_path_factory.mktemp("predict")
    write_faces(folder / "faces.h5", images=images, landmarks=points, ids=[f"{k}.jpg" for k in range(5)])
    return folder


def test_its_tools_work(folder: Path) -> None:
    lines = [
        "kd-dump faces.h5 --crops photos -o truth.csv",
        "kd-predict face68 photos --detector whole -o points.csv",
        "kd-predict face68 faces.h5 -o pred.h5",
        "kd-predict face68 faces.h5 --flip -o flipped.h5",
        "kd-info pred.h5 face68 --json",
        "kd-info --check pred.h5 face68",
        "kd-eval pred.h5 --truth faces.h5",
        "kd-eval pred.h5 --truth faces.h5 --join place --group none -o report.md",
        "kd-view faces.h5 pred.h5 --worst 3 -o worst.png",
        "kd-merge pred.h5 --ids '[0-2].jpg' -o part.h5",
        "kd-dump part.h5 --format jsonl -o part.jsonl",
        "kd-split faces.h5 -o a.h5 --rest b.h5",
    ]
    for line, (status, said) in zip(lines, run_blocked(folder, *lines), strict=True):
        assert status == 0, f"{line}: {said}"
    assert len((folder / "points.csv").read_text().splitlines()) == 6
    assert (folder / "worst.png").stat().st_size > 1000


def test_all_else_names_what_it_needs(folder: Path) -> None:
    weights = PACKAGE / "pretrained" / "face68.safetensors"
    needs = {
        "kd-student faces.h5 --preset best -o s.safetensors": "torch",
        "kd-teacher faces.h5 -o s.safetensors": "torch",
        "kd-export face68 -o x.onnx": "torch",
        "kd-predict face68 faces.h5 --backend torch -o t.h5": "torch",
        "kd-predict face68 faces.h5 --device cuda -o t.h5": "torch",
        f"kd-predict {shlex.quote(str(weights))} faces.h5 -o t.h5": "torch",
        "kd-eval faces.h5 --truth faces.h5 --plot ced=ced.png": "matplotlib",
        "kd-asm faces.h5 --plot-modes modes.png -o soft.h5": "matplotlib",
    }
    before = sorted(folder.iterdir())
    for (line, package), (status, said) in zip(needs.items(), run_blocked(folder, *needs), strict=True):
        assert status == 1, line
        assert "not installed" in said, f"{line}: {said}"
        assert re.search(rf"pip install '{package}>=", said), f"{line}: {said}"
        assert "Traceback" not in said
    assert sorted(folder.iterdir()) == before


# ---- containers
@pytest.mark.parametrize("path", sorted(CONTAINERS.iterdir()), ids=lambda path: path.name)
def test_what_containers_copy_is_what_pip_needs(path: Path) -> None:
    text = path.read_text()
    if path.suffix == ".def":
        files = text.partition("%files")[2].partition("%post")[0]
        copied = {line.split()[0] for line in files.splitlines() if line.strip()}
    else:
        copied = {word for line in re.findall(r"^COPY (.*)", text, re.MULTILINE) for word in line.split()[:-1]}
    assert all((REPOSITORY / name).exists() for name in copied)
    settings = PROJECT["tool"]["setuptools"]
    named = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml"]
    named += [pattern for patterns in settings["data-files"].values() for pattern in patterns]
    named += re.findall(r"-r (\S+)", text)
    assert {name.split("/")[0] for name in named} <= copied
    headless = required()["opencv-python-headless"]
    assert f"opencv-python-headless{headless}" in text or "requirements/predict.txt" in text


def test_containers_of_both_kinds_run_the_same_commands() -> None:
    for size in ("predict", "full"):
        docker, apptainer = ((CONTAINERS / f"{size}{suffix}").read_text() for suffix in (".Dockerfile", ".def"))
        commands = re.findall(r"pip (?:[^&\n\\]*[^&\s\\])", docker.partition("\nRUN ")[2])
        assert len(commands) >= 2
        assert [command for command in commands if command not in apptainer] == []


def test_fonts_and_networks_are_package_data() -> None:
    """What is read beside the code is in the wheel."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            inner = path.relative_to(PACKAGE)
            patterns = [f"{name.replace('.', '/')}/{pattern}" for name in data for pattern in data[name]]
            assert any(path.relative_to(REPOSITORY).match(pattern) for pattern in patterns), inner
