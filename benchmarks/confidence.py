"""Whether the confidence that kd-predict gives orders points, and faces, by their error.

    kd-predict student.safetensors val.h5 -o student.val.h5
    python benchmarks/confidence.py student.val.h5 val.h5

Errors are distances as % of the inter-ocular one. The ratio is that of the least sure tenth to the surest.
"""

from __future__ import annotations

import sys

import numpy as np

from kdtools.faces.file import open_faces
from kdtools.metrics import normaliser_named


def main() -> None:
    predicted, true = sys.argv[1:]
    with open_faces(predicted) as file, open_faces(true) as truth:
        if file.ids != truth.ids:
            sys.exit(f"{predicted} and {true}: not the same faces")
        file.require("confidence")
        points, confidence = file.points(), file.h5["confidence"][:]
        expected = truth.points()
        length = normaliser_named("inter-ocular", truth.scheme).lengths(expected)
    error = 100 * np.linalg.norm(points - expected, axis=2) / length[:, None]
    report("points", error.ravel(), confidence.ravel())
    report("faces", error.mean(axis=1), confidence.mean(axis=1))


def report(what: str, error: np.ndarray, confidence: np.ndarray) -> None:
    known = np.isfinite(error) & np.isfinite(confidence)
    error, confidence = error[known], confidence[known]
    tenths = np.array_split(np.argsort(-confidence, kind="stable"), 10)
    means = [error[rows].mean() for rows in tenths]
    print(f"{what}: {len(error)}, rank correlation of error and confidence {rank_correlation(error, confidence):.2f}")
    print("  confidence ", *(f"{confidence[rows].mean():6.2f}" for rows in tenths))
    print("  error, %   ", *(f"{mean:6.2f}" for mean in means), f"  ratio {means[-1] / means[0]:.1f}")


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; equal values share the mean of their ranks, and there are many of confidence 1."""
    ranks = []
    for one in (a, b):
        _, place, count = np.unique(one, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(count) - (count - 1) / 2)[place])
    return float(np.corrcoef(*ranks)[0, 1])


if __name__ == "__main__":
    main()
