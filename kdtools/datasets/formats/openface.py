"""OpenFace's CSV: a row for each face that FeatureExtraction or FaceLandmarkImg looked at, with 68 points in pixels.

frame, face_id, timestamp, confidence, success, gaze_0_x, ..., x_0, ..., x_67, y_0, ..., y_67, X_0, ..., Z_67, ...
1, 0, 0.000, 0.98, 1, ...

Only x_0 to y_67 are read, the points of 300W in the image. X_0 to Z_67 are millimetres in space, eye_lmk_x_0 and the
like the outlines of the eyes. `confidence` is one number for a face; it becomes its score and the confidence of its
points. Where `success` is 0 the face was lost, and the row is left out.

Frames count from 1; ids count them from 0, as kd-predict does: `clip#frame=000000` is frame 1 of clip.csv. A table with
`face` in the place of `frame` is that of one image, NAME.csv of NAME.jpg. A column `file` or `image`, which people add
when they join tables, names the image of each row. The second and further faces (`face_id`, `face`) have #2, #3, ...

NAME_of_details.txt beside a table says what OpenFace read, `Input:photos/a.jpg`. NAME.jpg or NAME.avi beside both is
then its drawing, with the points over the face, and not taken for the input. The frames of a folder (`-fdir`) are its
images in the order of their names.

0-based: OpenFace draws the numbers with OpenCV as they are (Visualizer.cpp).

Source: github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points, clean_name
from kdtools.datasets.formats.shared.csv_columns import IMAGE_NAMES
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import Place, find_frame, find_named
from kdtools.datasets.formats.shared.tables import first_rows, numbers_of, read_table
from kdtools.datasets.formats.shared.text_lists import files_like
from kdtools.errors import DataError, FileError
from kdtools.landmarks import IBUG68
from kdtools.reporting import counted
from kdtools.storage.file_kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from kdtools.storage.names import frame_id

_XY = tuple(f"{axis}_{k}" for k in range(IBUG68.n_points) for axis in "xy")
_OF_SEQUENCES = (".bmp", ".jpeg", ".jpg", ".png")  # that OpenFace reads of a folder
_MARKS = {"success", "confidence"}
_PLACES = {"frame", "face"} | IMAGE_NAMES


@dataclass(frozen=True)
class _Columns:
    """Places of the cells that are read: of the points (136,), and of all else by name."""

    n_cells: int
    xy: tuple[int, ...]
    place: dict[str, int]

    def number(self, row: Sequence[str], name: str) -> float | None:
        """None where the table has no such column. Raises DataError for a cell that holds no number."""
        return float(numbers_of([row[self.place[name]]])[0]) if name in self.place else None

    def count(self, row: Sequence[str], name: str, default: int) -> int:
        """A whole number from 0 on. Raises DataError for any other."""
        value = self.number(row, name)
        if value is None:
            return default
        if not value >= 0 or value % 1:
            raise DataError(f"{name} is {row[self.place[name]].strip()[:20]!r}, not a whole number")
        return int(value)


def accepts(source: Path) -> bool:
    return bool(_tables_in(source))


def _tables_in(source: Path) -> list[Path]:
    return files_like(source, "*.csv", lambda path: any(map(_columns_of, first_rows(path, 1))))


def _columns_of(header: Sequence[str]) -> _Columns | None:
    """None for a header that is not OpenFace's. The case matters: x_0 is a pixel, X_0 a millimetre."""
    names = [name.strip() for name in header]
    place = {name: k for k, name in reversed(list(enumerate(names)))}
    known = set(place)
    if not (known >= set(_XY) and known & _MARKS and {name.lower() for name in known} & _PLACES):
        return None
    if "success" not in known and not {"frame", "face"} & known:
        return None
    images = [k for k, name in enumerate(names) if name.lower() in IMAGE_NAMES]
    if images:
        place["image"] = images[0]
    return _Columns(len(names), tuple(place[name] for name in _XY), place)


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """All tables of a folder, each with the name of its video or image."""
    for path in _tables_in(source):
        yield from _read_table(path, reading)


def _read_table(path: Path, reading: Reading) -> Iterator[Annotation]:
    rows = read_table(path)
    columns = next((_columns_of(header) for _, header in rows), None)
    if columns is None:
        raise FileError(f"{path}: its first row is not the header of OpenFace's tables")
    found, n_lost, last = [], 0, 0
    for where, row in rows:
        try:
            if len(row) != columns.n_cells:
                raise DataError(f"{len(row)} cells, but the header has {columns.n_cells}")
            last = max(last, columns.count(row, "frame", 1))
            success = columns.number(row, "success")
            if success not in (None, 0, 1):
                raise DataError(f"success is {success:g}, not 0 or 1")
            if success == 0:
                n_lost += 1
                continue
            found.append((where, row, columns.count(row, "frame", 1), _face_of(columns, row)))
        except DataError as error:
            reading.skip(where, error.message)
    if n_lost:
        reading.say(f"{path}: left out {counted(n_lost, 'row')} without success, in which OpenFace lost the face")
    first = min([1, *(frame for _, _, frame, _ in found)])
    pictures = _Pictures(path, last - first + 1, reading)
    seen: set[str] = set()
    for where, row, frame, face in found:
        one = _annotation_of(columns, row, where, frame - first, face, reading, pictures)
        if one is None:
            continue
        if one.id in seen:
            reading.skip(where, f"a second row of {one.id!r}")
            continue
        seen.add(one.id)
        yield one


def _face_of(columns: _Columns, row: Sequence[str]) -> int:
    return columns.count(row, "face_id" if "face_id" in columns.place else "face", 0)


_DETAILS = "_of_details.txt"
_LONGEST_DETAILS = 1 << 16  # bytes


class _Pictures:
    """Where the images or frames of a table are. `n_frames` is the number of its last frame, from 1."""

    def __init__(self, path: Path, n_frames: int, reading: Reading) -> None:
        self.table, self._n_frames, self._reading = path, n_frames, reading
        self._input = _input_of(path)
        # What lies beside a table with details has the points drawn over it.
        self._folder = path.parent if self._input is None else path.absolute().parent.parent
        self._sequence: list[Path] | None = None
        self._is_sought = False

    def image(self, where: str) -> Place | None:
        """The image of a table of one image; None, after a skip, where there is none."""
        if self._input is not None and self._input.suffix.lower() in IMAGE_SUFFIXES:
            if not self._reading.pictures or self._input.is_file():
                return Place(clean_name(self._input.name), self._input)
            for root in self._reading.roots:
                if (root / self._input.name).is_file():
                    return Place(clean_name(self._input.name), root / self._input.name)
        return find_named(self._reading, self.table.stem, self._folder, where)

    def frame(self, number: int, where: str) -> Place | None:
        """Frame `number`, from 0, of a video or of a folder of images; None, after a skip, where there is none."""
        if not self._is_sought:
            self._is_sought, self._sequence = True, self._find_sequence()
        if self._sequence is not None:
            image = self._sequence[number]
            return Place(clean_name(f"{image.parent.name}/{image.name}"), image)
        if self._input is not None and self._input.suffix.lower() in VIDEO_SUFFIXES and self._input.is_file():
            return Place(frame_id(clean_name(self._input.name), number), self._input, number)
        return find_frame(self._reading, self.table.stem, number, self._folder, where)

    def _find_sequence(self) -> list[Path] | None:
        """Images of the folder that OpenFace read, in its order. Raises FileError where there are more or fewer."""
        if not self._reading.pictures:
            return None
        name = self.table.stem if self._input is None else self._input.name
        places = [] if self._input is None else [self._input]
        for root in (*self._reading.roots, self._folder, self.table.absolute().parent.parent):
            places += [root / name, *([root] if root.absolute().name == name else [])]
        for place in places:
            names = sorted(self._reading.names_in(str(place))) if place.is_dir() else []
            images = [place / one for one in names if Path(one).suffix.lower() in _OF_SEQUENCES]
            if images and len(images) != self._n_frames:
                raise FileError(
                    f"{self.table}: has {self._n_frames} frames, but the folder {place} {len(images)} images",
                    "name with --images the folder that OpenFace read, or one that holds it",
                )
            if images:
                return images
        return None


def _input_of(table: Path) -> Path | None:
    """What OpenFace read for a table, by the details beside it; None where there are none."""
    try:
        with table.with_name(table.stem + _DETAILS).open("rb") as stream:
            text = stream.read(_LONGEST_DETAILS).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    found = re.search(r"^Input:[ \t]*(\S.*?)\s*$", text, re.MULTILINE)
    name = found[1].replace("\\", "/").rstrip("/") if found else ""
    return Path(name) if name and "\0" not in name else None


def _annotation_of(
    columns: _Columns,
    row: Sequence[str],
    where: str,
    frame: int,
    face: int,
    reading: Reading,
    pictures: _Pictures,
) -> Annotation | None:
    try:
        points = as_points(numbers_of([row[k] for k in columns.xy]), reading.base)
        confidence = columns.number(row, "confidence")
    except DataError as error:
        reading.skip(where, error.message)
        return None
    if "image" in columns.place:
        name = row[columns.place["image"]].strip()
        image = reading.find_image(name, pictures.table.parent, where) if name else None
        if not name:
            reading.skip(where, "no name of an image")
        place = None if image is None else Place(clean_name(name), image)
    elif "frame" in columns.place:
        place = pictures.frame(frame, where)
    else:
        place = pictures.image(where)
    if place is None:
        return None
    id = place.id if face == 0 else f"{place.id}#{face + 1}"
    scores = None if confidence is None else np.full(len(points), confidence)
    return Annotation(id, place.image, points, confidence=scores, score=confidence, frame=place.frame)


FORMAT = Format(
    "openface",
    "OpenFace's CSV: frame, confidence, success, x_0, ..., y_67",
    0,
    accepts,
    read,
    scheme=IBUG68.name,
    predicted=True,
)
