"""kd-eval's time and memory on a million faces, against reading both arrays and one norm with numpy in the same run.

    python benchmarks/eval_speed.py [--faces N] [--points L] [--rounds R]

Both run as processes of their own, in turns; the files are in the page cache. Prints medians and their ratio, also of
processor time, the peak memory of kd-eval, and whether the targets hold: at most 2.5 times the time, and 500 MB. Ends
with status 1 if not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import Usage, run_apart, run_measured

from kdtools.faces.writer import create_faces
from kdtools.landmarks import scheme_for_points
from kdtools.storage.provenance import Provenance

MOST_TIMES, MOST_MB = 2.5, 500
REFERENCE = """
import sys, h5py, numpy as np
truth, pred = (h5py.File(path)["landmarks"][...] for path in sys.argv[1:])
print(np.linalg.norm(pred - truth, axis=2).mean())
"""


def write_faces(path: Path, points: np.ndarray, order: np.ndarray, sigma: float, seed: int) -> None:
    """Faces around the same points, normally distributed, in an order."""
    rng = np.random.default_rng(seed)
    faces = points + rng.normal(0, sigma, (len(order), *points.shape)).astype(np.float32)
    with create_faces(str(path), True, Provenance("benchmark")) as writer:
        writer.put_ids([f"folder{k // 1000:04d}/image_{k:07d}.jpg" for k in order])
        writer.put_landmarks(faces, scheme_for_points(len(points)), "hard")


def _medians(found: list[Usage]) -> Usage:
    """Median times, and the largest peak memory."""
    seconds, memory, processor_s = zip(*found, strict=True)
    return Usage(statistics.median(seconds), max(memory), statistics.median(processor_s))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=68)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (options.points, 2)).astype(np.float32)
    in_order = np.arange(options.faces)
    kd_eval = str(Path(sys.executable).with_name("kd-eval"))
    with tempfile.TemporaryDirectory() as folder:
        truth, same, shuffled = (Path(folder) / name for name in ("truth.h5", "same.h5", "shuffled.h5"))
        run_apart(write_faces, truth, points, in_order, 5, 1)
        run_apart(write_faces, same, points, in_order, 6, 2)
        run_apart(write_faces, shuffled, points, rng.permutation(options.faces), 6, 2)
        commands = {
            "numpy: read both, one norm": [sys.executable, "-c", REFERENCE, str(truth), str(same)],
            "kd-eval": [kd_eval, str(same), "--truth", str(truth)],
            "kd-eval, predictions in another order": [kd_eval, str(shuffled), "--truth", str(truth)],
            "kd-eval --by region": [kd_eval, str(same), "--truth", str(truth), "--by", "region"],
        }
        figures: dict[str, list[Usage]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, words in commands.items():
                figures[name].append(run_measured(words, stdout=subprocess.DEVNULL))
    reference = _medians(figures["numpy: read both, one norm"])
    print(f"{options.faces} faces, {options.points} points, medians of {options.rounds} rounds")
    for name, found in figures.items():
        seconds, memory, processor_s = _medians(found)
        print(
            f"{name:<40} {seconds:6.2f} s  {seconds / reference.seconds:5.2f} of numpy  {memory:6.0f} MB  "
            f"processor {processor_s:6.2f} s  {processor_s / reference.processor_s:5.2f} of numpy"
        )
    seconds, memory, _ = _medians(figures["kd-eval"])
    good = seconds <= MOST_TIMES * reference.seconds and memory <= MOST_MB
    print(f"target ({MOST_TIMES} times, {MOST_MB} MB): {'met' if good else 'NOT met'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
