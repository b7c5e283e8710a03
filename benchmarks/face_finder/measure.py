"""How good a face finder is, beside the other detectors.

    python benchmarks/face_finder/measure.py DATA [--finder finder.onnx] [--labels labels.json] [--yunet FILE]
        [--draw DIR] [--score 0.5] [--every N]

Recall on the annotated faces of DATA/scenes, also with the photographs turned by 20 and 40 degrees, and photographs a
second; with --labels (of labels.py) also agreement with the teacher on the scenes that train.py kept apart, for several
least scores. --draw writes the scenes with what was found, to count false finds by eye.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from views import HELD_OUT, SURE, corners, read_labels

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.images.detection import CascadeDetector, YuNetDetector
from kdtools.images.detection.finder import MIN_SCORE, FaceFinder
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import inside, overlaps
from kdtools.landmarks.crop_rule import points_square

SAME_FACE = 0.25
LEAST_SIDE = 30.0  # px, of the faces that should be found
SCORES = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--finder", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--yunet")
    parser.add_argument("--cascade", action="store_true")
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--score", type=float, default=MIN_SCORE)
    parser.add_argument("--every", type=int, default=1, help="measure on each N-th annotated photograph only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detectors = [FaceFinder(options.finder, options.score)]
    if options.yunet:
        detectors.append(YuNetDetector(options.yunet))
    if options.cascade:
        detectors.append(CascadeDetector())
    scenes = dict(list(annotated_scenes(options.data).items())[:: options.every])
    print(f"{sum(map(len, scenes.values()))} annotated faces in {len(scenes)} scenes")
    for detector in detectors:
        print(detector.name)
        for degrees in (0, -40, -20, 20, 40):
            print(f"  {recall(detector, scenes, degrees)}", flush=True)
    for detector in detectors:
        print(f"{detector.name}: {speed(detector, list(scenes)):.1f} photographs/s at 640 px, one core")
    if options.labels:
        apart = read_labels(options.labels, options.data / "unlabelled" / "wflw_scenes")[::HELD_OUT]
        agreement(FaceFinder(options.finder, min(SCORES)), apart)
    if options.draw:
        draw(detectors[0], options.data / "scenes", options.draw)


def annotated_scenes(data: Path) -> dict[Path, list[np.ndarray]]:
    """The squares around the points of the annotated faces of each photograph."""
    found: dict[Path, list[np.ndarray]] = defaultdict(list)
    sources = [
        Sources([str(data / "scenes" / "dlib" / "training_with_face_landmarks.xml")]),
        Sources(
            [str(data / "annotations" / "wflw68_lists" / "wflw_list_68pt_rect_attr_test.txt")],
            roots=[str(data / "scenes" / "wflw")],
        ),
    ]
    for source in sources:
        for one in read_annotations(source):
            if Path(one.image).is_file() and np.isfinite(one.points).all():
                found[Path(one.image)].append(points_square(one.points))
    return found


def recall(detector, scenes: dict[Path, list[np.ndarray]], degrees: float) -> str:
    sizes, is_found, n_more, shares = [], [], 0, []
    for path, squares in scenes.items():
        image = read_image(path)
        turn = np.eye(2, 3)
        if degrees:
            image, turn = turned(image, degrees)
        boxes = np.reshape([one.box for one in detector.find_faces(image, "")], (-1, 4))
        for square in squares:
            centre = turn[:, :2] @ ((square[:2] + square[2:]) / 2) + turn[:, 2]
            half = (square[2] - square[0]) / 2
            share = overlaps(np.array([[*(centre - half), *(centre + half)]]), boxes)[0].max(initial=0)
            sizes.append(2 * half)
            is_found.append(share >= SAME_FACE)
            shares.append(share)
        n_more += len(boxes)
    large, hit = np.array(sizes) >= LEAST_SIDE, np.array(is_found)
    return (
        f"{degrees:+} degrees: {100 * hit.mean():.1f} % of {len(hit)} found, {100 * hit[large].mean():.1f} % of "
        f"{large.sum()} from {LEAST_SIDE:.0f} px on; median IoU {np.median(np.array(shares)[hit]):.2f}; "
        f"{n_more} boxes in all"
    )


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The image turned about its middle, with room for its corners, and the map (2, 3) to it."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    size = np.ceil([width * cos + height * sin, width * sin + height * cos]).astype(int)
    turn[:, 2] += (size - np.array([width, height])) / 2
    return cv2.warpAffine(image, turn, size.tolist(), borderMode=cv2.BORDER_REPLICATE), turn


def speed(detector, paths: list[Path]) -> float:
    images = [read_image(path) for path in paths[:30]]
    images = [cv2.resize(image, None, fx=(s := 640 / max(image.shape)), fy=s) for image in images]
    detector.find_faces(images[0], "")
    began = time.process_time()  # other work on the machine does not count
    for image in images:
        detector.find_faces(image, "")
    return len(images) / (time.process_time() - began)


def agreement(finder: FaceFinder, scenes: list) -> None:
    """With the teacher: share of its sure faces that are found, and finds where it saw nothing at all."""
    rows = [(scene, finder.find_boxes(scene.read())) for scene in scenes]
    for least in SCORES:
        n_sure = n_found = n_false = 0
        for scene, found in rows:
            boxes = np.reshape([box for box, score in found if score >= least], (-1, 4))
            sides = scene.faces[:, 2]
            sure = corners(scene.faces[(scene.faces[:, 3] >= SURE) & (sides >= LEAST_SIDE)])
            n_sure += len(sure)
            n_found += int((overlaps(sure, boxes).max(axis=1, initial=0) >= SAME_FACE).sum())
            any_face = corners(scene.faces)
            is_near = (overlaps(boxes, any_face) >= SAME_FACE) | (inside(boxes, any_face) >= 0.7)
            n_false += int((~is_near.any(axis=1)).sum())
        print(
            f"score {least}: {100 * n_found / n_sure:.1f} % of the teacher's {n_sure} faces, "
            f"{n_false / len(rows):.2f} finds a photograph where it saw nothing ({len(rows)} scenes kept apart)"
        )


def draw(detector, folder: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*.jpg")):
        image = read_image(path)
        for box, score in detector.find_boxes(image):
            low, high = (tuple(np.round(corner).astype(int).tolist()) for corner in (box[:2], box[2:]))
            cv2.rectangle(image, low, high, (0, 255, 0) if score >= 0.6 else (255, 160, 0), 2)
            cv2.putText(image, f"{score:.2f}", (low[0], low[1] - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
        cv2.imwrite(str(output / f"{path.stem}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
