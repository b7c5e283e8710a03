"""Reading and joining faces files.

Nothing here reads all images into memory: `FacesFile.images` is a memory map where the file allows it.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import DataError, FileError, some_of
from kdtools.files import schema
from kdtools.files.aside import STANDARD_STREAM, readable
from kdtools.files.digests import digest_of
from kdtools.files.limits import files_allowed
from kdtools.geometry import IDENTITY, CropRule, apply_affine, invert_affine
from kdtools.schemes import INDEX_FIELDS, JSON_FIELDS, SCHEMES, Scheme, scheme_for_points
from kdtools.shape_model import ShapeModel

# What turns a file of format k, opened, into one that reads like format k + 1.
UPGRADES: dict[int, Callable[[FacesFile], None]] = {}

_SOME_ROWS = 1 << 16  # of small arrays, read at a time
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class FacesFile:
    """A faces file opened for reading. `name` is what messages call it."""

    def __init__(self, h5: h5py.File, path: Path, name: str) -> None:
        self.h5, self.path, self.name = h5, path, name
        self._check_kind()
        self._check_arrays()

    # ---- what is in the file
    def __contains__(self, array: str) -> bool:
        return isinstance(self.h5.get(array), h5py.Dataset)

    def __len__(self) -> int:
        return int(self.h5["id"].shape[0])

    def require(self, *arrays: str) -> None:
        """Raises DataError that names the first of `arrays` which the file does not hold."""
        for array in arrays:
            if array not in self:
                hint = {
                    "image": "this tool needs the pictures, not only their points",
                    "landmarks": "this tool needs annotated or predicted points",
                }
                raise DataError(f"{self.name}: holds no /{array}", hint.get(array, ""))

    @property
    def ids(self) -> list[str]:
        """N names, in file order."""
        return list(self.h5["id"].asstr()[...])

    def read(self, name: str, first: int, stop: int) -> Any:
        """Rows of an array of the format, text as a list; of an absent /to_source the identity."""
        if name == "to_source" and name not in self:
            return np.broadcast_to(IDENTITY, (stop - first, 2, 3))
        data, spec = self.h5[name], schema.spec_of(name)
        if spec is not None and spec.dtype == "text":
            return list(data.asstr()[first:stop])
        return data[first:stop]

    @property
    def id_digests(self) -> np.ndarray:
        """(N,) uint64, equal for equal ids; of ten million ids they can be held where the ids could not."""
        starts = range(0, len(self), _SOME_ROWS)
        names = (name for first in starts for name in self.read("id", first, first + _SOME_ROWS))
        return np.fromiter(map(digest_of, names), np.uint64, len(self))

    def check_unique(self) -> None:
        """Raises DataError that names ids which stand twice."""
        if len(np.unique(self.id_digests)) < len(self):
            check_unique_ids(self.ids)

    @property
    def role(self) -> str:
        return str(_plain(self.h5["landmarks"].attrs.get("role", "hard")))

    @property
    def n_points(self) -> int:
        self.require("landmarks")
        return int(self.h5["landmarks"].shape[1])

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of /image in pixels."""
        self.require("image")
        return int(self.h5["image"].shape[1]), int(self.h5["image"].shape[2])

    @property
    def crop(self) -> CropRule | None:
        """The rule by which the images were cut out, where the file states one."""
        text = _plain(self.h5.attrs.get("crop"))
        return CropRule.from_json(text) if text else None

    @property
    def images(self) -> Any:
        """(N, H, W, 3) uint8, sliceable by rows: a read-only memory map, or the HDF5 dataset where it is compressed."""
        self.require("image")
        data = self.h5["image"]
        offset = data.id.get_offset()
        if offset is None:
            return data
        return np.memmap(self.path, np.uint8, mode="r", offset=offset, shape=data.shape)

    @property
    def landmarks(self) -> np.ndarray:
        """(N, L, 2) float32, pixels of /image, or of the source image where there is no /image."""
        self.require("landmarks")
        return np.asarray(self.h5["landmarks"][...], np.float32)

    @property
    def to_source(self) -> np.ndarray:
        """(N, 2, 3) float64; the identity where the file states none."""
        if "to_source" in self:
            return np.asarray(self.h5["to_source"][...], np.float64)
        return np.broadcast_to(IDENTITY, (len(self), 2, 3))

    def landmarks_in_source(self) -> np.ndarray:
        """(N, L, 2) in pixels of the source images, the frame in which any two files can be compared."""
        return self.points_to_source(self.landmarks)

    def points_to_source(self, points: np.ndarray) -> np.ndarray:
        """Points (N, L, 2) in pixels of /image -> pixels of the source images; as they are where there is no /image."""
        return apply_affine(self.to_source, points) if "image" in self else points

    def landmarks_from(self, other: FacesFile) -> np.ndarray:
        """Points of `other` for the faces of this file, joined by id, (N, L, 2) in pixels of this file's /image.

        Raises DataError where an id of this file is absent there, or the numbers of points differ.
        """
        self.check_same_points(other)
        rows = match_ids(self.ids, other.ids, self.name, other.name)
        points = other.landmarks_in_source()[rows]
        if "image" in self and "to_source" in self:
            points = apply_affine(invert_affine(self.to_source), points)
        return np.asarray(points, np.float32)

    def check_same_points(self, other: FacesFile) -> None:
        """Raises DataError where two files have different numbers of points; one without any fits all."""
        if "landmarks" in self:
            self.require_points(other.n_points, other.name)

    def require_points(self, n_points: int, whose: str) -> None:
        """Raises DataError where this file has not `n_points` points, as `whose` has."""
        if self.n_points != n_points:
            raise DataError(
                f"{self.name}:/landmarks: {self.n_points} points per face, but {whose} has {n_points}",
                "use files of the same scheme",
            )

    @property
    def subsets(self) -> dict[str, np.ndarray]:
        """Name -> (N,) bool, sorted by name."""
        group = self.h5.get("subset")
        if not isinstance(group, h5py.Group):
            return {}
        return {name: np.asarray(group[name][...], bool) for name in sorted(group)}

    @property
    def scheme(self) -> Scheme:
        """What the points mean, from the file's own attributes; the registry fills in what they leave out."""
        name = str(_plain(self.h5.attrs.get("scheme", "")))
        known = SCHEMES.get(name)
        if known is None or known.n_points != self.n_points:
            known = scheme_for_points(self.n_points) if not name else Scheme(name, self.n_points)
        attrs = self.h5["landmarks"].attrs
        fields = {**vars(known)}
        fields.update({key: np.atleast_1d(attrs[key]) for key in INDEX_FIELDS if key in attrs})
        try:
            fields.update({key: json.loads(_plain(attrs[key])) for key in JSON_FIELDS if key in attrs})
            return Scheme.from_fields(fields)
        except (DataError, ValueError, TypeError) as error:
            hint = "correct the attributes, or leave out those that are not known"
            raise DataError(f"{self.name}:/landmarks: its attributes are no scheme: {error}", hint) from error

    @property
    def shape_model(self) -> ShapeModel:
        """The shape model that kd-asm wrote. Raises DataError where there is none."""
        for part in ("mean", "modes", "variance"):
            if f"shape_model/{part}" not in self:
                raise DataError(f"{self.name}: holds no /shape_model/{part}", "kd-asm writes one")
        group = self.h5["shape_model"]
        align = str(group.attrs.get("align", "procrustes"))
        return ShapeModel(group["mean"][...], group["modes"][...], group["variance"][...], align)

    # ---- checks on opening
    def _check_kind(self) -> None:
        kind = _plain(self.h5.attrs.get("kd_kind"))
        if kind != schema.KIND:
            what = "no kd_kind attribute" if kind is None else f"kd_kind is {kind!r}"
            raise FileError(f"{self.name}: an HDF5 file, but not a faces file ({what})", "kd-import makes faces files")
        version = _plain(self.h5.attrs.get("kd_format"))
        if not isinstance(version, (int, np.integer)) or version < 1:
            raise FileError(f"{self.name}: kd_format is {version!r}, not a version number")
        if version > schema.FORMAT:
            raise FileError(
                f"{self.name}: faces format {version}, but this kdtools reads up to {schema.FORMAT}",
                "upgrade kdtools",
            )
        for older in range(int(version), schema.FORMAT):
            UPGRADES[older](self)

    def _check_arrays(self) -> None:
        if "id" not in self:
            raise FileError(f"{self.name}: holds no /id, so its faces have no names", "write the file again")
        sources = self.h5["id"].virtual_sources() if self.h5["id"].is_virtual else ()
        self.parts = {source.file_name for source in sources}
        for part in self.parts:
            if not self.path.parent.joinpath(part).is_file():  # HDF5 would read zeros
                hint = "bring it back, or join the parts without --virtual while they are there"
                raise FileError(f"{self.name}: a file that it refers to is absent: {part}", hint)
        if h5py.check_string_dtype(self.h5["id"].dtype) is None:
            raise FileError(f"{self.name}: /id is not text")
        sizes: dict[str, int] = {}
        names = [name for name in schema.ARRAYS if name in self]
        group = self.h5.get("subset")
        names += [f"subset/{name}" for name in group] if isinstance(group, h5py.Group) else []
        for name in names:
            spec, array = schema.spec_of(name), self.h5[name]
            if not isinstance(array, h5py.Dataset):
                raise FileError(f"{self.name}: /{name} is not an array")
            shape = array.shape
            if spec is None or shape is None or len(shape) != len(spec.dims):
                raise FileError(f"{self.name}: /{name} has shape {shape}, expected {spec and spec.dims}")
            if not (array.dtype == np.uint8 if name == "image" else _is_readable_as(array.dtype, spec.dtype)):
                raise FileError(f"{self.name}: /{name} holds {array.dtype}, expected {spec.dtype}", "convert it")
            for dim, length in zip(spec.dims, shape, strict=True):
                expected = dim if isinstance(dim, int) else sizes.setdefault(dim, length)
                if length != expected:
                    raise FileError(
                        f"{self.name}: /{name} has {length} along its axis {dim!r}, expected {expected}",
                        "the file contradicts itself; write it again",
                    )


def _is_readable_as(found: np.dtype[Any], wanted: str) -> bool:
    """Whether an array of type `found` can stand for one that the format writes as `wanted`.

    Whole numbers do for floats, and 0 and 1 in any type of whole numbers for truth values (/visible, /subset).
    """
    if wanted == "text":
        return h5py.check_string_dtype(found) is not None
    if wanted.startswith("float"):
        return found.kind in "fiu"
    return found.kind in "biu"


@contextlib.contextmanager
def open_faces(source: str | Path) -> Iterator[FacesFile]:
    """Open a faces file, or standard input for `-`, and check what it is.

    Raises FileError, in one line, for a file that is absent, truncated, of another kind, or newer than this package.
    """
    source = str(source)
    with readable(source) as path:
        name = "standard input" if source == STANDARD_STREAM else source
        _check_signature(path, name)
        try:
            h5 = h5py.File(path, "r")
        except (OSError, RuntimeError) as error:
            hint = "it may be truncated or damaged; make it again"
            raise FileError(f"{name}: cannot be opened as HDF5", hint) from error
        with h5:
            try:
                faces = FacesFile(h5, path, name)
            except (OSError, RuntimeError, KeyError, ValueError) as error:
                raise FileError(f"{name}: damaged: {error}", "make it again") from error
            with files_allowed(len(faces.parts), name):
                yield faces


def _check_signature(path: Path, name: str) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except FileNotFoundError as error:
        raise FileError(f"{name}: no such file") from error
    except IsADirectoryError as error:
        raise FileError(f"{name}: is a directory, not a faces file", "kd-import makes one from a folder") from error
    except OSError as error:
        raise FileError(f"{name}: {error.strerror}") from error
    if not start:
        raise FileError(f"{name}: is empty", "did the command that should write it fail?")
    if not start.startswith(_HDF5_SIGNATURE):
        kind = "a model file" if start[8:9] == b"{" else "of another kind"
        raise FileError(f"{name}: is {kind}, not a faces file (HDF5)")


def _plain(value: Any) -> Any:
    """An attribute as h5py would give one of its own: C writes text of a fixed length, MATLAB arrays of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def check_unique_ids(ids: Sequence[str]) -> None:
    """Raises DataError that names ids which stand twice."""
    if len(set(ids)) != len(ids):
        twice = [identity for identity, count in Counter(ids).items() if count > 1]
        hint = "rename a file or a folder, or give each input once"
        raise DataError(f"two faces have the same id: {some_of(twice)}", hint)


def match_ids(wanted: Sequence[str], given: Sequence[str], wanted_name: str, given_name: str) -> np.ndarray:
    """Row in `given` of each id in `wanted`, (N,) int64; rows that nobody wants are left.

    Raises DataError that names some ids where one is absent or stands twice.
    """
    row_of = {identity: row for row, identity in enumerate(given)}
    if len(row_of) != len(given):
        raise DataError(f"{given_name}: some ids stand more than once", "ids must be unique to join files by them")
    missing = [identity for identity in wanted if identity not in row_of]
    if missing:
        raise DataError(
            f"{given_name}: lacks {len(missing)} of the {len(wanted)} faces of {wanted_name}: {some_of(missing)}",
            "files are joined by /id; use a file made from the same faces",
        )
    return np.fromiter((row_of[identity] for identity in wanted), np.int64, len(wanted))
