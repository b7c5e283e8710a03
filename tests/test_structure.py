"""The layout of docs/design.md, section 5: layers, no circles, torch and timm where they belong, short modules."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "kdtools"
# A folder, or module beside them, imports only from lines above its own.
LAYERS = [
    "errors reporting machine bundled",
    "parallel",
    "landmarks storage",
    "onnx_session",
    "faces images metrics synth",
    "model datasets viewing",
    "training evaluation inspection",
    "export reports",
    "prediction",
    "cli",
    "__main__",
]
LAYER_OF = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
TORCH = ("model", "training", "export", "prediction.engines.torch")
TIMM = ("model.backbones",)
MOST_LINES = 350  # of a module
MOST_LINES_OF_COMMAND = 175  # most of them options and their imports


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    """The module's name without the package's: `faces.writer`, and `faces` for its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Modules that one imports, wherever in it: `from kdtools import faces` is `kdtools.faces`."""
    known = {f"kdtools.{name_of(other)}" for other in modules()}
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if name in known else str(node.module) for name in inner]
    return tuple(names)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_upwards(path: Path) -> None:
    name = name_of(path)
    own = name.partition(".")[0]
    for imported in imports_of(path):
        package, *parts = imported.split(".")
        if package == "kdtools" and parts and parts[0] != own:
            assert LAYER_OF[parts[0]] < LAYER_OF[own], f"{parts[0]} does not lie above {own}"
        assert package != "torch" or name.startswith(TORCH)
        assert package != "timm" or name.startswith(TIMM)
        assert package not in ("click", "pickle"), imported


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Also not within functions, or for types alone: what needs each other is one thing."""
    graph = {f"kdtools.{name_of(path)}": imports_of(path) for path in modules()}
    # Raises CycleError, which names the circle.
    list(TopologicalSorter({name: [n for n in names if n in graph] for name, names in graph.items()}).static_order())


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if ">>> " in path.read_text()],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_examples_in_docstrings_hold(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)


def test_tools_that_need_no_torch_do_not_load_it() -> None:
    """Loaded modules are looked at in a new process, since this one may have torch already."""
    code = (
        "import sys, kdtools.evaluation.evaluate, kdtools.reports.output, kdtools.landmarks.shape_model, "
        "kdtools.reports.plots, kdtools.datasets.import_faces, kdtools.datasets.dump, kdtools.synth; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_exported_model_runs_without_torch() -> None:
    code = "import sys, kdtools.prediction.engines.onnx; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_part_has_a_layer_and_every_layer_its_parts() -> None:
    assert {name_of(path).partition(".")[0] for path in modules()} == set(LAYER_OF)


def test_modules_stay_short() -> None:
    """A longer one is two things; a command only parses, checks, calls the library and reports."""
    for path in modules():
        most = MOST_LINES_OF_COMMAND if path.match("cli/kd_*.py") else MOST_LINES
        n_lines = len(path.read_text().splitlines())
        assert n_lines <= most, f"{path.relative_to(PACKAGE)} has {n_lines} lines"


def test_options_of_a_tool_stay_few() -> None:
    """Beside its inputs and what every tool has: --quiet, --verbose, --version, --help-all."""
    for path in (PACKAGE / "cli").glob("kd_*.py"):
        function = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
        names = {argument.arg for argument in function.args.args} - {"quiet", "verbose", "version", "help_all"}
        assert len(names) <= 27, path.name


def test_every_tool_has_its_module_and_stands_in_the_readme() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    readme = (PACKAGE.parent / "README.md").read_text()
    for tool, entry in project["scripts"].items():
        assert entry == f"kdtools.cli.{tool.replace('-', '_')}:main"
        assert re.search(rf"`{tool}`", readme), f"{tool} is not in README.md"


def test_every_format_stands_in_the_documentation() -> None:
    from kdtools.datasets.formats import FORMATS

    text = (PACKAGE.parent / "docs" / "formats.md").read_text()
    for name, form in FORMATS.items():
        row = next((line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line), None)
        assert row is not None, f"{name} is not in docs/formats.md"
        cells = [cell.strip() for cell in row.split("|")]
        if name != "images":
            assert cells[4].startswith(f"{form.base:g}") or form.find_base is not None, name
            assert cells[8].startswith("yes") == form.is_written, name


def test_every_scheme_stands_in_the_documentation() -> None:
    from kdtools.landmarks import SCHEMES

    text = (PACKAGE.parent / "docs" / "schemes.md").read_text()
    assert all(f"`{name}`" in text for name in SCHEMES)
