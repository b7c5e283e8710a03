"""Pictures of predictions and labels that name only a video and a frame, or a picture without its suffix.

The id of a frame is that of kd-predict, `clip.mp4#frame=000012`, the 13th of clip.mp4.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Reading, clean_name
from kdtools.datasets.formats.shared.image_beside import frame_name
from kdtools.storage.file_kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from kdtools.storage.names import frame_id

_VIDEO_OF_300VW = "vid"
_MOST_DIGITS = 9  # of a frame's number
_VIDEO_SUFFIXES = tuple(variant for suffix in VIDEO_SUFFIXES for variant in (suffix, suffix.upper()))


@dataclass(frozen=True)
class Place:
    """Where the pixels of a face are: the `frame` of a video, counted from 0, or a picture of its own."""

    id: str
    image: Path
    frame: int | None = None


def find_video(reading: Reading, name: str, folder: Path) -> Path | None:
    """The video of that name, with or without its suffix, below `reading.roots`, in `folder` or in the one above."""
    suffixes = ("", *_VIDEO_SUFFIXES) if name.lower().endswith(VIDEO_SUFFIXES) else _VIDEO_SUFFIXES
    for place in (*reading.roots, folder, folder.absolute().parent):
        beside = reading.names_in(str(place))
        for suffix in suffixes:
            if name + suffix in beside and os.path.isfile(place / (name + suffix)):
                return place / (name + suffix)
    return None


def find_frame(reading: Reading, video: str, frame: int, folder: Path, where: str) -> Place | None:
    """Frame `frame` of a video whose name may lack its suffix; None, after a skip, where there is none."""
    path = find_video(reading, video, folder)
    if path is not None:
        return Place(frame_id(path.name, frame), path, frame)
    if not reading.pictures:
        return Place(frame_id(clean_name(video), frame), Path(video), frame)
    _skip(reading, f"there is no video {video!r}", folder, where)
    return None


def find_frame_or_still(reading: Reading, video: str, frame: int, folder: Path, where: str) -> Place | None:
    """As `find_frame`, or where there is no video the picture VIDEO/frame_000012 that a program took from it."""
    path = find_video(reading, video, folder)
    if path is not None:
        return Place(frame_id(path.name, frame), path, frame)
    name = frame_name(video, frame)
    image = find_still(reading, name, folder, where)
    return None if image is None else Place(name, image)


def find_still(reading: Reading, name: str, folder: Path, where: str) -> Path | None:
    """Picture of the frame `name`, in the folder of its video or, below `reading.roots`, without that folder."""
    if reading.pictures:
        for root in (*reading.roots, folder, folder / "images"):
            for tail in (name, name.rsplit("/", 1)[-1]) if root in reading.roots else (name,):
                picture = _picture_in(reading, tail, root, where)
                if picture is not None:
                    return reading.find_image(name + picture.suffix, folder, where)
    return reading.find_image(f"{name}.png", folder, where)


class NumberedFrames:
    """Annotation files below `root` whose names are the numbers of frames: annot/000012.pts beside vid.avi."""

    def __init__(self, root: Path, reading: Reading) -> None:
        self._root, self._reading = root, reading
        self._found: dict[Path, tuple[Path, int] | None] = {}

    def place_of(self, path: Path) -> Place | None:
        """The frame of an annotation file; None where its name is not a number, or no video of one belongs to it."""
        stem = path.stem
        if not (stem.isascii() and stem.isdecimal() and len(stem) <= _MOST_DIGITS):
            return None
        folder = path.parent
        if folder not in self._found:
            self._found[folder] = self._video_of(folder, path.suffix)
        found = self._found[folder]
        if found is None or int(stem) < found[1]:
            return None
        video, first = found
        inside = video.absolute().is_relative_to(self._root.absolute())
        name = video.absolute().relative_to(self._root.absolute()).as_posix() if inside else video.name
        return Place(frame_id(clean_name(name), int(stem) - first), video, int(stem) - first)

    def _video_of(self, folder: Path, suffix: str) -> tuple[Path, int] | None:
        """The video and the number of its first frame: 0 where a file has that number, else 1, as in 300VW."""
        stems = [Path(name).stem for name in self._reading.names_in(str(folder)) if name.endswith(suffix)]
        if any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in self._reading.names_in(str(folder))):
            return None
        above = folder.absolute().parent
        for place in (folder, above):
            names = sorted(n for n in self._reading.names_in(str(place)) if n.lower().endswith(VIDEO_SUFFIXES))
            same = [name for name in names if Path(name).stem in (_VIDEO_OF_300VW, folder.absolute().name)]
            chosen = same if same else names
            if len(chosen) == 1:
                lowest = min((int(stem) for stem in stems if stem.isascii() and stem.isdecimal()), default=1)
                if lowest > 1:
                    text = f"{folder}: its numbers begin at {lowest}; they are taken to count from 1 in {chosen[0]}"
                    self._reading.warn(text)
                return place / chosen[0], min(lowest, 1)
        return None


def find_named(reading: Reading, stem: str, folder: Path, where: str) -> Place | None:
    """The picture of that name without its suffix, looked for where `find_video` looks; None, after a skip."""
    for place in (*reading.roots, folder, folder / "images", folder.absolute().parent):
        picture = _picture_in(reading, stem, place, where)
        if picture is not None:
            return Place(clean_name(f"{stem}{picture.suffix}"), picture)
    if not reading.pictures:
        return Place(clean_name(stem + ".jpg"), Path(stem + ".jpg"))
    _skip(reading, f"there is no image {stem!r}", folder, where)
    return None


def _picture_in(reading: Reading, stem: str, folder: Path, where: str) -> Path | None:
    """The picture below a folder that has the path `stem` there and a suffix."""
    place = folder / stem
    name = reading.name_of_stem(place.name, place.parent, where)
    return None if name is None else place.parent / name


def _skip(reading: Reading, what: str, folder: Path, where: str) -> None:
    reading.n_absent += 1
    places = "".join(f" or below {root}" for root in reading.roots)
    reading.skip(where, f"{what} in {folder}, in the folder above{places}")
