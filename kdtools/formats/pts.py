"""300W style: `name.pts` beside `name.jpg`, 1-based (the first pixel's centre is 1, 1).

version: 1
n_points: 68
{
30.5 61.9
...
}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, reason_of
from kdtools.formats.annotation import Annotation, Skip
from kdtools.images import IMAGE_SUFFIXES


def accepts(source: Path) -> bool:
    if source.is_dir():
        return any(path.is_file() for path in source.rglob("*.pts"))
    return source.suffix.lower() == ".pts"


def read(source: Path, base: int, skip: Skip) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    files = sorted(source.rglob("*.pts")) if source.is_dir() else [source]
    for path in files:
        image = _image_beside(path)
        if image is None:
            skip(str(path), "there is no image of the same name beside it")
            continue
        try:
            points = parse_pts(path.read_text(encoding="utf-8", errors="replace"))
        except (DataError, OSError) as error:  # a folder may be called x.pts, and a file unreadable
            skip(str(path), reason_of(error))
            continue
        yield Annotation(image.relative_to(root).as_posix(), image, points - base)


def parse_pts(text: str) -> np.ndarray:
    """Points (L, 2) as they stand in the file. Raises DataError where the text is not such a file."""
    head, brace, rest = text.partition("{")
    body, end, _ = rest.partition("}")
    if not brace or not end:
        raise DataError("not a .pts file: no { ... } around the points, or cut off")
    try:
        points = np.array([[float(number) for number in line.split()] for line in body.splitlines() if line.strip()])
    except ValueError as error:
        raise DataError(f"not a number, or lines of unequal length ({error})") from error
    if points.ndim != 2 or points.shape[1] != 2 or np.isinf(points).any():
        raise DataError("the points are not pairs of finite numbers")
    for line in head.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "n_points" and value.strip().isdigit() and int(value) != len(points):
            raise DataError(f"says n_points: {value.strip()}, but holds {len(points)}")
    return points


def _image_beside(path: Path) -> Path | None:
    """The image with the same stem; suffixes are tried in a fixed order, as written and in capitals."""
    for suffix in sorted(IMAGE_SUFFIXES):
        for variant in (suffix, suffix.upper()):
            image = path.with_suffix(variant)
            if image.is_file():
                return image
    return None
