"""Peak memory of kd-student as a whole process, with few faces and with ten times as many.

    python benchmarks/train_memory.py [--faces 5000 50000] [--size 128]

One epoch of a tiny student with KD-Loss from cached predictions reads each face once; the files lie in a temporary
folder (2.5 GB for 50,000 faces of 128 px). Points stay in memory, the truth and two predictions, 8 bytes a point each;
the images must not. Prints the peaks and the growth beside the size of these points and of the images. Ends with status
1 where memory grows by more than four times the points, which is room for joining them and for names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import run_apart, run_measured

from kdtools.faces.writer import create_faces
from kdtools.landmarks import IBUG68
from kdtools.storage.provenance import Provenance
from kdtools.synth import draw_faces

N_DRAWN = 64
N_SETS = 3  # of points: the truth and both teachers'
BLOCK = 1024  # faces written at a time
MOST_TIMES = 4  # the points' own size
TINY = ["--arch", "test_resnet", "--input-size", "32", "--epochs", "1", "--device", "cpu"]


def write_files(folder: Path, n_faces: int, size: int) -> None:
    """Faces, noise over a few drawn ones, and what two teachers might have predicted for them."""
    rng = np.random.default_rng(0)
    drawn = list(draw_faces(N_DRAWN, size, 0))
    images = np.stack([image for image, _, _ in drawn])
    points: np.ndarray = np.stack([points for _, points, _ in drawn])
    rows = np.arange(n_faces) % N_DRAWN
    ids = [f"folder{k // 1000:04d}/image_{k:07d}.jpg" for k in range(n_faces)]
    with create_faces(str(folder / "faces.h5"), True, Provenance("benchmark")) as writer:
        kept = writer.create_images(n_faces, size, size)
        for first in range(0, n_faces, BLOCK):
            block = images[rows[first : first + BLOCK]]
            kept[first : first + BLOCK] = block ^ rng.integers(0, 16, (len(block), 1, 1, 3), np.uint8)
        writer.put_ids(ids)
        writer.put_landmarks(points[rows], IBUG68, "hard")
    for name in ("tough", "tolerant"):
        with create_faces(str(folder / f"{name}.h5"), True, Provenance("benchmark")) as writer:
            writer.put_ids(ids)
            writer.put_landmarks(points[rows] + rng.normal(0, 2, (n_faces, 68, 2)), IBUG68, "predicted")


def measure(folder: Path) -> tuple[float, float]:
    """Seconds and peak MB of kd-student."""
    tool = str(Path(sys.executable).with_name("kd-student"))
    teachers = ["--tough", str(folder / "tough.h5"), "--tolerant", str(folder / "tolerant.h5")]
    words = [tool, str(folder / "faces.h5"), *teachers, *TINY, "-q", "-f", "-o", str(folder / "student.safetensors")]
    return run_measured(words)[:2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, nargs=2, default=(5_000, 50_000), metavar=("FEW", "MANY"))
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    peaks, points = [], []
    for n_faces in options.faces:
        with tempfile.TemporaryDirectory() as folder:
            run_apart(write_files, Path(folder), n_faces, options.size)
            seconds, peak = measure(Path(folder))
        peaks.append(peak)
        points.append(N_SETS * n_faces * 68 * 2 * 4 / 1e6)
        images = n_faces * options.size**2 * 3 / 1e6
        print(
            f"{n_faces:>7} faces of {options.size} px: peak {peak:6.0f} MB in {seconds:5.1f} s; "
            f"images {images:6.0f} MB, points {points[-1]:5.0f} MB",
            flush=True,
        )
    growth, growth_of_points = peaks[1] - peaks[0], points[1] - points[0]
    print(f"grown by {growth:.0f} MB, {growth / growth_of_points:.1f} times the points' {growth_of_points:.0f} MB")
    good = growth <= MOST_TIMES * growth_of_points
    print(f"target (at most {MOST_TIMES} times): {'met' if good else 'NOT met'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
