"""A shell whose kd-* tools answer at once: what tests/test_docs.py runs the documentation's command lines in.

What bash finds as `kd-student` is the script of `warm` that forks a process in which torch is imported already: pipes,
redirections, loops and scripts are bash's own.

Trainings and drawings are made small by words put behind those of the page (SMALL); the page's own words are read and
checked by the tool all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

from warm import PREPARE, PYTHON, REPOSITORY, Warm

STAND_IN_TIME = 1_000_000_000  # s; a file changed at this moment is a stand-in and makes way for the page's own output
IN_FULL = {PREPARE: ""}  # an environment in which nothing is made small

_TRAINING = (
    *("--arch", "test_resnet", "--input-size", "32", "--batch", "8", "--epochs", "1", "--init", "none"),
    *("--device", "cpu", "--set", "head=linear", "--set", "w_heat=0", "--set", "freeze=0"),
)
SMALL = {
    "kd-teacher": _TRAINING,
    "kd-student": _TRAINING,
    "kd-synth": ("-n", "16", "--size", "64", "-j", "1"),
    "kd-predict": ("--device", "cpu"),
}


class Shell:
    """bash with the scripts in its PATH, and a cache folder of its own."""

    def __init__(self, warm: Warm, cache: Path) -> None:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "KDTOOLS"))
        }
        self.environment = kept | {
            "PATH": warm.path,
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "100",
            PREPARE: "docs_shell:made_small",
        }
        self._python = warm.script(PYTHON)

    def run(self, script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Commands in `folder`, up to the first that fails. Standard error tells each of them before it runs."""
        return self._run(["bash", "-euxo", "pipefail", "-c", script], folder, environment)

    def run_python(self, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Python code in `folder`."""
        return self._run([self._python, "-c", code], folder, {})

    def _run(self, command: list[str], folder: Path, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )


def made_small(tool: str, words: list[str]) -> list[str]:
    """The words of a call, with those that make it small; a stand-in in the place of its output is removed."""
    if {"--help", "-h", "--version", "--show-settings"} & set(words):
        return words
    for option, output in itertools.pairwise(words):
        if option in ("-o", "--output", "--rest") and _is_stand_in(Path(output)):
            Path(output).unlink()
    if tool in ("kd-teacher", "kd-student"):
        _check_settings(tool, words)
    if tool == "kd-predict" and words and words[0].endswith(".safetensors"):
        words = [*words, "--backend", "torch"]  # spares an export
    return [*words, *SMALL.get(tool, ())]


def _is_stand_in(path: Path) -> bool:
    return path.is_file() and path.stat().st_mtime == STAND_IN_TIME


def _check_settings(tool: str, words: list[str]) -> None:
    """The page's own settings, before small ones hide them: the tool itself says what is wrong with them, and ends."""
    from kdtools.cli._app import session

    main = importlib.import_module(f"kdtools.cli.{tool.replace('-', '_')}").main
    sys.argv = [tool, *words, "--show-settings"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        if end.code:
            raise
    session.verbosity = session.n_skipped = 0
