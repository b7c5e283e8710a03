"""kd-import against bare OpenCV on the same folder: faces per second, processor time, and their ratios.

    python benchmarks/import_speed.py [FOLDER] [--rounds 3]

The reference decodes each image with cv2.imread and crops it with one cv2.warpAffine to 256 px, in as many processes
as there are cores, and keeps nothing; a second one also writes the crops to one file and syncs it, which for small
images takes longer than decoding them. kd-import besides reads the annotations, finds the crops, maps the points and
writes the file. FOLDER is a folder that kd-import can read, with as many images as faces; without it --faces are
drawn, --size px wide, and written as JPEG with .pts files. --copies links each file so often, because the start of
Python is paid once per import and not per face. The two take turns, and the medians are compared. Where other work runs
beside, only the ratio of processor times means something.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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


def link(path: Path, copy: Path) -> None:
    """A further name of the same file, as if it were another; a link where that is on another file system."""
    try:
        copy.hardlink_to(path.resolve())
    except OSError:
        copy.symlink_to(path.resolve())


def crop_bare(path: str) -> np.ndarray:
    cv2.setNumThreads(1)
    image = cv2.imread(path)
    return cv2.warpAffine(image, np.array([[0.8, 0, -20.0], [0, 0.8, -20.0]]), (256, 256))


def crop_and_forget(job: tuple[int, str, str]) -> float:
    began = time.process_time()
    crop_bare(job[1])
    return time.process_time() - began


def crop_and_write(job: tuple[int, str, str]) -> float:
    began = time.process_time()
    row, path, output = job
    crop = crop_bare(path)
    place = os.open(output, os.O_RDWR)
    os.pwrite(place, crop.data, row * crop.nbytes)
    os.close(place)
    return time.process_time() - began


class Speed(NamedTuple):
    """Faces per second, and per second of processor time."""

    wall: float
    processor: float


def time_bare(pool: Any, function: Callable[[tuple[int, str, str]], float], paths: list[str], output: Path) -> Speed:
    """Speed of `function`, which returns its processor time, over all paths; the output on the device at the end."""
    output.write_bytes(b"")
    began = time.perf_counter()
    seconds = sum(pool.map(function, [(row, path, str(output)) for row, path in enumerate(paths)], chunksize=16))
    with output.open("rb") as stream:
        os.fsync(stream.fileno())
    speed = Speed(len(paths) / (time.perf_counter() - began), len(paths) / seconds)
    output.unlink()
    return speed


def time_import(command: list[str], output: Path, n_faces: int, environment: dict[str, str]) -> Speed:
    output.unlink(missing_ok=True)  # removing gigabytes takes a while, which the bare loop does not count either
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    if subprocess.run(command, check=False, env=environment).returncode not in (0, 4):
        raise SystemExit("kd-import failed")
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Speed(n_faces / seconds, n_faces / spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--copies", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        once = Path(args.folder) if args.folder else Path(work) / "once"
        if not args.folder:
            once.mkdir()
            draw_folder(once, args.faces, args.size)
        folder = Path(work) / "faces"
        for k in range(args.copies):
            for path in filter(Path.is_file, once.rglob("*")):
                copy = folder / f"{k}" / path.relative_to(once)
                copy.parent.mkdir(parents=True, exist_ok=True)
                link(path, copy)
        paths = [str(path) for path in images_below(folder)]
        code = "from kdtools.cli.kd_import import main; main()"
        output = Path(work) / "out.h5"
        command = [sys.executable, "-c", code, str(folder), "-q", "-f", "-o", str(output)]
        # With compiled modules, as an installation has them.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = f"{work}/compiled"
        bare, writing, ours = [], [], []
        # Not forked: in a copy of this process OpenCV would wait for threads that were not copied.
        with multiprocessing.get_context("spawn").Pool(workers(0)) as pool:
            time_bare(
                pool, crop_and_forget, paths[:64], Path(work) / "raw"
            )  # the processes have started, the files are in memory
            time_import(command, output, len(paths), environment)
            for _ in range(args.rounds):
                bare.append(time_bare(pool, crop_and_forget, paths, Path(work) / "raw"))
                writing.append(time_bare(pool, crop_and_write, paths, Path(work) / "raw"))
                ours.append(time_import(command, output, len(paths), environment))
    print(f"{len(paths)} images, {workers(0)} cores, {args.rounds} rounds; faces per second, and of processor time")
    mine = median(ours)
    for name, reference in (("bare OpenCV", bare), ("bare OpenCV that writes its crops", writing)):
        other = median(reference)
        print(f"{name}: {other.wall:.0f}, {other.processor:.0f}")
        ratios = f"{mine.wall / other.wall:.2f}, {mine.processor / other.processor:.2f}"
        print(f"  kd-import: {mine.wall:.0f}, {mine.processor:.0f}; ratios {ratios}")


def median(speeds: list[Speed]) -> Speed:
    return Speed(*(statistics.median(values) for values in zip(*speeds, strict=True)))


if __name__ == "__main__":
    main()
