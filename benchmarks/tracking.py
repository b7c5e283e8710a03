"""How far followed faces are from those found anew in each frame, and how much sooner they are found.

    python benchmarks/tracking.py CLIP MODEL DETECTOR [--frames FIRST:STOP]

Follows the faces of a video as kd-predict does, and predicts its frames one by one as pictures. Distances are means
over a face's points, in percent of the distance of the outer corners of the eyes of the nearest face found in the
picture. Also tells how many followed faces have none within that distance, how many are not followed, how often the
detector looked, and the seconds of both. They take turns frame by frame, so other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import islice

import numpy as np

from kdtools.images.detection import Found, find_detector
from kdtools.prediction.engines import load_engine
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.photograph_work import PhotographWork, Search
from kdtools.prediction.video_work import VideoWork


class CountedDetector:
    """A detector, and how often it was asked."""

    def __init__(self, name: str) -> None:
        self._detector = find_detector(name)
        self.name, self.relation, self.n_searches = self._detector.name, self._detector.relation, 0

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        self.n_searches += 1
        return self._detector.find_faces(image, image_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("model")
    parser.add_argument("detector", help="cascade or a YuNet model")
    parser.add_argument("--frames", default=":", metavar="FIRST:STOP", help="only these")
    given = parser.parse_args()
    first, stop = (int(word) if word else None for word in given.frames.split(":"))
    engine = load_engine(given.model, backend="auto", device="auto", threads=1)
    detector = CountedDetector(given.detector)
    follow = VideoWork(engine, Search(detector), None, None, smooth=False)
    alone = PhotographWork(engine, Search(find_detector(given.detector)), None)
    corners = engine.card.scheme.outer_corners
    if corners is None:
        parser.error("the model's points have no outer corners of the eyes")
    seconds = {"followed": 0.0, "alone": 0.0}
    distances: list[float] = []
    n_frames = n_beside = n_missed = 0
    for photograph in islice(Photographs([given.clip]), first, stop):
        if photograph.frame is None:
            parser.error(f"{given.clip}: cannot be read to its end")
        began = time.perf_counter()
        followed = follow([photograph]).columns["landmarks"]
        between = time.perf_counter()
        found = alone([replace(photograph, frame=None)]).columns["landmarks"]
        seconds["followed"] += between - began
        seconds["alone"] += time.perf_counter() - between
        n_frames += 1
        nearest = set()
        for points in followed:
            apart = [
                100 * np.linalg.norm(points - face, axis=1).mean() / np.linalg.norm(np.subtract(*face[list(corners)]))
                for face in found
            ]
            if not apart or min(apart) > 100:
                n_beside += 1
                continue
            distances.append(min(apart))
            nearest.add(int(np.argmin(apart)))
        n_missed += len(found) - len(nearest)
    if not distances:
        parser.error(f"{given.clip}: no face was followed")
    shares = ", ".join(f"{share} % within {np.percentile(distances, share):.1f} %" for share in (50, 75, 90))
    print(f"{n_frames} frames, {len(distances)} faces: {shares}")
    print(f"followed, but nobody there: {n_beside}; there, but not followed: {n_missed}")
    print(f"{detector.n_searches} searches")
    ratio = seconds["alone"] / seconds["followed"]
    print(f"followed {seconds['followed']:.1f} s, each frame alone {seconds['alone']:.1f} s: {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
