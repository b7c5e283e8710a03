"""Cross-fitted teachers: of every face the prediction of a teacher that was trained without this face's person.

On its own training faces a teacher is nearly exact (t close to 0), so a student learns nothing from it that the truth
does not say. What a teacher answers for faces it has never seen is what teaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from kdtools.files import FacesFile, Provenance, create_faces
from kdtools.groups import group_faces
from kdtools.inference import predict_crops
from kdtools.joining import draw_folds
from kdtools.models import load_model


def fold_rows(faces: FacesFile, n_folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to train on and rows left out, of each fold; nobody is in both. Raises DataError for too few people."""
    fold = draw_folds(group_faces(faces.ids, None).names, n_folds, seed)
    for number in range(n_folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def fold_output(output: Path, number: int) -> Path:
    """Where the teacher of a fold, counted from 1, is kept."""
    return output.with_name(f"{output.stem}.fold{number}.safetensors")


def write_left_out(
    faces: FacesFile,
    models: list[Path],
    left_out: list[np.ndarray],
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    device: torch.device,
    batch: int,
    progress: Callable[[int], None],
) -> None:
    """Write a faces file of predictions: of the rows `left_out[k]` by `models[k]`, in pixels of the source images."""
    points = np.full((len(faces), faces.n_points, 2), np.nan)
    done = 0
    for path, rows in zip(models, left_out, strict=True):
        network = load_model(path, device)
        images = faces.images
        points[rows] = predict_crops(network, images, rows=rows, device=device, batch=batch)
        done += len(rows)
        progress(done)
    with create_faces(output, force, provenance) as writer:
        writer.put_ids(faces.ids)
        writer.put_landmarks(faces.points_to_source(points), network.card.scheme, "predicted")
        writer.copy_companions(faces)
