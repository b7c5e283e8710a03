"""What every reader yields, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.images import IMAGE_SUFFIXES

Skip = Callable[[str, str], None]


@dataclass(frozen=True)
class Annotation:
    """One face. `points` (L, 2) float64 in pixels of the image, first pixel's centre at 0, NaN where missing."""

    id: str
    image: Path
    points: np.ndarray | None


def images_below(folder: Path) -> Iterator[Path]:
    """Image files in a folder and the folders in it, sorted, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file():
            yield path
