"""What every reader yields, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def id_prefixes(sources: Sequence[str]) -> list[str]:
    """What the ids of each source start with: nothing for a single one, else the source's label and a slash.

    kd-import and kd-predict both take it from here, so that the same sources give the same ids.
    """
    if len(sources) == 1:
        return [""]
    return [f"{label}/" if (label := source_label(Path(source))) else "" for source in sources]


def source_label(source: Path) -> str:
    """Folder name of a source; the name of its parent before it, because data sets call their parts train and test."""
    resolved = source.resolve()
    folder = resolved if resolved.is_dir() else resolved.parent
    named = [folder.parent.name, folder.name] if folder.name in ("train", "val", "test", "images") else [folder.name]
    return "/".join(name for name in named if name)  # the root of the file system has no name


def images_below(folder: Path) -> Iterator[Path]:
    """Image files in a folder and the folders in it, sorted, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file():
            yield path
