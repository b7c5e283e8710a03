"""How well faces are placed by their size, and how those are found that fill their photograph.

    python benchmarks/face_finder/sizes.py DATA [--finder finder.onnx] [--yunet FILE]

For every ninth face of DATA/lfpw68/train, at several sides of the face: what one search finds in the whole photograph;
and at several sides of the photograph, with only a tenth of the face's side around it: what the detector finds. The
finder was trained on these faces, so this is about the search alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.images.detection import FaceFinder, YuNetDetector
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import points_square

EVERY = 9
SAME_FACE = 0.5  # IoU
SIDES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 400, 500)  # px, of the face
SIDES_ALONE = (150, 250, 320, 400, 640, 1000, 1400, 2000, 3000)  # px, of the photograph
ROOM = 0.1  # around the face, as a fraction of its side

Detector = FaceFinder | YuNetDetector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--finder", type=Path)
    parser.add_argument("--yunet")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = list(read_annotations(Sources([str(options.data / "lfpw68" / "train")])))[::EVERY]
    photographs = [(read_image(Path(one.image)), points_square(one.points)) for one in faces]
    for detector in [FaceFinder(options.finder), *([YuNetDetector(options.yunet)] if options.yunet else [])]:
        print(f"{detector.name}, {len(faces)} faces, one search, by the side of the face")
        for side in SIDES:
            print(f"  {side} px: {summary([in_one_search(detector, *one, side) for one in photographs])}", flush=True)
        print(f"{detector.name}, {len(faces)} faces that fill their photographs, by the longer side of these")
        for side in SIDES_ALONE:
            shares = [best(detector, *one) for one in alone(photographs, side)]
            print(f"  {side} px: {summary(shares)}", flush=True)


def in_one_search(detector: Detector, image: np.ndarray, square: np.ndarray, side: int) -> float:
    if isinstance(detector, YuNetDetector):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    boxes, _ = detector._search(image, side / (square[2] - square[0]))
    squares = np.reshape([detector.relation.points_square(box) for box in boxes], (-1, 4))
    return overlaps(square[None], squares)[0].max(initial=0)


def alone(photographs: list[tuple[np.ndarray, np.ndarray]], side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs of this longer side that show little but the face, and its squares in them."""
    for image, square in photographs:
        room = ROOM * (square[2] - square[0])
        x0, y0 = np.maximum(square[:2] - room, 0).astype(int)
        x1, y1 = (square[2:] + room).astype(int)
        part = image[y0:y1, x0:x1]
        scale = side / max(part.shape[:2])
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield part, (square - np.array([x0, y0, x0, y0])) * scale


def best(detector: Detector, image: np.ndarray, square: np.ndarray) -> float:
    boxes = np.reshape([found.box for found in detector.find_faces(image, "")], (-1, 4))
    return overlaps(square[None], boxes)[0].max(initial=0)


def summary(shares: list) -> str:
    return f"{100 * np.mean(np.array(shares) >= SAME_FACE):.0f} % found, mean IoU {np.mean(shares):.2f}"


if __name__ == "__main__":
    main()
