"""What every reader yields and every writer takes, and what several of them need."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from kdtools.errors import DataError
from kdtools.faces.schema import ANNOTATION
from kdtools.landmarks.conventions import Convention
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.file_kinds import IMAGE_SUFFIXES, SUFFIXES_TO_TRY
from kdtools.storage.names import files_below, frame_id, frame_in_id
from kdtools.storage.passed_over import PassedOver

_FARTHEST = 1e7  # px; no photograph is that wide


@dataclass(frozen=True)
class Annotation:
    """One face, in pixels of its image, first pixel's centre at 0.

    `points` (L, 2) float64, NaN where missing; `visible` (L,) bool; `confidence` (L,); `box` (4,) x0, y0, x1, y1
    half-open; `subsets` the names of those it belongs to. `load` gives the pixels (H, W, 3) RGB where the format holds
    the pictures itself; otherwise `image` is read, turned `upright` by its EXIF orientation or as stored. `size` is the
    width and height that the format states for it: a picture of another size is another one, or was turned. Where
    `image` is a video, `frame` is the number of the frame, from 0 on.
    """

    id: str
    image: Path
    points: np.ndarray | None = None
    visible: np.ndarray | None = None
    confidence: np.ndarray | None = None
    box: np.ndarray | None = None
    score: float | None = None
    subsets: frozenset[str] = frozenset()
    load: Callable[[], np.ndarray] | None = None
    size: tuple[int, int] | None = None
    upright: bool = True
    frame: int | None = None


@dataclass
class Reading:
    """What a reader needs besides the path: index base, where pictures lie, and callbacks.

    `base` is the coordinate of the first pixel's centre in the format's files; readers subtract it. `skip(where,
    reason)` names an entry that cannot be used. `roots` are folders to look for pictures in, before those the format
    suggests. Without `pictures` nothing is looked for: the annotations come with the names of their pictures alone.
    `index` is the annotation file that predictions were made for, where they name their pictures by its numbers; it
    may be any file. `categories` are the names of the things to read, where a file holds several with points.
    `say(text)` takes a message on how a file was read, `warn(text)` one on what is doubtful in it; both go to
    `reporter`, too.
    """

    base: float
    skip: Callable[[str, str], None]
    roots: tuple[Path, ...] = ()
    pictures: bool = True
    index: Path | None = None
    upright: bool = True
    say: Callable[[str], None] = SILENT.say
    categories: tuple[str, ...] = ()
    warn: Callable[[str], None] = SILENT.warn
    reporter: Reporter = SILENT
    n_absent: int = 0
    n_without_points: int = 0
    _times: Counter[str] = field(default_factory=Counter)
    _name_of: dict[str, str] = field(default_factory=dict)
    _listings: dict[str, frozenset[str]] = field(default_factory=dict)
    _suffixes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def number(self, name: str) -> str:
        """Id of the next face in the picture `name`: the name itself, then name#2, name#3, ..."""
        name = clean_name(name)
        self._times[name] += 1
        return name if self._times[name] == 1 else f"{name}#{self._times[name]}"

    @property
    def repeated(self) -> list[str]:
        """Names of pictures with more than one face."""
        return [name for name, times in self._times.items() if times > 1]

    def names_in(self, folder: str) -> frozenset[str]:
        """Names in a folder, read once: a look for each of them takes longer than decoding a small picture."""
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]

    def _suffixes_in(self, folder: str) -> tuple[str, ...]:
        """Those of the pictures in a folder, mostly one, in the order in which they are tried."""
        if folder not in self._suffixes:
            present = {f".{name.rpartition('.')[2]}" for name in self.names_in(folder)}
            self._suffixes[folder] = tuple(end for end in SUFFIXES_TO_TRY if end in present)
        return self._suffixes[folder]

    def name_of_stem(self, stem: str, folder: Path, where: str = "") -> str | None:
        """Name of the picture in `folder` that is called `stem` and a suffix; None where there is none.

        Warns where there are several.
        """
        beside = self.names_in(str(folder))
        found = [
            stem + end
            for end in self._suffixes_in(str(folder))
            if stem + end in beside and os.path.isfile(os.path.join(folder, stem + end))
        ]
        if len(found) > 1:
            self.warn(f"{where or stem}: {' and '.join(found)} are all there; {found[0]} is taken")
        return found[0] if found else None

    def find_image(self, name: str, folder: Path, where: str = "") -> Path | None:
        """As `look_for_image`, but without `pictures` the name itself."""
        return self.look_for_image(name, folder, where) if self.pictures else Path(name)

    def look_for_image(self, name: str, folder: Path, where: str = "") -> Path | None:
        """Path of the picture that a list in `folder` calls `name`; None, after a skip, where there is none.

        Looked for below each of `roots`, in `folder` and in its folder images/. Lists often carry the path of their
        author's machine, so below `roots` (and for an absolute name everywhere) leading folders of the name are left
        out one by one. Raises DataError where two names so lead to one picture, for then one of them is wrong.
        """
        path = self.locate(name, folder)
        if path is None:
            self._skip_absent(name, folder, where)
        return path

    def find_first(self, names: Sequence[str], folder: Path, where: str = "") -> Path | None:
        """As `find_image`, for a picture that may have several names, the likeliest first."""
        if not self.pictures:
            return Path(names[-1])
        for name in names:
            path = self.locate(name, folder, names[0])
            if path is not None:
                return path
        self._skip_absent(names[0], folder, where)
        return None

    def locate(self, name: str, folder: Path, whose: str = "") -> Path | None:
        """Path of the picture `name`, claimed for `whose`; None where there is none.

        That of a frame, whose name is VIDEO#frame=NUMBER, is the path of its video with the same ending.
        """
        plain = name.replace("\\", "/")
        parts = [part for part in PurePosixPath(plain).parts if part != "/"]
        absolute = plain.startswith("/") or (parts and parts[0].endswith(":"))
        tails = ["/".join(parts[k:]) for k in range(len(parts))]
        if absolute and os.path.isfile(name):
            return self.claim(Path(name), whose or name)
        for root in (*self.roots, folder, folder / "images"):
            for tail in tails if absolute or root in self.roots else [plain]:
                path = root / tail
                if tail and os.path.isfile(path):  # unlike Path.is_file, says no to a name too long for the system
                    return self.claim(path, whose or name)
        frame = frame_in_id(plain)
        video = self.locate(frame[0], folder) if frame else None
        return Path(frame_id(str(video), frame[1])) if frame and video else None

    def _skip_absent(self, name: str, folder: Path, where: str) -> None:
        self.n_absent += 1
        places = " or ".join(str(root) for root in self.roots) or f"{folder} or its folder images"
        self.skip(where or name, f"there is no image {name!r} in {places}")

    def claim(self, path: Path, name: str) -> Path:
        """The path itself. Raises DataError where another name has led to it before."""
        first = self._name_of.setdefault(str(path), name)
        if first != name:
            raise DataError(
                f"{first!r} and {name!r} both lead to the image {path}",
                "name with --images the folder in which these paths begin",
            )
        return path


def clean_name(name: str) -> str:
    """A name in an annotation, perhaps of another system, as an id: forward slashes, no drive, and a clean path."""
    first, slash, rest = clean_path(name.strip().replace("\\", "/")).partition("/")
    is_drive = len(first) == 2 and first[1] == ":"
    return rest if is_drive else f"{first}{slash}{rest}"


def clean_path(path: str) -> str:
    """A path of this system, or in an archive, as an id: no leading slash, no `.` and no `..`; a backslash stays.

    `..` takes away the folder before it, so that the id is that of the same file by its plain path; a leading one,
    which leads out of the data set, is left out.

    >>> clean_path("./a/../b.png"), clean_path("../a//b.png")
    ('b.png', 'a/b.png')
    """
    if "//" not in path and "/." not in path and path[:1] != "." and path[-1:] != "/":
        return path.removeprefix("/")  # clean already, as nearly all of millions are
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def box_from_corners(x0: float, y0: float, x1: float, y1: float) -> np.ndarray | None:
    """Box (4,) half-open; None for absurd numbers and for an empty box, which many data sets write for none."""
    box = np.array([x0, y0, x1, y1], np.float64)
    return box if np.abs(box).max() < _FARTHEST and x1 > x0 and y1 > y0 else None


def box_from_size(x: float, y: float, width: float, height: float, *, base: float) -> np.ndarray | None:
    """As `box_from_corners`, of the upper left corner, from which `base` is subtracted, and the size."""
    return box_from_corners(x - base, y - base, x - base + width, y - base + height)


def as_points(numbers: Sequence[float] | np.ndarray, base: float = 0.0) -> np.ndarray:
    """Numbers x0, y0, x1, y1, ... -> points (L, 2) float64 with `base` subtracted; a point with a NaN is all NaN.

    Raises DataError where they are not pairs, or infinite.
    """
    flat = np.asarray(numbers, np.float64).reshape(-1)
    if len(flat) == 0 or len(flat) % 2:
        raise DataError(f"{len(flat)} numbers, which are not pairs of x and y")
    if np.isinf(flat).any():
        raise DataError("a number is infinite")
    with np.errstate(invalid="ignore"):  # a signalling NaN of a binary file
        points = flat.reshape(-1, 2) - base
    points[np.isnan(points).any(axis=1)] = np.nan
    return points


@dataclass(frozen=True)
class FaceBlock:
    """Faces to be written as text, in order: `points` (n, L, 2) float32 and `boxes` (n, 4) in pixels from 0.

    `images` are the paths or names to write for their pictures, `sizes` (n, 2) width and height where known (0 else).
    `visible` and `confidence` (n, L) and `scores` (n,) are None where the file has none, and so are `frames`, `times`
    in seconds and `tracks` (n,) of faces in videos, whose -1 and NaN stand for none. `box_origin` says whose the boxes
    are, as in a faces file. `conventions` (n,) are the faces' annotation conventions, None for none; with the origin
    that the points have. `poses` (n, 3) are yaw, pitch and roll in degrees, where they are wanted.
    """

    ids: list[str]
    images: list[str]
    points: np.ndarray
    visible: np.ndarray | None = None
    confidence: np.ndarray | None = None
    boxes: np.ndarray | None = None
    box_origin: str = ANNOTATION
    scores: np.ndarray | None = None
    sizes: np.ndarray | None = None
    frames: np.ndarray | None = None
    times: np.ndarray | None = None
    tracks: np.ndarray | None = None
    subsets: dict[str, np.ndarray] = field(default_factory=dict)
    conventions: Sequence[Convention | None] | None = None
    poses: np.ndarray | None = None

    @property
    def annotated_boxes(self) -> np.ndarray | None:
        """`boxes` for formats whose readers take any box for one of the annotation: None if they are others."""
        return self.boxes if self.box_origin == ANNOTATION else None

    @property
    def video_columns(self) -> list[str]:
        """Those of frame, time and track that the file has."""
        columns = {"frame": self.frames, "time": self.times, "track": self.tracks}
        return [name for name, values in columns.items() if values is not None]

    def video_of(self, k: int) -> dict[str, float | int | None]:
        """`frame`, `time` and `track` of face k, None for none; empty where the file is not of videos."""
        values: dict[str, float | int | None] = {}
        if self.frames is not None:
            values["frame"] = int(self.frames[k]) if self.frames[k] >= 0 else None
        if self.times is not None:
            values["time"] = float(self.times[k]) if np.isfinite(self.times[k]) else None
        if self.tracks is not None:
            values["track"] = int(self.tracks[k]) if self.tracks[k] >= 0 else None
        return values


Blocks = Callable[[], Iterator[FaceBlock]]  # can be called again, for formats that need two passes


def images_below(folder: Path, passed: PassedOver | None = None) -> Iterator[Path]:
    """Image files in a folder and the folders in it, sorted, hidden ones left out; others are added to `passed`."""
    passed = passed or PassedOver()
    for name in files_below(folder, passed_over=lambda link: passed.add_link(str(folder / link))):
        path = folder / name
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield path
        else:
            passed.add_file(str(path))


def size_of_picture(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Height and width, which few formats ask for; those of the stored picture where it is not to be `upright`.

    Taken from the header, in a hundredth of the time that decoding takes. Raises FileError for a picture that cannot
    be read.
    """
    from kdtools.images.reading import is_turned, read_image, stored_size  # which loads OpenCV

    size = None if upright and is_turned(path) else stored_size(path)
    if size is None:
        height, width = read_image(path, upright=upright).shape[:2]
        return height, width
    return size


def check_pictures_wanted(path: Path, reading: Reading) -> None:
    """Raises DataError for shares of pictures' sizes where no pictures are to be read."""
    if not reading.pictures:
        raise DataError(f"{path}: its points are shares of the images' width and height", "leave out --no-images")
