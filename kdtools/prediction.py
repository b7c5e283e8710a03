"""From an input to a faces file of predictions, and to pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from kdtools.detect import CascadeDetector
from kdtools.errors import DataError, FileError
from kdtools.files import FacesFile, Provenance, create_faces, open_faces
from kdtools.formats.annotation import images_below
from kdtools.images import draw_landmarks, read_image, write_image
from kdtools.importing import map_bounded
from kdtools.inference import FoundFace, predict_crops, predict_photographs
from kdtools.models import LandmarkNet


def predict_faces_file(
    network: LandmarkNet,
    source: str,
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    draw: str | None,
    batch: int,
    progress: Callable[[int], None],
) -> int:
    """Predict all faces of a faces file; returns how many. The points are written in pixels of the source images.

    Raises DataError where the file's own points are of another number than the model's.
    """
    with open_faces(source) as faces:
        faces.require("image")
        scheme = network.card.scheme
        if "landmarks" in faces:
            faces.require_points(scheme.n_points, "the model")
        images, device = faces.images, network.head.weight.device
        points = predict_crops(network, images, device=device, batch=batch, progress=progress)
        with create_faces(output, force, provenance) as writer:
            writer.put_ids(faces.ids)
            writer.put_landmarks(faces.points_to_source(points), scheme, "predicted")
            writer.copy_companions(faces)
            if draw is not None:
                _draw_faces(faces, points, network, Path(draw))
        return len(points)


def predict_images(
    network: LandmarkNet,
    inputs: Sequence[str],
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    draw: str | None,
    jobs: int,
    skip: Callable[[str, str], None],
    progress: Callable[[int], None],
) -> int:
    """Find and predict the faces in images and folders of images; returns how many.

    Raises FileError for an input that is absent, DataError where no face was found at all.
    """
    photographs = list_photographs(inputs)
    if draw is not None:
        Path(draw).mkdir(parents=True, exist_ok=True)
    found: list[FoundFace] = []
    groups = predict_photographs(
        network,
        photographs,
        CascadeDetector(),
        partial(map_bounded, jobs=jobs),
        device=network.head.weight.device,
        skip=skip,
        progress=progress,
    )
    for faces in groups:
        found += faces
        if draw is not None:
            _draw_photograph(faces, network, Path(draw))
    if not found:
        raise DataError(f"no face found in {len(photographs)} images")
    with create_faces(output, force, provenance) as writer:
        writer.put_ids([face.id for face in found])
        writer.put_landmarks(np.stack([face.points for face in found]), network.card.scheme, "predicted")
        writer.put("box", np.stack([face.box for face in found]))
        writer.put("source", [str(face.source) for face in found])
        writer.put("score", [face.score for face in found])
    return len(found)


def list_photographs(inputs: Sequence[str]) -> list[tuple[str, Path]]:
    """(id, path) of every image; ids are paths inside the folder, or as given for a single image."""
    listed: list[tuple[str, Path]] = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            prefix = f"{path.name}/" if len(inputs) > 1 else ""
            listed += [(prefix + image.relative_to(path).as_posix(), image) for image in images_below(path)]
        elif path.exists():
            listed.append((name, path))
        else:
            raise FileError(f"{name}: no such file or directory")
    if not listed:
        raise FileError(f"{', '.join(inputs)}: no images in there")
    return listed


def _draw_faces(faces: FacesFile, points: np.ndarray, network: LandmarkNet, folder: Path) -> None:
    images = faces.images
    for k, identity in enumerate(faces.ids):
        _write_drawing(draw_landmarks(images[k], points[k], network.card.scheme), identity, folder)


def _draw_photograph(faces: list[FoundFace], network: LandmarkNet, folder: Path) -> None:
    image = read_image(faces[0].source)
    for face in faces:
        image = draw_landmarks(image, face.points, network.card.scheme)
    _write_drawing(image, faces[0].id, folder)


def _write_drawing(image: np.ndarray, identity: str, folder: Path) -> None:
    """Under the face's id, without the parts of it that would lead out of `folder`."""
    parts = [part for part in PurePosixPath(identity).parts if part not in ("/", "..")]
    path = folder.joinpath(*parts)
    path = path.with_name(path.name + ".png") if path.suffix.lower() not in (".jpg", ".png") else path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
