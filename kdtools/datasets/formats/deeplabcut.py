"""DeepLabCut: CollectedData_*.csv and .h5 (labels), and what it writes for a video (predictions); 0-based.

scorer,me,me,me,me                                  scorer,net,net,net
bodyparts,nose,nose,tail,tail                       bodyparts,nose,nose,nose
coords,x,y,x,y                                      coords,x,y,likelihood
labeled-data/walk/img001.png,10.5,20.1,,            0,10.5,20.1,0.998

The path may also stand in three columns; a row `individuals` below `scorer` is that of several animals. Each of them
is a face, the k-th with #k from the second on; one without any point in a picture is not there. The individual
`single`, DeepLabCut's name for parts that belong to no animal, is left out. likelihood becomes confidence. Frames are
taken from the video where it lies beside the file, else from pictures VIDEO/frame_000012. An HDF5 file is a pandas
table (see pandas_hdf5.py).

Base: DeepLabCut's labelling tools show pictures with matplotlib's imshow, later with napari, and store the place of the
click unchanged; both put the first pixel's centre at 0 (deeplabcut/gui/labeling_toolbox.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import Place, find_frame_or_still
from kdtools.datasets.formats.shared.hdf5 import opened
from kdtools.datasets.formats.shared.image_beside import frame_name
from kdtools.datasets.formats.shared.pandas_hdf5 import is_table, read_frame
from kdtools.datasets.formats.shared.tables import numbers_of, read_table
from kdtools.datasets.formats.shared.text_lists import check_size
from kdtools.errors import DataError, FileError

_PLACES = ("CollectedData_*", "*/CollectedData_*", "labeled-data/*/CollectedData_*", "*DLC_*")
_KEYS = ("df_with_missing", "tracks")
_HEADER_ROWS = 4
_SINGLE = "single"
_MOST_DIGITS = 9  # of a frame's number


@dataclass(frozen=True)
class _Animal:
    """Where its body parts (L,) stand: `columns` (L, 2) of x and y, `likelihoods` (L,) where there are any."""

    parts: tuple[str, ...]
    columns: np.ndarray
    likelihoods: np.ndarray | None


Row = tuple[str, str, np.ndarray | DataError]  # where it stands, its picture or frame, its numbers or what is wrong


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    """The file, or those of a project, of its folder labeled-data, of a folder in there, or of analysed videos."""
    if source.is_file():
        return [source] if _looks_right(source) else []
    for pattern in _PLACES:
        found = [path for suffix in (".h5", ".csv") for path in source.glob(pattern + suffix) if _looks_right(path)]
        if found:
            return sorted({path.with_suffix(""): path for path in found}.values())  # the .csv holds the same
    return []


def _looks_right(path: Path) -> bool:
    with suppress(FileError):
        if path.suffix.lower() == ".csv":
            names = [cells[0].strip().lower() for _, cells in islice(read_table(path), _HEADER_ROWS)]
            return names[:1] == ["scorer"] and "bodyparts" in names and "coords" in names
        if path.suffix.lower() == ".h5":
            with opened(path) as file:
                return _group_in(file) is not None
    return False


def _group_in(file: h5py.File) -> h5py.Group | None:
    return next((file[key] for key in _KEYS if key in file and is_table(file[key])), None)


def names_of(source: Path) -> list[str] | None:
    """Names of the body parts, in the order of the points."""
    animals, _ = _open(_files_in(source)[0])
    return list(animals[0].parts)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """All files of a folder, which must have the same body parts; their order is that of the first file.

    Raises FileError where two files are of one folder or video: somebody else's labels, or another network's.
    """
    files = _files_in(source)
    _check_one_per_video(source, files)
    order: tuple[str, ...] = ()
    for path in files:
        animals, rows = _open(path)
        order = order or animals[0].parts
        if any(sorted(animal.parts) != sorted(order) for animal in animals):
            reading.skip(str(path), f"its body parts are not those of {files[0]}")
            continue
        yield from _read_rows(path, [_in_order(animal, order) for animal in animals], rows, reading)


def _check_one_per_video(source: Path, files: Sequence[Path]) -> None:
    seen: dict[tuple[Path, str], Path] = {}
    for path in files:
        first = seen.setdefault((path.parent, _video_of(path)), path)
        if first != path:
            raise FileError(f"{source}: holds both {first.name} and {path.name}", "name the one to read")


def _video_of(path: Path) -> str:
    """walkDLC_resnet50_...csv -> walk; nothing for labels."""
    return "" if path.name.startswith("CollectedData") else path.stem.split("DLC_")[0]


def _read_rows(path: Path, animals: list[_Animal], rows: Iterator[Row], reading: Reading) -> Iterator[Annotation]:
    seen: set[str] = set()
    for where, index, numbers in rows:
        is_frame = index.isascii() and index.isdecimal() and len(index) <= _MOST_DIGITS
        video = _video_of(path) or path.stem
        name = frame_name(video, int(index)) if is_frame else index.replace("\\", "/")
        try:
            if isinstance(numbers, DataError):
                raise numbers
            if not name or name in seen:
                raise DataError(f"the row of {name!r} occurs twice" if name else "a row without the name of a picture")
            check_size(numbers)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        seen.add(name)
        faces = [as_points(numbers[animal.columns], reading.base) for animal in animals]
        if not any(np.isfinite(points).any() for points in faces):
            continue
        if is_frame:
            place = find_frame_or_still(reading, video, int(index), path.parent, where)
        else:
            image = reading.find_image(*_place_of(name, path), where)
            place = None if image is None else Place(name, image)
        for k, (animal, points) in enumerate(zip(animals, faces, strict=True)):
            if place is not None and np.isfinite(points).any():
                confidence = None if animal.likelihoods is None else numbers[animal.likelihoods]
                id = place.id if k == 0 else f"{place.id}#{k + 1}"
                yield Annotation(id, place.image, points, confidence=confidence, frame=place.frame)


def _place_of(name: str, path: Path) -> tuple[str, Path]:
    """Where the picture `labeled-data/walk/img001.png` lies: its name from a folder on, and that folder.

    Names begin in the project's folder, some way above the file; in a folder moved out of it, beside the file.
    """
    for folder in list(path.resolve().parents)[:4]:
        if (folder / name).is_file():
            return name, folder
    beside = PurePosixPath(name).name
    return (beside, path.parent) if (path.parent / beside).is_file() else (name, path.parent)


def _open(path: Path) -> tuple[list[_Animal], Iterator[Row]]:
    """The animals and the rows of a file. Raises FileError or DataError where it is not DeepLabCut's."""
    if path.suffix.lower() == ".csv":
        columns, rows = _open_csv(path)
    else:
        columns, rows = _open_hdf5(path)
    try:
        return _animals(columns), rows
    except DataError as error:
        raise DataError(f"{path}: {error.message}") from error


def _open_csv(path: Path) -> tuple[list[tuple[str, ...]], Iterator[Row]]:
    table = read_table(path)
    header: list[list[str]] = []
    for _, cells in islice(table, _HEADER_ROWS):
        header.append([cell.strip() for cell in cells])
        if header[-1][0].lower() == "coords":
            break
    names = header[-1] if header else []
    n_index = next((k for k, cell in enumerate(names) if k and cell), len(names))
    if not names or names[0].lower() != "coords" or any(len(cells) != len(names) for cells in header):
        raise DataError(f"{path}: its first rows are not scorer, bodyparts and coords of equally many columns")
    return list(zip(*(cells[n_index:] for cells in header), strict=True)), _csv_rows(table, n_index, len(names))


def _csv_rows(table: Iterator[tuple[str, list[str]]], n_index: int, n_cells: int) -> Iterator[Row]:
    for where, cells in table:
        index = "/".join(cell.strip() for cell in cells[:n_index])
        try:
            if len(cells) != n_cells:
                raise DataError(f"{len(cells)} cells, but the header has {n_cells}")
            yield where, index, numbers_of(cells[n_index:])
        except DataError as error:
            yield where, index, error


def _open_hdf5(path: Path) -> tuple[list[tuple[str, ...]], Iterator[Row]]:
    try:
        with opened(path) as file:
            group = _group_in(file)
            if group is None:
                raise DataError(f"{path}: holds no pandas table")
            table = read_frame(group)
    except DataError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise DataError(message, "use the .csv that DeepLabCut writes next to it") from error
    rows = ((f"{path}:{index}", index, numbers) for index, numbers in zip(table.index, table.values, strict=True))
    return table.columns, rows


def _animals(columns: list[tuple[str, ...]]) -> list[_Animal]:
    """Animals by the names of the columns: scorer, individual where there are several, body part, coordinate."""
    if len({column[:1] for column in columns}) != 1:
        raise DataError("not the columns of one scorer")
    places: dict[str, dict[str, dict[str, int]]] = {}
    for k, column in enumerate(columns):
        if len(column) not in (3, 4):
            raise DataError(f"its columns have names of {len(column)} levels, not 3 or 4")
        individual = column[1] if len(column) == 4 else ""
        coordinates = places.setdefault(individual, {}).setdefault(column[-2], {})
        if column[-1] in coordinates:
            raise DataError(f"the column {'/'.join(column)} occurs twice")
        coordinates[column[-1]] = k
    if len(places) > 1:
        places.pop(_SINGLE, None)
    return [_animal(parts) for parts in places.values()]


def _animal(parts: dict[str, dict[str, int]]) -> _Animal:
    kinds = {frozenset(coordinates) for coordinates in parts.values()}
    if kinds not in ({frozenset("xy")}, {frozenset(("x", "y", "likelihood"))}):
        raise DataError("its body parts have not all x and y, or x, y and likelihood")
    columns = np.array([[coordinates["x"], coordinates["y"]] for coordinates in parts.values()])
    likelihoods = [coordinates["likelihood"] for coordinates in parts.values() if "likelihood" in coordinates]
    return _Animal(tuple(parts), columns, np.array(likelihoods) if likelihoods else None)


def _in_order(animal: _Animal, order: tuple[str, ...]) -> _Animal:
    """The same with its body parts in that order."""
    indices = [animal.parts.index(part) for part in order]
    likelihoods = None if animal.likelihoods is None else animal.likelihoods[indices]
    return _Animal(order, animal.columns[indices], likelihoods)


FORMAT = Format(
    "deeplabcut", "DeepLabCut's CollectedData and analysis, .csv or .h5", 0, accepts, read, names_of=names_of
)
