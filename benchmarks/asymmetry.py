"""Do a set's annotators treat both sides of the face alike? Labels against predictions that do.

    kd-predict face68 helen_apart.h5 --flip -o predicted.h5
    python benchmarks/asymmetry.py predicted.h5 helen_apart.h5

The mean over a face and its mirror image prefers no side, so what is left in label - prediction on one side and not on
the other is the annotators' habit, if the photographs themselves prefer none. For each region, of the points that have
another as their mirror image: how much further right and down those on the left of the picture are annotated than
those on the right, mirrored; half of it, as the other half is the other side's, in % of the inter-ocular distance, with
95 % intervals over people. Right and down are in the frame of the face, with the eyes level. Regions of the left side
stand for both.
"""

from __future__ import annotations

import sys

import numpy as np

from kdtools.evaluation.units import find_units
from kdtools.faces.file import open_faces
from kdtools.metrics import mean_interval, normaliser_named


def main() -> None:
    predicted, labelled = sys.argv[1:]
    with open_faces(predicted) as file, open_faces(labelled) as truth:
        if file.ids != truth.ids:
            sys.exit(f"{predicted} and {labelled}: not the same faces")
        if file.scheme != truth.scheme:
            sys.exit(f"{predicted} and {labelled}: not the same points")
        if not file.flipped:
            sys.exit(f"{predicted}: not made with kd-predict --flip")
        if truth.scheme.mirror is None or truth.scheme.outer_corners is None:
            sys.exit(f"{labelled}: its scheme has no mirror map, or no outer corners of the eyes")
        scheme, mirror = truth.scheme, np.array(truth.scheme.mirror)
        people = find_units(truth.id_bytes, None)
        expected, points = truth.true_points("source"), file.true_points("source")
    length = normaliser_named("inter-ocular", scheme).lengths(expected)
    left, right = scheme.outer_corners
    axis = points[:, right] - points[:, left]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    frame = np.stack([axis, np.stack([-axis[:, 1], axis[:, 0]], axis=1)], axis=1)  # (N, 2, 2): right, down
    difference = np.einsum("nij,nlj->nli", frame, expected - points) / length[:, None, None] * 100
    lopsided = (difference - difference[:, mirror] * [-1, 1]) / 2
    on_left = points[:, :, 0].mean(axis=0) < points[:, mirror, 0].mean(axis=0)
    print(f"{len(points)} faces; {people.description}; % of the inter-ocular distance")
    for region, members in scheme.regions:
        chosen = [k for k in members if on_left[k] and mirror[k] != k]
        if chosen:
            right_and_down = lopsided[:, chosen].mean(axis=1).T
            texts = [described(of_faces, people.codes) for of_faces in right_and_down]
            print(f"{region:12} right {texts[0]}   down {texts[1]}")


def described(values: np.ndarray, people: np.ndarray | None) -> str:
    interval = mean_interval(values, people)
    return f"{np.nanmean(values):+.2f}" + (f" ({interval[0]:+.2f} to {interval[1]:+.2f})" if interval else "")


if __name__ == "__main__":
    main()
