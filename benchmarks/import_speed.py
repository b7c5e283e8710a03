"""kd-import against bare OpenCV on the same folder: faces per second, and their ratio.

    python benchmarks/import_speed.py [FOLDER] [--rounds 3]

The reference decodes each image with cv2.imread and crops it with one cv2.warpAffine to 256 px, in as many processes
as there are cores, and keeps nothing. kd-import besides reads the annotations, finds the crops, maps the points and
writes the file. FOLDER is a folder that kd-import can read, with as many images as faces; without it 1,000 faces are
drawn, --size px wide, and written as JPEG with .pts files. --copies links each file so often, because the start of
Python is paid once per import and not per face. The two take turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from kdtools.formats.annotation import images_below
from kdtools.images import write_image
from kdtools.parallel import workers
from kdtools.synth import draw_faces


def draw_folder(folder: Path, n_faces: int, size: int) -> None:
    for k, (image, points, _) in enumerate(draw_faces(n_faces, size, 0, jobs=workers(0))):
        write_image(folder / f"{k:05d}.jpg", image)
        body = "\n".join(f"{x + 1:.3f} {y + 1:.3f}" for x, y in points)
        (folder / f"{k:05d}.pts").write_text(f"version: 1\nn_points: {len(points)}\n{{\n{body}\n}}\n")


def crop_bare(path: str) -> int:
    cv2.setNumThreads(1)
    image = cv2.imread(path)
    crop = cv2.warpAffine(image, np.array([[0.8, 0, -20.0], [0, 0.8, -20.0]]), (256, 256))
    return int(crop[0, 0, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--copies", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        once = Path(args.folder) if args.folder else Path(work) / "once"
        if not args.folder:
            once.mkdir()
            draw_folder(once, 1000, args.size)
        folder = Path(work) / "faces"
        for k in range(args.copies):
            (folder / f"{k}").mkdir(parents=True)
            for path in once.iterdir():
                (folder / f"{k}" / path.name).symlink_to(path.resolve())
        paths = [str(path) for path in images_below(folder)]
        code = "from kdtools.cli.kd_import import main; main()"
        command = [sys.executable, "-c", code, str(folder), "-q", "-f", "-o", f"{work}/out.h5"]
        bare, ours = [], []
        with multiprocessing.Pool(workers(0)) as pool:
            pool.map(crop_bare, paths[:64], chunksize=16)  # the processes have started, the files are in memory
            for _ in range(args.rounds):
                began = time.perf_counter()
                pool.map(crop_bare, paths, chunksize=16)
                bare.append(len(paths) / (time.perf_counter() - began))
                began = time.perf_counter()
                if subprocess.run(command, check=False).returncode not in (0, 4):
                    raise SystemExit("kd-import failed")
                ours.append(len(paths) / (time.perf_counter() - began))
    print(f"{len(paths)} images, {workers(0)} cores, {args.rounds} rounds")
    print(f"bare OpenCV {statistics.median(bare):.0f} faces/s, kd-import {statistics.median(ours):.0f} faces/s")
    print(f"ratio {statistics.median(ours) / statistics.median(bare):.2f}")


if __name__ == "__main__":
    main()
