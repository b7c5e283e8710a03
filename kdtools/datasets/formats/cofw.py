"""COFW: COFW_train.mat and COFW_test.mat, grey or _color, of 29 points with occlusion; the pictures are in the file.

MATLAB 7.3, which is HDF5 with the axes in reverse (Tr for train, T for test):
phisT      (87, N)  29 x, 29 y, 29 flags: 1 occluded
bboxesT    (4, N)   x, y, width, height
IsT        (1, N)   references to pictures (W, H) or (3, W, H) uint8

COFW_test_507.mat, MATLAB 5: the struct array COFW_test of imagename ('images/1.jpg'), x_29 (29, 2), vis_29 (29, 1: 1
seen), and x, vis of 68 points, which the format cofw68 reads. Its pictures are those of COFW_test*.mat beside it, or
below --images, or single files.

1-based, as all of MATLAB: MMPose subtracts 1 from every coordinate of these files; its numbers for test faces 421 and
460 are those of COFW_test_507.mat less 1.0000. Ids are test/1, test/2, ... and train/1, ..., also in cofw68.

Source: X. Burgos-Artizzu, P. Perona, P. Dollár, "Robust face landmark estimation under occlusion", ICCV 2013.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, box_from_size
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.hdf5 import dataset_at, numbers_at, opened
from kdtools.datasets.formats.shared.matlab import Value, as_array, read_mat, variable_names
from kdtools.datasets.formats.shared.text_lists import check_size
from kdtools.errors import DataError, FileError

N_POINTS = 29

_SUFFIX_OF = {"train": "Tr", "test": "T"}
_JOINT = "COFW_test"  # the struct of COFW_test_507.mat
_MOST_PIXELS = 2**26

Load = Callable[[], np.ndarray]


def accepts(source: Path) -> bool:
    return bool(_find_files(source))


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """The faces for training first, where the folder holds both."""
    for part, path in _find_files(source).items():
        if is_joint(path):
            yield from read_joint(path, reading, "x_29", "vis_29", N_POINTS)
        else:
            yield from _read_hdf5(path, part, reading)


def _find_files(source: Path) -> dict[str, Path]:
    """The file of each part, train before test; in a folder one with pictures, and colour before grey."""
    paths = sorted(source.glob("*.mat")) if source.is_dir() else [source]
    named = [path for path in paths if path.is_file() and (path == source or path.name.lower().startswith("cofw"))]
    joint = next(filter(is_joint, named), None)
    found = {"test": joint} if joint else {}
    for path in named:  # NAME.mat sorts before NAME_color.mat, which so takes its place
        part = _part_in(path)
        if part:
            found[part] = path
    return {part: found[part] for part in _SUFFIX_OF if part in found}


def is_joint(path: Path) -> bool:
    """Whether a file is COFW_test_507.mat, by its content."""
    return path.suffix == ".mat" and variable_names(path) == [_JOINT]


def _part_in(path: Path) -> str | None:
    """Which part of COFW an HDF5 file holds, if any."""
    if path.suffix != ".mat" or not h5py.is_hdf5(path):
        return None
    with contextlib.suppress(FileError, DataError), opened(path) as file:
        return next((part for part, suffix in _SUFFIX_OF.items() if f"phis{suffix}" in file), None)
    return None


def _read_hdf5(path: Path, part: str, reading: Reading) -> Iterator[Annotation]:
    suffix = _SUFFIX_OF[part]
    with opened(path) as file:
        rows = _read_table(file, f"phis{suffix}", 3 * N_POINTS)
        boxes = _read_table(file, f"bboxes{suffix}", 4) if f"bboxes{suffix}" in file else None
    if boxes is not None and len(boxes) != len(rows):
        raise DataError(f"{path}: {len(rows)} faces, but {len(boxes)} boxes")
    for k, row in enumerate(rows):
        try:
            points = as_points(check_size(row[: 2 * N_POINTS]).reshape(2, N_POINTS).T, reading.base)
            visible = 1 - check_flags(row[2 * N_POINTS :])
            box = None if boxes is None else box_from_size(*check_size(boxes[k]), base=reading.base)
        except DataError as error:
            reading.skip(f"{path}:{part}/{k + 1}", error.message)
            continue
        load = partial(read_picture, path, part, k) if reading.pictures else None
        yield make_face(part, k + 1, path / str(k + 1), points, visible, box, load)


def _read_table(file: h5py.File, name: str, n_columns: int) -> np.ndarray:
    """(N, n_columns) float64. Raises DataError for a data set of another shape or kind."""
    numbers = numbers_at(file, name)
    if numbers.ndim != 2 or len(numbers) != n_columns:
        raise DataError(f"{file.filename}:/{name}: not numbers in {n_columns} rows")
    return numbers.T


def read_picture(path: Path, part: str, k: int) -> np.ndarray:
    """The k-th picture of a part (H, W, 3) uint8 RGB. Opens the file anew, so that any thread may call it."""
    what = f"{path}: picture {k + 1}"
    with opened(path) as file:
        references = dataset_at(file, f"Is{_SUFFIX_OF[part]}")
        if references.dtype != h5py.ref_dtype or k >= references.size:
            raise DataError(f"{what}: there is none")
        picture = dataset_at(file, file[references[()].reshape(-1)[k]].name)
        shape = picture.shape
        if picture.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)):
            raise DataError(f"{what}: is not 8-bit grey or RGB")
        if not 0 < picture.size <= 3 * _MOST_PIXELS:
            raise DataError(f"{what}: {' x '.join(map(str, shape))} is not an image size")
        pixels = picture[()].T
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def check_flags(flags: np.ndarray) -> np.ndarray:
    """Raises DataError where flags are not all 0 or 1."""
    if not np.isin(flags, (0, 1)).all():
        raise DataError("a flag of occlusion is neither 0 nor 1")
    return flags


def read_joint(path: Path, reading: Reading, key: str, visible_key: str, n_points: int) -> Iterator[Annotation]:
    """Faces of COFW_test_507.mat: its 29 or its 68 points."""
    try:
        faces = read_mat(path, [_JOINT])[_JOINT]
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    pictures = find_test_file(path.parent, reading)
    for k, face in enumerate(faces):
        where = f"{path}:{_JOINT}({k + 1})"
        try:
            number, name, points, visible = _parse_face(face, key, visible_key, n_points)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        found = find_picture(number, name, where, path.parent, pictures, reading)
        if found:
            image, load = found
            yield make_face("test", number, image, points - reading.base, visible, None, load)


def _parse_face(face: object, key: str, visible_key: str, n_points: int) -> tuple[int, str, np.ndarray, np.ndarray]:
    """Number in the test set, name of the picture, points, visible."""
    fields: dict[str, Value] = face if isinstance(face, dict) else {}
    absent = [name for name in ("imagename", key, visible_key) if name not in fields]
    if absent:
        raise DataError(f"no field {', '.join(absent)}")
    name = fields["imagename"]
    stem = Path(name).stem if isinstance(name, str) else ""
    if not re.fullmatch("[1-9][0-9]{0,5}", stem):
        raise DataError(f"{str(name)[:40]!r} is not a numbered picture")
    points = as_points(check_size(as_array(fields[key], n_points, 2)))
    return int(stem), str(name), points, check_flags(as_array(fields[visible_key], n_points, 1)[:, 0])


def make_face(
    part: str,
    number: int,
    image: Path,
    points: np.ndarray,
    visible: np.ndarray,
    box: np.ndarray | None,
    load: Load | None,
) -> Annotation:
    """The face of that number in its part; flags `visible` (L,) are 1 where a point is seen."""
    return Annotation(
        f"{part}/{number}",
        image,
        points,
        visible=visible.astype(bool),
        box=box,
        subsets=frozenset({part}),
        load=load,
    )


def find_test_file(folder: Path, reading: Reading) -> Path | None:
    """The file with the test set's pictures, in colour first: below --images, in `folder` or up to two above it."""
    if not reading.pictures:
        return None
    name = "COFW_test*.mat"
    places = [root.rglob(name) for root in reading.roots] + [
        place.glob(name) for place in (folder, folder.parent, folder.parent.parent)
    ]
    paths = (path for place in places for path in sorted(place, reverse=True))
    return next((path for path in paths if _part_in(path) == "test"), None)


def find_picture(
    number: int, name: str, where: str, folder: Path, pictures: Path | None, reading: Reading
) -> tuple[Path, Load | None] | None:
    """Path of a test face's picture and what loads it: from the file of pictures, else by its name."""
    if pictures:
        return pictures / str(number), partial(read_picture, pictures, "test", number - 1)
    image = reading.find_image(name, folder, where)
    return (image, None) if image else None


FORMAT = Format("cofw", "COFW's .mat files, with the pictures in them: 29 points", 1, accepts, read)
