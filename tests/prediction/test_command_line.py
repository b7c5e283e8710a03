"""The first wrong turns with kd-predict's words each get the right call as their answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.running import fail, run_tool


@pytest.mark.parametrize(
    ("words", "status", "message", "hint"),
    [
        ("photos", 2, "photos: no model was named before it", "kd-predict face68 photos -o points.csv"),
        ("a.jpg b.jpg", 2, "a.jpg: no model was named before it", "kd-predict face68 a.jpg b.jpg -o points.csv"),
        ("a.jpg face68", 2, "a.jpg is not a model, but face68 is", "kd-predict face68 a.jpg"),
        ("photos model.onnx a.jpg", 2, "photos is not a model", "kd-predict model.onnx photos a.jpg"),
        ("face68", 2, "no input was named", "kd-predict face68 FOLDER -o points.csv"),
        ("phtos", 1, "phtos: no such file or folder", ""),
        ("face68 phtos --max-faces 1", 1, "phtos: no such file or folder", ""),
        ("nomodel photos", 1, "nomodel: no such model", "face68 comes with kdtools"),
        ("text.txt photos", 1, "text.txt: not a model file", "kd-student"),
    ],
)
def test_wrong_turns(
    words: str, status: int, message: str, hint: str, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.jpg", "b.jpg", "text.txt"):
        Path(name).write_text("anything")
    Path("model.onnx").symlink_to(tiny_onnx)
    result = run_tool("kd-predict", *words.split(), "-o", "points.csv")
    fail(result, "kd-predict", status, message)
    assert hint in result.stderr
