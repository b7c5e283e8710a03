"""Running a network: over the images of a faces file, or over faces found in photographs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdtools.batches import release_pages, resize_images
from kdtools.detect import Detector
from kdtools.errors import KdError, reason_of
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
            release_pages(images)
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
    image: np.ndarray
    crops: list[tuple[np.ndarray, np.ndarray]]  # pixels and map to the photograph
    boxes: list[np.ndarray]
    scores: list[float]


def predict_photographs(
    network: LandmarkNet,
    photographs: Iterable[tuple[str, Path]],
    detector: Detector,
    run_many: Callable[[Callable[[tuple[str, Path]], Any], Iterable[tuple[str, Path]]], Iterator[Any]],
    *,
    refine: int,
    batch: int,
    device: torch.device,
    skip: Callable[[str, str], None],
    progress: Callable[[int], None],
) -> Iterator[list[FoundFace]]:
    """Yields the faces of each photograph in turn, the largest first.

    `photographs` are (id, path). The crop around what `detector` finds follows the model's own rule, and `refine` times
    it is taken again around the points found: the rule is then met as in training, whatever the detector frames, and
    whatever part of the face the model's points span. A face's id is that of its photograph, with `#2`, `#3`, ... from
    the second one on. `run_many` reads and detects several photographs at a time, in order.
    """
    size, rule = network.card.input_size, network.card.crop

    def prepare(photograph: tuple[str, Path]) -> _Photograph | str:
        """The photograph, or why there is none: one bad image must not end a run over thousands."""
        try:
            image = read_image(photograph[1])
            found = detector.find_faces(image, photograph[0])
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)
        prepared, reasons = _Photograph(image, [], [], []), []
        for face in found:
            square = face.crop_square(rule)
            try:
                crop = crop_image(image, square, size)
            except (KdError, MemoryError) as error:
                reasons.append(reason_of(error))  # one absurd box must not cost the others
                continue
            prepared.crops.append(crop)
            prepared.boxes.append(square)
            prepared.scores.append(face.score)
        return reasons[0] if reasons and not prepared.crops else prepared

    def predict(crops: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        points = predict_crops(network, np.stack([pixels for pixels, _ in crops]), device=device, batch=batch)
        return apply_affine(np.stack([to_source for _, to_source in crops]), points)

    listed = list(photographs)
    for k, (prepared, (identity, path)) in enumerate(zip(run_many(prepare, listed), listed, strict=True)):
        progress(k + 1)
        if isinstance(prepared, str):
            skip(identity, prepared)
            continue
        if not prepared.crops:
            skip(identity, "no face found")
            continue
        points, boxes, crops = predict(prepared.crops), prepared.boxes, prepared.crops
        for _ in range(refine):
            for n, face in enumerate(points):
                with contextlib.suppress(KdError):  # points in one place, or beside the photograph: the crop stays
                    square = rule.square_around_points(face)
                    crops[n], boxes[n] = crop_image(prepared.image, square, size), square
            points = predict(crops)
        yield [
            FoundFace(identity if n == 0 else f"{identity}#{n + 1}", path, points[n], boxes[n], prepared.scores[n])
            for n in range(len(points))
        ]
