"""What a teacher finds in photographs: labels for the training of the face finder.

    python benchmarks/face_finder/labels.py YUNET.onnx DIR... -o labels.json

YuNet searches each photograph of the folders several times: as it is, mirrored, turned both ways, smaller and larger.
Boxes of the same face are merged. A label is the centre, the side of the square around the face's points, the mean of
the two best scores, and how many searches found the face. Where no search found even a weak candidate is no face.

What was done is kept: a run that was stopped goes on when it is started again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kdtools.images.detection import YuNetDetector
from kdtools.landmarks.boxes import inside, overlaps

LEAST_SCORE = 0.15  # weaker finds are no evidence of a face
SAME_FACE = 0.4  # IoU, of boxes that are merged
MOST_INSIDE = 0.8  # share of a smaller box within a larger one, above which they are one face
SMALL = 400  # px; photographs up to this size, mostly of one face, are searched as they are and mirrored
# scale, degrees, mirrored
SEARCHES = ((1.0, 0, False), (1.0, 0, True), (1.0, 35, False), (1.0, -35, False), (2.0, 0, False), (0.5, 0, True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    labels = json.loads(options.output.read_text()) if options.output.exists() else {}
    network = cv2.FaceDetectorYN.create(options.teacher, "", (320, 320), LEAST_SCORE, 0.3, 5000)
    waiting = [path for folder in options.folders for path in sorted(folder.rglob("*.jpg")) if str(path) not in labels]
    for number, path in enumerate(waiting, start=1):
        labels[str(path)] = find_faces(network, cv2.imread(str(path))).round(3).tolist()
        if number % 200 == 0 or number == len(waiting):
            write(labels, options.output)
            print(f"{number} of {len(waiting)}", flush=True)


def write(labels: dict[str, list], path: Path) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(labels))
    aside.replace(path)


def find_faces(network: cv2.FaceDetectorYN, image: np.ndarray) -> np.ndarray:
    """Faces (N, 5) of an image: x and y of the centre, side, score, number of searches that found it."""
    searches = SEARCHES if max(image.shape) > SMALL else SEARCHES[:2]
    rows = np.array([row for search in searches for row in one_search(network, image, *search)])
    if not len(rows):
        return np.empty((0, 5))
    rows = rows[np.argsort(-rows[:, 3])]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:3] / 2, rows[:, :2] + rows[:, 2:3] / 2], axis=1)
    is_same = (overlaps(boxes, boxes) >= SAME_FACE) | (inside(boxes, boxes) >= MOST_INSIDE)
    faces, is_left = [], np.ones(len(rows), bool)
    for k in range(len(rows)):
        if is_left[k]:
            group = rows[is_same[k] & is_left]
            is_left &= ~is_same[k]
            strong = group[group[:, 3] >= 0.7 * group[0, 3]]
            # By the two best scores: one search alone may err.
            score = np.sort(group[:, 3])[::-1][:2].sum() / 2
            faces.append([*np.average(strong[:, :3], axis=0, weights=strong[:, 3]), score, len(group)])
    return np.array(faces)


def one_search(
    network: cv2.FaceDetectorYN, image: np.ndarray, scale: float, degrees: float, mirrored: bool
) -> Iterator[list[float]]:
    """Centre, side and score of the faces in the image as it is when scaled, turned and mirrored."""
    height, width = (max(32, round(side * scale)) for side in image.shape[:2])
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, scale)
    turn[:, 2] += np.array([width - image.shape[1], height - image.shape[0]]) / 2
    if mirrored:
        turn = np.array([[-1, 0, width - 1.0], [0, 1, 0]]) @ np.vstack([turn, [0, 0, 1]])
    network.setInputSize((width, height))
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    _, found = network.detect(cv2.warpAffine(image, turn, (width, height), flags=flags))
    back = cv2.invertAffineTransform(turn)
    relation = YuNetDetector.relation
    for row in [] if found is None else found.astype(float):
        if not np.isfinite(row).all() or row[2:4].min() <= 0:
            continue
        longer = row[2:4].max()
        points = row[4:14].reshape(5, 2)  # eyes, nose, corners of the mouth
        down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
        length = np.linalg.norm(down)
        down = down / length if length > 0.1 * longer else np.array([0.0, 1.0])
        centre = row[:2] + row[2:4] / 2 + relation.shift_y * longer * down
        yield [*(back @ [*centre, 1]), relation.side * longer / scale, row[14]]


if __name__ == "__main__":
    main()
