"""Cross-fitted teachers: each face is predicted by a teacher that was trained without this person.

On its own training faces a teacher is nearly exact, so its predictions add nothing to the ground truth. Those for
unseen faces do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.faces.people import group_faces
from kdtools.faces.split import draw_folds
from kdtools.faces.writer import create_faces
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import Convention, rule_of
from kdtools.model.file import load_all_layers
from kdtools.model.inference import predict_crops
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.provenance import Provenance
from kdtools.training.conventions import LearntConventions, layers_of_rows, rule_names
from kdtools.training.distributed import own_part, sum_over_processes
from kdtools.training.settings import Settings


def fold_rows(faces: FacesFile, n_folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to train on and rows left out, for each fold; no person is in both. Raises DataError for too few people."""
    fold = draw_folds(group_faces(faces.ids, None).names, n_folds, seed)
    for number in range(n_folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def settings_of_folds(settings: Settings, faces: FacesFile, folds: list[tuple[np.ndarray, np.ndarray]]) -> Settings:
    """The settings by which each fold is trained: all answer by the same annotation convention.

    Raises DataError for a convention that the teacher of a fold would not learn, but has to answer by; UsageError for
    one that is asked for and no face has.
    """
    learnt = LearntConventions.of_faces(faces, np.arange(len(faces)), settings.convention, SILENT)
    rules, names = rule_names(faces, rule_of(learnt.default)), np.array(faces.conventions.names_of_faces())
    for number, (rows, rest) in enumerate(folds, start=1):
        if settings.convention not in ("auto", *rules[rows], *names[rows]):
            raise DataError(
                f"{faces.name}: the teacher of fold {number} would learn from no face of the annotation convention "
                f"{settings.convention}",
                "its faces are of too few people for folds: leave out --convention",
            )
        unknown = sorted(set(rules[rest]) - set(rules[rows]))
        if unknown:
            raise DataError(
                f"{faces.name}: the teacher of fold {number} would predict faces of the annotation convention "
                f"{', '.join(unknown)} without having learnt from any",
                "they are those of too few people for folds: leave them out with kd-merge",
            )
    return replace(settings, convention=learnt.default) if learnt.all and settings.convention == "auto" else settings


def fold_output(output: Path, number: int, n_folds: int) -> Path:
    """Model file of the teacher of fold `number`, counted from 1."""
    return output.with_name(f"{output.stem}.fold{number}of{n_folds}.safetensors")


def predict_left_out(
    faces: FacesFile,
    models: list[Path],
    left_out: list[np.ndarray],
    *,
    device: torch.device,
    batch: int,
    reporter: Reporter = SILENT,
) -> np.ndarray:
    """Points (N, L, 2) in pixels of the source images; rows `left_out[k]` are predicted by `models[k]`.

    Each process predicts a part; all return the whole.
    """
    points = np.zeros((len(faces), faces.n_points, 2))
    done = 0
    with reporter.progress("predicting", len(faces)) as progress:
        for path, rows in zip(models, left_out, strict=True):
            own = own_part(rows)
            network = load_all_layers(path, device)
            points[own] = predict_crops(
                network,
                faces.images,
                rows=own,
                layers=layers_of_rows(faces, own, network.card, device),
                device=device,
                batch=batch,
            )
            done += len(rows)
            progress(done)
    # float32 can be summed on all devices. Every row is 0 in all processes but one, so nothing is rounded.
    total = sum_over_processes(torch.from_numpy(points.astype(np.float32)).to(device))
    return faces.to_frame(total.cpu().numpy(), "source")


def write_left_out(
    faces: FacesFile, points: np.ndarray, scheme: Scheme, output: str, force: bool, provenance: Provenance
) -> None:
    """Write a faces file of the predictions (N, L, 2)."""
    with create_faces(output, force, provenance) as writer:
        writer.put_ids(faces.ids)
        writer.put_landmarks(points, scheme, "predicted")
        writer.copy_companions(faces)
        if "convention" in faces:  # without origins: the points are true pixels
            names = faces.conventions.names
            writer.put_conventions(map(Convention, names), faces.texts("convention"))
