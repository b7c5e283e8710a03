"""MMPose's predictions as MMPoseInferencer writes them (pred_out_dir): a JSON file a picture, a list of its faces.

[{"keypoints": [[x, y], ...], "keypoint_scores": [0.9, ...], "bbox": [[x0, y0, x1, y1]], "bbox_score": 0.8}, ...]

Nothing but the file's own name tells the picture, without its suffix; so the ids have none. The demos
(topdown_demo_with_mmdet.py --save-predictions) write results_NAME.json, in which {"meta_info": ..., "instance_info":
[...]} holds that list. Of a video both have {"frame_id": 12, "instances": [...]} in place of faces: the inferencer
counts frames from 0, the demos from 1.

They belong to the format `coco`, which knows all that MMPose writes.

Source: mmpose/structures/utils.py (split_instances), mmpose/apis/inferencers/base_mmpose_inferencer.py and
demo/topdown_demo_with_mmdet.py of github.com/open-mmlab/mmpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, box_from_corners
from kdtools.datasets.formats.shared.coco_json import finite_or_none
from kdtools.datasets.formats.shared.frames import find_still
from kdtools.datasets.formats.shared.image_beside import frame_name
from kdtools.datasets.formats.shared.text_lists import files_like, load_json, numbers_of, pairs_of, peek_text
from kdtools.errors import DataError, FileError

_OF_DEMO = "results_"


def files_of_predictions(source: Path) -> list[Path]:
    """The file, or those of a folder; a picture without faces has an empty list, which is left out."""
    return files_like(source, "*.json", _looks_right)


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    if text.startswith("["):
        return '"keypoint_scores"' in text and '"keypoints"' in text
    return text.startswith("{") and ('"instance_info"' in text or text[1:].lstrip().startswith('"meta_info"'))


def read_predictions(files: Sequence[Path], reading: Reading) -> Iterator[Annotation]:
    """Faces of all files, in their order; what is wrong with one is skipped."""
    for path in files:
        try:
            faces = list(_faces_in(path))
        except (DataError, FileError) as error:
            reading.skip(str(path), error.message)
            continue
        for where, name, entry in faces:
            try:
                points, confidence, box = _parse(entry)
            except DataError as error:
                reading.skip(where, error.message)
                continue
            image = find_still(reading, name, path.parent, where)
            if image is not None:
                yield Annotation(
                    reading.number(name),
                    image,
                    points - reading.base,
                    confidence=confidence,
                    box=None if box is None else box - reading.base,
                    score=finite_or_none(entry.get("bbox_score")),
                )


def _faces_in(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Where each face stands, the name of its picture without a suffix, and the face. Raises as `load_json` does."""
    document, name, first = load_json(path), path.stem, 0
    if isinstance(document, dict):
        document, name, first = document.get("instance_info"), name.removeprefix(_OF_DEMO) or name, 1
    if not isinstance(document, list):
        raise DataError("holds no list of faces")
    for k, entry in enumerate(document):
        where = f"{path}:[{k}]"
        if not isinstance(entry, dict) or "instances" not in entry:
            yield where, name, entry
            continue
        frame, faces = entry.get("frame_id"), entry["instances"]
        if type(frame) is not int or frame < first or not isinstance(faces, list):
            raise DataError(f"entry {k} is not a frame of a video")
        for face in faces:
            yield where, frame_name(name, frame - first), face


def _parse(entry: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Points (L, 2), confidence (L,) and box (4,) as they stand in the file."""
    if not isinstance(entry, dict):
        raise DataError("is not a JSON object")
    points = pairs_of(entry.get("keypoints"), "keypoints")
    confidence = numbers_of(entry.get("keypoint_scores"), "keypoint_scores")
    if len(confidence) != len(points):
        raise DataError(f"{len(points)} keypoints with {len(confidence)} keypoint_scores")
    box = entry.get("bbox")
    if isinstance(box, list) and len(box) == 1:
        box = box[0]
    if box is None:
        return points, confidence, None
    corners = numbers_of(box, "bbox")
    if len(corners) != 4:
        raise DataError(f"bbox: {len(corners)} numbers, not 4")
    return points, confidence, box_from_corners(*corners)
