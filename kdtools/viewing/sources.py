"""The source images of faces: image files, and frames of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kdtools.errors import DataError
from kdtools.faces.file import FacesFile
from kdtools.images.reading import read_image
from kdtools.images.video import FrameReader


def source_images(
    faces: FacesFile, rows: Sequence[int], folders: Sequence[str] = ()
) -> Iterator[tuple[int, Callable[[], np.ndarray]]]:
    """Each of these rows, with a function that reads its source image (H, W, 3) RGB and raises FileError or DataError.

    Sources are looked for below `folders`, where there are any, by as many of their own folders as fit.
    Rows come in the order in which each video is decoded once; the function is to be called before the next row.
    """
    places = {row: _place_of(faces, row, folders) for row in rows}
    reader: FrameReader | None = None
    try:
        for row in sorted(rows, key=lambda row: (places[row][0], places[row][1])):
            path, frame = places[row]
            if frame < 0:
                yield row, partial(read_image, path)
                continue
            if reader is None or reader.path != path:
                if reader is not None:
                    reader.close()
                reader = FrameReader(path)
            yield row, partial(reader.read, frame)
    finally:
        if reader is not None:
            reader.close()


def _place_of(faces: FacesFile, row: int, folders: Sequence[str]) -> tuple[Path, int]:
    """Path of a face's source, and the number of its frame if it is a video, else -1."""
    frame = int(faces.h5["frame"][row]) if "frame" in faces else -1
    return source_path(faces.read("source", row, row + 1)[0], folders), frame


def source_path(name: str, folders: Sequence[str]) -> Path:
    """Where a source image lies: for `/a/c/d.jpg` below one of `folders` as `c/d.jpg` or else `d.jpg`.

    Without folders it lies where its name says. Where there is none, the path is that of the last try.
    """
    source = Path(name)
    if not folders:
        return source
    parts = _parts_of(source)
    tries = [Path(folder, *parts[first:]) for first in range(len(parts)) for folder in folders]
    return next((path for path in tries if path.is_file()), tries[-1] if tries else source)


def check_sources_apart(names: Iterable[str], folders: Sequence[str]) -> None:
    """Raises DataError where two source images lead to one file below `folders`, for then one of them is wrong."""
    name_of: dict[Path, str] = {}
    for name in dict.fromkeys(names):
        path = source_path(name, folders)
        first = name_of.setdefault(path, name)
        if first == name or not path.is_file():
            continue
        shorter, longer = sorted((_parts_of(Path(first)), _parts_of(Path(name))), key=len)
        if longer[len(longer) - len(shorter) :] != shorter:  # else it may be one image by two paths
            raise DataError(
                f"{first!r} and {name!r} both lead to the image {path}",
                "name with --images the folder in which these paths begin",
            )


def _parts_of(source: Path) -> list[str]:
    return [part for part in source.parts if part not in (source.anchor, "..")]
