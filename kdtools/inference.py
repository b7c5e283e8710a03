"""Running a network: over the images of a faces file, or over faces found in photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdtools.batches import resize_images
from kdtools.errors import KdError
from kdtools.geometry import apply_affine, unit_to_pixels
from kdtools.images import crop_image, read_image
from kdtools.models import LandmarkNet


def predict_units(
    network: LandmarkNet,
    images: Any,
    rows: np.ndarray | None = None,
    *,
    device: torch.device,
    batch: int,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Landmarks (N, L, 2) float32, unit coordinates, of images (N, H, W, 3) uint8, or of those in `rows`, in order."""
    n_faces = len(images) if rows is None else len(rows)
    found: np.ndarray | None = None
    with torch.inference_mode():
        for first in range(0, n_faces, batch):
            last = min(first + batch, n_faces)
            pixels = images[first:last] if rows is None else images[rows[first:last]]
            inputs = resize_images(torch.from_numpy(np.array(pixels)).to(device), network.card.input_size)
            points = network(inputs.contiguous(memory_format=torch.channels_last)).float().cpu().numpy()
            if found is None:
                found = np.empty((n_faces, *points.shape[1:]), np.float32)
            found[first:last] = points
            progress(last)
    if found is None:
        return np.empty((0, network.card.scheme.n_points, 2), np.float32)
    return found


def predict_crops(network: LandmarkNet, images: Any, **options: Any) -> np.ndarray:
    """As `predict_units`, but in pixels of the images."""
    return unit_to_pixels(predict_units(network, images, **options), *images.shape[1:3])


@dataclass(frozen=True)
class FoundFace:
    """A face in a photograph: `points` (L, 2) in pixels of the photograph, `box` its crop square (4,)."""

    id: str
    source: Path
    points: np.ndarray
    box: np.ndarray
    score: float


@dataclass(frozen=True)
class _Photograph:
    identity: str
    path: Path
    crops: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]  # image, map to source, box, score


def predict_photographs(
    network: LandmarkNet,
    photographs: Iterable[tuple[str, Path]],
    detect: Callable[[np.ndarray], list[tuple[np.ndarray, float]]],
    run_many: Callable[[Callable[[tuple[str, Path]], Any], Iterable[tuple[str, Path]]], Iterator[Any]],
    *,
    device: torch.device,
    skip: Callable[[str, str], None],
    progress: Callable[[int], None],
) -> Iterator[list[FoundFace]]:
    """Yields the faces of each photograph in turn, the largest first.

    `photographs` are (id, path). `detect` gives square boxes around the points of each face and their scores; the crop
    follows the model's own rule. A face's id is that of its photograph, with `#2`, `#3`, ... from the second one on.
    `run_many` reads and detects several photographs at a time, in order.
    """

    def prepare(photograph: tuple[str, Path]) -> _Photograph | KdError:
        identity, path = photograph
        try:
            image = read_image(path)
        except KdError as error:
            return error
        crops = []
        for face_box, score in detect(image):
            box = network.card.crop.square_around_face_box(face_box)
            crop, to_source = crop_image(image, box, network.card.input_size)
            crops.append((crop, to_source, box, score))
        return _Photograph(identity, path, crops)

    listed = list(photographs)
    for k, (prepared, (identity, path)) in enumerate(zip(run_many(prepare, listed), listed, strict=True)):
        progress(k + 1)
        if isinstance(prepared, KdError):
            skip(identity, prepared.message)
            continue
        if not prepared.crops:
            skip(identity, "no face found")
            continue
        pixels = np.stack([crop for crop, *_ in prepared.crops])
        points = predict_crops(network, pixels, device=device, batch=len(pixels))
        yield [
            FoundFace(
                identity if n == 0 else f"{identity}#{n + 1}", path, apply_affine(to_source, points[n]), box, score
            )
            for n, (_, to_source, box, score) in enumerate(prepared.crops)
        ]
