"""Measure how the cascade's square lies to the square around the points: the constants of kdtools/detect.py.

    python benchmarks/detector_correction.py FOLDER...

Each FOLDER holds annotated photographs that kd-import can read. Prints the share of faces found, and the medians and
quartiles of the shift and of the side, as shares of the cascade's side. A detection counts as the face when its centre
lies in the middle half of the square around the points.
"""

from __future__ import annotations

import sys

import numpy as np

from kdtools.detect import CascadeDetector
from kdtools.geometry import CropRule
from kdtools.images import read_image
from kdtools.importing import read_annotations
from kdtools.parallel import map_bounded


def main() -> None:
    annotations = read_annotations(sys.argv[1:], "auto", None, lambda *_: None, lambda *_: None)
    detector, tight = CascadeDetector(), CropRule(margin=0.0)

    def measure(annotation):  # type: ignore[no-untyped-def]
        truth = tight.square_around_points(annotation.points)
        centre, side = (truth[:2] + truth[2:]) / 2, truth[2] - truth[0]
        for square, _ in detector.find_squares(read_image(annotation.image)):
            found, found_side = (square[:2] + square[2:]) / 2, square[2] - square[0]
            if np.abs(found - centre).max() < side / 4 and 0.4 < side / found_side < 2.5:
                return [*((centre - found) / found_side), side / found_side]
        return None

    found = [one for one in map_bounded(measure, annotations, 0) if one is not None]
    print(f"{len(found)} of {len(annotations)} faces found")
    for name, values in zip(("shift x", "shift y", "side"), np.transpose(found), strict=True):
        print(f"{name}: median {np.median(values):.3f}, quartiles {np.percentile(values, [25, 75]).round(3)}")


if __name__ == "__main__":
    main()
