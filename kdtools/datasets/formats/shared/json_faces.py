"""JSON dumps of what a program's Python interface answers: faces of one picture, or of several by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kdtools.datasets.formats.shared.annotation import Reading
from kdtools.datasets.formats.shared.frames import find_named
from kdtools.datasets.formats.shared.text_lists import load_json, peek_text, text_files
from kdtools.errors import DataError, KdError

_NAMES = ("image", "file", "file_name", "filename", "image_path", "path")  # keys that name the picture
_N_LOOKED_AT = 10  # files of a folder, to see what they are


def holds_key(source: Path, keys: tuple[str, ...]) -> bool:
    """Whether one of the first JSON files of a source has one of the keys in its beginning, and not FFHQ's own key."""
    texts = map(peek_text, islice(text_files(source, ".json"), _N_LOOKED_AT))
    return any(
        text.startswith(("{", "[")) and any(f'"{key}"' in text for key in keys) and '"in_the_wild"' not in text
        for text in texts
    )


def pictures_in(source: Path, keys: tuple[str, ...], reading: Reading) -> Iterator[tuple[str, str, Path, list[Any]]]:
    """(where, id of the picture, its path, its faces): of each picture that is found, in the order of the files.

    Faces lie under one of `keys`. A document is one picture's, that of its file's name or of a key such as `image`; a
    list of such pictures; a list of faces; or an object of pictures, or of lists of faces, by name.
    """
    for path in text_files(source, ".json"):
        try:
            document = load_json(path)
        except KdError as error:
            reading.skip(str(path), error.message)
            continue
        of_file: list[Any] = []  # faces without a name belong to the picture with the file's name
        for name, faces in _faces_by_name(document, keys):
            if name is None:
                of_file += faces
            elif (image := reading.find_image(name, path.parent, f"{path}: {name}")) is not None:
                yield f"{path}: {name}", name, image, faces
        if of_file and (place := find_named(reading, path.stem, path.parent, str(path))) is not None:
            yield str(path), place.id, place.image, of_file


def _faces_by_name(document: Any, keys: tuple[str, ...]) -> Iterator[tuple[str | None, list[Any]]]:
    if isinstance(document, list):
        for entry in document:
            yield from _faces_by_name(entry, keys)
    elif isinstance(document, dict):
        name = next((document[key] for key in _NAMES if isinstance(document.get(key), str)), None)
        if any(key in document for key in keys):
            yield name, [document]
        else:
            for key, entry in document.items():
                for inner, faces in _faces_by_name(entry, keys):
                    yield inner or name or (None if key in ("faces", "results", "detections") else key), faces


def points_of(value: Any, keys: tuple[str, ...]) -> Any:
    """What stands under the first of `keys`. Raises DataError where nothing does."""
    for key in keys:
        if isinstance(value, dict) and value.get(key) is not None:
            return value[key]
    raise DataError(f"has no {' or '.join(keys)}")
