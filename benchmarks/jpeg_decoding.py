"""Why JPEGs are decoded by OpenCV: its time against that of Pillow's `draft`, for the same pixels.

    python benchmarks/jpeg_decoding.py [--rounds N]

It draws a photograph of 300 px and one of 24 megapixels, and reads each in full and at the smaller sizes that a JPEG
decoder can make as it goes, by `read_reduced` and by Pillow in turn. Both refuse cut-off files and turn images by EXIF.
CPU time, since other programs may run; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from kdtools.images.reading import read_reduced

# Name of the photograph: height, width, readings in a round, and by how much they are reduced.
_PHOTOGRAPHS = {
    "300 px": (300, 300, 100, (1, 2)),
    "24 megapixels": (4000, 6000, 1, (1, 2, 4, 8)),
}


def draw_photograph(path: Path, height: int, width: int) -> None:
    """Soft light, edges and some noise, at the quality of a camera."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (8, 12, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        centre = tuple(int(x) for x in rng.integers(0, (width, height)))
        colour = tuple(int(x) for x in rng.integers(0, 255, 3))
        cv2.circle(image, centre, int(rng.integers(height // 40, height // 8)), colour, -1, cv2.LINE_AA)
    noise = np.tile(rng.integers(0, 12, (200, 300, 3), np.uint8), (-(-height // 200), -(-width // 300), 1))
    cv2.imwrite(str(path), cv2.add(image, noise[:height, :width]), [cv2.IMWRITE_JPEG_QUALITY, 92])


def read_with_pillow(path: Path, reduction: int) -> np.ndarray:
    with Image.open(path) as image:
        image.draft("RGB", (image.width // reduction, image.height // reduction))
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)  # in RGB, as drawn


def cpu_seconds(function: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print("| photograph | size | OpenCV, ms | Pillow, ms | Pillow / OpenCV | largest difference |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width, times, reductions) in _PHOTOGRAPHS.items():
            path = Path(folder) / "photograph.jpg"
            draw_photograph(path, height, width)
            for k in reductions:
                readers = (partial(read_reduced, path, k), partial(read_with_pillow, path, k))
                difference = int(cv2.absdiff(readers[0]()[0], readers[1]()).max())
                pairs = np.array([[cpu_seconds(read, times) for read in readers] for _ in range(rounds)])
                ratio = np.median(pairs[:, 1] / pairs[:, 0])
                opencv, pillow = 1000 * np.median(pairs, axis=0)
                size = "full" if k == 1 else f"1/{k}"
                print(f"| {name} | {size} | {opencv:.2f} | {pillow:.2f} | {ratio:.2f} | {difference} |", flush=True)


if __name__ == "__main__":
    main()
