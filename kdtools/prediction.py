"""From an input to a faces file of predictions, and to pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from kdtools.detect import CascadeDetector
from kdtools.errors import DataError, FileError
from kdtools.files import FacesFile, Provenance, check_unique_ids, create_faces, open_faces
from kdtools.formats import image_folder
from kdtools.formats.annotation import id_prefixes
from kdtools.images import draw_landmarks, read_image, write_image
from kdtools.inference import FoundFace, predict_crops, predict_photographs
from kdtools.models import LandmarkNet
from kdtools.parallel import map_bounded


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
            warn(
                f"{faces.name} is cropped with a margin of {faces.crop.margin:g}, but the model was trained with "
                f"{network.card.crop.margin:g}"
            )
        drawings = _plan_drawings(faces.ids, _sources_of(faces), draw, force)
        images, device = faces.images, network.head.weight.device
        points = predict_crops(network, images, device=device, batch=batch, progress=progress)
        with create_faces(output, force, provenance) as writer:
            writer.put_ids(faces.ids)
            writer.put_landmarks(faces.points_to_source(points), scheme, "predicted")
            writer.copy_companions(faces)
            for k, path in enumerate(drawings):
                _write_drawing(draw_landmarks(images[k], points[k], scheme), path)
        return len(points)


def predict_images(
    network: LandmarkNet,
    inputs: Sequence[str],
    output: str,
    force: bool,
    provenance: Provenance,
    *,
    draw: str | None,
    batch: int,
    jobs: int,
    skip: Callable[[str, str], None],
    progress: Callable[[int], None],
) -> int:
    """Find and predict the faces in images and folders of images; returns how many.

    Raises FileError for an input that is absent, DataError where no face was found at all.
    """
    photographs = list_photographs(inputs)
    drawings = dict(
        zip(
            (path for _, path in photographs),
            _plan_drawings([i for i, _ in photographs], [path for _, path in photographs], draw, force),
            strict=draw is not None,
        )
    )
    found: list[FoundFace] = []
    groups = predict_photographs(
        network,
        photographs,
        CascadeDetector(),
        partial(map_bounded, jobs=jobs),
        batch=batch,
        device=network.head.weight.device,
        skip=skip,
        progress=progress,
    )
    for faces in groups:
        found += faces
        if draw is not None:
            image = read_image(faces[0].source)
            for face in faces:
                image = draw_landmarks(image, face.points, network.card.scheme)
            _write_drawing(image, drawings[faces[0].source])
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
        listed += [(prefix + one.id, one.image) for one in image_folder.read(path, 0, lambda *_: None)]
    if not listed:
        raise FileError(f"{', '.join(inputs)}: no images in there")
    check_unique_ids([identity for identity, _ in listed])
    return listed


def _sources_of(faces: FacesFile) -> list[Path]:
    return [Path(name) for name in faces.h5["source"].asstr()[...]] if "source" in faces else []


def _plan_drawings(ids: Sequence[str], sources: Sequence[Path], draw: str | None, force: bool) -> list[Path]:
    """A picture's path for each id, in the folder `draw`, without parts of the id that would lead out of it.

    Raises FileError, before anything is predicted, for a picture that is there without `force`, and always for one
    that would replace a photograph of the user.
    """
    if draw is None:
        return []
    folder = Path(draw)
    folder.mkdir(parents=True, exist_ok=True)
    originals = {source.resolve() for source in sources}
    planned = []
    for identity in ids:
        path = folder.joinpath(*(part for part in PurePosixPath(identity).parts if part not in ("/", "..")))
        if path.suffix.lower() not in (".jpg", ".png"):
            path = path.with_name(path.name + ".png")
        if path.resolve() in originals:
            raise FileError(f"{path}: is one of the photographs", "give --draw a folder of its own")
        if path.exists() and not force:
            raise FileError(f"{path}: exists already", "add -f to replace it, or give --draw another folder")
        planned.append(path)
    return planned


def _write_drawing(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
