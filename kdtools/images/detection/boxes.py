"""Face boxes without detection: from a list, or the whole image."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.images.detection.detector import Found
from kdtools.landmarks.crop_rule import BoxRelation, square_at


class BoxesFile:
    """Boxes from a CSV file: image name, x0, y0, x1, y1 (half-open, from 0) and optionally a score; may have a header.

    Several lines with one name are several faces. A name matches the id of an image if they are equal or if one ends
    with the other: the boxes of `photos/a.jpg` match the image `a.jpg` and vice versa, if no other name does.
    """

    name = "boxes"
    relation = BoxRelation()

    def __init__(self, path: str) -> None:
        self._boxes: dict[str, list[Found]] = defaultdict(list)
        self._used: dict[str, str] = {}  # name -> the image that uses it
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as stream:
                for number, row in enumerate(csv.reader(stream), start=1):
                    self._add(row, number, f"{path}:{number}")
        except FileNotFoundError as error:
            raise FileError(f"{path}: no such file") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise FileError(f"{path}: not a CSV file: {error}") from error
        if not self._boxes:
            raise FileError(f"{path}: holds no boxes", "a line is: image name, x0, y0, x1, y1")
        self._names_ending_in: dict[str, list[str]] = defaultdict(list)
        for name in self._boxes:
            for tail in _tails(name):
                self._names_ending_in[tail].append(name)

    def _add(self, row: list[str], number: int, where: str) -> None:
        if not any(cell.strip() for cell in row):
            return
        try:
            numbers = [float(cell) for cell in row[1:]]
        except ValueError as error:
            if number == 1 and not any(map(_is_number, row[1:])):
                return  # the header
            raise DataError(f"{where}: {error}", "a line is: image name, x0, y0, x1, y1") from error
        if len(numbers) not in (4, 5) or not np.isfinite(numbers).all():
            raise DataError(
                f"{where}: {len(numbers)} numbers, or not all finite", "a line is: image name, x0, y0, x1, y1"
            )
        box = np.array(numbers[:4])
        if (box[2:] <= box[:2]).any():
            raise DataError(f"{where}: the box is empty", "the numbers are x0, y0, x1, y1, not width and height")
        self._boxes[row[0].strip()].append(Found(box, numbers[4] if len(numbers) == 5 else 1.0, "given"))

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        exact = next((tail for tail in _tails(image_id) if tail in self._boxes), None)
        longer = self._names_ending_in.get(image_id, [])
        name = exact or (longer[0] if len(longer) == 1 else None)
        if name is None:
            return []
        if self._used.setdefault(name, image_id) != image_id:
            raise DataError(
                f"the boxes of {name!r} match both {self._used[name]!r} and {image_id!r}",
                "give the boxes under the ids of the images",
            )
        return self._boxes[name]

    @property
    def unused(self) -> list[str]:
        """Names that no image has used."""
        return [name for name in self._boxes if name not in self._used]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _tails(name: str) -> list[str]:
    """The name, and the name without its first folder, its first two folders and so on."""
    parts = name.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


class WholeImage:
    """Takes the whole image as the face; the crop is the image padded to a square."""

    name = "whole"
    relation = BoxRelation()

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return [Found(whole_square(*image.shape[:2]), 1.0, "crop")]


def whole_square(height: int, width: int) -> np.ndarray:
    """The square (4,) around an image."""
    return square_at(np.array([width / 2, height / 2]), max(height, width))
