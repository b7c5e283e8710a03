"""Faces as tasks of Label Studio, each with a prediction to correct. What its files hold: labelstudio.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np
import orjson

from kdtools.datasets.formats.shared.annotation import Blocks, FaceBlock
from kdtools.errors import DataError
from kdtools.landmarks import Scheme

LOCAL_FILES = "/data/local-files/?d="


def write(blocks: Blocks, scheme: Scheme, stream: BinaryIO) -> None:
    """Tasks with one prediction each, to be corrected in Label Studio. Faces of one image should follow one another.

    Tags are called keypoints, faces and visibility; images are /data/local-files/?d=NAME, which Label Studio serves
    from a local folder. Raises DataError where the size of a picture is not known, for its numbers are percent of it.
    """
    names = scheme.names or tuple(map(str, range(scheme.n_points)))
    stream.write(b"[")
    faces: list[tuple[FaceBlock, int]] = []
    n_tasks = 0
    for block in blocks():
        for k, name in enumerate(block.images):
            if faces and name != faces[0][0].images[faces[0][1]]:
                stream.write((b",\n" if n_tasks else b"\n") + _task(faces, names))
                faces, n_tasks = [], n_tasks + 1
            faces.append((block, k))
    if faces:
        stream.write((b",\n" if n_tasks else b"\n") + _task(faces, names))
    stream.write(b"]\n")


def _task(faces: Sequence[tuple[FaceBlock, int]], names: Sequence[str]) -> bytes:
    block, k = faces[0]
    name = block.images[k]
    if block.sizes is None or not (block.sizes[k] > 0).all():
        raise DataError(
            f"{name}: its width and height are not known, and Label Studio's numbers are percent of them",
            "name the folder of the pictures with --images, or write the crops with --crops",
        )
    width, height = (int(side) for side in block.sizes[k])
    result = [
        item for n, (block, k) in enumerate(faces, start=1) for item in _face(block, k, n, names, (width, height))
    ]
    task = {
        "data": {"image": LOCAL_FILES + quote(name), "kd_names": list(names)},
        "predictions": [{"model_version": "kdtools", "result": result}],
    }
    return orjson.dumps(task, option=orjson.OPT_SERIALIZE_NUMPY)


def _face(
    block: FaceBlock, k: int, number: int, names: Sequence[str], size: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """A rectangle where the face has a box, and its points, which are tied to it or to the first of them."""
    percent = 100 / np.array(size, np.float64)
    common = {"to_name": "image", "original_width": size[0], "original_height": size[1], "image_rotation": 0}
    parent = None
    if block.annotated_boxes is not None and np.isfinite(block.annotated_boxes[k]).all():
        (x0, y0), (x1, y1) = block.annotated_boxes[k].reshape(2, 2).astype(np.float64) * percent
        parent = f"face{number}"
        value = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "rotation": 0, "rectanglelabels": ["face"]}
        yield {**common, "id": parent, "from_name": "faces", "type": "rectanglelabels", "value": value}
    for index in np.flatnonzero(np.isfinite(block.points[k]).all(axis=-1)).tolist():
        key = f"face{number}_{index}"
        x, y = block.points[k, index].astype(np.float64) * percent
        value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [names[index]]}
        item = {**common, "id": key, "from_name": "keypoints", "type": "keypointlabels", "value": value}
        if parent is not None:
            item["parentID"] = parent
        if block.confidence is not None and np.isfinite(block.confidence[k, index]):
            item["score"] = float(block.confidence[k, index])
        parent = parent or key
        yield item
        if block.visible is not None and not block.visible[k, index]:
            yield {
                **item,
                "from_name": "visibility",
                "type": "choices",
                "value": {"x": x, "y": y, "choices": ["hidden"]},
            }
