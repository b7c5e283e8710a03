"""What found the faces is recorded in predictions, shown, and compared when a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from contract.running import run_tool, succeed

from kdtools import bundled
from kdtools.images.detection import finder
from kdtools.images.drawing import write_image
from kdtools.inspection import describe_file, open_any, print_report
from kdtools.synth import draw_faces


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, in the working directory, with photographs of drawn faces."""
    for number, (image, _, _) in enumerate(draw_faces(3, 160, seed=0, margin=0.75)):
        (tmp_path / "photos").mkdir(exist_ok=True)
        write_image(tmp_path / "photos" / f"{number}.png", image)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def recorded(path: str) -> dict:
    with h5py.File(path) as h5:
        return json.loads(h5.attrs["detector"]) if "detector" in h5.attrs else {}


def test_predictions_and_imports_record_the_detector(
    photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    succeed(run_tool("kd-predict", tiny_onnx, "photos", "-o", "p.h5"))
    assert recorded("p.h5")["name"] == "finder"
    shown = run_tool("kd-info", "p.h5", "--value", "detector").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in shown] == ["name", "sha256", "min_score"]
    succeed(run_tool("kd-predict", tiny_onnx, "photos", "--detector", "cascade", "--min-score", "2", "-o", "c.h5"))
    assert (recorded("c.h5")["name"], recorded("c.h5")["min_score"]) == ("cascade", 2)
    succeed(run_tool("kd-import", "photos", "--detector", "finder", "--min-score", "0.6", "-o", "i.h5"))
    assert recorded("i.h5") == recorded("p.h5") | {"min_score": 0.6}
    words = ("--search-size", "100", "-o", "s.h5")
    succeed(run_tool("kd-import", "photos", "--detector", "finder", "--min-score", "0.6", *words))
    assert recorded("s.h5") == recorded("i.h5") | {"search_size": 100}
    assert run_tool("kd-info", "s.h5", "--value", "detector.search_size").stdout == b"100\n"
    monkeypatch.setenv("COLUMNS", "200")
    with open_any("s.h5") as opened:
        print_report(describe_file(opened, follow=False))
    assert ", searched at up to 100 px, " in capsys.readouterr().out
    succeed(run_tool("kd-import", "photos", "-o", "w.h5"))
    assert recorded("w.h5") == {}
    succeed(run_tool("kd-predict", tiny_onnx, "i.h5", "-o", "f.h5"))
    assert recorded("f.h5") == {}  # it is that of its input


def test_a_run_goes_on_with_the_same_detector_only(
    photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command may be the same: kdtools was installed again, with another finder or without one."""
    words = ("kd-predict", tiny_onnx, "photos", "--resume", "-o", "p.h5")
    succeed(run_tool(*words))
    assert "is whole already" in succeed(run_tool(*words)).stderr
    with monkeypatch.context() as patch:
        patch.setattr(bundled, "_FOLDER", tmp_path / "empty")
        result = run_tool(*words)
    assert result.status == 1
    assert "the face finder is missing" in result.stderr
    assert "its faces were found by finder with a least score of 0.55, now by cascade" in result.stderr
    monkeypatch.setattr(finder, "sha256_of", lambda path: "0" * 64)
    result = run_tool(*words)
    assert result.status == 1
    assert "the file of the detector finder with a least score of 0.55 has changed since" in result.stderr
    assert not Path("p.h5.partial").exists()


def test_a_stopped_run_is_not_joined_with_faces_of_another_detector(
    photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdtools.prediction import partial_output, photograph_work

    monkeypatch.setattr(partial_output, "WORTH_KEEPING", 0.0)
    monkeypatch.setattr(photograph_work.PhotographWork, "__call__", stopping_after(photograph_work, 2))
    words = ("kd-predict", tiny_onnx, "photos", "--batch", "1", "-j", "1", "--resume", "-o", "p.h5")
    assert run_tool(*words).status == 130
    assert Path("p.h5.partial").is_dir()
    monkeypatch.undo()
    monkeypatch.chdir(photos.parent)
    with monkeypatch.context() as patch:
        patch.setattr(finder, "sha256_of", lambda path: "0" * 64)
        result = run_tool(*words)
    assert result.status == 1
    assert "holds a part of another run: the file of the detector finder" in result.stderr
    succeed(run_tool(*words))
    with h5py.File("p.h5") as h5:
        assert np.isfinite(h5["landmarks"][...]).all()


def stopping_after(module, n_groups: int):
    """In the place of the work on a group: interrupts the run at a later one."""
    work, done = module.PhotographWork.__call__, []

    def stopping(self, group):
        if len(done) == n_groups:
            raise KeyboardInterrupt
        done.append(group)
        return work(self, group)

    return stopping


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--detector", "whole", "--min-score", "0.5"), "which --detector whole does not give"),
        (("--min-score", "1.5"), "scores of finder are above 0 and at most 1"),
        (("--min-score", "high"), "should be a valid number"),
    ],
)
def test_a_least_score_that_means_nothing_is_refused(
    words: tuple[str, ...], told: str, photos: Path, tiny_onnx: Path
) -> None:
    result = run_tool("kd-predict", tiny_onnx, "photos", *words, "-o", "p.h5")
    assert result.status == 2
    assert told in result.stderr
    assert not Path("p.h5").exists()


def test_defaults_are_stated_where_users_look() -> None:
    from kdtools.images.detection import yunet

    stated = f"finder {finder.MIN_SCORE:g}, yunet {yunet.MIN_SCORE:g}"
    repository = Path(__file__).resolve().parents[2]
    for tool in ("kd-predict", "kd-import"):
        shown = run_tool(tool, "--help").stdout.decode()
        assert stated in " ".join(shown.split())
        page = (repository / "man" / f"{tool}.1").read_text()
        assert stated in " ".join(page.split())
    stated = f"by default {finder.MIN_SCORE:g} for `finder` and {yunet.MIN_SCORE:g} for `yunet`"
    assert stated in " ".join((repository / "docs/predict.md").read_text().split())
