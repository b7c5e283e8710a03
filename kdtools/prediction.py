"""From an input to a faces file of predictions, and to pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kdtools.detect import BoxesFile, Detector
from kdtools.errors import DataError, FileError, some_of
from kdtools.files import FacesFile, Provenance, check_unique_ids, create_faces, open_faces
from kdtools.formats import image_folder
from kdtools.formats.annotation import id_prefixes
from kdtools.images import draw_landmarks, read_image, write_image
from kdtools.inference import FoundFace, predict_crops, predict_photographs
from kdtools.models import LandmarkNet
from kdtools.parallel import map_bounded
from kdtools.viewing.pictures import claim_pictures


def predict_faces_file(
    network: LandmarkNet,
    source: str,
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    draw: str | None,
    batch: int,
    warn: Callable[[str], None],
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
        if faces.crop is not None and faces.crop != network.card.crop:
            rules = faces.crop.to_json(), network.card.crop.to_json()
            warn(f"{faces.name} is cropped by the rule {rules[0]}, the model by {rules[1]}")
        drawings = _claim_drawings(faces.ids, _sources_of(faces), draw, force)
        images, device = faces.images, network.device
        points = predict_crops(network, images, device=device, batch=batch, progress=progress)
        with create_faces(output, force, provenance) as writer:
            writer.put_ids(faces.ids)
            writer.put_landmarks(faces.points_to_source(points), scheme, "predicted")
            writer.copy_companions(faces)
            for k, path in enumerate(drawings.values()):
                _write_drawing(draw_landmarks(images[k], points[k], scheme), path)
        return len(points)


def predict_images(
    network: LandmarkNet,
    inputs: Sequence[str],
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    detector: Detector,
    refine: int,
    draw: str | None,
    batch: int,
    jobs: int,
    skip: Callable[[str, str], None],
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None],
) -> int:
    """Find and predict the faces in images and folders of images; returns how many.

    Raises FileError for an input that is absent, DataError where no face was found at all.
    """
    photographs = list_photographs(inputs)
    drawings = _claim_drawings([i for i, _ in photographs], [path for _, path in photographs], draw, force)
    found: list[FoundFace] = []
    groups = predict_photographs(
        network,
        photographs,
        detector,
        partial(map_bounded, jobs=jobs),
        refine=refine,
        batch=batch,
        device=network.device,
        skip=skip,
        progress=progress,
    )
    for faces in groups:
        found += faces
        if draw is not None:
            image = read_image(faces[0].source)
            for face in faces:
                image = draw_landmarks(image, face.points, network.card.scheme)
            _write_drawing(image, drawings[faces[0].id])
    if isinstance(detector, BoxesFile) and detector.unused:
        warn(f"there are boxes of {len(detector.unused)} names that no image has: {some_of(detector.unused)}")
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
    """(id, path) of every image; ids are paths inside the folder, as kd-import makes them of a folder of images.

    Raises FileError for an input that is absent, DataError for ids that are equal.
    """
    listed: list[tuple[str, Path]] = []
    for name, prefix in zip(inputs, id_prefixes(inputs), strict=True):
        path = Path(name)
        if not path.exists():
            raise FileError(f"{name}: no such file or directory")
        listed += [(prefix + one.id, one.image) for one in image_folder.read(path)]
    if not listed:
        raise FileError(f"{', '.join(inputs)}: no images in there")
    check_unique_ids([identity for identity, _ in listed])
    return listed


def _sources_of(faces: FacesFile) -> list[Path]:
    return [Path(name) for name in faces.h5["source"].asstr()[...]] if "source" in faces else []


def _claim_drawings(ids: Sequence[str], sources: Sequence[Path], draw: str | None, force: bool) -> dict[str, Path]:
    """A picture's path for each id in the folder `draw`; none without one. Raises as `claim_pictures` does."""
    return {} if draw is None else claim_pictures(ids, Path(draw), sources, force)


def _write_drawing(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
