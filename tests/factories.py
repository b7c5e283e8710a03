"""Faces that tests write and draw."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.faces import create_faces
from kdtools.landmarks import Scheme, scheme_for_points
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.storage.provenance import Provenance
from kdtools.synth import draw_faces
from kdtools.training.settings import Settings

# A training of seconds; tests replace what they are about.
TINY_TRAINING = Settings(
    arch="test_resnet",
    input_size=32,
    loss="l1",
    variant="reference",
    epochs=3,
    batch=8,
    lr=2e-3,
    schedule="cosine",
    augmentation="mild",
    init="none",
    seed=3,
    val_share=0.25,
)


def write_faces(
    path: str | os.PathLike[str],
    points: np.ndarray | None = None,
    *,
    ids: Sequence[str] | None = None,
    images: np.ndarray | None = None,
    scheme: Scheme | None = None,
    role: str = "hard",
    crop: CropRule | None = None,
    shape_model: ShapeModel | None = None,
    provenance: Provenance | None = None,
    box_origin: str = "",
    conventions: Sequence[Convention] | None = None,
    **arrays: Any,
) -> Path:
    """Write a faces file of `points` (N, L, 2), `images` (N, H, W, 3) or `ids` alone, over one that is there.

    Other arrays of the format go by their names, subset/NAME as `subset_NAME`; one that is None is left out. Ids are
    face0, face1... unless given, and the scheme is that known for L points. No face at all is allowed. All faces are of
    the first of `conventions` unless `convention` names that of each.
    """
    if ids is None:
        rows = images if points is None else points
        assert rows is not None, "points, images or ids"
        ids = [f"face{k}" for k in range(len(rows))]
    with create_faces(str(path), True, provenance or Provenance("test"), may_be_empty=not len(ids)) as writer:
        writer.put_ids(ids)
        if images is not None:
            writer.create_images(*images.shape[:3])[...] = images
        if points is not None:
            writer.put_landmarks(points, scheme or scheme_for_points(points.shape[1]), role)
        if crop is not None:
            writer.put_crop(crop)
        if shape_model is not None:
            writer.put_shape_model(shape_model)
        if conventions is not None:
            writer.put_conventions(conventions, arrays.pop("convention", None) or [conventions[0].name] * len(ids))
        for name, values in arrays.items():
            if values is not None:
                attributes = {"origin": box_origin} if name == "box" and box_origin else {}
                writer.put(name.replace("subset_", "subset/"), values, **attributes)
    return Path(path)


def plain_images(n: int, size: int, grey: int = 0) -> np.ndarray:
    """Images (N, size, size, 3) of one grey."""
    return np.full((n, size, size, 3), grey, np.uint8)


def drawn_faces(n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, size, size, 3) of drawn heads and their 68 points (N, 68, 2)."""
    images, points, _ = zip(*draw_faces(n, size, seed), strict=True)
    return np.stack(images), np.stack(points)
