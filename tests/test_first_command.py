"""The README's first command, on real photographs."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from contract.running import run_tool


def test_the_readmes_first_command_writes_the_points_of_every_face(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_screen = (REPOSITORY / "README.md").read_text().partition("\n## ")[0]
    command = re.search(r"^kd-predict .*?(?= {2,}#|$)", first_screen, re.MULTILINE)
    assert command, "there is no kd-predict on the README's first screen"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(shared_dir / "data" / "scenes" / "dlib")
    result = run_tool(*command[0].split())
    assert result.status == 0, result.stderr
    with open("points.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 4
    for row in rows:
        box = np.array([row[name] for name in ("box_x0", "box_y0", "box_x1", "box_y1")], float)
        points = np.array([[row[f"x{i}"], row[f"y{i}"]] for i in range(68)], float)
        # Eyes above the mouth, left of the image first, all about the box that was found.
        left, right, mouth = (points[part].mean(axis=0) for part in (slice(36, 42), slice(42, 48), slice(48, 68)))
        assert left[0] < right[0], row["id"]
        assert mouth[1] > max(left[1], right[1]), row["id"]
        size = (box[2:] - box[:2]).max()
        assert (np.abs(points - (box[:2] + box[2:]) / 2).max(axis=1) < size).all(), row["id"]
