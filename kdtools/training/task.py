"""Data of a training run: faces, teachers and validation faces, opened, joined by id and split."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from kdtools.errors import DataError, FileError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.lineage import lineage_of_faces
from kdtools.faces.soft_landmarks import soften_faces
from kdtools.faces.split import split_rows
from kdtools.landmarks import Scheme
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.shape_model import DEFAULT_CLIP
from kdtools.model.card import form_of, lineage_of_model
from kdtools.model.file import load_all_layers
from kdtools.model.network import LandmarkNet
from kdtools.reporting import SILENT, Reporter, counted
from kdtools.storage.file_kinds import SAFETENSORS
from kdtools.storage.lineage import Lineage
from kdtools.training.conventions import (
    LearntConventions,
    check_same_origins,
    check_targets,
    compare_predictions,
    compare_teacher,
    true_points_from,
)
from kdtools.training.face_set import FaceSet
from kdtools.training.trust import check_trust
from kdtools.training.unlabelled import unlabelled_set, warn_of_shared_faces


@dataclass(frozen=True)
class Task:
    """Data of a training run. `online` maps loss terms to teacher networks that are run on every augmented batch.

    `unlabelled` faces have no truth, only the points of teachers that are given as predictions. `lineage` names the
    data sets and teachers. `learnt` are the annotation conventions of the faces to train on.
    """

    train: FaceSet
    val: FaceSet
    online: dict[str, LandmarkNet]
    scheme: Scheme
    crop: CropRule
    lineage: Lineage = field(default_factory=Lineage)
    learnt: LearntConventions = field(default_factory=LearntConventions)
    unlabelled: FaceSet | None = None


@contextlib.contextmanager
def load_task(
    faces_path: str,
    val_path: str | None,
    landmarks_path: str | None,
    teachers: dict[str, str],
    *,
    rows: np.ndarray | None = None,
    val_share: float,
    seed: int,
    convention: str = "auto",
    device: torch.device,
    unlabelled_path: str | None = None,
    teaches_labelled: bool = True,
    learns_labels: bool = True,
    trust: str = "none",
    reporter: Reporter = SILENT,
) -> Iterator[Task]:
    """Open and join all files of a training run; they stay open, since images are read on demand.

    `teachers` maps the name of a loss term to a faces file of predictions or to a model file. `rows` restricts the
    faces to train on. Without `val_path`, the fraction `val_share` of the faces is held out. All points are those at
    the true places: without the origin of each face's annotation convention. `convention` names the one that others are
    learnt by, `auto` the one of most faces. If the loss does not use teachers on labelled faces (`teaches_labelled`),
    predictions need to hold the unlabelled ones alone; if labels are for validation alone (`learns_labels`), no set
    of a convention gets a last layer of its own. `trust` is checked against what the teachers can tell. Warns of
    files that may not belong together; raises DataError for those that cannot, UsageError for a convention that no face
    has.
    """
    with contextlib.ExitStack() as stack:
        faces = stack.enter_context(open_faces(faces_path))
        faces.require("image", "landmarks")
        targets = None if landmarks_path is None else stack.enter_context(open_faces(landmarks_path))
        if targets is not None:
            check_targets(faces, targets)
        truth = faces.true_landmarks if targets is None else true_points_from(faces, targets)
        points, online, cached = {"truth": truth}, {}, {}
        lineage = _lineage_of(faces) | (Lineage() if targets is None else lineage_of_faces(targets))
        for name, path in teachers.items():
            if _is_model(path):
                online[name] = teacher = load_all_layers(path, device)
                lineage |= lineage_of_model(path).as_teacher(Path(path).stem)
                faces.require_scheme(teacher.card.scheme, path)
                faces.compare_crop(teacher.card.crop, path, reporter)
            else:
                cached[name] = predicted = stack.enter_context(open_faces(path))
                if teaches_labelled:
                    points[name] = true_points_from(faces, predicted)
                own = lineage_of_faces(predicted)
                lineage |= own if own.teachers else own.as_teacher(Path(predicted.name).stem)
        extra = None
        if unlabelled_path is not None:
            extra = stack.enter_context(open_faces(unlabelled_path))
            lineage |= _lineage_of(extra)
            warn_of_shared_faces(extra, faces, reporter)
        usable = np.arange(len(faces)) if rows is None else rows
        if val_path is None:
            ids = faces.ids
            split = split_rows([ids[row] for row in usable], val_share, seed)
            train_rows = usable[split.kept]
            val_faces, val_points, val_rows = faces, truth, usable[split.split_off]
            reporter.say(
                f"{counted(len(train_rows), 'face')} to train on, {len(val_rows)} to validate with; {split.description}"
            )
        else:
            others = stack.enter_context(open_faces(val_path))
            others.require("image", "landmarks")
            order = faces.order_of_points(others)
            check_same_origins(faces, others)
            faces.compare_crop(others.crop, val_path, reporter)
            lineage |= _lineage_of(others)
            train_rows = usable
            val_truth, kind = _validation_target(others, targets)
            val_faces, val_points, val_rows = others, val_truth[:, order], np.arange(len(others))
            reporter.say(
                f"{counted(len(train_rows), 'face')} to train on, {len(val_rows)} of {val_path} to "
                f"validate with, by {kind} landmarks"
            )
            n_shared = len(set(faces.ids) & set(others.ids))
            if n_shared:
                reporter.warn(f"{n_shared} of {val_path} are among the faces to train on")
            if extra is not None:
                warn_of_shared_faces(extra, others, reporter)
        train_rows = train_rows[np.isfinite(truth[train_rows]).any(axis=(1, 2))]
        if len(train_rows) < 2:
            raise DataError(f"{faces.name}: fewer than two annotated faces to train on")
        learnt = LearntConventions.of_faces(faces, train_rows, convention, reporter, learns_labels=learns_labels)
        if val_faces is not faces:
            learnt.warn_of_unstated(val_faces, reporter)
        for name, teacher in online.items():
            compare_teacher(learnt, teacher.card, teachers[name], reporter)
        answers = [targets] if targets is not None and targets.role == "predicted" else []
        for predicted in [*answers, *(cached.values() if teaches_labelled else ())]:
            compare_predictions(learnt, faces, train_rows, predicted, reporter)
        unlabelled = None
        if extra is not None:
            tough = online["tough"].card if "tough" in online else None
            unlabelled = unlabelled_set(extra, faces, cached, learnt, tough, reporter)
            _check_trust(trust, faces, online, unlabelled)
        yield Task(
            train=replace(_face_set(faces, points, train_rows, learnt, reporter), rules=learnt.numbers_of_rules()),
            val=_face_set(val_faces, {"truth": val_points}, val_rows, learnt, reporter),
            online=online,
            scheme=faces.scheme,
            crop=faces.crop or CropRule(),
            lineage=lineage,
            learnt=learnt,
            unlabelled=unlabelled,
        )


def _check_trust(trust: str, faces: FacesFile, online: dict[str, LandmarkNet], unlabelled: FaceSet) -> None:
    """Raises UsageError if the teachers cannot tell what this kind of trust is computed from."""
    tough = online.get("tough")
    has_heatmaps = tough is not None and tough.card.head == "heatmap"
    check_trust(
        trust,
        confidence=has_heatmaps or unlabelled.confidence is not None,
        tolerant="tolerant" in online or "tolerant" in unlabelled.points,
        views=tough is not None and faces.scheme.mirror is not None,
    )


def _lineage_of(faces: FacesFile) -> Lineage:
    """What faces to train on are made from; of a file that does not say it, the file."""
    lineage = lineage_of_faces(faces)
    return lineage if lineage.data else lineage | Lineage.of_data([Path(faces.name).name])


def _validation_target(val_faces: FacesFile, targets: FacesFile | None) -> tuple[np.ndarray, str]:
    """Points (N, L, 2) that validation measures against, true pixels of the images, and their name.

    If the targets of training are Soft-landmarks, so are these, by the shape model in the file of the targets.
    """
    if targets is None or "shape_model/mean" not in targets:
        return val_faces.true_landmarks, "hard"
    val_faces.require_scheme(targets.scheme, targets.name)
    soft = soften_faces(val_faces, targets.shape_model, clip=DEFAULT_CLIP)
    return (soft - val_faces.origins("image")[:, None]).astype(np.float32), "Soft-"


def _face_set(
    faces: FacesFile, points: dict[str, np.ndarray], rows: np.ndarray, learnt: LearntConventions, reporter: Reporter
) -> FaceSet:
    """A set of the faces in `rows`; `points` are (N, L, 2) in pixels of the file's images."""
    units = {name: faces.to_frame(p, "unit").astype(np.float32) for name, p in points.items()}
    tensors = {name: torch.from_numpy(p) for name, p in units.items()}
    return FaceSet(faces.images, tensors, rows, learnt.numbers(faces, rows, reporter))


def _is_model(path: str) -> bool:
    try:
        return form_of(path) == SAFETENSORS
    except (FileError, OSError):
        return False  # opening it as a faces file reports what is wrong
