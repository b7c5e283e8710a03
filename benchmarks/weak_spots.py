"""What a network is bad at, in numbers: turned, small, blurred, dark and covered faces.

    python benchmarks/weak_spots.py MODEL FACES... [--norm inter-ocular]

MODEL is a file or a bundled network; FACES are faces files with images and 68 true points, of faces that it has not
seen, such as lfpw_apart.h5, helen_apart.h5 and val.h5 of face68.sh. The images are spoilt in copies of the files, in
the same way each time, and kd-predict gets them with the boxes of the true points. The last column is the error over
that of the unspoilt images.

How far a head is turned is read off the true points: the horizontal place of the nose's tip between the two ends of the
jaw, 0.5 for a face that looks into the camera.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np

from kdtools.faces.file import open_faces
from kdtools.metrics import nme_per_face, normaliser_named

Spoil = Callable[[np.ndarray, np.ndarray], np.ndarray]  # image (S, S, 3), points in it (68, 2) -> image


def side_of(points: np.ndarray) -> float:
    return float(np.ptp(points, axis=0).max())


def small(pixels: int) -> Spoil:
    def spoil(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        side = max(2, round(len(image) * pixels / side_of(points)))
        return cv2.resize(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), image.shape[:2])

    return spoil


def blurred(share: float) -> Spoil:
    return lambda image, points: cv2.GaussianBlur(image, (0, 0), share * side_of(points))


def dark(factor: float, noise: float) -> Spoil:
    def spoil(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        grain = np.random.default_rng(int(points.sum())).normal(0, noise, image.shape)
        return np.clip(image * factor + grain, 0, 255).astype(np.uint8)

    return spoil


def covered(part: slice, border: float) -> Spoil:
    """A grey rectangle over the box of some points and a border in shares of the face's side."""

    def spoil(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        low, high = points[part].min(axis=0), points[part].max(axis=0)
        width = border * side_of(points)
        corners = np.rint([low - width, high + width]).astype(int)
        return cv2.rectangle(image.copy(), corners[0].tolist(), corners[1].tolist(), (128, 128, 128), -1)

    return spoil


SPOILT: dict[str, Spoil] = {
    "as they are": lambda image, points: image,
    "face 60 px wide": small(60),
    "face 30 px wide": small(30),
    "face 20 px wide": small(20),
    "face 12 px wide": small(12),
    "blur, 2 % of the face": blurred(0.02),
    "blur, 5 % of the face": blurred(0.05),
    "dark and grainy": dark(0.15, 5),
    "eyes covered": covered(slice(36, 48), 0.06),
    "mouth and chin covered": covered(slice(48, 68), 0.10),
}


def predicted(model: str, source: Path, spoil: Spoil, work: Path) -> np.ndarray:
    """Points (N, 68, 2) in the source images."""
    copy, output = work / "spoilt.h5", work / "pred.h5"
    shutil.copyfile(source, copy)
    with open_faces(source) as faces:
        points, to_source = faces.points(), faces.h5["to_source"][:]
    with h5py.File(copy, "r+") as h5:
        for i, image in enumerate(h5["image"]):
            in_crop = (points[i] - to_source[i, :, 2]) @ np.linalg.inv(to_source[i, :, :2]).T
            h5["image"][i] = spoil(image, in_crop)
    subprocess.run(["kd-predict", model, copy, "-q", "-f", "-o", output], check=True)
    with open_faces(output) as faces:
        return faces.points()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("faces", type=Path, nargs="+")
    parser.add_argument("--norm", default="inter-ocular")
    given = parser.parse_args()
    truth, lengths = [], []
    for path in given.faces:
        with open_faces(path) as faces:
            truth.append(faces.points())
            lengths.append(normaliser_named(given.norm, faces.scheme).lengths(truth[-1]))
    expected, length = np.concatenate(truth), np.concatenate(lengths)
    base, unspoilt, turned = 0.0, np.empty(0), np.empty(0)
    print(f"{'faces':32} {'n':>5} {'NME %':>6} {'> 10 %':>7} {'ratio':>6}")

    def report(name: str, errors: np.ndarray) -> None:
        failed = 100 * (errors > 10).mean()
        print(f"{name:32} {len(errors):5} {errors.mean():6.2f} {failed:6.1f} {errors.mean() / base:6.2f}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for name, spoil in SPOILT.items():
            points = np.concatenate([predicted(given.model, path, spoil, Path(folder)) for path in given.faces])
            errors = 100 * nme_per_face(expected, points, length)
            if not base:
                base = errors.mean()
                left, nose, right = (expected[:, i, 0] for i in (0, 30, 16))
                turned = np.abs((nose - left) / (right - left) - 0.5)
                unspoilt = errors
            report(name, errors)
    for name, low, high in (
        ("into the camera", 0, 0.1),
        ("turned", 0.1, 0.25),
        ("half profile and more", 0.25, np.inf),
    ):
        report(f"{name}: nose off by {low:g} to {high:g}", unspoilt[(turned >= low) & (turned < high)])


if __name__ == "__main__":
    main()
