"""kd-import against bare OpenCV on the same folder: faces per second, and their ratio.

    python benchmarks/import_speed.py [FOLDER] [--rounds 3]

The reference decodes each image with cv2.imread and crops it with one cv2.warpAffine to 256 px, in as many processes
as there are cores, and keeps nothing; a second one also writes the crops to one file and syncs it, which for small
images takes longer than decoding them. kd-import besides reads the annotations, finds the crops, maps the points and
writes the file. FOLDER is a folder that kd-import can read, with as many images as faces; without it 1,000 faces are
drawn, --size px wide, and written as JPEG with .pts files. --copies links each file so often, because the start of
Python is paid once per import and not per face. The two take turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kdtools.datasets.formats.shared.annotation import images_below
from kdtools.images.drawing import write_image
from kdtools.parallel import workers
from kdtools.synth import draw_faces


def draw_folder(folder: Path, n_faces: int, size: int) -> None:
    for k, (image, points, _) in enumerate(draw_faces(n_faces, size, 0, jobs=workers(0))):
        write_image(folder / f"{k:05d}.jpg", image)
        body = "\n".join(f"{x + 1:.3f} {y + 1:.3f}" for x, y in points)
        (folder / f"{k:05d}.pts").write_text(f"version: 1\nn_points: {len(points)}\n{{\n{body}\n}}\n")


def crop_bare(path: str) -> np.ndarray:
    cv2.setNumThreads(1)
    image = cv2.imread(path)
    return cv2.warpAffine(image, np.array([[0.8, 0, -20.0], [0, 0.8, -20.0]]), (256, 256))


def crop_and_forget(job: tuple[int, str, str]) -> None:
    crop_bare(job[1])


def crop_and_write(job: tuple[int, str, str]) -> None:
    row, path, output = job
    crop = crop_bare(path)
    place = os.open(output, os.O_RDWR)
    os.pwrite(place, crop.data, row * crop.nbytes)
    os.close(place)


def time_bare(pool: Any, function: Callable[[tuple[int, str, str]], None], paths: list[str], output: Path) -> float:
    """Faces per second of `function` over all paths, the output on the device at the end."""
    output.write_bytes(b"")
    began = time.perf_counter()
    pool.map(function, [(row, path, str(output)) for row, path in enumerate(paths)], chunksize=16)
    with output.open("rb") as stream:
        os.fsync(stream.fileno())
    speed = len(paths) / (time.perf_counter() - began)
    output.unlink()
    return speed


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
        bare, writing, ours = [], [], []
        with multiprocessing.Pool(workers(0)) as pool:
            time_bare(
                pool, crop_and_forget, paths[:64], Path(work) / "raw"
            )  # the processes have started, the files are in memory
            for _ in range(args.rounds):
                bare.append(time_bare(pool, crop_and_forget, paths, Path(work) / "raw"))
                writing.append(time_bare(pool, crop_and_write, paths, Path(work) / "raw"))
                began = time.perf_counter()
                if subprocess.run(command, check=False).returncode not in (0, 4):
                    raise SystemExit("kd-import failed")
                ours.append(len(paths) / (time.perf_counter() - began))
    print(f"{len(paths)} images, {workers(0)} cores, {args.rounds} rounds")
    for name, reference in (("bare OpenCV", bare), ("bare OpenCV that writes its crops", writing)):
        print(f"{name}: {statistics.median(reference):.0f} faces/s")
        print(f"  kd-import: {statistics.median(ours):.0f} faces/s, ratio {ratio(ours, reference):.2f}")


def ratio(ours: list[float], reference: list[float]) -> float:
    return statistics.median(ours) / statistics.median(reference)


if __name__ == "__main__":
    main()
