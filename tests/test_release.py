"""What a release and its CI rest on agrees: versions of Python, the version's entries, hooks, and what is packed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import kdtools

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
GITHUB = REPOSITORY / ".github"


def test_ci_tests_every_python_that_the_package_names() -> None:
    named = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", text)]
    matrix = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]


def test_ci_calls_only_what_is_there() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for tool in re.findall(r"\bkd-\w+", commands):
        assert tool in PROJECT["scripts"]
    for target in re.findall(r"^make (\w+)", commands, re.MULTILINE):
        assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    for path in re.findall(r"(?:requirements|\.ci)/[\w.]+", commands):
        assert (REPOSITORY / path).is_file()


def test_the_version_has_its_entry_and_its_notes() -> None:
    newest = re.findall(
        r"^## \[(\d\S*)\] - (unreleased|\d{4}-\d\d-\d\d)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M
    )
    assert newest[0][0] == kdtools.__version__
    notes = REPOSITORY / "docs" / "releases" / f"{kdtools.__version__}.md"
    assert notes.read_text().startswith(f"# kdtools {kdtools.__version__}\n")


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_issue_forms_ask_for_something(name: str) -> None:
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    required = [part["id"] for part in form["body"] if part.get("validations", {}).get("required")]
    assert {"bug": ["commands", "expected", "machine"], "idea": ["task"]}[name] == required


def test_hooks_run_what_make_installs() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "mypy", "links", "man"]
    for hook in hooks:
        assert hook["entry"].startswith(".venv/bin/")
        for path in re.findall(r"tests/\S+\.py", hook["entry"]):
            assert (REPOSITORY / path).is_file()
    assert any(text.startswith("pre-commit") for text in PROJECT["optional-dependencies"]["dev"])


def test_the_source_distribution_holds_what_its_tests_need() -> None:
    packed = set(re.findall(r"^graft (\w+)", (REPOSITORY / "MANIFEST.in").read_text(), re.MULTILINE))
    assert {"benchmarks", "docs", "examples", "man", "requirements", "tests"} <= packed
