"""One format's reader by itself, for the tests of formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Blocks, FaceBlock, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.images.drawing import write_image

Skipped = list[tuple[str, str]]


def read_all(
    form: Format, source: Path, *, base: float | None = None, **options: Any
) -> tuple[list[Annotation], Skipped]:
    """All annotations, and what was skipped and why. The base is the format's own; `options` are those of Reading."""
    skipped: Skipped = []
    reading = Reading(form.base if base is None else base, lambda what, why: skipped.append((what, why)), **options)
    return list(form.read(source, reading)), skipped


def draw_pictures(folder: Path, names: list[str], width: int = 120, height: int = 120) -> None:
    """Plain grey pictures."""
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((height, width, 3), 40 + k, np.uint8))


def written_blocks(n_points: int) -> tuple[Blocks, np.ndarray, np.ndarray]:
    """Three faces in two pictures for a writer, with missing and hidden points; their points and visibility."""
    points = np.random.default_rng(n_points).uniform(5, 90, (3, n_points, 2)).astype(np.float32)
    visible = np.ones((3, n_points), bool)
    points[1, 2] = np.nan
    visible[1, 2:4] = visible[2, 0] = False
    names = ["a/b & c.jpg", "a/b & c.jpg", "d.jpg"]
    boxes = np.array([[1, 2, 60, 70]] * 3, np.float32)
    sizes = np.array([[100, 100]] * 3)
    block = FaceBlock([names[0], f"{names[1]}#2", names[2]], names, points, visible, None, boxes, sizes=sizes)
    return (lambda: iter([block])), points, visible
