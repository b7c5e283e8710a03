"""Frames of videos that the rows of a table name by their numbers: from 0 or from 1, whichever the table shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import Reading
from kdtools.datasets.formats.shared.csv_columns import Columns
from kdtools.datasets.formats.shared.frames import find_video
from kdtools.datasets.formats.shared.tables import read_table
from kdtools.datasets.formats.shared.text_lists import is_number
from kdtools.errors import DataError, FileError
from kdtools.storage.file_kinds import VIDEO_SUFFIXES

_MOST_DIGITS = 9
_MOST_OFF = 0.1  # frames by which times may miss a first frame


def is_frame_number(text: str) -> bool:
    """Whether a cell is a whole number from 0 on, in usual digits, of a length that a frame's may have."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


class TableFrames:
    """The video and the frame of each row: those of its cells, and where no video is named that of the table's name."""

    def __init__(self, path: Path, columns: Columns, reading: Reading) -> None:
        self._path, self._columns, self._reading = path, columns, reading
        self._first: dict[str, int] = {}
        rows = [row for _, row in islice(read_table(path), 1, None) if len(row) == columns.n_cells]
        seen: dict[str, list[tuple[int, str]]] = {}
        for row in rows:
            number = self._cell(row, columns.frame)
            if is_frame_number(number) and (video := self.video_of(row)) is not None:
                seen.setdefault(video, []).append((int(number), self._cell(row, columns.time)))
        for video, frames in seen.items():
            self._first[video] = self._first_of(video, frames)

    def video_of(self, row: Sequence[str]) -> str | None:
        """The name of a row's video; None where the row names a picture of its own."""
        columns = self._columns
        if columns.id is not None or columns.frame is None:
            return None
        name = self._cell(row, columns.video if columns.image is None else columns.image)
        if columns.image is not None and not name.lower().endswith(VIDEO_SUFFIXES):
            return None
        return name or self._path.stem

    def frame_of(self, row: Sequence[str], video: str) -> int:
        """The number of a row's frame, from 0. Raises DataError where its cell holds none."""
        text = self._cell(row, self._columns.frame)
        if not is_frame_number(text):
            raise DataError(f"{text[:30]!r} is not the number of a frame")
        return int(text) - self._first[video]

    @staticmethod
    def _cell(row: Sequence[str], k: int | None) -> str:
        return "" if k is None else row[k].strip()

    def _first_of(self, video: str, frames: Sequence[tuple[int, str]]) -> int:
        """The number of the first frame. Raises FileError where nothing tells it."""
        lowest, highest = min(frames)[0], max(frames)[0]
        if lowest == 0:
            return 0
        by_time = _first_by_time(frames)
        if by_time is not None:
            return by_time
        if self._reading.pictures and (path := find_video(self._reading, video, self._path.parent)) is not None:
            from kdtools.images.video import stated_frames  # which loads OpenCV

            if highest == stated_frames(path):
                return 1
        if lowest > 1:
            raise FileError(
                f"{self._path}: the frames of {video} begin at {lowest}, and nothing tells whether they count from 0",
                "name them by ids that count from 0, as clip.mp4#frame=000012, or add a column time in seconds",
            )
        self._reading.warn(f"{self._path}: the frames of {video} begin at 1; they are taken to count from 1")
        return 1


def _first_by_time(frames: Sequence[tuple[int, str]]) -> int | None:
    """The frame at 0 seconds, where times rise with the frames and this is frame 0 or 1."""
    known = [(number, float(time)) for number, time in frames if is_number(time)]
    numbers, times = np.array(known, np.float64).reshape(-1, 2).T
    if len(known) < 2 or np.isnan(times).any() or np.ptp(numbers) == 0 or np.ptp(times) == 0:
        return None
    slope, start = np.polyfit(numbers, times, 1)
    if slope <= 0 or np.abs(slope * numbers + start - times).max() > slope / 2:
        return None
    first = float(-start / slope)
    return round(first) if abs(first - round(first)) < _MOST_OFF and round(first) in (0, 1) else None
