"""Face boxes without detection: from a list, or the whole image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.images.detection.box_list import read_box_list
from kdtools.images.detection.detector import Found, check_min_score
from kdtools.landmarks.crop_rule import BoxRelation, square_at
from kdtools.storage.provenance import sha256_of


class BoxesFile:
    """Boxes from a CSV file (see `box_list`); `reading` says how its numbers were read where the file does not.

    Several lines with one name are several faces. A name matches the id of an image if they are equal or if one ends
    with the other: the boxes of `photos/a.jpg` match the image `a.jpg` and vice versa, if no other name does.
    """

    name = "boxes"
    relation = BoxRelation()

    def __init__(self, path: str, min_score: float | None = None) -> None:
        """Raises UsageError for a `min_score` that is none, or where the list holds no scores."""
        listed = read_box_list(path)
        self.record: dict[str, Any] = {"name": self.name, "file": path, "sha256": sha256_of(path)}
        if min_score is not None:
            check_min_score(min_score, self.name)
            if not listed.has_scores:
                raise UsageError(f"{path}: holds no scores to compare with --min-score", "leave --min-score out")
            self.record["min_score"] = min_score
        self.reading, self._are_shares = listed.reading, listed.are_shares
        self._boxes: dict[str, list[Found]] = defaultdict(list)
        self._used: dict[str, str] = {}  # name -> the image that uses it
        for name, box, score in zip(listed.names, listed.boxes, listed.scores, strict=True):
            faces = self._boxes[name]
            if min_score is None or score >= min_score:
                faces.append(Found(box, score, "given"))
        self._names_ending_in: dict[str, list[str]] = defaultdict(list)
        for name in self._boxes:
            for tail in _tails(name):
                self._names_ending_in[tail].append(name)

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
        if not self._are_shares:
            return self._boxes[name]
        scale = np.tile(image.shape[1::-1], 2)
        return [replace(face, box=face.box * scale) for face in self._boxes[name]]

    @property
    def unused(self) -> list[str]:
        """Names that no image has used."""
        return [name for name in self._boxes if name not in self._used]


def _tails(name: str) -> list[str]:
    """The name, and the name without its first folder, its first two folders and so on."""
    parts = name.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


class WholeImage:
    """Takes the whole image as the face; the crop is the image padded to a square."""

    name, record = "whole", {"name": "whole"}
    relation = BoxRelation()

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        return [Found(whole_square(*image.shape[:2]), 1.0, "crop")]


def whole_square(height: int, width: int) -> np.ndarray:
    """The square (4,) around an image."""
    return square_at(np.array([width / 2, height / 2]), max(height, width))
