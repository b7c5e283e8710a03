"""kd-teacher --folds: of each face the prediction of a teacher that never saw this person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kdtools.cli.kd_teacher import kd_teacher
from kdtools.crossfit import fold_rows
from kdtools.errors import DataError
from kdtools.files import Provenance, create_faces, open_faces
from kdtools.geometry import box_to_source
from kdtools.inference import predict_crops
from kdtools.models import load_model, read_card
from kdtools.schemes import IBUG68
from kdtools.synth import draw_faces

N, SIZE, PEOPLE = 24, 40, 6


@pytest.fixture(scope="module")
def faces_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    images, points, _ = zip(*draw_faces(N, SIZE, 11), strict=True)
    with create_faces(str(path), False, Provenance("test")) as writer:
        writer.create_images(N, SIZE, SIZE)[:] = np.stack(images)
        writer.put_ids([f"person{k % PEOPLE}_{k // PEOPLE:02}" for k in range(N)])
        writer.put_landmarks(np.stack(points), IBUG68, "hard")
        boxes = np.array([[k, 2 * k, k + 80, 2 * k + 80] for k in range(N)], float)
        writer.put("to_source", box_to_source(boxes, SIZE, SIZE))
    return path


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


def test_each_face_is_predicted_by_who_has_not_seen_it(faces_path: Path, tmp_path: Path) -> None:
    call = f"{faces_path} --folds 2 --arch test_resnet --input-size 32 --epochs 1 --batch 4 --device cpu -q"
    output = tmp_path / "tough.h5"
    import typer

    app = typer.Typer()
    app.command()(kd_teacher)
    result = CliRunner().invoke(app, [*call.split(), "-o", str(output)])
    assert result.exit_code == 0, result.output
    with open_faces(faces_path) as faces, open_faces(output) as found:
        assert found.role == "predicted"
        assert found.ids == faces.ids
        for number, (rows, rest) in enumerate(fold_rows(faces, 2, 0), start=1):
            path = tmp_path / f"tough.fold{number}.safetensors"
            network = load_model(path, torch.device("cpu"))
            points = np.zeros((N, 68, 2))
            points[rest] = predict_crops(network, faces.images, rows=rest, device=torch.device("cpu"), batch=4)
            expected = faces.points_to_source(points)[rest]
            np.testing.assert_allclose(found.landmarks[rest], expected, atol=1e-2)
            assert read_card(path)[0].scheme.name == "ibug68"
            log = (tmp_path / f"tough.fold{number}.log.jsonl").read_text()
            assert log.count("\n") == 1
            assert len(rows) < N
