"""Headless machines: what happens where the system libraries that OpenCV's wheel wants are not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import fail, run_script, succeed
from .table import TOOLS
from .world import World

PICTURELESS = ("kd-asm", "kd-dump", "kd-eval", "kd-info", "kd-merge", "kd-origin", "kd-split")


@pytest.fixture
def without_libgl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV fails to load as it does without libGL: its extension module cannot be linked."""
    (tmp_path / "cv2.py").write_text(
        'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("DISPLAY", raising=False)


@pytest.mark.usefixtures("without_libgl")
@pytest.mark.parametrize("tool", ["kd-import", "kd-predict", "kd-synth", "kd-view"])
def test_a_missing_library_is_named_with_its_package(tool: str, world: World, tmp_path: Path) -> None:
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    result = run_script(tool, *world.words(tool, output))
    fail(result, tool, 1, "libGL.so.1", "OpenCV")
    assert "apt-get install libgl1" in result.stderr
    assert "opencv-python-headless" in result.stderr
    assert not output.exists()


@pytest.mark.usefixtures("without_libgl")
@pytest.mark.parametrize("tool", PICTURELESS)
def test_a_tool_that_opens_no_picture_does_not_want_it(tool: str, world: World, tmp_path: Path) -> None:
    result = run_script(tool, *world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}"))
    if TOOLS[tool].suffix:
        succeed(result)
    assert result.status == 0, result.stderr
