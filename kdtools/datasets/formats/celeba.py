"""CelebA's five points: list_landmarks_align_celeba and list_landmarks_celeba, as text or as Kaggle's CSV.

202599                                                     image_id,lefteye_x,lefteye_y,righteye_x,...
lefteye_x lefteye_y righteye_x righteye_y nose_x ...       000001.jpg,69,109,106,113,77,142,73,152,108,154
000001.jpg 69  109  106  113   77  142   73  152  108  154

The first belongs to the aligned pictures of 178 x 218 px (`img_align_celeba/`), the second to the photographs
(`img_celeba/`); the files have the same names, so that each list looks into its own folder first, and is refused beside
pictures of the other kind. Left is the left of the picture. No point is missing. The first line of the text counts
the pictures.

0-based: nothing is said of it; the numbers are whole.

Source: Z. Liu, P. Luo, X. Wang, X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015, and its README.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, size_of_picture
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.text_lists import files_like, only_file, parse_numbers, peek_lines, read_lines
from kdtools.errors import DataError, FileError, KdError

_COLUMNS = tuple(
    f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)
_ALIGNED = (218, 178)  # height and width
_FOLDERS = {True: "img_align_celeba", False: "img_celeba"}  # by whether the list is of the aligned pictures
_N_LOOKED_AT = 5  # pictures, to see whether they are of the list's kind


def accepts(source: Path) -> bool:
    return bool(_lists_in(source))


def _lists_in(source: Path) -> list[Path]:
    return files_like(source, "*landmarks*", looks_right)


def looks_right(path: Path) -> bool:
    """Whether a file has the header of CelebA's landmarks."""
    return any(_order_in(line) is not None for line in peek_lines(path)[:2])


def _words(line: str) -> list[str]:
    return line.replace(",", " ").split()


def _order_in(line: str) -> list[int] | None:
    """Of a header, at which of the ten numbers each column stands; None for another line."""
    names = [name.strip('"').lower() for name in _words(line)[-len(_COLUMNS) :]]
    return [names.index(column) for column in _COLUMNS] if sorted(names) == sorted(_COLUMNS) else None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises FileError for a list beside the pictures of the other one."""
    path = only_file(source, _lists_in(source))
    aligned = "align" in path.name.lower()
    folder = _folder_of_pictures(path, aligned)
    found = []
    for where, name, points in _read_rows(path, reading):
        image = reading.find_image(name, folder, where)
        if image is not None:
            found.append(Annotation(reading.number(name), image, points - reading.base))
    if reading.pictures:
        _check_kind(path, found[:_N_LOOKED_AT], aligned)
    yield from found


def _read_rows(path: Path, reading: Reading) -> Iterator[tuple[str, str, np.ndarray]]:
    """Where each row stands, the picture's name, and points (5, 2). The count and the header are no rows."""
    order: list[int] | None = None
    for number, (where, line) in enumerate(read_lines(path)):
        if order is None:
            order = _order_in(line)
            if number > 0 and order is None:
                raise FileError(f"{path}: its second line is not the header of CelebA's landmarks")
            continue
        try:
            yield where, *_parse(line, order)
        except DataError as error:
            reading.skip(where, error.message)


def _parse(line: str, order: list[int]) -> tuple[str, np.ndarray]:
    name, *texts = _words(line)
    if len(texts) != len(_COLUMNS):
        raise DataError(f"{len(texts)} numbers after the image name, not {len(_COLUMNS)}")
    return name.strip('"'), as_points(parse_numbers(texts)[order])


def _folder_of_pictures(path: Path, aligned: bool) -> Path:
    """The folder of the list's own kind, beside it or in Img/ beside its folder; else that of the list."""
    own = _FOLDERS[aligned]
    home = path.absolute().parent
    above = (home, home / "Img", home.parent, home.parent / "Img")
    places = [folder / name for folder in above for name in (own, f"{own}/{own}")]
    there = [place for place in places if place.is_dir()]
    return max(there, key=lambda place: len(place.parts)) if there else path.parent


def _check_kind(path: Path, faces: list[Annotation], aligned: bool) -> None:
    """Raises FileError where the pictures of the first faces are surely not of the kind that the list is for."""
    try:
        sizes = [size_of_picture(face.image) for face in faces]
    except KdError:
        return  # which is said when it is cropped
    outside = [
        face.points is not None and (face.points > np.array(size[::-1])).any()
        for face, size in zip(faces, sizes, strict=True)
    ]
    hint = f"name the folder {_FOLDERS[aligned]} with --images, or read the other list"
    if aligned and len(set(sizes)) > 1:
        raise FileError(f"{path}: its points are of the aligned images, but the images are of several sizes", hint)
    if not aligned and set(sizes) == {_ALIGNED} and any(outside):
        raise FileError(f"{path}: its points are of the photographs, but the images are the aligned ones", hint)


FORMAT = Format("celeba", "CelebA's list_landmarks_align_celeba and list_landmarks_celeba", 0, accepts, read)
