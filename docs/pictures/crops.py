"""Draw the pictures of docs/crops.md: python docs/pictures/crops.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from kdtools.images.cropping import crop_image
from kdtools.images.detection import CascadeDetector, YuNetDetector
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule, points_square
from kdtools.landmarks.geometry import apply_affine, invert_affine
from kdtools.synth import draw_face

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.35"


def outline(axis: plt.Axes, box: np.ndarray, colour: str, label: str, style: str = "-") -> None:
    """A box in the coordinates of points: half a pixel less than in those of boxes."""
    x0, y0, x1, y1 = box - 0.5
    axis.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], style, color=colour, linewidth=1.8, label=label)


def draw_points(axis: plt.Axes, points: np.ndarray) -> None:
    axis.plot(*points.T, ".", color="white", markersize=3.2, markeredgecolor="black", markeredgewidth=0.3)
    for line in IBUG68.outlines:
        axis.plot(*points[list(line)].T, color="white", linewidth=0.5)


def draw_rule(folder: Path) -> None:
    """A photograph with the boxes of the rule in it, the crop, and the boxes of the detectors."""
    photograph, landmarks, _ = draw_face(np.random.default_rng(12), 420, margin=0.75)
    rule = CropRule()
    tight, square = points_square(landmarks), rule.square_around_points(landmarks)
    crop, to_source = crop_image(photograph, square, 96)
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.5))
    for axis, title in zip(axes, ("photograph", "the crop, 96 px", "boxes of detectors"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    axes[0].imshow(photograph)
    draw_points(axes[0], landmarks)
    low, high = landmarks.min(axis=0) + 0.5, landmarks.max(axis=0) + 0.5
    outline(axes[0], np.concatenate([low, high]), "white", "box of the points", ":")
    outline(axes[0], tight, GREEN, "square around it")
    outline(axes[0], square, ORANGE, "crop square: that, 1 + 2 · 0.2 times as wide")
    axes[1].imshow(crop, interpolation="nearest")
    draw_points(axes[1], apply_affine(invert_affine(to_source), landmarks))
    axes[2].imshow(photograph)
    outline(axes[2], tight, GREEN, "square around the points")
    for detector, colour in ((CascadeDetector, BLUE), (YuNetDetector, ORANGE)):
        outline(axes[2], detector.relation.box_around(tight), colour, f"box of {detector.name}", "--")
    for axis in (axes[0], axes[2]):
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=8, frameon=True, facecolor="0.75", ncols=1)
    figure.tight_layout()
    figure.savefig(folder / "crops.png", dpi=110, metadata={"Software": None})


def draw_pixels(folder: Path) -> None:
    """The first pixels of a crop over those of its photograph."""
    figure, axis = plt.subplots(figsize=(6.2, 3.4))
    for x in range(8):
        for y in range(4):
            axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="0.8"))
            axis.plot(x, y, ".", color="0.7", markersize=4)
            axis.text(x + 0.06, y - 0.08, f"{x},{y}", fontsize=6, color="0.55")
    x0, y0, scale = 1.25, 0.5, 1.6
    for u in range(3):
        for v in range(2):
            left, top = x0 - 0.5 + u * scale, y0 - 0.5 + v * scale
            axis.add_patch(Rectangle((left, top), scale, scale, fill=False, edgecolor=ORANGE, linewidth=1.5))
            axis.plot(left + scale / 2, top + scale / 2, "o", color=ORANGE, markersize=4)
            axis.text(left + scale / 2 + 0.08, top + scale / 2 + 0.3, f"{u},{v}", fontsize=9, color=ORANGE)
    axis.set_xlim(-0.8, 7.8)
    axis.set_ylim(3.7, -0.7)
    axis.set_aspect("equal")
    axis.axis("off")
    axis.set_title("pixels of the photograph (grey) and of a crop whose box begins at 1.25, 0.5", fontsize=9)
    figure.tight_layout()
    figure.savefig(folder / "pixels.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    draw_rule(out)
    draw_pixels(out)
