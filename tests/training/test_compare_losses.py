"""examples/compare_losses.sh, small: several seeds of several losses, and one table."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_shell import Shell
from factories import drawn_faces, write_faces
from warm import Warm

SCRIPT = Path(__file__).resolve().parent.parent.parent / "examples" / "compare_losses.sh"


@pytest.fixture(scope="module")
def shell(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(warm, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, n in (("train", 12), ("test", 6)):
        images, points = drawn_faces(n, 48, len(name))
        write_faces(tmp_path / f"{name}.h5", points, images=images)
    return tmp_path


def test_methods_differ_in_loss_and_teachers_alone(folder: Path, shell: Shell) -> None:
    settings = {"SEEDS": "0 1", "METHODS": "l1 kd"}
    first = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
    assert first.returncode == 0, first.stderr
    rows = [dict(zip(lines[0], line, strict=True)) for lines in [_cells(first.stdout)] for line in lines[1:]]
    assert [(row["prediction"], row["n_models"]) for row in rows if row["subset"] == "full"] == [
        ("l1", "2"),
        ("kd", "2"),
    ]
    assert float(rows[-1]["models_sd_percent"]) > 0
    assert float(rows[-1]["difference_low_percent"]) < float(rows[-1]["difference_high_percent"])
    calls = [line.split() for line in first.stderr.splitlines() if line.startswith("$ kd-student")]
    assert len(calls) == 4
    of_l1, of_kd = ([word for word in calls[k] if not word.startswith(("l1", "kd"))] for k in (0, 1))
    added = ["--set", "w_main=2", "--set", "w_tough=1", "--tough", "tough.0.h5", "--tolerant", "tolerant.0.h5"]
    assert sorted(of_kd) == sorted(of_l1 + added)
    assert {f"tough.{seed}.h5" for seed in (0, 1)} <= {path.name for path in (folder / "work").iterdir()}
    again = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
    assert again.stdout == first.stdout
    assert "$ kd-" not in again.stderr


def test_what_cannot_be_measured_is_said_before_any_training(folder: Path, shell: Shell) -> None:
    for settings, answer in (({"NORM": "inter-eye"}, "inter-eye"), ({"METHODS": "l1 l3"}, "METHODS has l3")):
        result = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
        assert result.returncode != 0
        assert answer in result.stderr
        assert not list(folder.glob("work/*.safetensors"))


def _cells(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]
