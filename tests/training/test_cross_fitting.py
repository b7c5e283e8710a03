"""kd-teacher --folds: of each face the prediction of a teacher that never saw this person."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import drawn_faces, write_faces
from warm import Warm

from kdtools.errors import DataError, UsageError
from kdtools.faces.file import open_faces
from kdtools.landmarks.geometry import box_to_source
from kdtools.model.file import load_model
from kdtools.model.inference import predict_crops
from kdtools.training.cross_fitting import fold_rows
from kdtools.training.run import TrainingRun, cross_fit_teachers
from kdtools.training.settings import resolve_settings
from kdtools.training.trainer import train

N, SIZE, PEOPLE = 24, 40, 6


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points = drawn_faces(N, SIZE, 11)
    ids = [f"person{k % PEOPLE}_{k // PEOPLE:02}" for k in range(N)]
    boxes = np.array([[k, 2 * k, k + 80, 2 * k + 80] for k in range(N)], float)
    return write_faces(path, points, images=images, ids=ids, to_source=box_to_source(boxes, SIZE, SIZE))


def test_nobody_is_in_both(faces_path: Path) -> None:
    with open_faces(faces_path) as faces:
        people = np.array([identity.split("_")[0] for identity in faces.ids])
        folds = list(fold_rows(faces, 3, 0))
        with pytest.raises(DataError, match="cannot fill 7 folds"):
            list(fold_rows(faces, 7, 0))
    assert sorted(np.concatenate([rest for _, rest in folds])) == list(range(N))
    for rows, rest in folds:
        assert sorted([*rows, *rest]) == list(range(N))
        assert not set(people[rows]) & set(people[rest])


def teach(warm: Warm, faces_path: Path, output: Path, *words: object) -> subprocess.CompletedProcess[str]:
    call = f"--arch test_resnet --input-size 32 --epochs 1 --batch 4 --device cpu -o {output}".split()
    command = [warm.script("kd-teacher"), str(faces_path), *call, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_fold_is_trained_on_its_own_rows_alone(
    faces_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loop gets, to train on and to validate with, has nobody of those left out."""
    seen: list[set[int]] = []

    def spy(task: Any, *given: Any, **options: Any) -> float:
        seen.append({*task.train.rows.tolist(), *task.val.rows.tolist()})
        return train(task, *given, **options)

    monkeypatch.setattr("kdtools.training.run.train", spy)
    settings = resolve_settings(
        "kd-teacher", "default", {"arch": "test_resnet", "input_size": 32, "epochs": 1, "batch": 4}
    )
    cross_fit_teachers(TrainingRun(settings, str(faces_path), str(tmp_path / "t.h5"), device_name="cpu"), 3)
    with open_faces(faces_path) as faces:
        expected = [set(rows.tolist()) for rows, _ in fold_rows(faces, 3, 0)]
    assert seen == expected


def test_each_face_is_predicted_by_who_has_not_seen_it(faces_path: Path, warm: Warm, tmp_path: Path) -> None:
    output = tmp_path / "tough.h5"
    result = teach(warm, faces_path, output, "--folds", 2)
    assert result.returncode == 0, result.stderr
    with open_faces(faces_path) as faces, open_faces(output) as found:
        assert found.role == "predicted"
        assert found.ids == faces.ids
        for number, (_, rest) in enumerate(fold_rows(faces, 2, 0), start=1):
            network = load_model(tmp_path / f"tough.fold{number}of2.safetensors", torch.device("cpu"))
            points = np.zeros((N, 68, 2))
            points[rest] = predict_crops(network, faces.images, rows=rest, device=torch.device("cpu"), batch=4)
            expected = faces.to_frame(points, "source")[rest]
            np.testing.assert_allclose(found.landmarks[rest], expected, atol=1e-2)


def test_an_output_of_other_folds_is_not_called_done(faces_path: Path, tmp_path: Path) -> None:
    """--resume finds what this very training made, or says that it is another's; no input is replaced by a fold."""

    def cross(n_folds: int, *, force: bool = False, **options: object) -> bytes:
        given = {"arch": "test_resnet", "input_size": 32, "epochs": 1, "batch": 4, **options}
        settings = resolve_settings("kd-teacher", "default", given)
        run = TrainingRun(settings, str(faces_path), str(output), None, "cpu", not force, force)
        cross_fit_teachers(run, n_folds)
        return output.read_bytes()

    output = tmp_path / "t.h5"
    made = cross(2)
    assert cross(2) == made
    with pytest.raises(UsageError, match="of a training with other lr"):
        cross(2, lr=0.5)
    with pytest.raises(UsageError, match="not the 3 teachers of this training"):
        cross(3)
    with pytest.raises(UsageError, match="is an input itself"):
        cross(2, force=True, init=str(tmp_path / "t.fold2of2.safetensors"))
    assert output.read_bytes() == made


@pytest.mark.soak
def test_folds_go_on_and_are_never_those_of_another_number(faces_path: Path, warm: Warm, tmp_path: Path) -> None:
    output = tmp_path / "tough.h5"
    assert teach(warm, faces_path, output, "--folds", 2).returncode == 0
    before = output.read_bytes()
    assert "is there already" in teach(warm, faces_path, output, "--folds", 2, "--resume").stderr
    output.unlink()
    told = teach(warm, faces_path, output, "--folds", 2)
    assert (told.returncode, "continue with --resume" in told.stderr) == (2, True)
    for end in (".safetensors", ".last.safetensors", ".log.jsonl"):  # a log alone would not be replaced without -f
        (tmp_path / f"tough.fold2of2{end}").unlink()
    told = teach(warm, faces_path, output, "--folds", 2, "--resume")
    assert (told.returncode, "fold1of2.safetensors is finished" in told.stderr) == (0, True)
    assert output.read_bytes() == before
    output.unlink()
    told = teach(warm, faces_path, output, "--folds", 3, "--resume")
    assert (told.returncode, "is finished" in told.stderr) == (0, False)


@pytest.mark.soak
def test_its_own_input_is_never_replaced(faces_path: Path, warm: Warm, tmp_path: Path) -> None:
    copied = tmp_path / "faces"  # without a suffix, which would promise one of the two formats
    copied.write_bytes(faces_path.read_bytes())
    for words in (["--folds", 2, "-f"], ["-f"]):
        told = teach(warm, copied, copied, *words)
        assert (told.returncode, "is an input itself" in told.stderr) == (2, True)
        assert copied.read_bytes() == faces_path.read_bytes()
