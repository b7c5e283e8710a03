"""Reading and joining faces files."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.faces import schema
from kdtools.faces.arrays import SOME_ROWS, StoredFaces
from kdtools.faces.conventions import FaceConventions, convention_of_points, read_conventions
from kdtools.faces.ids import match_ids
from kdtools.faces.scheme import stored_scheme
from kdtools.faces.stored import Images, images_of
from kdtools.faces.validation import (
    check_maps,
    check_signature,
    contradictions_reported,
    plain,
    subset_names,
)
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import Convention, origin_in_image
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import apply_affine, invert_affine, pixels_to_unit, upright_boxes
from kdtools.landmarks.point_names import point_order
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.reporting import Reporter
from kdtools.storage.hdf5_checks import objects_in, read_risks
from kdtools.storage.hdf5_guard import GuardedStream, begin_rehearsal, guarded_file, rehearse_together
from kdtools.storage.limits import files_allowed
from kdtools.storage.outputs import name_of, readable
from kdtools.storage.stamps import note_input

Frame = Literal["source", "image", "unit"]


class FacesFile(StoredFaces):
    """A faces file opened for reading by `open_faces`."""

    @property
    def role(self) -> str:
        return str(plain(self.h5["landmarks"].attrs.get("role", "hard")))

    @property
    def n_points(self) -> int:
        self.require("landmarks")
        return int(self.h5["landmarks"].shape[1])

    @property
    def has_images(self) -> bool:
        """Whether there is /image. Points are then in its pixels, else in those of the source images."""
        return "image" in self

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of /image in pixels."""
        self.require("image")
        return int(self.h5["image"].shape[1]), int(self.h5["image"].shape[2])

    @property
    def crop(self) -> CropRule | None:
        """The crop rule of the images, if the file states one."""
        text = plain(self.h5.attrs.get("crop"))
        return CropRule.from_json(text) if text else None

    @property
    def images(self) -> Images:
        """(N, H, W, 3) uint8, sliceable by rows, which are read on each access."""
        self.require("image")
        return images_of(self.stored("image"), self._stream, lambda: self._damage_reported("image"))

    @property
    def landmarks(self) -> np.ndarray:
        """(N, L, 2) float32, in pixels of /image, or of the source images if there is no /image."""
        self.require("landmarks")
        return np.asarray(self._whole("landmarks"), np.float32)

    @property
    def true_landmarks(self) -> np.ndarray:
        """As `landmarks`, with the origin of each face's annotation convention taken off."""
        return np.asarray(self.true_points("image" if self.has_images else "source"), np.float32)

    @functools.cached_property
    def conventions(self) -> FaceConventions:
        """The annotation conventions of the faces. Raises DataError for damaged ones."""
        starts = range(0, len(self), SOME_ROWS) if "convention" in self else ()
        names = (self.texts("convention", slice(first, first + SOME_ROWS)) for first in starts)
        return read_conventions(plain(self.h5.attrs.get("conventions", "{}")), names, len(self), self.name)

    @property
    def put_back(self) -> Convention | None:
        """Of predictions: the convention whose places they are and the origin put back into them, if they state one.

        Without an origin they are true pixels.
        """
        attrs = self.h5["landmarks"].attrs if "landmarks" in self else {}
        return convention_of_points(plain(attrs.get("convention")), attrs.get("origin"), self.name)

    @property
    def flipped(self) -> bool:
        """Of predictions: whether each is the mean over a face and its mirror image."""
        return "landmarks" in self and bool(plain(self.h5["landmarks"].attrs.get("flipped", False)))

    def true_points(self, frame: Frame = "source", rows: slice = slice(None)) -> np.ndarray:
        """As `points`, with the origin of each face's annotation convention, or that put back, taken off."""
        points, origins = self.points(frame, rows), self.origins(frame, rows)
        return np.asarray(points - origins[:, None], points.dtype) if origins.any() else points

    def origins(self, frame: Frame = "source", rows: slice = slice(None)) -> np.ndarray:
        """What lies between labels and true places of some faces, (n, 2) float64 in the units of `frame`."""
        put_back = self.put_back
        origins = self.conventions.origins_of(rows)
        if put_back is not None:
            origins = origins + put_back.offset
        if frame == "source" or not origins.any():
            return origins
        offsets = origin_in_image(origins, self.maps_to_source(rows))
        return offsets / self.image_size[::-1] if frame == "unit" else offsets

    def points(self, frame: Frame = "source", rows: slice = slice(None)) -> np.ndarray:
        """Landmarks (n, L, 2) of some rows in `frame`: float32 if stored so, else float64. Raises as `to_frame`."""
        self.require("landmarks")
        stored = np.asarray(self.read("landmarks", *rows.indices(len(self))[:2]), np.float32)
        return self.to_frame(stored, frame, rows)

    def to_frame(self, points: np.ndarray, frame: Frame, rows: slice = slice(None)) -> np.ndarray:
        """Convert points (n, L, 2) of some rows from the pixels in which this file stores its landmarks to `frame`.

        `source`: pixels of the source images. `image`: pixels of /image. `unit`: unit coordinates of /image, -0.5 to
        0.5. Raises DataError for the last two if the file holds no /image.
        """
        if frame == "source":
            maps = self.maps_to_source(rows)
            return points if maps is None else apply_affine(maps, points)
        size = self.image_size
        return pixels_to_unit(points, *size) if frame == "unit" else points

    def from_source(self, points: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Convert points (n, L, 2) of some rows from pixels of the source images to those of this file's landmarks."""
        maps = self.maps_to_source(rows)
        return points if maps is None else apply_affine(invert_affine(maps), points)

    def boxes(self, frame: Literal["source", "image"] = "source", rows: slice = slice(None)) -> np.ndarray:
        """Boxes (n, 4) of some rows, half-open; in a rotated /image, the upright boxes around them."""
        self.require("box", *(["image"] if frame == "image" else []))
        boxes = np.asarray(self.read("box", *rows.indices(len(self))[:2]))
        maps = None if frame == "source" else self.maps_to_source(rows)
        return boxes if maps is None else upright_boxes(invert_affine(maps), boxes)

    def maps_to_source(self, rows: slice) -> np.ndarray | None:
        """Maps (n, 2, 3) from /image to the source images; None if points are in pixels of the source images."""
        if not (self.has_images and "to_source" in self):
            return None
        return check_maps(np.asarray(self.read("to_source", *rows.indices(len(self))[:2]), np.float64), self.name)

    def landmarks_from(self, other: FacesFile) -> np.ndarray:
        """Points of `other` for the faces of this file, joined by id, (N, L, 2) in pixels of this file's /image.

        Raises DataError if `other` lacks an id of this file, and as `order_of_points` does.
        """
        order = self.order_of_points(other)
        rows = match_ids(self.ids, other.ids, self.name, other.name)
        return np.asarray(self.from_source(other.points("source")[rows][:, order]), np.float32)

    def order_of_points(self, other: FacesFile) -> np.ndarray | slice:
        """What brings the points of `other` into the order of this file's: an index of them, or a slice of all.

        Points are compared by their names where both files have some. Raises DataError where they are not the same
        ones; a file without any fits all.
        """
        if "landmarks" not in self:
            return slice(None)
        self.require_points(other.n_points, other.name)
        order = point_order(self.scheme, other.scheme, self.name, other.name)
        return slice(None) if order is None else order

    def require_scheme(self, scheme: Scheme, whose: str) -> None:
        """Raises DataError where this file's points are not those of `whose` scheme, in the same order."""
        self.require_points(scheme.n_points, whose)
        if point_order(scheme, self.scheme, whose, self.name) is not None:
            raise DataError(
                f"{self.name}: its points have the same names as those of {whose}, but in another order",
                "kd-merge --convert SCHEME reorders them",
            )

    def require_points(self, n_points: int, whose: str) -> None:
        """Raises DataError if this file does not have `n_points` points, as `whose` does."""
        if self.n_points != n_points:
            raise DataError(
                f"{self.name}:/landmarks: {self.n_points} points per face, but {whose} has {n_points}",
                "use files of the same scheme",
            )

    def compare_crop(self, crop: CropRule | None, whose: str, reporter: Reporter) -> None:
        """Warn if these faces are cropped by another rule than those of `whose`."""
        if self.crop is not None and crop is not None and self.crop != crop:
            reporter.warn(f"{self.name} is cropped by the rule {self.crop.to_json()}, {whose} by {crop.to_json()}")

    @property
    def subsets(self) -> dict[str, np.ndarray]:
        """Name -> (N,) bool, sorted by name."""
        return {name: np.asarray(self._whole(f"subset/{name}"), bool) for name in subset_names(self.h5)}

    @property
    def scheme(self) -> Scheme:
        """The scheme of the points, from the file's attributes; the registry completes them."""
        return stored_scheme(self.h5, self.n_points, self.name)

    @property
    def shape_model(self) -> ShapeModel:
        """The shape model that kd-asm wrote. Raises DataError if there is none."""
        for part in ("mean", "modes", "variance"):
            if f"shape_model/{part}" not in self:
                raise DataError(f"{self.name}: holds no /shape_model/{part}", "kd-asm writes one")
        group = self.h5["shape_model"]
        align = str(group.attrs.get("align", "procrustes"))
        mean, modes, variance = (self._whole(f"shape_model/{part}") for part in ("mean", "modes", "variance"))
        return ShapeModel(mean, modes, variance, align)


@contextlib.contextmanager
def open_faces(source: str | Path, *, ids: bool = False) -> Iterator[FacesFile]:
    """Open and check a faces file, or standard input for `-`.

    `ids` says that all `id_bytes` will be read, which then are kept where they are read first.
    Raises FileError for a file that is absent, damaged, of another kind, or newer than this package.
    """
    source = str(source)
    with readable(source) as path:
        name = name_of(source)
        check_signature(path, name)
        risks = partial(_read_risks, path=path, name=name, ids=ids)
        with guarded_file(path, name, risks) as (h5, stream), contextlib.ExitStack() as stack:
            faces = _checked(h5, path, name, stream)
            if faces.parts:
                stack.enter_context(files_allowed(len(faces.parts), name))
                places = [path.parent / part for part in sorted(faces.parts)]
                rehearse_together(places, partial(_open_parts, places, name, stack))
                for place in places:
                    note_input(str(place))
                parts = dict(zip(sorted(faces.parts), _open_parts(places, name, stack), strict=True))
                with contradictions_reported(name, stream):
                    faces.join_parts(parts)
            yield faces


def begin_to_open(path: str) -> None:
    """Begin to look in the background at a file that `open_faces` will soon open for its `ids`, if it is one."""
    place = Path(path)
    with contextlib.suppress(FileError):
        check_signature(place, path)
        begin_rehearsal(place, partial(_read_risks, path=place, name=path, ids=True))


def _read_risks(h5: h5py.File, stream: GuardedStream, path: Path, name: str, ids: bool) -> np.ndarray | None:
    """Read what might crash HDF5 or never end, of all that is read of a faces file. Raises errors as they come."""
    FacesFile(h5, path, name, stream)
    found = None
    for item in objects_in(h5):
        if isinstance(item, h5py.Dataset):
            item.shape, item.dtype  # noqa: B018 - kd-info lists the arrays of other programs, too
        if item.name == "/" or schema.is_known(item.name.strip("/")):
            with contextlib.suppress(DataError, FileError):  # who reads the array gets the same error
                is_kept = ids and item.name == "/id"
                kept = read_risks(item, *schema.ATTRIBUTES, keep=is_kept)
                found = kept if is_kept else found
    return found


def _checked(h5: h5py.File, path: Path, name: str, stream: GuardedStream) -> FacesFile:
    with contradictions_reported(name, stream):
        return FacesFile(h5, path, name, stream)


def _open_parts(places: list[Path], whole: str, stack: contextlib.ExitStack) -> list[FacesFile]:
    """The parts of a virtual file. Raises FileError for one that is no sound faces file, or virtual itself."""
    opened = [stack.enter_context(open_faces(place)) for place in places]
    for part in opened:
        if part.parts:
            hint = "join the parts themselves"
            raise FileError(f"{whole}: refers to {part.path}, which refers to others itself", hint)
    return opened
