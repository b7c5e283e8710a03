"""Words of messages: numbers and nouns agree, no name occurs twice, pipes are called pipes, matplotlib is quiet."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from factories import write_faces

from kdtools.cli._reporter import StderrReporter
from kdtools.errors import FileError
from kdtools.faces.file import open_faces
from kdtools.inspection import open_any
from kdtools.model.card import read_card
from kdtools.model.file import load_training_state
from kdtools.storage.provenance import Provenance


def test_the_name_of_a_skipped_input_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter("tool")
    for name, reason in (
        ("a.png", "photos/a.png: is empty"),
        ("photos/b.png", "b.png: is empty"),
        ("c: d.png", "x/c: d.png: is empty"),
        ("e.png", "see e.png: is empty"),
        ("f.png", "not a face: none"),
    ):
        reporter.skip(name, reason)
    assert capsys.readouterr().err.splitlines() == [
        "tool: skipped a.png: is empty",
        "tool: skipped photos/b.png: is empty",
        "tool: skipped c: d.png: is empty",
        "tool: skipped e.png: see e.png: is empty",
        "tool: skipped f.png: not a face: none",
    ]


def test_a_pipe_in_the_place_of_a_file_is_called_one_outside_a_tool(tmp_path: Path) -> None:
    """Where no run ends that would delete its copy. It was called damaged, as what recognises a file had read its
    beginning."""
    content = write_faces(tmp_path / "a.h5", ids=["a"]).read_bytes()
    for number, read in enumerate(
        (
            lambda path: open_faces(path).__enter__(),
            lambda path: open_any(str(path)).__enter__(),
            read_card,
            load_training_state,
            lambda path: Provenance("x").with_inputs([path]),
        )
    ):
        pipe = tmp_path / f"pipe{number}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
        writer.start()
        with pytest.raises(FileError, match="is a pipe, which can be read only once") as error:
            read(pipe)
        assert "write it to a file first" in error.value.hint


def test_matplotlib_tells_nothing_of_its_cache(tmp_path: Path) -> None:
    code = "from kdtools.reports.plots.style import house_style\nwith house_style(): import matplotlib.font_manager"
    environment = {**os.environ, "HOME": "/proc", "TMPDIR": str(tmp_path)}
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("", "")
